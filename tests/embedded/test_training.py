"""Training parts against closed forms and brute force."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.embedded.training.activations import Passage, windowed
from mtmbench.embedded.training.minilm import firings
from mtmbench.embedded.training.topk import (
    TrainingPlan,
    encoded,
    explained_variance,
    half_rounded,
    train_sae,
)
from mtmbench.features.sae.keyless_labels import DEAD, PIECES, STOP_WORDS, Firing, Labeller
from mtmbench.features.sae.reference import LEVELS
from mtmbench.features.sae.sae import SAE, load_sae, save_sae

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

    sae = train_sae(values, TrainingPlan(width=24, k=2, steps=600, batch=256, rate=1e-2, seed=0))

    best = (sae.w_dec @ planted.T).max(axis=0)
    assert np.mean(best) > 0.95
    assert explained_variance(sae, values) > 0.9
    np.testing.assert_allclose(np.linalg.norm(sae.w_dec, axis=1), 1.0, atol=1e-5)


KINDS = {
    "topk": TrainingPlan(20, 3),
    "batchtopk": TrainingPlan(20, 3, "batchtopk"),
    "matryoshka": TrainingPlan(20, 3, "batchtopk", (4, 9)),
    "matryoshka of topk": TrainingPlan(20, 3, "topk", (4, 9)),
}
each_kind = pytest.mark.parametrize("plan", KINDS.values(), ids=KINDS)


def _brute_loss(plan: TrainingPlan, batch, w_enc, b_enc, w_dec, b_dec):
    """The loss from its definition: a dense matrix of activations, one sum for each prefix."""
    pre = (batch - b_dec) @ w_enc.T + b_enc
    if plan.rule == "topk":
        index = pre.topk(plan.k, dim=1).indices
        kept = torch.zeros_like(pre).scatter(1, index, 1.0)
    else:
        index = pre.flatten().topk(plan.k * len(batch)).indices
        kept = torch.zeros(pre.numel()).scatter(0, index, 1.0).view_as(pre)
    active = pre.relu() * kept
    losses = [
        ((active[:, :m] @ w_dec[:m] + b_dec - batch) ** 2).sum() / len(batch)
        for m in (*plan.nested, plan.width)
    ]
    return sum(losses) / len(losses), active


def _random_state():
    generator = torch.Generator().manual_seed(0)
    w_enc, w_dec = (torch.randn(20, 6, generator=generator) for _ in range(2))
    b_enc, b_dec = torch.randn(20, generator=generator), torch.randn(6, generator=generator)
    w_dec /= w_dec.norm(dim=1, keepdim=True)
    return torch.randn(9, 6, generator=generator), (w_enc, b_enc, w_dec, b_dec)


@each_kind
def test_the_gradient_equals_autograd(plan: TrainingPlan) -> None:
    from mtmbench.embedded.training.topk import _gradients, _State

    batch, parameters = _random_state()
    leaves = [t.clone().requires_grad_() for t in parameters]
    loss, active = _brute_loss(plan, batch, *leaves)
    loss.backward()
    wanted = [leaf.grad for leaf in leaves]
    w_dec = parameters[2]
    wanted[2] = wanted[2] - (wanted[2] * w_dec).sum(1, keepdim=True) * w_dec

    found, error, fired = _gradients(_State(*parameters), batch, plan)

    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-5)
    whole = (active @ w_dec + parameters[3] - batch).detach().numpy()
    np.testing.assert_allclose(error.numpy(), whole, atol=1e-5)
    assert fired.tolist() == np.flatnonzero((active > 0).any(0).numpy()).tolist()


@each_kind
def test_what_is_kept_is_the_largest(plan: TrainingPlan) -> None:
    from mtmbench.embedded.training.topk import _active

    pre = torch.randn(9, 20, generator=torch.Generator().manual_seed(5))
    begins, features, strengths = _active(pre, plan)

    dense = np.zeros((9, 20), np.float32)
    rows = np.repeat(np.arange(9), np.diff(begins))
    dense[rows, features] = strengths
    values = pre.numpy()
    group = values if plan.rule == "topk" else values.reshape(1, -1)
    size = plan.k if plan.rule == "topk" else plan.k * 9
    limits = np.sort(group, axis=1)[:, -size][:, None]
    wanted = np.where(group >= limits, np.maximum(group, 0), 0).reshape(9, 20)
    np.testing.assert_array_equal(dense, wanted)


def test_where_few_are_positive_no_more_are_kept() -> None:
    from mtmbench.embedded.training.topk import _active

    pre = torch.full((4, 20), -1.0)
    pre[2, 7] = 0.5
    for plan in KINDS.values():
        begins, features, strengths = _active(pre, plan)
        assert begins.tolist() == [0, 0, 0, 1, 1]
        assert features.tolist() == [7]
        assert strengths.tolist() == [0.5]


@pytest.mark.parametrize("nested", [(0, 5), (5, 5), (9, 4), (20,)])
def test_nested_widths_that_do_not_rise_are_an_error(nested: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="must rise"):
        TrainingPlan(20, 3, nested=nested)


@each_kind
def test_the_same_seed_gives_the_same_sae_bit_for_bit(plan: TrainingPlan) -> None:
    values = np.random.default_rng(2).normal(size=(500, 8)).astype(np.float16)
    plan = replace(plan, steps=150, batch=64, seed=3)
    first, second = train_sae(values, plan), train_sae(values, plan)
    assert first.revision == second.revision
    assert first.revision != train_sae(values, replace(plan, seed=4)).revision


def test_batchtopk_keeps_k_a_row_on_average_by_its_threshold(tmp_path: Path) -> None:
    values = np.random.default_rng(6).normal(size=(4000, 8)).astype(np.float16)
    plan = TrainingPlan(32, 3, "batchtopk", steps=200, batch=256)
    sae = half_rounded(train_sae(values, plan))
    rows, _, strengths = encoded(sae, values)

    assert len(rows) / len(values) == pytest.approx(3, rel=0.05)
    assert sae.threshold is not None
    assert len(np.unique(sae.threshold)) == 1
    assert strengths.min() > sae.threshold[0] > 0
    counts = np.bincount(rows, minlength=len(values))
    assert counts.min() < 3 < counts.max()
    save_sae(sae, tmp_path, half=True)
    assert load_sae(tmp_path).revision == sae.revision


@pytest.mark.slow
def test_matryoshka_puts_the_coarse_features_first() -> None:
    """Clusters of clusters: two features for the two coarse ones, six for the fine ones."""
    rng = np.random.default_rng(7)
    basis = np.linalg.qr(rng.normal(size=(16, 16)))[0]
    fine = rng.integers(0, 6, 6000)
    rows = 3 * basis[fine // 3] + basis[2 + fine] + 0.05 * rng.normal(size=(6000, 16))
    values = rows.astype(np.float16)
    shares = {}
    for nested in ((), (2,)):
        plan = TrainingPlan(8, 2, "topk", nested, steps=800, batch=256, rate=1e-2)
        sae = train_sae(values, plan)
        alone = replace(
            sae, w_enc=sae.w_enc[:, :2].copy(), b_enc=sae.b_enc[:2], w_dec=sae.w_dec[:2], k=2
        )
        shares[nested] = explained_variance(alone, values)
    assert shares[(2,)] > 0.7 > shares[()]


def test_firings_equal_a_brute_force_pass() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(60, 5)).astype(np.float16)
    w_enc = rng.normal(size=(5, 7)).astype(np.float32)
    sae = SAE(
        "topk", w_enc, np.full(7, -0.5, np.float32), w_enc.T.copy(), np.zeros(5, np.float32),
        subtract_b_dec=True, k=2, threshold=None, metadata={},
    )  # fmt: skip
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
