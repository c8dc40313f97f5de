"""Where items stand in texts: words as they are, in another case, and n-grams as adjacent words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mtmbench.core.types import Int32Array, IntArray

Split = Callable[[str], Sequence[str]]
"""Cuts an item into folded words."""


class TokenIndex:
    """Texts, sorted by word.

    An item is found as it stands, else as the one word that it folds to, else, if it folds to
    several, wherever these words follow each other in a document.

    Args:
        vocabulary: V words.
        sequences: D arrays of vocabulary indices, in reading order.
        split: cuts an item that is no word of the vocabulary; None for items that are words.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        sequences: Sequence[Int32Array],
        split: Split | None = None,
    ) -> None:
        lengths = np.fromiter((len(s) for s in sequences), dtype=np.int64, count=len(sequences))
        self.doc_start: IntArray = np.concatenate(([0], np.cumsum(lengths)))
        self._index = {word: i for i, word in enumerate(vocabulary)}
        self._split = split
        self._tokens = np.concatenate([np.zeros(0, dtype=np.int32), *sequences]).astype(np.int32)
        self._position: Int32Array = np.argsort(self._tokens, kind="stable").astype(np.int32)
        occurrences = np.bincount(self._tokens, minlength=len(vocabulary))
        self._word_start: IntArray = np.concatenate(([0], np.cumsum(occurrences)))
        self._ngrams: dict[tuple[int, ...], Int32Array] = {}

    def find(self, item: str) -> tuple[int, ...] | None:
        """Returns the columns of the words that an item is made of; None if it never occurs.

        Two spellings of one item have the same columns.
        """
        columns = self._columns(item)
        return columns if columns and len(self.positions(columns)) else None

    def positions(self, columns: tuple[int, ...]) -> Int32Array:
        """Returns where an item begins in all texts one after the other, ascending."""
        first = self._places(columns[0])
        if len(columns) == 1:
            return first
        if columns not in self._ngrams:
            self._ngrams[columns] = self._adjacent(first, columns)
        return self._ngrams[columns]

    def _columns(self, item: str) -> tuple[int, ...] | None:
        if item in self._index:
            return (self._index[item],)
        words = () if self._split is None else self._split(item)
        if not all(word in self._index for word in words):
            return None
        return tuple(self._index[word] for word in words)

    def _places(self, column: int) -> Int32Array:
        return self._position[self._word_start[column] : self._word_start[column + 1]]

    def _adjacent(self, first: Int32Array, columns: tuple[int, ...]) -> Int32Array:
        """Keeps the positions from which the words follow each other in one document."""
        ends = self.doc_start[np.searchsorted(self.doc_start, first, side="right")]
        found: Int32Array = first[first + len(columns) <= ends]
        for offset, column in enumerate(columns[1:], start=1):
            found = found[self._tokens[found + offset] == column]
        return found
