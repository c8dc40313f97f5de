"""An amortised θ: an encoder maps a document to q(θ), of which a decoder tells the likelihood.

In ETM and mETM θ_d = softmax(z_d), z_d ~ N(0, I); the encoder maps a document's normalised counts
to the mean and log-variance of q(z_d) (Dieng, Ruiz and Blei 2020, section 4).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mtmbench.core.types import Counts, FloatArray
from mtmbench.models.base import normalise_rows
from mtmbench.models.count_batches import CountBatch, document_batch, product, row_parts


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


@torch.no_grad()
def infer(encoder: Posterior, counts: Counts, vectors: FloatArray | None = None) -> FloatArray:
    """Returns the expected θ (D, K) of every document; zero for documents without items.

    Args:
        encoder: what was fitted.
        counts: of D documents.
        vectors: (D, E) their embeddings, where the encoder reads them.
    """
    encoder.eval()
    parts = row_parts(np.arange(counts.matrix.shape[0]), counts)
    theta = np.concatenate(
        [encoder.expect(document_batch(counts, part, vectors)).numpy() for part in parts]
    )
    theta[np.asarray(counts.matrix.sum(axis=1)).ravel() == 0] = 0.0
    return normalise_rows(theta)


def sample(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Draws θ = softmax(z) (B, K), z ~ N(μ, σ²)."""
    noise = torch.randn_like(mean)
    return functional.softmax(mean + noise * (0.5 * log_variance).exp(), dim=1)


def logistic_normal_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q ‖ N(0, I)) of each row (B,), in nats; the same for z and for θ = softmax(z)'s bound."""
    return 0.5 * (mean**2 + log_variance.exp() - 1.0 - log_variance).sum(dim=1)
