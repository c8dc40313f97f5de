"""Latent Dirichlet allocation over words (LDA) or SAE features (mLDA): one class, two views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from mtmbench.core.errors import InputError, did_you_mean
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Counts, Float64Array, FloatArray, ItemKind, ViewName, Views
from mtmbench.models.base import TopicModel, normalise_rows
from mtmbench.models.gibbs import add_documents, sampled_topics, tomotopy_for

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from mtmbench.models.cvb0 import LDAFit

Engine = Literal["auto", "cvb0", "memoised", "gensim", "tomotopy"]
Fitted = tuple[Float64Array, Float64Array, Float64Array, Mapping[str, object]]
"""θ (D, K), φ (K, V), α (K,) and what the engine has to say about the fit."""


class LDA(TopicModel):
    """LDA on word counts (Blei, Ng and Jordan 2003).

    Args:
        n_topics: K.
        engine: "auto" is "cvb0" where that has the memory, else "memoised"; the result's
            ``params`` and ``info`` name the one that fitted. "cvb0" is collapsed variational Bayes
            (:mod:`mtmbench.models.cvb0`); "memoised" incremental EM, a batch of documents at a
            time (:mod:`mtmbench.models.memoised`); "gensim" ``LdaModel``, online variational Bayes;
            "tomotopy" collapsed Gibbs sampling (the package's extra ``tomotopy``).
        alpha: sum over topics of the document prior; every α_k starts as alpha / K.
        beta: topic prior of every item.
        optimise_alpha_every: sweeps between re-estimations of an asymmetric α; 0 keeps it. gensim
            re-estimates after every chunk instead.
        iterations: most sweeps over the corpus (gensim: passes; tomotopy: Gibbs iterations).
        tolerance: CVB0 stops when a sweep's mean change of a token's responsibilities
            (‖γ_new − γ_old‖₁) is below it, "memoised" when ten passes raise the mean log
            likelihood of a token by less; the other engines do all their iterations.
        max_memory_gb: limit, in GiB, for what an engine keeps beside the counts, beyond which it
            refuses: CVB0 4 · non-zeros · K bytes, "memoised" 4 · K · (D + 20 V) or less. "auto"
            leaves CVB0 there.

    20,000 documents of 2,500 among 16,384 features and K = 100 are 18.6 GiB of responsibilities for
    CVB0. "memoised" keeps 0.13 GiB (0.34 at its peak, ``tests/benchmarks/lda_scale.py``), and reads
    a twentieth of the counts at a time, so that they may lie on disk
    (:mod:`mtmbench.features.counts_on_disk`). It works on as many threads as numba may use, with
    the same bits; each of a run's workers has one, and with ``workers=0`` a run has all.

    After ``fit``: ``topic_item_`` (K, V) φ and ``alpha_`` (K,).
    """

    name: ClassVar[str] = "lda"
    needs: ClassVar[tuple[ViewName, ...]] = ("words",)
    item_view: ClassVar[ItemKind] = "words"
    has_perplexity: ClassVar[bool] = True

    def __init__(
        self,
        n_topics: int = 20,
        engine: Engine = "auto",
        alpha: float = 5.0,
        beta: float = 0.01,
        optimise_alpha_every: int = 10,
        iterations: int = 100,
        tolerance: float = 1e-3,
        max_memory_gb: float = 8.0,
    ) -> None:
        self.n_topics = n_topics
        self.engine = engine
        self.alpha = alpha
        self.beta = beta
        self.optimise_alpha_every = optimise_alpha_every
        self.iterations = iterations
        self.tolerance = tolerance
        self.max_memory_gb = max_memory_gb

    @classmethod
    def version_of(cls, params: Mapping[str, object], n_docs: int = 0) -> int:  # noqa: ARG003
        """Version 2 with "tomotopy", whose φ lacked the items absent from training."""
        return cls.version + (params.get("engine") == "tomotopy")

    @classmethod
    def params_in_key(cls, params: Mapping[str, object]) -> dict[str, object]:
        """Knows "auto" as "cvb0", once the default; "cvb0" itself, which may refuse, is another."""
        known = {"auto": "cvb0", "cvb0": "cvb0 alone"}
        hashed = super().params_in_key(params)
        return {**hashed, "engine": known.get(str(hashed["engine"]), hashed["engine"])}

    def fit(self, views: Views, *, seed: int) -> TopicResult:
        """Fits the topics; documents without items get a θ row of zeros.

        Raises:
            InputError: a parameter is wrong, the view is missing, no document has any item, or
                the engine is not installed.
        """
        self._check_parameters()
        counts = self._counts_to_fit(views)
        engine = self._engine(counts)
        theta, phi, alpha, info = ENGINES[engine](self, counts, seed)
        self.topic_item_, self.alpha_, self.item_ids_ = phi, alpha, counts.item_ids
        result = self._result(
            views,
            counts,
            seed=seed,
            doc_topic=normalise_rows(theta),
            topic_item=normalise_rows(phi),
            info={"engine": engine, "alpha": [round(float(a), 6) for a in alpha], **info},
        )
        return replace(result, params={**result.params, "engine": engine})

    def transform(self, views: Views) -> FloatArray:
        """Folds documents in under the fitted topics and α (CVB0 with φ fixed, any engine).

        Weights of firings, where there are some, are those of the documents given
        (:mod:`mtmbench.features.weighting`).

        Raises:
            InputError: the model is not fitted, or the items differ from those of the fit.
        """
        from mtmbench.models.cvb0 import fold_in

        matrix, tokens = _mass(self._fitted_counts(views))
        return normalise_rows(fold_in(matrix, self.topic_item_, self.alpha_, tokens=tokens))

    def _check_parameters(self) -> None:
        self._check_n_topics()
        known = ("auto", *ENGINES)
        if self.engine not in known:
            raise InputError(
                f"unknown LDA engine {self.engine!r}{did_you_mean(str(self.engine), known)}"
            )
        for name in ("alpha", "beta", "max_memory_gb"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above zero, not {getattr(self, name)!r}")
        for name, least in (("iterations", 1), ("optimise_alpha_every", 0), ("tolerance", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, not {getattr(self, name)!r}")

    def _engine(self, counts: Counts) -> str:
        from mtmbench.models.cvb0 import responsibilities_gb

        if self.engine != "auto":
            return self.engine
        needed = responsibilities_gb(counts.matrix, self.n_topics)
        return "cvb0" if needed <= self.max_memory_gb else "memoised"

    def _prior(self) -> Float64Array:
        return np.full(self.n_topics, self.alpha / self.n_topics)


class MLDA(LDA):
    """Mechanistic LDA: the same model on SAE feature counts (DESIGN: the method, eq. 5).

    Under a feature setting that weighs firings it reads their weights, which "tomotopy" refuses.

    CVB0 can end further from gold labels than the clusters from which it starts: NMI .501 after
    .544 on 2,000 posts of 20 Newsgroups, .382 after .417 on 2,000 AG News stories, but .510 after
    .465 on held-out ``lm_text`` (5 seeds each; ``tests/benchmarks/feature_weights.py``). It is
    mixed membership: labels name one group a document, and sweeps go on to divide its firings among
    topics, the largest θ ending about .5. A mixture with one topic a document keeps the same
    starts; a fixed α changes nothing, and fewer sweeps gain on some corpora what they lose on
    others.
    """

    name: ClassVar[str] = "mlda"
    needs: ClassVar[tuple[ViewName, ...]] = ("features",)
    item_view: ClassVar[ItemKind] = "features"


def _mass(counts: Counts) -> tuple[csr_matrix, csr_matrix | None]:
    """Returns what to fit, and the whole counts behind it where it is weighed."""
    matrix = counts.matrix.tocsr()
    return (matrix, None) if counts.weighted is None else (counts.weighted, matrix)


def _fit_cvb0(model: LDA, counts: Counts, seed: int) -> Fitted:
    from mtmbench.models.cvb0 import fit_cvb0

    return _from_clusters(model, counts, seed, partial(fit_cvb0, sweeps=model.iterations))


def _fit_memoised(model: LDA, counts: Counts, seed: int) -> Fitted:
    from mtmbench.models.memoised import fit_memoised

    return _from_clusters(model, counts, seed, partial(fit_memoised, passes=model.iterations))


def _from_clusters(model: LDA, counts: Counts, seed: int, engine: Callable[..., LDAFit]) -> Fitted:
    """Fits by one of this project's own engines, which start at clusters of the documents."""
    matrix, tokens = _mass(counts)
    fit = engine(
        matrix,
        model.n_topics,
        alpha=model._prior(),
        beta=model.beta,
        tolerance=model.tolerance,
        optimise_alpha_every=model.optimise_alpha_every,
        seed=seed,
        max_memory_gb=model.max_memory_gb,
        tokens=tokens,
    )
    info = {
        "start": "clusters",
        "iterations": fit.sweeps,
        "change": None if fit.change is None else round(fit.change, 6),
        "converged": fit.converged,
    }
    return fit.doc_topic(), fit.topic_item(), fit.alpha, info


def _fit_gensim(model: LDA, counts: Counts, seed: int) -> Fitted:
    from gensim.matutils import Sparse2Corpus
    from gensim.models import LdaModel
    from threadpoolctl import threadpool_limits

    matrix = counts.mass.tocsr()
    n_items = matrix.shape[1]
    used = np.flatnonzero(np.asarray(matrix.sum(axis=1)).ravel() > 0)
    documents = Sparse2Corpus(matrix[used], documents_columns=False)
    # BLAS sums in an order that depends on the number of threads.
    with threadpool_limits(1):
        lda = LdaModel(
            id2word={i: str(i) for i in range(n_items)},
            num_topics=model.n_topics,
            alpha=model._prior(),
            eta=model.beta,
            passes=model.iterations,
            random_state=seed,
            eval_every=None,
        )
        lda.optimize_alpha = model.optimise_alpha_every > 0
        lda.update(documents)
        gamma, _ = lda.inference(documents)
    theta = np.zeros((matrix.shape[0], model.n_topics))
    theta[used] = gamma / gamma.sum(axis=1, keepdims=True)
    alpha = np.asarray(lda.alpha, dtype=np.float64)
    return theta, np.asarray(lda.get_topics(), np.float64), alpha, {"iterations": model.iterations}


def _fit_tomotopy(model: LDA, counts: Counts, seed: int) -> Fitted:
    if counts.weighted is not None:
        raise InputError(
            "engine 'tomotopy' samples whole occurrences, and this feature setting weighs them; "
            "use engine='cvb0' or 'gensim', or a setting with values = 'counts' and idf = false"
        )
    matrix = counts.matrix.tocsr()
    tomotopy = tomotopy_for("engine 'tomotopy'", ", or use engine='cvb0'")
    lda = tomotopy.LDAModel(k=model.n_topics, alpha=list(model._prior()), eta=model.beta, seed=seed)
    lda.optim_interval = model.optimise_alpha_every
    used = add_documents(lda, matrix)
    lda.train(model.iterations, workers=1)
    theta = np.zeros((matrix.shape[0], model.n_topics))
    theta[used] = [doc.get_topic_dist() for doc in lda.docs]
    alpha = np.asarray(lda.alpha, dtype=np.float64)
    phi = sampled_topics(lda, range(lda.k), model.beta, matrix.shape[1])
    return theta, phi, alpha, {"iterations": model.iterations}


ENGINES: dict[str, Callable[[LDA, Counts, int], Fitted]] = {
    "cvb0": _fit_cvb0,
    "memoised": _fit_memoised,
    "gensim": _fit_gensim,
    "tomotopy": _fit_tomotopy,
}
