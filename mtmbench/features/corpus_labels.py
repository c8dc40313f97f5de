"""Labels of SAE features from the corpus at hand: the words at which each feature fires there.

A firing stands at the word that its token is in, so that pieces are joined; a feature counts once a
word that it fires in. Words are those of the suite's tokenisation less its stop words, weighed by
class-based TF-IDF with the features as classes (tf_iw firings of feature i at word w, f_w of all
features: mTM paper, eq. 15). A label is the strongest word, and more of them only where features
would else be called alike. A word that stands in the same company three times in four is shown with
it ("Los Angeles").

Labels are made three times: from the whole corpus, and from either half of its documents, so that
what is shown beside a document comes from the other half, which it has no word in. A document is in
the half that a hash of its id says (:func:`halves_of`). Text without spaces between words has no
words here, as in tokenisation: they would be clauses. A feature that fires at no word of a half
keeps the label that the SAE came with.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash
from mtmbench.core.specs import LabelChoice, WordSpec
from mtmbench.core.types import (
    BoolArray,
    Corpus,
    Counts,
    CrossedLabels,
    Int32Array,
    IntArray,
    ItemSpace,
    Progress,
)
from mtmbench.corpora.halves import halves_of
from mtmbench.features.base import FeatureSource, Firings, FiringSource
from mtmbench.features.cache import Arrays, cached
from mtmbench.features.stop_words import StopWords, is_default, stop_words_of
from mtmbench.features.tokenisers import WordSpan, tokeniser_of
from mtmbench.features.unicode_text import fold, is_unspaced
from mtmbench.features.words import (
    DEFAULT_WORDS,
    TOKENISATION_VERSION,
    check_spaces,
    identity_of,
)
from mtmbench.stats.tfidf import class_rarity

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

CORPUS_LABELS_VERSION = 1
"""Raised whenever the same firings may give other labels."""

MOST_WORDS = 3
"""Words of a label at most."""

_COMPANY, _LEAST_TOGETHER = 0.75, 3
"""A word is shown with its neighbour if they stand together in this share of its places, and in so
many at least."""


@dataclass(frozen=True)
class CorpusLabels:
    """Labels of the features of an SAE by number; one that fires at no word is left out.

    Attributes:
        whole: from all documents.
        of_half: from the documents of half "0" and of half "1".
        halves: one character a document, the half that it is in.
        kept: features that get none because theirs is a judge's.
    """

    whole: Mapping[int, str]
    of_half: tuple[Mapping[int, str], Mapping[int, str]]
    halves: str
    kept: frozenset[int] = frozenset()

    def name_items(self, items: ItemSpace, source: Mapping[str, object]) -> ItemSpace:
        """Returns the items under these labels; an item without one keeps its own, and so do words.

        Args:
            items: features of the SAE, or the words of a model that reads features too.
            source: what is on record of the labels, under ``source["labels"]``.
        """
        if items.kind != "features":
            return items
        first, second = (_named(items, labels) for labels in self.of_half)
        return replace(
            items,
            labels=_named(items, self.whole),
            source={**items.source, "labels": dict(source)},
            crossed=CrossedLabels(self.halves, (first, second)),
        )

    def name_counts(self, counts: Counts, source: Mapping[str, object]) -> Counts:
        """Returns counts whose items are called so; see :meth:`name_items`."""
        items = self.name_items(counts.items, source)
        return replace(counts, item_labels=items.labels, source=items.source, crossed=items.crossed)

    def beside(self, row: int, feature: int) -> str | None:
        """Returns what a feature is called beside document ``row``; None without a label."""
        return self.of_half[1 - int(self.halves[row])].get(feature)

    def missing(self, items: ItemSpace) -> list[int]:
        """Returns how many features fire at no word: of all documents, and of each half.

        Those that keep a judged label are none of them.
        """
        if items.kind != "features":
            return [0, 0, 0]
        asked = [i for i in map(int, items.ids) if i not in self.kept]
        return [sum(i not in labels for i in asked) for labels in self._all]

    def without(self, features: Collection[int]) -> CorpusLabels:
        """Returns the labels of all other features; these keep the ones they have."""
        whole, first, second = (
            {feature: label for feature, label in labels.items() if feature not in features}
            for labels in self._all
        )
        return CorpusLabels(whole, (first, second), self.halves, self.kept | frozenset(features))

    def to_json(self) -> dict[str, object]:
        """Returns everything as JSON values."""
        whole, first, second = ([[*pair] for pair in labels.items()] for labels in self._all)
        told = {"whole": whole, "of_half": [first, second], "halves": self.halves}
        return {**told, "kept": sorted(self.kept)} if self.kept else told

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CorpusLabels:
        """Reads what :meth:`to_json` returned."""
        whole, first, second = (
            {int(number): str(label) for number, label in pairs}
            for pairs in (data["whole"], *data["of_half"])
        )
        kept = frozenset(map(int, data.get("kept", ())))
        return cls(whole, (first, second), str(data["halves"]), kept)

    @property
    def _all(self) -> tuple[Mapping[int, str], ...]:
        return self.whole, *self.of_half


@dataclass(frozen=True, eq=False)
class LabelPlan:
    """How the features of a source are labelled from a corpus.

    Attributes:
        source: says where features fire, above their thresholds.
        setting: one of its settings.
        max_tokens: documents are cut to this many tokens.
        words: what cuts the texts into words, and which of these enter no label.
        kept: features that keep the labels they have.
    """

    source: FiringSource
    setting: str
    max_tokens: int | None
    words: WordSpec
    kept: frozenset[int] = frozenset()

    @property
    def described(self) -> dict[str, object]:
        """What is on record of the labels."""
        told: dict[str, object] = {
            "source": "corpus",
            "version": CORPUS_LABELS_VERSION,
            "tokenisation": TOKENISATION_VERSION,
            "stop_words": stop_words_of(self.words.stop_words, self.words.language)[1],
        }
        identity = identity_of(self.words)
        told |= {name: identity[name] for name in ("language", "tokeniser") if name in identity}
        if self.kept:
            told["judged"] = len(self.kept)
        return told

    def key(self, corpus: Corpus) -> str:
        """Returns a content hash of all that the labels depend on."""
        return content_hash(
            self.described, sorted(self.kept), self.source.describe(self.setting),
            self.max_tokens, corpus.revision,
        )  # fmt: skip

    def make(self, corpus: Corpus, progress: Progress | None = None) -> CorpusLabels:
        """Returns the labels from a corpus; they are kept on disk.

        Raises:
            UnknownNameError: there is no such setting.
            InputError: no document has a token, or there is no such list of stop words.
        """

        def make() -> Arrays:
            firings = self.source.firings(
                corpus, setting=self.setting, max_tokens=self.max_tokens, progress=progress
            )
            labels = label_firings(corpus.with_words(self.words), firings).without(self.kept)
            return {"labels": np.frombuffer(json.dumps(labels.to_json()).encode(), np.uint8)}

        held = cached("corpus-labels", self.key(corpus), make)["labels"].tobytes()
        return CorpusLabels.from_json(json.loads(held))


def label_plan(
    source: FeatureSource,
    choice: LabelChoice,
    *,
    setting: str = "default",
    max_tokens: int | None = None,
    words: WordSpec = DEFAULT_WORDS,
) -> LabelPlan | None:
    """Returns how features are labelled from a corpus; None where they keep all their labels.

    Args:
        source: the feature source.
        choice: "shipped" keeps them; "corpus" does not; "auto" keeps those that a language model
            wrote and a judge scored, and all where the source does not tell where features fire.
        setting: one of the source's settings.
        max_tokens: documents are cut to this many tokens.
        words: what cuts the corpus into words, and which of these enter no label.

    Raises:
        InputError: "corpus" is asked of a source that does not tell where features fire.
    """
    if choice == "shipped":
        return None
    if not isinstance(source, FiringSource):
        if choice == "auto":
            return None
        raise InputError(
            f'labels = "corpus", but feature source {source.name!r} does not say where its '
            'features fire (it is no FiringSource); labels = "shipped" are those that it gives'
        )
    scored = None if choice == "corpus" else source.scored_labels(setting)
    if scored is not None and scored.all():
        return None
    kept = frozenset() if scored is None else frozenset(np.flatnonzero(scored).tolist())
    return LabelPlan(source, setting, max_tokens, words, kept)


def label_firings(
    corpus: Corpus, firings: Iterable[Firings], stop_words: StopWords | None = None
) -> CorpusLabels:
    """Returns labels from firings, in any order and any number of parts.

    Args:
        corpus: the documents.
        firings: where features fire.
        stop_words: words that enter no label; None takes those of the corpus's own settings.
    """
    words = _Words.of(corpus, stop_words)
    halves = halves_of(corpus)
    second = np.array([half == "1" for half in halves])
    counts = _count(words, second, firings)
    in_second = second[words.documents]
    first_labels, second_labels = (
        _labels(counts[half], words, in_second == bool(half)) for half in (0, 1)
    )
    whole = _labels(counts[0] + counts[1], words, np.ones(len(in_second), bool))
    return CorpusLabels(whole, (first_labels, second_labels), halves)


@dataclass(frozen=True, eq=False)
class _Words:
    """The N words of a corpus where they stand, in order.

    Attributes:
        documents: (N,) the word's document.
        starts, ends: (N,) where it stands, counted through all texts.
        words: (N,) index into ``vocabulary``.
        spellings: (N,) index into ``spelled``.
        vocabulary: the words, sorted.
        spelled: how they are written, sorted.
        dropped: (V,) whether a word is a stop word.
        begins: (D,) where each text begins.
        joined: (N,) whether nothing but one space or hyphen is between a word and the next one.
    """

    documents: IntArray
    starts: IntArray
    ends: IntArray
    words: Int32Array
    spellings: Int32Array
    vocabulary: tuple[str, ...]
    spelled: tuple[str, ...]
    dropped: BoolArray
    begins: IntArray
    joined: BoolArray

    @classmethod
    def of(cls, corpus: Corpus, stop_words: StopWords | None) -> _Words:
        stop_words = corpus.words.stop_words if stop_words is None else stop_words
        drop, _ = stop_words_of(stop_words, corpus.words.language)
        if corpus.pretokenised and is_default(stop_words):
            drop = frozenset()
        lengths = [len(text) + 1 for text in corpus.texts]
        begins = np.concatenate([[0], np.cumsum(lengths)])[:-1].astype(np.int64)
        rows: list[tuple[int, int, int, str, str, bool]] = []
        by_text = zip(corpus.texts, _spans(corpus), strict=True)
        for document, (text, spans) in enumerate(by_text):
            begin = int(begins[document])
            follow = [start for start, _, _ in spans[1:]] + [0] * bool(spans)
            rows += [
                (
                    document, begin + start, begin + end, word,
                    _spelling(text[start:end], word), text[end:after] in (" ", "-"),
                )
                for (start, end, word), after in zip(spans, follow, strict=True)
            ]  # fmt: skip
        documents, starts, ends, words, spellings, joined = (
            zip(*rows, strict=True) if rows else ((),) * 6
        )
        vocabulary, spelled = sorted(set(words)), sorted(set(spellings))
        of_word = {word: i for i, word in enumerate(vocabulary)}
        of_spelling = {word: i for i, word in enumerate(spelled)}
        return cls(
            np.array(documents, np.int64), np.array(starts, np.int64), np.array(ends, np.int64),
            np.array([of_word[word] for word in words], np.int32),
            np.array([of_spelling[word] for word in spellings], np.int32),
            tuple(vocabulary), tuple(spelled),
            np.array([word in drop or fold(word) in drop for word in vocabulary], bool),
            begins, np.array(joined, bool),
        )  # fmt: skip

    def at(self, firings: Firings) -> IntArray:
        """Returns the word that each firing stands at, −1 for none: the last one it reaches."""
        begins = self.begins[firings.documents]
        place = np.searchsorted(self.starts, begins + firings.ends) - 1
        # A token without characters reaches no word, and none that ends before it begins.
        reached = (place >= 0) & (firings.ends > firings.starts)
        reached[reached] &= self.ends[place[reached]] > (begins + firings.starts)[reached]
        return np.where(reached, place, -1)

    def companions(self, inside: BoolArray) -> dict[int, tuple[int, int]]:
        """Maps a word to the two words that it is shown as, itself among them."""
        n = len(self.vocabulary)
        total = np.bincount(self.words[inside], minlength=n)
        pairs = np.flatnonzero(self.joined & inside)
        pairs = pairs[~self.dropped[self.words[pairs]] & ~self.dropped[self.words[pairs + 1]]]
        keys = self.words[pairs].astype(np.int64) * n + self.words[pairs + 1]
        both, times = np.unique(keys, return_counts=True)
        found: dict[int, tuple[int, tuple[int, int]]] = {}
        for pair, count in zip(both.tolist(), times.tolist(), strict=True):
            first, second = divmod(pair, n)
            if first == second or count < _LEAST_TOGETHER:
                continue
            for word in (first, second):
                if count >= _COMPANY * total[word] and count > found.get(word, (0, ()))[0]:
                    found[word] = (count, (first, second))
        return {word: pair for word, (_, pair) in found.items()}

    def spelling(self, inside: BoolArray) -> list[str]:
        """Returns how each word is written most often; the first in order of those."""
        n = len(self.spelled)
        keys = self.words[inside].astype(np.int64) * n + self.spellings[inside]
        both, times = np.unique(keys, return_counts=True)
        best = [""] * len(self.vocabulary)
        most: Counter[int] = Counter()
        for pair, count in zip(both.tolist(), times.tolist(), strict=True):
            word, spelling = divmod(pair, n)
            if count > most[word]:
                most[word], best[word] = count, self.spelled[spelling]
        return best


def _count(
    words: _Words, second: BoolArray, firings: Iterable[Firings]
) -> tuple[csr_matrix, csr_matrix]:
    """Counts the words that features fire in, apart for the documents of each half: (F, V) f64."""
    from scipy.sparse import coo_matrix, csr_matrix

    n_words, n_places = len(words.vocabulary), max(1, len(words.words))
    total: list[csr_matrix] | None = None
    for part in firings:
        place = words.at(part)
        hit = np.flatnonzero(place >= 0)
        hit = hit[~words.dropped[words.words[place[hit]]]]
        once = np.unique(part.features[hit].astype(np.int64) * n_places + place[hit])
        features, places = np.divmod(once, n_places)
        late = second[words.documents[places]]
        found = [
            coo_matrix(
                (np.ones(int(of.sum())), (features[of], words.words[places[of]])),
                shape=(part.n_features, n_words),
            ).tocsr()
            for of in (~late, late)
        ]
        total = found if total is None else [a + b for a, b in zip(total, found, strict=True)]
    if total is None:
        return csr_matrix((1, n_words)), csr_matrix((1, n_words))
    return total[0], total[1]


def _labels(counts: csr_matrix, words: _Words, inside: BoolArray) -> dict[int, str]:
    """Labels every feature that has counts, from the words that are ``inside``."""
    if not counts.nnz:
        return {}
    rarity = class_rarity(np.asarray(counts.sum(axis=0), np.float64).ravel(), counts.shape[0])
    companions, spelling = words.companions(inside), words.spelling(inside)
    ranked: dict[int, list[tuple[int, ...]]] = {}
    for feature in np.flatnonzero(np.diff(counts.indptr)).tolist():
        row = slice(counts.indptr[feature], counts.indptr[feature + 1])
        columns = counts.indices[row]
        order = np.lexsort((columns, -(counts.data[row] * rarity[columns])))
        shown: list[tuple[int, ...]] = []
        told: set[int] = set()
        for word in columns[order].tolist():
            if len(shown) == MOST_WORDS:
                break
            part = companions.get(word, (word,))
            if told.isdisjoint(part):
                shown.append(part)
                told.update(part)
        ranked[feature] = shown
    length = dict.fromkeys(ranked, 1)
    for _ in range(MOST_WORDS - 1):
        named = {feature: tuple(ranked[feature][:n]) for feature, n in length.items()}
        alike = Counter(named.values())
        for feature, name in named.items():
            if alike[name] > 1:
                length[feature] += 1
    return {
        feature: ", ".join(
            " ".join(spelling[word] for word in part) for part in parts[: length[feature]]
        )
        for feature, parts in ranked.items()
    }


def _spans(corpus: Corpus) -> Iterator[Sequence[WordSpan]]:
    """Yields the words of each text; none where they cannot be told apart, as in tokenisation."""
    if corpus.pretokenised:
        yield from map(_given, corpus.texts)
        return
    try:
        unspaced = set(check_spaces(corpus))
    except InputError:
        yield from ([] for _ in corpus.texts)
        return
    tokeniser = tokeniser_of(corpus.words)
    for row, text in enumerate(corpus.texts):
        spans = tokeniser.spans(text)
        yield [s for s in spans if not is_unspaced(s[2])] if row in unspaced else spans


def _given(text: str) -> list[WordSpan]:
    """Words of a pre-tokenised text."""
    found, start = [], 0
    for token in text.split(" "):
        if token:
            found.append((start, start + len(token), token))
        start += len(token) + 1
    return found


@lru_cache(maxsize=200_000)
def _spelling(written: str, word: str) -> str:
    """Returns a word as it is written, without what is cut off at an apostrophe."""
    for end in range(len(written), 0, -1):
        if fold(written[:end]) == word:
            return written[:end]
    return word


def _named(items: ItemSpace, labels: Mapping[int, str]) -> tuple[str, ...]:
    return tuple(
        labels.get(int(item), own) for item, own in zip(items.ids, items.labels, strict=True)
    )
