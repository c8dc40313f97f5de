"""What an SAE's features do on a reference text: thresholds, densities, contexts, keyless labels.

The reference's activations are streamed once from their store, shard after shard; what is kept at
a time are sketches of the quantiles and a few contexts a feature.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import write_atomically
from mtmbench.core.types import Corpus, Float64Array, FloatArray, IntArray, Progress
from mtmbench.features.filters import FeatureSetting
from mtmbench.features.labels import DEFAULT_CLASSES, PAPER_CLASSES
from mtmbench.features.sae.activation_store import ActivationStore
from mtmbench.features.sae.backbone import Backbone
from mtmbench.features.sae.contexts import CONTEXTS_FILE, Context, FeatureContexts, RandomContext
from mtmbench.features.sae.extract import TokenisedTexts
from mtmbench.features.sae.quantiles import DEFAULT_K, QuantileSketch, estimate_error
from mtmbench.features.sae.sae import save_sae
from mtmbench.features.sae.sae_config import SAEMetadata
from mtmbench.features.sae.sae_folder import SAEFolder
from mtmbench.features.sae.shards import Shard
from mtmbench.features.sae.source import StoredFeatures

LEVELS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
REFERENCE_TOKENS = 1_000_000
N_STRONGEST, N_SAMPLED, N_RANDOM = 30, 20, 300
WINDOW_TOKENS = 24
"""Tokens on each side of a context's middle one."""

_DRAWN = 2 * N_SAMPLED
"""Some of the sampled contexts fall into documents of the strongest ones and are left out."""
_TOKENISED_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class Places:
    """Tokens on which features fire: feature, document, token in the document, value, priority."""

    feature: IntArray
    document: IntArray
    token: IntArray
    value: FloatArray
    priority: Float64Array

    def take(self, index: IntArray) -> Places:
        """Returns the places at ``index``."""
        return Places(
            self.feature[index], self.document[index], self.token[index], self.value[index],
            self.priority[index],
        )  # fmt: skip

    def joined(self, other: Places) -> Places:
        """Returns these places and the other's."""
        mine, theirs = vars(self), vars(other)
        return Places(**{name: np.concatenate([mine[name], theirs[name]]) for name in mine})


@dataclass(frozen=True, eq=False)
class ReferenceStatistics:
    """What a pass over a reference text found.

    Attributes:
        quantiles: (F, Q) f32, quantiles at ``LEVELS`` of each feature's activations above zero;
            level 0 is 0.
        density: (F,) f32, share of tokens on which each feature fires.
        strongest: each feature's strongest places, at most one a document.
        sampled: a uniform sample of its documents, in each a uniform one of its places.
        n_tokens: tokens passed over.
    """

    quantiles: FloatArray
    density: FloatArray
    strongest: Places
    sampled: Places
    n_tokens: int


def draw_reference(corpus: Corpus, backbone: Backbone, n_tokens: int, seed: int) -> Corpus:
    """Returns documents in a random order until they have ``n_tokens``, or all of them.

    Raises:
        InputError: the number is not positive.
    """
    if n_tokens < 1:
        raise InputError(f"the reference is to have {n_tokens} tokens; give at least 1")
    order = np.random.default_rng(seed).permutation(len(corpus))
    seen = 0
    chosen: list[int] = []
    for first in range(0, len(order), _TOKENISED_AT_ONCE):
        rows = order[first : first + _TOKENISED_AT_ONCE].tolist()
        for row, ids in zip(rows, backbone.tokenise([corpus.texts[i] for i in rows]), strict=True):
            if seen >= n_tokens:
                return corpus.select(sorted(chosen))
            chosen.append(row)
            seen += len(ids)
    return corpus.select(sorted(chosen))


def read_statistics(
    store: ActivationStore, tokens: TokenisedTexts, seed: int = 0
) -> ReferenceStatistics:
    """Passes once over a store.

    Args:
        store: the reference's activations, every shard of it.
        tokens: the reference's tokens.
        seed: of the sketch's coins and of the sampled places.
    """
    n_features = store.n_features
    sketch = QuantileSketch(n_features, seed=seed)
    fired = np.zeros(n_features, np.int64)
    nothing = Places(*(np.empty(0, kind) for kind in (int, int, int, np.float32, np.float64)))
    strongest = sampled = nothing
    begins = np.concatenate([[0], np.cumsum(tokens.n_tokens)])
    for number, (first, _) in enumerate(store.shards):
        shard = store.read(number)
        sketch.update(shard.features, shard.values)
        fired += np.bincount(shard.features, minlength=n_features)
        places = _places(shard, begins, first, np.random.default_rng([seed, number]))
        strongest = _best(strongest.joined(places), -1.0, N_STRONGEST)
        sampled = _best(sampled.joined(places), 0.0, _DRAWN)
    quantiles = np.zeros((n_features, len(LEVELS)), np.float32)
    # A feature that the reference never fires has threshold 0 at every level.
    quantiles[:, 1:] = np.nan_to_num(sketch.quantiles(LEVELS[1:]), nan=0.0)
    n_tokens = int(tokens.n_tokens.sum())
    density = (fired / n_tokens).astype(np.float32)
    return ReferenceStatistics(quantiles, density, strongest, sampled, n_tokens)


def build_folder(
    source: StoredFeatures,
    corpus: Corpus,
    out: Path,
    *,
    n_tokens: int = REFERENCE_TOKENS,
    seed: int = 0,
    half: bool = False,
    more: Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> SAEFolder:
    """Builds the folder of a source's default SAE: weights, statistics, contexts, labels, settings.

    Killed, it goes on with the reference's shards that are missing. The folder is usable once
    ``settings.json`` is there, which is written last.

    Args:
        source: backbone and SAE.
        corpus: the reference text.
        out: folder to write, made if need be.
        n_tokens: tokens of the reference to read, in whole documents drawn at random.
        seed: of that draw and of all else.
        half: whether weights are written in float16.
        more: goes into ``settings.json`` as it is, such as figures of the SAE's training.
        progress: told how much of the reference is read.

    Raises:
        InputError: the folder cannot be written, or source and corpus do not go together.
    """
    from mtmbench.features.sae.sae_folder import load_sae_folder

    name = source.sae_names()[0]
    folder, backbone = source.folder(name), source.backbone
    reference = draw_reference(corpus, backbone, n_tokens, seed)
    tokens, store = source.filled_store(reference, progress=progress)
    if not isinstance(store, ActivationStore):
        raise InputError("a reference's activations are needed, not its counts")
    found = read_statistics(store, tokens, seed)
    spans = [
        span
        for first in range(0, len(reference), _TOKENISED_AT_ONCE)
        for span in backbone.spans(reference.texts[first : first + _TOKENISED_AT_ONCE])
    ]
    described = {
        "corpus": corpus.name, "revision": corpus.revision, "documents": len(reference),
        "tokens": found.n_tokens, "seed": seed,
    }  # fmt: skip
    contexts = FeatureContexts(
        *_contexts(found, folder.sae.n_features, reference, spans),
        _random_contexts(store, tokens, reference, spans, seed),
        {**described, "sae_hash": folder.sae.revision, "window_tokens": 2 * WINDOW_TOKENS + 1},
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / "settings.json").unlink(missing_ok=True)
    where: SAEMetadata = {**folder.sae.metadata, "hook_name": folder.hook_point}
    save_sae(replace(folder.sae, metadata=where), out, half=half)
    write_statistics(out, found.quantiles, found.density, found.n_tokens)
    contexts.save(out / CONTEXTS_FILE)
    labels = _labels(found, folder, reference, spans)
    write_atomically(out / "labels.json", json.dumps(labels, ensure_ascii=False, indent=0) + "\n")
    settings = {
        "window": folder.window,
        "centred": folder.centred,
        "chunk_tokens": folder.chunk_tokens,
        "width": folder.sae.n_features,
        "default": FeatureSetting(0.0, 0.9, None, DEFAULT_CLASSES).as_dict(),
        "reference": {
            **described, "quantile_error": {"k": DEFAULT_K, "percentiles_99": _percentiles()},
        },
        **(more or {}),
    }  # fmt: skip
    if folder.window == 1:
        settings["paper"] = paper_setting(folder.sae.architecture).as_dict()
    write_atomically(out / "settings.json", json.dumps(settings, indent=2) + "\n")
    return load_sae_folder(out)


def paper_setting(architecture: str) -> FeatureSetting:
    """Returns the paper's setting for an SAE of this architecture.

    The paper drops features that fire on more than 1 % of the SAE's training tokens. The mean
    density of a TopK SAE is k/F whatever it was trained on, which may lie above that; for it the
    limit is 2.7 times the mean.
    """
    topk = architecture == "topk"
    return FeatureSetting(
        threshold_quantile=0.8,
        max_doc_share=0.9,
        max_density_multiple=2.7 if topk else None,
        max_density=None if topk else 0.01,
        drop_label_classes=PAPER_CLASSES,
    )


@dataclass(frozen=True)
class _Passage:
    text: str
    offsets: tuple[tuple[int, int], ...]


def _percentiles() -> float:
    return round(100 * estimate_error(DEFAULT_K), 3)


def _places(shard: Shard, begins: IntArray, first: int, rng: np.random.Generator) -> Places:
    documents = shard.documents.astype(np.int64)
    position = np.arange(len(documents)) + begins[first] - begins[documents]
    each = np.diff(shard.starts)
    return Places(
        shard.features.astype(np.int64), np.repeat(documents, each), np.repeat(position, each),
        shard.values.astype(np.float32), rng.random(len(shard.features)),
    )  # fmt: skip


def _best(places: Places, sign: float, limit: int) -> Places:
    """Each feature's best places, one a document: by value (sign −1), or by priority (0)."""
    rank = places.priority if sign == 0 else sign * places.value.astype(np.float64)
    order = np.lexsort((places.token, rank, places.document, places.feature))
    feature, document = places.feature[order], places.document[order]
    once = np.ones(len(order), bool)
    once[1:] = (feature[1:] != feature[:-1]) | (document[1:] != document[:-1])
    order = order[once]
    order = order[np.lexsort((places.document[order], rank[order], places.feature[order]))]
    feature = places.feature[order]
    begin = np.searchsorted(feature, feature)
    return places.take(order[np.arange(len(order)) - begin < limit])


def _contexts(
    found: ReferenceStatistics, n_features: int, reference: Corpus, spans: Sequence[IntArray]
) -> tuple[list[list[Context]], list[list[Context]]]:
    strongest: list[list[Context]] = [[] for _ in range(n_features)]
    sampled: list[list[Context]] = [[] for _ in range(n_features)]
    taken: set[tuple[int, int]] = set()
    for places, lists, limit in (
        (found.strongest, strongest, N_STRONGEST), (found.sampled, sampled, N_SAMPLED),
    ):  # fmt: skip
        for feature, document, token, value in zip(
            places.feature.tolist(), places.document.tolist(), places.token.tolist(),
            places.value.tolist(), strict=True,
        ):  # fmt: skip
            if (feature, document) in taken or len(lists[feature]) == limit:
                continue
            context = _window(reference.texts[document], spans[document], token, value)
            if context is not None:
                lists[feature].append(context)
                taken.add((feature, document))
    return strongest, sampled


def _window(text: str, spans: IntArray, token: int, value: float) -> Context | None:
    """The text around a token; None for a token without any text of its own."""
    begin = int(spans[max(0, token - WINDOW_TOKENS), 0])
    end = int(spans[min(len(spans) - 1, token + WINDOW_TOKENS), 1])
    start, stop = (int(edge) for edge in spans[token])
    if not begin <= start < stop <= end:
        return None
    return Context(text[begin:end], start - begin, stop - begin, value)


def _random_contexts(
    store: ActivationStore, tokens: TokenisedTexts, reference: Corpus, spans: Sequence[IntArray],
    seed: int,
) -> list[RandomContext]:  # fmt: skip
    rng = np.random.default_rng([seed, len(store.shards)])
    usable = np.flatnonzero(tokens.n_tokens > 0)
    drawn = set(rng.permutation(usable)[:N_RANDOM].tolist())
    found = []
    for number, (first, last) in enumerate(store.shards):
        shard = None
        for document in sorted(drawn & set(range(first, last))):
            shard = shard or store.read(number)
            begin, end = np.searchsorted(shard.documents, [document, document + 1])
            middle = int(rng.integers(end - begin))
            low = max(0, middle - WINDOW_TOKENS)
            high = min(int(end - begin), middle + WINDOW_TOKENS + 1)
            text = reference.texts[document][spans[document][low, 0] : spans[document][high - 1, 1]]
            entries = slice(shard.starts[begin + low], shard.starts[begin + high])
            if text.strip():
                features = np.unique(shard.features[entries]).tolist()
                found.append(RandomContext(text, tuple(features)))
    return found


def _labels(
    found: ReferenceStatistics, folder: SAEFolder, reference: Corpus, spans: Sequence[IntArray]
) -> list[str]:
    from mtmbench.features.sae.keyless_labels import Firing, Labeller

    passages = [
        _Passage(text, tuple((low, high) for low, high in span.tolist()))
        for text, span in zip(reference.texts, spans, strict=True)
    ]
    labeller = Labeller(passages, own_weight=1 if folder.window == 1 else 0)
    firings: list[list[Firing]] = [[] for _ in range(folder.sae.n_features)]
    for feature, document, token in zip(
        found.strongest.feature.tolist(), found.strongest.document.tolist(),
        found.strongest.token.tolist(), strict=True,
    ):  # fmt: skip
        firings[feature].append(Firing(document, token))
    return [labeller.label(contexts) for contexts in firings]


def write_statistics(out: Path, quantiles: FloatArray, density: FloatArray, n_tokens: int) -> None:
    """Writes ``features.safetensors``: quantiles at :data:`LEVELS`, densities, tokens read."""
    from safetensors.numpy import save

    write_atomically(
        out / "features.safetensors",
        save(
            {
                "quantiles": quantiles,
                "quantile_levels": np.array(LEVELS, np.float32),
                "density": density,
                "n_tokens": np.array([n_tokens], np.int64),
            }
        ),
    )
