"""The frozen values that flow from corpus to board; every other module speaks in these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from numpy.typing import NDArray

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash
from mtmbench.core.specs import DEFAULT_WORDS, WordSpec

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from mtmbench.core.written import TopicWriter

FloatArray = NDArray[np.float32]
Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
Int32Array = NDArray[np.int32]
BoolArray = NDArray[np.bool_]
AnyArray = NDArray[np.generic]
"""An array of any dtype: what is stored, hashed or looked at before it is converted."""

Progress = Callable[[int, int], None]
"""Called with how many of how many steps are done."""

ItemKind = Literal["words", "features"]
ItemView = Literal["own", "projected"]
"""``own``: the model's own items; ``projected``: words of the corpus, comparable across models."""
VectorView = Literal["embeddings", "word_embeddings"]
ViewName = Literal["words", "features", "embeddings", "word_embeddings"]


@dataclass(frozen=True)
class Corpus:
    """Texts with ids and, where there are any, gold labels.

    Attributes:
        name: the name it was asked for by ("lee", "20ng", a file's stem).
        doc_ids: D unique ids.
        texts: D non-empty texts.
        labels: D gold labels, None for a document without a single label; None if there are none.
        split: D split names ("train", "test"), or None.
        pretokenised: the texts are tokens joined by single spaces and are split on them alone
            (OCTIS corpora); no stop words or other word filters apply.
        n_empty: documents dropped because they held no text.
        n_duplicates: documents whose text repeats an earlier one; kept, and reported.
        source: where it came from, as JSON values (path or package, columns, licence).
        words: how its texts are cut into words, and which of them count.
    """

    name: str
    doc_ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[str | None, ...] | None = None
    split: tuple[str, ...] | None = None
    pretokenised: bool = False
    n_empty: int = 0
    n_duplicates: int = 0
    source: Mapping[str, object] = field(default_factory=dict)
    words: WordSpec = DEFAULT_WORDS

    def __post_init__(self) -> None:
        if not self.texts:
            raise InputError(f"corpus {self.name!r} has no documents")
        for what in ("doc_ids", "labels", "split"):
            column = getattr(self, what)
            if column is not None and len(column) != len(self.texts):
                raise InputError(
                    f"corpus {self.name!r}: {len(column)} {what} for {len(self.texts)} texts"
                )
        if len(set(self.doc_ids)) != len(self.doc_ids):
            raise InputError(f"corpus {self.name!r}: document ids are not unique")

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def first_ids(self) -> dict[str, str]:
        """The id of the first document of each distinct text, in the order of the documents."""
        first: dict[str, str] = {}
        for doc_id, text in zip(self.doc_ids, self.texts, strict=True):
            first.setdefault(text, doc_id)
        return first

    @cached_property
    def revision(self) -> str:
        """Content hash of ids, texts, labels and splits: 32 hex digits."""
        return content_hash(
            list(self.doc_ids),
            list(self.texts),
            None if self.labels is None else list(self.labels),
            None if self.split is None else list(self.split),
            self.pretokenised,
        )

    @property
    def n_labels(self) -> int:
        """Number of distinct gold labels; 0 if there are none."""
        return len({label for label in self.labels or () if label is not None})

    def with_words(self, words: WordSpec) -> Corpus:
        """Returns the same documents, to be cut into words so; their revision is the same."""
        copied = copy(self)
        object.__setattr__(copied, "words", words)
        return copied

    def select(self, rows: Sequence[int] | IntArray, name: str | None = None) -> Corpus:
        """Returns the documents at ``rows``, in that order."""
        index = [int(row) for row in rows]
        return replace(
            self,
            name=name or self.name,
            doc_ids=tuple(self.doc_ids[i] for i in index),
            texts=tuple(self.texts[i] for i in index),
            labels=None if self.labels is None else tuple(self.labels[i] for i in index),
            split=None if self.split is None else tuple(self.split[i] for i in index),
        )


@dataclass(frozen=True)
class EncoderParams:
    """What a frozen SAE encoder computes for a set of features, before TopK or a threshold.

    ``pre(a) = (input_scale · a − subtract) @ weight + bias``.

    Attributes:
        weight: (H, V) f32, encoder columns of the kept features.
        bias: (V,) f32, ``b_enc`` of the kept features.
        subtract: (H,) f32, ``b_dec`` where the SAE subtracts it from its input, else zeros.
        input_scale: scalar by which the SAE scales its input; 1.0 for none.
    """

    weight: FloatArray
    bias: FloatArray
    subtract: FloatArray
    input_scale: float = 1.0

    def select(self, columns: IntArray) -> EncoderParams:
        """Returns the parameters of the features at ``columns``."""
        return replace(self, weight=self.weight[:, columns], bias=self.bias[columns])


@dataclass(frozen=True)
class Counts:
    """How often each item (word or SAE feature) occurs in each document.

    Attributes:
        kind: "words" or "features".
        matrix: csr (D, V) int32, item occurrences; for features eq. 5's ``c_di``.
        n_tokens: (D,) int64, tokens counted over; never the row sums of ``matrix``.
        item_ids: V ids: the word itself, or the feature's index in its SAE as a string.
        item_labels: V descriptions to show; the word itself, or the feature's label.
        source: how it was made, as JSON values: tokenisation, or backbone, hook point, SAE hash,
            thresholds; and under "filters" how many items each filter dropped.
        directions: (V, H) f32 unit decoder rows, or None for words.
        encoder: the SAE's pre-activation for these items, or None for words.
        activation: csr (D, V) f32, mean over the document's tokens of the continuous activation,
            or None.
        crossed: labels from halves of the documents, to show beside documents of the other half.
        weighted: csr (D, V) f64, what models read in place of ``matrix`` where a feature setting
            weighs firings (:mod:`mtmbench.features.weighting`), above zero only where ``matrix``
            is; None where it does not. What counts occurrences reads ``matrix`` all the same.
    """

    kind: ItemKind
    matrix: csr_matrix
    n_tokens: IntArray
    item_ids: tuple[str, ...]
    item_labels: tuple[str, ...]
    source: Mapping[str, object] = field(default_factory=dict)
    directions: FloatArray | None = None
    encoder: EncoderParams | None = None
    activation: csr_matrix | None = None
    crossed: CrossedLabels | None = None
    weighted: csr_matrix | None = None

    def __post_init__(self) -> None:
        n_docs, n_items = self.matrix.shape
        if len(self.item_ids) != n_items or len(self.item_labels) != n_items:
            raise InputError(
                f"{n_items} columns but {len(self.item_ids)} item ids and "
                f"{len(self.item_labels)} item labels"
            )
        if len(self.n_tokens) != n_docs:
            raise InputError(f"{n_docs} rows but {len(self.n_tokens)} token counts")

    @property
    def mass(self) -> csr_matrix:
        """What models read: ``weighted`` where there is any, else the counts."""
        return self.matrix if self.weighted is None else self.weighted

    @property
    def items(self) -> ItemSpace:
        """The columns as an item space, without the counts."""
        return ItemSpace(self.kind, self.item_ids, self.item_labels, self.source, self.crossed)

    @property
    def filters(self) -> Mapping[str, object]:
        """What each item filter dropped, ``source["filters"]``; empty where there was none."""
        held = self.source.get("filters")
        return held if isinstance(held, Mapping) else {}

    @cached_property
    def revision(self) -> str:
        """Content hash of matrix, token counts, items and source; not of what items are called."""
        source = {name: value for name, value in self.source.items() if name != "labels"}
        weighted = () if self.weighted is None else (self.weighted,)
        return content_hash(
            self.kind, self.matrix, self.n_tokens, list(self.item_ids), source, *weighted
        )

    def select_items(
        self, columns: IntArray, filters: Mapping[str, object] | None = None
    ) -> Counts:
        """Returns the items at ``columns``; every column-wise part is filtered together.

        ``filters`` is merged into ``source["filters"]``.
        """
        columns = np.asarray(columns, dtype=np.int64)
        source = dict(self.source)
        if filters is not None:
            source["filters"] = {**self.filters, **filters}
        return replace(
            self,
            matrix=self.matrix[:, columns],
            item_ids=tuple(self.item_ids[i] for i in columns),
            item_labels=tuple(self.item_labels[i] for i in columns),
            source=source,
            directions=None if self.directions is None else self.directions[columns],
            encoder=None if self.encoder is None else self.encoder.select(columns),
            activation=None if self.activation is None else self.activation[:, columns],
            crossed=None if self.crossed is None else self.crossed.select_items(columns),
            weighted=None if self.weighted is None else self.weighted[:, columns],
        )

    def select_docs(self, rows: Sequence[int] | IntArray) -> Counts:
        """Returns the documents at ``rows``, over the same items."""
        index = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            matrix=self.matrix[index],
            n_tokens=self.n_tokens[index],
            activation=None if self.activation is None else self.activation[index],
            crossed=None if self.crossed is None else self.crossed.select_docs(index),
            weighted=None if self.weighted is None else self.weighted[index],
        )


@dataclass(frozen=True)
class CrossedLabels:
    """Labels of V items made from either half of D documents, each to be shown beside the other.

    Attributes:
        halves: one character a document, "0" or "1": the half that it is in.
        of_half: the V labels made from the documents of half "0", and those of half "1".
    """

    halves: str
    of_half: tuple[tuple[str, ...], tuple[str, ...]]

    def beside(self, row: int) -> tuple[str, ...]:
        """Returns the labels that no word of document ``row`` has entered."""
        return self.of_half[1 - int(self.halves[row])]

    def select_items(self, columns: IntArray) -> CrossedLabels:
        """Returns the labels of the items at ``columns``."""
        first, second = (tuple(labels[i] for i in columns) for labels in self.of_half)
        return CrossedLabels(self.halves, (first, second))

    def select_docs(self, rows: IntArray) -> CrossedLabels:
        """Returns the same labels for the documents at ``rows``."""
        return CrossedLabels("".join(self.halves[i] for i in rows), self.of_half)


@dataclass(frozen=True)
class ItemSpace:
    """The items that topics are distributions over.

    ``source`` (for features: backbone, hook point, SAE hash) is how steering finds the
    directions again; its "labels" say where the labels are from. ``crossed`` are labels for display
    beside a document, which ``labels`` are not where they are made from that document too.
    """

    kind: ItemKind
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    source: Mapping[str, object] = field(default_factory=dict)
    crossed: CrossedLabels | None = None

    def labels_beside(self, row: int) -> tuple[str, ...]:
        """Returns the labels to show beside document ``row``."""
        return self.labels if self.crossed is None else self.crossed.beside(row)

    def __len__(self) -> int:
        return len(self.ids)


class Views:
    """What a model is given: the corpus and its views, made when first asked for.

    Each view is a value, None, or a function without arguments that makes it. ``embeddings`` is
    (D, E) f32, unit rows; ``word_embeddings`` (V, E), the items of ``words`` by the same encoder.
    ``writer`` is the judge of models that ask one, None for no judge.
    """

    def __init__(
        self,
        corpus: Corpus,
        words: Counts | Callable[[], Counts | None] | None = None,
        features: Counts | Callable[[], Counts | None] | None = None,
        embeddings: FloatArray | Callable[[], FloatArray | None] | None = None,
        word_embeddings: FloatArray | Callable[[], FloatArray | None] | None = None,
        writer: TopicWriter | None = None,
    ) -> None:
        self.corpus = corpus
        self.writer = writer
        self._words = words
        self._features = features
        self._embeddings = embeddings
        self._word_embeddings = word_embeddings

    @cached_property
    def words(self) -> Counts | None:
        """Word counts, or None where the corpus was given without them."""
        return self._words() if callable(self._words) else self._words

    @cached_property
    def features(self) -> Counts | None:
        """SAE feature counts, or None."""
        return self._features() if callable(self._features) else self._features

    @cached_property
    def embeddings(self) -> FloatArray | None:
        """Document embeddings, (D, E) f32 with unit rows, or None."""
        return self._embeddings() if callable(self._embeddings) else self._embeddings

    @cached_property
    def word_embeddings(self) -> FloatArray | None:
        """Embeddings of the words by the encoder of the documents, (V, E) f32, or None."""
        vectors = self._word_embeddings
        return vectors() if callable(vectors) else vectors

    @overload
    def require(self, view: ItemKind, model: str) -> Counts: ...

    @overload
    def require(self, view: VectorView, model: str) -> FloatArray: ...

    def require(self, view: ViewName, model: str) -> Counts | FloatArray:
        """Returns a view that ``model`` cannot do without.

        Raises:
            InputError: the view is None; the message names model and view.
        """
        value: Counts | FloatArray | None = getattr(self, view)
        if value is None:
            raise InputError(
                f"model {model!r} needs the {view} view of corpus {self.corpus.name!r}, "
                "which was not given"
            )
        return value

    def require_writer(self, model: str) -> TopicWriter:
        """Returns the judge that ``model`` asks.

        Raises:
            InputError: there is none.
        """
        if self.writer is None:
            raise InputError(
                f"model {model!r} asks a judge, and these views of corpus {self.corpus.name!r} "
                "bring none; make them with views(corpus, judge=CARD)"
            )
        return self.writer

    def asking(self, writer: TopicWriter) -> Views:
        """Returns the same views with a judge for models that ask one."""
        return Views(
            self.corpus,
            lambda: self.words,
            lambda: self.features,
            lambda: self.embeddings,
            lambda: self.word_embeddings,
            writer,
        )

    def select_docs(self, rows: Sequence[int] | IntArray) -> Views:
        """Returns the views of the documents at ``rows``, over the same items.

        Each is still made only when it is asked for.
        """
        index = np.asarray(rows, dtype=np.int64)

        def chosen(counts: Counts | None) -> Counts | None:
            return None if counts is None else counts.select_docs(index)

        def embeddings() -> FloatArray | None:
            return None if self.embeddings is None else self.embeddings[index]

        return Views(
            self.corpus.select(index),
            lambda: chosen(self.words),
            lambda: chosen(self.features),
            embeddings,
            lambda: self.word_embeddings,
            self.writer,
        )
