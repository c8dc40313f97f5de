"""How far the judges of a board agree: on single comparisons, and in the boards they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mtmbench.boards.cells import BoardRecords
from mtmbench.boards.columns import MatchColumns
from mtmbench.boards.leagues import RatedLeague
from mtmbench.boards.rows.agreement import (
    AgreementNumbers,
    AgreementPlace,
    AgreementRow,
    DocumentGap,
    PairGap,
)
from mtmbench.core.competitors import Competitor, k_order
from mtmbench.core.serialise import rounded, seed_from
from mtmbench.core.types import BoolArray, Float64Array, IntArray
from mtmbench.stats.agreement import MISSING, cohen_kappa, krippendorff_alpha
from mtmbench.stats.intervals import numbered

_SHOWN = 5
"""Pairs of models, and documents, on which judges differ most that a board names."""

_Where = tuple[str, int | str, str]
"""Corpus, K and representation of a league."""


@dataclass(frozen=True)
class _Items:
    """What a judge said of each document and pair of models of a league.

    Attributes:
        place: (N,) the document, by number.
        low: (N,) the pair's first model in order, by number.
        high: (N,) the other.
        key: (N,) the number of all three; sorted, as (corpus, document, low, high) are.
        score: (N,) the folded score of ``low``.
    """

    place: IntArray
    low: IntArray
    high: IntArray
    key: IntArray
    score: Float64Array

    @classmethod
    def of(cls, columns: MatchColumns, matches: IntArray) -> _Items:
        """Returns what some of the matches say; the later of two that speak of one item counts."""
        n = len(columns.players)
        rows = columns.rows_of(matches)
        rows = rows[~np.isnan(columns.score[rows])]
        match = columns.match[rows]
        a, b = columns.a[match], columns.b[match]
        low, high = np.minimum(a, b), np.maximum(a, b)
        key = (columns.place[rows] * n + low) * n + high
        key, last = np.unique(key[::-1], return_index=True)
        rows, low, high, a = (side[::-1][last] for side in (rows, low, high, a))
        score = np.where(a == low, columns.score[rows], 1 - columns.score[rows])
        return cls(columns.place[rows], low, high, key, score)

    def over(self, key: IntArray) -> _Items:
        """Returns some of the items, by their keys."""
        at = np.searchsorted(self.key, key)
        return _Items(self.place[at], self.low[at], self.high[at], key, self.score[at])


@dataclass(frozen=True)
class _Coded:
    """The items of several judges together.

    Attributes:
        key: (N,) every item that one of them spoke of, sorted.
        codes: (N, judges) the category that each gave it.
        place: (N,) its document.
        corpus: (N,) its corpus.
    """

    key: IntArray
    codes: IntArray
    place: IntArray
    corpus: IntArray

    @classmethod
    def of(
        cls, columns: MatchColumns, judges: Sequence[str], items: Mapping[str, _Items]
    ) -> _Coded:
        """Codes the outcomes of some judges."""
        said = [items[judge] for judge in judges]
        key, row = numbered(np.concatenate([each.key for each in said]))
        codes = np.full((len(key), len(said)), MISSING, dtype=np.int64)
        begin = 0
        for column, each in enumerate(said):
            codes[row[begin : begin + len(each.key)], column] = 2 * each.score
            begin += len(each.key)
        place = key // len(columns.players) ** 2
        return cls(key, codes, place, columns.corpus_of_place[place])


def agreement_rows(
    board: BoardRecords, leagues: Sequence[RatedLeague], confidence: float
) -> list[AgreementRow]:
    """Returns a row per league and pair of judges, and one of all judges where there are more.

    Categories are the folded outcomes of a document: a win of either model, or a tie. ``opposed``
    is the share of items on which two judges name opposite winners; ``pairs`` and ``documents``
    are those where they differ most. Kendall's tau-b and Spearman's rho are of their Elo.
    """
    columns = board.columns
    matches = {
        (league.key.judge, league.key.corpus, league.key.k_spec, league.key.representation): (
            league.matches
        )
        for league in leagues
    }
    elo = {
        (league.key.judge, league.key.corpus, league.key.k_spec, league.key.representation): {
            Competitor.of(row): row["elo"] for row in league.rows if row["elo"] is not None
        }
        for league in leagues
    }
    ks = {
        (league.key.corpus, league.key.k_spec, league.key.representation): league.k
        for league in leagues
    }
    rows: list[AgreementRow] = []
    for where in sorted(ks, key=lambda where: (where[0], *k_order(where[1]), where[2])):
        judges = sorted(judge for judge, *league in elo if tuple(league) == where)
        corpus, k_spec, representation = where
        place: AgreementPlace = {
            "corpus": corpus, "k": ks[where], "k_spec": k_spec, "representation": representation,
        }  # fmt: skip
        if len(judges) < 2:
            continue
        items = {judge: _Items.of(columns, matches[judge, *where]) for judge in judges}
        for pair in combinations(judges, 2):
            boards = [elo[judge, corpus, k_spec, representation] for judge in pair]
            found = _pair(columns, pair, items, boards, confidence)
            rows.append({"judges": list(pair), **place, **found})
        if len(judges) > 2:
            rows.append(
                {
                    "judges": judges,
                    **place,
                    **_together(_Coded.of(columns, judges, items), judges, items, confidence),
                }
            )
    return rows


def _pair(
    columns: MatchColumns,
    pair: tuple[str, str],
    items: Mapping[str, _Items],
    boards: Sequence[Mapping[Competitor, float]],
    confidence: float,
) -> AgreementNumbers:
    coded = _Coded.of(columns, pair, items)
    together = _together(coded, pair, items, confidence)
    common = coded.key[(coded.codes != MISSING).all(axis=1)]
    first, second = (items[judge].over(common) for judge in pair)
    kappa = cohen_kappa(
        coded.codes, coded.place, coded.corpus, seed=_seed(pair, items), confidence=confidence
    )
    opposed = np.abs(first.score - second.score) == 1
    n_models, tau, rho = _rank_correlation(boards)
    return {
        **together,
        "kappa": rounded(kappa.value, 4),
        "kappa_lo": rounded(kappa.lo, 4),
        "kappa_hi": rounded(kappa.hi, 4),
        "kappa_reason": kappa.reason,
        "opposed": rounded(opposed.sum() / len(common), 4) if len(common) else None,
        "n_models": n_models,
        "kendall_tau": rounded(tau, 4),
        "spearman": rounded(rho, 4),
        "pairs": _pairs_apart(columns, first, second),
        "documents": _documents_apart(columns, first, opposed),
    }


def _together(
    coded: _Coded,
    judges: Sequence[str],
    items: Mapping[str, _Items],
    confidence: float,
) -> AgreementNumbers:
    alpha = krippendorff_alpha(
        coded.codes, coded.place, coded.corpus, seed=_seed(judges, items), confidence=confidence
    )
    return {
        "n_items": alpha.n,
        "n_documents": len(numbered(coded.place)[0]),
        "alpha": rounded(alpha.value, 4),
        "alpha_lo": rounded(alpha.lo, 4),
        "alpha_hi": rounded(alpha.hi, 4),
        "alpha_reason": alpha.reason,
    }


def _rank_correlation(
    boards: Sequence[Mapping[Competitor, float]],
) -> tuple[int, float | None, float | None]:
    """Returns how many models two boards rate, and Kendall's and Spearman's correlation of Elo."""
    from scipy.stats import kendalltau, spearmanr

    common = sorted(set(boards[0]) & set(boards[1]))
    columns = [[board[who] for who in common] for board in boards]
    if len(common) < 2 or any(len(set(column)) < 2 for column in columns):
        return len(common), None, None
    tau, rho = kendalltau(*columns).statistic, spearmanr(*columns).statistic
    return len(common), float(tau), float(rho)


def _pairs_apart(columns: MatchColumns, first: _Items, second: _Items) -> list[PairGap]:
    """Returns the pairs of models whose mean scores differ most between two judges."""
    n = len(columns.players)
    pairs, of = numbered(first.low * n + first.high)
    means = np.bincount(of, first.score - second.score) / np.bincount(of)
    widest = np.lexsort((pairs, -np.abs(means)))[:_SHOWN]
    return [
        {
            "a": columns.players[pairs[i] // n].identity(),
            "b": columns.players[pairs[i] % n].identity(),
            "difference": rounded(means[i], 4),
        }
        for i in widest
        if means[i]
    ]


def _documents_apart(columns: MatchColumns, items: _Items, opposed: BoolArray) -> list[DocumentGap]:
    """Returns the documents on which two judges name opposite winners most often."""
    places, of = numbered(items.place)
    together, apart = np.bincount(of), np.bincount(of, opposed)
    most = np.lexsort((places, -apart))[:_SHOWN]
    return [
        {
            "corpus": columns.places[places[i]][0],
            "document": columns.places[places[i]][1],
            "opposed": int(apart[i]),
            "n": int(together[i]),
        }
        for i in most
        if apart[i]
    ]


def _seed(judges: Sequence[str], items: Mapping[str, _Items]) -> int:
    return seed_from("agreement", list(judges), [len(items[judge].key) for judge in judges])
