from __future__ import annotations

import asyncio
import itertools
import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from support.expected_scores import expected_scores
from support.judged import judged

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.judges.base import Completion, Option, Question
from mtmbench.judges.clients.scripted import ScriptedJudge
from mtmbench.judges.registry import load_judge_card
from mtmbench.judges.replies import parse_verdict
from mtmbench.matches.audit import audit
from mtmbench.matches.match import Pair, Player, fold

MakeResult = Callable[..., TopicResult]
STRENGTHS = {"strong": 0.9, "weak": -0.3}
GAP = 1.2
N = 3000


def _question(doc: int, first: str = "strong", second: str = "weak") -> Question:
    context = {"corpus": "c", "doc_id": f"d{doc}", "text": "t"}
    return Question("match", context, (Option(first, ()), Option(second, ())))


def _verdict(completion: Completion) -> str:
    return "refused" if completion.refused else parse_verdict(completion.text)


def _frequencies(judge: ScriptedJudge, first: str, second: str) -> Counter[str]:
    async def ask() -> list[Completion]:
        return [await judge.answer(_question(i, first, second), {}, 0) for i in range(N)]

    return Counter(map(_verdict, asyncio.run(ask())))


def _check(count: int, probability: float) -> None:
    # Five binomial standard deviations: a chance of 6e-7 to fail by luck, and the seed is fixed.
    bound = 5 * math.sqrt(N * probability * (1 - probability)) + 1e-9
    assert abs(count - N * probability) <= bound


@pytest.mark.parametrize(
    ("bias", "tie_rate"), [(0.0, 0.0), (0.0, 0.2), (0.25, 0.2), (-0.25, 0.0), (-1.0, 0.2)]
)
def test_frequencies_are_the_stated_probabilities(bias: float, tie_rate: float) -> None:
    judge = ScriptedJudge(
        STRENGTHS, seed=1, tie_rate=tie_rate, position_bias=bias, failure_rate=0.1,
        refusal_rate=0.05,
    )  # fmt: skip
    answered = 0.95 * 0.9
    for first, second, gap in (("strong", "weak", GAP), ("weak", "strong", -GAP)):
        seen = _frequencies(judge, first, second)
        read = (1 - abs(bias)) / (1 + math.exp(-gap))
        decisive = answered * (1 - tie_rate)
        _check(seen["refused"], 0.05)
        _check(seen["unparsed"], 0.95 * 0.1)
        _check(seen["tie"], answered * tie_rate)
        _check(seen["A"], decisive * (max(bias, 0) + read))
        _check(seen["B"], decisive * (1 - max(bias, 0) - read))


def test_answers_depend_on_the_question_alone() -> None:
    judge = ScriptedJudge(STRENGTHS, seed=5, tie_rate=0.2, failure_rate=0.2, refusal_rate=0.1)
    order = list(range(60))

    async def ask(client: ScriptedJudge, docs: list[int], replicate: int = 0) -> dict[int, str]:
        return {i: _verdict(await client.answer(_question(i), {}, replicate)) for i in docs}

    straight = asyncio.run(ask(judge, order))
    assert len(set(straight.values())) == 5
    assert asyncio.run(ask(judge, order[::-1])) == straight
    again = ScriptedJudge(STRENGTHS, seed=5, tie_rate=0.2, failure_rate=0.2, refusal_rate=0.1)
    assert asyncio.run(ask(again, order[30:])) == {i: straight[i] for i in order[30:]}
    assert asyncio.run(ask(judge, order, replicate=1)) != straight
    other = ScriptedJudge(STRENGTHS, seed=6, tie_rate=0.2, failure_rate=0.2, refusal_rate=0.1)
    assert asyncio.run(ask(other, order)) != straight


def _by_enumeration(gap: float, tie_rate: float, bias: float, failure: float) -> float:
    """Expected folded score given both orders parsed, over every joint outcome of two answers."""

    def outcomes(a_first: bool) -> dict[str, float]:
        chances: Counter[str] = Counter({"u": failure})
        for names_a, reads in itertools.product((True, False), (True, False)):
            if reads:
                wins = 1 / (1 + math.exp(-gap))
                chance = (1 - abs(bias)) * (wins if names_a else 1 - wins)
            else:
                slot_is_first = bias > 0
                chance = abs(bias) if names_a == (slot_is_first == a_first) else 0.0
            chances["a" if names_a else "b"] += (1 - failure) * (1 - tie_rate) * chance
        chances["t"] += (1 - failure) * tie_rate
        assert sum(chances.values()) == pytest.approx(1)
        return chances

    total = weight = 0.0
    for (f, p), (b, q) in itertools.product(outcomes(True).items(), outcomes(False).items()):
        score = fold(f, b)
        if score is not None:
            total += p * q * score
            weight += p * q
    return total / weight


@pytest.mark.parametrize("tie_rate", [0.0, 0.3])
@pytest.mark.parametrize("bias", [0.0, 0.4, -0.4, 1.0])
@pytest.mark.parametrize("failure", [0.0, 0.5])
def test_expected_scores_by_enumeration(tie_rate: float, bias: float, failure: float) -> None:
    strengths = np.array([1.3, 0.0, -0.7, 0.0])
    scores = expected_scores(strengths, tie_rate, bias)
    for i, j in itertools.product(range(4), repeat=2):
        gap = float(strengths[i] - strengths[j])
        expected = 0.5 if i == j else _by_enumeration(gap, tie_rate, bias, failure)
        assert scores[i, j] == pytest.approx(expected, abs=1e-12)


@pytest.mark.slow
def test_expected_scores_are_those_of_played_matches(make_result: MakeResult) -> None:
    n = 3000
    corpus = Corpus("big", tuple(map(str, range(n))), tuple(f"text {i}" for i in range(n)))
    a, b = (make_result([[1.0]] * n, [[word]], of=corpus) for word in ("x", "y"))
    judge = ScriptedJudge(STRENGTHS, seed=2, tie_rate=0.15, position_bias=0.3, failure_rate=0.1)
    outcome = judged(judge, Pair(corpus, range(n), Player("strong", a), Player("weak", b)))
    scores = [fold(*pair) for pair in zip(outcome.forward, outcome.backward, strict=True)]
    kept = np.array([score for score in scores if score is not None])
    expected = expected_scores(list(STRENGTHS.values()), 0.15, 0.3)[0, 1]
    assert abs(kept.mean() - expected) < 5 * kept.std() / math.sqrt(len(kept))
    assert abs(len(kept) - n * 0.81) < 5 * math.sqrt(n * 0.81 * 0.19)
    seen = audit(outcome.forward, outcome.backward)
    # Over both orders the first slot's rate is (1 + bias) / 2 whatever the strengths.
    assert seen.position_bias.value == pytest.approx(0.65, abs=5 * math.sqrt(0.25 / n))
    assert seen.unparsed.value == pytest.approx(0.1, abs=0.02)


def test_pure_position_bias_folds_to_ties(corpus: Corpus, make_result: MakeResult) -> None:
    a, b = (make_result([[1.0]] * 4, [[word]]) for word in ("x", "y"))
    for bias, forward, backward in ((1.0, "aaaa", "bbbb"), (-1.0, "bbbb", "aaaa")):
        pair = Pair(corpus, range(4), Player("strong", a), Player("weak", b))
        outcome = judged(ScriptedJudge(STRENGTHS, position_bias=bias), pair)
        assert (outcome.forward, outcome.backward) == (forward, backward)
        assert [fold(*p) for p in zip(forward, backward, strict=True)] == [0.5] * 4


def test_the_card_plays_with_competitors_it_does_not_name() -> None:
    card = load_judge_card("scripted")
    judge = ScriptedJudge(**card.params)
    assert judge.others == 0.0
    reply = asyncio.run(judge.answer(_question(0, "mlda:paper", "lda"), card.decoding, 0))
    assert reply.model_revision == "scripted, version 1"


def test_wrong_input_is_named() -> None:
    with pytest.raises(InputError, match=r"tie_rate must lie between 0 and 1, not 1\.5"):
        ScriptedJudge(tie_rate=1.5)
    with pytest.raises(InputError, match="position_bias must lie"):
        ScriptedJudge(position_bias=-1.1)
    with pytest.raises(UnknownNameError, match="'stron'; did you mean 'strong'"):
        asyncio.run(ScriptedJudge(STRENGTHS).answer(_question(0, "stron"), {}, 0))
    with pytest.raises(InputError, match="failure_rate must lie"):
        ScriptedJudge(failure_rate=-0.1)
