"""Extraction against a token-by-token count in plain Python."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from mtmbench.core.errors import InputError
from mtmbench.core.types import FloatArray, IntArray
from mtmbench.features.sae import sae as sae_module
from mtmbench.features.sae.activation_store import ActivationStore
from mtmbench.features.sae.backbone import ActivationBatch, Backbone
from mtmbench.features.sae.extract import (
    Cuts,
    Probe,
    check_probes,
    extract_shard,
    fill_stores,
    tokenise_texts,
    window_means,
)
from mtmbench.features.sae.sae import SAE
from mtmbench.features.sae.token_batches import TokenIds, length_batches

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

    def decode(self, ids: TokenIds) -> str:
        return " ".join(map(str, ids))

    def spans(self, texts: Sequence[str]) -> list[IntArray]:
        return [
            np.array([m.span() for m in re.finditer(r"\S+", text)], int).reshape(-1, 2)
            for text in texts
        ]

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
    text: str, probe: Probe, levels: FloatArray, cuts: Cuts
) -> tuple[list[list[int]], list[float], int]:
    tokens = [int(t) for t in text.split()][: cuts.max_tokens]
    counts = [[0] * F for _ in levels]
    sums = [0.0] * F
    for start in range(0, len(tokens), cuts.chunk_tokens):
        chunk = tokens[start : start + cuts.chunk_tokens]
        vectors = states(chunk, probe.hook_point).astype(np.float64)
        for j in range(len(chunk)):
            low = max(0, j - probe.window // 2)
            high = min(len(chunk) - 1, j + (probe.window - 1) // 2)
            vector = vectors[low : high + 1].mean(axis=0)
            sae = probe.sae
            pre = (vector - sae.b_dec) @ sae.w_enc.astype(np.float64) + sae.b_enc
            for i in sorted(range(F), key=lambda i: -pre[i])[:K]:
                if pre[i] > 0:
                    sums[i] += float(np.float16(pre[i]))
                    for level, thresholds in enumerate(levels):
                        counts[level][i] += int(np.float16(pre[i]) > thresholds[i])
    return counts, [s / max(1, len(tokens)) for s in sums], len(tokens)


def extract(
    folder: Path, probes: Sequence[Probe], cuts: Cuts, shard_tokens: int = 8
) -> list[ActivationStore]:
    backbone = ToyBackbone()
    tokens = tokenise_texts(TEXTS, backbone, cuts.max_tokens)
    stores = [
        ActivationStore(folder / str(i), {}, F, tokens.n_tokens, shard_tokens)
        for i in range(len(probes))
    ]
    for number, (first, last) in enumerate(stores[0].shards):
        shards = extract_shard(tokens, first, last, backbone, probes, cuts)
        for store, shard in zip(stores, shards, strict=True):
            store.write(number, shard)
    return stores


@pytest.mark.parametrize("max_tokens", [None, 3, 11])
@pytest.mark.parametrize("window", [1, 2, 5])
def test_counts_equal_a_token_by_token_count(
    window: int, max_tokens: int | None, tmp_path: Path
) -> None:
    levels = np.stack([np.zeros(F), np.linspace(0, 40, F)]).astype(np.float32)
    probes = [Probe(toy_sae(0), "first", window), Probe(toy_sae(1), "the second")]
    cuts = Cuts(7, max_tokens, 16)
    stores = extract(tmp_path, probes, cuts)
    assert len(stores[0].shards) > 1
    tokens = tokenise_texts(TEXTS, ToyBackbone(), max_tokens)
    whole = [len(text.split()) for text in TEXTS]
    assert (tokens.n_tokens + tokens.n_dropped).tolist() == whole
    for probe, store in zip(probes, stores, strict=True):
        counted, means = store.counts(levels), store.mean_activation()
        for row, text in enumerate(TEXTS):
            counts, expected, n_tokens = brute_force(text, probe, levels, cuts)
            assert tokens.n_tokens[row] == n_tokens
            for level, matrix in enumerate(counted):
                assert matrix.dtype == np.int32
                assert matrix[[row]].toarray().ravel().tolist() == counts[level]
            np.testing.assert_allclose(
                means[[row]].toarray().ravel(), expected, rtol=2e-3, atol=1e-5
            )
        assert counted[1].sum() < counted[0].sum()


def test_thresholds_are_strict(tmp_path: Path) -> None:
    sae = SAE(
        "standard", np.eye(H, dtype=np.float32), np.zeros(H, np.float32),
        np.eye(H, dtype=np.float32), np.zeros(H, np.float32), False, None, None, {},
    )  # fmt: skip
    tokens = tokenise_texts(["5"], ToyBackbone(), None)
    store = ActivationStore(tmp_path, {}, H, tokens.n_tokens)
    store.write(0, extract_shard(tokens, 0, 1, ToyBackbone(), [Probe(sae, "x")], Cuts(4))[0])
    activation = states([5], "x")[0].astype(np.float16).astype(np.float32)
    fires = activation > 0
    assert fires.any()
    at, below = (
        np.maximum(limits, 0).astype(np.float32)
        for limits in (activation, np.nextafter(activation, np.float32(-np.inf)))
    )
    counts = store.counts([at, below])
    assert counts[0].nnz == 0
    assert counts[1].toarray().ravel().tolist() == fires.astype(int).tolist()


def test_one_forward_pass_serves_all_probes() -> None:
    backbone = ToyBackbone()
    tokens = tokenise_texts(TEXTS, backbone, None)
    probes = [Probe(toy_sae(), "x"), Probe(toy_sae(1), "y", 4)]
    extract_shard(tokens, 0, len(TEXTS), backbone, probes[:1], Cuts(10))
    alone, backbone.passes = backbone.passes, 0
    extract_shard(tokens, 0, len(TEXTS), backbone, probes, Cuts(10))
    assert backbone.passes == alone > 0


def test_a_shard_depends_on_its_documents_alone() -> None:
    probe, cuts = Probe(toy_sae(), "x"), Cuts(7, None, 16)
    tokens = tokenise_texts(TEXTS, ToyBackbone(), None)
    alone = tokenise_texts(TEXTS[3:], ToyBackbone(), None)
    (within,) = extract_shard(tokens, 3, 5, ToyBackbone(), [probe], cuts)
    (apart,) = extract_shard(alone, 0, 2, ToyBackbone(), [probe], cuts)
    assert within.documents.tolist() == (apart.documents + 3).tolist()
    for part in ("starts", "features", "values"):
        np.testing.assert_array_equal(getattr(within, part), getattr(apart, part))


def test_slices_of_the_encoder_give_the_same_firings(monkeypatch: pytest.MonkeyPatch) -> None:
    sae = toy_sae()
    values = torch.randn(50, H, generator=torch.Generator().manual_seed(0)) * 4
    whole = sae.encode(values)
    monkeypatch.setattr(sae_module, "ENCODED_CELLS", 7 * F)
    sliced = sae.encode(values)
    assert len(whole[0]) > 50
    order = [np.lexsort((part[1], part[0])) for part in (whole, sliced)]
    for a, b in zip(whole[:2], sliced[:2], strict=True):
        np.testing.assert_array_equal(a[order[0]], b[order[1]])
    np.testing.assert_allclose(whole[2][order[0]], sliced[2][order[1]], rtol=1e-5)


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
    backbone, probe = ToyBackbone(), Probe(toy_sae(), "x")
    with pytest.raises(InputError, match="none of the 2 documents has a token"):
        tokenise_texts(["", " "], backbone, None)
    with pytest.raises(InputError, match="max_tokens is 0"):
        tokenise_texts(TEXTS, backbone, 0)
    with pytest.raises(InputError, match="chunk_tokens is 11"):
        check_probes(backbone, [probe], Cuts(11))
    with pytest.raises(InputError, match="window is 0"):
        check_probes(backbone, [Probe(toy_sae(), "x", 0)], Cuts(4))
    backbone.hidden_size = H + 1  # type: ignore[misc]
    with pytest.raises(InputError, match="reads vectors of 8; toy gives 9"):
        check_probes(backbone, [probe], Cuts(4))


def test_progress_goes_on_within_a_long_document(tmp_path: Path) -> None:
    texts = ["1 2", " ".join(str(i % 50) for i in range(1000)), "3 4"]
    backbone, cuts = ToyBackbone(), Cuts(10, batch_tokens=64)
    tokens = tokenise_texts(texts, backbone, None)
    stores = {"s": ActivationStore(tmp_path, {}, F, tokens.n_tokens, 8)}
    seen: list[tuple[int, int]] = []
    fill_stores(stores, {"s": Probe(toy_sae(), "first")}, tokens, backbone, cuts,
                lambda done, total: seen.append((done, total)))  # fmt: skip
    done = [count for count, _ in seen]
    assert {total for _, total in seen} == {1004}
    assert done == sorted(done)
    assert done[-1] == 1004
    # The long document is one shard of 17 batches, and nothing else takes long.
    assert len({count for count in done if 2 < count < 1002}) >= 15


def test_heads_side_by_side_may_be_of_another_width_than_the_stream(tiny_model) -> None:
    from mtmbench.features.sae.hugging_face import HuggingFaceBackbone

    backbone = HuggingFaceBackbone(tiny_model("gemma3_text")[0])
    assert backbone.hidden_size == 16
    tokens = tokenise_texts(["w1 w2 w3"], backbone, None)
    eye = np.eye(24, dtype=np.float32)
    zero = np.zeros(24, np.float32)
    sae = SAE("standard", eye, zero, eye, zero, False, None, None, {})
    cuts, heads = Cuts(8), Probe(sae, "blocks.1.attn.hook_z")
    check_probes(backbone, [heads], cuts)
    (shard,) = extract_shard(tokens, 0, 1, backbone, [heads], cuts)
    (batch,) = backbone.activations(tokens.documents(0, 1), [heads.hook_point])
    assert len(shard.values) == int((batch.values[heads.hook_point] > 0).sum()) > 0
    stream = Probe(sae, "blocks.1.hook_resid_post")
    with pytest.raises(InputError, match=r"reads vectors of 24; .* gives 16"):
        check_probes(backbone, [stream], cuts)
    small, none = eye[:16, :16], zero[:16]
    narrow = SAE("standard", small, none, small, none, False, None, None, {})
    with pytest.raises(InputError, match=r"reads vectors of 16; .* gives 24"):
        extract_shard(tokens, 0, 1, backbone, [Probe(narrow, heads.hook_point)], cuts)
