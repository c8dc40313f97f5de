"""Sizes known from names, against published parameter counts and what lies in folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.types import Corpus
from mtmbench.engine.resources import BYTES_PER_FIRING, TOKENS_PER_WORD
from mtmbench.features.sae.activation_store import ActivationStore
from mtmbench.features.sae.hub import ModelFeatures
from mtmbench.features.sae.shapes import model_shape, sae_shape
from mtmbench.features.sae.shipped import TINYLM_MODEL, TINYLM_SAES, TinyLMFeatures


@pytest.mark.parametrize(
    ("name", "billions"),
    # As the Gemma 2 report has them (2.02 + 0.59 and 8.32 + 0.92); GPT-2's 124 million.
    [("google/gemma-2-2b", 2.61), ("google/gemma-2-9b", 9.24), ("gpt2", 0.124)],
)
def test_parameters_are_those_published(name: str, billions: float) -> None:
    shape = model_shape(name)
    assert shape is not None
    assert shape.parameters / 1e9 == pytest.approx(billions, rel=0.01)


def test_a_folder_says_its_size_itself() -> None:
    from safetensors import safe_open

    shape = model_shape(str(TINYLM_MODEL))
    assert shape is not None
    with safe_open(TINYLM_MODEL / "model.safetensors", "np") as file:
        held = sum(file.get_tensor(name).size for name in file.keys())  # noqa: SIM118
    assert shape.parameters == pytest.approx(held, rel=0.005)
    sae = sae_shape({"folder": str(TINYLM_SAES.path("block1"))})
    assert sae is not None
    assert (sae.features, sae.firings, sae.layer) == (4096, 32, 1)


def test_gemma_scopes_ids_say_width_and_firings() -> None:
    found = sae_shape({"release": "r", "id": "layer_10/width_16k/average_l0_113"})
    assert found is not None
    assert (found.features, found.firings, found.layer) == (16_384, 113, 10)
    assert sae_shape({"release": "gpt2-small-res-jb", "id": "blocks.8.hook_resid_pre"}) is None
    assert model_shape("nobody/knows") is None


def test_a_folder_that_is_to_be_built_is_said_to_be(tmp_path: Path) -> None:
    given = {"folder": str(tmp_path / "none"), "release": "r", "id": "layer_1/width_16k/x"}
    source = ModelFeatures("google/gemma-2-2b", {"resid": given})
    with pytest.raises(InputError, match=r"mtmbench features --backbone google/gemma-2-2b --rel"):
        source.folder("resid")
    outline = source.outline()
    assert outline.describe("default") != outline.describe("paper")
    with pytest.raises(UnknownNameError, match="feature setting 'papre'"):
        outline.describe("papre")


@pytest.mark.slow
def test_a_stored_firing_takes_no_more_than_a_plan_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTMBENCH_CACHE", str(tmp_path))
    words = json.loads((TINYLM_MODEL / "tokenizer.json").read_text())["model"]["vocab"]
    spelled = sorted(word[1:] for word in words if word[:1] == "Ġ" and word[1:].isalpha())
    texts = [" ".join(spelled[i::41] + spelled[i::37]) for i in range(30)]
    corpus = Corpus("t", tuple(map(str, range(30))), tuple(texts))
    tokens, store = TinyLMFeatures().filled_store(corpus)
    assert isinstance(store, ActivationStore)
    size = sum(path.stat().st_size for path in store.folder.glob("*.parquet"))
    firings = sum(len(store.read(i).features) for i in range(len(store.shards)))
    assert firings == 32 * tokens.n_tokens.sum()
    assert 0.5 * BYTES_PER_FIRING < size / firings < BYTES_PER_FIRING
    # Words that are tokens of their own are the fewest tokens that text can have.
    assert tokens.n_tokens.sum() <= TOKENS_PER_WORD * sum(len(text.split()) for text in texts)
