"""The Dirichlet variational autoencoder on word counts (Burkhardt and Kramer, JMLR 2019).

θ_d ~ Dirichlet(α₀), w_d ~ Multinomial(softmax(BN(W θ_d))): a product of topics, as in ProdLDA, not
a mixture of them. The encoder is one hidden layer; q(θ_d) = Dirichlet(softplus(BN(·))).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from sklearn.preprocessing import normalize
from torch import Tensor, nn
from torch.distributions import Dirichlet, kl_divergence
from torch.nn import functional

from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import (
    Counts,
    Float64Array,
    FloatArray,
    IntArray,
    ItemKind,
    ViewName,
    Views,
)
from mtmbench.models.base import TopicModel
from mtmbench.models.neural import CountBatch, Posterior, infer, product, reproducible

SMALLEST_CONCENTRATION = 1e-5
"""Least entry of a posterior's concentration; the authors' code has the same."""
NORMALISATION_EPSILON = 1e-3
"""What batch normalisation adds to variances; both published codes have the same."""
LEAST_BATCH = 100
LEAST_STEPS = 1000


class DVAE(TopicModel):
    """D-VAE: Dirichlet topic shares by implicit gradients, a batch-normalised product of topics.

    Of the authors' variants it is the one with implicit reparameterisation gradients (Figurnov,
    Mohamed and Mnih 2018) and the product decoder, which is also what Hoyle et al. (2021) compare
    as D-VAE. Sizes, prior, dropout, batches and the KL part's warm-up over half the epochs are
    theirs. What differs, since their settings are for 11,000 documents and more:

    - The encoder reads log(1 + count) scaled to unit length instead of counts, of which a few very
      long documents would have most of the variance by which its output is normalised, so that
      all others would look alike.
    - The decoder's shift, which normalisation leaves free, starts at the words' log shares of the
      corpus instead of zero. From zero, a small corpus takes all its steps to learn which words
      are frequent.
    - The learning rate is .003 instead of .001, and epochs are as many as make 1,000 steps. Faster
      training lets one topic take most of the weight as the KL part reaches its full one: on 2,000
      documents of 20 Newsgroups, K = 20, it had .60 at .01 after 600 steps (one seed), and has .20
      to .30 here (three seeds).
    - At inference the encoder is normalised by the statistics of the corpus as the finished
      encoder sees it, instead of by running means, which few steps hardly move.
    - Topics are what the model itself says of a document of one topic, softmax(BN(W e_k)), not the
      columns of W: normalisation makes the model blind to the length of a word's row of W, so that
      weights of different words cannot be compared.

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
    needs: ClassVar[tuple[ViewName, ...]] = ("words",)
    item_view: ClassVar[ItemKind] = "words"
    # A product of topics: θ β is not the model's distribution over a document's words.
    has_perplexity: ClassVar[bool] = False

    item_ids_: tuple[str, ...]

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

    def fit(self, views: Views, *, seed: int) -> TopicResult:
        """Fits decoder and encoder; documents without words get a θ row of zeros.

        Raises:
            InputError: a parameter is wrong, the view is missing, no document has any word, or
                training diverged.
        """
        self._check_parameters()
        counts = self._counts_to_fit(views)
        n_items = counts.matrix.shape[1]
        with reproducible(seed):
            encoder = DirichletEncoder(
                n_items, self.n_topics, self.hidden, self.dropout, self.prior
            )
            decoder = ProductDecoder(self.n_topics, _log_shares(counts))
            info = self._train(encoder, decoder, counts)
            theta = infer(encoder, counts)
            with torch.no_grad():
                used = np.flatnonzero(theta.any(axis=1))
                beta = decoder.topics(*moments(encoder.concentrations(counts, used))).numpy()
        self.encoder_, self.item_ids_ = encoder, counts.item_ids
        self.topic_weights_: FloatArray = decoder.weight.detach().T.float().numpy()
        return self._result(views, counts, seed=seed, doc_topic=theta, topic_item=beta, info=info)

    def transform(self, views: Views) -> FloatArray:
        """Returns θ (D, K), the mean of q(θ_d), by the fitted encoder; zero without words.

        Raises:
            InputError: the model is not fitted, or the items differ from those of the fit.
        """
        counts = self._fitted_counts(views)
        with reproducible(0):
            return infer(self.encoder_, counts)

    def _train(
        self, encoder: DirichletEncoder, decoder: ProductDecoder, counts: Counts
    ) -> dict[str, object]:
        """Maximises the evidence bound by Adam on one-sample gradients, then settles the encoder.

        Returns:
            What to record: epochs, steps, documents per step, and the mean bound per document and
            its KL part in the last epoch, in nats.
        """
        matrix = counts.matrix.tocsr()
        used = np.flatnonzero(np.asarray(matrix.sum(axis=1)).ravel() > 0)
        # Batches are of one size, since normalisation by a small remainder would be noise.
        size = min(self.batch_size, max(LEAST_BATCH, -(-len(used) // 10)))
        batches = -(-len(used) // size)
        epochs = self.epochs or max(20, -(-LEAST_STEPS // batches))
        rise = max(1.0, self.warm_up * epochs * batches)
        optimiser = torch.optim.Adam(
            [*encoder.parameters(), *decoder.parameters()], lr=self.learning_rate, fused=True
        )
        encoder.train()
        step = 0
        bound = divergence = 0.0
        for epoch in range(epochs):
            order = used[torch.randperm(len(used)).numpy()]
            bound = divergence = 0.0
            for rows in np.array_split(order, batches):
                batch = CountBatch.of(matrix[rows], counts.n_tokens[rows])
                step += 1
                theta, kl = encoder.draw(batch)
                fit = decoder.log_likelihood(theta, batch)
                optimiser.zero_grad(set_to_none=True)
                (min(1.0, step / rise) * kl - fit).mean().backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                bound += float((fit - kl).detach().sum())
                divergence += float(kl.detach().sum())
            if not np.isfinite(bound):
                raise InputError(
                    f"training diverged in epoch {epoch + 1} of {epochs}; lower learning_rate "
                    f"(now {self.learning_rate:g})"
                )
        encoder.eval()
        encoder.settle(counts, used)
        return {
            "epochs": epochs,
            "steps": step,
            "batch_size": -(-len(used) // batches),
            "elbo": round(bound / len(used), 4),
            "kl": round(divergence / len(used), 4),
        }

    def _check_parameters(self) -> None:
        self._check_n_topics()
        for name in ("prior", "hidden", "batch_size", "learning_rate"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above zero, not {getattr(self, name)!r}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must be in [0, 1), not {self.dropout!r}")
        if not 0 <= self.warm_up <= 1:
            raise InputError(f"warm_up must be between 0 and 1, not {self.warm_up!r}")
        if self.epochs is not None and self.epochs < 1:
            raise InputError(f"epochs must be at least 1 (or None), not {self.epochs!r}")


class DirichletEncoder(Posterior):
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
    centre: Tensor
    variance: Tensor

    def __init__(
        self, n_items: int, n_topics: int, hidden: int, dropout: float, prior: float
    ) -> None:
        super().__init__()
        bound = n_items**-0.5
        self.items = nn.Parameter(torch.empty(n_items, hidden).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(hidden).uniform_(-bound, bound))
        self.topics = nn.Linear(hidden, n_topics, bias=False)
        self.shift = nn.Parameter(torch.zeros(n_topics))
        self.dropout = dropout
        self.register_buffer("prior", torch.full((n_topics,), float(prior)))
        self.register_buffer("centre", torch.zeros(n_topics))
        self.register_buffer("variance", torch.ones(n_topics))

    def forward(self, batch: CountBatch) -> Tensor:
        """Returns the concentration of q(θ) (B, K)."""
        scores = self.scores(batch)
        if self.training:
            centre, variance = scores.mean(dim=0), scores.var(dim=0, unbiased=False)
        else:
            centre, variance = self.centre, self.variance
        normalised = (scores - centre) / (variance + NORMALISATION_EPSILON).sqrt()
        return functional.softplus(normalised + self.shift).clamp_min(SMALLEST_CONCENTRATION)

    def scores(self, batch: CountBatch) -> Tensor:
        """Returns what is to be normalised (B, K)."""
        given = normalize(batch.matrix.log1p(), copy=False)
        hidden = functional.relu(product(given, self.items) + self.bias)
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

    def concentrations(self, counts: Counts, rows: IntArray) -> Tensor:
        """Returns the concentrations of q(θ) of the documents ``rows``, one row each."""
        return torch.cat([self(batch) for batch in _batches(counts, rows)])

    @torch.no_grad()
    def settle(self, counts: Counts, rows: IntArray) -> None:
        """Normalises from now on by the statistics of the documents ``rows``."""
        scores = torch.cat([self.scores(batch) for batch in _batches(counts, rows)])
        self.centre.copy_(scores.mean(dim=0))
        self.variance.copy_(scores.var(dim=0, unbiased=False))


class ProductDecoder(nn.Module):
    """Words ~ softmax(BN(W θ) + shift).

    Args:
        n_topics: K.
        log_shares: (V,) where ``shift`` starts.
    """

    def __init__(self, n_topics: int, log_shares: Float64Array) -> None:
        super().__init__()
        weight = nn.Linear(n_topics, len(log_shares), bias=False).weight.detach()
        self.weight = nn.Parameter(weight.clone())
        self.shift = nn.Parameter(torch.from_numpy(log_shares).clone())

    def normalised(self, centre: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
        """Returns A (V, K) and b (V,) with A θ_d + b = BN(W θ_d) + shift.

        Mean and variance of a linear map follow from those of θ, ``centre`` (K,) and ``covariance``
        (K, K), so that no array of documents by words is needed for them.
        """
        variance = ((self.weight @ covariance) * self.weight).sum(dim=1)
        scaled = self.weight / (variance + NORMALISATION_EPSILON).sqrt()[:, None]
        return scaled, self.shift - scaled @ centre

    def log_likelihood(self, theta: Tensor, batch: CountBatch) -> Tensor:
        """Returns log p(document | θ) (B,), less the multinomial coefficient, from θ (B, K)."""
        centre = theta.mean(dim=0)
        scaled, offset = self.normalised(centre, (theta - centre).T @ (theta - centre) / len(theta))
        table = torch.cat([scaled, offset[:, None]], dim=1)
        given = torch.cat([theta, torch.ones(len(theta), 1)], dim=1)
        observed = (given * product(batch.matrix, table)).sum(dim=1)
        total = batch.sum_entries(batch.counts)
        return observed - total * (given @ table.T).logsumexp(dim=1)

    def topics(self, centre: Tensor, covariance: Tensor) -> Tensor:
        """Returns softmax(BN(W e_k) + shift) (K, V), normalised as for θ of these moments."""
        scaled, offset = self.normalised(centre, covariance)
        return functional.softmax(scaled.T + offset, dim=1)


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


def _batches(counts: Counts, rows: IntArray) -> Iterator[CountBatch]:
    matrix = counts.matrix.tocsr()
    for part in np.array_split(rows, -(-len(rows) // 1000)):
        yield CountBatch.of(matrix[part], counts.n_tokens[part])


def _log_shares(counts: Counts) -> Float64Array:
    totals = np.asarray(counts.matrix.sum(axis=0), dtype=np.float64).ravel()
    shares: Float64Array = np.log((totals + 1e-6) / totals.sum())
    return shares
