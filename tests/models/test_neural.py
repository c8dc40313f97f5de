"""What neural models share: sparse products, parts of a step, the start, early stopping."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import random as random_sparse
from support.planted import counts_to_views, plant_lda, plant_metm, random_encoder

from mtmbench.models import neural
from mtmbench.models.etm import ETM, _EmbeddedTopics
from mtmbench.models.metm import METM, _FiringTopics
from mtmbench.models.neural import (
    CountBatch,
    Encoder,
    Split,
    Training,
    add_gradients,
    held_out_bound,
    hold_out,
    logistic_normal_kl,
    maximise_bound,
    product,
    reproducible,
)

pytestmark = pytest.mark.slow


def etm_of(views, n_topics, hidden=32):
    """Returns an untrained encoder and ETM's decoder for the words of ``views``."""
    n_items = len(views.words.item_ids)
    return Encoder(n_items, n_topics, hidden, 0.0), _EmbeddedTopics(
        n_topics, n_items, 12, trained=True
    )


def gradients(*modules):
    return [p.grad.clone() for module in modules for p in module.parameters()]


def test_kl_is_that_of_normal_distributions():
    mean = torch.tensor([[0.3, -1.2, 0.0], [2.0, 0.1, -0.4]])
    log_variance = torch.tensor([[0.2, -0.7, 0.0], [1.1, 0.0, -2.0]])
    given = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    unit = torch.distributions.Normal(torch.zeros(2, 3), torch.ones(2, 3))
    expected = torch.distributions.kl_divergence(given, unit).sum(dim=1)
    torch.testing.assert_close(logistic_normal_kl(mean, log_variance), expected)


def test_the_encoder_is_a_dense_network_on_normalised_counts():
    with reproducible(0):
        encoder = Encoder(5, 3, hidden=4, dropout=0.0).eval()
    counts = np.array([[2, 0, 1, 0, 1], [0, 3, 0, 0, 0]])
    given = counts_to_views(counts, counts.sum(axis=1)).words
    mean, log_variance = encoder(CountBatch.of(given.matrix.tocsr(), given.n_tokens))
    shares = torch.from_numpy(counts / counts.sum(axis=1, keepdims=True))
    hidden = torch.relu(encoder.hidden(torch.relu(shares @ encoder.items + encoder.bias)))
    torch.testing.assert_close(mean, encoder.mean(hidden))
    torch.testing.assert_close(log_variance, encoder.log_variance(hidden))


@pytest.mark.parametrize("density", [0.05, 0.6], ids=["sparse", "dense"])
def test_a_product_and_its_gradient_are_those_of_dense_matrices(density):
    matrix = random_sparse(30, 50, density, format="csr", random_state=0)
    rng = np.random.default_rng(0)
    given = torch.from_numpy(rng.normal(size=(50, 4))).requires_grad_()
    weights = torch.from_numpy(rng.normal(size=(30, 4)))
    (product(matrix, given) * weights).sum().backward()
    dense = torch.from_numpy(matrix.toarray())
    torch.testing.assert_close(product(matrix, given), dense @ given)
    torch.testing.assert_close(given.grad, dense.T @ weights)


def test_etms_likelihood_and_gradients_are_those_over_all_words():
    counts = plant_lda(0, n_docs=20, n_items=30, n_topics=3).views.words
    rng = np.random.default_rng(0)
    with reproducible(0):
        theta = torch.from_numpy(rng.dirichlet(np.ones(3), 20)).requires_grad_()
        topics = torch.from_numpy(rng.dirichlet(np.ones(30), 3)).requires_grad_()
        decoder = _EmbeddedTopics(3, 30, 4, trained=True)
        batch = CountBatch.of(counts.matrix, counts.n_tokens)
        found = decoder.log_likelihood(theta, batch, topics)
        dense = torch.from_numpy(counts.matrix.toarray().astype(float))
        expected = (dense * (theta @ topics + 1e-6).log()).sum(dim=1)
        torch.testing.assert_close(found, expected)
        for one, other in zip(
            torch.autograd.grad(found.sum(), (theta, topics)),
            torch.autograd.grad(expected.sum(), (theta, topics)),
            strict=True,
        ):
            torch.testing.assert_close(one, other)


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
        for cells in (neural.PART_CELLS, 1):
            monkeypatch.setattr(neural, "PART_CELLS", cells)
            encoder.zero_grad()
            decoder.zero_grad()
            torch.manual_seed(1)
            sums = add_gradients(encoder, decoder, counts, np.arange(48))
            found.append((sums, gradients(encoder, decoder)))
        assert [len(part) for part in neural._parts(np.arange(50), counts)] == [16, 16, 16, 2]
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

    monkeypatch.setattr(neural, "held_out_bound", noted)
    monkeypatch.setattr(neural, "LEAST_DOCUMENTS", 100)
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
        assert info["epochs"] == info["best_epoch"] + neural.PATIENCE
    assert kept == max(seen)
    assert info["held_out"] == 12
    assert info["held_out_elbo"] == pytest.approx(max(seen) / 12, abs=1e-4)


def test_a_tenth_of_many_documents_is_held_out_and_none_of_few(monkeypatch):
    monkeypatch.setattr(neural, "LEAST_DOCUMENTS", 1000)
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


def test_documents_held_out_get_topics_and_those_without_items_none(monkeypatch):
    monkeypatch.setattr(neural, "LEAST_DOCUMENTS", 100)
    views = plant_lda(0, n_docs=101, n_items=60, n_topics=3, doc_length=20).views
    matrix = views.words.matrix.toarray()
    matrix[7] = 0
    result = ETM(n_topics=3, hidden=16, embedding_size=8, epochs=2).fit(
        counts_to_views(matrix, matrix.sum(axis=1)), seed=0
    )
    assert result.info["held_out"] == 10
    np.testing.assert_allclose(result.doc_topic.sum(axis=1), np.arange(101) != 7, atol=1e-5)


def test_the_encoder_starts_at_the_topics():
    """Before any step, documents of one known topic each have it as their largest share."""
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(200, 0.1), 5)
    truth = rng.integers(5, size=100)
    matrix = np.array([rng.multinomial(60, topics[k]) for k in truth])
    counts = counts_to_views(matrix, matrix.sum(axis=1)).words
    with reproducible(0):
        encoder, decoder = Encoder(200, 5, 32, 0.0), _EmbeddedTopics(5, 200, 12, trained=True)
        logits = np.log(topics + 1e-4)
        decoder.start_at(np.ascontiguousarray((logits - logits.mean(axis=1, keepdims=True)).T))
        batch = CountBatch.of(counts.matrix, counts.n_tokens)
        before = held_out_bound(encoder, decoder, counts, np.arange(100))
        encoder.start_at(decoder, batch)
        after = held_out_bound(encoder, decoder, counts, np.arange(100))
        found = encoder.expect(batch).argmax(dim=1).detach().numpy()
    assert after > before + 1000
    assert (found == truth).mean() >= 0.98


def test_an_encoders_scale_is_chosen_on_documents_of_every_label(monkeypatch):
    """Documents sorted by label, of which no part holds two and each label has its own items."""
    monkeypatch.setattr(neural, "MOST_HELD_OUT", 40)
    monkeypatch.setattr(neural, "PART_CELLS", 64 * 48)
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
