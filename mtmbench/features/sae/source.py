"""Feature sources over an activation store: any backbone with any SAEs, under named settings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.serialise import content_hash
from mtmbench.core.types import BoolArray, Corpus, Counts, FloatArray, Progress
from mtmbench.features.base import Firings, FiringSource, TokenContext, TopFeature
from mtmbench.features.cache import cache_dir, cached, pack_matrix, unpack_matrix
from mtmbench.features.filters import FeatureSetting, apply_filters
from mtmbench.features.labels import CLASSES, class_words
from mtmbench.features.sae.activation_store import ActivationStore, CountStore, ShardStore
from mtmbench.features.sae.backbone import BATCH_TOKENS, Backbone
from mtmbench.features.sae.extract import (
    EXTRACTION_VERSION,
    Cuts,
    Probe,
    TokenisedTexts,
    extract_shard,
    fill_stores,
    tokenise_texts,
)
from mtmbench.features.sae.sae_folder import SHIPPED, SAEFolder, setting_from
from mtmbench.features.sae.shards import Shard
from mtmbench.features.weighting import weigh

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_CONTEXT_TOKENS = 12


class StoredFeatures(FiringSource):
    """Counts from the activation store of a corpus, made where there is none.

    One forward pass over a corpus serves all SAEs, and all settings of each. Several processes that
    ask for the same corpus share the work, shard by shard; a killed one loses at most a shard.

    Args:
        settings: further settings by name: any of ``sae`` (else the one of "default"),
            ``threshold_quantile``, ``max_doc_share``, ``max_density_multiple``, ``max_density``,
            ``drop_label_classes``, ``min_label_score``, ``values``, ``idf``, over that SAE's
            default (:class:`FeatureSetting`); a filter given as false is off.
        batch_tokens: padded tokens of one forward pass.
        keep: "activations" of every token, or only "counts" at the settings' thresholds, which
            takes a small part of the disk and needs another forward pass for another threshold.
    """

    def __init__(
        self,
        settings: Mapping[str, Mapping[str, object]] | None = None,
        batch_tokens: int = BATCH_TOKENS,
        keep: str = "activations",
    ) -> None:
        if keep not in ("activations", "counts"):
            raise UnknownNameError("keep", keep, ("activations", "counts"))
        self._further = dict(settings or {})
        self._batch_tokens = batch_tokens
        self._keep = keep
        self._folders: dict[str, SAEFolder] = {}

    @property
    @abstractmethod
    def backbone(self) -> Backbone:
        """The language model."""

    @abstractmethod
    def sae_names(self) -> list[str]:
        """Returns the names of the SAEs; the first is that of "default"."""

    @abstractmethod
    def load_folder(self, name: str) -> SAEFolder:
        """Loads the SAE of this name; it is asked for once."""

    def first_settings(self) -> dict[str, NamedSetting]:
        """Returns the settings that there are without any given by the user, "default" first."""
        default = self.folder(self.sae_names()[0])
        return {name: NamedSetting(default, default.setting(name)) for name in default.settings}

    def settings(self) -> list[str]:
        """Returns the names of the settings, "default" first."""
        return list(self._settings)

    def saes(self) -> dict[str, dict[str, object]]:
        """Returns hook point, layer, width and window of each SAE by name, for studies."""
        found: dict[str, dict[str, object]] = {}
        for name in self.sae_names():
            folder = self.folder(name)
            found[name] = {
                "hook_point": folder.hook_point,
                "layer": layer_of(folder.hook_point),
                "width": folder.sae.n_features,
                "window": folder.window,
            }
        return found

    def folder(self, name: str) -> SAEFolder:
        """Returns the SAE of this name.

        Raises:
            UnknownNameError: there is none.
        """
        if name not in self._folders:
            if name not in self.sae_names():
                raise UnknownNameError(f"SAE of {self.name!r}", name, self.sae_names())
            self._folders[name] = self.load_folder(name)
        return self._folders[name]

    def folder_of(self, sae_hash: str) -> SAEFolder:
        """Returns the SAE of this content hash.

        Raises:
            InputError: none of the source's SAEs has it.
        """
        for name in self.sae_names():
            folder = self.folder(name)
            if folder.sae.revision == sae_hash:
                return folder
        raise InputError(
            f"feature source {self.name!r} has no SAE with hash {sae_hash!r}; it has "
            + ", ".join(f"{name}: {self.folder(name).sae.revision}" for name in self.sae_names())
        )

    def scored_labels(self, setting: str = "default") -> BoolArray | None:
        """Returns which labels a model wrote and a judge scored; see :class:`FeatureSource`."""
        folder = self._named(setting).folder
        if folder.label_scores is None or folder.label_source["source"] == SHIPPED:
            return None
        scored: BoolArray = ~np.isnan(folder.label_scores)
        return scored

    def label_scores(self, setting: str = "default") -> FloatArray | None:
        """Returns a judge's scores of the labels; see :class:`FeatureSource`."""
        return self._named(setting).folder.label_scores

    def at_hand(
        self,
        what: Literal["counts", "firings"],
        corpus: Corpus,
        *,
        setting: str = "default",
        max_tokens: int | None = None,
    ) -> bool:
        """Returns whether every shard of the corpus is there, so that no text is read again.

        Where only counts are kept, they do not say where features fire.
        """
        if what == "firings" and self._keep == "counts":
            return False
        tokens = tokenise_texts(corpus.texts, self.backbone, max_tokens)
        return not self._store(corpus, tokens, self._named(setting).folder, max_tokens).missing()

    def describe(self, setting: str = "default") -> dict[str, object]:
        """Returns backbone, hook point, SAE and its hash, window, threshold and filter limits."""
        named = self._named(setting)
        folder, chosen = named.folder, named.setting
        return {
            **self.backbone.describe(),
            "hook_point": folder.hook_point,
            "sae": folder.name,
            "sae_hash": folder.sae.revision,
            "sae_folder_hash": folder.revision_under(chosen),
            "window": folder.window,
            "centred": folder.centred,
            "threshold": {
                "quantile": chosen.threshold_quantile,
                "estimated_on": folder.estimated_on,
            },
            "chunk_tokens": folder.chunk_tokens,
            "filter_limits": chosen.limits,
            **({"weighting": chosen.weighting} if chosen.weighting else {}),
            "label_classes": content_hash({name: class_words(name) for name in CLASSES}),
            "values": "float16",
            "extraction": EXTRACTION_VERSION,
        }

    def counts(
        self,
        corpus: Corpus,
        *,
        setting: str = "default",
        max_tokens: int | None = None,
        progress: Progress | None = None,
    ) -> Counts:
        """Returns the counts of a corpus; see :meth:`FeatureSource.counts`.

        ``source`` is :meth:`describe` with the token limit, what it cut, and under "filters" what
        each filter did.
        """
        named = self._named(setting)
        folder = named.folder
        tokens, store = self.filled_store(
            corpus, setting=setting, max_tokens=max_tokens, progress=progress
        )
        thresholds = folder.thresholds(named.setting.threshold_quantile)
        shape = (len(corpus), folder.sae.n_features)
        counted = cached(
            "counts", content_hash(store.key, thresholds),
            lambda: pack_matrix("counts", store.counts([thresholds])[0]),
        )  # fmt: skip
        means = cached(
            "mean-activations", store.key, lambda: pack_matrix("mean", store.mean_activation())
        )
        n_chunks = -(-tokens.n_tokens // folder.chunk_tokens)
        whole = Counts(
            kind="features",
            matrix=unpack_matrix(counted, "counts", shape),
            n_tokens=tokens.n_tokens,
            item_ids=tuple(str(i) for i in range(folder.sae.n_features)),
            item_labels=folder.labels or tuple(f"feature {i}" for i in range(shape[1])),
            source={
                **self.describe(setting),
                "max_tokens": max_tokens,
                "labels": folder.label_source,
                "tokens": {
                    "counted": int(tokens.n_tokens.sum()),
                    "dropped": int(tokens.n_dropped.sum()),
                    "documents_cut": int((tokens.n_dropped > 0).sum()),
                    "documents_empty": int((tokens.n_tokens == 0).sum()),
                    "documents_in_chunks": int((n_chunks > 1).sum()),
                    "chunks": int(n_chunks.sum()),
                },
            },
            directions=folder.sae.directions,
            encoder=folder.sae.encoder,
            activation=unpack_matrix(means, "mean", shape),
        )
        filtered = apply_filters(
            whole, folder.density, named.setting, label_scores=folder.label_scores,
            label_classes=folder.label_classes,
        )  # fmt: skip
        if not named.setting.weighting:
            return filtered
        sums = None
        if named.setting.values == "sums":
            kept = np.array([int(feature) for feature in filtered.item_ids])
            sums = self._sums(store, thresholds, shape)[:, kept]
        return weigh(filtered, sums=sums, idf=named.setting.idf)

    def top_activations(
        self,
        corpus: Corpus,
        rows: Sequence[int],
        *,
        setting: str = "default",
        max_tokens: int | None = None,
        n_features: int = 5,
        n_contexts: int = 3,
        progress: Progress | None = None,
    ) -> list[list[TopFeature]]:
        """Returns each document's top features with the places where they are strongest.

        See :meth:`LocatingSource.top_activations`.

        Raises:
            InputError: only counts are kept, which do not say where in a document a feature fires.
        """
        if self._keep == "counts":
            raise InputError("keep = 'counts' does not say where features fire; keep activations")
        counts = self.counts(corpus, setting=setting, max_tokens=max_tokens, progress=progress)
        tokens, store = self.filled_store(corpus, setting=setting, max_tokens=max_tokens)
        assert isinstance(store, ActivationStore)
        weights = counts.matrix.astype(np.float32)
        weights.data *= _rarity(counts.matrix)[weights.indices]
        found: dict[int, list[TopFeature]] = {}
        for number, (first, last) in enumerate(store.shards):
            wanted = [row for row in rows if first <= row < last]
            shard = store.read(number) if wanted else None
            for row in wanted:
                assert shard is not None
                line = weights[[row]]
                best = np.lexsort((line.indices, -line.data))[:n_features]
                found[row] = [
                    TopFeature(
                        feature=int(counts.item_ids[column]),
                        label=counts.item_labels[column],
                        count=int(counts.matrix[row, column]),
                        contexts=self._contexts(
                            tokens, shard, row, int(counts.item_ids[column]), n_contexts
                        ),
                    )
                    for column in line.indices[best].tolist()
                ]
        return [found[row] for row in rows]

    def firings(
        self,
        corpus: Corpus,
        *,
        setting: str = "default",
        max_tokens: int | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Firings]:
        """Yields firings shard by shard; see :meth:`FiringSource.firings`.

        Of a store that keeps counts alone the texts are read through the model again, a shard at a
        time. Counts of words by feature would need no such pass, and take 65 to 86 % of the room of
        the activations (on Lee news and the Wikipedia sample).
        """
        named = self._named(setting)
        thresholds = named.folder.thresholds(named.setting.threshold_quantile)
        tokens, store = self.filled_store(
            corpus, setting=setting, max_tokens=max_tokens, progress=progress
        )
        cuts = Cuts(named.folder.chunk_tokens, max_tokens, self._batch_tokens)
        for number, (first, last) in enumerate(store.shards):
            if isinstance(store, ActivationStore):
                shard = store.read(number)
            else:
                probes = [_probe(named.folder)]
                shard = extract_shard(tokens, first, last, self.backbone, probes, cuts)[0]
            above = np.flatnonzero(shard.values.astype(np.float32) > thresholds[shard.features])
            token = np.repeat(np.arange(len(shard.documents)), np.diff(shard.starts))[above]
            lengths = tokens.n_tokens[first:last].tolist()
            spans = np.concatenate(
                [
                    span[:length]
                    for span, length in zip(
                        self.backbone.spans(corpus.texts[first:last]), lengths, strict=True
                    )
                ]
            )
            yield Firings(
                shard.documents[token].astype(np.int64), spans[token, 0], spans[token, 1],
                shard.features[above].astype(np.int64), store.n_features,
                shard.values[above].astype(np.float32),
            )  # fmt: skip

    def prepare(
        self,
        corpus: Corpus,
        *,
        setting: str = "default",
        max_tokens: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Makes shards of the corpus's store, until every one is there."""
        self.filled_store(corpus, setting=setting, max_tokens=max_tokens, progress=progress)

    def filled_store(
        self,
        corpus: Corpus,
        *,
        setting: str = "default",
        max_tokens: int | None = None,
        progress: Progress | None = None,
    ) -> tuple[TokenisedTexts, ShardStore]:
        """Returns a corpus's tokens and the store of a setting's SAE, with every shard there."""
        tokens = tokenise_texts(corpus.texts, self.backbone, max_tokens)
        folder = self._named(setting).folder
        return tokens, self._filled(corpus, tokens, folder, max_tokens, progress)

    def _sums(
        self, store: ShardStore, thresholds: FloatArray, shape: tuple[int, int]
    ) -> csr_matrix:
        """(D, F) f64 sums of activations over the tokens that are counted."""
        kept = cached(
            "sums", content_hash(store.key, thresholds),
            lambda: pack_matrix("sums", store.sums(thresholds)),
        )  # fmt: skip
        return unpack_matrix(kept, "sums", shape)

    def _contexts(
        self, tokens: TokenisedTexts, shard: Shard, row: int, feature: int, n_contexts: int
    ) -> tuple[TokenContext, ...]:
        (ids,) = tokens.documents(row, row + 1)
        low, high = np.searchsorted(shard.documents, [row, row + 1])
        begin, end = shard.starts[low], shard.starts[high]
        here = begin + np.flatnonzero(shard.features[begin:end] == feature)
        strongest = here[np.argsort(-shard.values[here].astype(np.float32), kind="stable")]
        contexts = []
        for entry in strongest[:n_contexts].tolist():
            at = int(np.searchsorted(shard.starts, entry, side="right")) - 1 - int(low)
            contexts.append(
                TokenContext(
                    before=self.backbone.decode(ids[max(0, at - _CONTEXT_TOKENS) : at]),
                    token=self.backbone.decode(ids[at : at + 1]),
                    after=self.backbone.decode(ids[at + 1 : at + 1 + _CONTEXT_TOKENS]),
                    value=float(shard.values[entry]),
                )
            )
        return tuple(contexts)

    @cached_property
    def _settings(self) -> dict[str, NamedSetting]:
        known = self.first_settings()
        for name, given in self._further.items():
            folder = self.folder(str(given.get("sae", self.sae_names()[0])))
            values = {key: value for key, value in given.items() if key != "sae"}
            setting = setting_from(values, folder.setting("default"), f"feature setting {name!r}")
            folder.thresholds(setting.threshold_quantile)
            if setting.drop_label_classes and folder.labels is None:
                raise InputError(
                    f"feature setting {name!r} drops label classes, but SAE {folder.name!r} has no "
                    "labels; build a folder with `mtmbench features`"
                )
            known[name] = NamedSetting(folder, setting)
        return known

    def _named(self, setting: str) -> NamedSetting:
        if setting not in self._settings:
            raise UnknownNameError("feature setting", setting, self._settings)
        return self._settings[setting]

    def _filled(
        self,
        corpus: Corpus,
        tokens: TokenisedTexts,
        folder: SAEFolder,
        max_tokens: int | None,
        progress: Progress | None,
    ) -> ShardStore:
        """Returns the store of one SAE; makes what is missing of it and of those beside it."""
        together = {
            named.folder.name: named.folder
            for named in self._settings.values()
            if named.folder.chunk_tokens == folder.chunk_tokens
        }
        stores = {
            name: self._store(corpus, tokens, other, max_tokens) for name, other in together.items()
        }
        cuts = Cuts(folder.chunk_tokens, max_tokens, self._batch_tokens)
        probes = {name: _probe(other) for name, other in together.items()}
        fill_stores(stores, probes, tokens, self.backbone, cuts, progress)
        return stores[folder.name]

    def _store(
        self, corpus: Corpus, tokens: TokenisedTexts, folder: SAEFolder, max_tokens: int | None
    ) -> ShardStore:
        identity = {
            **self.backbone.describe(),
            "sae_hash": folder.sae.revision,
            "hook_point": folder.hook_point,
            "window": folder.window,
            "centred": folder.centred,
            "chunk_tokens": folder.chunk_tokens,
            "batch_tokens": self._batch_tokens,
            "max_tokens": max_tokens,
            "texts": content_hash(list(corpus.texts)),
            "extraction": EXTRACTION_VERSION,
        }
        place, n_features = cache_dir() / self._keep, folder.sae.n_features
        if self._keep == "activations":
            place /= content_hash(identity)
            return ActivationStore(place, identity, n_features, tokens.n_tokens)
        levels = {
            named.setting.threshold_quantile
            for named in self._settings.values()
            if named.folder is folder
        }
        thresholds = np.stack([folder.thresholds(level) for level in sorted(levels)])
        place /= content_hash(identity, thresholds)
        return CountStore(place, identity, n_features, tokens.n_tokens, thresholds)


@dataclass(frozen=True, eq=False)
class NamedSetting:
    """A setting and the SAE that it is of."""

    folder: SAEFolder
    setting: FeatureSetting


def _probe(folder: SAEFolder) -> Probe:
    return Probe(folder.sae, folder.hook_point, folder.window, folder.centred)


def layer_of(hook_point: str) -> int | None:
    """Returns the number of the block that a hook name of TransformerLens is in, else None."""
    parts = hook_point.split(".")
    return int(parts[1]) if parts[0] == "blocks" and parts[1].isdigit() else None


def _rarity(matrix: csr_matrix) -> FloatArray:
    """(V,) log of documents over documents that an item is in."""
    n_docs = np.maximum(np.bincount(matrix.indices, minlength=matrix.shape[1]), 1)
    rarity: FloatArray = np.log(matrix.shape[0] / n_docs).astype(np.float32)
    return rarity
