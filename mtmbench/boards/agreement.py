"""How far the judges of a board agree: on single comparisons, and in the boards they make."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mtmbench.boards.cells import ALL, BoardRecords
from mtmbench.boards.leagues import RatedLeague
from mtmbench.boards.rows import (
    AgreementNumbers,
    AgreementPlace,
    AgreementRow,
    DocumentGap,
    PairGap,
)
from mtmbench.core.cells import Competitor, k_order
from mtmbench.core.serialise import rounded, seed_from
from mtmbench.matches.match import fold
from mtmbench.stats.agreement import MISSING, cohen_kappa, krippendorff_alpha

_SHOWN = 5
"""Pairs of models, and documents, on which judges differ most that a board names."""

_Where = tuple[str, int | str, str]
_Item = tuple[str, str, Competitor, Competitor]
"""Corpus, document, and the two competitors in order."""


def agreement_rows(
    board: BoardRecords, leagues: Sequence[RatedLeague], confidence: float
) -> list[AgreementRow]:
    """Returns a row per league and pair of judges, and one of all judges where there are more.

    Categories are the folded outcomes of a document: a win of either model, or a tie. ``opposed``
    is the share of items on which two judges name opposite winners; ``pairs`` and ``documents``
    are those where they differ most. Kendall's tau-b and Spearman's rho are of their Elo.
    """
    verdicts = _verdicts(board)
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
        items = {judge: _items(verdicts, judge, where) for judge in judges}
        for pair in combinations(judges, 2):
            boards = [elo[judge, corpus, k_spec, representation] for judge in pair]
            rows.append({"judges": list(pair), **place, **_pair(pair, items, boards, confidence)})
        if len(judges) > 2:
            rows.append({"judges": judges, **place, **_together(judges, items, confidence)})
    return rows


def _pair(
    pair: tuple[str, str],
    items: Mapping[str, Mapping[_Item, float]],
    boards: Sequence[Mapping[Competitor, float]],
    confidence: float,
) -> AgreementNumbers:
    together = _together(pair, items, confidence)
    first, second = (items[judge] for judge in pair)
    both = sorted(set(first) & set(second))
    codes, documents, corpora = _columns(pair, items)
    kappa = cohen_kappa(codes, documents, corpora, seed=_seed(pair, items), confidence=confidence)
    opposed = {item: float(abs(first[item] - second[item]) == 1) for item in both}
    n_models, tau, rho = _rank_correlation(boards)
    return {
        **together,
        "kappa": rounded(kappa.value, 4),
        "kappa_lo": rounded(kappa.lo, 4),
        "kappa_hi": rounded(kappa.hi, 4),
        "kappa_reason": kappa.reason,
        "opposed": rounded(sum(opposed.values()) / len(both), 4) if both else None,
        "n_models": n_models,
        "kendall_tau": rounded(tau, 4),
        "spearman": rounded(rho, 4),
        "pairs": _pairs_apart(both, first, second),
        "documents": _documents_apart(opposed),
    }


def _together(
    judges: Sequence[str], items: Mapping[str, Mapping[_Item, float]], confidence: float
) -> AgreementNumbers:
    codes, documents, corpora = _columns(judges, items)
    alpha = krippendorff_alpha(
        codes, documents, corpora, seed=_seed(judges, items), confidence=confidence
    )
    return {
        "n_items": alpha.n,
        "n_documents": len(set(zip(corpora, documents, strict=True))),
        "alpha": rounded(alpha.value, 4),
        "alpha_lo": rounded(alpha.lo, 4),
        "alpha_hi": rounded(alpha.hi, 4),
        "alpha_reason": alpha.reason,
    }


def _columns(
    judges: Sequence[str], items: Mapping[str, Mapping[_Item, float]]
) -> tuple[NDArray[np.int64], list[str], list[str]]:
    listed = sorted(set().union(*(items[judge] for judge in judges)))
    codes = np.full((len(listed), len(judges)), MISSING, dtype=np.int64)
    for column, judge in enumerate(judges):
        for row, item in enumerate(listed):
            if item in items[judge]:
                codes[row, column] = int(2 * items[judge][item])
    return codes, [item[1] for item in listed], [item[0] for item in listed]


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


def _pairs_apart(
    both: Sequence[_Item], first: Mapping[_Item, float], second: Mapping[_Item, float]
) -> list[PairGap]:
    """Returns the pairs of models whose mean scores differ most between two judges."""
    gaps: dict[tuple[Competitor, Competitor], list[float]] = defaultdict(list)
    for item in both:
        gaps[item[2], item[3]].append(first[item] - second[item])
    means = {pair: sum(values) / len(values) for pair, values in gaps.items()}
    widest = sorted(means, key=lambda pair: (-abs(means[pair]), pair))[:_SHOWN]
    return [
        {"a": a.identity(), "b": b.identity(), "difference": rounded(means[a, b], 4)}
        for a, b in widest
        if means[a, b]
    ]


def _documents_apart(opposed: Mapping[_Item, float]) -> list[DocumentGap]:
    """Returns the documents on which two judges name opposite winners most often."""
    by_document: dict[tuple[str, str], list[float]] = defaultdict(list)
    for (corpus, document, *_), value in opposed.items():
        by_document[corpus, document].append(value)
    most = sorted(by_document, key=lambda place: (-sum(by_document[place]), place))[:_SHOWN]
    return [
        {
            "corpus": corpus,
            "document": document,
            "opposed": int(sum(by_document[corpus, document])),
            "n": len(by_document[corpus, document]),
        }
        for corpus, document in most
        if sum(by_document[corpus, document])
    ]


def _verdicts(board: BoardRecords) -> dict[tuple[str, str, int | str, str], dict[_Item, float]]:
    """Returns folded scores of the first competitor, by judge, corpus, K and representation."""
    found: dict[tuple[str, str, int | str, str], dict[_Item, float]] = defaultdict(dict)
    for match in board.matches:
        payload = match.payload
        if match.status != "ok":
            continue
        corpus = payload["corpus"]
        a, b = Competitor.of(payload["a"]), Competitor.of(payload["b"])
        low, high = min(a, b), max(a, b)
        place = payload["judge"], corpus, payload["k_spec"], payload["representation"]
        orders = zip(payload["documents"], payload["forward"], payload["backward"], strict=True)
        for document, forward, backward in orders:
            score = fold(forward, backward)
            if score is not None:
                item = corpus, document, low, high
                found[place][item] = score if a == low else 1 - score
    return found


def _items(
    verdicts: Mapping[tuple[str, str, int | str, str], Mapping[_Item, float]],
    judge: str,
    where: _Where,
) -> dict[_Item, float]:
    corpus, k_spec, representation = where
    return {
        item: score
        for (who, of, k, shown), scores in verdicts.items()
        if (who, k, shown) == (judge, k_spec, representation) and corpus in (of, ALL)
        for item, score in scores.items()
    }


def _seed(judges: Sequence[str], items: Mapping[str, Mapping[_Item, float]]) -> int:
    return seed_from("agreement", list(judges), [len(items[judge]) for judge in judges])
