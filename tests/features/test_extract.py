"""Extraction against a token-by-token count in plain Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch

from mtmbench.errors import InputError
from mtmbench.features import extract as extract_module
from mtmbench.features.backbone import ActivationBatch, Backbone, TokenIds, length_batches
from mtmbench.features.extract import Probe, extract, window_means
from mtmbench.features.sae import SAE
from mtmbench.types import FloatArray

H, F, K = 8, 20, 3
VECTORS = np.random.default_rng(0).normal(size=(50, H)).astype(np.float32)
TEXTS = ["3 4 5 3 3 9 11 12 1", "", "7", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "40 41 3 3"]


class ToyBackbone(Backbone):
    """Words are numbers; a token's vector depends on the number and its place in the chunk."""

    name = "toy"
    hidden_size = H
    max_chunk_tokens = 10
    revision = "1"

    def __init__(self) -> None:
        self.passes = 0

    def tokenise(self, texts: Sequence[str]) -> list[TokenIds]:
        return [np.array([int(t) for t in text.split()], np.int32) for text in texts]

    def activations(
        self, chunks: Sequence[TokenIds], hook_points: Sequence[str], batch_tokens: int = 64
    ) -> Iterator[ActivationBatch]:
        lengths = [len(c) for c in chunks]
        for batch in length_batches(lengths, batch_tokens):
            self.passes += 1
            yield ActivationBatch(
                tuple(batch),
                tuple(lengths[i] for i in batch),
                {
                    hook: torch.from_numpy(
                        np.concatenate([states(chunks[i].tolist(), hook) for i in batch])
                    )
                    for hook in hook_points
                },
            )


def states(chunk: list[int], hook: str) -> FloatArray:
    rows = [VECTORS[token] * (1 + 0.1 * j) + len(hook) for j, token in enumerate(chunk)]
    return np.array(rows, np.float32)


def toy_sae(seed: int = 0) -> SAE:
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    return SAE("topk", draw(H, F), draw(F) - 4, draw(F, H), draw(H), True, K, None, {})


def brute_force(
    text: str, probe: Probe, chunk_tokens: int, max_tokens: int | None
) -> tuple[list[list[int]], list[float], int]:
    tokens = [int(t) for t in text.split()][:max_tokens]
    counts = [[0] * F for _ in probe.thresholds]
    sums = [0.0] * F
    for start in range(0, len(tokens), chunk_tokens):
        chunk = tokens[start : start + chunk_tokens]
        vectors = states(chunk, probe.hook_point).astype(np.float64)
        for j in range(len(chunk)):
            low = max(0, j - probe.window // 2)
            high = min(len(chunk) - 1, j + (probe.window - 1) // 2)
            vector = vectors[low : high + 1].mean(axis=0)
            sae = probe.sae
            pre = (vector - sae.b_dec) @ sae.w_enc.astype(np.float64) + sae.b_enc
            for i in sorted(range(F), key=lambda i: -pre[i])[:K]:
                if pre[i] > 0:
                    sums[i] += float(pre[i])
                    for level, thresholds in enumerate(probe.thresholds):
                        counts[level][i] += int(pre[i] > thresholds[i])
    return counts, [s / max(1, len(tokens)) for s in sums], len(tokens)


@pytest.mark.parametrize("max_tokens", [None, 3, 11])
@pytest.mark.parametrize("window", [1, 2, 5])
def test_counts_equal_a_token_by_token_count(
    window: int, max_tokens: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract_module, "BLOCK_TOKENS", 12)
    levels = np.stack([np.zeros(F), np.linspace(0, 40, F)]).astype(np.float32)
    probes = [
        Probe(toy_sae(0), "first", window, levels),
        Probe(toy_sae(1), "the second", 1, levels[:1]),
    ]
    found, report = extract(
        TEXTS, ToyBackbone(), probes, chunk_tokens=7, max_tokens=max_tokens, batch_tokens=16
    )
    assert report.n_chunks.tolist() == [-(-n // 7) for n in report.n_tokens]
    whole = [len(text.split()) for text in TEXTS]
    assert (report.n_tokens + report.n_dropped).tolist() == whole
    for probe, extraction in zip(probes, found, strict=True):
        assert len(extraction.counts) == len(probe.thresholds)
        for row, text in enumerate(TEXTS):
            counts, means, n_tokens = brute_force(text, probe, 7, max_tokens)
            assert report.n_tokens[row] == n_tokens
            for level, matrix in enumerate(extraction.counts):
                assert matrix.dtype == np.int32
                assert matrix[[row]].toarray().ravel().tolist() == counts[level]
            np.testing.assert_allclose(
                extraction.activation[[row]].toarray().ravel(), means, rtol=1e-4, atol=1e-5
            )
    assert found[0].counts[1].sum() < found[0].counts[0].sum()


def test_thresholds_are_strict() -> None:
    sae = SAE(
        "standard", np.eye(H, dtype=np.float32), np.zeros(H, np.float32),
        np.eye(H, dtype=np.float32), np.zeros(H, np.float32), False, None, None, {},
    )  # fmt: skip
    activation = states([5], "x")[0]
    at, below = activation.copy(), np.nextafter(activation, np.float32(-np.inf))
    thresholds = np.maximum(np.stack([at, below]), 0).astype(np.float32)
    (found,), _ = extract(["5"], ToyBackbone(), [Probe(sae, "x", 1, thresholds)], chunk_tokens=4)
    fires = activation > 0
    assert fires.any()
    assert found.counts[0].nnz == 0
    assert found.counts[1].toarray().ravel().tolist() == fires.astype(int).tolist()


def test_one_forward_pass_serves_all_probes_and_progress_ends_at_the_total() -> None:
    backbone, seen = ToyBackbone(), []
    probe = Probe(toy_sae(), "x", 1, np.zeros((1, F), np.float32))
    extract(TEXTS, backbone, [probe], chunk_tokens=10)
    alone, backbone.passes = backbone.passes, 0
    extract(
        TEXTS, backbone, [probe, Probe(toy_sae(1), "y", 4, probe.thresholds)], chunk_tokens=10,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert backbone.passes == alone > 0
    assert seen[-1] == (30, 30)


def test_window_means_stay_inside_their_chunk() -> None:
    values = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
    found = window_means(values, [4, 1, 4], 3)
    expected = [
        values[max(a, j - 1) : min(b, j + 2)].mean(0)
        for a, b in ((0, 4), (4, 5), (5, 9))
        for j in range(a, b)
    ]
    torch.testing.assert_close(found, torch.stack(expected))
    assert window_means(values, [4, 1, 4], 1) is values
    wide = window_means(values, [4, 1, 4], 100)
    torch.testing.assert_close(wide[0], values[:4].mean(0))


def test_wrong_input_is_named() -> None:
    backbone, probe = ToyBackbone(), Probe(toy_sae(), "x", 1, np.zeros((1, F), np.float32))
    with pytest.raises(InputError, match="none of the 2 documents has a token"):
        extract(["", " "], backbone, [probe], chunk_tokens=4)
    with pytest.raises(InputError, match="chunk_tokens is 11"):
        extract(TEXTS, backbone, [probe], chunk_tokens=11)
    with pytest.raises(InputError, match="max_tokens is 0"):
        extract(TEXTS, backbone, [probe], chunk_tokens=4, max_tokens=0)
    with pytest.raises(InputError, match="window is 0"):
        extract(TEXTS, backbone, [Probe(toy_sae(), "x", 0, probe.thresholds)], chunk_tokens=4)
    backbone.hidden_size = H + 1  # type: ignore[misc]
    with pytest.raises(InputError, match="reads vectors of 8; toy gives 9"):
        extract(TEXTS, backbone, [probe], chunk_tokens=4)
