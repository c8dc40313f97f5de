"""How often items share a window or a document: one pass over the reference for all measures.

The pass sorts the reference tokens by word (:class:`TextReference`). For a window size, every word
then is a list of disjoint intervals of window numbers in which it is present, and two words
co-occur in as many windows as their intervals intersect. Only the words and the pairs within topics
are counted. Items without an order in the text are counted over documents
(:class:`CountsReference`).

Two versions of "present":

* ``exact``: a window holds a word if any of its tokens is that word. A document of L > 0 tokens has
  max(1, L − w + 1) windows of w tokens; a document without tokens has none.
* ``gensim``: the bookkeeping of gensim 4's ``WordOccurrenceAccumulator``. When the window moves on,
  the token that leaves is unmarked even if another copy of it is still inside, and stays so until
  a copy enters again; a document without tokens counts as a window that holds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numba
import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.types import Counts, Int32Array, IntArray

Window = int | Literal["document"]
Version = Literal["exact", "gensim"]
_VERSIONS: tuple[Version, ...] = get_args(Version)


@dataclass(frozen=True)
class Presence:
    """In which windows each of some words is present.

    Attributes:
        indptr: (W + 1,) int64; word i owns intervals ``indptr[i]:indptr[i + 1]``.
        start: int64 first window of each interval; ascending and disjoint within a word.
        end: int64 one past the last window of each interval.
        n_windows: windows in all.
    """

    indptr: IntArray
    start: IntArray
    end: IntArray
    n_windows: int

    def pair_counts(self, words: Sequence[int]) -> IntArray:
        """Returns (n, n) counts of the windows that hold both words; the diagonal, one word.

        ``words`` are positions among the words of this presence and may repeat.
        """
        chosen = np.asarray(words, dtype=np.int64)
        counts: IntArray = _pair_counts(self.indptr, self.start, self.end, chosen)
        return counts


class ReferenceCorpus(Protocol):
    """What items are counted in."""

    revision: str
    """Content hash of the reference."""

    @property
    def index(self) -> Mapping[str, int]:
        """Number of each item that the reference knows."""

    def presence(self, items: Sequence[int], window: Window, version: Version) -> Presence:
        """Returns in which windows each of ``items`` (distinct numbers of items) is present.

        Raises:
            InputError: window or version is not one that this reference has.
        """


class TextReference:
    """Reference texts, sorted by word.

    Args:
        vocabulary: V words.
        sequences: D arrays of vocabulary indices, in reading order.
        revision: content hash of both.
    """

    def __init__(
        self, vocabulary: Sequence[str], sequences: Sequence[Int32Array], revision: str
    ) -> None:
        self.revision = revision
        self.index = {word: i for i, word in enumerate(vocabulary)}
        lengths = np.fromiter((len(s) for s in sequences), dtype=np.int64, count=len(sequences))
        self._doc_start: IntArray = np.concatenate(([0], np.cumsum(lengths)))
        tokens = np.concatenate([np.zeros(0, dtype=np.int32), *sequences]).astype(np.int32)
        self._position: Int32Array = np.argsort(tokens, kind="stable").astype(np.int32)
        occurrences = np.bincount(tokens, minlength=len(vocabulary))
        self._word_start: IntArray = np.concatenate(([0], np.cumsum(occurrences)))

    def presence(self, items: Sequence[int], window: Window, version: Version) -> Presence:
        """See :class:`ReferenceCorpus`; ``window`` is a number of tokens or "document"."""
        check_window(window, version)
        lengths = np.diff(self._doc_start)
        size = int(lengths.max(initial=1)) if window == "document" else int(window)
        windows = np.maximum(lengths - size + 1, 1)
        if version == "exact":
            windows[lengths == 0] = 0
        first = np.concatenate(([0], np.cumsum(windows)))
        chosen = np.asarray(items, dtype=np.int64)
        room = np.concatenate(
            ([0], np.cumsum(self._word_start[chosen + 1] - self._word_start[chosen]))
        )
        indptr, start, end = _intervals(
            self._position, self._word_start, self._doc_start, first, chosen, room, size,
            version == "gensim",
        )  # fmt: skip
        return Presence(indptr, start, end, int(first[-1]))


class CountsReference:
    """Counts of items over documents; a cell above zero is an occurrence."""

    def __init__(self, counts: Counts) -> None:
        self.revision = counts.revision
        self.index = {item: i for i, item in enumerate(counts.item_ids)}
        self._matrix = counts.matrix
        rows = np.repeat(np.arange(self._matrix.shape[0]), np.diff(self._matrix.indptr))
        self._n_with_items = len(np.unique(rows[self._matrix.data > 0]))

    def presence(self, items: Sequence[int], window: Window, version: Version) -> Presence:
        """See :class:`ReferenceCorpus`; ``window`` must be "document".

        The exact version leaves out documents without any item, gensim's counts them.
        """
        check_window(window, version)
        if window != "document":
            raise InputError(f"counts have no windows of {window} items, only whole documents")
        occurs = (self._matrix[:, np.asarray(items, dtype=np.int64)] > 0).tocsc()
        occurs.sort_indices()
        start = occurs.indices.astype(np.int64)
        n_documents = self._n_with_items if version == "exact" else int(self._matrix.shape[0])
        return Presence(occurs.indptr.astype(np.int64), start, start + 1, n_documents)


@dataclass(frozen=True)
class TopicCounts:
    """Co-occurrence of the top items of each topic in one reference.

    Attributes:
        joint: per topic, (n, n) counts over its n known items in rank order.
        n_windows: windows (or documents) of the reference.
        n_unknown: listed items that never occur in the reference, over all topics.
        reference: content hash of the reference.
    """

    joint: tuple[IntArray, ...]
    n_windows: int
    n_unknown: int
    reference: str


def count_topics(
    topics: Sequence[Sequence[str]], reference: ReferenceCorpus, window: Window, version: Version
) -> TopicCounts:
    """Counts how often the items of each topic occur together.

    An item that a topic lists twice counts once, and one that never occurs is left out.

    Raises:
        InputError: window or version is not one that the reference has.
    """
    index = reference.index
    known = sorted({index[item] for topic in topics for item in topic if item in index})
    presence = reference.presence(known, window, version)
    occurs = np.diff(presence.indptr) > 0
    place = {number: i for i, number in enumerate(known) if occurs[i]}
    joint, n_unknown = [], 0
    for topic in topics:
        listed = dict.fromkeys(topic)
        found = [place[index[item]] for item in listed if index.get(item) in place]
        n_unknown += len(listed) - len(found)
        joint.append(presence.pair_counts(found))
    return TopicCounts(tuple(joint), presence.n_windows, n_unknown, reference.revision)


def check_window(window: object, version: object) -> tuple[Window, Version]:
    """Returns ``window`` and ``version``; raises :class:`InputError` unless they are valid."""
    found: Window = "document"
    if isinstance(window, int) and not isinstance(window, bool) and window >= 1:
        found = window
    elif window != "document":
        raise InputError(
            f'window must be a whole number of at least 1 or "document", not {window!r}'
        )
    for known in _VERSIONS:
        if version == known:
            return found, known
    raise InputError(f"version must be one of {', '.join(_VERSIONS)}, not {version!r}")


@numba.njit(cache=True)
def _intervals(
    position: Int32Array,
    word_start: IntArray,
    doc_start: IntArray,
    first_window: IntArray,
    words: IntArray,
    room: IntArray,
    size: int,
    forgets: bool,
) -> tuple[IntArray, IntArray, IntArray]:
    """Turns each word's token positions into the windows in which it is present.

    A token at place p of a document enters with window max(0, p − size + 1) and leaves after
    window min(p, last). An exact window forgets a word when its last copy leaves, gensim's when
    any copy does.
    """
    start = np.empty(room[-1], dtype=np.int64)
    end = np.empty(room[-1], dtype=np.int64)
    indptr = np.zeros(len(words) + 1, dtype=np.int64)
    filled = 0
    for i in range(len(words)):
        doc = 0
        open_doc = -1
        open_start = open_end = 0
        # gensim only: copies from here on may still unmark the word.
        tail = word_start[words[i]]
        for at in range(word_start[words[i]], word_start[words[i] + 1]):
            doc = _document_of(doc_start, position[at], doc)
            last = first_window[doc + 1] - first_window[doc] - 1
            place = position[at] - doc_start[doc]
            enters = max(0, place - size + 1)
            leaves = min(place, last) + 1
            if open_doc == doc and not forgets and enters <= open_end:
                open_end = leaves
                continue
            if open_doc == doc and forgets:
                if open_end > enters:
                    continue
                # The word is unmarked: the next copy to leave after this entry ends the interval.
                while position[tail] - doc_start[doc] + 1 <= enters:
                    tail += 1
                leaves = min(position[tail] - doc_start[doc], last) + 1
            if open_doc >= 0:
                start[filled] = first_window[open_doc] + open_start
                end[filled] = first_window[open_doc] + open_end
                filled += 1
            if open_doc != doc:
                tail = at
            open_doc, open_start, open_end = doc, enters, leaves
        if open_doc >= 0:
            start[filled] = first_window[open_doc] + open_start
            end[filled] = first_window[open_doc] + open_end
            filled += 1
        indptr[i + 1] = filled
    return indptr, start[:filled].copy(), end[:filled].copy()


@numba.njit(cache=True)
def _document_of(doc_start: IntArray, position: int, at_least: int) -> int:
    """Finds the document of a token position by galloping on from ``at_least``."""
    low = at_least
    step = 1
    high = low + 1
    while high < len(doc_start) - 1 and doc_start[high] <= position:
        low = high
        step *= 2
        high = min(low + step, len(doc_start) - 1)
    while high - low > 1:
        middle = (low + high) // 2
        if doc_start[middle] <= position:
            low = middle
        else:
            high = middle
    return low


@numba.njit(cache=True)
def _pair_counts(indptr: IntArray, start: IntArray, end: IntArray, words: IntArray) -> IntArray:
    counts = np.zeros((len(words), len(words)), dtype=np.int64)
    for i in range(len(words)):
        for j in range(i + 1):
            a, b = indptr[words[i]], indptr[words[j]]
            last_a, last_b = indptr[words[i] + 1], indptr[words[j] + 1]
            shared = 0
            while a < last_a and b < last_b:
                low = max(start[a], start[b])
                high = min(end[a], end[b])
                if high > low:
                    shared += high - low
                if end[a] <= end[b]:
                    a += 1
                else:
                    b += 1
            counts[i, j] = shared
            counts[j, i] = shared
    return counts
