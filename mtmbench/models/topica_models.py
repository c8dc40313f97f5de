"""Which models of the library ``topica`` are played, under which names, and why not the others."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mtmbench.core.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from mtmbench.core.types import ViewName
    from mtmbench.models.base import TopicModel


@dataclass(frozen=True)
class TopicaSpec:
    """One of the library's models.

    Attributes:
        library: its class there.
        vectors: the view of embeddings that it is given beside the counts; None for counts alone.
        mixture: whether documents are mixtures of its topics, which defines a likelihood of
            documents that were not fitted.
        fit_options: parameters of the library's ``fit`` that can be set, besides those of its
            constructor.
        no_covariates: whether ``fit`` is told that documents differ by nothing but their words.
    """

    library: str
    vectors: ViewName | None = None
    mixture: bool = False
    fit_options: tuple[str, ...] = ("iters",)
    no_covariates: bool = False


MODELS_OF_TOPICA = {
    "lda": TopicaSpec("LDA", mixture=True, fit_options=("iters", "num_samples", "convergence_tol")),
    "onlinelda": TopicaSpec("OnlineLDA", mixture=True, fit_options=("iters", "convergence_tol")),
    "ctm": TopicaSpec("CTM", mixture=True, fit_options=("iters", "convergence_tol")),
    "stm": TopicaSpec(
        "STM",
        mixture=True,
        fit_options=("iters", "convergence_tol", "gamma_prior", "restarts"),
        no_covariates=True,
    ),
    "prodlda": TopicaSpec("ProdLDA"),
    "gsdmm": TopicaSpec("GSDMM"),
    "pt": TopicaSpec("PT", mixture=True, fit_options=("iters", "convergence_tol")),
    "etm": TopicaSpec("ETM", vectors="word_embeddings", mixture=True),
    "gaussianlda": TopicaSpec("GaussianLDA", vectors="word_embeddings"),
    "fastopic": TopicaSpec("FASTopic", vectors="embeddings"),
    "combinedtm": TopicaSpec("CombinedTM", vectors="embeddings"),
    "zeroshottm": TopicaSpec("ZeroShotTM", vectors="embeddings"),
}

_NO_NEW_DOCUMENTS = "it gives no θ of documents that were not fitted"
_SIGNED = "its weights are signed, and no shares of topics"
_COVARIATES = "it needs covariates of the documents, which no view has"
_LABELS = "it is fitted to gold labels, by which topics are scored here"
_SEEDS = "it needs seed words, which no view has"
_TIMES = "it needs times of the documents, which no view has"
_LINKS = "it needs links between documents, which no view has"
_ORDER = "it reads the order of words, which counts do not keep"
_POSITIONS = "it places documents on a scale, and gives no θ"
_UNPROVEN = "topica itself takes it for unproven"

NOT_PLAYED = {
    "anchorlda": _NO_NEW_DOCUMENTS, "nmf": _NO_NEW_DOCUMENTS, "keynmf": _NO_NEW_DOCUMENTS,
    "semanticsignalseparation": _NO_NEW_DOCUMENTS, "lsa": _SIGNED,
    "hdp": "it finds the number of topics itself", "hlda": "it finds the number of topics itself",
    "bertopic": "it finds the number of topics itself",
    "top2vec": "it finds the number of topics itself",
    "pa": "it has two numbers of topics", "factoriallda": "its topics are pairs of factors",
    "corex": "its topics are labels of a document, each for itself, and no shares",
    "btm": _ORDER, "mglda": _ORDER, "topicalngrams": _ORDER, "narrativetm": _UNPROVEN,
    "sts": _COVARIATES, "sage": _COVARIATES, "dmr": _COVARIATES, "gdmr": _COVARIATES,
    "scholar": _COVARIATES, "authortopic": _COVARIATES, "authorrecipienttopic": _COVARIATES,
    "labeledlda": _LABELS, "supervisedlda": _LABELS, "disclda": _LABELS,
    "keyatm": _SEEDS, "seededlda": _SEEDS, "guidednmf": _SEEDS,
    "dtm": _TIMES, "detm": _TIMES, "topicsovertime": _TIMES,
    "rtm": _LINKS, "csatm": _LINKS, "threadtm": _LINKS, "treefieldtm": _LINKS,
    "wordfish": _POSITIONS, "wordshoal": _POSITIONS, "partyembeddings": _POSITIONS,
    "tbip": "it needs the authors of the documents, which no view has",
    "idealpointtm": _UNPROVEN, "idealpointsentencetm": _UNPROVEN, "embeddinglda": _UNPROVEN,
    "tensorlda": _UNPROVEN,
    "polylinguallda": "it needs documents in several languages each",
    "infoctm": "it needs a dictionary between two languages",
    "topicgpt": "it asks a language model past the ledger and the budget",
}  # fmt: skip
"""Names of the library's other models, in lower case, and why they are not played."""


class Topica:
    """The family ``topica:…`` of models; see :class:`mtmbench.core.registry.Family`."""

    def names(self) -> Sequence[str]:
        """Returns the names of the models that are played; none where topica is not installed."""
        return list(MODELS_OF_TOPICA) if is_installed() else []

    def get(self, name: str) -> type[TopicModel]:
        """Returns the model of a name.

        Raises:
            UnknownNameError: topica has no such model, as far as is known here.
            InputError: it is not played, and why; or topica is not installed.
        """
        if name in NOT_PLAYED:
            raise InputError(f"model 'topica:{name}' is not played: {NOT_PLAYED[name]}")
        if name not in MODELS_OF_TOPICA:
            valid = [f"topica:{known}" for known in MODELS_OF_TOPICA]
            raise UnknownNameError("model", f"topica:{name}", valid)
        if not is_installed():
            raise InputError(
                f"model 'topica:{name}' needs a package that is not installed: pip install "
                "'mtmbench[topica]'"
            )
        from mtmbench.models.topica import topica_model

        return topica_model(name, MODELS_OF_TOPICA[name])


def is_installed() -> bool:
    """Whether topica can be imported."""
    return importlib.util.find_spec("topica") is not None


TOPICA = Topica()
