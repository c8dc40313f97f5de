"""What reads a language model up to a hook point: token activations of chunked texts.

A text is cut into consecutive chunks of its own tokens; each chunk goes through the model with the
specials that the model wants around it, and these and the padding are dropped from what comes out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mtmbench.core.steering_payloads import BackboneFacts
from mtmbench.core.types import IntArray
from mtmbench.features.sae.token_batches import TokenIds, cut

if TYPE_CHECKING:
    import torch

BATCH_TOKENS = 4096


@dataclass(frozen=True, eq=False)
class ActivationBatch:
    """Activations of some chunks, one after the other, specials and padding left out.

    Attributes:
        chunks: indices into the chunks given.
        lengths: tokens of each of these chunks.
        values: by hook point, (sum of lengths, H); f64 where the model runs in it, else f32.
    """

    chunks: tuple[int, ...]
    lengths: tuple[int, ...]
    values: Mapping[str, torch.Tensor]


class Backbone(ABC):
    """A language model that is read at hook points.

    Attributes:
        name: the model's public name.
    """

    name: str

    @property
    @abstractmethod
    def hidden_size(self) -> int:
        """H, width of the activations."""

    @property
    @abstractmethod
    def max_chunk_tokens(self) -> int:
        """Longest chunk that it can read, specials not counted."""

    @property
    @abstractmethod
    def revision(self) -> str:
        """Content hash of weights and tokeniser."""

    @abstractmethod
    def tokenise(self, texts: Sequence[str]) -> list[TokenIds]:
        """Returns the token ids of each text, without specials and without a limit."""

    def chunks(self, texts: Sequence[str], max_tokens: int | None = None) -> list[TokenIds]:
        """Returns texts in chunks of at most :attr:`max_chunk_tokens`, text after text.

        Args:
            texts: the texts; one without tokens has no chunk.
            max_tokens: texts are cut to this many tokens; None for whole texts.
        """
        return [
            chunk
            for ids in self.tokenise(texts)
            for chunk in cut(ids[:max_tokens], self.max_chunk_tokens)
        ]

    @abstractmethod
    def decode(self, ids: TokenIds) -> str:
        """Returns the text of tokens."""

    @abstractmethod
    def spans(self, texts: Sequence[str]) -> list[IntArray]:
        """Returns where each token of each text stands in it.

        For each text (n, 2) int64: first character and the one behind the last, white space around
        the token left out where there is more to it; a token may be empty.
        """

    def describe(self) -> BackboneFacts:
        """Returns all that the activations depend on besides tokens and place."""
        return {"backbone": self.name, "backbone_revision": self.revision}

    @abstractmethod
    def activations(
        self,
        chunks: Sequence[TokenIds],
        hook_points: Sequence[str],
        batch_tokens: int = BATCH_TOKENS,
    ) -> Iterator[ActivationBatch]:
        """Runs chunks through the model, shortest first, and yields what the hook points see.

        Batches depend on the chunks' lengths and order alone, so the same chunks give the same
        values.

        Args:
            chunks: token ids of at most ``max_chunk_tokens`` each, none of them empty.
            hook_points: names of the places to read.
            batch_tokens: padded tokens of one forward pass.

        Raises:
            InputError: a hook point does not exist, or a chunk is too long.
        """
