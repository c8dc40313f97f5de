"""ProdLDA: a variational autoencoder of word counts whose topics multiply (ICLR 2017).

Srivastava and Sutton, "Autoencoding variational inference for topic models" (arXiv:1703.01488).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtmbench.core.types import FloatArray
from mtmbench.models.amortised import logistic_normal_kl, sample
from mtmbench.models.count_batches import CountBatch, product
from mtmbench.models.products import ProductModel, ProductPosterior, unit_logs

DRAWS = 10
"""Draws of each document's θ from which the moments are taken by which topics are normalised."""


class ProdLDA(ProductModel):
    """ProdLDA: logistic-normal topic shares, a batch-normalised product of topics.

    The prior is the Laplace approximation of Dirichlet(α₀) in softmax's space, N(0, s²) with
    s² = (1 − 1/K) / α₀; two hidden layers of softplus give μ and log σ² of q(z_d), both
    batch-normalised; θ_d = softmax(z_d), of which in training some entries are dropped. Sizes,
    prior, dropout, batches, learning rate and Adam's slow mean of gradients, which with the
    normalisation keeps topics from collapsing, are those of the authors' code. What differs says
    :class:`~mtmbench.models.products.ProductModel`.

    Half the steps are too few: on 2,000 posts of 20 Newsgroups (K = 20, one seed) NMI is .283 after
    1,000 steps and .353 after 2,000, diversity .65 and .84.

    θ in results is softmax(μ). Since μ is normalised, it is flat: what is large in it is to be held
    against the topic's mean, not against one.

    Args:
        n_topics: K.
        prior: α₀ of every topic.
        hidden: units of each of the encoder's hidden layers.
        dropout: of the encoder's second layer, and of θ in training.
        epochs: passes over the corpus; None: as many as make 2,000 steps, at least 20.
        batch_size: documents per step, at most a tenth of the corpus (and at least 100).
        learning_rate: of Adam.
        warm_up: share of the steps over which the weight of the KL part rises from 0 to 1; 0, as
            in the authors' code, gives it its full weight at once.

    After ``fit``: ``encoder_``, and ``topic_weights_`` (K, V), the columns of W.
    """

    name: ClassVar[str] = "prodlda"
    adam: ClassVar[tuple[float, float]] = (0.99, 0.999)
    least_steps: ClassVar[int] = 2000

    def __init__(
        self,
        n_topics: int = 20,
        prior: float = 1.0,
        hidden: int = 100,
        dropout: float = 0.2,
        epochs: int | None = None,
        batch_size: int = 200,
        learning_rate: float = 0.002,
        warm_up: float = 0.0,
    ) -> None:
        self.n_topics = n_topics
        self.prior = prior
        self.hidden = hidden
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.warm_up = warm_up

    def _encoder(self, n_items: int, vectors: FloatArray | None) -> LogisticNormalEncoder:
        return LogisticNormalEncoder(
            n_items,
            self.n_topics,
            self.hidden,
            self.dropout,
            self.prior,
            n_inputs=0 if vectors is None else vectors.shape[1],
        )


class LogisticNormalEncoder(ProductPosterior):
    """q(z | document) = N(μ, σ²), θ = softmax(z).

    (μ, log σ²) = BN(linear(h₂)) + shift, h₂ = softplus(linear(h₁)), h₁ = softplus(linear(x)), x a
    document's log(1 + counts), scaled to unit length, and its embedding where it has one.

    Args:
        n_items: V.
        n_topics: K.
        hidden: units of each hidden layer.
        dropout: share of h₂ and of θ dropped in training.
        prior: α₀ of every topic.
        n_inputs: E, dimensions of the documents' embeddings; 0 for none.
    """

    def __init__(
        self,
        n_items: int,
        n_topics: int,
        hidden: int,
        dropout: float,
        prior: float,
        n_inputs: int = 0,
    ) -> None:
        super().__init__(2 * n_topics, n_inputs)
        bound = n_items**-0.5
        self.items = nn.Parameter(torch.empty(n_items, hidden).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(hidden).uniform_(-bound, bound))
        self.vectors = nn.Linear(n_inputs, hidden, bias=False) if n_inputs else None
        self.hidden = nn.Linear(hidden, hidden)
        self.heads = nn.Linear(hidden, 2 * n_topics, bias=False)
        self.shift = nn.Parameter(torch.zeros(2 * n_topics))
        self.dropout = dropout
        # One topic has no variance by the formula, and its θ is one whatever z is.
        self.prior_variance = (1 - 1 / max(n_topics, 2)) / prior

    def forward(self, batch: CountBatch) -> tuple[Tensor, Tensor]:
        """Returns μ and log σ² of q(z), each (B, K)."""
        mean, log_variance = (self.normalised(batch) + self.shift).chunk(2, dim=1)
        return mean, log_variance

    def scores(self, batch: CountBatch) -> Tensor:
        """Returns what is to be normalised (B, 2 K)."""
        first = product(unit_logs(batch), self.items) + self.bias
        if self.vectors is not None:
            first = first + self.vectors(batch.vectors)
        second = functional.softplus(self.hidden(functional.softplus(first)))
        scores: Tensor = self.heads(functional.dropout(second, self.dropout, self.training))
        return scores

    def draw(self, batch: CountBatch) -> tuple[Tensor, Tensor]:
        """Returns a draw of θ (B, K), and KL(q(z) ‖ N(0, s²)) (B,) in nats."""
        mean, log_variance = self(batch)
        theta = functional.dropout(sample(mean, log_variance), self.dropout, self.training)
        return theta, self.divergence(mean, log_variance)

    def divergence(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Returns KL(N(μ, σ²) ‖ N(0, s²)) of each row (B,): that of z / s to N(0, I)."""
        variance = torch.tensor(self.prior_variance)
        return logistic_normal_kl(mean / variance.sqrt(), log_variance - variance.log())

    def expect(self, batch: CountBatch) -> Tensor:
        """Returns softmax(μ) (B, K)."""
        return functional.softmax(self(batch)[0], dim=1)

    def moments(self, batches: Iterable[CountBatch]) -> tuple[Tensor, Tensor]:
        """Returns mean (K,) and covariance (K, K) of θ under :data:`DRAWS` draws a document.

        They are those that the decoder was trained under: what dropout adds to the variance of an
        entry, its mean square times p / (1 − p), is among them.
        """
        draws = torch.cat(
            [
                sample(mean, log_variance)
                for mean, log_variance in map(self, batches)
                for _ in range(DRAWS)
            ]
        )
        dropped = self.dropout / (1 - self.dropout) * (draws**2).mean(dim=0)
        return draws.mean(dim=0), torch.cov(draws.T, correction=0).reshape(
            2 * (draws.shape[1],)
        ) + torch.diag(dropped)
