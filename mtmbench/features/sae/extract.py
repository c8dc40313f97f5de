"""Streamed extraction: a corpus through a backbone and SAEs, shard by shard.

A shard is a run of consecutive documents, and the unit of batching as well as of work: what comes
out of it depends on its documents alone, bit for bit, not on who computes it or what came before.
Of a shard only one batch's activations, a slice of its pre-activations and the sparse firings exist
at a time. One forward pass serves any number of SAEs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash
from mtmbench.core.types import FloatArray, Int32Array, IntArray, Progress
from mtmbench.features.cache import Arrays, cached
from mtmbench.features.sae.activation_store import ShardStore
from mtmbench.features.sae.backbone import BATCH_TOKENS, Backbone
from mtmbench.features.sae.sae import SAE
from mtmbench.features.sae.shards import Shard
from mtmbench.features.sae.token_batches import TokenIds, cut

if TYPE_CHECKING:
    import torch

EXTRACTION_VERSION = 2
"""Raised whenever the same texts, model and SAE may give other activations."""

_TOKENISED_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class Probe:
    """What is read off at one hook point.

    Attributes:
        sae: the SAE.
        hook_point: where it reads.
        window: tokens of the centred window whose mean is encoded; 1 is per token.
        centred: whether each vector's mean over its H entries is subtracted first, for SAEs that
            were trained on a model whose writing weights TransformerLens had centred.
    """

    sae: SAE
    hook_point: str
    window: int = 1
    centred: bool = False


@dataclass(frozen=True)
class Cuts:
    """How texts are cut and put together for the model.

    Attributes:
        chunk_tokens: tokens of a chunk; neither attention nor windows reach over its ends.
        max_tokens: documents are cut to this many tokens; None for whole documents.
        batch_tokens: padded tokens of one forward pass.
    """

    chunk_tokens: int
    max_tokens: int | None = None
    batch_tokens: int = BATCH_TOKENS


@dataclass(frozen=True, eq=False)
class TokenisedTexts:
    """The tokens of D documents, one after the other.

    Attributes:
        ids: (N,) int32, specials left out.
        n_tokens: (D,) int64, tokens of each document.
        n_dropped: (D,) int64, tokens beyond the limit, not looked at.
    """

    ids: Int32Array
    n_tokens: IntArray
    n_dropped: IntArray

    def documents(self, first: int, last: int) -> list[TokenIds]:
        """Returns the tokens of the documents from ``first`` up to, not including, ``last``."""
        start = int(self.n_tokens[:first].sum())
        ends = np.cumsum(self.n_tokens[first:last])
        return np.split(self.ids[start : start + int(ends[-1])], ends[:-1])


def tokenise_texts(
    texts: Sequence[str], backbone: Backbone, max_tokens: int | None
) -> TokenisedTexts:
    """Tokenises a corpus; the result is kept on disk.

    Raises:
        InputError: the limit is not positive, or no document has a token.
    """
    if max_tokens is not None and max_tokens < 1:
        raise InputError(f"max_tokens is {max_tokens}; it must be at least 1, or None")

    def make() -> Arrays:
        documents: list[TokenIds] = []
        dropped: list[int] = []
        for first in range(0, len(texts), _TOKENISED_AT_ONCE):
            for ids in backbone.tokenise(texts[first : first + _TOKENISED_AT_ONCE]):
                documents.append(ids[:max_tokens])
                dropped.append(len(ids) - len(documents[-1]))
        return {
            "ids": np.concatenate([np.empty(0, np.int32), *documents]),
            "n_tokens": np.array([len(ids) for ids in documents], np.int64),
            "n_dropped": np.array(dropped, np.int64),
        }

    key = content_hash("tokens", backbone.revision, max_tokens, list(texts))
    arrays = cached("tokens", key, make)
    if not len(arrays["ids"]):
        raise InputError(f"none of the {len(texts)} documents has a token for {backbone.name}")
    return TokenisedTexts(
        arrays["ids"].astype(np.int32, copy=False),
        *(arrays[name].astype(np.int64, copy=False) for name in ("n_tokens", "n_dropped")),
    )


def check_probes(backbone: Backbone, probes: Sequence[Probe], cuts: Cuts) -> None:
    """Checks that backbone, SAEs and cuts fit each other.

    Raises:
        InputError: they do not; the message says what would.
    """
    if not 1 <= cuts.chunk_tokens <= backbone.max_chunk_tokens:
        raise InputError(
            f"chunk_tokens is {cuts.chunk_tokens}; {backbone.name} reads 1 to "
            f"{backbone.max_chunk_tokens} tokens at a time"
        )
    for probe in probes:
        if probe.window < 1:
            raise InputError(f"window is {probe.window}; it must be at least 1")
        # Heads side by side need not be as wide as the stream; they are looked at when read.
        if not probe.hook_point.endswith(".hook_z"):
            _check_width(probe, backbone, backbone.hidden_size)


def fill_stores(
    stores: Mapping[str, ShardStore],
    probes: Mapping[str, Probe],
    tokens: TokenisedTexts,
    backbone: Backbone,
    cuts: Cuts,
    progress: Progress | None = None,
) -> None:
    """Makes the shards that are missing of a corpus's stores, one for each probe.

    Processes that do so at the same time share the shards among them; each returns when all are
    there. A shard that is found damaged when it is read is made anew (:attr:`ShardStore.remake`).

    Raises:
        InputError: backbone, SAEs and cuts do not fit each other.
    """
    check_probes(backbone, list(probes.values()), cuts)
    for name, store in stores.items():
        store.remake = partial(_remake, store, probes[name], tokens, backbone, cuts)
    lead = stores[min(stores)]
    sizes = [int(tokens.n_tokens[first:last].sum()) for first, last in lead.shards]
    total = sum(sizes)

    def done() -> int:
        return total - sum(sizes[number] for number in _missing(stores))

    # Those that others have claimed are waited for once there is nothing else to do.
    for wait in (False, True):
        for number in _missing(stores):
            tell = None if progress is None else partial(_tell, progress, done(), total)
            with lead.claimed(number, wait=wait) as mine:
                lacking = [name for name, store in stores.items() if not store.has(number)]
                if mine and lacking:
                    shards = extract_shard(
                        tokens, *lead.shards[number], backbone,
                        [probes[name] for name in lacking], cuts, tell,
                    )  # fmt: skip
                    for name, shard in zip(lacking, shards, strict=True):
                        stores[name].write(number, shard)
            if progress is not None:
                progress(done(), total)


def _tell(progress: Progress, before: int, total: int, more: int) -> None:
    progress(min(before + more, total), total)


def _remake(
    store: ShardStore,
    probe: Probe,
    tokens: TokenisedTexts,
    backbone: Backbone,
    cuts: Cuts,
    number: int,
) -> None:
    """Makes one damaged shard anew, unless another process has done so meanwhile."""
    with store.claimed(number, wait=True):
        if not store.is_whole(number):
            store.drop(number)
            first, last = store.shards[number]
            store.write(number, extract_shard(tokens, first, last, backbone, [probe], cuts)[0])


def extract_shard(
    tokens: TokenisedTexts,
    first: int,
    last: int,
    backbone: Backbone,
    probes: Sequence[Probe],
    cuts: Cuts,
    tell: Callable[[int], None] | None = None,
) -> list[Shard]:
    """Reads the documents from ``first`` up to ``last`` through the model.

    ``tell`` is told how many of their tokens are read; a document of megabytes is a shard alone.

    Returns:
        For each probe, the activations above zero of every token.

    Raises:
        InputError: a hook point gives vectors of another width than its SAE reads.
    """
    documents = tokens.documents(first, last)
    chunks = [cut(ids, cuts.chunk_tokens) for ids in documents]
    flat = [chunk for c in chunks for chunk in c]
    starts = np.concatenate([[0], np.cumsum([len(chunk) for chunk in flat])])
    owner = np.repeat(np.arange(first, last, dtype=np.int32), tokens.n_tokens[first:last])
    found: list[list[tuple[Int32Array, Int32Array, FloatArray]]] = [[] for _ in probes]
    hook_points = sorted({probe.hook_point for probe in probes})
    n_read = 0
    if flat:
        for batch in backbone.activations(flat, hook_points, cuts.batch_tokens):
            position = np.concatenate(
                [np.arange(starts[i], starts[i + 1]) for i in batch.chunks]
            ).astype(np.int32)
            for probe, firings in zip(probes, found, strict=True):
                values = batch.values[probe.hook_point]
                _check_width(probe, backbone, values.shape[1])
                if probe.centred:
                    values = values - values.mean(dim=1, keepdim=True)
                values = window_means(values, batch.lengths, probe.window)
                rows, features, strengths = probe.sae.encode(values)
                firings.append((position[rows], features, strengths))
            n_read += len(position)
            if tell is not None:
                tell(n_read)
    nothing = (np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))
    return [
        Shard.of(owner, *(np.concatenate(part) for part in zip(nothing, *firings, strict=True)))
        for firings in found
    ]


def window_means(values: torch.Tensor, lengths: Sequence[int], window: int) -> torch.Tensor:
    """Means over a centred window that stays inside its chunk.

    Token j of a chunk of n becomes the mean over tokens max(0, j − w//2) to
    min(n − 1, j + (w − 1)//2).

    Args:
        values: (N, H) f32 or f64, chunk after chunk.
        lengths: tokens of each chunk; they sum to N.
        window: w; 1 returns the values themselves.
    """
    import torch

    if window == 1:
        return values
    device = values.device
    ends = torch.from_numpy(np.cumsum(lengths)).to(device)
    sizes = torch.tensor(list(lengths), device=device)
    begin = torch.repeat_interleave(ends - sizes, sizes)
    end = torch.repeat_interleave(ends, sizes)
    position = torch.arange(len(values), device=device)
    low = torch.maximum(begin, position - window // 2)
    high = torch.minimum(end, position + (window - 1) // 2 + 1)
    # Differences of running sums lose digits: f64 keeps the means exact to f32.
    total = torch.zeros((len(values) + 1, values.shape[1]), dtype=torch.float64, device=device)
    torch.cumsum(values, dim=0, dtype=torch.float64, out=total[1:])
    return ((total[high] - total[low]) / (high - low).unsqueeze(1)).to(values.dtype)


def _check_width(probe: Probe, backbone: Backbone, width: int) -> None:
    if probe.sae.n_inputs != width:
        raise InputError(
            f"the SAE reads vectors of {probe.sae.n_inputs}; {backbone.name} gives {width}"
        )


def _missing(stores: Mapping[str, ShardStore]) -> list[int]:
    return sorted({number for store in stores.values() for number in store.missing()})
