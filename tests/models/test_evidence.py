"""The loop that maximises the bound: parts of a step, early stopping, what is held out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.planted import counts_to_views, plant_lda, plant_metm, random_encoder

from mtmbench.models import count_batches, evidence
from mtmbench.models.amortised import Encoder
from mtmbench.models.etm import _EmbeddedTopics
from mtmbench.models.evidence import (
    Split,
    Training,
    add_gradients,
    held_out_bound,
    hold_out,
    maximise_bound,
)
from mtmbench.models.metm import _FiringTopics
from mtmbench.models.reproducible import reproducible

pytestmark = pytest.mark.slow


def etm_of(views, n_topics, hidden=32):
    """Returns an untrained encoder and ETM's decoder for the words of ``views``."""
    n_items = len(views.words.item_ids)
    return Encoder(n_items, n_topics, hidden, 0.0), _EmbeddedTopics(
        n_topics, n_items, 12, trained=True
    )


def gradients(*modules):
    return [p.grad.clone() for module in modules for p in module.parameters()]


@pytest.mark.parametrize("model", ["etm", "metm"])
def test_parts_of_a_step_add_up_to_the_whole(model, monkeypatch):
    with reproducible(0):
        if model == "etm":
            counts = (views := plant_lda(0, n_docs=50, n_items=40, n_topics=4).views).words
            encoder, decoder = etm_of(views, 4)
        else:
            sae = random_encoder(0, 8, 40)
            counts = plant_metm(0, sae, n_docs=50, n_topics=4).views.features
            encoder, decoder = Encoder(40, 4, 32, 0.0), _FiringTopics(4, sae)
        found = []
        for cells in (count_batches.PART_CELLS, 1):
            monkeypatch.setattr(count_batches, "PART_CELLS", cells)
            encoder.zero_grad()
            decoder.zero_grad()
            torch.manual_seed(1)
            sums = add_gradients(encoder, decoder, counts, np.arange(48))
            found.append((sums, gradients(encoder, decoder)))
        assert [len(part) for part in count_batches.row_parts(np.arange(50), counts)] == [
            16,
            16,
            16,
            2,
        ]
        (whole, expected), (in_parts, added) = found
        assert in_parts == pytest.approx(whole)
        for one, other in zip(added, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("stops", "rate"), [(True, 0.2), (False, 0.001)])
def test_the_best_held_out_state_is_kept(stops, rate, monkeypatch):
    views = plant_lda(0, n_docs=120, n_items=60, n_topics=3, doc_length=20).views
    counts, seen = views.words, []

    def noted(*given):
        seen.append(held_out_bound(*given))
        return seen[-1]

    monkeypatch.setattr(evidence, "held_out_bound", noted)
    monkeypatch.setattr(evidence, "LEAST_DOCUMENTS", 100)
    with reproducible(0):
        split = hold_out(counts, seed=0)
        encoder, decoder = etm_of(views, 3)
        training = Training(epochs=30, learning_rate=rate)
        info = maximise_bound(encoder, decoder, counts, training, split)
        kept = held_out_bound(encoder, decoder, counts, split.held)
    assert len(seen) == info["epochs"]
    assert info["stopped"] == (info["epochs"] < 30) == stops
    assert info["best_epoch"] == int(np.argmax(seen)) + 1
    if stops:
        assert info["epochs"] == info["best_epoch"] + evidence.PATIENCE
    assert kept == max(seen)
    assert info["held_out"] == 12
    assert info["held_out_elbo"] == pytest.approx(max(seen) / 12, abs=1e-4)


def test_a_tenth_of_many_documents_is_held_out_and_none_of_few(monkeypatch):
    monkeypatch.setattr(evidence, "LEAST_DOCUMENTS", 1000)
    matrix = np.ones((1100, 2), dtype=int)
    matrix[::11] = 0
    counts = counts_to_views(matrix, matrix.sum(axis=1)).words
    split = hold_out(counts, seed=3)
    assert len(split.held) == 100
    used = np.flatnonzero(matrix.sum(axis=1))
    np.testing.assert_array_equal(np.sort(np.append(split.train, split.held)), used)
    np.testing.assert_array_equal(split.held, hold_out(counts, seed=3).held)
    assert set(split.held) != set(hold_out(counts, seed=4).held)
    few = counts.select_docs(np.arange(300))
    assert len(hold_out(few, seed=3).held) == 0


@pytest.mark.parametrize(
    ("n_docs", "training", "stops", "expected"),
    [
        (1, Training(), False, (200, 1)),
        (300, Training(), False, (67, 100)),
        (300, Training(least_steps=42), False, (14, 100)),
        (1800, Training(least_steps=42), True, (20, 180)),
        (50000, Training(), True, (20, 1000)),
        (300, Training(epochs=3, batch_size=50), True, (3, 50)),
    ],
)
def test_the_schedule_makes_enough_steps(n_docs, training, stops, expected):
    assert training.schedule(n_docs, stops=stops) == expected


def test_a_split_is_all_that_is_trained_on():
    views = plant_lda(2, n_docs=40, n_items=30, n_topics=3).views
    changed = views.words.matrix.toarray()
    changed[30:] = 1
    states = []
    for counts in (views.words, counts_to_views(changed, views.words.n_tokens).words):
        with reproducible(0):
            encoder, decoder = etm_of(views, 3)
            split = Split(np.arange(30), np.array([], dtype=np.int64))
            maximise_bound(encoder, decoder, counts, Training(epochs=2), split)
            states.append(decoder.topics().detach())
    assert torch.equal(*states)
