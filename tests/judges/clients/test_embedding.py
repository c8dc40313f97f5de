from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.judged import judged

from mtmbench.core.cards import JudgeCard
from mtmbench.core.errors import InputError
from mtmbench.core.serialise import seed_from
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.judges.base import NO_TOPIC, Option, Question, judged_mark
from mtmbench.judges.clients.embedding import EmbeddingJudge
from mtmbench.judges.identity import judge_identity
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


def _centred(text: str, described: str, judged_texts: Sequence[str]) -> float:
    mean = np.mean([_cosine(other, described) for other in judged_texts])
    return _cosine(text, described) - float(mean)


def _ask(judge: EmbeddingJudge, text: str, first: Option, second: Option) -> str:
    question = Question("match", {"corpus": "c", "doc_id": "d", "text": text}, (first, second))
    return parse_verdict(asyncio.run(judge.answer(question, {}, 0)).text)


def _plain(**params: Any) -> EmbeddingJudge:
    """Version 1, which needs not be told what is judged."""
    return EmbeddingJudge(version=1, **params)


@pytest.mark.parametrize("version", [1, 2])
def test_verdicts_by_brute_force(version: int, make_result: MakeResult) -> None:
    n, k = 120, 6
    # A text that stands twice among the judged documents counts twice in their mean.
    texts = tuple(f"text number {i % 110}" for i in range(n))
    corpus = Corpus("c", tuple(map(str, range(n))), texts)
    rows, league = range(0, n, 2), range(0, n - 5)
    generator = np.random.default_rng(0)
    theta = [generator.dirichlet(np.full(k, 0.5), size=n) for _ in range(2)]
    labels = [[[f"w{m}{t}{i}" for i in range(4)] for t in range(k)] for m in range(2)]
    a, b = (make_result(theta[m], labels[m], of=corpus) for m in range(2))
    judge = EmbeddingJudge(version=version, tie_below=0.05, embed=Encoder())
    pair = Pair(corpus, rows, Player("a", a), Player("b", b), judged=league)
    outcome = judged(judge, pair, CARD)

    def nearness(text: str, described: str) -> float:
        if version == 1:
            return _cosine(text, described)
        return _centred(text, described, [texts[other] for other in league])

    expected = ""
    for row in rows:
        scores = []
        for m in range(2):
            shares = theta[m][row].astype(np.float32).astype(float)
            order = sorted(range(k), key=lambda t: (-shares[t], t))
            shown = order[:1] if shares[order[0]] >= 0.75 else order[:2]
            cosines = [nearness(texts[row], ", ".join(labels[m][t])) for t in shown]
            weights = [shares[t] / sum(shares[s] for s in shown) for t in shown]
            scores.append(sum(w * c for w, c in zip(weights, cosines, strict=True)))
        gap = scores[0] - scores[1]
        expected += "t" if abs(gap) < 0.05 else "a" if gap > 0 else "b"
    assert outcome.forward == outcome.backward == expected
    assert set(expected) == set("abt")
    assert outcome.calls == len(rows)


def test_a_description_that_is_near_everything_gains_nothing(
    make_result: MakeResult,
) -> None:
    # Documents lie at 30° to what they share, in one of two directions; "common" is what they
    # share, "sport" and "tax" point in either direction and are farther from every document.
    vectors = {"common": [1, 0], "sport": [0, 1], "tax": [0, -1]}

    def embed(texts: Sequence[str]) -> NDArray[np.float64]:
        return np.array([vectors.get(t, [np.sqrt(3), 1 if t < "5" else -1]) for t in texts], float)

    corpus = Corpus("c", tuple("0123456789"), tuple("0123456789"))
    theta = np.repeat([[1.0, 0.0], [0.0, 1.0]], 5, axis=0)
    right = make_result(theta, [["sport"], ["tax"]], of=corpus)
    everything = make_result(np.ones((10, 1)), [["common"]], of=corpus)
    pair = Pair(corpus, range(10), Player("right", right), Player("everything", everything))
    assert judged(_plain(embed=embed), pair, CARD).forward == "bbbbbbbbbb"
    assert judged(EmbeddingJudge(embed=embed), pair, CARD).forward == "aaaaaaaaaa"


def test_centred_verdicts_do_not_depend_on_what_else_is_played(
    corpus: Corpus, make_result: MakeResult
) -> None:
    class Batched(Encoder):
        """The last bits of a vector depend on what else is in its batch, here grossly."""

        def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
            return super().__call__(texts) + np.float32(len(texts))

    random = np.random.default_rng(3)
    models = {
        name: make_result(random.dirichlet([1] * 9, size=4), [[name, str(k)] for k in range(9)])
        for name in "abcd"
    }

    def play(judge: EmbeddingJudge, first: str, second: str, *rows: int) -> str:
        a, b = (Player(name, models[name]) for name in (first, second))
        pair = Pair(corpus, rows, a, b, judged=range(4))
        return judged(judge, pair, CARD).forward

    pairs = [("a", "b"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("c", "d")]
    alone = {
        pair: play(EmbeddingJudge(tie_below=0, embed=Batched()), *pair, *range(4)) for pair in pairs
    }
    busy = EmbeddingJudge(tie_below=0, embed=Batched())
    for pair in reversed(pairs):
        # Another order, and looks of two documents at a time.
        looks = [play(busy, *pair, 2, 3), play(busy, *pair, 0, 1)]
        assert looks[1] + looks[0] == alone[pair]


def test_what_is_judged_must_be_told(make_option: MakeOption) -> None:
    a, b = make_option("a", (1, ["x"])), make_option("b", (1, ["z"]))
    with pytest.raises(
        InputError, match=r"was not told which documents of 'c' are judged: prepare"
    ):
        _ask(EmbeddingJudge(embed=Encoder()), "text", a, b)


def test_a_text_beside_the_judged_ones_is_centred_by_them(make_option: MakeOption) -> None:
    corpus = Corpus("c", ("1", "2"), ("one", "two"))
    judge = EmbeddingJudge(tie_below=0, embed=Encoder())
    judge.prepare_documents(corpus, [0, 1])
    gap = _centred("three", "x", corpus.texts) - _centred("three", "z", corpus.texts)
    a, b = make_option("a", (1, ["x"])), make_option("b", (1, ["z"]))
    assert _ask(judge, "three", a, b) == ("A" if gap > 0 else "B")


def test_documents_are_encoded_once_and_topics_once_a_competitor(
    corpus: Corpus, make_result: MakeResult
) -> None:
    encoder = Encoder()
    judge = _plain(embed=encoder)
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
    _plain(embed=alone).prepare(corpus, [mine], [0])
    _plain(embed=together).prepare(corpus, [other, mine], [0])
    assert set(alone.calls) < set(together.calls)


def test_a_question_that_was_not_prepared_is_answered_all_the_same(
    make_option: MakeOption,
) -> None:
    a, b = make_option("a", (0.5, ["x"]), (0.5, ["y"])), make_option("b", (1, ["z"]))
    text = "some text"
    gap = (_cosine(text, "x") + _cosine(text, "y")) / 2 - _cosine(text, "z")
    assert abs(gap) > 0.01
    judge = _plain(embed=Encoder())
    assert _ask(judge, text, a, b) == ("A" if gap > 0 else "B")
    assert _ask(judge, text, b, a) == ("B" if gap > 0 else "A")


def test_shares_are_renormalised_over_the_topics_shown(make_option: MakeOption) -> None:
    judge = _plain(tie_below=1e-9, embed=Encoder())
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

    judge = _plain(embed=embed)
    x, y = make_option("a", (1, ["x"])), make_option("b", (1, ["y"]))
    assert _ask(judge, "document", x, y) == verdict


def test_descriptions_are_cut_to_one_budget(make_option: MakeOption) -> None:
    encoder = Encoder()
    judge = _plain(description_words=3, embed=encoder)
    long = make_option("a", (1, ["ice hockey", "game night", "puck"]))
    _ask(judge, "text", long, make_option("b", (1, ["tax"])))
    assert ("ice hockey, game",) in encoder.calls
    # What is cut away cannot tell two options apart, and neither does a hanging comma.
    assert judge.sees(long) == judge.sees(make_option("b", (1, ["ice hockey", "game", "x"])))
    assert judge.sees(long) != judge.sees(make_option("b", (0.9, ["ice hockey", "game", "x"])))


def test_no_topic_loses_to_any_and_ties_with_none(make_option: MakeOption) -> None:
    judge = _plain(embed=Encoder())
    none, some = make_option("a"), make_option("b", (0.1, ["x"]))
    assert _ask(judge, "text", none, some) == "B"
    assert _ask(judge, "text", some, none) == "A"
    assert _ask(judge, "text", none, make_option("c")) == "tie"
    assert NO_TOPIC not in str(judge.sees(none))


def test_a_topic_with_nothing_to_show_counts_zero(make_option: MakeOption) -> None:
    text = next(t for t in map(str, range(100)) if _cosine(t, "x") > 0.1)
    empty = make_option("a", (1, []))
    judge = _plain(embed=Encoder())
    assert _ask(judge, text, empty, make_option("b", (1, ["x"]))) == "B"


def test_the_card_and_the_flags() -> None:
    for name, version, width in (("embedding", 2, 0.009), ("embedding-v1", 1, 0.01)):
        card = load_judge_card(name)
        judge = EmbeddingJudge(**card.params)
        assert (judge.tie_below, judge.description_words) == (width, 32)
        assert judge.version == version == judge_identity(card)["version"]
        assert judge.tie_below == EmbeddingJudge(version=version).tie_below
    # A judge that is there is known by itself, whatever a card would say.
    assert judge_identity(JudgeCard(client="embedding"), judge)["version"] == 1
    assert (judge.is_llm, judge.order_free, judge.encoder) == (False, True, "all-MiniLM-L6-v2")


def test_wrong_parameters_are_named() -> None:
    with pytest.raises(InputError, match="tie_below must lie between 0 and 2, not -1"):
        EmbeddingJudge(tie_below=-1)
    with pytest.raises(InputError, match="description_words must be at least 1, not 0"):
        EmbeddingJudge(description_words=0)
    with pytest.raises(InputError, match="version of the embedding judge must be 1 or 2, not 3"):
        EmbeddingJudge(version=3)
    with pytest.raises(InputError, match="must be 1 or 2, not 'two'"):
        EmbeddingJudge.version_of({"version": "two"})


def test_the_real_encoder_knows_hockey_from_taxes(corpus: Corpus, make_result: MakeResult) -> None:
    theta = [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    right = make_result(theta, [["sport", "hockey", "skiing"], ["politics", "music"]])
    wrong = make_result(theta, [["politics", "music"], ["sport", "hockey", "skiing"]])
    pair = Pair(corpus, range(4), Player("right", right), Player("wrong", wrong))
    for version in (1, 2):
        outcome = judged(EmbeddingJudge(version=version), pair, CARD)
        assert outcome.forward == "aaaa"
        assert outcome.revisions == (f"all-MiniLM-L6-v2, version {version}",)


def test_leagues_under_way_at_one_time_keep_their_own_documents(make_option: MakeOption) -> None:
    corpus = Corpus("c", tuple("0123"), ("zero", "one", "two", "three"))
    leagues = ([0, 1], [0, 2, 3])

    def gap(x: str, rows: Sequence[int]) -> float:
        texts = [corpus.texts[row] for row in rows]
        return _centred("zero", x, texts) - _centred("zero", "z", texts)

    x = next(x for x in map(str, range(1000)) if gap(x, leagues[0]) < 0 < gap(x, leagues[1]))
    judge = EmbeddingJudge(tie_below=0, embed=Encoder())
    for rows in leagues:
        judge.prepare_documents(corpus, rows)
    told = {"corpus": "c", "doc_id": "0", "text": "zero"}
    options = (make_option("a", (1, [x])), make_option("b", (1, ["z"])))
    for rows, verdict in zip(leagues, "BA", strict=True):
        question = Question("match", told, options, judged=judged_mark(corpus, rows))
        assert parse_verdict(asyncio.run(judge.answer(question, {}, 0)).text) == verdict


def test_its_own_encoder_is_given_all_new_descriptions_of_a_match_at_once(
    monkeypatch: pytest.MonkeyPatch, make_option: MakeOption
) -> None:
    own = Encoder()
    monkeypatch.setattr("mtmbench.features.embeddings.embed_texts", lambda texts, model: own(texts))
    corpus = Corpus("c", ("0", "1"), ("one", "two"))
    options = [make_option("m", (0.7, ["b", "c"]), (0.3, ["a"])), make_option("n", (1, ["a"]))]
    judge = EmbeddingJudge()
    judge.prepare(corpus, options, [0, 1])
    assert own.calls == [("a", "b, c")]
    other = Encoder()
    EmbeddingJudge(embed=other).prepare(corpus, options, [0, 1])
    assert other.calls == []
