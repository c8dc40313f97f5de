"""Adaptive leagues as cells and records: a pair's matches in blocks of the shared sample.

Which cells are played next is a function of the records so far, so a run that was stopped goes on
with the very cells that it would have played.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mtmbench.core.cells import AdaptiveCell
from mtmbench.core.competitors import Competitor
from mtmbench.core.match_payloads import MatchIdentity
from mtmbench.core.records import MatchRecord
from mtmbench.core.types import Corpus
from mtmbench.matches.league import LeaguePlan
from mtmbench.matches.match import fold
from mtmbench.matches.schedule import draw_documents
from mtmbench.stats.adaptive import BLOCK, LeagueProgress, progress


@dataclass(frozen=True)
class LeagueScores:
    """The folded scores of one adaptive league.

    Attributes:
        players: the competitors, sorted.
        first: (P,) index of the model whose score it is.
        second: (P,) index of the other.
        scores: (D, P), NaN where there is no readable answer.
        recorded: (P,) documents from the first on that have a final record.
    """

    players: tuple[Competitor, ...]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    scores: NDArray[np.float64]
    recorded: NDArray[np.int64]

    def progress(self, alpha: float, resolution: float) -> LeagueProgress:
        """Returns how far the league has come."""
        return progress(
            self.scores, self.recorded, self.first, self.second, len(self.players), alpha=alpha,
            resolution=resolution,
        )  # fmt: skip


def document_blocks(
    corpus: Corpus, n: int, seed: int, among: Collection[int] | None = None
) -> list[tuple[int, ...]]:
    """Returns the sampled rows in blocks, fixed before any model is consulted.

    The sample is that of :func:`mtmbench.matches.schedule.sample_documents`, in the random order in
    which it is drawn, :data:`mtmbench.stats.adaptive.BLOCK` documents at a time.
    """
    rows = draw_documents(corpus, n, seed, among)
    return [tuple(rows[begin : begin + BLOCK]) for begin in range(0, len(rows), BLOCK)]


def adaptive_cells(league: LeaguePlan) -> Iterator[AdaptiveCell]:
    """Yields every block of every pair of a league, block by block; a run plays some of them."""
    spec = league.spec
    blocks = document_blocks(league.corpus, spec.documents, spec.seed, league.among)
    sample = sum(map(len, blocks))
    start = 0
    for rows in blocks:
        for a, b in combinations(league.players, 2):
            match = league.match(rows, a, b, "block", place=(start, sample))
            yield AdaptiveCell(**vars(match), start=start, sample=sample)
        start += len(rows)


def cells_to_play(
    cells: Sequence[AdaptiveCell],
    records: Mapping[str, MatchRecord],
    alpha: float,
    resolution: float,
) -> list[AdaptiveCell]:
    """Returns the cells of one league that its next look needs; none if it is finished.

    Args:
        cells: every block of every pair that can be played.
        records: final records by key.
        alpha: error of the whole schedule.
        resolution: Elo; see :func:`mtmbench.stats.adaptive.neighbours`.
    """
    pairs = list(dict.fromkeys(sides_of(cell.identity()) for cell in cells))
    known = [records[cell.key] for cell in cells if cell.key in records]
    state = league_scores(pairs, cells[0].sample, known).progress(alpha, resolution)
    wanted = dict(zip(pairs, state.wanted.tolist(), strict=True))
    return [
        cell
        for cell in cells
        if cell.key not in records and cell.start < wanted[sides_of(cell.identity())]
    ]


def sides_of(match: MatchIdentity) -> tuple[Competitor, Competitor]:
    """Returns both competitors of a record's payload or of a cell's identity."""
    return Competitor.of(match["a"]), Competitor.of(match["b"])


def league_scores(
    pairs: Sequence[tuple[Competitor, Competitor]],
    n_documents: int,
    records: Iterable[MatchRecord],
) -> LeagueScores:
    """Returns the scores of a league; an error record counts as none.

    Args:
        pairs: the competitors that meet.
        n_documents: size of the sample.
        records: records of the league's blocks.
    """
    players = sorted({side for pair in pairs for side in pair})
    column = {pair: p for p, pair in enumerate(pairs)}
    scores = np.full((n_documents, len(pairs)), np.nan)
    blocks: list[dict[int, int]] = [{} for _ in pairs]
    for record in records:
        payload = record.payload
        p, begin = column[sides_of(payload)], payload["start"]
        if record.status == "error":
            continue
        blocks[p][begin] = len(payload["documents"])
        if record.status == "ok":
            for i, both in enumerate(zip(payload["forward"], payload["backward"], strict=True)):
                score = fold(*both)
                scores[begin + i, p] = np.nan if score is None else score
    index = {side: i for i, side in enumerate(players)}
    return LeagueScores(
        tuple(players),
        np.array([index[a] for a, _ in pairs], dtype=np.int64),
        np.array([index[b] for _, b in pairs], dtype=np.int64),
        scores,
        np.array([_contiguous(own) for own in blocks], dtype=np.int64),
    )


def _contiguous(blocks: Mapping[int, int]) -> int:
    """Returns how many documents from the first on are recorded, given blocks by their start."""
    reached = 0
    while reached in blocks:
        reached += blocks[reached]
    return reached
