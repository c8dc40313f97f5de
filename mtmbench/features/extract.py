"""Streamed extraction: texts through a backbone and SAEs into per-document sparse counts.

Documents are taken in blocks of consecutive ones; of a block only each batch's activations, one
batch's (tokens, F) pre-activations and the sparse firings exist at a time. One forward pass serves
any number of SAEs and thresholds. Blocks and batches depend on the texts alone, so the same texts
give the same counts, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mtmbench.errors import InputError
from mtmbench.features.activation_store import document_runs
from mtmbench.features.backbone import BATCH_TOKENS, Backbone, TokenIds, cut
from mtmbench.features.sae import SAE
from mtmbench.types import FloatArray, IntArray

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_matrix

EXTRACTION_VERSION = 1
BLOCK_TOKENS = 65_536
_BLOCK_DOCUMENTS = 2048

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Probe:
    """What is read off at one hook point.

    Attributes:
        sae: the SAE.
        hook_point: where it reads.
        window: tokens of the centred window whose mean is encoded; 1 is per token.
        thresholds: (L, F) f32; firings strictly above are counted, for each of L levels.
    """

    sae: SAE
    hook_point: str
    window: int
    thresholds: FloatArray


@dataclass(frozen=True, eq=False)
class Extraction:
    """What a probe found in D documents.

    Attributes:
        counts: L csr (D, F) int32, eq. 5's ``c_di`` at each level.
        activation: csr (D, F) f32, mean over the document's tokens of the continuous activation.
    """

    counts: tuple[csr_matrix, ...]
    activation: csr_matrix


@dataclass(frozen=True, eq=False)
class TokenReport:
    """How the documents were cut.

    Attributes:
        n_tokens: (D,) int64, tokens counted over.
        n_dropped: (D,) int64, tokens beyond the limit, not looked at.
        n_chunks: (D,) int64, chunks that a document was cut into.
    """

    n_tokens: IntArray
    n_dropped: IntArray
    n_chunks: IntArray


def extract(
    texts: Sequence[str],
    backbone: Backbone,
    probes: Sequence[Probe],
    *,
    chunk_tokens: int,
    max_tokens: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress | None = None,
) -> tuple[list[Extraction], TokenReport]:
    """Counts firings in every document, for every probe and threshold, in one forward pass.

    Args:
        texts: D documents; one without tokens has an empty row.
        backbone: the language model.
        probes: SAEs with their hook points, windows and thresholds.
        chunk_tokens: tokens of a chunk; windows never reach over its ends.
        max_tokens: documents are cut to this many tokens; None for whole documents.
        batch_tokens: padded tokens of one forward pass.
        progress: told how many of how many tokens are done.

    Raises:
        InputError: a limit is not positive, an SAE does not fit the backbone, or no document has
            a token.
    """
    _check(backbone, probes, chunk_tokens, max_tokens)
    documents, dropped = _tokenise(texts, backbone, max_tokens)
    n_tokens = np.array([len(ids) for ids in documents], np.int64)
    if not n_tokens.sum():
        raise InputError(f"none of the {len(texts)} documents has a token for {backbone.name}")
    parts: list[list[_Block]] = [[] for _ in probes]
    done = 0
    for first, last in document_runs(n_tokens, BLOCK_TOKENS):
        for part, block in zip(
            parts,
            _extract_block(documents[first:last], backbone, probes, chunk_tokens, batch_tokens),
            strict=True,
        ):
            part.append(block)
        done += int(n_tokens[first:last].sum())
        if progress is not None:
            progress(done, int(n_tokens.sum()))
    report = TokenReport(n_tokens, dropped, -(-n_tokens // chunk_tokens))
    return [_assemble(part, n_tokens) for part in parts], report


def window_means(values: torch.Tensor, lengths: Sequence[int], window: int) -> torch.Tensor:
    """Means over a centred window that stays inside its chunk.

    Token j of a chunk of n becomes the mean over tokens max(0, j − w//2) to
    min(n − 1, j + (w − 1)//2).

    Args:
        values: (N, H) f32, chunk after chunk.
        lengths: tokens of each chunk; they sum to N.
        window: w; 1 returns the values themselves.
    """
    import torch

    if window == 1:
        return values
    ends = torch.from_numpy(np.cumsum(lengths))
    sizes = torch.tensor(list(lengths))
    begin = torch.repeat_interleave(ends - sizes, sizes)
    end = torch.repeat_interleave(ends, sizes)
    position = torch.arange(len(values))
    low = torch.maximum(begin, position - window // 2)
    high = torch.minimum(end, position + (window - 1) // 2 + 1)
    # Differences of running sums lose digits: f64 keeps the means exact to f32.
    total = torch.zeros((len(values) + 1, values.shape[1]), dtype=torch.float64)
    torch.cumsum(values, dim=0, dtype=torch.float64, out=total[1:])
    return ((total[high] - total[low]) / (high - low).unsqueeze(1)).to(torch.float32)


@dataclass(frozen=True, eq=False)
class _Block:
    """Sorted (document, feature) cells of a block: counts (L, n) and activation sums (n,)."""

    indptr: IntArray
    features: NDArray[np.int32]
    counts: NDArray[np.int32]
    sums: FloatArray
    n_features: int


def _check(
    backbone: Backbone, probes: Sequence[Probe], chunk_tokens: int, max_tokens: int | None
) -> None:
    if not 1 <= chunk_tokens <= backbone.max_chunk_tokens:
        raise InputError(
            f"chunk_tokens is {chunk_tokens}; {backbone.name} reads 1 to "
            f"{backbone.max_chunk_tokens} tokens at a time"
        )
    if max_tokens is not None and max_tokens < 1:
        raise InputError(f"max_tokens is {max_tokens}; it must be at least 1, or None")
    for probe in probes:
        if probe.window < 1:
            raise InputError(f"window is {probe.window}; it must be at least 1")
        if probe.sae.n_inputs != backbone.hidden_size:
            raise InputError(
                f"the SAE reads vectors of {probe.sae.n_inputs}; {backbone.name} gives "
                f"{backbone.hidden_size}"
            )


def _tokenise(
    texts: Sequence[str], backbone: Backbone, max_tokens: int | None
) -> tuple[list[TokenIds], IntArray]:
    documents: list[TokenIds] = []
    dropped: list[int] = []
    for first in range(0, len(texts), _BLOCK_DOCUMENTS):
        for ids in backbone.tokenise(texts[first : first + _BLOCK_DOCUMENTS]):
            documents.append(ids[:max_tokens])
            dropped.append(len(ids) - len(documents[-1]))
    return documents, np.array(dropped, np.int64)


def _extract_block(
    documents: Sequence[TokenIds],
    backbone: Backbone,
    probes: Sequence[Probe],
    chunk_tokens: int,
    batch_tokens: int,
) -> list[_Block]:
    chunks = [cut(ids, chunk_tokens) for ids in documents]
    owner = np.repeat(np.arange(len(documents)), [len(c) for c in chunks])
    found: list[list[tuple[IntArray, FloatArray]]] = [[] for _ in probes]
    hook_points = sorted({probe.hook_point for probe in probes})
    flat = [chunk for c in chunks for chunk in c]
    for batch in backbone.activations(flat, hook_points, batch_tokens):
        token_owner = np.repeat(owner[list(batch.chunks)], batch.lengths)
        for probe, firings in zip(probes, found, strict=True):
            values = window_means(batch.values[probe.hook_point], batch.lengths, probe.window)
            rows, features, strengths = probe.sae.encode(values)
            cells = token_owner[rows] * probe.sae.n_features + features
            firings.append((cells.astype(np.int64), strengths))
    return [
        _block(firings, probe, len(documents)) for probe, firings in zip(probes, found, strict=True)
    ]


def _block(firings: Sequence[tuple[IntArray, FloatArray]], probe: Probe, n_docs: int) -> _Block:
    cells = np.concatenate([np.empty(0, np.int64), *(cell for cell, _ in firings)])
    strengths = np.concatenate([np.empty(0, np.float32), *(value for _, value in firings)])
    order = np.argsort(cells, kind="stable")
    cells, strengths = cells[order], strengths[order]
    starts = np.flatnonzero(np.r_[True, cells[1:] != cells[:-1]]) if len(cells) else cells
    features = cells % probe.sae.n_features
    counts = np.zeros((len(probe.thresholds), len(starts)), np.int32)
    sums = np.zeros(len(starts), np.float32)
    if len(starts):
        sums = np.add.reduceat(strengths.astype(np.float64), starts).astype(np.float32)
        for level, thresholds in enumerate(probe.thresholds):
            above = (strengths > thresholds[features]).astype(np.int32)
            counts[level] = np.add.reduceat(above, starts)
    per_doc = np.bincount(cells[starts] // probe.sae.n_features, minlength=n_docs)
    return _Block(
        np.concatenate([[0], np.cumsum(per_doc)]),
        features[starts].astype(np.int32),
        counts,
        sums,
        probe.sae.n_features,
    )


def _assemble(blocks: Sequence[_Block], n_tokens: IntArray) -> Extraction:
    from scipy.sparse import csr_matrix

    ends = np.cumsum([0, *(block.indptr[-1] for block in blocks)])
    indptr = np.concatenate(
        [[0], *(block.indptr[1:] + end for block, end in zip(blocks, ends, strict=False))]
    )
    features = np.concatenate([block.features for block in blocks])
    shape = (len(n_tokens), blocks[0].n_features)
    counts = []
    for level in range(len(blocks[0].counts)):
        matrix = csr_matrix(
            (np.concatenate([block.counts[level] for block in blocks]), features, indptr),
            shape=shape, copy=True,
        )  # fmt: skip
        matrix.eliminate_zeros()
        counts.append(matrix)
    sums = np.concatenate([block.sums for block in blocks])
    per_cell = np.repeat(np.maximum(n_tokens, 1), np.diff(indptr))
    means = (sums / per_cell).astype(np.float32)
    return Extraction(tuple(counts), csr_matrix((means, features, indptr), shape=shape))
