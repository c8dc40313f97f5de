"""Controls: matches whose right answer is known, played beside those of a board.

============  ====================================================================================
refit         a model against its own fit under another seed: what another seed alone would move
other_topic   a model against its own θ rows taken from documents with another top topic: a judge
              that cannot tell a document's topics from those of another rates nothing
repeat        a pair asked a second time, as a new replicate: how far the judge agrees with itself
============  ====================================================================================

A self-match would prove nothing: it folds to 50 % however biased the judge is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from mtmbench.core.cells import ControlCell, FitCell, MatchCell
from mtmbench.core.errors import InputError
from mtmbench.core.match_payloads import Control
from mtmbench.core.serialise import seed_from
from mtmbench.core.specs import JudgingSpec
from mtmbench.core.topic_result import TopicResult
from mtmbench.matches.league import LeaguePlan
from mtmbench.matches.schedule import sample_documents

LEAST_SCORE = 0.60
"""The lower bound of the true topics' folded score must exceed this, else a judge is unreliable."""


def control_cells(league: LeaguePlan, fits: Sequence[FitCell]) -> Iterator[ControlCell]:
    """Yields the controls of a league, on the first ``null_documents`` of its nested samples.

    Args:
        league: the league.
        fits: every fit of the suite, for those under another seed.
    """
    spec = league.spec
    n = min(spec.documents, spec.null_documents)
    rows = sample_documents(league.corpus, n, spec.seed, league.among)
    order_free = league.identity["order_free"]
    for control, a, b in control_pairs(league.players, fits, order_free=order_free):
        match = league.match(rows, a, b, "null", control)
        yield ControlCell(**vars(match), control=control)


def control_pairs(
    players: Sequence[FitCell], fits: Sequence[FitCell], *, order_free: bool
) -> Iterator[tuple[Control, FitCell, FitCell]]:
    """Yields the controls of one league: what is controlled, and the fits of both sides.

    A model that is fitted under one seed only has no refit. An order-free judge is not asked
    again: its verdict is a function of the question.

    Args:
        players: the fits that play in the league.
        fits: every fit of the suite.
        order_free: whether the judge's verdict cannot depend on the order.
    """
    for player in players:
        again = [
            fit
            for fit in fits
            if (fit.corpus, fit.k_spec, fit.competitor)
            == (player.corpus, player.k_spec, player.competitor)
            and fit.seed != player.seed
        ]
        if again:
            yield "refit", player, again[0]
        yield "other_topic", player, player
    if not order_free:
        for a, b in pairwise(players):
            yield "repeat", a, b


def refits_of(
    spec: JudgingSpec | None, players: Sequence[FitCell], fits: Sequence[FitCell]
) -> list[FitCell]:
    """Returns the fits under another seed that controls put beside ``players``."""
    if spec is None or not spec.nulls:
        return []
    pairs = control_pairs(players, fits, order_free=True)
    return [again for control, _, again in pairs if control == "refit"]


def opponent(cell: MatchCell, b: TopicResult) -> TopicResult:
    """Returns side b of a match or control, given the result of the cell's second fit.

    Raises:
        InputError: every document has the same top topic.
    """
    if isinstance(cell, ControlCell) and cell.control == "other_topic":
        fit = cell.b
        drawn = seed_from(
            "other topic", fit.corpus_revision, fit.model, fit.setting, fit.k_spec, fit.seed
        )
        return with_other_topics(b, cell.rows, drawn)
    return b


def with_other_topics(result: TopicResult, rows: Sequence[int], seed: int) -> TopicResult:
    """Returns a result whose θ at ``rows`` comes from documents with another top topic.

    Each row is drawn uniformly from those documents. A document without mass keeps its row, so
    that both sides are alike there and a rule decides.

    Raises:
        InputError: every document has the same top topic, so there is none to draw from.
    """
    theta = result.doc_topic
    top = np.where(theta.sum(axis=1) > 0, theta.argmax(axis=1), -1)
    kinds = np.unique(top[top >= 0])
    if len(kinds) < 2:
        raise InputError("no document has another top topic")
    others = {kind: np.flatnonzero((top >= 0) & (top != kind)) for kind in kinds}
    # RandomState's stream is frozen by numpy's policy (NEP 19): a record must come out the same.
    random = np.random.RandomState(seed)
    drawn = theta.copy()
    for row in rows:
        if top[row] >= 0:
            pool = others[top[row]]
            drawn[row] = theta[pool[random.randint(len(pool))]]
    return replace(result, doc_topic=drawn)
