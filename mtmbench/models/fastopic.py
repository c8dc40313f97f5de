"""FASTopic: topics between document and word embeddings by optimal transport (NeurIPS 2024).

Wu, Nguyen, Zhang, Wang and Luu, "FASTopic: Pretrained Transformer is a Fast, Adaptive, Stable, and
Transferable Topic Model" (arXiv:2405.17978). Everything runs in f64 on one thread from one seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
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
from mtmbench.models.base import TopicModel, normalise_rows
from mtmbench.models.reproducible import reproducible

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SINKHORN_ROUNDS = 5000
SINKHORN_ERROR = 0.005
SINKHORN_CHECKS = 50
"""Most rounds, the L1 error of the second marginal that ends them, and rounds between two looks at
it (the first is after one round): as in the authors' code."""
LARGEST_BATCH = 20_000
PART_CELLS = 2**20
"""Non-zero counts times topics that are worked on at once."""
_LEAST_SUM = 1e-16
_LEAST_SHARE = 1e-12


class FASTopic(TopicModel):
    """FASTopic: dual semantic-relation reconstruction by embedding transport plans.

    Topics and words are points in the space of the documents' sentence embeddings, which stay as
    they are. Entropic optimal transport between documents and topics gives θ = D · π, between
    topics and words β = K · ρ; the masses of topics and words are learned, documents and topics on
    the other side weigh alike. The objective is the published one, −Σ_i c_di log (θ β)_di as a mean
    over documents, plus both transport costs ⟨π, C⟩, ⟨ρ, C⟩ with C squared Euclidean distances.
    Start, rounds of Sinkhorn's algorithm (through all of which gradients pass) and defaults are
    those of the authors' package, `fastopic` 1.0.1.

    θ in results, of the fit and of other documents alike, is the authors' rule for new documents,
    exp(−C_dk / temperature) over its sum over the documents of the fit, normalised over topics.
    Documents are embedded whether they hold a word of the vocabulary or not; those without a
    vector have a row of zeros, and those without words add nothing to the reconstruction.

    Args:
        n_topics: K.
        doc_alpha: inverse regularisation of the plan from documents to topics (``DT_alpha``).
        word_alpha: inverse regularisation of the plan from topics to words (``TW_alpha``).
        temperature: of θ in results (``theta_temp``).
        epochs: passes over the corpus.
        learning_rate: of Adam.
        batch_size: documents whose plan is made at once; None: all up to 20,000, more in batches
            of that size (the authors' ``low_memory``). Memory beyond the counts is some
            100 · K · (batch + V) bytes.

    After ``fit``: ``topic_embeddings_`` (K, E) and ``word_embeddings_`` (V, E).
    """

    name: ClassVar[str] = "fastopic"
    needs: ClassVar[tuple[ViewName, ...]] = ("words", "embeddings")
    item_view: ClassVar[ItemKind] = "words"
    # θ comes from embeddings of whole texts: it cannot be inferred from half of a document's words.
    has_perplexity: ClassVar[bool] = False

    item_ids_: tuple[str, ...]

    def __init__(
        self,
        n_topics: int = 20,
        doc_alpha: float = 3.0,
        word_alpha: float = 2.0,
        temperature: float = 1.0,
        epochs: int = 200,
        learning_rate: float = 0.002,
        batch_size: int | None = None,
    ) -> None:
        self.n_topics = n_topics
        self.doc_alpha = doc_alpha
        self.word_alpha = word_alpha
        self.temperature = temperature
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size

    def fit(self, views: Views, *, seed: int) -> TopicResult:
        """Fits topic and word embeddings and their masses.

        Raises:
            InputError: a parameter is wrong, a view is missing or not of these documents, no
                document has any word, none has a vector, or training diverged.
        """
        self._check_parameters()
        counts = self._counts_to_fit(views)
        vectors, used = self._document_vectors(views)
        if not len(used):
            raise InputError(f"model {self.name!r} needs documents with a vector; all are zero")
        with reproducible(seed):
            transport = Transport(
                self.n_topics, counts.matrix.shape[1], vectors.shape[1], self.doc_alpha,
                self.word_alpha,
            )  # fmt: skip
            info = self._train(transport, counts, vectors, used)
            with torch.no_grad():
                beta = transport.word_plan()[0].numpy()
                cost = squared_distances(torch.from_numpy(vectors[used]), transport.topics)
                reach = torch.logsumexp(-cost / self.temperature, dim=0)
        self._topics: Tensor = transport.topics.detach()
        self._reach: Tensor = reach
        self.item_ids_ = counts.item_ids
        self.topic_embeddings_: FloatArray = transport.topics.detach().float().numpy()
        self.word_embeddings_: FloatArray = transport.words.detach().float().numpy()
        return self._result(
            views, counts, seed=seed, doc_topic=self.transform(views), topic_item=beta, info=info
        )

    def transform(self, views: Views) -> FloatArray:
        """Returns θ (D, K) of documents by their vectors; zero for one without.

        Raises:
            InputError: the model is not fitted, the items differ from those of the fit, or the
                vectors are not of these documents.
        """
        self._fitted_counts(views)
        vectors, used = self._document_vectors(views, self._topics.shape[1])
        theta = np.zeros((len(vectors), len(self._topics)))
        with reproducible(0), torch.no_grad():
            cost = squared_distances(torch.from_numpy(vectors[used]), self._topics)
            theta[used] = functional.softmax(-cost / self.temperature - self._reach, dim=1).numpy()
        return normalise_rows(theta)

    def _train(
        self, transport: Transport, counts: Counts, vectors: Float64Array, used: IntArray
    ) -> dict[str, object]:
        """Minimises the objective by Adam; returns what to record."""
        matrix = counts.matrix.tocsr()
        size = min(len(used), self.batch_size or LARGEST_BATCH)
        batches = -(-len(used) // size)
        optimiser = torch.optim.Adam(transport.parameters(), lr=self.learning_rate, fused=True)
        loss = 0.0
        for epoch in range(self.epochs):
            order = used[torch.randperm(len(used)).numpy()] if batches > 1 else used
            loss = 0.0
            for rows in np.array_split(order, batches):
                found = transport.objective(torch.from_numpy(vectors[rows]), matrix[rows])
                optimiser.zero_grad(set_to_none=True)
                found.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                loss += float(found.detach()) * len(rows)
            if not np.isfinite(loss):
                raise InputError(
                    f"training diverged in epoch {epoch + 1} of {self.epochs}; lower learning_rate "
                    f"(now {self.learning_rate:g})"
                )
        return {
            "epochs": self.epochs,
            "batch_size": size,
            "objective": round(loss / len(used), 4),
            "without_vector": len(vectors) - len(used),
        }

    def _check_parameters(self) -> None:
        self._check_n_topics()
        for name in ("doc_alpha", "word_alpha", "temperature", "learning_rate"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above zero, not {getattr(self, name)!r}")
        if self.epochs < 1:
            raise InputError(f"epochs must be at least 1, not {self.epochs!r}")
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"batch_size must be at least 1 (or None), not {self.batch_size!r}")


class Transport(nn.Module):
    """Topic and word points, their masses, and the objective.

    Args:
        n_topics: K.
        n_items: V.
        size: E, dimensions of the space.
        doc_alpha: inverse regularisation between documents and topics.
        word_alpha: inverse regularisation between topics and words.
    """

    def __init__(
        self, n_topics: int, n_items: int, size: int, doc_alpha: float, word_alpha: float
    ) -> None:
        super().__init__()
        self.topics = nn.Parameter(_unit_points(n_topics, size))
        self.topic_masses = nn.Parameter(torch.full((n_topics,), 1 / n_topics))
        self.words = nn.Parameter(_unit_points(n_items, size))
        self.word_masses = nn.Parameter(torch.full((n_items,), 1 / n_items))
        self.doc_alpha = doc_alpha
        self.word_alpha = word_alpha

    def word_plan(self) -> tuple[Tensor, Tensor]:
        """Returns β (K, V), the plan from topics to words times K, and the plan's cost."""
        masses = functional.softmax(self.word_masses, dim=0)
        plan, cost = sinkhorn(squared_distances(self.topics, self.words), masses, self.word_alpha)
        return plan * len(self.topics), cost

    def objective(self, vectors: Tensor, matrix: csr_matrix) -> Tensor:
        """Returns the objective of documents: their vectors (B, E) and word counts, csr (B, V)."""
        masses = functional.softmax(self.topic_masses, dim=0)
        plan, doc_cost = sinkhorn(squared_distances(vectors, self.topics), masses, self.doc_alpha)
        beta, word_cost = self.word_plan()
        likelihood: Tensor = _MixtureLikelihood.apply(  # type: ignore[no-untyped-call]
            plan * len(vectors), beta, matrix
        )
        return doc_cost + word_cost - likelihood / len(vectors)


class _MixtureLikelihood(torch.autograd.Function):
    """Σ_di c_di log((θ β)_di + 1e-12), visiting non-zero counts alone, a part at a time."""

    @staticmethod
    def forward(ctx: Any, theta: Tensor, beta: Tensor, matrix: csr_matrix) -> Tensor:
        shares, topics = theta.numpy(), np.ascontiguousarray(beta.numpy().T)
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        mixture = np.empty(len(rows))
        part = max(1, PART_CELLS // shares.shape[1])
        for first in range(0, len(rows), part):
            entries = slice(first, first + part)
            mixture[entries] = np.einsum(
                "nk,nk->n", shares[rows[entries]], topics[matrix.indices[entries]]
            )
        mixture += _LEAST_SHARE
        slopes = matrix.astype(np.float64)
        slopes.data = matrix.data / mixture
        ctx.slopes = torch.from_numpy(slopes @ topics), torch.from_numpy((slopes.T @ shares).T)
        return torch.as_tensor(float(matrix.data @ np.log(mixture)))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        theta, beta = ctx.slopes
        return gradients[0] * theta, gradients[0] * beta, None


def squared_distances(first: Tensor, second: Tensor) -> Tensor:
    """Returns the squared Euclidean distances of rows (A, E) to rows (B, E), (A, B)."""
    return (first**2).sum(dim=1, keepdim=True) + (second**2).sum(dim=1) - 2 * first @ second.T


def sinkhorn(cost: Tensor, masses: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Entropic optimal transport from rows that weigh alike to columns of given masses.

    Minimises ⟨π, C⟩ + (1/α) Σ π (log π − 1) by Sinkhorn's algorithm (Cuturi 2013).

    Args:
        cost: C (A, B).
        masses: (B,), summing to one.
        alpha: inverse regularisation.

    Returns:
        The plan π (A, B) and its cost ⟨π, C⟩.
    """
    kernel = (-cost * alpha).exp()
    given = torch.full((len(cost),), 1 / len(cost))
    u = given
    for done in range(1, SINKHORN_ROUNDS + 1):
        v = masses / (kernel.T @ u + _LEAST_SUM)
        u = given / (kernel @ v + _LEAST_SUM)
        if done % SINKHORN_CHECKS == 1:
            with torch.no_grad():
                error = float((v * (kernel.T @ u) - masses).abs().sum())
            if not error > SINKHORN_ERROR:
                break
    plan = u[:, None] * kernel * v
    return plan, (plan * cost).sum()


def _unit_points(n: int, size: int) -> Tensor:
    return functional.normalize(nn.init.trunc_normal_(torch.empty(n, size)))
