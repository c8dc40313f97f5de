"""Tokens per CPU-second of steered batched generation over those of unsteered, one thread, one run.

    python -P tests/benchmarks/steering_speed.py [--rows 32] [--tokens 32] [--rounds 5]

Random weights in the shape of the embedded causal LM and of GPT-2 small; every row of a batch has a
direction and a λ of its own. Steered and unsteered batches take turns, and the ratio is that of the
medians. The limit is 0.9.

Beside it, the same loop over GPT-2 small's shape in TransformerLens, with its cache and a hook that
does the same to the same point: how many tokens per CPU-second ours draws for each of its own, and
what its hook costs it. No limit is set on these.
"""

from __future__ import annotations

import argparse
import runpy
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.steering.draw import draw
from mtmbench.steering.generate import Sampling, sample_batch
from mtmbench.steering.hook import Push
from mtmbench.steering.language_model import CausalLM
from mtmbench.steering.vector import Origin, SteeringVector

PROMPT_TOKENS = 8
TOKENIZERS = Path(__file__).parents[1] / "support" / "tiny_models.py"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the ratios."""
    import torch

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print("model             steered / unsteered tokens per CPU-second")
    for name, (config, hook_point) in _shapes().items():
        with tempfile.TemporaryDirectory() as folder:
            lm = _language_model(config, Path(folder))
            if name == "GPT-2 small":
                ours, theirs, their_ratio = _against_transformer_lens(lm, hook_point, chosen)
                print(f"{name:17} {ours[True] / ours[False]:.3f}", flush=True)
                print(f"TransformerLens   {their_ratio:.3f}")
                print(f"ours over TransformerLens, both steered: {ours[True] / theirs:.3f}")
            else:
                rates = _rates(_sampler(lm, hook_point, chosen), chosen.rounds)
                print(f"{name:17} {rates[True] / rates[False]:.3f}", flush=True)


def _shapes() -> dict[str, tuple[Any, str]]:
    from transformers import GPT2Config, LlamaConfig

    llama = LlamaConfig(
        vocab_size=8192, hidden_size=256, intermediate_size=688, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=256,
        tie_word_embeddings=True, bos_token_id=50, eos_token_id=51,
    )  # fmt: skip
    return {
        "embedded LM": (llama, "blocks.2.hook_resid_post"),
        "GPT-2 small": (GPT2Config(), "blocks.8.hook_resid_pre"),
    }


def _language_model(config: Any, folder: Path) -> CausalLM:
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    runpy.run_path(str(TOKENIZERS))["make_tokenizer"]("llama").save_pretrained(folder)
    return CausalLM(HuggingFaceBackbone(folder, name="random"))


Sampler = Callable[[bool], int]
"""Draws the tokens of a batch, steered or not, and returns how many."""


def _rates(sample: Sampler, rounds: int) -> dict[bool, float]:
    """Returns the median tokens per CPU-second of steered and of unsteered batches."""
    rates: dict[bool, list[float]] = {True: [], False: []}
    # The first round is not counted.
    for turn in range(rounds + 1):
        for hooked in (turn % 2 == 0, turn % 2 == 1):
            started = time.process_time()
            n_tokens = sample(hooked)
            if turn:
                rates[hooked].append(n_tokens / (time.process_time() - started))
    return {hooked: median(found) for hooked, found in rates.items()}


def _sampler(lm: CausalLM, hook_point: str, chosen: argparse.Namespace) -> Sampler:
    origin = Origin(lm.backbone.name, lm.backbone.revision, hook_point)
    starts, directions = _inputs(chosen, lm.backbone.hidden_size)
    steered = [
        [Push(SteeringVector.of(direction, origin), float(i))]
        for i, direction in enumerate(directions)
    ]
    unsteered: list[list[Push]] = [[] for _ in starts]
    sampling = Sampling(max_tokens=chosen.tokens)

    def sample(hooked: bool) -> int:
        rows = steered if hooked else unsteered
        drawn = sample_batch(lm, starts, rows, sampling, range(chosen.rows))
        return sum(len(row.ids) for row in drawn)

    return sample


def _inputs(
    chosen: argparse.Namespace, width: int
) -> tuple[list[NDArray[np.int32]], NDArray[np.float64]]:
    generator = np.random.default_rng(0)
    starts = [generator.integers(0, 50, PROMPT_TOKENS).astype(np.int32) for _ in range(chosen.rows)]
    return starts, generator.standard_normal((chosen.rows, width))


def _against_transformer_lens(
    lm: CausalLM, hook_point: str, chosen: argparse.Namespace
) -> tuple[dict[bool, float], float, float]:
    """Returns our rates, TransformerLens's steered one, and its own ratio."""
    samplers = (_sampler(lm, hook_point, chosen), _lens_sampler(hook_point, chosen))
    ours, theirs = (_rates(sample, chosen.rounds) for sample in samplers)
    return ours, theirs[True], theirs[True] / theirs[False]


def _lens_sampler(hook_point: str, chosen: argparse.Namespace) -> Sampler:
    import torch
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.cache.key_value_cache import TransformerLensKeyValueCache

    config = HookedTransformerConfig(
        n_layers=12, d_model=768, n_heads=12, d_head=64, d_mlp=3072, n_ctx=1024, d_vocab=50257,
        act_fn="gelu_new", normalization_type="LNPre", seed=0,
    )  # fmt: skip
    model = HookedTransformer(config).eval()
    starts, directions = _inputs(chosen, config.d_model)
    unit = torch.from_numpy(directions / np.linalg.norm(directions, axis=1, keepdims=True)).float()
    levels = torch.arange(chosen.rows, dtype=torch.float32)
    ids = torch.from_numpy(np.stack(starts)).long()
    uniforms = np.random.default_rng(1).random((chosen.rows, chosen.tokens))

    def push(states: torch.Tensor, hook: Any) -> torch.Tensor:
        if states.shape[1] > 1:  # the prompt
            return states
        along = (states * unit[:, None]).sum(dim=2, keepdim=True)
        return states + (levels[:, None, None] - along) * unit[:, None]

    def sample(hooked: bool) -> int:
        cache = TransformerLensKeyValueCache.init_cache(config, "cpu", chosen.rows)
        hooks = [(hook_point, push)] if hooked else []
        tokens = ids
        with torch.inference_mode(), model.hooks(fwd_hooks=hooks):
            for step in range(chosen.tokens):
                mask = torch.ones_like(tokens)
                logits = model(tokens, past_kv_cache=cache, attention_mask=mask)[:, -1]
                tokens = draw(logits, uniforms[:, step], 1.0, 0.95)[:, None]
        return chosen.rows * chosen.tokens

    return sample


if __name__ == "__main__":
    main()
