"""Tokens per CPU-second of steered batched generation over those of unsteered, one thread, one run.

    python -P tests/benchmarks/steering_speed.py [--rows 32] [--tokens 32] [--rounds 5]

Random weights in the shape of the embedded causal LM and of GPT-2 small; every row of a batch has a
direction and a λ of its own. Steered and unsteered batches take turns, and the ratio is that of the
medians. The limit is 0.9.
"""

from __future__ import annotations

import argparse
import runpy
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from mtmbench.features.backbone import HuggingFaceBackbone
from mtmbench.steering.generate import Sampling, sample_batch
from mtmbench.steering.hook import Push
from mtmbench.steering.language_model import CausalLM
from mtmbench.steering.vector import Origin, SteeringVector

PROMPT_TOKENS = 8
TOKENIZERS = Path(__file__).parents[1] / "features" / "tiny_models.py"


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
            print(f"{name:17} {_ratio(lm, hook_point, chosen):.3f}", flush=True)


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


def _ratio(lm: CausalLM, hook_point: str, chosen: argparse.Namespace) -> float:
    generator = np.random.default_rng(0)
    origin = Origin(lm.backbone.name, lm.backbone.revision, hook_point)
    starts = [generator.integers(0, 50, PROMPT_TOKENS).astype(np.int32) for _ in range(chosen.rows)]
    width = lm.backbone.hidden_size
    steered = [
        [Push(SteeringVector.of(generator.standard_normal(width), origin), float(i))]
        for i in range(chosen.rows)
    ]
    unsteered: list[list[Push]] = [[] for _ in range(chosen.rows)]
    sampling = Sampling(max_tokens=chosen.tokens)
    rates: dict[bool, list[float]] = {True: [], False: []}
    # The first round is not counted.
    for turn in range(chosen.rounds + 1):
        for hooked in (turn % 2 == 0, turn % 2 == 1):
            rows = steered if hooked else unsteered
            started = time.process_time()
            drawn = sample_batch(lm, starts, rows, sampling, range(chosen.rows))
            seconds = time.process_time() - started
            if turn:
                rates[hooked].append(sum(len(row.ids) for row in drawn) / seconds)
    return median(rates[True]) / median(rates[False])


if __name__ == "__main__":
    main()
