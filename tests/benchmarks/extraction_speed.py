"""Extraction's speed as a share of its limit, and its memory, on one thread.

    python -P tests/benchmarks/extraction_speed.py [--tokens 12000]
    python -P tests/benchmarks/extraction_speed.py --gemma 2b|9b --device cuda --tokens 200000
    python -P tests/benchmarks/extraction_speed.py --gemma tiny

The limit is the bare forward pass up to the layer plus one dense product with the encoder, on the
same batches; the whole is everything from text to shards on disk: tokenising, forward pass,
encoding, sorting, writing. The three are timed in turn, several times, in CPU seconds (on a GPU in
seconds), and their medians compared: at least .90 of the limit is wanted. Models but MiniLM have
random weights, in the shape of GPT-2 small, or with ``--gemma`` of Gemma 2 (``tiny`` is for a CPU),
in bfloat16, read at the layer of the suites ``paper-2b`` and ``paper``. SAEs have random weights
and a bias or threshold that lets the stated number of features fire. Memory of a GPU is the most
that was allocated there, the weights of model and SAE among it; without one, what a process of its
own adds to its peak between loading a model of GPT-2's shape and the end of a shard, at width
65,536 and 8,192 tokens a batch.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import mtmbench as mb
from mtmbench.features.sae.activation_store import ActivationStore
from mtmbench.features.sae.extract import Cuts, Probe, extract_shard, tokenise_texts
from mtmbench.features.sae.hook_reading import reading
from mtmbench.features.sae.hooks import find_hook_point
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.features.sae.minilm import minilm_source
from mtmbench.features.sae.sae import SAE
from mtmbench.features.sae.token_batches import length_batches


@dataclass(frozen=True)
class Case:
    """A model, a place in it, and an SAE's shape."""

    name: str
    model: str
    hook_point: str
    width: int
    kind: str
    firing: int
    chunk_tokens: int
    batch_tokens: int = 4096


CASES = (
    Case("MiniLM, layer 6, TopK 16 of 2,048", "minilm", "blocks.5.hook_resid_post", 2048, "topk",
         16, 254),
    Case("GPT-2 small, block 8, ReLU ~60 of 24,576", "gpt2", "blocks.8.hook_resid_pre", 24_576,
         "standard", 60, 127),
    Case("GPT-2 small, block 8, TopK 32 of 24,576", "gpt2", "blocks.8.hook_resid_pre", 24_576,
         "topk", 32, 127),
)  # fmt: skip
GEMMA = {
    "tiny": Case("Gemma 2 of width 256, block 6, JumpReLU ~70 of 16,384", "tiny",
                 "blocks.6.hook_resid_post", 16_384, "jumprelu", 70, 255),
    "2b": Case("Gemma 2 2B, block 6, JumpReLU ~70 of 16,384", "2b", "blocks.6.hook_resid_post",
               16_384, "jumprelu", 70, 1023, 16_384),
    "9b": Case("Gemma 2 9B, block 10, JumpReLU ~77 of 16,384", "9b", "blocks.10.hook_resid_post",
               16_384, "jumprelu", 77, 1023, 16_384),
}  # fmt: skip
GEMMA_SHAPES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 8,
             "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
             "vocab_size": 8192, "max_position_embeddings": 512},
    "2b": {"hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
           "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
           "vocab_size": 256_000},
    "9b": {"hidden_size": 3584, "intermediate_size": 14_336, "num_hidden_layers": 42,
           "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 256,
           "vocab_size": 256_000},
}  # fmt: skip
MEMORY = Case("", "gpt2", "blocks.8.hook_resid_pre", 65_536, "topk", 32, 127, 8192)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--tokens", type=int, default=12_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--gemma", choices=sorted(GEMMA), help="this model alone")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print("share of the limit  forward  product  whole (ms a token)  tokens/s")
    for case in CASES if chosen.gemma is None else (GEMMA[chosen.gemma],):
        with tempfile.TemporaryDirectory() as scratch:
            runs = measure(case, chosen.tokens, chosen.repeats, chosen.device, Path(scratch))
        forward, product, whole = (statistics.median(found) for found in runs)
        each = "  ".join(f"{1000 * t:.4f}" for t in (forward, product, whole))
        share = (forward + product) / whole
        print(f"{share:.3f}  {each}  {1 / whole:,.0f}  {case.name}", flush=True)
    if chosen.device != "cpu":
        print(f"memory of the GPU: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB at most")
    elif chosen.gemma is None:
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            print(f"memory beyond the model: {pool.apply(memory):.0f} MiB at width 65,536")


def measure(
    case: Case, n_tokens: int, repeats: int, device: str, scratch: Path
) -> list[list[float]]:
    """Returns the seconds a token of forward pass, product and whole, each time they were run."""
    os.environ["MTMBENCH_CACHE"] = str(scratch / "cache")
    backbone = make_backbone(case, scratch, device)
    texts = some_texts(n_tokens, backbone)
    tokens = tokenise_texts(texts, backbone, None)
    sae = make_sae(case, backbone, texts[:3])
    cuts = Cuts(case.chunk_tokens, None, case.batch_tokens)
    clock = time.process_time if device == "cpu" else gpu_clock
    chunks = [
        ids[start : start + case.chunk_tokens]
        for ids in tokens.documents(0, len(texts))
        for start in range(0, len(ids), case.chunk_tokens)
    ]
    point = {case.hook_point: find_hook_point(backbone.model, case.hook_point)}
    batches = [
        [tensor.to(device) for tensor in backbone.padded([chunks[i] for i in rows])]
        for rows in length_batches([len(c) for c in chunks], case.batch_tokens, backbone.n_specials)
    ]
    weight = torch.from_numpy(sae.w_enc).to(device)
    states = torch.randn(case.batch_tokens, sae.n_inputs, device=device)
    total = int(tokens.n_tokens.sum())

    def forward() -> None:
        for ids, mask in batches:
            with torch.inference_mode(), reading(backbone.model, point):
                backbone.model(input_ids=ids, attention_mask=mask)

    def product() -> None:
        with torch.inference_mode():
            for start in range(0, total, case.batch_tokens):
                states[: min(case.batch_tokens, total - start)] @ weight

    def whole() -> None:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            os.environ["MTMBENCH_CACHE"] = folder
            read = tokenise_texts(texts, backbone, None)
            store = ActivationStore(Path(folder) / "s", {}, case.width, read.n_tokens)
            probe = Probe(sae, case.hook_point)
            for number, (first, last) in enumerate(store.shards):
                (shard,) = extract_shard(read, first, last, backbone, [probe], cuts)
                store.write(number, shard)

    parts: list[Callable[[], None]] = [forward, product, whole]
    seconds: list[list[float]] = [[], [], []]
    for part in parts:
        part()
    for _ in range(repeats):
        for part, found in zip(parts, seconds, strict=True):
            started = clock()
            part()
            found.append((clock() - started) / total)
    return seconds


def gpu_clock() -> float:
    """Returns seconds, once all that was asked of the GPU is done."""
    torch.cuda.synchronize()
    return time.perf_counter()


def memory() -> float:
    """Returns the MiB that a shard adds to this process's peak, the SAE's weights among them."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["MTMBENCH_CACHE"] = scratch
        backbone = make_backbone(MEMORY, Path(scratch), "cpu")
        texts = some_texts(20_000, backbone)
        tokens = tokenise_texts(texts, backbone, None)
        cuts = Cuts(MEMORY.chunk_tokens, None, MEMORY.batch_tokens)
        # The forward pass by itself belongs to the model.
        list(backbone.activations([tokens.documents(0, 1)[0][:100]], [MEMORY.hook_point]))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sae = make_sae(MEMORY, backbone, texts[:1])
        extract_shard(tokens, 0, len(texts), backbone, [Probe(sae, MEMORY.hook_point)], cuts)
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def make_backbone(case: Case, scratch: Path, device: str) -> HuggingFaceBackbone:
    """Returns MiniLM, or a model of random weights with a tokenizer trained on the texts."""
    if case.model == "minilm":
        return HuggingFaceBackbone(minilm_source(), max_chunk_tokens=254, device=device)
    import transformers

    folder = scratch / case.model
    shape = GEMMA_SHAPES.get(case.model)
    config: Any = transformers.GPT2Config() if shape is None else transformers.Gemma2Config(**shape)
    torch.manual_seed(0)
    dtype = "float32" if shape is None else "bfloat16"
    with torch.device(device):
        model = transformers.AutoModel.from_config(config, dtype=getattr(torch, dtype))
    model.save_pretrained(folder)
    del model  # what is measured is read from the folder, as a user's is
    tokenizer().save_pretrained(folder)
    return HuggingFaceBackbone(folder, device=device, dtype=dtype)


def tokenizer() -> Any:
    """Returns a byte-level BPE of 8,000 entries."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        mb.load_corpus("lee").texts, vocab_size=8000, special_tokens=["<s>"], show_progress=False
    )
    return PreTrainedTokenizerFast(tokenizer_object=trained._tokenizer, bos_token="<s>")


def some_texts(n_tokens: int, backbone: HuggingFaceBackbone) -> list[str]:
    """Returns documents of gensim's Lee corpus, again and again, of about so many tokens."""
    texts: list[str] = []
    seen = 0
    corpus = mb.load_corpus("lee").texts
    while seen < n_tokens:
        texts.append(corpus[len(texts) % len(corpus)])
        seen += len(backbone.tokenise(texts[-1:])[0])
    return texts


def make_sae(case: Case, backbone: HuggingFaceBackbone, texts: Sequence[str]) -> SAE:
    """Returns an SAE of random weights of which so many features fire on a token."""
    rng = np.random.default_rng(0)
    h = backbone.hidden_size
    w_enc = rng.standard_normal((h, case.width), np.float32) / np.float32(h**0.5)
    ids = [ids[: case.chunk_tokens] for ids in backbone.tokenise(texts)]
    (batch, *_) = backbone.activations(ids, [case.hook_point])
    pre = batch.values[case.hook_point][:200].cpu().numpy() @ w_enc
    limit = float(np.quantile(pre, 1 - case.firing / case.width))
    bias = np.full(case.width, 0.0 if case.kind == "jumprelu" else -limit, np.float32)
    if case.kind == "topk":
        bias[:] = 0
    return SAE(
        case.kind, w_enc, bias, np.ascontiguousarray(w_enc.T), np.zeros(h, np.float32), True,
        case.firing if case.kind == "topk" else None,
        np.full(case.width, limit, np.float32) if case.kind == "jumprelu" else None, {},
    )  # fmt: skip


if __name__ == "__main__":
    main()
