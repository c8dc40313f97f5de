"""The interface of every source of SAE features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from mtmbench.types import Corpus, Counts


class FeatureSource(ABC):
    """A backbone with its SAEs. ``__init__`` takes a suite's ``features.params`` as arguments.

    Attributes:
        name: the registry name.
    """

    name: ClassVar[str]

    @abstractmethod
    def settings(self) -> list[str]:
        """Returns the names of the feature settings; "default" is among them."""

    @abstractmethod
    def describe(self, setting: str = "default") -> dict[str, Any]:
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
        progress: Callable[[int, int], None] | None = None,
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
