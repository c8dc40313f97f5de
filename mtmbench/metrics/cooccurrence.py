"""How often items share a window or a document: one pass over the reference for all measures.

The pass sorts the reference tokens by word (:class:`TextReference`). For a window size, every word
then is a list of disjoint intervals of window numbers in which it is present, and two words
co-occur in as many windows as their intervals intersect. An n-gram is present where all of its
words are, one after the other. Only the words and the pairs within topics are counted. Items
without an order in the text are counted over documents (:class:`CountsReference`).

Two versions of "present":

* ``exact``: a window holds a word if any of its tokens is that word. A document of L > 0 tokens has
  max(1, L − w + 1) windows of w tokens; a document without tokens has none.
* ``gensim``: the bookkeeping of gensim 4's ``WordOccurrenceAccumulator``. When the window moves on,
  the token that leaves is unmarked even if another copy of it is still inside, and stays so until
  a copy enters again; a document without tokens counts as a window that holds nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar, get_args

import numba
import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.types import Counts, Int32Array, IntArray
from mtmbench.features.token_index import Split, TokenIndex

Window = int | Literal["document"]
Version = Literal["exact", "gensim"]
_VERSIONS: tuple[Version, ...] = get_args(Version)

_Item = TypeVar("_Item", bound=Hashable)


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


class ReferenceCorpus(Protocol[_Item]):
    """What items are counted in; it has a number, or several, for each item that it knows."""

    revision: str
    """Content hash of the reference."""

    kept: str | None
    """What it holds beyond the suite's own tokenisation; None for nothing."""

    def find(self, item: str) -> _Item | None:
        """Returns what stands for an item here, one thing for all its spellings; None if nothing.

        An item that never occurs is not found.
        """

    def presence(self, items: Sequence[_Item], window: Window, version: Version) -> Presence:
        """Returns in which windows each of ``items`` (distinct, and found) is present.

        Raises:
            InputError: window or version is not one that this reference has.
        """


class TextReference:
    """Reference texts, sorted by word.

    Args:
        vocabulary: V words.
        sequences: D arrays of vocabulary indices, in reading order.
        revision: content hash of both.
        split: how an item that is no word is cut into words that are to follow each other.
        kept: what these texts hold beyond those of the suite's tokenisation, in words.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        sequences: Sequence[Int32Array],
        revision: str,
        split: Split | None = None,
        kept: str | None = None,
    ) -> None:
        self.revision = revision
        self.kept = kept
        self._index = TokenIndex(vocabulary, sequences, split)

    def find(self, item: str) -> tuple[int, ...] | None:
        """See :class:`ReferenceCorpus`."""
        return self._index.find(item)

    def presence(
        self, items: Sequence[tuple[int, ...]], window: Window, version: Version
    ) -> Presence:
        """See :class:`ReferenceCorpus`; ``window`` is a number of tokens or "document"."""
        check_window(window, version)
        doc_start = self._index.doc_start
        lengths = np.diff(doc_start)
        size = int(lengths.max(initial=1)) if window == "document" else int(window)
        windows = np.maximum(lengths - size + 1, 1)
        if version == "exact":
            windows[lengths == 0] = 0
        first = np.concatenate(([0], np.cumsum(windows)))
        places = [self._index.positions(item) for item in items]
        item_start = np.concatenate(([0], np.cumsum([len(found) for found in places]))).astype(
            np.int64
        )
        indptr, start, end = _intervals(
            np.concatenate([np.zeros(0, dtype=np.int32), *places]), item_start,
            np.array([len(item) for item in items], dtype=np.int64), doc_start, first, size,
            version == "gensim",
        )  # fmt: skip
        return Presence(indptr, start, end, int(first[-1]))


class CountsReference:
    """Counts of items over documents; a cell above zero is an occurrence."""

    kept: str | None = None

    def __init__(self, counts: Counts) -> None:
        self.revision = counts.revision
        self._index = {item: i for i, item in enumerate(counts.item_ids)}
        self._matrix = counts.matrix
        occurs = self._matrix.data > 0
        rows = np.repeat(np.arange(self._matrix.shape[0]), np.diff(self._matrix.indptr))
        self._n_with_items = len(np.unique(rows[occurs]))
        self._occurring = set(np.unique(self._matrix.indices[occurs]).tolist())

    def find(self, item: str) -> int | None:
        """See :class:`ReferenceCorpus`."""
        number = self._index.get(item)
        return number if number in self._occurring else None

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
class Listing(Generic[_Item]):
    """The items of topics, as far as a reference knows them.

    Attributes:
        found: per topic, what stands for its known items in rank order, each once.
        unknown: per topic, its other items.
    """

    found: tuple[tuple[_Item, ...], ...]
    unknown: tuple[tuple[str, ...], ...]

    @classmethod
    def of(
        cls, topics: Sequence[Sequence[str]], reference: ReferenceCorpus[_Item]
    ) -> Listing[_Item]:
        """Looks the items of topics up; one that a topic lists twice counts once."""
        looked_up = [{item: reference.find(item) for item in topic} for topic in topics]
        return cls(
            tuple(
                tuple(dict.fromkeys(at for at in topic.values() if at is not None))
                for topic in looked_up
            ),
            tuple(tuple(item for item, at in topic.items() if at is None) for topic in looked_up),
        )

    @property
    def n_unknown(self) -> int:
        """Items that are not known, over all topics."""
        return sum(map(len, self.unknown))

    @property
    def n_listed(self) -> int:
        """Items listed, over all topics."""
        return sum(map(len, self.found)) + self.n_unknown


@dataclass(frozen=True)
class TopicCounts:
    """Co-occurrence of the top items of each topic in one reference.

    Attributes:
        joint: per topic, (n, n) counts over its n known items in rank order.
        n_windows: windows (or documents) of the reference.
        n_unknown: listed items that never occur in the reference, over all topics.
        reference: content hash of the reference.
        n_listed: listed items, over all topics.
        unknown: the distinct items that never occur, as topics list them.
        kept: what the reference holds beyond the suite's own tokenisation, or None.
    """

    joint: tuple[IntArray, ...]
    n_windows: int
    n_unknown: int
    reference: str
    n_listed: int
    unknown: tuple[str, ...]
    kept: str | None


def count_topics(
    topics: Sequence[Sequence[str]],
    reference: ReferenceCorpus[_Item],
    window: Window,
    version: Version,
) -> TopicCounts:
    """Counts how often the items of each topic occur together.

    An item that a topic lists twice counts once, and one that never occurs is left out.

    Raises:
        InputError: window or version is not one that the reference has.
    """
    listing = Listing.of(topics, reference)
    known = list(dict.fromkeys(item for topic in listing.found for item in topic))
    presence = reference.presence(known, window, version)
    place = {item: i for i, item in enumerate(known)}
    joint = tuple(presence.pair_counts([place[item] for item in topic]) for topic in listing.found)
    return TopicCounts(
        joint,
        presence.n_windows,
        listing.n_unknown,
        reference.revision,
        listing.n_listed,
        tuple(dict.fromkeys(item for topic in listing.unknown for item in topic)),
        reference.kept,
    )


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
    item_start: IntArray,
    span: IntArray,
    doc_start: IntArray,
    first_window: IntArray,
    size: int,
    forgets: bool,
) -> tuple[IntArray, IntArray, IntArray]:
    """Turns each item's positions into the windows in which it is present.

    Item i begins at ``position[item_start[i]:item_start[i + 1]]`` and is ``span[i]`` tokens long.
    One at place p of a document enters with window max(0, p + span − size) and leaves after window
    min(p, last). An exact window forgets an item when its last copy leaves, gensim's when any copy
    does.
    """
    n_items = len(span)
    start = np.empty(item_start[-1], dtype=np.int64)
    end = np.empty(item_start[-1], dtype=np.int64)
    indptr = np.zeros(n_items + 1, dtype=np.int64)
    filled = 0
    for i in range(n_items):
        doc = 0
        open_doc = -1
        open_start = open_end = 0
        # gensim only: copies from here on may still unmark the item.
        tail = item_start[i]
        for at in range(item_start[i], item_start[i + 1]):
            doc = _document_of(doc_start, position[at], doc)
            last = first_window[doc + 1] - first_window[doc] - 1
            place = position[at] - doc_start[doc]
            enters = max(0, place + span[i] - size)
            leaves = min(place, last) + 1
            # Longer than any window.
            if enters >= leaves:
                continue
            if open_doc == doc and not forgets and enters <= open_end:
                open_end = leaves
                continue
            if open_doc == doc and forgets:
                if open_end > enters:
                    continue
                # The item is unmarked: the next copy to leave after this entry ends the interval.
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
