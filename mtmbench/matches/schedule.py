"""Which documents are judged, settled before any model is consulted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtmbench.core.cells import League, MatchCell
from mtmbench.core.errors import InputError
from mtmbench.core.serialise import seed_from
from mtmbench.core.types import Corpus


def sample_documents(corpus: Corpus, n: int, seed: int) -> list[int]:
    """Draws ``n`` rows of the corpus uniformly without replacement; all of them if n ≥ D.

    The draw reads the corpus revision and the seed, no model. Samples are nested: under one seed,
    30 documents are among the 100, so that a larger budget extends what was judged.

    Returns:
        Sorted rows.

    Raises:
        InputError: ``n`` is not at least 1.
    """
    return sorted(draw_documents(corpus, n, seed))


def draw_documents(corpus: Corpus, n: int, seed: int) -> list[int]:
    """Returns the rows of :func:`sample_documents` in the random order in which they are drawn.

    Raises:
        InputError: ``n`` is not at least 1.
    """
    if n < 1:
        raise InputError(f"documents to judge must be at least 1, not {n!r}")
    generator = np.random.default_rng(seed_from("judged documents", corpus.revision, seed))
    return [int(row) for row in generator.permutation(len(corpus))[:n]]


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
