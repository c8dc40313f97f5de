"""A TopK sparse autoencoder in numpy arrays and its training, with the gradient written out.

``pre(x) = (x − b_dec) @ W_enc + b_enc``; the k largest entries, where positive, are the
activations; ``x̂ = a @ W_dec + b_dec`` with unit rows of ``W_dec`` (Gao et al. 2024, "Scaling and
evaluating sparse autoencoders"). This is sae-lens's ``topk`` architecture. The gradient is written
out because it touches k of F features a row: autograd through a dense (batch, F) matrix takes
several times as long on two cores.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.types import FloatArray, Int32Array, IntArray
from mtmbench.embedded.training.activations import HalfArray

if TYPE_CHECKING:
    import torch

_SparsePart = Callable[
    [IntArray, FloatArray, FloatArray, FloatArray, FloatArray],
    tuple[FloatArray, FloatArray, FloatArray, FloatArray],
]


@dataclass(frozen=True)
class TopK:
    """The parameters of a TopK SAE.

    Attributes:
        w_enc: (H, F) f32.
        b_enc: (F,) f32.
        w_dec: (F, H) f32, unit rows.
        b_dec: (H,) f32, subtracted from the input and added to the output.
        k: activations kept per row.
    """

    w_enc: FloatArray
    b_enc: FloatArray
    w_dec: FloatArray
    b_dec: FloatArray
    k: int

    def encode(
        self, values: HalfArray, batch: int = 8192
    ) -> Iterator[tuple[Int32Array, FloatArray]]:
        """Yields (rows, k) feature indices and activations (≥ 0) of batch after batch."""
        import torch

        w_enc, b_enc = torch.from_numpy(self.w_enc), torch.from_numpy(self.b_enc)
        b_dec = torch.from_numpy(self.b_dec)
        for first in range(0, len(values), batch):
            rows = torch.from_numpy(values[first : first + batch].astype(np.float32))
            with torch.inference_mode():
                top, index = torch.topk((rows - b_dec) @ w_enc + b_enc, self.k, sorted=False)
                top = top.relu()
            yield index.to(torch.int32).numpy(), top.numpy()

    def half_rounded(self) -> TopK:
        """Returns the parameters as they are after storage in float16."""
        w_enc, b_enc, w_dec, b_dec = (
            array.astype(np.float16).astype(np.float32)
            for array in (self.w_enc, self.b_enc, self.w_dec, self.b_dec)
        )
        return TopK(w_enc, b_enc, w_dec, b_dec, self.k)


@dataclass(frozen=True)
class TrainingPlan:
    """How to train: width F, k, steps, rows per step, peak learning rate, seed."""

    width: int
    k: int
    steps: int = 1500
    batch: int = 2048
    rate: float = 2e-3
    seed: int = 0


def train_topk(values: HalfArray, plan: TrainingPlan) -> TopK:
    """Trains a TopK SAE on rows of activations.

    Adam on the mean squared error of inputs scaled to unit variance a dimension (the scale is
    folded back into the biases); decoder rows are kept at unit norm; the learning rate warms up
    over 5 % and falls linearly over the last 40 % of the steps. A feature that has not fired for
    100 steps is restarted on a badly reconstructed row, up to 70 % of the steps.

    Args:
        values: (N, H) activations.
        plan: sizes, steps and seed.

    Returns:
        The trained parameters in the units of ``values``.
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
    last_fired = np.zeros(plan.width, np.int64)
    for step in range(plan.steps):
        rows = rng.integers(0, len(values), plan.batch)
        batch = torch.from_numpy(values[np.sort(rows)].astype(np.float32) * np.float32(scale))
        gradients, error, fired = _gradients(state, batch, plan.k)
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
    return TopK(
        w_enc=np.ascontiguousarray(state.w_enc.numpy().T),
        b_enc=np.asarray(state.b_enc.numpy() / np.float32(scale), np.float32),
        w_dec=state.w_dec.numpy(),
        b_dec=np.asarray(state.b_dec.numpy() / np.float32(scale), np.float32),
        k=plan.k,
    )


def explained_variance(sae: TopK, values: HalfArray) -> float:
    """Returns 1 − Σ‖x − x̂‖² / Σ‖x − x̄‖² over the rows."""
    mean = values.mean(axis=0, dtype=np.float64).astype(np.float32)
    unexplained = total = 0.0
    start = 0
    for index, top in sae.encode(values, 2048):
        rows = values[start : start + len(index)].astype(np.float32)
        start += len(index)
        rebuilt = np.einsum("nk,nkh->nh", top, sae.w_dec[index]) + sae.b_dec
        unexplained += float(((rows - rebuilt) ** 2).sum(dtype=np.float64))
        total += float(((rows - mean) ** 2).sum(dtype=np.float64))
    return 1.0 - unexplained / total


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


def _gradients(
    state: _State, batch: torch.Tensor, k: int
) -> tuple[list[torch.Tensor], torch.Tensor, IntArray]:
    import torch

    centred = batch - state.b_dec
    top, index = torch.topk(torch.addmm(state.b_enc, centred, state.w_enc.T), k, sorted=False)
    error, d_w_enc, d_b_enc, of_decoder = _sparse_part()(
        index.numpy(),
        top.relu_().numpy(),
        state.w_dec.numpy(),
        batch.numpy(),
        state.b_dec.numpy(),
    )
    d_b_dec = torch.from_numpy(error.sum(axis=0) * np.float32(2.0 / len(batch)))
    d_b_dec -= torch.from_numpy(d_b_enc) @ state.w_enc
    d_w_dec = torch.from_numpy(of_decoder)
    d_w_dec -= (d_w_dec * state.w_dec).sum(1, keepdim=True) * state.w_dec
    fired = np.unique(index[top > 0].numpy())
    gradients = [torch.from_numpy(d_w_enc), torch.from_numpy(d_b_enc), d_w_dec, d_b_dec]
    return gradients, torch.from_numpy(error), fired


@functools.cache
def _sparse_part() -> _SparsePart:
    """Compiles the part of a step that touches only the active features."""
    import numba

    @numba.njit(fastmath=True, cache=False)
    def sparse_part(
        index: IntArray, top: FloatArray, w_dec: FloatArray, rows: FloatArray, b_dec: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        n, k = index.shape
        width, h = w_dec.shape
        error = np.empty((n, h), np.float32)
        d_w_enc = np.zeros((width, h), np.float32)
        d_w_dec = np.zeros((width, h), np.float32)
        d_b_enc = np.zeros(width, np.float32)
        two_over_n = np.float32(2.0 / n)
        for r in range(n):
            for c in range(h):
                error[r, c] = b_dec[c] - rows[r, c]
            for j in range(k):
                i, a = index[r, j], top[r, j]
                if a > 0:
                    for c in range(h):
                        error[r, c] += a * w_dec[i, c]
            for j in range(k):
                i, a = index[r, j], top[r, j]
                if a > 0:
                    slope = np.float32(0.0)
                    for c in range(h):
                        slope += w_dec[i, c] * error[r, c]
                    slope *= two_over_n
                    d_b_enc[i] += slope
                    for c in range(h):
                        d_w_dec[i, c] += two_over_n * a * error[r, c]
                        d_w_enc[i, c] += slope * (rows[r, c] - b_dec[c])
        return error, d_w_enc, d_b_enc, d_w_dec

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
