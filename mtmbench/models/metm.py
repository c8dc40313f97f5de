"""Mechanistic ETM: topics are activation vectors that a frozen SAE encoder reads (see DESIGN)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import (
    Counts,
    EncoderParams,
    Float64Array,
    FloatArray,
    IntArray,
    ItemKind,
    ViewName,
    Views,
)
from mtmbench.models.amortised import Decoder
from mtmbench.models.clusters import cluster_documents, cluster_totals
from mtmbench.models.count_batches import CountBatch
from mtmbench.models.evidence import hold_out
from mtmbench.models.neural import NeuralTopicModel, Start
from mtmbench.models.reproducible import reproducible

SMALLEST_PROBABILITY = 1e-6
"""Firing probabilities of mixtures are kept this far from 0 and 1, where logarithms end."""

_START_STEPS = 100


class METM(NeuralTopicModel):
    """c_di ~ Binomial(N_tok(d), Σ_k θ_dk π_ki) with π_ki = σ((pre_i(t_k) − o) / T).

    ``pre`` is the SAE's complete pre-activation (:class:`~mtmbench.core.types.EncoderParams`),
    frozen; t_k ∈ R^H, and the scalars o and T shared by all topics, are learned, as is the encoder
    of the logistic-normal θ. ``topic_item`` is π normalised per topic; items are shown, and
    steering is weighted, by ``max(0, π_ki − mean_k π_ki)`` (by π itself where there is one topic).

    Args:
        n_topics: K.
        hidden: units of each of the encoder's two hidden layers.
        dropout: of the encoder's second hidden layer.
        epochs: the most passes over the corpus; None: from clusters as many as make 42 steps (at
            random 200), and 20 where a tenth of at least 5,000 documents says when to stop.
        batch_size: documents per step, at most a tenth of the corpus (and at least 100).
        learning_rate: of Adam at the first step; from clusters it falls to zero in a straight line.
        weight_decay: of Adam.
        start: where topic vectors start: "clusters", at the likeliest ones for the firing rates in
            clusters of the documents, or "random".

    After ``fit``: ``encoder_``, ``topic_vectors_`` (K, H), ``offset_`` o and ``temperature_`` T.
    """

    name: ClassVar[str] = "metm"
    needs: ClassVar[tuple[ViewName, ...]] = ("features",)
    item_view: ClassVar[ItemKind] = "features"
    # A binomial for each feature is no distribution over a document's item occurrences.
    has_perplexity: ClassVar[bool] = False
    encoder_at_topics: ClassVar[bool] = True
    version: ClassVar[int] = 5

    def __init__(
        self,
        n_topics: int = 20,
        hidden: int = 800,
        dropout: float = 0.0,
        epochs: int | None = None,
        batch_size: int = 1000,
        learning_rate: float = 0.005,
        weight_decay: float = 1.2e-6,
        start: Start = "clusters",
    ) -> None:
        self.n_topics = n_topics
        self.hidden = hidden
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.start = start

    def fit(self, views: Views, *, seed: int) -> TopicResult:
        """Fits topic vectors and encoder; documents without features get a θ row of zeros.

        Raises:
            InputError: a parameter is wrong, the view is missing, carries no SAE encoder or weighs
                firings, no document has any feature, a feature occurs more often in a document than
                it has tokens, or training diverged.
        """
        counts = self._checked_counts(views)
        if counts.encoder is None:
            raise InputError(
                "model 'metm' reads its topics through the SAE's encoder, which these feature "
                "counts do not carry"
            )
        if counts.weighted is not None:
            raise InputError(
                "model 'metm' is a binomial of the tokens on which a feature fires, which has no "
                "place for weights; use a feature setting with values = 'counts' and idf = false"
            )
        _check_binomial(counts)
        with reproducible(seed):
            decoder = _FiringTopics(self.n_topics, counts.encoder)
            split = hold_out(counts, seed)
            rates, overall, shares = _rates(counts, split.train, self.n_topics, seed)
            decoder.switch_off(overall)
            if self.start == "clusters":
                decoder.start_at(rates, shares)
            theta, info = self._fit_decoder(counts, split, decoder)
            with torch.no_grad():
                firing = decoder.topics().numpy()
        self.topic_vectors_: FloatArray = decoder.vectors.detach().float().numpy()
        self.offset_ = float(decoder.offset.detach())
        self.temperature_ = float(decoder.log_temperature.detach().exp())
        excess = np.maximum(firing - firing.mean(axis=0), 0.0)
        return self._result(
            views,
            counts,
            seed=seed,
            doc_topic=theta,
            topic_item=firing,
            shown_item=excess if self.n_topics > 1 else None,
            info={
                **info,
                "offset": round(self.offset_, 6),
                "temperature": round(self.temperature_, 6),
                "mean_firing": [round(float(rate), 6) for rate in firing.mean(axis=1)],
            },
        )


class _Binomial(torch.autograd.Function):
    """Keeps one (B, V) array from the forward to the backward pass, where torch's own keeps six."""

    @staticmethod
    def forward(ctx: Any, theta: Tensor, firing: Tensor, batch: CountBatch) -> Tensor:
        kept = (theta @ firing).clamp_(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
        ctx.batch = batch
        ctx.save_for_backward(theta, firing, kept)
        fired = kept[batch.rows, batch.columns]
        tokens = batch.n_tokens[batch.rows]
        log_factorial = torch.lgamma(torch.arange(1.0, float(batch.n_tokens.max()) + 2))
        ways = (
            log_factorial[tokens.long()]
            - log_factorial[batch.counts.long()]
            - log_factorial[(tokens - batch.counts).long()]
        )
        entries = ways + batch.counts * (fired.log() - torch.log1p(-fired))
        return batch.n_tokens * torch.log1p(-kept).sum(dim=1) + batch.sum_entries(entries)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (by_document,) = gradients
        theta, firing, kept = ctx.saved_tensors
        batch = ctx.batch
        fired = kept[batch.rows, batch.columns]
        # d/dp of c log p + (N − c) log(1 − p), zero where p was kept from 0 or 1.
        slope = (kept - 1).reciprocal_().mul_(batch.n_tokens[:, None])
        slope[batch.rows, batch.columns] += batch.counts / (fired * (1 - fired))
        slope[(kept <= SMALLEST_PROBABILITY) | (kept >= 1 - SMALLEST_PROBABILITY)] = 0.0
        slope.mul_(by_document[:, None])
        return slope @ firing.T, theta.T @ slope, None


def binomial_log_likelihood(theta: Tensor, firing: Tensor, batch: CountBatch) -> Tensor:
    """Returns Σ_i log Binomial(c_di | N_tok(d), Σ_k θ_dk π_ki) for each document (B,).

    Only the non-zero counts are visited beside one dense sum of log(1 − p).

    Args:
        theta: (B, K) shares of topics.
        firing: (K, V) π.
        batch: the documents.
    """
    result: Tensor = _Binomial.apply(theta, firing, batch)  # type: ignore[no-untyped-call]
    return result


class _FiringTopics(Decoder):
    """t (K, H), o and log T before a frozen SAE encoder."""

    weight: Tensor
    constant: Tensor
    # A topic vector moves all its items; at the encoder's rate it would need five times the steps.
    pace: ClassVar[float] = 12.0

    def __init__(self, n_topics: int, encoder: EncoderParams) -> None:
        super().__init__()
        weight = torch.from_numpy(np.asarray(encoder.weight, dtype=np.float64))
        constant = torch.from_numpy(np.asarray(encoder.bias, dtype=np.float64)) - (
            torch.from_numpy(np.asarray(encoder.subtract, dtype=np.float64)) @ weight
        )
        # Frozen, so no part of a state that training may return to.
        self.register_buffer("weight", weight * encoder.input_scale, persistent=False)
        self.register_buffer("constant", constant, persistent=False)
        self.vectors = nn.Parameter(torch.randn(n_topics, len(weight)) / len(weight) ** 0.5)
        self.offset = nn.Parameter(torch.zeros(()))
        self.log_temperature = nn.Parameter(torch.zeros(()))

    def switch_off(self, overall: Float64Array) -> None:
        """Moves o so that features fire at their mean rate in the corpus, ``overall`` (V,)."""
        with torch.no_grad():
            self.offset.copy_((self.constant - torch.from_numpy(overall).logit()).mean())

    def start_at(self, rates: Float64Array, shares: Float64Array) -> None:
        """Moves t, o and T towards the likeliest ones for given firing rates.

        Ridge regression of the logits on the encoder, then L-BFGS on the binomial log-likelihood.
        Without the latter the topics of an encoder with few inputs start worse than one set of
        rates for all documents, and training puts everything into the topic that mends first.

        Args:
            rates: (K, V) firing rates of each topic.
            shares: (K,) of all tokens, which weigh the topics.
        """
        aim = torch.from_numpy(rates)
        with torch.no_grad():
            target = aim.logit() + self.offset - self.constant
            gram = self.weight @ self.weight.T
            gram += 1e-3 * gram.diagonal().mean() * torch.eye(len(gram))
            self.vectors.copy_(torch.linalg.solve(gram, self.weight @ target.T).T)
        weights = torch.from_numpy(shares)[:, None]
        optimiser = torch.optim.LBFGS(
            self.parameters(), max_iter=_START_STEPS, line_search_fn="strong_wolfe"
        )

        def cost() -> Tensor:
            kept = self.topics().clamp(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
            fit = aim * kept.log() + (1 - aim) * torch.log1p(-kept)
            value = -(weights * fit).sum()
            optimiser.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimiser.step(cost)  # type: ignore[no-untyped-call]

    def topics(self) -> Tensor:
        """Returns π (K, V)."""
        pre = self.vectors @ self.weight + self.constant
        return torch.sigmoid((pre - self.offset) / self.log_temperature.exp())

    def log_likelihood(self, theta: Tensor, batch: CountBatch, topics: Tensor) -> Tensor:
        return binomial_log_likelihood(theta, topics, batch)


def _rates(
    counts: Counts, rows: IntArray, n_topics: int, seed: int
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Firing rates (K, V) of document clusters, shrunk to the corpus's (V,); token shares (K,)."""
    matrix = counts.matrix.tocsr()[rows]
    clusters = cluster_documents(matrix, n_topics, seed=seed)
    fired = cluster_totals(matrix, clusters, n_topics)
    tokens = np.bincount(clusters, weights=counts.n_tokens[rows], minlength=n_topics)[:, None]
    overall = (fired.sum(axis=0) + 0.5) / (tokens.sum() + 1.0)
    rates = (fired + (0.05 * tokens + 10.0) * overall) / (1.05 * tokens + 10.0)
    shares = tokens[:, 0] / tokens.sum()
    return _inside(rates), _inside(overall), shares


def _inside(rates: Float64Array) -> Float64Array:
    return rates.clip(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)


def _check_binomial(counts: Counts) -> None:
    matrix = counts.matrix.tocsr()
    for row in np.flatnonzero(np.diff(matrix.indptr)):
        entries = slice(matrix.indptr[row], matrix.indptr[row + 1])
        entry = matrix.indptr[row] + int(matrix.data[entries].argmax())
        if matrix.data[entry] > counts.n_tokens[row]:
            raise InputError(
                f"model 'metm' counts tokens on which a feature fires: feature "
                f"{counts.item_ids[int(matrix.indices[entry])]!r} occurs {int(matrix.data[entry])} "
                f"times in document {row}, which has {int(counts.n_tokens[row])} tokens"
            )
