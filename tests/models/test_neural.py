"""What ETM and mETM share: topics of all documents, the encoder's start, one thread."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.planted import counts_to_views, plant_lda, plant_metm, random_encoder

from mtmbench.models import count_batches, evidence, neural
from mtmbench.models.amortised import Encoder
from mtmbench.models.etm import ETM
from mtmbench.models.metm import METM

pytestmark = pytest.mark.slow


def test_documents_held_out_get_topics_and_those_without_items_none(monkeypatch):
    monkeypatch.setattr(evidence, "LEAST_DOCUMENTS", 100)
    views = plant_lda(0, n_docs=101, n_items=60, n_topics=3, doc_length=20).views
    matrix = views.words.matrix.toarray()
    matrix[7] = 0
    result = ETM(n_topics=3, hidden=16, embedding_size=8, epochs=2).fit(
        counts_to_views(matrix, matrix.sum(axis=1)), seed=0
    )
    assert result.info["held_out"] == 10
    np.testing.assert_allclose(result.doc_topic.sum(axis=1), np.arange(101) != 7, atol=1e-5)


def test_an_encoders_scale_is_chosen_on_documents_of_every_label(monkeypatch):
    """Documents sorted by label, of which no part holds two and each label has its own items."""
    monkeypatch.setattr(neural, "MOST_HELD_OUT", 40)
    monkeypatch.setattr(count_batches, "PART_CELLS", 64 * 48)
    matrix = np.kron(np.eye(4, dtype=int), np.ones((100, 12), dtype=int))
    given = counts_to_views(
        matrix, np.full(400, 20), kind="features", encoder=random_encoder(0, 8, 48)
    )
    start_at, batches = Encoder.start_at, []

    def kept(encoder, decoder, batch):
        batches.append(batch)
        start_at(encoder, decoder, batch)

    monkeypatch.setattr(Encoder, "start_at", kept)
    for seed in (0, 0, 1):
        METM(n_topics=4, hidden=16, epochs=1).fit(given, seed=seed)
    drawn = [batch.matrix.toarray() for batch in batches]
    assert {len(rows) for rows in drawn} == {40}
    for rows in drawn:
        # A label without any of 40 draws would be one in 80,000.
        assert (rows.sum(axis=0) > 0).all()
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


@pytest.mark.parametrize("model", ["etm", "metm"])
def test_threads_of_the_caller_do_not_matter(model):
    fits = []
    if model == "etm":
        views, fresh = plant_lda(1, n_docs=150, n_items=300).views, ETM
    else:
        views, fresh = plant_metm(1, random_encoder(1, 16, 300), n_docs=150).views, METM
    threads = torch.get_num_threads()
    for n in (1, 2):
        torch.set_num_threads(n)
        try:
            fits.append(fresh(n_topics=10, hidden=64, epochs=3).fit(views, seed=0).revision)
        finally:
            torch.set_num_threads(threads)
    assert fits[0] == fits[1]
