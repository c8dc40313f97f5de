"""SAE-TM: features of a sparse autoencoder over document embeddings, merged into topics.

Girrbach and Akata 2026, "Sparse Autoencoders are Topic Models" (arXiv:2511.16309).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

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
from mtmbench.features.sae.sae import SAE, load_sae
from mtmbench.features.weighting import inverse_document_frequency
from mtmbench.models.base import TopicModel, normalise_rows
from mtmbench.models.embedding_sae import train_topk
from mtmbench.models.reproducible import reproducible

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

STARTS = 10
"""Starts of k-means, of which the best is kept."""


class SAETM(TopicModel):
    """SAE-TM: topic atoms from an SAE on document embeddings, merged into any number of topics.

    1. A TopK SAE is trained on the corpus's embeddings, or read from ``weights``. What fires on a
       document, divided by its sum, are the shares a_df of its *atoms*.
    2. Each atom f gets a distribution B_f over words that makes the documents likely,
       ``Σ_di w_i c_di log((1 − π) Σ_f a_df B_fi + π p_i)``, with a background p that is learned too
       and w the words' inverse document frequency. The authors climb it by AdamW; it is concave in
       B and p, and here EM climbs it, which needs no rate.
    3. k-means clusters the atoms, each a mean of word vectors by the strongest words of B_f and
       weighing its mean share. A topic is the weighted mean of its atoms' B_f; θ sums their a_df.

    Only the third step knows K: :meth:`merged` gives the topics of another K from the same atoms.

    Where this departs from the authors: their SAE is trained once on millions of other texts, with
    64 atoms a dimension and 32 active, which no single corpus carries; here sizes suit a thousand
    documents. Their word vectors are word2vec's; here a word is the mean embedding, less the
    corpus's, of the documents that hold it, so that any language has them.

    Args:
        n_topics: K.
        n_atoms: F, features of the SAE that is trained.
        active: most atoms of a document.
        epochs: passes of the SAE over the corpus.
        learning_rate: of Adam.
        batch_size: documents a step.
        weights: folder of an SAE over such embeddings, in sae-lens's format (``save_sae``), in
            place of one that is trained; ``n_atoms`` to ``batch_size`` are then not read.
        background: π, the share of words that no atom explains.
        idf: whether words weigh their inverse document frequency, at most one.
        rounds: of EM.
        mass: share of an atom's distribution, strongest words first, by which it is clustered.

    After ``fit``: ``sae_``, ``atom_item_`` B (F, V), ``background_item_`` p (V,) and
    ``atom_shares_``, mean shares (F,).
    """

    name: ClassVar[str] = "sae_tm"
    needs: ClassVar[tuple[ViewName, ...]] = ("words", "embeddings")
    item_view: ClassVar[ItemKind] = "words"
    # θ comes from embeddings of whole texts: it cannot be inferred from half of a document's words.
    has_perplexity: ClassVar[bool] = False

    sae_: SAE
    atom_item_: Float64Array
    background_item_: Float64Array
    item_ids_: tuple[str, ...]

    def __init__(
        self,
        n_topics: int = 20,
        n_atoms: int = 256,
        active: int = 8,
        epochs: int = 100,
        learning_rate: float = 1e-3,
        batch_size: int = 128,
        weights: str | Path | None = None,
        background: float = 0.3,
        idf: bool = True,
        rounds: int = 50,
        mass: float = 0.9,
    ) -> None:
        self.n_topics = n_topics
        self.n_atoms = n_atoms
        self.active = active
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.weights = weights
        self.background = background
        self.idf = idf
        self.rounds = rounds
        self.mass = mass

    @classmethod
    def params_in_key(cls, params: Mapping[str, object]) -> dict[str, object]:
        """Knows an SAE that is given by its content, wherever it lies."""
        hashed = super().params_in_key(params)
        if (weights := hashed["weights"]) is not None:
            hashed["weights"] = load_sae(Path(str(weights))).revision
        return hashed

    def fit(self, views: Views, *, seed: int) -> TopicResult:
        """Trains or reads the SAE, finds the atoms' words, and merges the atoms.

        Raises:
            InputError: a parameter is wrong, a view is missing or not of these documents, no
                document has any word, none has a vector, fewer atoms fire than topics are asked
                for, or the SAE cannot be read or is not of this width.
        """
        self._check_parameters()
        counts = self._counts_to_fit(views)
        vectors, used = self._document_vectors(views)
        if not len(used):
            raise InputError(f"model {self.name!r} needs documents with a vector; all are zero")
        if self.weights is not None:
            self.sae_ = load_sae(Path(self.weights))
        else:
            with reproducible(seed):
                self.sae_ = train_topk(
                    vectors[used], self.n_atoms, min(self.active, self.n_atoms),
                    epochs=self.epochs, rate=self.learning_rate, batch=self.batch_size,
                )  # fmt: skip
        self.item_ids_ = counts.item_ids
        shares = self._shares(views)
        self.atom_shares_: Float64Array = np.asarray(shares.mean(axis=0)).ravel()
        self.atom_item_, self.background_item_ = word_distributions(
            shares, counts.matrix.tocsr(), _weights(counts) if self.idf else None,
            background=self.background, rounds=self.rounds,
        )  # fmt: skip
        words = word_vectors(counts.matrix.tocsr(), vectors)
        self._points: Float64Array = strongest(self.atom_item_, self.mass) @ words
        self._seed = seed
        return self.merged(views, self.n_topics)

    def merged(self, views: Views, n_topics: int) -> TopicResult:
        """Returns the topics of another K from the atoms of the fit, which stay as they are.

        ``transform`` gives θ of these topics from then on. It is what a fit with this ``n_topics``
        and the seed of the fit gives.

        Args:
            views: the documents, over the words of the fit.
            n_topics: K.

        Raises:
            InputError: the model is not fitted, the views are not those of the fit, or fewer atoms
                fire than topics are asked for.
        """
        counts = self._fitted_counts(views)
        type(self)(n_topics)._check_n_topics()
        fires = np.flatnonzero(self.atom_shares_)
        if len(fires) < n_topics:
            raise InputError(
                f"model {self.name!r} merges atoms into n_topics = {n_topics}, but {len(fires)} of "
                f"{len(self.atom_shares_)} fire; ask for fewer topics or more n_atoms"
            )
        self.n_topics = n_topics
        weights = self.atom_shares_[fires]
        labels = _clusters(self._points[fires], weights, n_topics, self._seed)
        found = int(labels.max()) + 1
        self._member: Float64Array = np.zeros((len(self.atom_shares_), found))
        self._member[fires, labels] = 1.0
        topics = (self._member * self.atom_shares_[:, None]).T @ self.atom_item_
        theta = self.transform(views)
        return self._result(
            views, counts, seed=self._seed, doc_topic=theta, topic_item=normalise_rows(topics),
            info={
                "asked": n_topics,
                "found": found,
                "atoms": len(self.atom_shares_),
                "atoms_that_fire": len(fires),
                "sae": self.sae_.revision,
                "without_atoms": int((theta.sum(axis=1) == 0).sum()),
            },
        )  # fmt: skip

    def transform(self, views: Views) -> FloatArray:
        """Returns θ (D, K), the summed shares of each topic's atoms; zero where none fires.

        Raises:
            InputError: the model is not fitted, the items differ from those of the fit, or the
                vectors are not of these documents.
        """
        self._fitted_counts(views)
        return normalise_rows(self._shares(views) @ self._member)

    def _shares(self, views: Views) -> csr_matrix:
        """Returns what fires on each document as shares of its sum, csr (D, F)."""
        from scipy.sparse import csr_matrix
        from sklearn.preprocessing import normalize

        vectors, used = self._document_vectors(views)
        if vectors.shape[1] != self.sae_.n_inputs:
            raise InputError(
                f"the SAE of model {self.name!r} reads vectors of {self.sae_.n_inputs} dimensions, "
                f"not {vectors.shape[1]}"
            )
        with reproducible(0):
            rows, atoms, values = self.sae_.encode(torch.from_numpy(vectors[used]))
        shape = len(vectors), self.sae_.n_features
        fired = csr_matrix((values.astype(np.float64), (used[rows], atoms)), shape=shape)
        shares: csr_matrix = normalize(fired, norm="l1")
        return shares

    def _check_parameters(self) -> None:
        self._check_n_topics()
        for name in ("n_atoms", "active", "epochs", "batch_size", "rounds"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)!r}")
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate must be above zero, not {self.learning_rate!r}")
        if not 0 <= self.background < 1:
            raise InputError(f"background must be from 0 to below 1, not {self.background!r}")
        if not 0 < self.mass <= 1:
            raise InputError(f"mass must be above 0 and at most 1, not {self.mass!r}")


def word_distributions(
    shares: csr_matrix,
    matrix: csr_matrix,
    weights: Float64Array | None,
    *,
    background: float,
    rounds: int,
) -> tuple[Float64Array, Float64Array]:
    """Returns B (F, V) and p (V,) that make counts likely under fixed shares of atoms, by EM.

    Maximises ``Σ_di w_i c_di log((1 − π) Σ_f a_df B_fi + π p_i)``. What all atoms have in common
    may as well be in p, so that the maximum is not one point: which is reached depends on the
    start, for B the words of the documents on which each atom fires, for p those of all. Documents
    on which none fires are left out.

    Args:
        shares: csr (D, F) a; rows sum to one, or to zero.
        matrix: csr (D, V) counts c.
        weights: (V,) w; None for ones.
        background: π.
        rounds: of EM.
    """
    used = np.flatnonzero(np.diff(shares.indptr))
    shares, counts = shares[used], matrix[used].astype(np.float64)
    if weights is not None:
        counts.data *= weights[counts.indices]
    owner = np.repeat(np.arange(len(used)), np.diff(counts.indptr))
    begins, lengths = shares.indptr[:-1], np.diff(shares.indptr)
    by_atom = shares.T.tocsr()
    atoms = _distributions((by_atom @ counts).toarray())
    common = _distributions(np.asarray(counts.sum(axis=0)))[0]
    for _ in range(rounds):
        mixture = background * common[counts.indices]
        for nth in range(int(lengths.max())):
            # The nth atom of every document at once.
            of_entry = np.flatnonzero(lengths[owner] > nth)
            place = begins[owner[of_entry]] + nth
            likely = atoms[shares.indices[place], counts.indices[of_entry]]
            mixture[of_entry] += (1 - background) * shares.data[place] * likely
        ratio = counts.copy()
        ratio.data = np.divide(counts.data, mixture, out=np.zeros_like(mixture), where=mixture > 0)
        atoms = _distributions(atoms * (by_atom @ ratio).toarray())
        common = _distributions(common * np.asarray(ratio.sum(axis=0)))[0]
    return atoms, common


def word_vectors(matrix: csr_matrix, vectors: Float64Array) -> Float64Array:
    """Returns the mean vector of each word's documents, by its counts, less that of all (V, E)."""
    totals = np.asarray(matrix.sum(axis=0), np.float64).ravel()
    means = (matrix.T @ vectors) / np.maximum(totals, 1)[:, None]
    centre = (totals @ means) / max(1.0, totals.sum())
    centred: Float64Array = np.where(totals[:, None] > 0, means - centre, 0.0)
    return centred


def strongest(distributions: Float64Array, mass: float) -> Float64Array:
    """Returns each row's fewest largest entries that reach ``mass`` of it, over their sum."""
    order = np.argsort(-distributions, axis=1, kind="stable")
    ordered = np.take_along_axis(distributions, order, axis=1)
    before = np.cumsum(ordered, axis=1) - ordered
    kept = np.zeros_like(distributions)
    limit = mass * distributions.sum(axis=1, keepdims=True)
    np.put_along_axis(kept, order, np.where(before < limit, ordered, 0.0), axis=1)
    return _distributions(kept)


def _clusters(points: Float64Array, weights: Float64Array, n_clusters: int, seed: int) -> IntArray:
    """Returns the cluster of each weighted point, by k-means; numbers are those that have any."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    # The library warns where fewer points differ than there are clusters, which "found" tells.
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = KMeans(n_clusters, n_init=STARTS, random_state=seed)
        labels = library.fit(points, sample_weight=weights).labels_
    numbers: IntArray = np.unique(labels, return_inverse=True)[1]
    return numbers


def _weights(counts: Counts) -> Float64Array:
    """Returns the words' inverse document frequency over its largest (V,)."""
    rarity = inverse_document_frequency(counts.matrix.tocsr())
    if not rarity.any():
        raise InputError(
            f"every one of the {len(rarity)} {counts.kind} is in all documents, so that idf leaves "
            "none any weight; set idf to false, or give more documents"
        )
    weights: Float64Array = rarity / rarity.max()
    return weights


def _distributions(rows: Float64Array) -> Float64Array:
    sums = rows.sum(axis=1, keepdims=True)
    shares: Float64Array = np.divide(rows, sums, out=np.zeros_like(rows), where=sums > 0)
    return shares
