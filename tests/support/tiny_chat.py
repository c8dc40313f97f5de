"""Small chat models for tests: Llamas with a byte-level tokenizer and a chat template."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SPECIALS = ("<|im_start|>", "<|im_end|>", "<s>", "</s>", "<pad>", "[INST]", "[/INST]")
THINK = "<think>"
"""An added token that is not special, but that the template speaks by."""

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] | trim }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking %}<think>\n{% endif %}{% endif %}"
)


def make_tokenizer(template: str | None = TEMPLATE, *replies: str) -> Any:
    """Returns a byte-level tokenizer; each of ``replies`` is one token."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=290, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    tokenizer.train_from_iterator(["the cat sat on the mat, user and assistant"] * 9, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="<|im_end|>", pad_token="<pad>"
    )
    fast.add_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIALS])
    fast.add_tokens([AddedToken(text, normalized=False) for text in (THINK, *replies)])
    fast.chat_template = template
    return fast


def write_chat_model(
    folder: Path,
    reply: str | None = None,
    *,
    template: str | None = TEMPLATE,
    seed: int = 0,
    positions: int = 4096,
    generation: Mapping[str, Any] | None = None,
) -> Any:
    """Writes a Llama of two blocks in the hub's own format; returns it.

    Args:
        folder: where to.
        reply: what it says to every conversation that ends in a line's end; None leaves its weights
            random, so that it says anything.
        template: its chat template.
        seed: of the weights.
        positions: tokens that it can read.
        generation: its ``generation_config.json``.
    """
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    tokenizer = make_tokenizer(template, *([] if reply is None else [reply]))
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=positions, tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        if reply is not None:
            _say(model, tokenizer, reply)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, **(generation or {})
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def _say(model: Any, tokenizer: Any, reply: str) -> None:
    """Makes every next token a function of the last: line's end, reply, end of turn."""
    for block in model.model.layers:
        block.self_attn.o_proj.weight.zero_()
        block.mlp.down_proj.weight.zero_()
    model.model.norm.weight.fill_(1.0)
    model.lm_head.weight.zero_()
    ends = tokenizer("\n", add_special_tokens=False)["input_ids"]
    chain = [*ends, tokenizer.convert_tokens_to_ids(reply), tokenizer.eos_token_id]
    embedded = model.model.embed_tokens.weight
    for token, following in itertools.pairwise(chain):
        model.lm_head.weight[following] = embedded[token] / embedded[token].norm()
