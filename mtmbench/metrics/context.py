"""What a metric may look at beside the result, with the heavy parts computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import (
    BoolArray,
    Corpus,
    Counts,
    FloatArray,
    IntArray,
    ItemKind,
    ItemView,
    Views,
)
from mtmbench.metrics.cooccurrence import (
    CountsReference,
    Listing,
    TextReference,
    TopicCounts,
    Version,
    Window,
    check_window,
    count_topics,
)
from mtmbench.metrics.projected import projected_words

if TYPE_CHECKING:
    from mtmbench.features.words import Tokens
    from mtmbench.judges.panel import Consult
    from mtmbench.models.base import TopicModel

Refit = Callable[[Views, int], "tuple[TopicModel, TopicResult]"]
"""Fits a fresh copy of the model on other documents with a seed; returns it with its result."""

_T = TypeVar("_T")

_PROJECTED = 50

WITH_STOP_WORDS = "stop words kept"
WITH_ALL = "all runs of letters and digits kept"
"""Reference texts beside those of the suite's tokenisation, for words made by another."""


@dataclass(frozen=True)
class Gold:
    """Gold labels as numbers.

    Attributes:
        codes: (D,) int64, index into ``names``; −1 for a document without a label.
        names: the labels, sorted.
    """

    codes: IntArray
    names: tuple[str, ...]


class _Made(Mapping[ItemKind, Counts]):
    """Counts by view, each made when it is first asked for."""

    def __init__(self, given: Mapping[ItemKind, Counts | Callable[[], Counts]]) -> None:
        self._given = dict(given)

    def __getitem__(self, view: ItemKind) -> Counts:
        counts = self._given[view]
        if callable(counts):
            counts = self._given[view] = counts()
        return counts

    def __contains__(self, view: object) -> bool:
        return view in self._given

    def __iter__(self) -> Iterator[ItemKind]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)


class MetricContext:
    """Corpus, counts, reference texts and helpers for the metrics of one result.

    Args:
        corpus: the documents that the result is about.
        tokens: reference token sequences of the corpus, or a function that makes them when they
            are first needed.
        counts: its counts by view, or functions that make them; "words" carries projected words,
            "features" the items of models over features.
        siblings: results of the same model on the same corpus under other seeds.
        reordered: results of the same model and seed, fitted on the documents in other orders.
        others: results of other models on the same corpus with the same K and seed, by the name
            under which each plays; None for one whose fit failed.
        refit: fits the model on other documents; None where it cannot be.
        views: the views that ``refit`` selects documents from.
        embed: texts to (N, E) unit rows; None where there is no encoder.
        encoder: name of what ``embed`` runs, for the record.
        consult: asks judge cards; None where none can be asked.
        cache: a dict that contexts of one corpus may share; what was computed once is then not
            computed again.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        tokens: Tokens | Callable[[], Tokens],
        counts: Mapping[ItemKind, Counts | Callable[[], Counts]],
        siblings: Sequence[TopicResult] = (),
        reordered: Sequence[TopicResult] = (),
        others: Mapping[str, TopicResult | None] | None = None,
        refit: Refit | None = None,
        views: Views | None = None,
        embed: Callable[[Sequence[str]], FloatArray] | None = None,
        encoder: str | None = None,
        consult: Consult | None = None,
        cache: MutableMapping[Hashable, Any] | None = None,
    ) -> None:
        self.corpus = corpus
        self._tokens = tokens
        self.counts: Mapping[ItemKind, Counts] = _Made(counts)
        self.siblings = tuple(siblings)
        self.reordered = tuple(reordered)
        self.others = dict(others or {})
        self.refit = refit
        self.views = views
        self.embed = embed
        self.encoder = encoder
        self.consult = consult
        self._cache: MutableMapping[Hashable, Any] = {} if cache is None else cache

    @cached_property
    def tokens(self) -> Tokens:
        """Reference token sequences of the corpus.

        Raises:
            InputError: its words cannot be told apart.
        """
        return self._tokens() if callable(self._tokens) else self._tokens

    @cached_property
    def no_words(self) -> str | None:
        """Why the corpus has no words, or None where it has."""
        from mtmbench.features.words import why_no_words

        if not callable(self._tokens):
            return None
        return self.memo(("no words",), lambda: why_no_words(self.corpus))

    @cached_property
    def gold(self) -> Gold | None:
        """Gold labels, or None if no document has one."""
        if self.corpus.n_labels == 0 or self.corpus.labels is None:
            return None
        names = sorted({label for label in self.corpus.labels if label is not None})
        index = {name: i for i, name in enumerate(names)}
        codes = [-1 if label is None else index[label] for label in self.corpus.labels]
        return Gold(np.asarray(codes, dtype=np.int64), tuple(names))

    def unassigned(self, result: TopicResult) -> BoolArray:
        """Returns (D,) bool: documents that are outliers or have no mass on any topic."""
        self.check(result)
        empty = np.asarray(result.doc_topic.sum(axis=1) == 0)
        return empty if result.outlier is None else empty | result.outlier

    def projected_words(self, result: TopicResult, n: int = 10) -> list[list[str]]:
        """Returns up to ``n`` projected words per topic (:mod:`mtmbench.metrics.projected`).

        Raises:
            InputError: the context has no word counts, or the result is of other documents.
        """
        self.check(result)
        counts = self.counts.get("words")
        if counts is None:
            raise InputError("projected words need the word counts of the corpus")
        size = max(n, _PROJECTED)
        words, _ = self.memo(
            ("projected", result.revision, counts.revision, size),
            lambda: projected_words(result.doc_topic, counts, size),
        )
        return [list(row[:n]) for row in words]

    def top_keys(self, result: TopicResult, view: ItemView | None, n: int) -> list[list[str]]:
        """Returns up to ``n`` items per topic as ids; an item is listed once per topic."""
        if view == "projected":
            return self.projected_words(result, n)
        top = self._top_items(result, n)
        return [list(dict.fromkeys(result.items.ids[i] for i in row)) for row in top]

    def top_labels(self, result: TopicResult, view: ItemView | None, n: int) -> list[list[str]]:
        """Returns up to ``n`` items per topic as they are shown: words, or feature labels."""
        if view == "projected":
            return self.projected_words(result, n)
        return [[result.items.labels[i] for i in row] for row in self._top_items(result, n)]

    def cooccurrence(
        self,
        result: TopicResult,
        view: ItemView | None,
        *,
        n: int,
        window: Window,
        version: Version,
    ) -> TopicCounts | str:
        """Counts how often the top items of each topic occur together.

        Words, own or projected, are counted in the reference texts, features in the feature counts.
        Topics may list words that were taken out of the texts before: then they are counted in the
        same texts with stop words kept, or with all runs of letters and digits kept, whichever
        comes first that knows more of them.

        Returns:
            The counts, or the reason why this reference has none of the kind.

        Raises:
            InputError: window or version is not a valid one.
        """
        check_window(window, version)
        topics = self.top_keys(result, view, n)
        reference: TextReference | CountsReference | str
        if view == "projected" or result.items.kind == "words":
            reference = self._texts_that_know(topics)
        else:
            reference = self._features(result, window)
        if isinstance(reference, str):
            return reference
        key = ("topic counts", content_hash(topics), window, version, reference.revision)
        if isinstance(reference, TextReference):
            texts = reference
            return self.memo(key, lambda: count_topics(topics, texts, window, version))
        counts = reference
        return self.memo(key, lambda: count_topics(topics, counts, window, version))

    def check(self, result: TopicResult) -> None:
        """Raises :class:`InputError` unless ``result`` is of this context's documents."""
        if result.doc_topic.shape[0] != len(self.corpus):
            raise InputError(
                f"the result of {result.model!r} has {result.doc_topic.shape[0]} documents but "
                f"corpus {self.corpus.name!r} has {len(self.corpus)}"
            )

    def memo(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """Returns what ``make`` returned when first asked for ``key``.

        ``key`` must name the revisions of all that the value depends on but the corpus.
        """
        if key not in self._cache:
            self._cache[key] = make()
        value: _T = self._cache[key]
        return value

    def _top_items(self, result: TopicResult, n: int) -> list[list[int]]:
        """Returns the columns of each topic's top items; an empty string is no word."""

        def top() -> list[list[int]]:
            ids = result.items.ids if result.items.kind == "words" else ()
            empty = {i for i, item in enumerate(ids) if not item.strip()}
            return [
                [i for i in row if i not in empty][:n] for row in result.top_items(n + len(empty))
            ]

        return self.memo(("top items", result.revision, n), top)

    def _texts_that_know(self, topics: Sequence[Sequence[str]]) -> TextReference:
        """Returns the narrowest reference texts that know as many of the words as any."""
        from mtmbench.features.words import all_tokens, tokenise

        wider: tuple[tuple[str, Callable[[], Tokens]], ...] = (
            ("given", lambda: self.tokens),
            (WITH_STOP_WORDS, lambda: tokenise(self.corpus, stop_words=False)),
            (WITH_ALL, lambda: all_tokens(self.corpus)),
        )
        best, fewest = None, -1
        for kept, make in wider:
            reference = self._texts(kept, make)
            unknown = Listing.of(topics, reference).n_unknown
            if best is None or unknown < fewest:
                best, fewest = reference, unknown
            if not unknown:
                break
        assert best is not None
        return best

    def _texts(self, kept: str, make: Callable[[], Tokens]) -> TextReference:
        from mtmbench.features.words import item_splitter

        def reference() -> TextReference:
            tokens = make()
            return TextReference(
                tokens.vocabulary, tokens.sequences, tokens.revision,
                item_splitter(self.corpus),
                None if kept == "given" else kept,
            )  # fmt: skip

        return self.memo(("reference", kept, self.tokens.revision), reference)

    def _features(self, result: TopicResult, window: Window) -> CountsReference | str:
        if window != "document":
            return "features have no order in the text, so there are no windows to count them in"
        counts = self.counts.get("features")
        if counts is None:
            return "the feature counts of the corpus were not given"
        if counts.source.get("sae_hash") != result.items.source.get("sae_hash"):
            return "the feature counts given are of another SAE than the topics"
        return self.memo(("reference", counts.revision), lambda: CountsReference(counts))
