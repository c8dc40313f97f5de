"""The interface of every source of SAE features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from mtmbench.core.types import BoolArray, Corpus, Counts, FloatArray, IntArray, Progress


@dataclass(frozen=True)
class TokenContext:
    """A token on which a feature fires, and the text around it.

    Attributes:
        before, token, after: the text, as the model's tokens spell it.
        value: the feature's activation.
    """

    before: str
    token: str
    after: str
    value: float


@dataclass(frozen=True)
class TopFeature:
    """One of the top features of a document.

    Attributes:
        feature: its index in the SAE.
        label: what it is said to be about.
        count: tokens of the document on which it is above its threshold.
        contexts: where in the document it is strongest, strongest first.
    """

    feature: int
    label: str
    count: int
    contexts: tuple[TokenContext, ...]


@dataclass(frozen=True, eq=False)
class Firings:
    """Where features fire above their thresholds, in some of a corpus's documents.

    Attributes:
        documents: (n,) the document of each firing.
        starts: (n,) where its token begins in the document's text, in characters.
        ends: (n,) where the token ends; one of no characters stands nowhere.
        features: (n,) which feature fires.
        n_features: F, the SAE's.
        values: (n,) f32, how strongly; None where the source does not tell.
    """

    documents: IntArray
    starts: IntArray
    ends: IntArray
    features: IntArray
    n_features: int
    values: FloatArray | None = None


class FeatureSource(ABC):
    """A backbone with its SAEs. ``__init__`` takes a suite's ``features.params`` as arguments.

    Attributes:
        name: the registry name.
        leaves_embeddings: whether the pass that makes the features leaves the documents' embeddings
            in the cache, so that those are better asked for after it.
        device: the torch device that it computes on; of several processes of a machine only one
            is asked to use another than the CPU.
    """

    name: ClassVar[str]
    leaves_embeddings: ClassVar[bool] = False
    device: str = "cpu"

    @abstractmethod
    def settings(self) -> list[str]:
        """Returns the names of the feature settings; "default" is among them."""

    @abstractmethod
    def describe(self, setting: str = "default") -> dict[str, object]:
        """Returns, as JSON values, all that the counts depend on besides corpus and token limit.

        Raises:
            UnknownNameError: there is no such setting.
        """

    @abstractmethod
    def counts(
        self,
        corpus: Corpus,
        *,
        setting: str = "default",
        max_tokens: int | None = None,
        progress: Progress | None = None,
    ) -> Counts:
        """Returns feature counts with directions, encoder and mean activations.

        Args:
            corpus: the documents.
            setting: one of :meth:`settings`.
            max_tokens: documents are cut to this many tokens; None for whole documents.
            progress: told how many of how many tokens are done, while they are extracted.

        Raises:
            UnknownNameError: there is no such setting.
            InputError: the corpus has no tokens, or the filters leave no feature.
        """

    def prepare(  # noqa: B027
        self,
        corpus: Corpus,
        *,
        setting: str = "default",
        max_tokens: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Shares the work that :meth:`counts` would do, where several processes can share it.

        Returns once all of it is done, here or elsewhere; does nothing by default.
        """

    def outline(self) -> FeatureSource:
        """Returns what plans ask in this one's place, reading neither weights nor a network.

        It describes settings as they are given where weights would have to be read for more, so
        that keys made from it are those of no record. By default the source itself.
        """
        return self

    def scored_labels(self, setting: str = "default") -> BoolArray | None:  # noqa: ARG002
        """Returns (F,) whether a language model wrote a feature's label and a judge scored it.

        None by default: there is no such label.
        """
        return None

    def label_scores(self, setting: str = "default") -> FloatArray | None:  # noqa: ARG002
        """Returns (F,) a judge's scores of the source's own labels, NaN for one without.

        None by default: no judge has scored any.
        """
        return None

    def at_hand(
        self,
        what: Literal["counts", "firings"],  # noqa: ARG002
        corpus: Corpus,  # noqa: ARG002
        *,
        setting: str = "default",  # noqa: ARG002
        max_tokens: int | None = None,  # noqa: ARG002
    ) -> bool:
        """Returns whether counts or firings of a corpus are had without work worth avoiding.

        A page tells of features only what is at hand. False by default.
        """
        return False

    def saes(self) -> Mapping[str, Mapping[str, object]]:
        """Returns the SAEs that a setting may name under "sae", with layer, width and window.

        None by default: settings then have no ``sae``.
        """
        return {}


class LocatingSource(FeatureSource):
    """A source that also knows where in a document its features fire."""

    @abstractmethod
    def top_activations(
        self,
        corpus: Corpus,
        rows: Sequence[int],
        *,
        setting: str = "default",
        max_tokens: int | None = None,
        n_features: int = 5,
        n_contexts: int = 3,
        progress: Progress | None = None,
    ) -> list[list[TopFeature]]:
        """Returns documents' top features, by count times log of documents over document frequency.

        Args:
            corpus: the documents.
            rows: which of them.
            setting: one of :meth:`settings`.
            max_tokens: documents are cut to this many tokens.
            n_features: how many features a document.
            n_contexts: how many contexts a feature, the strongest ones.
            progress: told how much is done, where that takes long.

        Raises:
            UnknownNameError: there is no such setting.
        """


class FiringSource(LocatingSource):
    """A source that tells of every firing, so that its features can be labelled from a corpus."""

    @abstractmethod
    def firings(
        self,
        corpus: Corpus,
        *,
        setting: str = "default",
        max_tokens: int | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Firings]:
        """Yields the firings of all features of the SAE that :meth:`counts` counts, unfiltered.

        Args:
            corpus: the documents.
            setting: one of :meth:`settings`.
            max_tokens: documents are cut to this many tokens.
            progress: told how much is done, where that takes long.

        Raises:
            UnknownNameError: there is no such setting.
        """
