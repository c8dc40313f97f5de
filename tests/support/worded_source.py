"""A feature source that fires at words, loaded with ``--plugin``; no language model.

Feature ``i`` fires on every token that begins with the i-th letter of the alphabet. Tokens are
pieces of at most three letters, so that a word has several and a feature may fire in its middle.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from mtmbench.core.types import BoolArray, Corpus, Counts, FloatArray
from mtmbench.features.base import Firings, FiringSource
from mtmbench.features.registry import register_features

N_FEATURES = 26


@register_features("worded")
class WordedFeatures(FiringSource):
    """See the module.

    Args:
        scored: how many features' labels a judge has scored, the first ones.
    """

    name = "worded"

    def __init__(self, scored: int = 0) -> None:
        self._scored = scored

    def settings(self) -> list[str]:
        return ["default"]

    def describe(self, setting: str = "default") -> dict[str, Any]:
        return {"sae": "letters", "sae_hash": "letters", "setting": setting}

    def label_scores(self, setting: str = "default") -> FloatArray | None:
        if not self._scored:
            return None
        scores = np.full(N_FEATURES, np.nan, np.float32)
        scores[: self._scored] = 0.75
        return scores

    def at_hand(self, what: str, corpus: Corpus, **more: Any) -> bool:
        return True

    def scored_labels(self, setting: str = "default") -> BoolArray | None:
        return np.arange(N_FEATURES) < self._scored if self._scored else None

    def counts(
        self,
        corpus: Corpus,
        *,
        setting: str = "default",
        max_tokens: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Counts:
        matrix = np.zeros((len(corpus), N_FEATURES), np.int32)
        for part in self.firings(corpus, max_tokens=max_tokens):
            np.add.at(matrix, (part.documents, part.features), 1)
        return Counts(
            kind="features", matrix=csr_matrix(matrix),
            n_tokens=np.array([len(text) for text in corpus.texts], np.int64),
            item_ids=tuple(map(str, range(N_FEATURES))),
            item_labels=tuple(f"letter {chr(97 + i)}" for i in range(N_FEATURES)),
            source={**self.describe(setting), "labels": {"source": "shipped"}},
        )  # fmt: skip

    def firings(
        self,
        corpus: Corpus,
        *,
        setting: str = "default",
        max_tokens: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[Firings]:
        for row, text in enumerate(corpus.texts):
            pieces = list(re.finditer("[a-z]{1,3}", text))[:max_tokens]
            spans = np.array([m.span() for m in pieces], np.int64).reshape(-1, 2)
            letters = np.array([ord(m.group()[0]) - 97 for m in pieces], np.int64)
            documents = np.full(len(pieces), row, np.int64)
            yield Firings(documents, spans[:, 0], spans[:, 1], letters, N_FEATURES)

    def top_activations(self, corpus: Corpus, rows: Any, **more: Any) -> list[list[Any]]:
        raise NotImplementedError


def first_letters(text: str) -> Counter[str]:
    """Counts the first letters of the pieces of a text, in plain Python."""
    words = re.findall("[a-z]+", text)
    return Counter(word[i] for word in words for i in range(0, len(word), 3))
