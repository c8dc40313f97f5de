"""Trains the small causal LM that ships with the package: text, tokenizer, model, files.

Run as ``python -m mtmbench.embedded.training.tinylm --data DIR --work DIR --out DIR`` with the
folder of corpora (the training text is its ``lm_text``), a scratch folder and the folder to write,
here ``mtmbench/embedded/tinylm/model``. Killed, it goes on from its last checkpoint in the scratch
folder; what a step sees depends on its number alone.

A Llama with tied embeddings. Muon (Jordan et al. 2024, learning rate scaled to AdamW's updates as
in Liu et al. 2025) moves the matrices, AdamW embeddings and norms; both rates warm up, stay, and
fall linearly to zero. Each sequence is <s> and 255 tokens of the stream.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mtmbench.core.types import IntArray
from mtmbench.embedded.training.lm_text import (
    BOS,
    BOS_ID,
    EOS,
    EOS_ID,
    TokenArray,
    clean_overlap,
    held_out,
    read_documents,
    read_tokens,
    train_tokenizer,
    write_tokens,
)

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM

LOG_FIELDS = ("step", "tokens", "loss", "rate", "seconds")


@dataclass(frozen=True)
class LMPlan:
    """Shape and schedule of the model.

    Attributes:
        vocabulary: entries of the tokenizer.
        width: d, the residual stream's width.
        layers: blocks.
        heads: attention heads.
        inner: width of the MLP.
        context: tokens of a sequence, <s> included.
        tokens: tokens to train on.
        batch: tokens a step.
        micro_batch: sequences of one forward pass.
        matrix_rate: Muon's learning rate.
        rate: AdamW's learning rate, for embeddings and norms.
        weight_decay: of the matrices.
        warm_up, cool_down: shares of the steps at the start and at the end of the schedule.
        seed: of initial weights and order of the text.
    """

    vocabulary: int = 8192
    width: int = 256
    layers: int = 4
    heads: int = 4
    inner: int = 688
    context: int = 256
    tokens: int = 20_000_000
    batch: int = 4096
    micro_batch: int = 16
    matrix_rate: float = 4e-3
    rate: float = 4e-3
    weight_decay: float = 0.1
    warm_up: float = 0.03
    cool_down: float = 0.5
    seed: int = 0

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return -(-self.tokens // self.batch)

    def share_of_rate(self, step: int) -> float:
        """Returns what share of the learning rates ``step`` uses."""
        done = (step + 1) / self.steps
        return min(1.0, done / self.warm_up, (1 - step / self.steps) / self.cool_down)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the whole training from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    for field, default in asdict(LMPlan()).items():
        parser.add_argument(f"--{field.replace('_', '-')}", type=type(default), default=default)
    options = vars(parser.parse_args(arguments))
    data, work, out = options.pop("data"), options.pop("work"), options.pop("out")
    threads, device = options.pop("threads"), options.pop("device")
    plan = LMPlan(**options)
    work.mkdir(parents=True, exist_ok=True)
    prepare_text(data, work, plan)
    model = train_language_model(work, plan, threads=threads, device=device)
    export(model, work, out, plan)


def prepare_text(data: Path, work: Path, plan: LMPlan) -> None:
    """Writes overlap, tokenizer and token files into ``work``; what is there already is kept."""
    from tokenizers import Tokenizer

    text = data / "lm_text"
    overlap = clean_overlap(text, data, work / "overlap.json")
    file = work / "tokenizer.json"
    if not file.exists():
        dropped = set(overlap.dropped)
        texts = (
            document["text"]
            for document in read_documents(text)
            if document["id"] not in dropped and not held_out(document["id"])
        )
        train_tokenizer(texts, plan.vocabulary).save(str(file))
    if not (work / "held_out.json").exists():
        write_tokens(text, overlap, Tokenizer.from_file(str(file)), work)


def train_language_model(
    work: Path, plan: LMPlan, *, threads: int = 2, device: str = "cpu"
) -> torch.nn.Module:
    """Trains to the end of the plan, from the last checkpoint on; returns the model."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(plan.seed)
    model: torch.nn.Module = make_model(plan)
    model.to(device)
    optimisers = _optimisers(model, plan)
    checkpoint = work / "checkpoint.pt"
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        if state["plan"] != asdict(plan):
            raise SystemExit(f"{checkpoint} is of another plan: {state['plan']}")
        first = state["step"]
        model.load_state_dict(state["model"])
        for optimiser, held in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(held)
    stream = read_tokens(work / "train.bin")
    model.train()
    started = time.monotonic()
    losses: list[float] = []
    for step in range(first, plan.steps):
        share = plan.share_of_rate(step)
        for optimiser, rate in zip(optimisers, (plan.matrix_rate, plan.rate), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * share
        losses.append(_step(model, optimisers, list(sequences(stream, plan, step)), plan, device))
        last = step + 1 == plan.steps
        if (step + 1) % 25 == 0 or last:
            row = (
                step + 1, (step + 1) * plan.batch, round(float(np.mean(losses)), 4),
                round(share, 4), round(time.monotonic() - started),
            )  # fmt: skip
            _append(work / "log.csv", row)
            losses = []
        if (step + 1) % 100 == 0 or last:
            state = {
                "plan": asdict(plan),
                "step": step + 1,
                "model": model.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in optimisers],
            }
            torch.save(state, checkpoint.with_suffix(".partial"))
            checkpoint.with_suffix(".partial").replace(checkpoint)
    return model


def make_model(plan: LMPlan) -> LlamaForCausalLM:
    """Returns the untrained ``LlamaForCausalLM``; its blocks begin as the identity."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=plan.vocabulary,
        hidden_size=plan.width,
        intermediate_size=plan.inner,
        num_hidden_layers=plan.layers,
        num_attention_heads=plan.heads,
        num_key_value_heads=plan.heads,
        max_position_embeddings=plan.context,
        tie_word_embeddings=True,
        bos_token_id=BOS_ID,
        eos_token_id=EOS_ID,
        attention_bias=False,
    )
    model = LlamaForCausalLM(config)
    for block in model.model.layers:
        torch.nn.init.zeros_(block.self_attn.o_proj.weight)
        torch.nn.init.zeros_(block.mlp.down_proj.weight)
    return model


def sequences(stream: TokenArray, plan: LMPlan, step: int) -> Iterator[IntArray]:
    """Yields the (B, context) blocks of stream tokens that a step predicts.

    Blocks are visited in a random order, another one in every epoch.
    """
    n_blocks = len(stream) // plan.context
    per_step = plan.batch // plan.context
    wanted = np.arange(step * per_step, (step + 1) * per_step)
    blocks = np.array(
        [_order(n_blocks, plan.seed, i // n_blocks)[i % n_blocks] for i in wanted.tolist()]
    )
    rows = blocks[:, None] * plan.context + np.arange(plan.context)
    found = np.asarray(stream[rows], dtype=np.int64)
    for start in range(0, per_step, plan.micro_batch):
        yield found[start : start + plan.micro_batch]


def negative_log_likelihood(model: torch.nn.Module, blocks: IntArray, device: str) -> torch.Tensor:
    """Returns −log p of every token (B, n) given <s> and those before it, in nats."""
    import torch
    from torch.nn import functional

    targets = torch.from_numpy(blocks).to(device)
    inputs = torch.cat([torch.full_like(targets[:, :1], BOS_ID), targets[:, :-1]], dim=1)
    logits = model(input_ids=inputs).logits.float()
    return functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), reduction="none"
    ).view_as(targets)


def held_out_loss(
    model: torch.nn.Module, work: Path, plan: LMPlan, device: str = "cpu"
) -> dict[str, float]:
    """Returns perplexity per token and bits per byte on all held-out documents.

    Each document is cut into blocks of ``context`` tokens of its own, each predicted from <s>;
    its </s> counts as a token.
    """
    import torch

    stream = read_tokens(work / "held_out.bin")
    ends = np.flatnonzero(stream == EOS_ID) + 1
    blocks: dict[int, list[IntArray]] = {}
    for first, end in zip([0, *ends[:-1]], ends, strict=True):
        for start in range(first, end, plan.context):
            block = np.asarray(stream[start : min(start + plan.context, end)], dtype=np.int64)
            blocks.setdefault(len(block), []).append(block)
    total = 0.0
    model.eval()
    with torch.inference_mode():
        for group in blocks.values():
            for start in range(0, len(group), plan.micro_batch):
                batch = np.stack(group[start : start + plan.micro_batch])
                total += float(negative_log_likelihood(model, batch, device).sum())
    said = json.loads((work / "held_out.json").read_text())
    return {
        "perplexity": float(np.exp(total / len(stream))),
        "bits_per_byte": total / np.log(2) / said["bytes"],
        "tokens": len(stream),
        "documents": said["documents"],
    }


def export(model: Any, work: Path, out: Path, plan: LMPlan) -> None:
    """Writes model (fp16) and tokenizer in transformers' format, the log, and ``training.json``."""
    import torch
    from transformers import PreTrainedTokenizerFast

    model = model.to("cpu").to(torch.float16)
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_file=str(work / "tokenizer.json"), bos_token=BOS, eos_token=EOS, pad_token=EOS
    )
    tokenizer.save_pretrained(out)
    (out / "log.csv").write_text((work / "log.csv").read_text())
    figures = held_out_loss(model.float(), work, plan)
    overlap = json.loads((work / "overlap.json").read_text())
    (out / "training.json").write_text(
        json.dumps(
            {
                "plan": asdict(plan),
                "train_stream_tokens": len(read_tokens(work / "train.bin")),
                "held_out": figures,
                "documents": overlap["n_documents"],
                "dropped_for_overlap": len(overlap["dropped"]),
                "overlap_by_corpus": overlap["by_corpus"],
            },
            indent=1,
        )
        + "\n"
    )
    print(json.dumps(figures))


def _optimisers(model: torch.nn.Module, plan: LMPlan) -> list[torch.optim.Optimizer]:
    import torch

    from mtmbench.embedded.training.muon import Muon

    matrices: list[torch.Tensor] = []
    others: list[torch.Tensor] = []
    for name, parameter in model.named_parameters():
        inside = parameter.ndim == 2 and "embed" not in name and "lm_head" not in name
        (matrices if inside else others).append(parameter)
    return [
        Muon(matrices, lr=plan.matrix_rate, weight_decay=plan.weight_decay),
        torch.optim.AdamW(others, lr=plan.rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _step(
    model: torch.nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
    batches: Sequence[IntArray],
    plan: LMPlan,
    device: str,
) -> float:
    import torch

    total = 0.0
    for batch in batches:
        loss = negative_log_likelihood(model, batch, device).sum() / plan.batch
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimiser in optimisers:
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return total


_ORDERS: dict[tuple[int, int, int], IntArray] = {}


def _order(n_blocks: int, seed: int, epoch: int) -> IntArray:
    key = n_blocks, seed, epoch
    if key not in _ORDERS:
        _ORDERS[key] = np.random.default_rng([seed, epoch]).permutation(n_blocks)
    return _ORDERS[key]


def _append(file: Path, row: Sequence[object]) -> None:
    new = not file.exists()
    with file.open("a", newline="") as target:
        writer = csv.writer(target)
        if new:
            writer.writerow(LOG_FIELDS)
        writer.writerow(row)


if __name__ == "__main__":
    main()
