"""The Dirichlet variational autoencoder on word counts (Burkhardt and Kramer, JMLR 2019).

θ_d ~ Dirichlet(α₀), w_d ~ Multinomial(softmax(BN(W θ_d))): a product of topics, as in ProdLDA, not
a mixture of them. The encoder is one hidden layer; q(θ_d) = Dirichlet(softplus(BN(·))).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Dirichlet, kl_divergence
from torch.nn import functional

from mtmbench.core.types import FloatArray
from mtmbench.models.count_batches import CountBatch, product
from mtmbench.models.products import ProductModel, ProductPosterior, unit_logs

SMALLEST_CONCENTRATION = 1e-5
"""Least entry of a posterior's concentration; the authors' code has the same."""


class DVAE(ProductModel):
    """D-VAE: Dirichlet topic shares by implicit gradients, a batch-normalised product of topics.

    Of the authors' variants it is the one with implicit reparameterisation gradients (Figurnov,
    Mohamed and Mnih 2018) and the product decoder, which is also what Hoyle et al. (2021) compare
    as D-VAE. Sizes, prior, dropout, batches and the KL part's warm-up over half the epochs are
    theirs. What differs, since their settings are for 11,000 documents and more, says
    :class:`~mtmbench.models.products.ProductModel`; and the learning rate is .003 instead of .001.
    Faster training lets one topic take most of the weight as the KL part reaches its full one: on
    2,000 documents of 20 Newsgroups, K = 20, it had .60 at .01 after 600 steps (one seed), and has
    .20 to .30 here (three seeds).

    Args:
        n_topics: K.
        prior: α₀ of every topic.
        hidden: units of the encoder's hidden layer.
        dropout: of the encoder's hidden layer.
        epochs: passes over the corpus; None: as many as make 1,000 steps, at least 20.
        batch_size: documents per step, at most a tenth of the corpus (and at least 100).
        learning_rate: of Adam.
        warm_up: share of the steps over which the weight of the KL part rises from 0 to 1.

    After ``fit``: ``encoder_``, and ``topic_weights_`` (K, V), the columns of W.
    """

    name: ClassVar[str] = "dvae"
    version: ClassVar[int] = 2

    def __init__(
        self,
        n_topics: int = 20,
        prior: float = 0.01,
        hidden: int = 100,
        dropout: float = 0.25,
        epochs: int | None = None,
        batch_size: int = 200,
        learning_rate: float = 0.003,
        warm_up: float = 0.5,
    ) -> None:
        self.n_topics = n_topics
        self.prior = prior
        self.hidden = hidden
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.warm_up = warm_up

    def _encoder(self, n_items: int, vectors: FloatArray | None) -> DirichletEncoder:  # noqa: ARG002
        return DirichletEncoder(n_items, self.n_topics, self.hidden, self.dropout, self.prior)


class DirichletEncoder(ProductPosterior):
    """q(θ | document) = Dirichlet(softplus(BN(linear(relu(linear(x)))) + shift)).

    x is a document's log(1 + counts), scaled to unit length.

    Args:
        n_items: V.
        n_topics: K.
        hidden: units of the hidden layer.
        dropout: share of hidden units dropped in training.
        prior: concentration of the prior, the same for every topic.
    """

    prior: Tensor

    def __init__(
        self, n_items: int, n_topics: int, hidden: int, dropout: float, prior: float
    ) -> None:
        super().__init__(n_topics)
        bound = n_items**-0.5
        self.items = nn.Parameter(torch.empty(n_items, hidden).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(hidden).uniform_(-bound, bound))
        self.topics = nn.Linear(hidden, n_topics, bias=False)
        self.shift = nn.Parameter(torch.zeros(n_topics))
        self.dropout = dropout
        self.register_buffer("prior", torch.full((n_topics,), float(prior)))

    def forward(self, batch: CountBatch) -> Tensor:
        """Returns the concentration of q(θ) (B, K)."""
        scores = self.normalised(batch) + self.shift
        return functional.softplus(scores).clamp_min(SMALLEST_CONCENTRATION)

    def scores(self, batch: CountBatch) -> Tensor:
        """Returns what is to be normalised (B, K)."""
        hidden = functional.relu(product(unit_logs(batch), self.items) + self.bias)
        scores: Tensor = self.topics(functional.dropout(hidden, self.dropout, self.training))
        return scores

    def draw(self, batch: CountBatch) -> tuple[Tensor, Tensor]:
        """Returns a draw by implicit gradients (B, K), and KL(q ‖ prior) (B,) in nats."""
        posterior = Dirichlet(self(batch), validate_args=False)
        prior = Dirichlet(self.prior.expand(batch.n_docs, -1), validate_args=False)
        return posterior.rsample(), kl_divergence(posterior, prior)

    def expect(self, batch: CountBatch) -> Tensor:
        """Returns the mean of q(θ) (B, K)."""
        concentration: Tensor = self(batch)
        return concentration / concentration.sum(dim=1, keepdim=True)

    def moments(self, batches: Iterable[CountBatch]) -> tuple[Tensor, Tensor]:
        """Returns mean (K,) and covariance (K, K) of draws of θ, one of each document."""
        return moments(torch.cat([self(batch) for batch in batches]))


def moments(concentration: Tensor) -> tuple[Tensor, Tensor]:
    """Returns mean (K,) and covariance (K, K) of draws of θ, one from each Dirichlet (B, K).

    They are what the decoder was trained under. The covariance is that of the means and the mean of
    the covariances, (diag m − m mᵀ) / (Σ_k α_k + 1) with m the mean.
    """
    total = concentration.sum(dim=1, keepdim=True)
    means = concentration / total
    centre = means.mean(dim=0)
    shares = 1 / (total + 1)
    within = torch.diag((shares * means).sum(dim=0)) - (shares * means).T @ means
    between = (means - centre).T @ (means - centre)
    return centre, (within + between) / len(concentration)
