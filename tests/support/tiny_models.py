"""Randomly initialised small models of each family, as folders in the hub's own format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SIZES = {
    "vocab_size": 52, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3,
    "num_attention_heads": 2, "max_position_embeddings": 32, "bos_token_id": 50,
    "eos_token_id": 51, "pad_token_id": 51,
}  # fmt: skip


def make_config(family: str) -> Any:
    """Returns the configuration of a model of three blocks, width 16, 52 tokens."""
    import transformers

    if family == "gpt2":
        return transformers.GPT2Config(
            vocab_size=52, n_positions=32, n_embd=16, n_layer=3, n_head=2, bos_token_id=50,
            eos_token_id=51,
        )  # fmt: skip
    if family == "gpt_neox":
        return transformers.GPTNeoXConfig(**SIZES)
    if family == "bert":
        return transformers.BertConfig(**SIZES)
    config = {
        "gemma2": transformers.Gemma2Config,
        "llama": transformers.LlamaConfig,
        "qwen2": transformers.Qwen2Config,
    }[family]
    more = {"head_dim": 8} if family == "gemma2" else {}
    return config(**SIZES, num_key_value_heads=1, **more)


def write_model(family: str, folder: Path, seed: int = 0) -> Any:
    """Writes model and tokenizer to a folder; returns the model with its head."""
    import torch
    import transformers

    torch.manual_seed(seed)
    kind = transformers.AutoModelForMaskedLM if family == "bert" else (
        transformers.AutoModelForCausalLM
    )  # fmt: skip
    model = kind.from_config(make_config(family)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))  # so that norms and biases matter
    model.save_pretrained(folder)
    make_tokenizer(family).save_pretrained(folder)
    return model


def make_tokenizer(family: str) -> Any:
    """Returns a word-level tokenizer: w0 … w49, and the family's specials."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    first, last = ("[CLS]", "[SEP]") if family == "bert" else ("<s>", "</s>")
    words = {f"w{i}": i for i in range(50)} | {first: 50, last: 51}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if family == "bert":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 50), ("[SEP]", 51)]
        )
        named = {"cls_token": first, "sep_token": last}
    else:
        named = {"bos_token": first, "eos_token": last}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=last, unk_token="w0", **named
    )
