"""Which documents are judged, settled before any model is consulted."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from mtmbench.core.cells import MatchCell
from mtmbench.core.competitors import League
from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash, seed_from
from mtmbench.core.types import Corpus

HALVES = (
    "the distinct texts of a corpus in the order of content_hash('summary half', id of the first "
    "document of the text), BLAKE2b of 128 bits: summaries are taken from the first half, rounded "
    "down, and the documents of the others are judged"
)
"""The rule of :func:`summary_halves`, for records."""


def sample_documents(
    corpus: Corpus, n: int, seed: int, among: Collection[int] | None = None
) -> list[int]:
    """Draws ``n`` rows of the corpus uniformly without replacement; all of them if n ≥ D.

    The draw reads the corpus revision and the seed, no model. Samples are nested: under one seed,
    30 documents are among the 100, so that a larger budget extends what was judged.

    Args:
        corpus: the corpus.
        n: how many.
        seed: of the draw.
        among: the rows that may be drawn; None for all.

    Returns:
        Sorted rows.

    Raises:
        InputError: ``n`` is not at least 1.
    """
    return sorted(draw_documents(corpus, n, seed, among))


def draw_documents(
    corpus: Corpus, n: int, seed: int, among: Collection[int] | None = None
) -> list[int]:
    """Returns the rows of :func:`sample_documents` in the random order in which they are drawn.

    Raises:
        InputError: ``n`` is not at least 1.
    """
    if n < 1:
        raise InputError(f"documents to judge must be at least 1, not {n!r}")
    generator = np.random.default_rng(seed_from("judged documents", corpus.revision, seed))
    kept = range(len(corpus)) if among is None else set(among)
    # As Python's integers: of numpy's a range is searched from its beginning.
    return [row for row in generator.permutation(len(corpus)).tolist() if row in kept][:n]


def summary_halves(corpus: Corpus) -> tuple[list[int], list[int]]:
    """Returns the rows that summaries may be taken from, and those that are judged by them.

    The rule is :data:`HALVES`: it reads ids and texts, neither models nor seeds. Copies of a text
    are in one half, so that nobody is judged on a document whose text the summary was taken from.
    """
    first = corpus.first_ids
    ranked = sorted(first, key=lambda text: content_hash("summary half", first[text]))
    chosen = set(ranked[: len(ranked) // 2])
    halves: tuple[list[int], list[int]] = ([], [])
    for row, text in enumerate(corpus.texts):
        halves[text not in chosen].append(row)
    return halves


def in_rounds(cells: Sequence[MatchCell]) -> list[MatchCell]:
    """Orders matches so that every competitor of every league plays about as often at any time.

    Pairs come in the rounds of the circle method, the leagues taking turns, so that the board of
    a run that stops halfway compares everybody.
    """
    players: dict[League, dict[str, int]] = {}
    for cell in cells:
        known = players.setdefault(cell.league, {})
        for fit in (cell.a, cell.b):
            known.setdefault(fit.key, len(known))

    def turn(cell: MatchCell) -> int:
        known = players[cell.league]
        i, j = sorted((known[cell.a.key], known[cell.b.key]))
        # Of an even number the last sits outside the circle.
        n = len(known) - 1 + len(known) % 2
        return (2 * i if j == n else i + j) % n

    return sorted(cells, key=turn)
