"""SAE-TM: planted topics, the words of atoms against a reference, merging without a refit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from sklearn.base import clone
from support.planted import counts_to_views, matched_cosine

from mtmbench.core.errors import InputError
from mtmbench.core.types import Views
from mtmbench.features.sae.sae import save_sae
from mtmbench.models import sae_tm
from mtmbench.models.embedding_sae import train_topk
from mtmbench.models.reproducible import reproducible
from mtmbench.models.sae_tm import SAETM, strongest, word_distributions, word_vectors
from mtmbench.testing import check_topic_model

pytestmark = pytest.mark.slow


def planted(n_docs=160, n_topics=4, n_items=60, seed=0, size=12):
    """Documents between two of 2 K directions, of which two each share a list of words."""
    rng = np.random.default_rng(seed)
    lists = np.arange(n_items) % n_topics == np.arange(n_topics)[:, None]
    topics = 0.9 * lists * n_topics / n_items + 0.1 / n_items
    own = np.arange(n_docs) % n_topics
    half = rng.integers(2, size=n_docs)
    vectors = np.eye(size)[own + n_topics * half] + rng.normal(scale=0.05, size=(n_docs, size))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    matrix = np.array([rng.multinomial(40, topics[k]) for k in own])
    views = counts_to_views(matrix, matrix.sum(axis=1))
    views = Views(views.corpus, words=views.words, embeddings=vectors.astype(np.float32))
    return views, topics, own


def small(**params) -> SAETM:
    return SAETM(
        **{"n_topics": 4, "n_atoms": 16, "active": 2, "learning_rate": 0.01, "epochs": 60, **params}
    )


def test_it_keeps_the_contract():
    check_topic_model(small(epochs=10))


@pytest.mark.parametrize("seed", range(3))
def test_planted_topics_are_recovered(seed):
    views, topics, own = planted(seed=seed)
    result = small().fit(views, seed=seed)
    assert matched_cosine(result.topic_item, topics).min() >= 0.95
    found = result.doc_topic.argmax(axis=1)
    assert len(set(zip(found, own, strict=True))) == len(set(found)) == 4


def test_another_k_takes_the_same_atoms_without_a_refit(monkeypatch):
    views, _, _ = planted()
    expected = {k: small(n_topics=k).fit(views, seed=3) for k in (2, 4, 7)}
    model = small(n_topics=5)
    model.fit(views, seed=3)
    atoms = model.atom_item_.copy(), model.sae_.revision
    for made in ("train_topk", "word_distributions"):
        monkeypatch.setattr(sae_tm, made, None)  # a call of either fails
    for k, result in expected.items():
        merged = model.merged(views, k)
        assert merged.revision == result.revision
        assert merged.params["n_topics"] == merged.n_topics == k
        # A topic is the mean of the words of its atoms, each by how much it is in the documents.
        member = model._member * model.atom_shares_[:, None]
        by_hand = (member / member.sum(axis=0)).T @ model.atom_item_
        np.testing.assert_allclose(merged.topic_item, by_hand, atol=1e-6)
        np.testing.assert_allclose(merged.doc_topic, model.transform(views))
    np.testing.assert_array_equal(model.atom_item_, atoms[0])
    assert model.sae_.revision == atoms[1]


def test_the_same_seed_gives_the_same_bits_whatever_the_caller_did():
    views, _, _ = planted(n_docs=60)
    torch.manual_seed(1)
    first = small().fit(views, seed=7)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        second = clone(small()).fit(views, seed=7)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(state, torch.get_rng_state())
    assert first.revision == second.revision != small().fit(views, seed=8).revision


@pytest.mark.parametrize("weights", [None, np.array([1.0, 0.2, 0.5, 0.8, 0.3])])
def test_the_words_of_atoms_are_the_maximum_of_the_published_likelihood(weights):
    """Against SciPy, over softmax logits as the authors have them."""
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(3), 30) * np.array([1, 1, 0])
    shares[5] = 0.0
    shares = np.divide(shares, shares.sum(axis=1, keepdims=True), where=shares > 0, out=shares)
    matrix, given = rng.integers(0, 6, (30, 5)), np.ones(5) if weights is None else weights

    def loss(logits):
        rows = np.exp(logits.reshape(3, 5))
        atoms, common = np.split(rows / rows.sum(axis=1, keepdims=True), [2])
        mixture = 0.7 * shares[:, :2] @ atoms + 0.3 * common
        return -(matrix * given * np.log(mixture))[np.arange(30) != 5].sum()

    best = min(minimize(loss, rng.normal(size=15)).fun for _ in range(3))
    atoms, common = word_distributions(
        csr_matrix(shares), csr_matrix(matrix), weights, background=0.3, rounds=1000
    )
    mixture = 0.7 * shares @ atoms + 0.3 * common
    found = -(matrix * given * np.log(mixture))[np.arange(30) != 5].sum()
    assert found == pytest.approx(best, rel=1e-6)
    np.testing.assert_allclose([*atoms[:2].sum(axis=1), common.sum()], 1)
    assert not atoms[2].any()  # it fires on nothing


def test_the_sae_rebuilds_what_is_made_of_few_directions():
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.normal(size=(16, 16)))[0][:8]
    active = np.array([rng.choice(8, 2, replace=False) for _ in range(400)])
    vectors = directions[active].sum(axis=1) / np.sqrt(2)
    with reproducible(0):
        sae = train_topk(vectors, 24, 4, epochs=60, rate=1e-2, batch=64)
        rows, atoms, values = sae.encode(torch.from_numpy(vectors))
    rebuilt = np.tile(sae.b_dec.astype(float), (400, 1))
    np.add.at(rebuilt, rows, values[:, None] * sae.w_dec[atoms])
    assert np.bincount(rows).max() <= 4
    unexplained = ((vectors - rebuilt) ** 2).sum() / ((vectors - vectors.mean(axis=0)) ** 2).sum()
    assert unexplained < 0.05
    np.testing.assert_allclose(np.linalg.norm(sae.w_dec, axis=1), 1, atol=1e-6)


def test_an_sae_that_is_given_is_read_and_its_content_is_in_the_key(tmp_path):
    views, _, _ = planted()
    trained = small()
    first = trained.fit(views, seed=0)
    for name in ("a", "b"):
        save_sae(trained.sae_, tmp_path / name)
    given = small(weights=tmp_path / "a", n_atoms=3)
    result = given.fit(views, seed=0)
    np.testing.assert_array_equal(result.doc_topic, first.doc_topic)
    keys = [SAETM.params_in_key(small(weights=tmp_path / n).get_params()) for n in ("a", "b")]
    assert keys[0] == keys[1]
    assert keys[0]["weights"] == trained.sae_.revision
    with pytest.raises(InputError, match="reads vectors of 12 dimensions, not 5"):
        given.fit(Views(views.corpus, views.words, embeddings=views.embeddings[:, :5]), seed=0)
    with pytest.raises(InputError, match="holds no SAE"):
        small(weights=tmp_path / "none").fit(views, seed=0)


def test_the_strongest_entries_reach_the_mass_and_no_more():
    kept = strongest(np.array([[0.5, 0.1, 0.3, 0.1], [0.0, 0.0, 0.0, 0.0]]), 0.8)
    np.testing.assert_allclose(kept, [[5 / 8, 0, 3 / 8, 0], [0, 0, 0, 0]])


def test_a_word_is_the_mean_vector_of_its_documents_less_that_of_all_words():
    matrix, vectors = np.array([[2, 0, 0], [1, 1, 0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    found = word_vectors(csr_matrix(matrix), vectors)
    centre = np.array([2 / 4, 2 / 4])
    np.testing.assert_allclose(found[0], np.array([2 / 3, 1 / 3]) - centre)
    np.testing.assert_allclose(found[1], np.array([0, 1]) - centre)
    assert not found[2].any()  # it occurs nowhere


def test_documents_without_words_or_without_a_vector():
    views, _, _ = planted(n_docs=60)
    matrix, vectors = views.words.matrix.toarray(), views.embeddings.copy()
    matrix[4], vectors[7] = 0, 0
    counts = counts_to_views(matrix, matrix.sum(axis=1)).words
    result = small().fit(Views(views.corpus, counts, embeddings=vectors), seed=0)
    sums = result.doc_topic.sum(axis=1)
    assert sums[4] == pytest.approx(1)
    assert sums[7] == 0
    assert result.info["without_atoms"] == 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_topics": 0}, "n_topics must be a whole number"),
        ({"n_atoms": 0}, "n_atoms must be at least 1"),
        ({"rounds": 0}, "rounds must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be above zero"),
        ({"background": 1.0}, "background must be from 0 to below 1"),
        ({"mass": 0.0}, "mass must be above 0"),
        ({"n_topics": 20}, r"n_topics = 20, but \d+ of 16 fire; ask for fewer topics"),
        ({"learning_rate": 1e300}, r"diverged in epoch .* lower learning_rate"),
    ],
)
def test_wrong_parameters_are_named(params, message):
    views, _, _ = planted(n_docs=30)
    with pytest.raises(InputError, match=message):
        small(epochs=2).set_params(**params).fit(views, seed=0)


def test_what_cannot_be_fitted_says_why():
    views, _, _ = planted(n_docs=30)
    with pytest.raises(InputError, match="all are zero"):
        small().fit(Views(views.corpus, views.words, embeddings=views.embeddings * 0), seed=0)
    everywhere = counts_to_views(np.ones((30, 5), int), np.full(30, 5)).words
    with pytest.raises(InputError, match="is in all documents, so that idf"):
        small(epochs=1).fit(Views(views.corpus, everywhere, embeddings=views.embeddings), seed=0)
    with pytest.raises(InputError, match="not fitted"):
        small().merged(views, 3)
