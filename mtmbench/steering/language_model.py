"""A backbone with its head: what generates text and says how likely a text is."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.features.base import FeatureSource
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.features.sae.pretrained import straight_onto
from mtmbench.features.sae.source import StoredFeatures
from mtmbench.features.sae.token_batches import TokenIds, left_padded

if TYPE_CHECKING:
    import torch
    from transformers import Cache, PreTrainedModel

ENCODERS = ("bert", "roberta")


class CausalLM:
    """A causal language model, loaded when first used from the files of a backbone.

    Args:
        backbone: names the model, its precision and device, and whether texts begin with BOS.

    Raises:
        InputError: the backbone is an encoder, which generates nothing.
    """

    def __init__(self, backbone: HuggingFaceBackbone) -> None:
        if backbone.family in ENCODERS:
            raise InputError(
                f"{backbone.name} is an encoder ({backbone.family}); it generates no text"
            )
        self.backbone = backbone

    @property
    def n_positions(self) -> int:
        """Tokens that it reads at most, BOS included."""
        return self.backbone.max_chunk_tokens + self.backbone.n_specials

    @cached_property
    def model(self) -> PreTrainedModel:
        """The model with its head, in evaluation mode."""
        import torch
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        backbone = self.backbone
        model: Any = AutoModelForCausalLM.from_pretrained(
            backbone.folder, dtype=getattr(torch, backbone.dtype), **straight_onto(backbone.device)
        )
        loaded: PreTrainedModel = model.to(backbone.device).eval()
        return loaded

    @cached_property
    def end_ids(self) -> frozenset[int]:
        """Tokens that end a text."""
        end = self.backbone.tokenizer.eos_token_id
        return frozenset() if end is None else frozenset({int(end)})

    def begun(self, ids: TokenIds) -> TokenIds:
        """Returns tokens with BOS in front, where the model wants one."""
        padded, _ = self.backbone.padded([ids])
        whole: TokenIds = padded[0].numpy().astype(np.int32)
        return whole

    def left_padded(self, rows: Sequence[TokenIds]) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns ids and attention mask (B, longest), all rows ending in the last column."""
        ids, mask = left_padded(rows, self.backbone.tokenizer.pad_token_id or 0)
        device = self.backbone.device
        return ids.to(device), mask.to(device)

    def new_cache(self) -> Cache:
        """Returns an empty cache of keys and values."""
        from transformers import DynamicCache

        if "config" in inspect.signature(DynamicCache.__init__).parameters:
            return DynamicCache(config=self.model.config)
        return DynamicCache()

    def logits(
        self,
        ids: torch.Tensor,
        mask: torch.Tensor,
        *,
        cache: Cache | None = None,
        last: bool = False,
    ) -> torch.Tensor:
        """Returns f32 logits (B, T, vocabulary), or (B, vocabulary) of the last column.

        Args:
            ids: (B, T) tokens that the cache does not hold.
            mask: (B, cached + T), 0 on padding; positions count the ones before.
            cache: what :meth:`new_cache` made; it is extended. None for none.
            last: whether only the last column's are wanted.
        """
        import torch

        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        named: dict[str, Any] = {} if cache is None else {self._cache_name: cache}
        if last and "logits_to_keep" in self._accepted:
            named["logits_to_keep"] = 1
        with torch.inference_mode():
            out = self.model(
                input_ids=ids, attention_mask=mask, position_ids=positions,
                use_cache=cache is not None, **named,
            ).logits  # fmt: skip
            found: torch.Tensor = (out[:, -1] if last else out).to(torch.float32)
        return found

    @cached_property
    def _accepted(self) -> frozenset[str]:
        return frozenset(inspect.signature(type(self.model).forward).parameters)

    @property
    def _cache_name(self) -> str:
        # Renamed in transformers 5.
        return "cache" if "cache" in self._accepted else "past_key_values"


def language_model(source: FeatureSource) -> tuple[StoredFeatures, CausalLM]:
    """Returns a feature source with the causal language model that its features are of.

    Raises:
        InputError: there is no language model behind it, or one that generates no text.
    """
    if isinstance(source, StoredFeatures) and isinstance(source.backbone, HuggingFaceBackbone):
        return source, CausalLM(source.backbone)
    raise InputError(f"feature source {source.name!r} has no language model that can be steered")
