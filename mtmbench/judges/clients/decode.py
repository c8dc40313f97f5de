"""Decoding for the chat model in this process: greedy, or sampled from seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.features.sae.token_batches import left_padded

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Decoding:
    """How a reply is drawn.

    Attributes:
        max_tokens: length of a reply at most.
        temperature: 0 takes the likeliest token; else logits are divided by it and sampled.
        top_p: sampling is among the likeliest tokens that together have this probability.
        seed: of sampling.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Decoding:
        """Reads a card's ``[decoding]``.

        Raises:
            UnknownNameError: a setting is none of these.
            InputError: a value is out of range.
        """
        known = [field.name for field in fields(cls)]
        for name in settings:
            if name not in known:
                raise UnknownNameError("decoding setting of client 'transformers'", name, known)
        decoding = cls(**settings)
        for name, low, high in (("max_tokens", 1, None), ("temperature", 0, None), ("top_p", 0, 1)):
            value = getattr(decoding, name)
            if not isinstance(value, int | float) or value < low or (high and value > high):
                upto = f" to {high}" if high else " up"
                raise InputError(f"{name} must be a number from {low}{upto}, not {value!r}")
        return decoding


def continue_prompts(
    model: Any,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    seeds: Sequence[int],
    *,
    stop_ids: Sequence[int],
    padding: int,
) -> list[list[int]]:
    """Continues prompts by ``model.generate``, each up to its first stop token, which is kept.

    Sampling adds Gumbel noise of each prompt's own seed to the scaled log-probabilities and takes
    the largest: a draw from the very distribution (Gumbel 1954) that no other prompt of the batch
    takes part in.

    Args:
        model: a causal language model of transformers.
        prompts: token ids, none empty.
        decoding: length and randomness.
        seeds: one a prompt.
        stop_ids: tokens that end a reply.
        padding: token that fills up shorter prompts, on the left.
    """
    import torch
    from transformers import GenerationConfig, LogitsProcessorList

    ids, mask = left_padded(prompts, padding)
    # What the model's own configuration says would otherwise stand in for what is left unsaid.
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=list(stop_ids), pad_token_id=padding
    )
    noise = LogitsProcessorList()
    if decoding.temperature > 0:
        noise.append(_GumbelNoise(decoding, seeds))
    with torch.inference_mode():
        produced = model.generate(
            input_ids=ids.to(model.device), attention_mask=mask.to(model.device),
            max_new_tokens=decoding.max_tokens, do_sample=False, logits_processor=noise,
        )  # fmt: skip
    return [_up_to_stop(row[ids.shape[1] :].tolist(), set(stop_ids)) for row in produced]


class _GumbelNoise:
    """Logits to noisy log-probabilities whose largest is a sample; called once a token."""

    def __init__(self, decoding: Decoding, seeds: Sequence[int]) -> None:
        import torch

        self._decoding = decoding
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        import torch

        logp = torch.log_softmax(scores.float() / self._decoding.temperature, dim=-1)
        if self._decoding.top_p < 1:
            ranked, order = logp.sort(dim=-1, descending=True)
            before = ranked.exp().cumsum(dim=-1) - ranked.exp()
            ranked[before >= self._decoding.top_p] = -torch.inf
            logp = torch.full_like(logp, -torch.inf).scatter(-1, order, ranked)
        uniform = torch.stack(
            [
                torch.rand(logp.shape[-1], generator=generator, dtype=torch.float64)
                for generator in self._generators
            ]
        ).clamp_(min=1e-300)
        return logp - torch.log(-torch.log(uniform)).to(logp)


def _up_to_stop(ids: Sequence[int], stops: set[int]) -> list[int]:
    for place, token in enumerate(ids):
        if token in stops:
            return list(ids[: place + 1])
    return list(ids)
