"""The small LM's SAEs: chunks, activations and figures against transformers alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mtmbench.embedded.training.activations import half_activations
from mtmbench.embedded.training.tinylm import LMPlan, make_model
from mtmbench.embedded.training.tinylm_saes import draw_chunks, loss_figures, replacing
from mtmbench.features.sae.hooks import find_hook_point
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.features.sae.sae import SAE

PLAN = LMPlan(vocabulary=300, width=32, layers=3, heads=2, inner=48, context=16)
POINT = "blocks.1.hook_resid_post"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    torch.set_num_threads(1)
    torch.manual_seed(0)
    out = tmp_path_factory.mktemp("lm")
    model = make_model(PLAN)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(out)
    words = {"<s>": 0, "</s>": 1, **{f"w{i}": i for i in range(2, 300)}}
    PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="w2")), bos_token="<s>",
        eos_token="</s>", pad_token="</s>",
    ).save_pretrained(out)  # fmt: skip
    return out


def some_chunks(seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(2, 300, n).astype(np.int32) for n in (15, 9, 15, 12, 15)]


def test_chunks_are_pieces_of_documents_each_drawn_once():
    rng = np.random.default_rng(1)
    documents = [rng.integers(2, 300, n) for n in (40, 3, 15, 23)]
    stream = np.concatenate([[*d, 1] for d in documents]).astype(np.uint16)
    wanted = sorted(
        tuple(d[i : i + 15]) for d in documents for i in range(0, len(d), 15) if len(d) - i >= 8
    )
    every = draw_chunks(stream, 10**6, 15, seed=0)
    assert sorted(map(tuple, every)) == wanted
    some = draw_chunks(stream, 31, 15, seed=0)
    assert [c.tolist() for c in some] == [c.tolist() for c in every[: len(some)]]
    assert sum(map(len, some)) >= 31 > sum(map(len, some[:-1]))
    assert [c.tolist() for c in draw_chunks(stream, 31, 15, seed=1)] != [c.tolist() for c in some]


def test_activations_are_the_models_own_hidden_states(folder: Path):
    from transformers import AutoModel

    chunks = some_chunks()
    found = half_activations(HuggingFaceBackbone(folder), chunks, [POINT])[POINT]
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    expected = []
    for chunk in chunks:
        ids = torch.tensor([[0, *chunk.tolist()]])
        with torch.inference_mode():
            states = model(input_ids=ids, output_hidden_states=True).hidden_states
        expected.append(states[2][0, 1:].numpy())
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=2e-3, atol=2e-3)


def test_losses_equal_those_of_forward_passes_by_hand(folder: Path):
    from transformers import AutoModelForCausalLM

    rng = np.random.default_rng(2)
    w_enc = rng.normal(size=(32, 64)).astype(np.float32)
    sae = SAE(
        "topk", w_enc, np.zeros(64, np.float32), w_enc.T * 0.1, np.full(32, 0.2, np.float32),
        subtract_b_dec=True, k=5, threshold=None, metadata={},
    )  # fmt: skip
    mean = rng.normal(size=32).astype(np.float32)
    chunks = some_chunks()
    figures = loss_figures(folder, POINT, sae, mean, chunks, batch=2)

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def rebuilt(states: torch.Tensor) -> torch.Tensor:
        pre = (states - 0.2) @ torch.from_numpy(w_enc)
        kept = torch.zeros_like(pre).scatter(2, pre.topk(5).indices, 1.0) * pre.relu()
        return kept @ torch.from_numpy(sae.w_dec) + 0.2

    def loss(change) -> float:
        def hook(_module, _inputs, output):
            states = output[0] if isinstance(output, tuple) else output
            states[:, 1:] = change(states[:, 1:])

        handle = model.model.layers[1].register_forward_hook(hook)
        parts = []
        for chunk in chunks:
            if len(chunk) == 15:
                ids = torch.tensor([[0, *chunk.tolist()]])
                with torch.no_grad():
                    parts.append(float(model(input_ids=ids, labels=ids).loss))
        handle.remove()
        return float(np.mean(parts))

    plain, spliced = loss(lambda s: s), loss(rebuilt)
    flat = loss(lambda s: torch.from_numpy(mean).expand_as(s))
    assert figures["loss"] == pytest.approx(plain, abs=1e-4)
    assert figures["loss_with_sae"] == pytest.approx(spliced, abs=1e-4)
    assert figures["loss_with_mean"] == pytest.approx(flat, abs=1e-4)
    assert figures["loss_recovered"] == pytest.approx((flat - spliced) / (flat - plain), abs=1e-3)


def test_replacing_leaves_the_first_position_and_ends_with_its_block(folder: Path):
    model = HuggingFaceBackbone(folder).model
    ids = torch.tensor([[0, 5, 6, 7]])
    with torch.inference_mode():
        before = model(input_ids=ids).last_hidden_state
        with replacing(model, find_hook_point(model, POINT), torch.zeros_like):
            during = model(input_ids=ids).last_hidden_state
        after = model(input_ids=ids).last_hidden_state
    torch.testing.assert_close(during[:, 0], before[:, 0])
    assert not torch.allclose(during[:, 1:], before[:, 1:])
    assert torch.equal(before, after)
