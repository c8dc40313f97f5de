"""What autoencoders of word counts whose topics multiply share: D-VAE, ProdLDA and CombinedTM.

w_d ~ Multinomial(softmax(BN(W θ_d) + shift)): a product of topics, not a mixture of them. Encoders
differ, and with them the prior of θ; what is normalised, trained and told of a fit is here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from sklearn.preprocessing import normalize
from torch import Tensor, nn
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
from mtmbench.models.amortised import Posterior, infer
from mtmbench.models.base import TopicModel
from mtmbench.models.count_batches import CountBatch, document_batch, product
from mtmbench.models.reproducible import reproducible

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

NORMALISATION_EPSILON = 1e-3
"""What batch normalisation adds to variances; the published codes have the same."""
LEAST_BATCH = 100


class ProductModel(TopicModel):
    """A topic model whose decoder is a :class:`ProductDecoder`; a subclass makes the encoder.

    Training maximises the evidence bound by Adam on one-sample gradients, with a weight of its KL
    part that rises from 0 to 1. What published settings for 11,000 documents and more leave open,
    or what small corpora need, is the same for all:

    - The encoder reads log(1 + count) scaled to unit length instead of counts, of which a few very
      long documents would have most of the variance by which its output is normalised, so that
      all others would look alike.
    - The decoder's shift, which normalisation leaves free, starts at the words' log shares of the
      corpus instead of zero. From zero, a small corpus takes all its steps to learn which words
      are frequent.
    - Epochs, where they are not given, are as many as make ``least_steps`` steps, at least 20.
    - At inference the encoder is normalised by the statistics of the corpus as the finished
      encoder sees it, instead of by running means, which few steps hardly move.
    - Topics are what the model itself says of a document of one topic, softmax(BN(W e_k)), not the
      columns of W: normalisation makes the model blind to the length of a word's row of W, so that
      weights of different words cannot be compared.

    Attributes:
        adam: Adam's decay of the mean and of the square of gradients.
        least_steps: steps of a fit whose ``epochs`` is None.
        encoder_: the fitted encoder.
        topic_weights_: (K, V), the columns of W.
    """

    needs: ClassVar[tuple[ViewName, ...]] = ("words",)
    item_view: ClassVar[ItemKind] = "words"
    # A product of topics: θ β is not the model's distribution over a document's words.
    has_perplexity: ClassVar[bool] = False
    adam: ClassVar[tuple[float, float]] = (0.9, 0.999)
    least_steps: ClassVar[int] = 1000

    prior: float
    hidden: int
    dropout: float
    epochs: int | None
    batch_size: int
    learning_rate: float
    warm_up: float
    item_ids_: tuple[str, ...]

    @abstractmethod
    def _encoder(self, n_items: int, vectors: FloatArray | None) -> ProductPosterior:
        """Returns a new encoder for documents of V items and with ``vectors`` (D, E), if any."""

    def _vectors(
        self,
        views: Views,  # noqa: ARG002
        fitted: ProductPosterior | None = None,  # noqa: ARG002
    ) -> FloatArray | None:
        """Returns what the encoder reads beside the counts (D, E), as ``fitted`` did, or None."""
        return None

    def fit(self, views: Views, *, seed: int) -> TopicResult:
        """Fits decoder and encoder; documents without words get a θ row of zeros.

        Raises:
            InputError: a parameter is wrong, a view is missing, no document has any word, or
                training diverged.
        """
        self._check_parameters()
        counts = self._counts_to_fit(views)
        vectors = self._vectors(views)
        with reproducible(seed):
            encoder = self._encoder(counts.matrix.shape[1], vectors)
            decoder = ProductDecoder(self.n_topics, _log_shares(counts))
            info = self._train(encoder, decoder, counts, vectors)
            theta = infer(encoder, counts, vectors)
            with torch.no_grad():
                batches = document_batches(counts, np.flatnonzero(theta.any(axis=1)), vectors)
                beta = decoder.topics(*encoder.moments(batches)).numpy()
        self.encoder_, self.item_ids_ = encoder, counts.item_ids
        self.topic_weights_: FloatArray = decoder.weight.detach().T.float().numpy()
        return self._result(views, counts, seed=seed, doc_topic=theta, topic_item=beta, info=info)

    def transform(self, views: Views) -> FloatArray:
        """Returns θ (D, K), what stands for q(θ_d), by the fitted encoder; zero without words.

        Raises:
            InputError: the model is not fitted, a view is missing, or the items differ from those
                of the fit.
        """
        counts = self._fitted_counts(views)
        with reproducible(0):
            return infer(self.encoder_, counts, self._vectors(views, self.encoder_))

    def _train(
        self,
        encoder: ProductPosterior,
        decoder: ProductDecoder,
        counts: Counts,
        vectors: FloatArray | None,
    ) -> dict[str, object]:
        """Maximises the evidence bound, then settles the encoder.

        Returns:
            What to record: epochs, steps, documents per step, and the mean bound per document and
            its KL part in the last epoch, in nats.
        """
        used = np.flatnonzero(np.asarray(counts.matrix.sum(axis=1)).ravel() > 0)
        # Batches are of one size, since normalisation by a small remainder would be noise.
        size = min(self.batch_size, max(LEAST_BATCH, -(-len(used) // 10)))
        n_batches = -(-len(used) // size)
        epochs = self.epochs or max(20, -(-self.least_steps // n_batches))
        rise = max(1.0, self.warm_up * epochs * n_batches)
        optimiser = torch.optim.Adam(
            [*encoder.parameters(), *decoder.parameters()],
            lr=self.learning_rate,
            betas=self.adam,
            fused=True,
        )
        encoder.train()
        decoder.train()
        step = 0
        bound = divergence = 0.0
        for epoch in range(epochs):
            order = used[torch.randperm(len(used)).numpy()]
            bound = divergence = 0.0
            for rows in np.array_split(order, n_batches):
                batch = document_batch(counts, rows, vectors)
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
        encoder.settle(document_batches(counts, used, vectors))
        return {
            "epochs": epochs,
            "steps": step,
            "batch_size": -(-len(used) // n_batches),
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


class ProductPosterior(Posterior):
    """q(θ | document) by a network whose output is batch-normalised.

    Args:
        n_scores: S, columns of what is to be normalised.
        n_inputs: E, dimensions of the documents' embeddings that it reads; 0 for none.
    """

    centre: Tensor
    variance: Tensor

    def __init__(self, n_scores: int, n_inputs: int = 0) -> None:
        super().__init__()
        self.n_inputs = n_inputs
        self.register_buffer("centre", torch.zeros(n_scores))
        self.register_buffer("variance", torch.ones(n_scores))

    @abstractmethod
    def scores(self, batch: CountBatch) -> Tensor:
        """Returns what is to be normalised (B, S)."""

    @abstractmethod
    def moments(self, batches: Iterable[CountBatch]) -> tuple[Tensor, Tensor]:
        """Returns mean (K,) and covariance (K, K) of the θ of documents that the decoder reads."""

    def normalised(self, batch: CountBatch) -> Tensor:
        """Returns :meth:`scores` of mean 0 and variance 1 over the batch, or as settled (B, S)."""
        scores = self.scores(batch)
        if self.training:
            centre, variance = scores.mean(dim=0), scores.var(dim=0, unbiased=False)
        else:
            centre, variance = self.centre, self.variance
        return (scores - centre) / (variance + NORMALISATION_EPSILON).sqrt()

    @torch.no_grad()
    def settle(self, batches: Iterable[CountBatch]) -> None:
        """Normalises from now on by the statistics of the documents given."""
        scores = torch.cat([self.scores(batch) for batch in batches])
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


def unit_logs(batch: CountBatch) -> csr_matrix:
    """Returns log(1 + count) of documents, scaled to unit length: what encoders read (B, V)."""
    return normalize(batch.matrix.log1p(), copy=False)


def document_batches(
    counts: Counts, rows: IntArray, vectors: FloatArray | None
) -> Iterator[CountBatch]:
    """Yields the documents ``rows`` in batches of about 1,000."""
    for part in np.array_split(rows, -(-len(rows) // 1000)):
        yield document_batch(counts, part, vectors)


def _log_shares(counts: Counts) -> Float64Array:
    totals = np.asarray(counts.matrix.sum(axis=0), dtype=np.float64).ravel()
    shares: Float64Array = np.log((totals + 1e-6) / totals.sum())
    return shares
