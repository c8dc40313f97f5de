"""Activations of the training text: passages, forward pass, a cache on disk, window means.

Chunks, activations and windows are those of the feature extraction
(:mod:`mtmbench.features.sae.backbone`, :func:`mtmbench.features.sae.extract.window_means`): a chunk
of at most ``CHUNK_TOKENS`` word pieces goes through MiniLM between [CLS] and [SEP], and those two
and the padding are dropped.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtmbench.core.errors import InputError
from mtmbench.core.types import IntArray
from mtmbench.features.sae.backbone import BATCH_TOKENS, Backbone
from mtmbench.features.sae.extract import window_means
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.features.sae.token_batches import TokenIds

CHUNK_TOKENS = 254
WIDTH_IN = 384
MODEL_NAME = "all-MiniLM-L6-v2"
PASSAGE_TOKENS = (62, 126, 254)
SHARD_PASSAGES = 500
_CHUNKS_AT_ONCE = 512
_BATCH_TOKENS = 8192

HalfArray = NDArray[np.float16]


@dataclass(frozen=True)
class Passage:
    """A chunk of one document.

    Attributes:
        doc_id: the document's id in the training text.
        domain: its weak domain label.
        text: the passage's text, from the first to the last kept token.
        tokens: word-piece ids, specials excluded.
        offsets: (start, end) of each token in ``text``.
    """

    doc_id: str
    domain: str
    text: str
    tokens: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Passage:
        """Reads back what ``dataclasses.asdict`` gave."""
        return cls(
            value["doc_id"],
            value["domain"],
            value["text"],
            tuple(value["tokens"]),
            tuple((low, high) for low, high in value["offsets"]),
        )


def half_activations(
    backbone: Backbone,
    chunks: Sequence[TokenIds],
    hook_point: str,
    batch_tokens: int = BATCH_TOKENS,
) -> HalfArray:
    """Returns (N, H) float16 activations, chunk after chunk as given, specials left out.

    Args:
        backbone: the language model.
        chunks: token ids, none longer than the model reads.
        hook_point: where it is read.
        batch_tokens: padded tokens of one forward pass.
    """
    begins = np.concatenate([[0], np.cumsum([len(chunk) for chunk in chunks])])
    values = np.empty((int(begins[-1]), backbone.hidden_size), np.float16)
    for first in range(0, len(chunks), _CHUNKS_AT_ONCE):
        some = chunks[first : first + _CHUNKS_AT_ONCE]
        for batch in backbone.activations(some, [hook_point], batch_tokens):
            ends = np.cumsum(batch.lengths)
            rows = batch.values[hook_point].numpy()
            for chunk, length, end in zip(batch.chunks, batch.lengths, ends, strict=True):
                begin = begins[first + chunk]
                values[begin : begin + length] = rows[end - length : end]
    return values


def windowed(values: HalfArray, lengths: IntArray, window: int) -> HalfArray:
    """Means over a centred window inside each chunk, as the feature extraction takes them.

    Args:
        values: (N, H) activations, chunk after chunk.
        lengths: tokens of each chunk; they sum to N.
        window: tokens in the window; 1 returns ``values`` itself.

    Raises:
        InputError: the window is not positive.
    """
    import torch

    if window < 1:
        raise InputError(f"window is {window}; it must be at least 1")
    if window == 1:
        return values
    means = np.empty_like(values)
    ends = np.cumsum(lengths)
    for start, end in zip((ends - lengths).tolist(), ends.tolist(), strict=True):
        chunk = torch.from_numpy(values[start:end].astype(np.float32))
        means[start:end] = window_means(chunk, [end - start], window).numpy()
    return means


def read_documents(folder: Path) -> Iterator[dict[str, str]]:
    """Yields the training text's documents, in the order of the shards.

    Raises:
        InputError: the folder holds no ``*.jsonl.gz``.
    """
    files = sorted(folder.glob("*.jsonl.gz"))
    if not files:
        raise InputError(f"{folder} holds no *.jsonl.gz; give the folder of the training text")
    for file in files:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)


def held_out(doc_id: str, share: float = 0.03) -> bool:
    """Tells whether a document is kept away from training, by a hash of its id."""
    import hashlib

    return int(hashlib.sha256(doc_id.encode()).hexdigest()[:8], 16) < share * 16**8


def passages(
    folder: Path, n_tokens: int, seed: int, backbone: HuggingFaceBackbone
) -> Iterator[Passage]:
    """Draws one passage from each training document until ``n_tokens`` are reached.

    A passage begins at a random paragraph and has at most 62, 126 or 254 tokens (drawn evenly),
    since corpora hold short texts as well as long ones.
    """
    rng = np.random.default_rng(seed)
    documents = [d for d in read_documents(folder) if not held_out(d["id"])]
    seen = 0
    order = rng.permutation(len(documents))
    for first in range(0, len(order), SHARD_PASSAGES):
        batch = [documents[i] for i in order[first : first + SHARD_PASSAGES]]
        sizes = rng.choice(PASSAGE_TOKENS, len(batch))
        texts = [_from_random_paragraph(d["text"], rng) for d in batch]
        for document, text, size, ids, spans in zip(
            batch, texts, sizes, backbone.tokenise(texts), backbone.spans(texts), strict=True
        ):
            if min(size, len(ids)) < 20:
                continue
            yield _passage(document, text, ids[:size], spans[:size])
            seen += min(size, len(ids))
            if seen >= n_tokens:
                return


def held_out_passages(
    folder: Path, n_documents: int, backbone: HuggingFaceBackbone
) -> Iterator[Passage]:
    """Yields the first chunk of each of the first ``n_documents`` held-out documents."""
    kept = [d for d in read_documents(folder) if held_out(d["id"])][:n_documents]
    texts = [d["text"][:1800] for d in kept]
    for document, text, ids, spans in zip(
        kept, texts, backbone.tokenise(texts), backbone.spans(texts), strict=True
    ):
        yield _passage(document, text, ids[:CHUNK_TOKENS], spans[:CHUNK_TOKENS])


def cache_activations(
    chunks: Sequence[Sequence[int]], folder: Path, layer: int, backbone: HuggingFaceBackbone
) -> None:
    """Writes activations to ``folder/layer<l>_<shard>.npy``; finished shards are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard, first in enumerate(range(0, len(chunks), SHARD_PASSAGES)):
        file = folder / f"layer{layer}_{shard:04d}.npy"
        if file.exists():
            continue
        some = [np.array(chunk, np.int32) for chunk in chunks[first : first + SHARD_PASSAGES]]
        partial = file.with_suffix(".partial")
        with partial.open("wb") as out:
            np.save(out, half_activations(backbone, some, hook_point_of(layer), _BATCH_TOKENS))
        partial.rename(file)
        print(
            f"cached shard {shard}: {min(first + SHARD_PASSAGES, len(chunks))} chunks", flush=True
        )


def hook_point_of(layer: int) -> str:
    """Returns where the output of an encoder layer is read; 6 is MiniLM's last."""
    return f"blocks.{layer - 1}.hook_resid_post"


def load_activations(folder: Path, layer: int) -> HalfArray:
    """Returns the cached (N, 384) float16 activations of one layer, all shards in order.

    Raises:
        InputError: nothing is cached for that layer.
    """
    files = sorted(folder.glob(f"layer{layer}_*.npy"))
    if not files:
        raise InputError(f"no activations of layer {layer} in {folder}; run with --stage cache")
    parts = [np.load(file, mmap_mode="r") for file in files]
    whole = np.empty((sum(len(p) for p in parts), WIDTH_IN), np.float16)
    start = 0
    for part in parts:
        whole[start : start + len(part)] = part
        start += len(part)
    return whole


def _passage(document: Mapping[str, str], text: str, tokens: TokenIds, spans: IntArray) -> Passage:
    return Passage(
        document["id"], document["domain"], text[: int(spans[-1, 1])], tuple(tokens.tolist()),
        tuple((low, high) for low, high in spans.tolist()),
    )  # fmt: skip


def _from_random_paragraph(text: str, rng: np.random.Generator, reach: int = 1800) -> str:
    starts = [0]
    position = text.find("\n\n")
    while position >= 0:
        starts.append(position + 2)
        position = text.find("\n\n", position + 2)
    usable = [s for s in starts if len(text) - s >= reach] or [0]
    start = int(rng.choice(usable))
    return text[start : start + reach]
