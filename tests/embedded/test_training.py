"""Training parts against closed forms and brute force."""

from __future__ import annotations

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.embedded.training.activations import Passage, windowed
from mtmbench.embedded.training.minilm import firings
from mtmbench.embedded.training.topk import (
    TopK,
    TrainingPlan,
    explained_variance,
    train_topk,
)
from mtmbench.features.sae.keyless_labels import DEAD, PIECES, STOP_WORDS, Firing, Labeller
from mtmbench.features.sae.reference import LEVELS

torch = pytest.importorskip("torch")
torch.set_num_threads(1)


@pytest.mark.parametrize("window", [2, 3, 8, 16])
def test_window_means_equal_the_definition(window: int) -> None:
    rng = np.random.default_rng(0)
    lengths = np.array([1, 5, 40])
    values = rng.normal(size=(46, 4)).astype(np.float16)
    means = windowed(values, lengths, window)
    start = 0
    for n in lengths:
        for j in range(n):
            low, high = max(0, j - window // 2), min(n - 1, j + (window - 1) // 2)
            wanted = values[start + low : start + high + 1].astype(np.float64).mean(axis=0)
            np.testing.assert_allclose(means[start + j], wanted, atol=2e-3)
        start += n


def test_a_window_of_one_is_the_token_itself_and_of_zero_an_error() -> None:
    values = np.ones((3, 2), np.float16)
    assert windowed(values, np.array([3]), 1) is values
    with pytest.raises(InputError, match="window is 0"):
        windowed(values, np.array([3]), 0)


@pytest.mark.slow
def test_training_finds_planted_directions() -> None:
    rng = np.random.default_rng(1)
    planted = np.linalg.qr(rng.normal(size=(32, 32)))[0][:16]
    rows = np.zeros((8000, 16))
    for row in rows:
        row[rng.choice(16, 2, replace=False)] = rng.uniform(1, 2, 2)
    values = (rows @ planted).astype(np.float16)

    sae = train_topk(values, TrainingPlan(width=24, k=2, steps=600, batch=256, rate=1e-2, seed=0))

    best = (sae.w_dec @ planted.T).max(axis=0)
    assert np.mean(best) > 0.95
    assert explained_variance(sae, values) > 0.9
    np.testing.assert_allclose(np.linalg.norm(sae.w_dec, axis=1), 1.0, atol=1e-5)


@pytest.mark.slow
def test_the_gradient_equals_autograd() -> None:
    from mtmbench.embedded.training.topk import _gradients, _State

    generator = torch.Generator().manual_seed(0)
    w_enc, w_dec = (torch.randn(20, 6, generator=generator) for _ in range(2))
    b_enc, b_dec = torch.randn(20, generator=generator), torch.randn(6, generator=generator)
    batch = torch.randn(9, 6, generator=generator)
    w_dec /= w_dec.norm(dim=1, keepdim=True)
    leaves = [t.clone().requires_grad_() for t in (w_enc, b_enc, w_dec, b_dec)]
    top, index = torch.topk((batch - leaves[3]) @ leaves[0].T + leaves[1], 3)
    dense = torch.zeros(9, 20).scatter(1, index, top.relu())
    loss = ((dense @ leaves[2] + leaves[3] - batch) ** 2).sum() / 9
    loss.backward()
    wanted = [leaf.grad for leaf in leaves]
    wanted[2] = wanted[2] - (wanted[2] * w_dec).sum(1, keepdim=True) * w_dec

    found, _, _ = _gradients(_State(w_enc, b_enc, w_dec, b_dec), batch, 3)

    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-5)


def test_the_same_seed_gives_the_same_sae_bit_for_bit() -> None:
    values = np.random.default_rng(2).normal(size=(500, 8)).astype(np.float16)
    plan = TrainingPlan(width=12, k=2, steps=150, batch=64, seed=3)
    first, second = train_topk(values, plan), train_topk(values, plan)
    for name in ("w_enc", "b_enc", "w_dec", "b_dec"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_firings_equal_a_brute_force_pass() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(60, 5)).astype(np.float16)
    w_enc = rng.normal(size=(5, 7)).astype(np.float32)
    sae = TopK(w_enc, np.full(7, -0.5, np.float32), w_enc.T.copy(), np.zeros(5, np.float32), 2)
    found = firings(sae, values, np.array([10, 20, 30]))

    pre = values.astype(np.float32) @ w_enc - 0.5
    kept = np.where(pre >= np.sort(pre, axis=1)[:, -2:-1], np.maximum(pre, 0), 0)
    passage = np.repeat([0, 1, 2], [10, 20, 30])
    for i in range(7):
        active = kept[:, i][kept[:, i] > 0]
        assert found.density[i] == pytest.approx(len(active) / 60)
        if len(active):
            np.testing.assert_allclose(
                found.quantiles[i, 1:], np.quantile(active, LEVELS[1:]), rtol=1e-5
            )
        strongest = {
            int(p): int(np.argmax(np.where(passage == p, kept[:, i], -1)))
            for p in np.unique(passage[kept[:, i] > 0])
        }
        starts = np.array([0, 10, 30])
        assert {c.passage: int(starts[c.passage]) + c.token for c in found.contexts[i]} == strongest


def _passage(text: str) -> Passage:
    words = text.split()
    offsets, at = [], 0
    for word in words:
        at = text.index(word, at)
        offsets.append((at, at + len(word)))
        at += len(word)
    return Passage(text[:5], "none", text, tuple(range(len(words))), tuple(offsets))


def test_labels_name_what_the_contexts_share() -> None:
    filler = [_passage(f"plain talk about houses and roads number{i} in town") for i in range(60)]
    themed = [_passage(f"then NASA sent a rocket toward orbit {w}") for w in "abcdefghij"]
    labeller = Labeller([*filler, *themed])
    strong = [Firing(60 + i, 4) for i in range(10)]

    label = labeller.label(strong)

    assert label.split(", ")[0] == "rocket"
    assert "NASA" in label
    assert "town" not in label


def test_features_without_content_are_labelled_plainly() -> None:
    texts = [_passage(f"w{i} the thing{i} x{i} cat{i}") for i in range(30)]
    labeller = Labeller(texts)
    assert labeller.label([]) == DEAD
    assert labeller.label([Firing(i, 1) for i in range(30)]) == f"{STOP_WORDS} the"
    pieces = [
        Passage(str(i), "n", f"al{chr(98 + i)}x{chr(98 + i)}y", (1,), ((0, 2),)) for i in range(20)
    ]
    assert Labeller(pieces).label([Firing(i, 0) for i in range(20)]) == f"{PIECES} al"
