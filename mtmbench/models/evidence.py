"""The loop that maximises the evidence bound, and the documents that say when it stops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mtmbench.core.errors import InputError
from mtmbench.core.types import Counts, IntArray
from mtmbench.models.amortised import Decoder, Posterior
from mtmbench.models.count_batches import document_batch, row_parts

AUTHORS_EPOCHS = 20
LEAST_STEPS = 200
"""Steps that a fit makes at least."""
HELD_OUT = 0.1
"""Share of the documents whose bound says when to stop."""
LEAST_DOCUMENTS = 5000
"""Fewer than these are all trained on, for a fixed number of steps.

What few documents say of rare words is worth more than stopping: where a tenth was held out, ETM's
perplexity of unseen documents was 1,559 against 1,416 on 270 news stories (three seeds), and
4,749 against 4,538 on 1,800 posts (one seed).
"""
MOST_HELD_OUT = 1000
PATIENCE = 3
"""Epochs without a better held-out bound after which training stops."""


@dataclass(frozen=True)
class Training:
    """How to train; size, rate and decay of weights are those of ETM's published code.

    Attributes:
        epochs: the most passes over the documents; None: as many as make ``least_steps`` steps,
            and 20 where documents are held out, which stop training earlier.
        batch_size: documents per step, but at most a tenth of the corpus (and at least 100).
        learning_rate: of Adam.
        weight_decay: of Adam.
        least_steps: steps that ``epochs`` = None allows at least.
        falling: whether the learning rate falls to zero in a straight line.
    """

    epochs: int | None = None
    batch_size: int = 1000
    learning_rate: float = 0.005
    weight_decay: float = 1.2e-6
    least_steps: int = LEAST_STEPS
    falling: bool = False

    def schedule(self, n_docs: int, *, stops: bool = False) -> tuple[int, int]:
        """Returns epochs and documents per step for ``n_docs`` documents to train on.

        Args:
            n_docs: documents to train on.
            stops: whether others are held out to say when to stop.
        """
        size = max(1, min(self.batch_size, n_docs, max(100, -(-n_docs // 10))))
        steps = -(-n_docs // size)
        least = -(-self.least_steps // steps)
        return self.epochs or (max(AUTHORS_EPOCHS, least) if stops else least), size


@dataclass(frozen=True)
class Split:
    """Rows of the documents to train on, and of those whose bound says when to stop."""

    train: IntArray
    held: IntArray


def hold_out(counts: Counts, seed: int) -> Split:
    """Splits the documents that have items: a seeded tenth, at most 1,000, is held out.

    Of fewer than 5,000 documents none is.
    """
    used = np.flatnonzero(np.asarray(counts.matrix.sum(axis=1)).ravel() > 0).astype(np.int64)
    n_held = min(MOST_HELD_OUT, round(HELD_OUT * len(used)))
    if len(used) < LEAST_DOCUMENTS:
        n_held = 0
    shuffled = np.random.default_rng(seed).permutation(used)
    return Split(np.sort(shuffled[n_held:]), np.sort(shuffled[:n_held]))


def maximise_bound(
    encoder: Posterior, decoder: Decoder, counts: Counts, training: Training, split: Split
) -> dict[str, object]:
    """Maximises the evidence lower bound by Adam on one-sample gradients.

    After each epoch the bound of the held-out documents is taken, always with the same noise;
    training stops once it has not risen for three epochs, and what gave the best is kept. Without
    held-out documents all epochs are run and the last state is kept. A step's documents are
    worked on in parts that bound memory; their gradients add up to the step's.

    Returns:
        What to record: epochs run and the one that is kept, steps, documents per step, the mean
        bound per document and its KL part in the epoch that is kept, in nats, documents held out
        and their mean bound, and whether training stopped before its last epoch.

    Raises:
        InputError: the bound became infinite or undefined.
    """
    n_train = len(split.train)
    epochs, size = training.schedule(n_train, stops=len(split.held) > 0)
    n_steps = -(-n_train // size)
    optimiser = torch.optim.Adam(
        [
            {"params": list(encoder.parameters()), "lr": training.learning_rate},
            {"params": list(decoder.parameters()), "lr": training.learning_rate * decoder.pace},
        ],
        weight_decay=training.weight_decay,
        fused=True,
    )
    decay = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: max(0.0, 1.0 - step / (epochs * n_steps)) if training.falling else 1.0,
    )
    best: _Best | None = None
    epoch = 0
    for epoch in range(1, epochs + 1):
        order = split.train[torch.randperm(n_train).numpy()]
        bound = divergence = 0.0
        for first in range(0, n_train, size):
            optimiser.zero_grad(set_to_none=True)
            found, kl = add_gradients(encoder, decoder, counts, order[first : first + size])
            optimiser.step()
            decay.step()
            bound += found
            divergence += kl
        held = held_out_bound(encoder, decoder, counts, split.held)
        if not np.isfinite(bound + held):
            raise InputError(
                f"training diverged in epoch {epoch} of {epochs}; lower learning_rate "
                f"(now {training.learning_rate:g})"
            )
        if best is None or held > best.held or not len(split.held):
            keep = len(split.held) and epoch < epochs
            best = _Best(epoch, bound, divergence, held, _state(encoder, decoder) if keep else None)
        elif epoch - best.epoch >= PATIENCE:
            break
    assert best is not None
    if best.state is not None and best.epoch < epoch:
        encoder.load_state_dict(best.state[0])
        decoder.load_state_dict(best.state[1])
    return {
        "epochs": epoch,
        "best_epoch": best.epoch,
        "steps": epoch * n_steps,
        "batch_size": size,
        "elbo": round(best.bound / n_train, 4),
        "kl": round(best.divergence / n_train, 4),
        "held_out": len(split.held),
        "held_out_elbo": round(best.held / len(split.held), 4) if len(split.held) else None,
        "stopped": epoch < epochs,
    }


@dataclass(frozen=True)
class _Best:
    epoch: int
    bound: float
    divergence: float
    held: float
    state: tuple[dict[str, Tensor], dict[str, Tensor]] | None


def _state(encoder: Posterior, decoder: Decoder) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    first, second = (
        {name: value.clone() for name, value in module.state_dict().items()}
        for module in (encoder, decoder)
    )
    return first, second


def add_gradients(
    encoder: Posterior, decoder: Decoder, counts: Counts, rows: IntArray
) -> tuple[float, float]:
    """Adds the gradients of minus the mean bound of the documents ``rows``, part by part.

    Returns:
        The summed bound of the documents and its KL part, in nats.
    """
    encoder.train()
    decoder.train()
    shared = decoder.topics()
    topics = shared.detach().requires_grad_()
    bound = divergence = 0.0
    for part in row_parts(rows, counts):
        batch = document_batch(counts, part)
        theta, kl = encoder.draw(batch)
        evidence = (decoder.log_likelihood(theta, batch, topics) - kl).sum()
        (-evidence / len(rows)).backward()  # type: ignore[no-untyped-call]
        bound += float(evidence.detach())
        divergence += float(kl.detach().sum())
    shared.backward(topics.grad)  # type: ignore[no-untyped-call]
    return bound, divergence


@torch.no_grad()
def held_out_bound(encoder: Posterior, decoder: Decoder, counts: Counts, rows: IntArray) -> float:
    """Returns the summed bound of the documents ``rows``, by the same noise at each call."""
    encoder.eval()
    decoder.eval()
    topics = decoder.topics()
    bound = 0.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for part in row_parts(rows, counts):
            batch = document_batch(counts, part)
            theta, kl = encoder.draw(batch)
            bound += float((decoder.log_likelihood(theta, batch, topics) - kl).sum())
    return bound
