"""Sentence embeddings against sentence-transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mtmbench.core.errors import UnknownNameError
from mtmbench.features.embeddings import embed_texts
from mtmbench.features.sae.minilm import (
    EMBEDDING_GRID,
    MiniLM,
    _pooled,
    minilm_backbone,
    minilm_source,
)
from mtmbench.features.sae.token_batches import cut

TEXTS = [
    "The goalie made forty saves.", "No.", "", "Photosynthesis turns light into sugar. " * 60,
    "  Élan, naïve café — 東京 \n\t tabs ", "The goalie made forty saves.",
]  # fmt: skip


@pytest.mark.slow
def test_equal_to_sentence_transformers() -> None:
    from sentence_transformers import SentenceTransformer

    peer = SentenceTransformer(str(minilm_source()), device="cpu")
    expected = peer.encode(TEXTS, normalize_embeddings=True)
    found = embed_texts(TEXTS)
    assert found.shape == (6, 384)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(found[0], found[5])


def test_a_text_has_the_same_bits_in_any_batch_on_a_grid() -> None:
    longer = [f"{'Rain fell on the hills again. ' * n}" for n in range(1, 9)]
    together = embed_texts([*TEXTS, *longer], cache=False)
    alone = np.concatenate([embed_texts([text], cache=False) for text in [*TEXTS, *longer]])
    np.testing.assert_array_equal(together, alone)
    steps = together.astype(np.float64) / EMBEDDING_GRID
    np.testing.assert_array_equal(steps, np.round(steps))


def refuse(*_: object) -> None:
    raise AssertionError("the model was run")


def test_a_text_is_embedded_once(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    alone = embed_texts(TEXTS[:1])
    before = embed_texts(TEXTS[:3], cache=False)
    np.testing.assert_array_equal(embed_texts(TEXTS[:3]), before)
    np.testing.assert_array_equal(alone, before[:1])
    assert [path.suffix for path in (own_cache / "embeddings").glob("*.sqlite")] == [".sqlite"]
    monkeypatch.setattr(MiniLM, "_make", refuse)
    np.testing.assert_array_equal(embed_texts([TEXTS[2], TEXTS[0]]), before[[2, 0]])
    # The tokeniser knows no case.
    np.testing.assert_array_equal(embed_texts([TEXTS[0].upper()]), before[:1])
    with pytest.raises(AssertionError, match="the model was run"):
        embed_texts(TEXTS[:2], cache=False)


@pytest.mark.parametrize("chunk_tokens", [254, 100])
def test_one_pass_serves_features_and_embeddings(
    monkeypatch: pytest.MonkeyPatch, chunk_tokens: int
) -> None:
    """Whole texts of up to a chunk, and the beginning of longer ones, bit for bit."""
    texts = [*TEXTS, *(f"{'Rain fell on the hills again. ' * n}" for n in (1, 30, 90, 200))]
    expected = embed_texts(texts, cache=False)
    backbone = minilm_backbone("float64")
    # The empty text has no chunk.
    expected[TEXTS.index("")] = embed_texts([""])[0]
    chunks = [chunk for ids in backbone.tokenise(texts) for chunk in cut(ids[:512], chunk_tokens)]
    last = "blocks.5.hook_resid_post"
    assert list(backbone.activations(chunks, [last]))
    asked: list[int] = []
    make = MiniLM._make
    monkeypatch.setattr(
        MiniLM, "_make",
        lambda self, keys, chunks: asked.append(len(chunks)) or make(self, keys, chunks),
    )  # fmt: skip
    np.testing.assert_array_equal(embed_texts(texts), expected)
    longer = {tuple(ids[:254]) for ids in backbone.tokenise(texts) if len(ids) > chunk_tokens}
    assert asked == ([] if chunk_tokens == 254 else [len(longer)])


def test_other_layers_and_precisions_leave_no_embedding(own_cache: Path) -> None:
    for dtype, layer in (("float64", 4), ("float32", 5)):
        backbone = minilm_backbone(dtype)
        point = f"blocks.{layer}.hook_resid_post"
        assert list(backbone.activations(backbone.tokenise(TEXTS[:1]), [point]))
    assert not list((own_cache / "embeddings").glob("*.sqlite"))


def test_no_texts_and_unknown_models() -> None:
    assert embed_texts([]).shape == (0, 384)
    with pytest.raises(UnknownNameError, match="did you mean 'minilm'"):
        embed_texts(["a"], model="minilmm")


def test_progress_counts_distinct_texts() -> None:
    seen: list[tuple[int, int]] = []
    embed_texts(TEXTS, cache=False, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (5, 5)


def test_texts_end_to_end_have_the_states_of_the_model_itself() -> None:
    """Against transformers' own pass over padded rows; lengths from none to the most, and twice."""
    backbone = minilm_backbone("float64")
    tokens = backbone.tokenise([*TEXTS[:5], *(f"{'Rain fell again. ' * n}" for n in (3, 9, 9, 80))])
    chunks = [ids[:254] for ids in tokens]
    ids, mask = backbone.padded(chunks)
    with torch.inference_mode():
        expected = backbone.model(input_ids=ids, attention_mask=mask).last_hidden_state
    states, own_mask = backbone._states(chunks)
    assert torch.equal(mask, own_mask)
    real = mask.bool()
    torch.testing.assert_close(states[real], expected[real], atol=1e-12, rtol=0)
    assert not states[~real].any()
    np.testing.assert_array_equal(_pooled(states, mask), _pooled(expected, mask))
