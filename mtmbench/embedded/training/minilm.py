"""Trains the shipped MiniLM SAE on stored activations: weights, thresholds, densities, labels.

Run as ``python -m mtmbench.embedded.training.minilm --cache DIR --out DIR`` with the folder into
which :mod:`mtmbench.embedded.training.activations` stored them, and the folder to write, here
``mtmbench/embedded/minilm/token``. With the plan of a candidate and as many ``--tokens`` as it saw
(:mod:`mtmbench.embedded.training.candidates`) the training gives that candidate again;
``--trained`` takes it from where it is saved instead.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.types import FloatArray, IntArray
from mtmbench.embedded.training.activations import (
    CHUNK_TOKENS,
    MODEL_NAME,
    HalfArray,
    Passage,
    hook_point_of,
    load_activations,
    read_passages,
    windowed,
)
from mtmbench.embedded.training.topk import (
    TrainingPlan,
    encoded,
    explained_variance,
    half_rounded,
    train_sae,
)
from mtmbench.features.filters import FeatureSetting
from mtmbench.features.labels import DEFAULT_CLASSES, PAPER_CLASSES
from mtmbench.features.sae.keyless_labels import Firing, Labeller
from mtmbench.features.sae.reference import LEVELS, N_STRONGEST, write_statistics
from mtmbench.features.sae.sae import SAE, load_sae, save_sae
from mtmbench.features.sae.sae_config import SAEMetadata


@dataclass(frozen=True)
class Firings:
    """What a pass over the training text found for each feature.

    Attributes:
        quantiles: (F, Q) f32, quantiles at ``LEVELS`` of the non-zero activations; level 0 is 0.
        density: (F,) f32, share of tokens on which the feature fires.
        contexts: for each feature its strongest firings, strongest first, one a passage.
        n_tokens: tokens passed over.
    """

    quantiles: FloatArray
    density: FloatArray
    contexts: list[list[Firing]]
    n_tokens: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the whole training from the command line."""
    options = _parser().parse_args(arguments)
    _set_threads(options.threads)
    train = list(read_passages(options.cache / "train"))
    test = list(read_passages(options.cache / "held_out"))
    values, lengths = _windowed(
        options.cache / "train", options.layer, options.window, train, options.tokens
    )
    test_values, _ = _windowed(options.cache / "held_out", options.layer, options.window, test)
    plan = TrainingPlan(
        options.width, options.k, options.rule, tuple(options.nested), options.steps,
        options.batch, options.rate, options.seed,
    )  # fmt: skip
    if options.trained is not None:
        sae = load_sae(options.trained)
    else:
        sae = half_rounded(train_sae(values, plan, metadata_of(options.layer, options.window)))
    write(options.out, sae, plan, values, lengths, test_values, train[: len(lengths)], options)


def write(
    out: Path,
    sae: SAE,
    plan: TrainingPlan,
    values: HalfArray,
    lengths: IntArray,
    test_values: HalfArray,
    train_passages: Sequence[Passage],
    options: argparse.Namespace,
) -> None:
    """Writes weights, thresholds, densities, labels and settings into ``out``.

    Thresholds, densities and labels come from the first passages, which are spread over all
    documents.
    """
    out.mkdir(parents=True, exist_ok=True)
    save_sae(sae, out, half=True)
    n_passages = int(np.searchsorted(np.cumsum(lengths), options.statistics_tokens)) + 1
    looked_at = lengths[:n_passages]
    found = firings(sae, values[: int(looked_at.sum())], looked_at)
    write_statistics(out, found.quantiles, found.density, found.n_tokens)
    labeller = Labeller(train_passages[:n_passages], own_weight=1 if options.window == 1 else 0)
    labels = [labeller.label(contexts) for contexts in found.contexts]
    (out / "labels.json").write_text(
        json.dumps(labels, ensure_ascii=False, indent=0) + "\n", encoding="utf-8"
    )
    training = {
        "passages": len(train_passages),
        "tokens": len(values),
        "statistics_tokens": found.n_tokens,
        "rule": plan.rule,
        "nested": list(plan.nested),
        "rows_seen": plan.steps * plan.batch,
        "steps": plan.steps,
        "batch": plan.batch,
        "learning_rate": plan.rate,
        "seed": plan.seed,
        "held_out_tokens": len(test_values),
        "explained_variance_held_out": round(explained_variance(sae, test_values), 4),
        "dead_share": round(float((found.density == 0).mean()), 4),
        "mean_active": round(float(found.density.sum(dtype=np.float64)), 2),
    }
    settings = settings_of(options, sae, training)
    (out / "settings.json").write_text(json.dumps(settings, indent=2) + "\n")
    print(json.dumps(settings), flush=True)


def settings_of(
    options: argparse.Namespace, sae: SAE, training: Mapping[str, object]
) -> dict[str, object]:
    """Returns ``settings.json``: shape, the default filters, the paper's, and the training."""
    settings: dict[str, object] = {
        "window": options.window,
        "layer": options.layer,
        "chunk_tokens": CHUNK_TOKENS,
        "width": sae.n_features,
        "k": options.k,
        "default": FeatureSetting(
            options.threshold_quantile, options.max_doc_share, options.max_density_multiple,
            DEFAULT_CLASSES,
        ).as_dict(),
        "training": dict(training),
    }  # fmt: skip
    if options.window == 1:
        settings["paper"] = FeatureSetting(0.8, 0.9, 2.7, PAPER_CLASSES).as_dict()
    return settings


def metadata_of(layer: int, window: int) -> SAEMetadata:
    """Returns what an SAE's config says of the model and of what it reads."""
    return {
        "model_name": MODEL_NAME, "hook_name": hook_point_of(layer),
        "context_size": CHUNK_TOKENS + 2, "prepend_bos": True, "window": window,
    }  # fmt: skip


def firings(sae: SAE, values: HalfArray, lengths: IntArray) -> Firings:
    """Passes over training tokens and collects each feature's non-zero activations."""
    width = sae.n_features
    passage_of = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    token, feature, strength = encoded(sae, values)
    order = np.argsort(feature, kind="stable")
    ends = np.cumsum(np.bincount(feature, minlength=width))
    quantiles = np.zeros((width, len(LEVELS)), np.float32)
    contexts: list[list[Firing]] = []
    for i in range(width):
        mine = order[(ends[i - 1] if i else 0) : ends[i]]
        if not len(mine):
            contexts.append([])
            continue
        quantiles[i, 1:] = np.quantile(strength[mine], LEVELS[1:])
        strongest = mine[np.argsort(-strength[mine], kind="stable")[: 20 * N_STRONGEST]]
        _, once = np.unique(passage_of[token[strongest]], return_index=True)
        rows = token[strongest[np.sort(once)[:N_STRONGEST]]]
        contexts.append([Firing(int(passage_of[r]), int(r - first[passage_of[r]])) for r in rows])
    counts = np.diff(np.concatenate([[0], ends]))
    return Firings(quantiles, (counts / len(values)).astype(np.float32), contexts, len(values))


def _windowed(
    folder: Path, layer: int, window: int, chunks: Sequence[Passage], n_tokens: int | None = None
) -> tuple[HalfArray, IntArray]:
    """Reads the first tokens of stored passages, of which the last is cut, or all tokens."""
    lengths = np.array([len(p.tokens) for p in chunks], np.int64)
    if n_tokens is not None:
        ends = np.minimum(np.cumsum(lengths), n_tokens)
        lengths = np.diff(ends, prepend=0)
        lengths = lengths[lengths > 0]
    values = load_activations(folder, layer)
    if len(values) < lengths.sum():
        raise InputError(
            f"{folder} holds {len(values)} of {lengths.sum()} tokens; store the others first"
        )
    return windowed(values[: lengths.sum()], lengths, window), lengths


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mtmbench.embedded.training.minilm")
    parser.add_argument("--cache", type=Path, required=True, help="stored activations")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the SAE into")
    parser.add_argument("--tokens", type=int, help="of the training text; all if not given")
    parser.add_argument("--trained", type=Path, help="folder of the SAE, if it is trained")
    parser.add_argument("--layer", type=int, default=6)
    parser.add_argument("--window", type=int, default=1)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--k", type=int, default=16)
    parser.add_argument("--rule", choices=("topk", "batchtopk"), default="topk")
    parser.add_argument("--nested", type=int, nargs="*", default=[], help="Matryoshka widths")
    parser.add_argument("--statistics-tokens", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--threshold-quantile", type=float, default=0.0)
    parser.add_argument("--max-doc-share", type=float, default=0.9)
    parser.add_argument("--max-density-multiple", type=float, default=None)
    return parser


if __name__ == "__main__":
    main()
