"""Sentence embeddings against sentence-transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtmbench.core.errors import UnknownNameError
from mtmbench.features import embeddings
from mtmbench.features.embeddings import EMBEDDING_GRID, embed_texts
from mtmbench.features.sae.minilm import minilm_source

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


def test_a_second_call_runs_no_model(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    first = embed_texts(TEXTS[:2])
    assert len(list((own_cache / "embeddings").glob("*.safetensors"))) == 1

    def refuse(*_: object) -> None:
        raise AssertionError("the model was run")

    monkeypatch.setattr(embeddings, "_pool", refuse)
    np.testing.assert_array_equal(embed_texts(TEXTS[:2]), first)
    with pytest.raises(AssertionError, match="the model was run"):
        embed_texts(TEXTS[:2], cache=False)


def test_no_texts_and_unknown_models() -> None:
    assert embed_texts([]).shape == (0, 384)
    with pytest.raises(UnknownNameError, match="did you mean 'minilm'"):
        embed_texts(["a"], model="minilmm")


def test_progress_counts_distinct_texts() -> None:
    seen: list[tuple[int, int]] = []
    embed_texts(TEXTS, cache=False, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (5, 5)
