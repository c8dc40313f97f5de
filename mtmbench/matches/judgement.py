"""Two results before a judge, outside of any suite: the match, as a value that tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from mtmbench.core.cards import JudgeCard
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.figure_styles import STYLES, Style
from mtmbench.core.figures import Bar, BarPanel, bar_figure
from mtmbench.core.notebook import html_table
from mtmbench.core.specs import Representation
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.corpora.halves import halves_of
from mtmbench.features.words import why_no_words, word_counts
from mtmbench.judges.base import JudgeClient
from mtmbench.judges.panel import Panel
from mtmbench.judges.registry import JUDGES, load_judge_card
from mtmbench.matches.match import MatchOutcome, Pair, Player, fold, judge_pair
from mtmbench.matches.options import Projected
from mtmbench.matches.schedule import sample_documents
from mtmbench.metrics.projected import crossed_projection
from mtmbench.stats.intervals import Rate, clustered

if TYPE_CHECKING:
    import pandas as pd

    from mtmbench.core.notebook_figure import NotebookFigure

_UNDECIDED = Style("#999999", "", "")
_EVEN = 0.5
"""The mean score of two results that a judge finds equally good."""


@dataclass(frozen=True, repr=False)
class Judgement:
    """What a judge says of two results on the same documents.

    Attributes:
        judge: the judge's name.
        is_llm: whether a language model ruled; every other judge is a proxy.
        names: what the two results, a and b, are called.
        n_topics: how many topics each of them has.
        representation: what their topics were shown by.
        corpus: name of the corpus.
        doc_ids: the documents judged.
        outcome: the match: outcomes by document, calls, tokens and costs.
    """

    judge: str
    is_llm: bool
    names: tuple[str, str]
    n_topics: tuple[int, int]
    representation: Representation
    corpus: str
    doc_ids: tuple[str, ...]
    outcome: MatchOutcome

    @property
    def frame(self) -> pd.DataFrame:
        """One row a document, as drawn.

        ``doc_id``; ``forward`` and ``backward``, the outcome with a and with b shown first, by the
        letters of :mod:`mtmbench.matches.match`; ``score``, a's: 1, 0.5 or 0 of both orders
        together, NaN where one of them is no verdict.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "doc_id": self.doc_ids,
                "forward": list(self.outcome.forward),
                "backward": list(self.outcome.backward),
                "score": np.array(self._scores(), dtype=np.float64),
            }
        )

    @property
    def score(self) -> Rate:
        """A's mean score over the documents with a verdict, with its 95 % interval over these."""
        judged = {
            doc_id: score
            for doc_id, score in zip(self.doc_ids, self._scores(), strict=True)
            if score is not None
        }
        return clustered([*judged.values()], [*judged], reason="no document has a verdict")

    @property
    def winner(self) -> str | None:
        """Whose side of a half the whole interval lies on; None if it holds the half."""
        score = self.score
        if score.lo is None or score.hi is None or score.lo <= _EVEN <= score.hi:
            return None
        return self.names[0] if score.lo > _EVEN else self.names[1]

    def __repr__(self) -> str:
        a, b = self.names
        score, winner = self.score, self.winner
        judge = f"{'Judge' if self.is_llm else 'The proxy judge'} {self.judge!r}"
        if winner is None:
            said = f"{judge} prefers neither {a} nor {b} clearly"
        else:
            said = f"{judge} prefers {winner} to {b if winner == a else a}"
        told = f"{said} on {self._documents(len(self.doc_ids))} of {self.corpus}"
        if score.value is None:
            return f"{told}: {score.reason}."
        mean = f"mean score of {a} {score.value:.3f}"
        if score.lo is None or score.hi is None:
            return f"{told}: {mean}, {score.reason}."
        removed = len(self.doc_ids) - score.n
        without = f"; {self._documents(removed)} without a verdict" if removed else ""
        return f"{told}: {mean} (95 % interval {score.lo:.3f} to {score.hi:.3f}){without}."

    def _repr_html_(self) -> str:
        return html_table(("preferred", "documents"), self._counted(), repr(self))

    def plot(self) -> NotebookFigure:
        """Draws on how many documents which result was preferred; the title is the sentence."""
        counted = self._counted()
        (a, k_a), (b, k_b) = zip(self.names, self.n_topics, strict=True)
        return bar_figure(
            [who for who, _ in counted],
            [BarPanel("", [Bar(n, f"{n:,}") for _, n in counted])],
            title=repr(self),
            axis="documents",
            notes=[
                f"Topics shown by: {self.representation}. {a} has {k_a} topics, {b} {k_b}. Each "
                "document was judged in both orders; neither: a tie, or one each."
            ],
            styles=[*STYLES[:2], _UNDECIDED, _UNDECIDED],
        )

    def _counted(self) -> list[tuple[str, int]]:
        """Returns who was preferred, and on how many documents."""
        scores = self._scores()
        return [
            (f"{self.names[0]} in both orders", scores.count(1.0)),
            (f"{self.names[1]} in both orders", scores.count(0.0)),
            ("neither", scores.count(_EVEN)),
            ("no verdict", scores.count(None)),
        ]

    def _scores(self) -> list[float | None]:
        orders = zip(self.outcome.forward, self.outcome.backward, strict=True)
        return [fold(*both) for both in orders]

    @staticmethod
    def _documents(n: int) -> str:
        return f"{n:,} document{'s' * (n != 1)}"


def judge(
    a: TopicResult,
    b: TopicResult,
    corpus: Corpus,
    judge: str | Path | JudgeClient = "embedding",
    *,
    documents: int = 100,
    seed: int = 0,
    representation: Representation = "items",
    names: tuple[str, str] | None = None,
    answers: str | Path | None = None,
    budget: float | None = None,
) -> Judgement:
    """Has a judge compare the topics of two results on documents of their corpus.

    Each document is shown with the top topics that either result gives it, once with a's first and
    once with b's. The match is that of a suite: the same results on the same documents have the
    same outcome on a board.

    Args:
        a: one result.
        b: the other.
        corpus: the corpus that both were fitted on.
        judge: a judge card by name or path; or a judge, which is closed afterwards.
        documents: how many documents are drawn; all of the corpus if it has fewer.
        seed: of the draw.
        representation: what topics are shown by: "items"; "projected", the words that their
            documents use; or "summary" where both results have summaries.
        names: what the results are called; their models by default. A judge is not shown it.
        answers: the file in which the answers of a language model are kept, made if it is not
            there: the same call again asks nothing twice. None keeps nothing.
        budget: what a language model's answers may cost, those in ``answers`` among them.

    Raises:
        InputError: a result is of another corpus or has no summaries to show, there are not two
            different names, ``documents`` is below 1, or ``answers`` or ``budget`` are given for a
            judge without a card.
        UnknownNameError: there is no such judge or representation.
        JudgeError: the judge failed, or the budget is used up; what was answered before is kept.
    """
    if representation not in get_args(Representation):
        raise UnknownNameError("representation", str(representation), get_args(Representation))
    client = judge if isinstance(judge, JudgeClient) else None
    if client is None:
        name = str(judge)
        card = load_judge_card(name)
    elif answers is None and budget is None:
        name = client.name
        card = JudgeCard(client=name)
    else:
        raise InputError(
            f"answers are kept, and paid for, by the card of a judge, and {client.name!r} was "
            "given without one; give the name or path of a card, or leave answers and budget out"
        )
    for result in (a, b):
        result.check_corpus(corpus)
    called = _names(a, b) if names is None else tuple(names)
    if len(called) != 2:
        raise InputError(f"names are those of the two results, not {names!r}")
    reads_words = (client or JUDGES.get(card.client)).reads_words
    words = word_counts(corpus) if reads_words or why_no_words(corpus) is None else None
    halves = halves_of(corpus)
    left, right = (
        Player(
            who,
            result,
            None
            if words is None
            else Projected(halves, crossed_projection(result.doc_topic, words, halves)),
        )
        for who, result in zip(called, (a, b), strict=True)
    )
    rows = sample_documents(corpus, documents, seed)
    pair = Pair(corpus, rows, left, right, representation=representation)
    with Panel(None if answers is None else Path(answers), budget=budget) as panel:
        asker = panel.seat(name, card, client)
        outcome = panel.run(judge_pair(asker, pair))
    return Judgement(
        judge=name,
        is_llm=asker.client.is_llm,
        names=called,
        n_topics=(a.n_topics, b.n_topics),
        representation=representation,
        corpus=corpus.name,
        doc_ids=tuple(corpus.doc_ids[row] for row in pair.rows),
        outcome=outcome,
    )


def _names(a: TopicResult, b: TopicResult) -> tuple[str, str]:
    return (a.model, b.model) if a.model != b.model else (f"{a.model} (a)", f"{b.model} (b)")
