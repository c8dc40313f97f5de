"""What ETM and mETM share: an amortised logistic-normal θ and the loop that trains it.

θ_d = softmax(z_d), z_d ~ N(0, I); the encoder maps a document's normalised counts to the mean and
log-variance of q(z_d) (Dieng, Ruiz and Blei 2020, section 4). Everything runs on one torch thread
from a seed of its own, so that neither the caller's threads nor its random state matter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mtmbench.core.errors import InputError, did_you_mean
from mtmbench.core.types import Counts, FloatArray, IntArray, Views
from mtmbench.models.base import TopicModel, normalise_rows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Start = Literal["clusters", "random"]
"""Where training starts: at topics that fit clusters of the documents, or at random ones."""

AUTHORS_EPOCHS = 20
LEAST_STEPS = 200


@dataclass(frozen=True)
class CountBatch:
    """Documents as one entry per non-zero count.

    Attributes:
        n_docs: B.
        rows, columns, counts: (n,) document within the batch, item, and count of each entry.
        offsets: (B,) first entry of each document.
        shares: (n,) counts divided by their document's sum.
        n_tokens: (B,) tokens counted over.
    """

    n_docs: int
    rows: Tensor
    columns: Tensor
    counts: Tensor
    offsets: Tensor
    shares: Tensor
    n_tokens: Tensor

    @classmethod
    def of(cls, matrix: csr_matrix, n_tokens: IntArray) -> CountBatch:
        """Returns all documents of ``matrix`` (B, V) as one batch."""
        lengths = np.diff(matrix.indptr)
        rows = np.repeat(np.arange(matrix.shape[0]), lengths)
        counts = matrix.data.astype(np.float64)
        sums = np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()
        return cls(
            matrix.shape[0],
            torch.from_numpy(rows),
            torch.from_numpy(matrix.indices.astype(np.int64)),
            torch.from_numpy(counts),
            torch.from_numpy(matrix.indptr[:-1].astype(np.int64)),
            torch.from_numpy(counts / np.maximum(sums, 1.0)[rows]),
            torch.from_numpy(np.asarray(n_tokens, dtype=np.float64)),
        )

    def sum_entries(self, values: Tensor) -> Tensor:
        """Sums (n,) values of entries by document (B,)."""
        return torch.zeros(self.n_docs).index_add(0, self.rows, values)


class Posterior(nn.Module, ABC):
    """q(θ | document), amortised: the recognition part of a model."""

    @abstractmethod
    def draw(self, batch: CountBatch) -> tuple[Tensor, Tensor]:
        """Returns a θ (B, K) that gradients pass through, and KL(q ‖ prior) (B,) in nats."""

    @abstractmethod
    def expect(self, batch: CountBatch) -> Tensor:
        """Returns the θ (B, K) that stands for each document in results."""


class Encoder(Posterior):
    """q(z | document): two hidden layers of ReLU, then a linear map each to μ and log σ².

    Args:
        n_items: V.
        n_topics: K.
        hidden: units of each hidden layer.
        dropout: share of hidden units dropped in training, after the second layer.
    """

    def __init__(self, n_items: int, n_topics: int, hidden: int, dropout: float) -> None:
        super().__init__()
        # The first layer's input is sparse; its weight is stored by item to be looked up.
        bound = n_items**-0.5
        self.items = nn.Parameter(torch.empty(n_items, hidden).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(hidden).uniform_(-bound, bound))
        self.hidden = nn.Linear(hidden, hidden)
        self.mean = nn.Linear(hidden, n_topics)
        self.log_variance = nn.Linear(hidden, n_topics)
        self.dropout = dropout

    def forward(self, batch: CountBatch) -> tuple[Tensor, Tensor]:
        """Returns μ and log σ² of q(z), each (B, K)."""
        first = functional.embedding_bag(
            batch.columns, self.items, batch.offsets, mode="sum", per_sample_weights=batch.shares
        )
        second = functional.relu(self.hidden(functional.relu(first + self.bias)))
        second = functional.dropout(second, self.dropout, self.training)
        return self.mean(second), self.log_variance(second)

    def draw(self, batch: CountBatch) -> tuple[Tensor, Tensor]:
        """Returns softmax(z) of one z ~ q (B, K), and KL(q ‖ N(0, I)) (B,) in nats."""
        mean, log_variance = self(batch)
        noise = torch.randn_like(mean)
        theta = functional.softmax(mean + noise * (0.5 * log_variance).exp(), dim=1)
        return theta, logistic_normal_kl(mean, log_variance)

    def expect(self, batch: CountBatch) -> Tensor:
        """Returns softmax(μ) (B, K)."""
        return functional.softmax(self(batch)[0], dim=1)


class Decoder(nn.Module, ABC):
    """The generative part of a model: how likely a document is under a mixture of topics."""

    @abstractmethod
    def log_likelihood(self, theta: Tensor, batch: CountBatch) -> Tensor:
        """Returns log p(document | θ) for each document (B,), from θ (B, K)."""


@dataclass(frozen=True)
class Training:
    """How to train; the defaults are those of ETM's published code.

    Attributes:
        epochs: passes over the documents; None: 20, and more where these make fewer than 200
            steps.
        batch_size: documents per step, but at most a tenth of the corpus (and at least 100).
        learning_rate: of Adam.
        weight_decay: of Adam.
    """

    epochs: int | None = None
    batch_size: int = 1000
    learning_rate: float = 0.005
    weight_decay: float = 1.2e-6

    def schedule(self, n_docs: int) -> tuple[int, int]:
        """Returns epochs and documents per step for a corpus of ``n_docs`` documents."""
        size = max(1, min(self.batch_size, n_docs, max(100, -(-n_docs // 10))))
        steps = -(-n_docs // size)
        return self.epochs or max(AUTHORS_EPOCHS, -(-LEAST_STEPS // steps)), size


class NeuralTopicModel(TopicModel):
    """Base of the models with an :class:`Encoder`; learned state: ``encoder_``, ``item_ids_``."""

    hidden: int
    dropout: float
    epochs: int | None
    batch_size: int
    learning_rate: float
    weight_decay: float
    start: Start

    def transform(self, views: Views) -> FloatArray:
        """Returns θ (D, K) = softmax(μ) by the fitted encoder; zero for documents without items.

        Raises:
            InputError: the model is not fitted, or the items differ from those of the fit.
        """
        counts = self._fitted_counts(views)
        with reproducible(0):
            return infer(self.encoder_, counts)

    def _fit_decoder(
        self, counts: Counts, decoder: Decoder
    ) -> tuple[FloatArray, dict[str, object]]:
        """Trains ``decoder`` with a new encoder; returns θ (D, K) and what to record."""
        encoder = Encoder(counts.matrix.shape[1], self.n_topics, self.hidden, self.dropout)
        training = Training(self.epochs, self.batch_size, self.learning_rate, self.weight_decay)
        info = maximise_bound(encoder, decoder, counts, training)
        self.encoder_, self.item_ids_ = encoder, counts.item_ids
        return infer(encoder, counts), info

    def _checked_counts(self, views: Views) -> Counts:
        if self.start not in get_args(Start):
            raise InputError(
                f"unknown start {self.start!r}{did_you_mean(self.start, get_args(Start))}"
            )
        self._check_n_topics()
        for name in ("hidden", "batch_size", "learning_rate"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above zero, not {getattr(self, name)!r}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must be in [0, 1), not {self.dropout!r}")
        if self.epochs is not None and self.epochs < 1:
            raise InputError(f"epochs must be at least 1 (or None), not {self.epochs!r}")
        return self._counts_to_fit(views)


def maximise_bound(
    encoder: Posterior, decoder: Decoder, counts: Counts, training: Training
) -> dict[str, object]:
    """Maximises the evidence lower bound by Adam on one-sample gradients.

    Documents without items are left out.

    Returns:
        What to record: epochs, steps, documents per step, and the mean bound per document and its
        KL part in the last epoch, in nats.

    Raises:
        InputError: the bound became infinite or undefined.
    """
    matrix = counts.matrix.tocsr()
    used = np.flatnonzero(np.asarray(matrix.sum(axis=1)).ravel() > 0)
    epochs, size = training.schedule(len(used))
    optimiser = torch.optim.Adam(
        [*encoder.parameters(), *decoder.parameters()],
        lr=training.learning_rate,
        weight_decay=training.weight_decay,
        fused=True,
    )
    encoder.train()
    bound = divergence = 0.0
    for epoch in range(epochs):
        order = used[torch.randperm(len(used)).numpy()]
        bound = divergence = 0.0
        for first in range(0, len(order), size):
            rows = order[first : first + size]
            batch = CountBatch.of(matrix[rows], counts.n_tokens[rows])
            theta, kl_of_each = encoder.draw(batch)
            kl = kl_of_each.sum()
            evidence = decoder.log_likelihood(theta, batch).sum() - kl
            optimiser.zero_grad(set_to_none=True)
            (-evidence / batch.n_docs).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            bound += float(evidence.detach())
            divergence += float(kl.detach())
        if not np.isfinite(bound):
            raise InputError(
                f"training diverged in epoch {epoch + 1} of {epochs}; lower learning_rate "
                f"(now {training.learning_rate:g})"
            )
    return {
        "epochs": epochs,
        "steps": epochs * -(-len(used) // size),
        "batch_size": size,
        "elbo": round(bound / len(used), 4),
        "kl": round(divergence / len(used), 4),
    }


def infer(encoder: Posterior, counts: Counts) -> FloatArray:
    """Returns the expected θ (D, K) of every document; zero for documents without items."""
    matrix = counts.matrix.tocsr()
    encoder.eval()
    parts = []
    with torch.no_grad():
        for first in range(0, matrix.shape[0], 1000):
            rows = slice(first, first + 1000)
            batch = CountBatch.of(matrix[rows], counts.n_tokens[rows])
            parts.append(encoder.expect(batch).double().numpy())
    theta = np.concatenate(parts)
    theta[np.asarray(matrix.sum(axis=1)).ravel() == 0] = 0.0
    return normalise_rows(theta)


def logistic_normal_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q ‖ N(0, I)) of each row (B,), in nats; the same for z and for θ = softmax(z)'s bound."""
    return 0.5 * (mean**2 + log_variance.exp() - 1.0 - log_variance).sum(dim=1)


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Runs torch on one thread, in f64, from ``seed``; restores what the caller had of each.

    In f32 what one processor rounds otherwise than another grows over the steps of a training until
    topics differ; in f64 it stays below the last digit of a result.
    """
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_default_dtype(dtype)
