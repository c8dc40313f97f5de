"""The small causal LM as it ships: transformers loads it, its figures are its own."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mtmbench as mb
from mtmbench.embedded.training.lm_text import held_out, read_documents
from mtmbench.embedded.training.tinylm import LMPlan, negative_log_likelihood
from mtmbench.features.sae.shipped import TINYLM_MODEL, TinyLMFeatures

pytestmark = pytest.mark.slow

TRAINING = json.loads((TINYLM_MODEL / "training.json").read_text())


@pytest.fixture(scope="module")
def model() -> Any:
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    return AutoModelForCausalLM.from_pretrained(TINYLM_MODEL, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(TINYLM_MODEL)


def loss(model: Any, ids: list[int]) -> float:
    with torch.inference_mode():
        return float(negative_log_likelihood(model, np.array([ids]), "cpu").mean())


def test_it_is_the_model_that_its_plan_says(model: Any, tokenizer: Any) -> None:
    plan = LMPlan(**TRAINING["plan"])
    assert model.config.model_type == "llama"
    assert model.config.num_hidden_layers == plan.layers
    assert model.config.hidden_size == plan.width
    assert model.config.tie_word_embeddings
    assert len(tokenizer) == model.config.vocab_size == plan.vocabulary
    assert tokenizer("a river")["input_ids"][0] == tokenizer.bos_token_id == 0
    assert json.loads((TINYLM_MODEL / "config.json").read_text())["dtype"] == "float16"


def test_it_prefers_text_to_the_same_words_shuffled(model: Any, tokenizer: Any) -> None:
    text = (
        "The president of the United States lives in the White House, which was built near the "
        "end of the eighteenth century and is the place of work of many people."
    )
    words = text.split()
    random.Random(0).shuffle(words)
    plain, shuffled = (
        loss(model, tokenizer(t, add_special_tokens=False)["input_ids"])
        for t in (text, " ".join(words))
    )
    assert plain < shuffled - 0.5


def test_the_card_says_what_the_training_left() -> None:
    card = (TINYLM_MODEL / "CARD.md").read_text(encoding="utf-8")
    figures = TRAINING["held_out"]
    assert f"perplexity {figures['perplexity']:.1f} per token" in card
    assert f"{figures['bits_per_byte']:.3f} bits per byte" in card
    log = (TINYLM_MODEL / "log.csv").read_text().splitlines()
    assert int(log[-1].split(",")[0]) == LMPlan(**TRAINING["plan"]).steps


def test_held_out_documents_have_the_perplexity_that_it_states(
    shared_data: Path, model: Any, tokenizer: Any
) -> None:
    context = LMPlan(**TRAINING["plan"]).context
    texts = [d["text"] for d in read_documents(shared_data / "lm_text") if held_out(d["id"])]
    sampled = random.Random(0).sample(texts, 60)
    total, n_tokens = 0.0, 0
    for ids in tokenizer(sampled, add_special_tokens=False)["input_ids"]:
        block = ids[:context]
        total += loss(model, block) * len(block)
        n_tokens += len(block)
    # Sixty beginnings of documents: near the figure over all tokens, not equal to it.
    assert np.log(TRAINING["held_out"]["perplexity"]) == pytest.approx(total / n_tokens, abs=0.25)


def test_its_features_are_counted_under_both_settings() -> None:
    corpus = mb.load_corpus("lee", max_documents=30)
    source = TinyLMFeatures()
    assert source.settings() == ["default", "paper"]
    assert {facts["layer"] for facts in source.saes().values()} >= {1, 2}
    for setting in source.settings():
        counts = source.counts(corpus, setting=setting, max_tokens=128)
        assert counts.source["backbone"] == "mtmbench/tinylm"
        assert counts.n_tokens.max() == 128
        assert (counts.matrix.sum(axis=1) > 0).all()
        assert counts.directions is not None
        assert counts.directions.shape[1] == 256
