"""Sixty short texts of two subjects in turn, with two stop words and a word of their own each."""

from __future__ import annotations

import numpy as np

from mtmbench.core.types import Corpus

SUBJECTS = (
    ("hockey", "game", "team", "season", "puck", "goal", "coach", "ice"),
    ("senate", "bill", "vote", "budget", "tax", "debate", "law", "party"),
)


def two_subjects() -> Corpus:
    """Returns the corpus: even documents are of the first subject, odd ones of the second."""
    generator = np.random.default_rng(0)
    texts = []
    for i in range(60):
        drawn = generator.choice(SUBJECTS[i % 2], size=12)
        texts.append(" ".join(["the", "of", *drawn, f"name{i}"]))
    return Corpus("toy", tuple(f"d{i}" for i in range(60)), tuple(texts))
