"""Randomly initialised small models of each family, as folders in the hub's own format."""

from __future__ import annotations

import json
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
    if family in _SEVERAL_TOWERS:
        text = make_config(f"{family}_text").to_dict()
        return transformers.CONFIG_MAPPING[family](
            text_config=text, vision_config=_SEVERAL_TOWERS[family], **_SPECIALS
        )
    more = _MORE.get(family, {})
    return transformers.CONFIG_MAPPING[family](**{**SIZES, "num_key_value_heads": 1, **more})


_SPECIALS = {name: SIZES[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
_EXPERTS = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2,
            "moe_intermediate_size": 8, "shared_expert_intermediate_size": 8}  # fmt: skip
_GATED_DELTA = {
    "head_dim": 8, "layer_types": ["linear_attention", "full_attention", "linear_attention"],
    "linear_num_key_heads": 1, "linear_num_value_heads": 2, "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}  # fmt: skip
_MORE: dict[str, dict[str, Any]] = {
    "gemma2": {"head_dim": 8},
    # Heads of another width than the stream's, as in Gemma 3.
    "gemma3_text": {"head_dim": 12, "sliding_window": 8},
    "gpt_oss": {**_EXPERTS, "head_dim": 8, "sliding_window": 8,
                "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}},
    "qwen3_moe": {**_EXPERTS, "head_dim": 8},
    "qwen3_5_text": _GATED_DELTA,
    "qwen3_5_moe_text": {**_GATED_DELTA, **_EXPERTS},
    "granite": {"residual_multiplier": 0.3},
    "mpt": {"d_model": 16, "n_heads": 2, "n_layers": 3, "max_seq_len": 32},
    # Its table of positions needs a row for the padding token.
    "xglm": {"d_model": 16, "attention_heads": 2, "num_layers": 3, "ffn_dim": 24,
             "max_position_embeddings": 64},
}  # fmt: skip
_SEVERAL_TOWERS: dict[str, dict[str, Any]] = {
    # As many layers as the language model, so that only their place tells the two apart.
    "gemma3": {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3,
               "num_attention_heads": 2, "image_size": 28, "patch_size": 14},
    "qwen3_5": {"depth": 3, "hidden_size": 16, "intermediate_size": 24, "num_heads": 2,
                "out_hidden_size": 16},
    "qwen3_5_moe": {"depth": 3, "hidden_size": 16, "intermediate_size": 24, "num_heads": 2,
                    "out_hidden_size": 16},
}  # fmt: skip


def write_model(family: str, folder: Path, seed: int = 0) -> Any:
    """Writes model and tokenizer to a folder; returns the model with its head."""
    import torch
    import transformers

    torch.manual_seed(seed)
    kind = {
        "bert": transformers.AutoModelForMaskedLM,
        **dict.fromkeys(_SEVERAL_TOWERS, transformers.AutoModelForImageTextToText),
    }.get(family, transformers.AutoModelForCausalLM)
    model = kind.from_config(make_config(family)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))  # so that norms and biases matter
    model.save_pretrained(folder)
    make_tokenizer(family).save_pretrained(folder)
    return model


def write_encoder(folder: Path, seed: int = 0) -> Any:
    """Writes a BERT as an encoder in sentence-transformers' format; returns the model.

    Its embedding is the mean of the token states of the last layer, 16 numbers.
    """
    model = write_model("bert", folder, seed)
    kinds = {"": "Transformer", "1_Pooling": "Pooling"}
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds.items())
    ]
    (folder / "1_Pooling").mkdir()
    written: dict[str, object] = {
        "modules.json": modules,
        "1_Pooling/config.json": {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True},
        "sentence_bert_config.json": {"max_seq_length": 32, "do_lower_case": False},
    }
    for name, content in written.items():
        (folder / name).write_text(json.dumps(content))
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
