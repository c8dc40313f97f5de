"""Which documents are judged, settled before any model is consulted."""

from __future__ import annotations

import numpy as np

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
