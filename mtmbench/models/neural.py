"""What neural models share: an amortised θ and the loop that maximises the evidence bound.

In ETM and mETM θ_d = softmax(z_d), z_d ~ N(0, I); the encoder maps a document's normalised counts
to the mean and log-variance of q(z_d) (Dieng, Ruiz and Blei 2020, section 4). Everything runs on
one torch thread from a seed of its own, so that neither the caller's threads nor its random state
matter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

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
"""Steps that a fit makes at least."""
STEPS_FROM_TOPICS = 42
"""The same where the encoder starts at the topics, too."""
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

PART_CELLS = 2**22
"""Documents times items that are worked on at once (32 MiB for each f64 array)."""
DENSE_FROM = 0.2
"""Density of counts from which a dense product takes less time than a sparse one."""


@dataclass(frozen=True)
class CountBatch:
    """Documents as one entry per non-zero count.

    Attributes:
        matrix: csr (B, V) f64 counts.
        rows, columns, counts: (n,) document within the batch, item, and count of each entry.
        n_tokens: (B,) tokens counted over.
        vectors: (B, E) embeddings of the documents, where the encoder reads them.
    """

    matrix: csr_matrix
    rows: Tensor
    columns: Tensor
    counts: Tensor
    n_tokens: Tensor
    vectors: Tensor | None = None

    @classmethod
    def of(
        cls, matrix: csr_matrix, n_tokens: IntArray, vectors: FloatArray | None = None
    ) -> CountBatch:
        """Returns all documents of ``matrix`` (B, V) as one batch."""
        given = matrix.astype(np.float64)
        rows = np.repeat(np.arange(given.shape[0]), np.diff(given.indptr))
        return cls(
            given,
            torch.from_numpy(rows),
            torch.from_numpy(given.indices.astype(np.int64)),
            torch.from_numpy(given.data),
            torch.from_numpy(np.asarray(n_tokens, dtype=np.float64)),
            None if vectors is None else torch.from_numpy(vectors.astype(np.float64)),
        )

    @property
    def n_docs(self) -> int:
        """B."""
        return len(self.n_tokens)

    @property
    def shares(self) -> csr_matrix:
        """Counts divided by their document's sum, csr (B, V)."""
        sums = np.maximum(np.asarray(self.matrix.sum(axis=1)).ravel(), 1.0)
        shares = self.matrix.copy()
        shares.data /= sums[self.rows.numpy()]
        return shares

    def sum_entries(self, values: Tensor) -> Tensor:
        """Sums (n,) values of entries by document (B,)."""
        return torch.zeros(self.n_docs).index_add(0, self.rows, values)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: csr_matrix, weight: Tensor) -> Tensor:
        if matrix.nnz >= DENSE_FROM * matrix.shape[0] * matrix.shape[1]:
            ctx.by_item = dense = torch.from_numpy(matrix.toarray())
            return dense @ weight
        # Item by item, so that each row of the large weight, and of its gradient, is passed once;
        # a sum's terms keep the order that they have document by document.
        ctx.by_item = by_item = matrix.tocsc()
        return torch.from_numpy(by_item @ weight.numpy())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        (gradient,) = gradients
        if isinstance(ctx.by_item, Tensor):
            return None, ctx.by_item.T @ gradient
        return None, torch.from_numpy(ctx.by_item.T @ gradient.numpy())


def product(matrix: csr_matrix, weight: Tensor) -> Tensor:
    """Returns ``matrix`` (B, V) @ ``weight`` (V, H); gradients reach the weight."""
    result: Tensor = _Product.apply(matrix, weight)  # type: ignore[no-untyped-call]
    return result


class Posterior(nn.Module, ABC):
    """q(θ | document), amortised: the recognition part of a model."""

    @abstractmethod
    def draw(self, batch: CountBatch) -> tuple[Tensor, Tensor]:
        """Returns a θ (B, K) that gradients pass through, and KL(q ‖ prior) (B,) in nats."""

    @abstractmethod
    def expect(self, batch: CountBatch) -> Tensor:
        """Returns the θ (B, K) that stands for each document in results."""


class Decoder(nn.Module, ABC):
    """The generative part of a model: how likely a document is under a mixture of topics.

    Attributes:
        pace: learning rate of its parameters, as a multiple of the encoder's.
    """

    pace: ClassVar[float] = 1.0

    @abstractmethod
    def topics(self) -> Tensor:
        """Returns what all documents of a step share (K, V), positive where topics are mixed."""

    @abstractmethod
    def log_likelihood(self, theta: Tensor, batch: CountBatch, topics: Tensor) -> Tensor:
        """Returns log p(document | θ) for each document (B,), from θ (B, K) and :meth:`topics`."""


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
        first = functional.relu(product(batch.shares, self.items) + self.bias)
        second = functional.relu(self.hidden(first))
        second = functional.dropout(second, self.dropout, self.training)
        return self.mean(second), self.log_variance(second)

    def draw(self, batch: CountBatch) -> tuple[Tensor, Tensor]:
        """Returns softmax(z), z ~ q, and KL(q ‖ N(0, I)), the same for z and for θ."""
        mean, log_variance = self(batch)
        return sample(mean, log_variance), logistic_normal_kl(mean, log_variance)

    def expect(self, batch: CountBatch) -> Tensor:
        """Returns softmax(μ) (B, K)."""
        return functional.softmax(self(batch)[0], dim=1)

    @torch.no_grad()
    def start_at(self, decoder: Decoder, batch: CountBatch) -> None:
        """Makes μ the mean log-probability of a document's items under each topic, scaled.

        Probabilities are smoothed by their mean over topics, so that no rare item decides.

        Where topics are known, this tells a document's topics before any step of training: two
        units a topic carry the positive and the negative part through both layers, the others
        stay random. The scale, and one log σ² for all, are those that give ``batch`` the best
        bound. An encoder with fewer than two hidden units a topic stays as it is.
        """
        topics = decoder.topics()
        n_topics = len(topics)
        paired = 2 * n_topics
        if paired > len(self.bias):
            return
        shares = topics / topics.sum(dim=1, keepdim=True)
        logits = (shares + shares.mean(dim=0) + 1e-12).log().T
        logits = logits - logits.mean(dim=1, keepdim=True)
        self.items[:, :paired] = torch.cat([logits, -logits], dim=1)
        self.bias[:paired] = 0.0
        self.hidden.weight[:paired] = torch.eye(paired, len(self.bias))
        self.hidden.bias[:paired] = 0.0
        for head in (self.mean, self.log_variance):
            head.weight.zero_()
            head.bias.zero_()
        unit = torch.eye(n_topics)
        self.mean.weight[:, :paired] = torch.cat([unit, -unit], dim=1)
        mean, _ = self(batch)
        noise = torch.randn_like(mean)

        def bound(scale: float, log_variance: float) -> float:
            spread = torch.full_like(mean, log_variance)
            theta = functional.softmax(scale * mean + noise * (0.5 * spread).exp(), dim=1)
            kl = logistic_normal_kl(scale * mean, spread)
            return float((decoder.log_likelihood(theta, batch, topics) - kl).sum())

        scale = max((1.0, 2.0, 4.0, 8.0, 16.0), key=lambda value: bound(value, -1.0))
        self.mean.weight *= scale
        self.log_variance.bias.fill_(
            max((0.0, -1.0, -2.0, -3.0), key=lambda value: bound(scale, value))
        )


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


class NeuralTopicModel(TopicModel):
    """Base of the models with an :class:`Encoder`; learned state: ``encoder_``, ``item_ids_``.

    Attributes:
        encoder_at_topics: whether the encoder starts at the topics, too, where these start at
            clusters; then a few steps of a falling rate do.
    """

    encoder_at_topics: ClassVar[bool] = False

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
        self, counts: Counts, split: Split, decoder: Decoder
    ) -> tuple[FloatArray, dict[str, object]]:
        """Trains ``decoder`` with a new encoder; returns θ (D, K) and what to record."""
        encoder = Encoder(counts.matrix.shape[1], self.n_topics, self.hidden, self.dropout)
        at_topics = self.encoder_at_topics and self.start == "clusters"
        if at_topics:
            encoder.start_at(decoder, document_batch(counts, _drawn(split.train, counts)))
        training = Training(
            self.epochs,
            self.batch_size,
            self.learning_rate,
            self.weight_decay,
            STEPS_FROM_TOPICS if at_topics else LEAST_STEPS,
            falling=at_topics,
        )
        info = maximise_bound(encoder, decoder, counts, training, split)
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
    for part in _parts(rows, counts):
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
        for part in _parts(rows, counts):
            batch = document_batch(counts, part)
            theta, kl = encoder.draw(batch)
            bound += float((decoder.log_likelihood(theta, batch, topics) - kl).sum())
    return bound


@torch.no_grad()
def infer(encoder: Posterior, counts: Counts, vectors: FloatArray | None = None) -> FloatArray:
    """Returns the expected θ (D, K) of every document; zero for documents without items.

    Args:
        encoder: what was fitted.
        counts: of D documents.
        vectors: (D, E) their embeddings, where the encoder reads them.
    """
    encoder.eval()
    parts = _parts(np.arange(counts.matrix.shape[0]), counts)
    theta = np.concatenate(
        [encoder.expect(document_batch(counts, part, vectors)).numpy() for part in parts]
    )
    theta[np.asarray(counts.matrix.sum(axis=1)).ravel() == 0] = 0.0
    return normalise_rows(theta)


def _parts(rows: IntArray, counts: Counts) -> Iterator[IntArray]:
    """Cuts ``rows`` so that a part's documents times items stay below :data:`PART_CELLS`."""
    # Noise for a multiple of 16 values is drawn the same at once and in pieces.
    size = max(1, PART_CELLS // counts.matrix.shape[1] // 16) * 16
    for first in range(0, len(rows), size):
        yield rows[first : first + size]


def _drawn(rows: IntArray, counts: Counts) -> IntArray:
    """Draws as many of ``rows`` as make one part, at most 1,000, for corpora may be sorted."""
    size = min(MOST_HELD_OUT, len(next(_parts(rows, counts))))
    return rows if size == len(rows) else rows[torch.randperm(len(rows)).numpy()[:size]]


def document_batch(counts: Counts, rows: IntArray, vectors: FloatArray | None = None) -> CountBatch:
    """Returns the documents ``rows`` of ``counts``, with their rows of ``vectors`` (D, E)."""
    return CountBatch.of(
        counts.matrix.tocsr()[rows],
        counts.n_tokens[rows],
        None if vectors is None else vectors[rows],
    )


def sample(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Draws θ = softmax(z) (B, K), z ~ N(μ, σ²)."""
    noise = torch.randn_like(mean)
    return functional.softmax(mean + noise * (0.5 * log_variance).exp(), dim=1)


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
