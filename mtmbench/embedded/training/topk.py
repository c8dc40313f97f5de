"""Sparse autoencoders of the TopK family and their training, with the gradient written out.

``pre(x) = (x − b_dec) @ W_enc + b_enc``; its largest entries, where positive, are the activations
a; ``x̂ = a @ W_dec + b_dec`` with unit rows of ``W_dec``. Which entries those are is the rule:

- "topk": the k largest of each row (Gao et al. 2024, "Scaling and evaluating sparse autoencoders");
- "batchtopk": the n·k largest of a batch of n rows (Bussmann, Leask and Nanda 2024, "BatchTopK
  sparse autoencoders"). Its trained SAE is a JumpReLU SAE with one threshold for all features, the
  mean over batches of the smallest activation kept, since single texts are not batches.

With nested widths (Matryoshka; Bussmann, Nabeshima, Karvonen and Nanda 2025, "Learning multi-level
features with Matryoshka sparse autoencoders") the first m features rebuild the row by themselves as
well, for each m, so that coarse features come first. The loss is the mean over the nested widths
and the whole of ``‖x − x̂_m‖²``; the activations are those of the whole.

The gradient is written out because it touches few of F features a row: autograd through a dense
(batch, F) matrix takes several times as long on two cores.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.types import FloatArray, Int32Array, IntArray
from mtmbench.embedded.training.activations import HalfArray
from mtmbench.features.sae.sae import SAE
from mtmbench.features.sae.sae_config import SAEMetadata

if TYPE_CHECKING:
    import torch

_SparsePart = Callable[
    [IntArray, IntArray, FloatArray, IntArray, int, FloatArray, FloatArray, FloatArray],
    tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray],
]

_THRESHOLD_BATCHES = 20


@dataclass(frozen=True)
class TrainingPlan:
    """How to train.

    Attributes:
        width: F, the number of features.
        k: activations kept a row; with "batchtopk" on average.
        rule: which activations are kept.
        nested: widths below F whose features rebuild the row by themselves, rising.
        steps: of Adam.
        batch: rows a step.
        rate: peak learning rate.
        seed: of start and batches.

    Raises:
        InputError: ``nested`` does not rise, or does not lie between 0 and the width.
    """

    width: int
    k: int
    rule: Literal["topk", "batchtopk"] = "topk"
    nested: tuple[int, ...] = ()
    steps: int = 1500
    batch: int = 2048
    rate: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        bounds = [0, *self.nested, self.width]
        if any(low >= high for low, high in pairwise(bounds)):
            raise InputError(
                f"nested widths {self.nested} must rise and lie between 0 and {self.width}"
            )


def train_sae(values: HalfArray, plan: TrainingPlan, metadata: SAEMetadata | None = None) -> SAE:
    """Trains an SAE on rows of activations.

    Adam on the squared error of inputs scaled to unit variance a dimension (the scale is folded
    back into biases and threshold); decoder rows are kept at unit norm; the learning rate warms up
    over 5 % and falls linearly over the last 40 % of the steps. A feature that has not fired for
    100 steps is restarted on a badly reconstructed row, up to 70 % of the steps.

    Args:
        values: (N, H) activations, in memory or mapped.
        plan: sizes, rule, steps and seed.
        metadata: what the SAE's config will say of model and hook.

    Returns:
        The trained SAE in the units of ``values``.
    """
    import torch

    rng = np.random.default_rng(plan.seed)
    sample = values[rng.choice(len(values), min(len(values), 100_000), replace=False)].astype(
        np.float32
    )
    mean = sample.mean(axis=0)
    scale = float(1.0 / np.sqrt(((sample - mean) ** 2).mean()))
    start = (sample[rng.choice(len(sample), plan.width)] - mean) * scale
    w_dec = _unit_rows(
        torch.from_numpy(start)
        + torch.from_numpy(rng.standard_normal(start.shape).astype(np.float32)) * 0.5
    )
    state = _State(
        w_enc=w_dec.clone(),
        b_enc=torch.zeros(plan.width),
        w_dec=w_dec,
        b_dec=torch.from_numpy(mean * scale),
    )
    adam = _Adam([state.w_enc, state.b_enc, state.w_dec, state.b_dec])

    def draw() -> torch.Tensor:
        rows = np.sort(rng.integers(0, len(values), plan.batch))
        return torch.from_numpy(values[rows].astype(np.float32) * np.float32(scale))

    last_fired = np.zeros(plan.width, np.int64)
    for step in range(plan.steps):
        batch = draw()
        gradients, error, fired = _gradients(state, batch, plan)
        last_fired[fired] = step
        adam.step(gradients, plan.rate * _schedule(step, plan.steps))
        state.w_dec.copy_(_unit_rows(state.w_dec))
        if step % 50 == 49 and step < 0.7 * plan.steps:
            dead = np.flatnonzero(step - last_fired >= 100)[: plan.batch]
            _restart(state, adam, torch.from_numpy(dead), error)
            last_fired[dead] = step
        if step % 100 == 99:
            loss = float((error**2).sum() / ((batch - state.b_dec) ** 2).sum())
            print(f"step {step + 1}: unexplained {loss:.4f}", flush=True)
    threshold = None
    if plan.rule == "batchtopk":
        least = [
            float(_active(_pre(state, draw()), plan)[2].min()) for _ in range(_THRESHOLD_BATCHES)
        ]
        threshold = np.full(plan.width, np.mean(least) / scale, np.float32)
    return SAE(
        architecture="topk" if plan.rule == "topk" else "jumprelu",
        w_enc=np.ascontiguousarray(state.w_enc.numpy().T),
        b_enc=np.asarray(state.b_enc.numpy() / np.float32(scale), np.float32),
        w_dec=state.w_dec.numpy(),
        b_dec=np.asarray(state.b_dec.numpy() / np.float32(scale), np.float32),
        subtract_b_dec=True,
        k=plan.k if plan.rule == "topk" else None,
        threshold=threshold,
        metadata=metadata or {},
    )


def half_rounded(sae: SAE) -> SAE:
    """Returns an SAE as it is after storage in float16."""
    arrays = {
        name: getattr(sae, name).astype(np.float16).astype(np.float32)
        for name in ("w_enc", "b_enc", "w_dec", "b_dec", "threshold")
        if getattr(sae, name) is not None
    }
    return replace(sae, **arrays)


def explained_variance(sae: SAE, values: HalfArray) -> float:
    """Returns 1 − Σ‖x − x̂‖² / Σ‖x − x̄‖² over the rows."""
    import torch

    mean = values.mean(axis=0, dtype=np.float64).astype(np.float32)
    unexplained = total = 0.0
    for first in range(0, len(values), 2048):
        rows = values[first : first + 2048].astype(np.float32)
        difference = reconstructed(sae, torch.from_numpy(rows)).numpy() - rows
        unexplained += float((difference**2).sum(dtype=np.float64))
        total += float(((rows - mean) ** 2).sum(dtype=np.float64))
    return 1.0 - unexplained / total


def encoded(
    sae: SAE, values: HalfArray, batch: int = 8192
) -> tuple[IntArray, Int32Array, FloatArray]:
    """Returns row, feature and strength of every activation above zero of (N, H) rows."""
    import torch

    parts = []
    for first in range(0, len(values), batch):
        rows = torch.from_numpy(values[first : first + batch].astype(np.float32))
        row, feature, strength = sae.encode(rows)
        parts.append((row + first, feature, strength))
    rows_of, features, strengths = (np.concatenate(part) for part in zip(*parts, strict=True))
    return rows_of, features, strengths


def reconstructed(sae: SAE, values: torch.Tensor) -> torch.Tensor:
    """Returns the (N, H) reconstructions of (N, H) f32 activations."""
    import torch

    rows, features, strengths = (torch.from_numpy(part) for part in sae.encode(values))
    found = torch.from_numpy(sae.b_dec).repeat(len(values), 1)
    return found.index_add_(0, rows, strengths[:, None] * torch.from_numpy(sae.w_dec)[features])


@dataclass
class _State:
    """Torch tensors under training; ``w_enc`` is (F, H), so that a feature is a row."""

    w_enc: torch.Tensor
    b_enc: torch.Tensor
    w_dec: torch.Tensor
    b_dec: torch.Tensor


class _Adam:
    def __init__(self, parameters: list[torch.Tensor]) -> None:
        import torch

        self.parameters = parameters
        self.first = [torch.zeros_like(p) for p in parameters]
        self.second = [torch.zeros_like(p) for p in parameters]
        self.count = 0

    def step(self, gradients: list[torch.Tensor], rate: float) -> None:
        self.count += 1
        bias_1, bias_2 = 1 - 0.9**self.count, 1 - 0.999**self.count
        for p, g, m, v in zip(self.parameters, gradients, self.first, self.second, strict=True):
            m.mul_(0.9).add_(g, alpha=0.1)
            v.mul_(0.999).addcmul_(g, g, value=0.001)
            p.addcdiv_(m, (v / bias_2).sqrt_().add_(1e-8), value=-rate / bias_1)


def _pre(state: _State, batch: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.addmm(state.b_enc, batch - state.b_dec, state.w_enc.T)


def _active(pre: torch.Tensor, plan: TrainingPlan) -> tuple[IntArray, IntArray, FloatArray]:
    """Returns what the rule keeps of (n, F) pre-activations, row after row.

    Returns:
        Where each row begins, (n + 1,), and the features and activations kept.
    """
    import torch

    if plan.rule == "topk":
        top, index = torch.topk(pre, plan.k, sorted=False)
        kept = top > 0
        counts, features, strengths = kept.sum(1), index[kept], top[kept]
    else:
        flat = pre.numpy().ravel()
        place = flat.size - plan.k * len(pre)
        limit = float(np.partition(flat, place)[place])
        kept = pre >= limit if limit > 0 else pre > 0
        counts, features, strengths = kept.sum(1), kept.nonzero()[:, 1], pre[kept]
    begins = np.concatenate([[0], np.cumsum(counts.numpy())])
    return begins, features.numpy(), strengths.numpy()


def _gradients(
    state: _State, batch: torch.Tensor, plan: TrainingPlan
) -> tuple[list[torch.Tensor], torch.Tensor, IntArray]:
    """Returns gradients by parameter, the errors (n, H) of the whole, and what fired."""
    import torch

    begins, features, strengths = _active(_pre(state, batch), plan)
    level = np.searchsorted(plan.nested, np.arange(plan.width), side="right")
    error, d_w_enc, d_b_enc, of_decoder, of_output = _sparse_part()(
        begins,
        features,
        strengths,
        level,
        len(plan.nested) + 1,
        state.w_dec.numpy(),
        batch.numpy(),
        state.b_dec.numpy(),
    )
    d_b_dec = torch.from_numpy(of_output)
    d_b_dec -= torch.from_numpy(d_b_enc) @ state.w_enc
    d_w_dec = torch.from_numpy(of_decoder)
    d_w_dec -= (d_w_dec * state.w_dec).sum(1, keepdim=True) * state.w_dec
    gradients = [torch.from_numpy(d_w_enc), torch.from_numpy(d_b_enc), d_w_dec, d_b_dec]
    return gradients, torch.from_numpy(error), np.unique(features)


@functools.cache
def _sparse_part() -> _SparsePart:
    """Compiles the part of a step that touches only the active features."""
    import numba

    @numba.njit(fastmath=True, cache=False)
    def sparse_part(
        begins: IntArray,
        features: IntArray,
        strengths: FloatArray,
        level: IntArray,
        n_levels: int,
        w_dec: FloatArray,
        rows: FloatArray,
        b_dec: FloatArray,
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        n, h = rows.shape
        width = len(w_dec)
        error = np.empty((n, h), np.float32)
        d_w_enc = np.zeros((width, h), np.float32)
        d_w_dec = np.zeros((width, h), np.float32)
        d_b_enc = np.zeros(width, np.float32)
        d_output = np.zeros(h, np.float32)
        # First each level's share of the output, then its error, then the sum of the errors of
        # all levels that a feature of this one is part of.
        e = np.empty((n_levels, h), np.float32)
        factor = np.float32(2.0 / (n * n_levels))
        for r in range(n):
            e[:] = np.float32(0.0)
            for c in range(h):
                e[0, c] = b_dec[c] - rows[r, c]
            for j in range(begins[r], begins[r + 1]):
                i, a = features[j], strengths[j]
                m = level[i]
                for c in range(h):
                    e[m, c] += a * w_dec[i, c]
            for m in range(1, n_levels):
                for c in range(h):
                    e[m, c] += e[m - 1, c]
            for c in range(h):
                error[r, c] = e[n_levels - 1, c]
            for m in range(n_levels - 2, -1, -1):
                for c in range(h):
                    e[m, c] += e[m + 1, c]
            for c in range(h):
                d_output[c] += factor * e[0, c]
            for j in range(begins[r], begins[r + 1]):
                i, a = features[j], strengths[j]
                m = level[i]
                slope = np.float32(0.0)
                for c in range(h):
                    slope += w_dec[i, c] * e[m, c]
                slope *= factor
                d_b_enc[i] += slope
                for c in range(h):
                    d_w_dec[i, c] += factor * a * e[m, c]
                    d_w_enc[i, c] += slope * (rows[r, c] - b_dec[c])
        return error, d_w_enc, d_b_enc, d_w_dec, d_output

    compiled: _SparsePart = sparse_part
    return compiled


def _restart(state: _State, adam: _Adam, dead: torch.Tensor, error: torch.Tensor) -> None:
    if not len(dead):
        return
    worst = (error**2).sum(1).argsort(descending=True)[: len(dead)]
    dead = dead[: len(worst)]
    direction = _unit_rows(-error[worst])
    state.w_dec[dead] = direction
    state.w_enc[dead] = direction
    state.b_enc[dead] = 0.0
    for moments in (adam.first, adam.second):
        for position in (0, 1, 2):
            moments[position][dead] = 0.0


def _schedule(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / (0.05 * steps), (steps - step) / (0.4 * steps))


def _unit_rows(matrix: torch.Tensor) -> torch.Tensor:
    norms: torch.Tensor = matrix.norm(dim=1, keepdim=True)
    return matrix / norms.clamp_min(1e-12)
