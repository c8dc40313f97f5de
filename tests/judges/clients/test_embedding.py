from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from support.judged import judged

from mtmbench.core.cards import JudgeCard
from mtmbench.core.errors import InputError
from mtmbench.core.serialise import seed_from
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.judges.base import NO_TOPIC, Option, Question
from mtmbench.judges.clients.embedding import EmbeddingJudge
from mtmbench.judges.registry import load_judge_card
from mtmbench.judges.replies import parse_verdict
from mtmbench.matches.match import Pair, Player

MakeResult = Callable[..., TopicResult]
MakeOption = Callable[..., Option]
CARD = JudgeCard(client="embedding")


class Encoder:
    """A fixed random vector per text, not of unit length; counts its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.calls.append(tuple(texts))
        return np.stack([self.vector(text) for text in texts])

    @staticmethod
    def vector(text: str) -> NDArray[np.float32]:
        generator = np.random.default_rng(seed_from(text))
        return (3 * generator.standard_normal(8)).astype(np.float32)


def _cosine(x: str, y: str) -> float:
    u, v = (Encoder.vector(text).astype(float) for text in (x, y))
    return float(u @ v / np.sqrt((u @ u) * (v @ v)))


def _ask(judge: EmbeddingJudge, text: str, first: Option, second: Option) -> str:
    question = Question("match", {"corpus": "c", "doc_id": "d", "text": text}, (first, second))
    return parse_verdict(asyncio.run(judge.answer(question, {}, 0)).text)


def test_verdicts_by_brute_force(make_result: MakeResult) -> None:
    n, k = 120, 6
    corpus = Corpus("c", tuple(map(str, range(n))), tuple(f"text number {i}" for i in range(n)))
    generator = np.random.default_rng(0)
    theta = [generator.dirichlet(np.full(k, 0.5), size=n) for _ in range(2)]
    labels = [[[f"w{m}{t}{i}" for i in range(4)] for t in range(k)] for m in range(2)]
    a, b = (make_result(theta[m], labels[m], of=corpus) for m in range(2))
    judge = EmbeddingJudge(tie_below=0.05, embed=Encoder())
    outcome = judged(judge, Pair(corpus, range(n), Player("a", a), Player("b", b)), CARD)
    expected = ""
    for row in range(n):
        scores = []
        for m in range(2):
            shares = theta[m][row].astype(np.float32).astype(float)
            order = sorted(range(k), key=lambda t: (-shares[t], t))
            shown = order[:1] if shares[order[0]] >= 0.75 else order[:2]
            cosines = [_cosine(corpus.texts[row], ", ".join(labels[m][t])) for t in shown]
            weights = [shares[t] / sum(shares[s] for s in shown) for t in shown]
            scores.append(sum(w * c for w, c in zip(weights, cosines, strict=True)))
        gap = scores[0] - scores[1]
        expected += "t" if abs(gap) < 0.05 else "a" if gap > 0 else "b"
    assert outcome.forward == outcome.backward == expected
    assert set(expected) == set("abt")
    assert outcome.calls == n


def test_documents_are_encoded_once_and_topics_once_a_competitor(
    corpus: Corpus, make_result: MakeResult
) -> None:
    encoder = Encoder()
    judge = EmbeddingJudge(embed=encoder)
    theta = [[0.6, 0.4], [0.5, 0.5], [1, 0], [0, 0]]
    models = {name: make_result(theta, [[name], ["other", name]]) for name in "abc"}
    rows = [0, 1, 3]
    for first, second in (("a", "b"), ("a", "c"), ("b", "c")):
        a, b = (Player(name, models[name]) for name in (first, second))
        judged(judge, Pair(corpus, rows, a, b), CARD)
    assert sorted(encoder.calls) == sorted(
        [tuple(corpus.texts[row] for row in rows)] + [(name, f"other, {name}") for name in "abc"]
    )


def test_an_encoding_does_not_depend_on_who_else_plays(make_option: MakeOption) -> None:
    corpus = Corpus("c", ("1",), ("text",))
    mine, other = make_option("mine", (1, ["x", "y"])), make_option("other", (1, ["x", "z"]))
    alone, together = Encoder(), Encoder()
    EmbeddingJudge(embed=alone).prepare(corpus, [mine], [0])
    EmbeddingJudge(embed=together).prepare(corpus, [other, mine], [0])
    assert set(alone.calls) < set(together.calls)


def test_a_question_that_was_not_prepared_is_answered_all_the_same(
    make_option: MakeOption,
) -> None:
    a, b = make_option("a", (0.5, ["x"]), (0.5, ["y"])), make_option("b", (1, ["z"]))
    text = "some text"
    gap = (_cosine(text, "x") + _cosine(text, "y")) / 2 - _cosine(text, "z")
    assert abs(gap) > 0.01
    judge = EmbeddingJudge(embed=Encoder())
    assert _ask(judge, text, a, b) == ("A" if gap > 0 else "B")
    assert _ask(judge, text, b, a) == ("B" if gap > 0 else "A")


def test_shares_are_renormalised_over_the_topics_shown(make_option: MakeOption) -> None:
    judge = EmbeddingJudge(tie_below=1e-9, embed=Encoder())
    large = make_option("a", (0.6, ["x"]), (0.3, ["y"]))
    small = make_option("b", (0.2, ["x"]), (0.1, ["y"]))
    assert _ask(judge, "text", large, small) == "tie"


@pytest.mark.parametrize(("gap", "verdict"), [(0.0099, "tie"), (0.0101, "A"), (-0.0101, "B")])
def test_the_tie_threshold(gap: float, verdict: str, make_option: MakeOption) -> None:
    cosines = {"x": 0.5 + gap, "y": 0.5}

    def embed(texts: Sequence[str]) -> NDArray[np.float64]:
        return np.array(
            [[c, np.sqrt(1 - c * c)] for c in (cosines.get(text, 1.0) for text in texts)]
        )

    judge = EmbeddingJudge(embed=embed)
    x, y = make_option("a", (1, ["x"])), make_option("b", (1, ["y"]))
    assert _ask(judge, "document", x, y) == verdict


def test_descriptions_are_cut_to_one_budget(make_option: MakeOption) -> None:
    encoder = Encoder()
    judge = EmbeddingJudge(description_words=3, embed=encoder)
    long = make_option("a", (1, ["ice hockey", "game night", "puck"]))
    _ask(judge, "text", long, make_option("b", (1, ["tax"])))
    assert ("ice hockey, game",) in encoder.calls
    # What is cut away cannot tell two options apart, and neither does a hanging comma.
    assert judge.sees(long) == judge.sees(make_option("b", (1, ["ice hockey", "game", "x"])))
    assert judge.sees(long) != judge.sees(make_option("b", (0.9, ["ice hockey", "game", "x"])))


def test_no_topic_loses_to_any_and_ties_with_none(make_option: MakeOption) -> None:
    judge = EmbeddingJudge(embed=Encoder())
    none, some = make_option("a"), make_option("b", (0.1, ["x"]))
    assert _ask(judge, "text", none, some) == "B"
    assert _ask(judge, "text", some, none) == "A"
    assert _ask(judge, "text", none, make_option("c")) == "tie"
    assert NO_TOPIC not in str(judge.sees(none))


def test_a_topic_with_nothing_to_show_counts_zero(make_option: MakeOption) -> None:
    text = next(t for t in map(str, range(100)) if _cosine(t, "x") > 0.1)
    empty = make_option("a", (1, []))
    judge = EmbeddingJudge(embed=Encoder())
    assert _ask(judge, text, empty, make_option("b", (1, ["x"]))) == "B"


def test_the_card_and_the_flags() -> None:
    judge = EmbeddingJudge(**load_judge_card("embedding").params)
    assert (judge.tie_below, judge.description_words) == (0.01, 32)
    assert (judge.is_llm, judge.order_free, judge.encoder) == (False, True, "all-MiniLM-L6-v2")


def test_wrong_parameters_are_named() -> None:
    with pytest.raises(InputError, match="tie_below must lie between 0 and 2, not -1"):
        EmbeddingJudge(tie_below=-1)
    with pytest.raises(InputError, match="description_words must be at least 1, not 0"):
        EmbeddingJudge(description_words=0)


def test_the_real_encoder_knows_hockey_from_taxes(corpus: Corpus, make_result: MakeResult) -> None:
    theta = [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    right = make_result(theta, [["sport", "hockey", "skiing"], ["politics", "music"]])
    wrong = make_result(theta, [["politics", "music"], ["sport", "hockey", "skiing"]])
    pair = Pair(corpus, range(4), Player("right", right), Player("wrong", wrong))
    outcome = judged(EmbeddingJudge(), pair, CARD)
    assert outcome.forward == "aaaa"
    assert outcome.revisions == ("all-MiniLM-L6-v2, version 1",)
