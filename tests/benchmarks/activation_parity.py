"""How far our activations are from the models' own, TransformerLens's and sae-lens's.

Run it: ``python -P tests/benchmarks/activation_parity.py``. Models are random and small, one of
each family, in the hub's own folder format; SAEs are made and saved by sae-lens itself. For a
family: the largest difference to the model's hidden states, to what plain forward hooks see, and to
TransformerLens at the hook points of the same name. For an SAE kind: the largest difference to
sae-lens's activations, in units of their largest, and on how many entries only one of the two
fires. Exit status 1 if a stream is not exactly the model's own, if TransformerLens differs by more
than 1e-4, or if the firings of an SAE do.
"""

from __future__ import annotations

import runpy
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from mtmbench.features.sae.hook_reading import reading
from mtmbench.features.sae.hooks import find_hook_point, hook_names
from mtmbench.features.sae.sae import load_sae

TESTS = Path(__file__).parents[1]
FAMILIES = ("gpt2", "gemma2", "llama", "gpt_neox", "qwen2", "bert")
KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("standard", {}),
    ("topk", {}),
    ("topk", {"rescale_acts_by_decoder_norm": True}),
    ("jumprelu", {}),
    ("gated", {}),
    ("batchtopk", {}),
    ("matryoshka", {}),
    ("standard", {"normalize_activations": "layer_norm"}),
    ("standard", {"normalize_activations": "constant_norm_rescale"}),
)
IDS = torch.arange(14).reshape(2, 7) % 50


def main() -> int:
    """Prints both tables; returns the exit status."""
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    good = True
    print("family     hook points  hidden states  plain hooks  TransformerLens (of points)")
    with tempfile.TemporaryDirectory() as scratch:
        for family in FAMILIES:
            n, states, hooks, (lens, shared) = family_differences(family, Path(scratch) / family)
            good &= states == hooks == 0.0 and lens <= 1e-4 and shared > 0
            print(f"{family:10} {n:11}  {states:13.1e}  {hooks:11.1e}  {lens:15.1e} ({shared})")
        print("\nSAE kind   difference  fires in one only (of)")
        for number, (kind, options) in enumerate(KINDS):
            apart, alone, entries = sae_difference(kind, options, Path(scratch) / str(number))
            good &= alone == 0 and apart <= 1e-5
            more = "".join(f" {name}={value}" for name, value in options.items())
            print(f"{kind:10} {apart:10.1e}  {alone} ({entries:,}){more}")
    return 0 if good else 1


def family_differences(family: str, folder: Path) -> tuple[int, float, float, tuple[float, int]]:
    """Returns the number of hook points and three largest differences, the last with its number."""
    from transformer_lens.model_bridge import TransformerBridge

    write_model = runpy.run_path(str(TESTS / "support" / "tiny_models.py"))["write_model"]
    with_head = write_model(family, folder)
    model = with_head.base_model
    names = hook_names(model)
    plain: dict[str, torch.Tensor] = {}
    handles = []
    for name, point in names.items():

        def keep(
            _: Any, inputs: Any, named: Any, output: Any, name: str = name, side: str = point.side
        ) -> None:
            value = (inputs[0] if inputs else named["hidden_states"]) if side == "input" else output
            plain[name] = value[0] if isinstance(value, tuple) else value

        handles.append(
            model.get_submodule(point.module).register_forward_hook(keep, with_kwargs=True)
        )
    with torch.inference_mode():
        states = model(input_ids=IDS, output_hidden_states=True).hidden_states
    for handle in handles:
        handle.remove()
    points = {name: find_hook_point(model, name) for name in names}
    with torch.inference_mode(), reading(model, points) as seen:
        model(input_ids=IDS)
    lens = TransformerBridge.boot_transformers(str(folder), device="cpu")
    with torch.inference_mode():
        _, cache = lens.run_with_cache(IDS)
    shared = [name for name in names if name in cache]
    return (
        len(names),
        max(gap(seen[f"blocks.{i}.hook_resid_pre"], states[i]) for i in range(3)),
        max(gap(seen[name], plain[name]) for name in names),
        (max(gap(seen[n], cache[n].reshape(seen[n].shape)) for n in shared), len(shared)),
    )


def sae_difference(kind: str, options: dict[str, Any], folder: Path) -> tuple[float, int, int]:
    """Returns the largest relative difference, entries that fire in one only, and all entries."""
    peer = runpy.run_path(str(TESTS / "features" / "sae" / "test_sae.py"))["sae_lens_made"](
        kind, folder, **options
    )
    sae = load_sae(folder)
    inputs = torch.from_numpy(
        np.random.default_rng(1).normal(size=(5000, sae.n_inputs)).astype(np.float32)
    )
    with torch.no_grad():
        expected = peer.encode(inputs).numpy()
    rows, features, values = sae.encode(inputs)
    found = np.zeros_like(expected)
    found[rows, features] = values
    alone = int(((found > 0) != (expected > 0)).sum())
    return float(np.abs(found - expected).max() / expected.max()), alone, expected.size


def gap(first: torch.Tensor, second: torch.Tensor) -> float:
    """Returns the largest absolute difference."""
    return float((first - second).abs().max())


if __name__ == "__main__":
    sys.exit(main())
