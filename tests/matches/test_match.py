from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from support.judged import judged

from mtmbench.core.cards import JudgeCard
from mtmbench.core.errors import InputError
from mtmbench.core.specs import JudgingSpec
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.judges.asker import Asker
from mtmbench.judges.base import Completion, JudgeClient, JudgeError, Option, Question
from mtmbench.matches.match import MatchOutcome, Pair, Player, fold, judge_pair
from mtmbench.matches.options import document_options

MakeResult = Callable[..., TopicResult]

CARD = JudgeCard(client="told", decoding={"temperature": 0})

# The whole table of DESIGN's protocol: score of a by (forward, backward).
FOLDED = {
    ("a", "a"): 1.0,
    ("b", "b"): 0.0,
    ("t", "t"): 0.5,
    ("a", "b"): 0.5,
    ("b", "a"): 0.5,
    ("a", "t"): 0.5,
    ("t", "a"): 0.5,
    ("b", "t"): 0.5,
    ("t", "b"): 0.5,
    ("A", "A"): 1.0,
    ("B", "B"): 0.0,
    ("T", "T"): 0.5,
    **{pair: None for pair in itertools.product("abtur", repeat=2) if "u" in pair or "r" in pair},
}


@pytest.mark.parametrize("pair", list(itertools.product("abtABTur", repeat=2)))
def test_fold_table(pair: tuple[str, str]) -> None:
    if pair in FOLDED:
        assert fold(*pair) == FOLDED[pair]
        return
    with pytest.raises(InputError, match="both orders alike or neither"):
        fold(*pair)


@pytest.mark.parametrize("char", ["", "x", "ab", "1", " "])
def test_fold_refuses_unknown_characters(char: str) -> None:
    with pytest.raises(InputError, match="is no outcome of a match"):
        fold(char, "a")
    with pytest.raises(InputError, match="is no outcome of a match"):
        fold("a", char)


class Told(JudgeClient):
    """Replies by document and by which competitor stands first; keeps what it was asked."""

    name = "told"

    def __init__(self, replies: Mapping[tuple[str, str], Completion], delay: bool = False) -> None:
        self.replies = replies
        self.asked: list[tuple[Question, Mapping[str, Any], int]] = []
        self.prepared: list[tuple[str, list[str], list[int]]] = []
        self.delay = delay
        self.under_way = self.most_under_way = 0

    def prepare(self, corpus: Corpus, options: Sequence[Option], rows: Sequence[int]) -> None:
        self.prepared.append((corpus.name, [option.name for option in options], list(rows)))

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        self.asked.append((question, params, replicate))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        doc_id = question.context["doc_id"]
        if self.delay:
            # Later documents are answered first.
            await asyncio.sleep(0.02 * (4 - int(doc_id[1:])))
        self.under_way -= 1
        return self.replies[doc_id, question.options[0].name]


class ToldModel(Told):
    is_llm = True


class ToldOnce(Told):
    order_free = True


def _says(verdict: str, **usage: int) -> Completion:
    return Completion(f"VERDICT: {verdict}", usage, "told-1")


@pytest.fixture
def models(make_result: MakeResult) -> tuple[TopicResult, TopicResult]:
    """Two models with mass and distinct topics everywhere."""
    theta = [[0.9, 0.1]] * 4
    return (
        make_result(theta, [["hockey", "game"], ["budget"]]),
        make_result(theta, [["sport", "team"], ["senate"]]),
    )


def _play(
    client: JudgeClient,
    corpus: Corpus,
    models: tuple[TopicResult, TopicResult],
    rows: Sequence[int] = (0, 1, 2, 3),
    **more: Any,
) -> MatchOutcome:
    return judged(client, pair_of(corpus, models, rows), CARD, **more)


def pair_of(
    corpus: Corpus,
    models: tuple[TopicResult, TopicResult],
    rows: Sequence[int] = (0, 1, 2, 3),
    names: tuple[str, str] = ("first", "second"),
) -> Pair:
    a, b = (Player(name, result) for name, result in zip(names, models, strict=True))
    return Pair(corpus, rows, a, b)


REPLIES = {
    ("d0", "first"): _says("A", input=10, output=1),
    ("d0", "second"): _says("B", input=11, output=2),
    ("d1", "first"): _says("A", input=12),
    ("d1", "second"): _says("A", input=13),
    ("d2", "first"): _says("tie"),
    ("d2", "second"): Completion("hm", {}, "told-2"),
    ("d3", "first"): Completion("VERDICT: A", {}, "told-1", refused=True),
    ("d3", "second"): _says("tie"),
}


def test_outcomes_name_competitors_and_both_orders_are_asked(
    corpus: Corpus, models: tuple[TopicResult, TopicResult]
) -> None:
    client = Told(REPLIES)
    outcome = _play(client, corpus, models)
    assert outcome.forward == "aatr"
    assert outcome.backward == "abut"
    assert outcome.calls == 8
    assert outcome.usage == {"input": 46, "output": 3}
    assert outcome.revisions == ("told-1", "told-2")
    assert outcome.replies[2] == ("VERDICT: tie", "hm")
    orders = {
        (question.context["doc_id"], *(option.name for option in question.options))
        for question, _, _ in client.asked
    }
    assert orders == {
        (doc, *order)
        for doc in corpus.doc_ids
        for order in (("first", "second"), ("second", "first"))
    }
    question, params, replicate = client.asked[0]
    assert (question.kind, params, replicate) == ("match", {"temperature": 0}, 0)
    assert question.context["text"] == corpus.texts[0]
    assert question.messages == ()


def test_the_client_is_prepared_with_what_is_coming(
    corpus: Corpus, models: tuple[TopicResult, TopicResult]
) -> None:
    client = Told(REPLIES)
    _play(client, corpus, models, rows=(1, 2))
    assert client.prepared == [("toy", ["first", "first", "second", "second"], [1, 2])]


def test_only_the_given_rows_are_judged_in_their_order(
    corpus: Corpus, models: tuple[TopicResult, TopicResult]
) -> None:
    outcome = _play(Told(REPLIES), corpus, models, rows=(2, 0))
    assert (outcome.forward, outcome.backward, outcome.calls) == ("ta", "ua", 4)


def test_an_order_free_judge_is_asked_once(
    corpus: Corpus, models: tuple[TopicResult, TopicResult]
) -> None:
    outcome = _play(ToldOnce(REPLIES), corpus, models)
    assert outcome.forward == outcome.backward == "aatr"
    assert outcome.calls == 4
    assert outcome.usage == {"input": 22, "output": 1}
    assert outcome.replies[0] == ("VERDICT: A", None)


def test_chat_clients_get_messages_in_both_orders(
    corpus: Corpus, models: tuple[TopicResult, TopicResult]
) -> None:
    client = ToldModel(REPLIES)
    _play(client, corpus, models, rows=(0,))
    forward, backward = (question.messages[1]["content"] for question, _, _ in client.asked)
    assert corpus.texts[0] in forward
    assert forward.index("1. hockey, game") < forward.index("1. sport, team")
    assert backward.index("1. sport, team") < backward.index("1. hockey, game")


def test_results_do_not_depend_on_the_order_of_replies(
    corpus: Corpus, models: tuple[TopicResult, TopicResult]
) -> None:
    slow = Told(REPLIES, delay=True)
    assert _play(slow, corpus, models) == _play(Told(REPLIES), corpus, models)
    assert slow.most_under_way == 4


def test_concurrency_is_bounded(corpus: Corpus, models: tuple[TopicResult, TopicResult]) -> None:
    client = Told(REPLIES, delay=True)
    _play(client, corpus, models, concurrency=2)
    assert client.most_under_way == 2
    with pytest.raises(InputError, match="concurrency must be at least 1, not 0"):
        _play(client, corpus, models, concurrency=0)


def test_rules_decide_without_a_call(corpus: Corpus, make_result: MakeResult) -> None:
    a = make_result([[1, 0], [0, 0], [0, 0], [0.9, 0.1]], [["x", "y"], ["z"]])
    b = make_result([[0, 0], [0, 1], [0, 0], [0.8, 0.2]], [["x", "y"], ["other"]])
    client = Told({})
    outcome = _play(client, corpus, (a, b))
    # No topic loses to any and ties with none; the last document shows the same set twice.
    assert outcome.forward == outcome.backward == "ABTT"
    assert outcome.calls == 0
    assert client.asked == []
    assert outcome.replies == ((None, None),) * 4


def test_sets_are_identical_only_if_they_look_the_same(
    corpus: Corpus, make_result: MakeResult
) -> None:
    theta = [[0.6, 0.4]] * 4
    a = make_result(theta, [["x", "y"], ["z"]])
    replies = {(doc, name): _says("tie") for doc in corpus.doc_ids for name in ("first", "second")}
    for other in ([["z"], ["x", "y"]], [["y", "x"], ["z"]], [["x", "y"], ["z", "w"]]):
        assert _play(Told(replies), corpus, (a, make_result(theta, other))).forward == "tttt"
    assert _play(Told({}), corpus, (a, make_result(theta, [["x", "y"], ["z"]]))).forward == "TTTT"


class ReadsShares(Told):
    def sees(self, option: Option) -> object:
        return option.topics


def test_a_client_says_what_it_sees(corpus: Corpus, make_result: MakeResult) -> None:
    a = make_result([[0.6, 0.4]] * 4, [["x"], ["z"]])
    b = make_result([[0.55, 0.45]] * 4, [["x"], ["z"]])
    assert _play(Told({}), corpus, (a, b)).calls == 0
    assert _play(ReadsShares(REPLIES), corpus, (a, b)).calls == 8


class Broken(Told):
    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        if question.context["doc_id"] == "d2":
            raise ConnectionError("no route to host")
        return await super().answer(question, params, replicate)


@pytest.mark.parametrize("delay", [False, True])
def test_a_failing_client_is_named_with_pair_and_document(
    corpus: Corpus, models: tuple[TopicResult, TopicResult], delay: bool
) -> None:
    with pytest.raises(JudgeError) as caught:
        _play(Broken(REPLIES, delay), corpus, models)
    message = str(caught.value)
    for part in ("'told'", "'first' against 'second'", "'d2' of 'toy'", "no route to host"):
        assert part in message
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_it_plays_where_a_loop_is_running(
    corpus: Corpus, models: tuple[TopicResult, TopicResult]
) -> None:
    async def notebook() -> tuple[MatchOutcome, MatchOutcome]:
        outer = _play(Told(REPLIES), corpus, models)
        inner = await judge_pair(Asker(Told(REPLIES), CARD, None), pair_of(corpus, models))
        return outer, inner

    outer, inner = asyncio.run(notebook())
    assert outer == inner == _play(Told(REPLIES), corpus, models)


def test_wrong_input_is_named(corpus: Corpus, models: tuple[TopicResult, TopicResult]) -> None:
    a, b = models
    elsewhere = replace(a, corpus={"name": "lee", "revision": "0" * 32})
    with pytest.raises(InputError, match="'first' was fitted on corpus 'lee'"):
        _play(Told(REPLIES), corpus, (elsewhere, b))
    with pytest.raises(InputError, match="'x' cannot play against itself"):
        judged(Told(REPLIES), pair_of(corpus, models, [0], ("x", "x")), CARD)


def test_options_are_made_once_for_what_is_asked_in_a_row(
    models: tuple[TopicResult, TopicResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, made = JudgingSpec(), list[list[int]]()
    player = Player("first", models[0])

    def counted(result: TopicResult, rows: Sequence[int], name: str, **how: Any) -> list[Option]:
        made.append(list(rows))
        return document_options(result, rows, name, **how)

    monkeypatch.setattr("mtmbench.matches.match.document_options", counted)
    fewer = spec.model_copy(update={"top_items": 1})
    for rows, how in (([0, 1], spec), ([0, 1], spec), ([1], spec), ([1], fewer), ([0, 1], spec)):
        expected = document_options(models[0], rows, "first", spec=how, representation="items")
        assert player.options(rows, how, "items") == expected
    assert made == [[0, 1], [1], [1], [0, 1]]
