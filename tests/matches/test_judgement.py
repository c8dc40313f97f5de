"""Two results before a judge in one call: the verdicts, their mean, the sentence and the table."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from support.figures import bars_of, names_of, notes_of, spilt, title_of
from support.judged import MakeResult, judged
from support.tables import shown_tables

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.corpora.halves import halves_of
from mtmbench.features.words import word_counts
from mtmbench.judges.base import Completion, JudgeClient, JudgeError, Question
from mtmbench.judges.registry import register_judge
from mtmbench.matches.judgement import Judgement, judge
from mtmbench.matches.match import Pair, Player
from mtmbench.matches.options import Projected
from mtmbench.matches.schedule import sample_documents
from mtmbench.metrics.projected import crossed_projection


class Scripted(JudgeClient):
    """Replies by document and by who is shown first; keeps its questions, counts its closings."""

    name = "by-hand"

    def __init__(self, outcomes: Mapping[str, str]) -> None:
        self.outcomes = outcomes
        self.asked: list[Question] = []
        self.closed = 0

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        self.asked.append(question)
        order = 0 if question.options[0].name == "one" else 1
        char = self.outcomes[question.context["doc_id"]][order]
        if char in "ur":
            return Completion("hm", refused=char == "r")
        first = "ab"[order]
        return Completion("VERDICT: " + ("tie" if char == "t" else "A" if char == first else "B"))

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
def corpus() -> Corpus:
    """Ten documents, every word in two of them or more; half of the words in no more than half."""
    texts = tuple(f"game team number{i % 5} budget{i % 2} senate{i % 3}" for i in range(10))
    return Corpus("toy", tuple(f"d{i}" for i in range(10)), texts)


@pytest.fixture
def models(corpus: Corpus, make_result: MakeResult) -> tuple[TopicResult, TopicResult]:
    theta = [[0.9, 0.1]] * 10
    return (
        make_result(theta, [["hockey", "game"], ["budget"]], of=corpus),
        make_result(theta, [["sport", "team"], ["senate"]], of=corpus),
    )


def played(
    corpus: Corpus, models: tuple[TopicResult, TopicResult], outcomes: Sequence[str], **more: Any
) -> Judgement:
    client = Scripted(dict(zip(corpus.doc_ids, outcomes, strict=True)))
    return judge(*models, corpus, client, names=("one", "two"), **more)


OUTCOMES = ("aa", "aa", "aa", "aa", "aa", "aa", "aa", "ab", "bb", "ua")


def test_the_match_is_that_of_the_parts(
    corpus: Corpus, models: tuple[TopicResult, TopicResult]
) -> None:
    by_doc = dict(zip(corpus.doc_ids, OUTCOMES, strict=True))
    client, other = Scripted(by_doc), Scripted(by_doc)
    found = judge(*models, corpus, client, documents=7, seed=3, names=("one", "two"))
    rows = sample_documents(corpus, 7, 3)
    words, halves = word_counts(corpus), halves_of(corpus)
    a, b = (
        Player(name, result, Projected(halves, crossed_projection(result.doc_topic, words, halves)))
        for name, result in zip(("one", "two"), models, strict=True)
    )
    assert found.outcome == judged(other, Pair(corpus, rows, a, b))
    assert client.asked == other.asked
    assert any(topic.words for option in client.asked[0].options for topic in option.topics)
    assert found.doc_ids == tuple(f"d{row}" for row in rows)
    assert (found.judge, found.corpus, found.is_llm) == ("by-hand", "toy", False)
    assert client.closed == 1


def test_the_frame_has_both_orders_and_their_score(
    corpus: Corpus, models: tuple[TopicResult, TopicResult]
) -> None:
    frame = played(corpus, models, OUTCOMES).frame
    assert list(frame.columns) == ["doc_id", "forward", "backward", "score"]
    assert list(frame["doc_id"]) == list(corpus.doc_ids)
    assert [f + b for f, b in zip(frame["forward"], frame["backward"], strict=True)] == [*OUTCOMES]
    np.testing.assert_array_equal(frame["score"], [1, 1, 1, 1, 1, 1, 1, 0.5, 0, np.nan])


def test_the_score_is_the_mean_with_its_t_interval(
    corpus: Corpus, models: tuple[TopicResult, TopicResult]
) -> None:
    found = played(corpus, models, OUTCOMES)
    scores = found.frame["score"].dropna().to_numpy()
    low, high = stats.t.interval(
        0.95, len(scores) - 1, loc=scores.mean(), scale=scores.std(ddof=1) / math.sqrt(len(scores))
    )
    assert found.score.value == pytest.approx(7.5 / 9)
    assert found.score.lo == pytest.approx(low)
    assert high > 1
    assert found.score.hi == 1
    assert found.score.n == 9
    assert found.winner == "one"


def test_who_wins_depends_on_the_interval_alone(
    corpus: Corpus, models: tuple[TopicResult, TopicResult]
) -> None:
    flipped = [text.translate(str.maketrans("ab", "ba")) for text in OUTCOMES]
    assert played(corpus, models, flipped).winner == "two"
    even = played(corpus, models, ["aa", "bb"] * 5)
    assert even.score.value == 0.5
    assert even.winner is None
    assert played(corpus, models, ["aa"] * 5 + ["bb"] + ["tt"] * 4).winner is None


@pytest.mark.parametrize(
    ("outcomes", "sentence"),
    [
        (
            OUTCOMES,
            "The proxy judge 'by-hand' prefers one to two on 10 documents of toy: mean score of "
            "one 0.833 (95 % interval 0.562 to 1.000); 1 document without a verdict.",
        ),
        (
            ["bb"] * 9 + ["tt"],
            "The proxy judge 'by-hand' prefers two to one on 10 documents of toy: mean score of "
            "one 0.050 (95 % interval 0.000 to 0.163).",
        ),
        (
            ["aa", "bb"] * 5,
            "The proxy judge 'by-hand' prefers neither one nor two clearly on 10 documents of toy: "
            "mean score of one 0.500 (95 % interval 0.123 to 0.877).",
        ),
        (
            ["ur"] * 10,
            "The proxy judge 'by-hand' prefers neither one nor two clearly on 10 documents of toy: "
            "no document has a verdict.",
        ),
    ],
)
def test_it_is_said_in_one_sentence(
    corpus: Corpus,
    models: tuple[TopicResult, TopicResult],
    outcomes: Sequence[str],
    sentence: str,
) -> None:
    assert repr(played(corpus, models, outcomes)) == sentence


def test_a_notebook_counts_who_was_preferred_escaped(
    corpus: Corpus, models: tuple[TopicResult, TopicResult]
) -> None:
    client = Scripted(dict(zip(corpus.doc_ids, OUTCOMES, strict=True)))
    client.outcomes = dict.fromkeys(corpus.doc_ids, "tt")
    names = ("<script>a()</script>", "b & c")
    (table,) = shown_tables(judge(*models, corpus, client, names=names)._repr_html_())
    assert table.rows == [
        ["preferred", "documents"], ["<script>a()</script> in both orders", "0"],
        ["b & c in both orders", "0"], ["neither", "10"], ["no verdict", "0"],
    ]  # fmt: skip
    assert "neither <script>a()</script> nor b & c clearly" in table.caption
    (counted,) = shown_tables(played(corpus, models, OUTCOMES)._repr_html_())
    assert [row[1] for row in counted.rows[1:]] == ["7", "1", "1", "1"]


def test_the_figure_counts_what_the_table_counts(
    corpus: Corpus, models: tuple[TopicResult, TopicResult]
) -> None:
    found = played(corpus, models, OUTCOMES)
    figure = found.plot()
    names = names_of(figure)
    assert names == ["one in both orders", "two in both orders", "neither", "no verdict"]
    assert list(bars_of(figure.axes[0], names).values()) == [7, 1, 1, 1]
    assert title_of(figure) == repr(found)
    assert "Topics shown by: items. one has 2 topics, two 2." in notes_of(figure)
    assert spilt(figure) == []


def test_results_are_called_by_their_models(
    corpus: Corpus, models: tuple[TopicResult, TopicResult]
) -> None:
    assert judge(*models, corpus, "lexical").names == ("hand (a)", "hand (b)")


def test_it_works_where_a_loop_is_running_as_in_a_notebook(
    corpus: Corpus, models: tuple[TopicResult, TopicResult]
) -> None:
    async def cell() -> Judgement:
        return played(corpus, models, OUTCOMES)

    assert asyncio.run(cell()) == played(corpus, models, OUTCOMES)


def test_cards_by_name_and_by_path(
    corpus: Corpus, models: tuple[TopicResult, TopicResult], tmp_path: Path
) -> None:
    card = tmp_path / "mine.toml"
    card.write_text('client = "scripted"\n[params]\nothers = 0.0\nstrengths = { one = 9.0 }\n')
    found = judge(*models, corpus, card, names=("one", "two"))
    assert (found.outcome.forward, found.winner) == ("a" * 10, "one")
    assert found.judge == str(card)
    assert judge(*models, corpus, "scripted", names=("one", "two")).outcome.calls == 20


class Paid(JudgeClient):
    """A language model that always answers A; counts what all of its kind were asked."""

    name = "paid-by-hand"
    is_llm = True
    asked = 0

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        Paid.asked += 1
        return Completion("VERDICT: A", {"input": 1000, "output": 10})


def test_answers_are_kept_and_a_budget_holds(
    corpus: Corpus, models: tuple[TopicResult, TopicResult], tmp_path: Path
) -> None:
    register_judge("paid-by-hand", Paid)
    card = tmp_path / "paid.toml"
    card.write_text(
        'client = "paid-by-hand"\n[decoding]\nmax_tokens = 10\n'
        "[prices]\ninput = 1000.0\noutput = 1000.0\n"
    )
    answers = tmp_path / "answers.sqlite"
    first = judge(*models, corpus, card, answers=answers)
    assert (Paid.asked, first.is_llm, first.outcome.cost) == (20, True, pytest.approx(20 * 1.01))
    assert repr(first).startswith(f"Judge '{card}' prefers neither")
    again = judge(*models, corpus, str(card), answers=str(answers), budget=20.3)
    assert (Paid.asked, again.outcome) == (20, first.outcome)
    with pytest.raises(JudgeError, match="is used up"):
        judge(*models, corpus, card, documents=9, budget=3.0)
    assert 20 < Paid.asked < 24


def test_what_is_wrong_is_named(
    corpus: Corpus, models: tuple[TopicResult, TopicResult], tmp_path: Path
) -> None:
    other = Corpus("other", ("x",), ("game team",))
    with pytest.raises(InputError, match=r"fitted on corpus 'toy' of revision .* not on 'other'"):
        judge(*models, other, "lexical")
    with pytest.raises(InputError, match="documents to judge must be at least 1, not 0"):
        judge(*models, corpus, "lexical", documents=0)
    with pytest.raises(InputError, match="'x' cannot play against itself"):
        judge(*models, corpus, "lexical", names=("x", "x"))
    with pytest.raises(InputError, match=r"names are those of the two results, not \('x',\)"):
        judge(*models, corpus, "lexical", names=("x",))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="has no topic summaries to show"):
        judge(*models, corpus, "lexical", representation="summary")
    with pytest.raises(UnknownNameError, match="representation 'sumary'; did you mean 'summary'"):
        judge(*models, corpus, "lexical", representation="sumary")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="judge 'lexicl'; did you mean 'lexical'"):
        judge(*models, corpus, "lexicl")
    with pytest.raises(InputError, match="'by-hand' was given without one"):
        judge(*models, corpus, Scripted({}), answers=tmp_path / "answers.sqlite")
    with pytest.raises(InputError, match="leave answers and budget out"):
        judge(*models, corpus, Scripted({}), budget=1.0)
