"""Trains the shipped MiniLM SAE: cache activations, train, thresholds, densities, labels, files.

Run as ``python -m mtmbench.embedded.training.minilm --data DIR --cache DIR --out DIR`` with the
folder of the training text (``*.jsonl.gz`` of ``id``, ``text``, ``domain``), a scratch folder, and
the folder to write, here ``mtmbench/embedded/minilm/token``. Finished steps in the scratch folder
are not repeated. Documents are held out by a hash of their id (3 %); nothing of them is trained on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mtmbench.core.types import FloatArray, IntArray
from mtmbench.embedded.training.activations import (
    CHUNK_TOKENS,
    MODEL_NAME,
    WIDTH_IN,
    HalfArray,
    Passage,
    cache_activations,
    held_out_passages,
    hook_point_of,
    load_activations,
    passages,
    windowed,
)
from mtmbench.embedded.training.topk import (
    TopK,
    TrainingPlan,
    explained_variance,
    train_topk,
)
from mtmbench.features.filters import FeatureSetting
from mtmbench.features.labels import DEFAULT_CLASSES, PAPER_CLASSES
from mtmbench.features.sae.keyless_labels import Firing, Labeller
from mtmbench.features.sae.minilm import minilm_backbone
from mtmbench.features.sae.reference import LEVELS, N_STRONGEST, write_statistics


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
    train_passages, test_passages = prepare_passages(
        options.data, options.cache, options.tokens, options.held_out, options.layer, options.seed
    )
    values, lengths = _windowed(
        options.cache / "train", options.layer, options.window, train_passages
    )
    test_values, _ = _windowed(
        options.cache / "held_out", options.layer, options.window, test_passages
    )
    plan = TrainingPlan(
        options.width, options.k, options.steps, options.batch, options.rate, options.seed
    )
    sae = train_topk(values, plan).half_rounded()
    write(options.out, sae, plan, values, lengths, test_values, train_passages, options)


def prepare_passages(
    data: Path, cache: Path, n_tokens: int, n_held_out: int, layer: int, seed: int
) -> tuple[list[Passage], list[Passage]]:
    """Draws the passages and caches their activations; what is there already is kept.

    Returns:
        The training passages and the held-out ones.
    """
    backbone = minilm_backbone()
    cache.mkdir(parents=True, exist_ok=True)
    drawn: list[list[Passage]] = []
    for name in ("train", "held_out"):
        file = cache / f"{name}_passages.jsonl"
        if not file.exists():
            source = (
                passages(data, n_tokens, seed, backbone)
                if name == "train"
                else held_out_passages(data, n_held_out, backbone)
            )
            partial = file.with_suffix(".partial")
            partial.write_text("".join(json.dumps(asdict(p)) + "\n" for p in source))
            partial.rename(file)
        found = [Passage.from_json(json.loads(line)) for line in file.open()]
        cache_activations([p.tokens for p in found], cache / name, layer, backbone)
        drawn.append(found)
    return drawn[0], drawn[1]


def write(
    out: Path,
    sae: TopK,
    plan: TrainingPlan,
    values: HalfArray,
    lengths: IntArray,
    test_values: HalfArray,
    train_passages: Sequence[Passage],
    options: argparse.Namespace,
) -> None:
    """Writes weights, thresholds, densities, labels and settings into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    save_weights(out, sae, options.layer, options.window)
    found = firings(sae, values, lengths)
    write_statistics(out, found.quantiles, found.density, found.n_tokens)
    labeller = Labeller(train_passages, own_weight=1 if options.window == 1 else 0)
    labels = [labeller.label(contexts) for contexts in found.contexts]
    (out / "labels.json").write_text(
        json.dumps(labels, ensure_ascii=False, indent=0) + "\n", encoding="utf-8"
    )
    training = {
        "documents": len(train_passages),
        "tokens": len(values),
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
    options: argparse.Namespace, sae: TopK, training: Mapping[str, object]
) -> dict[str, object]:
    """Returns ``settings.json``: shape, the default filters, the paper's, and the training."""
    settings: dict[str, object] = {
        "window": options.window,
        "layer": options.layer,
        "chunk_tokens": CHUNK_TOKENS,
        "width": len(sae.b_enc),
        "k": sae.k,
        "default": FeatureSetting(
            options.threshold_quantile, options.max_doc_share, options.max_density_multiple,
            DEFAULT_CLASSES,
        ).as_dict(),
        "training": dict(training),
    }  # fmt: skip
    if options.window == 1:
        settings["paper"] = FeatureSetting(0.8, 0.9, 2.7, PAPER_CLASSES).as_dict()
    return settings


def save_weights(out: Path, sae: TopK, layer: int, window: int) -> None:
    """Writes ``cfg.json`` and float16 ``sae_weights.safetensors`` as sae-lens reads them."""
    from sae_lens.saes.sae import SAEMetadata
    from sae_lens.saes.topk_sae import TopKSAEConfig
    from safetensors.numpy import save_file

    metadata = SAEMetadata(
        model_name=MODEL_NAME,
        hook_name=hook_point_of(layer),
        context_size=CHUNK_TOKENS + 2,
        prepend_bos=True,
        window=window,
    )
    config = TopKSAEConfig(
        d_in=WIDTH_IN,
        d_sae=len(sae.b_enc),
        k=sae.k,
        dtype="float32",
        device="cpu",
        apply_b_dec_to_input=True,
        normalize_activations="none",
        metadata=metadata,
    )
    (out / "cfg.json").write_text(json.dumps(config.to_dict(), indent=2, sort_keys=True) + "\n")
    weights = {"W_enc": sae.w_enc, "b_enc": sae.b_enc, "W_dec": sae.w_dec, "b_dec": sae.b_dec}
    save_file(
        {name: np.ascontiguousarray(array, np.float16) for name, array in weights.items()},
        out / "sae_weights.safetensors",
    )


def firings(sae: TopK, values: HalfArray, lengths: IntArray) -> Firings:
    """Passes over the training tokens and collects each feature's non-zero activations."""
    width = len(sae.b_enc)
    passage_of = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    features, tops = zip(*sae.encode(values), strict=True)
    index, top = np.concatenate(features), np.concatenate(tops)
    token, column = np.nonzero(top > 0)
    feature, strength = index[token, column], top[token, column]
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
    folder: Path, layer: int, window: int, chunks: Sequence[Passage]
) -> tuple[HalfArray, IntArray]:
    lengths = np.array([len(p.tokens) for p in chunks], np.int64)
    return windowed(load_activations(folder, layer), lengths, window), lengths


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mtmbench.embedded.training.minilm")
    parser.add_argument("--data", type=Path, required=True, help="folder of the training text")
    parser.add_argument("--cache", type=Path, required=True, help="scratch folder (4 GB)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the SAE into")
    parser.add_argument("--layer", type=int, default=6)
    parser.add_argument("--window", type=int, default=1)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--k", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=2_300_000)
    parser.add_argument("--held-out", type=int, default=1000, help="held-out documents")
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
