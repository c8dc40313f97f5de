"""Trains an SAE of the small causal LM: activations, weights, figures, thresholds, labels.

Run, once the LM is trained, for each SAE as ``python -m mtmbench.embedded.training.tinylm_saes
--data DIR --work DIR --hook-point blocks.2.hook_resid_post --out
mtmbench/embedded/tinylm/saes/block2`` with the folder of corpora and the scratch folder of the LM's
training. Finished steps in the scratch folder are not repeated; an SAE trains in minutes.

Chunks are those of the feature extraction: <s> and up to 255 tokens of one document. <s> is neither
trained on nor counted. Thresholds, densities and labels come from
``mtmbench.features.sae.reference``, over training documents; the contexts that it writes hold texts
and are not kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mtmbench.core.serialise import write_atomically
from mtmbench.core.types import Corpus, FloatArray, IntArray
from mtmbench.embedded.training.activations import (
    HalfArray,
    half_activations,
    windowed,
)
from mtmbench.embedded.training.lm_text import (
    EOS_ID,
    TokenArray,
    held_out,
    read_documents,
    read_tokens,
)
from mtmbench.embedded.training.tinylm import negative_log_likelihood
from mtmbench.embedded.training.topk import (
    TrainingPlan,
    explained_variance,
    half_rounded,
    reconstructed,
    train_sae,
)
from mtmbench.features.sae.contexts import CONTEXTS_FILE
from mtmbench.features.sae.hooks import HookPoint, find_hook_point
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.features.sae.sae import SAE, save_sae
from mtmbench.features.sae.sae_config import SAEMetadata
from mtmbench.features.sae.shipped import TINYLM_MODEL, TINYLM_NAME
from mtmbench.features.sae.token_batches import TokenIds

if TYPE_CHECKING:
    import torch

    from mtmbench.features.sae.hook_reading import Passing


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the whole training from the command line."""
    import torch

    from mtmbench.features.sae.hub import ModelFeatures, SAEEntry
    from mtmbench.features.sae.reference import build_folder

    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    backbone = HuggingFaceBackbone(options.model, name=TINYLM_NAME)
    values, lengths, test_values, test_lengths, test_chunks = activations(options, backbone)
    plan = TrainingPlan(
        options.width, options.k, steps=options.steps, batch=options.batch, rate=options.rate,
        seed=options.seed,
    )  # fmt: skip
    metadata = metadata_of(options.hook_point, options.window, backbone.max_chunk_tokens)
    sae = half_rounded(train_sae(windowed(values, lengths, options.window), plan, metadata))
    tested = windowed(test_values, test_lengths, options.window)
    figures = {"explained_variance": round(explained_variance(sae, tested), 4)}
    if options.window == 1:
        mean = values.mean(axis=0, dtype=np.float64).astype(np.float32)
        figures.update(loss_figures(options.model, options.hook_point, sae, mean, test_chunks))
    raw = options.work / "saes" / options.out.name
    save_sae(sae, raw)
    given: SAEEntry = {"folder": str(raw), "window": options.window}
    source = ModelFeatures(str(options.model), {options.out.name: given}, prepend_bos=True)
    training = {
        "tokens": len(values), "rows_seen": plan.steps * plan.batch, "steps": plan.steps,
        "batch": plan.batch, "learning_rate": plan.rate, "seed": plan.seed,
        "held_out_tokens": len(tested), "held_out": figures,
    }  # fmt: skip
    built = build_folder(
        source, training_corpus(options.data, options.work), options.out,
        n_tokens=options.reference_tokens, half=True, more={"k": plan.k, "training": training},
    )  # fmt: skip
    (options.out / CONTEXTS_FILE).unlink()
    assert built.density is not None
    training["dead_share"] = round(float((built.density == 0).mean()), 4)
    training["mean_active"] = round(float(built.density.sum(dtype=np.float64)), 2)
    settings = options.out / "settings.json"
    written = {**json.loads(settings.read_text()), "training": training}
    write_atomically(settings, json.dumps(written, indent=2) + "\n")
    print(json.dumps(training), flush=True)


def activations(
    options: argparse.Namespace, backbone: HuggingFaceBackbone
) -> tuple[HalfArray, IntArray, HalfArray, IntArray, list[TokenIds]]:
    """Draws training and held-out chunks and reads them at the hook point.

    Returns:
        Training activations (N, H) and chunk lengths, the same held out, and the held-out chunks.
    """
    found: list[tuple[HalfArray, IntArray, list[TokenIds]]] = []
    for name, n_tokens in (("train", options.tokens), ("held_out", options.held_out)):
        stream = read_tokens(options.work / f"{name}.bin")
        chunks = draw_chunks(stream, n_tokens, backbone.max_chunk_tokens, options.seed)
        file = options.work / f"{name}-{options.hook_point}-{n_tokens}-{options.seed}.npy"
        if not file.exists():
            read = half_activations(backbone, chunks, [options.hook_point])
            with file.with_suffix(".partial").open("wb") as target:
                np.save(target, read[options.hook_point])
            file.with_suffix(".partial").replace(file)
        found.append((np.load(file), np.array([len(chunk) for chunk in chunks], np.int64), chunks))
    (values, lengths, _), (test_values, test_lengths, test_chunks) = found
    return values, lengths, test_values, test_lengths, test_chunks


def draw_chunks(stream: TokenArray, n_tokens: int, size: int, seed: int) -> list[TokenIds]:
    """Draws chunks of documents without replacement until they have ``n_tokens``.

    Args:
        stream: tokens, </s> behind each document.
        n_tokens: how many at least, or all there are.
        size: tokens of a chunk at most; chunks of fewer than 8 are left out.
        seed: of the order in which they are drawn.
    """
    ends = np.flatnonzero(stream == EOS_ID)
    bounds = [
        (start, min(start + size, end))
        for first, end in zip([0, *(ends[:-1] + 1).tolist()], ends.tolist(), strict=True)
        for start in range(first, end, size)
        if min(start + size, end) - start >= 8
    ]
    chosen: list[TokenIds] = []
    seen = 0
    for at in np.random.default_rng(seed).permutation(len(bounds)).tolist():
        if seen >= n_tokens:
            break
        chosen.append(np.asarray(stream[slice(*bounds[at])], np.int32))
        seen += len(chosen[-1])
    return chosen


def metadata_of(hook_point: str, window: int, chunk_tokens: int) -> SAEMetadata:
    """Returns what an SAE's config says of the model and of what it reads."""
    return {
        "model_name": TINYLM_NAME, "hook_name": hook_point, "context_size": chunk_tokens + 1,
        "prepend_bos": True, "window": window,
    }  # fmt: skip


def loss_figures(
    folder: Path,
    hook_point: str,
    sae: SAE,
    mean: FloatArray,
    chunks: Sequence[TokenIds],
    batch: int = 16,
) -> dict[str, float]:
    """Returns how much of the LM's loss is kept when an SAE's output takes its input's place.

    ``loss_recovered`` is (L_mean − L_sae) / (L_mean − L), where L_mean is the loss with every
    token's activation replaced by the mean. <s> keeps its own. Only chunks of full length count.

    Args:
        folder: the LM.
        hook_point: where the SAE reads, a block's output.
        sae: the SAE.
        mean: (H,) mean activation.
        chunks: held-out chunks.
        batch: chunks of one forward pass.
    """
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.eval()
    point = find_hook_point(model.model, hook_point)
    longest = max(len(chunk) for chunk in chunks)
    blocks = np.stack([chunk for chunk in chunks if len(chunk) == longest]).astype(np.int64)
    average = torch.from_numpy(mean)
    changes: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "loss": lambda states: states,
        "loss_with_sae": lambda states: reconstructed(sae, states),
        "loss_with_mean": lambda states: average.expand_as(states),
    }
    losses: dict[str, float] = {}
    for name, change in changes.items():
        total = 0.0
        with torch.inference_mode(), replacing(model.model, point, change):
            for start in range(0, len(blocks), batch):
                total += float(
                    negative_log_likelihood(model, blocks[start : start + batch], "cpu").sum()
                )
        losses[name] = total / blocks.size
    recovered = (losses["loss_with_mean"] - losses["loss_with_sae"]) / (
        losses["loss_with_mean"] - losses["loss"]
    )
    figures = {**losses, "loss_recovered": recovered}
    return {name: round(value, 4) for name, value in figures.items()}


@contextmanager
def replacing(
    model: torch.nn.Module, point: HookPoint, change: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[None]:
    """Replaces what comes out of a module by ``change`` of it, from the second position on."""
    import torch

    def replaced(_module: torch.nn.Module, _inputs: tuple[object, ...], output: Passing) -> Passing:
        states = output if isinstance(output, torch.Tensor) else output[0]
        rest = states[:, 1:]
        changed = change(rest.flatten(0, 1)).view_as(rest)
        whole = torch.cat([states[:, :1], changed], dim=1)
        return whole if isinstance(output, torch.Tensor) else (whole, *output[1:])

    handle = model.get_submodule(point.module).register_forward_hook(replaced)
    try:
        yield
    finally:
        handle.remove()


def training_corpus(data: Path, work: Path) -> Corpus:
    """Returns the documents that the LM was trained on."""
    dropped = set(json.loads((work / "overlap.json").read_text())["dropped"])
    kept = [
        (document["id"], document["text"])
        for document in read_documents(data / "lm_text")
        if document["id"] not in dropped and not held_out(document["id"])
    ]
    ids, texts = zip(*kept, strict=True)
    return Corpus("lm_text, training documents", ids, texts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mtmbench.embedded.training.tinylm_saes")
    parser.add_argument("--data", type=Path, required=True, help="folder of corpora")
    parser.add_argument("--work", type=Path, required=True, help="scratch folder of the LM")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the SAE into")
    parser.add_argument("--model", type=Path, default=TINYLM_MODEL)
    parser.add_argument("--hook-point", default="blocks.2.hook_resid_post")
    parser.add_argument("--window", type=int, default=1)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=2_000_000)
    parser.add_argument("--held-out", type=int, default=250_000, help="held-out tokens")
    parser.add_argument("--reference-tokens", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
