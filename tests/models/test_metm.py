"""mETM: recovery of planted topic vectors, the binomial, degenerate corpora."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import binom
from support.planted import counts_to_views, matched_cosine, plant_metm, random_encoder

from mtmbench.core.errors import InputError
from mtmbench.core.types import EncoderParams, Views
from mtmbench.features.sae.sae import load_sae
from mtmbench.features.sae.shipped import MINILM_SAES
from mtmbench.models.count_batches import CountBatch
from mtmbench.models.metm import METM, _FiringTopics, binomial_log_likelihood
from mtmbench.models.reproducible import reproducible

pytestmark = pytest.mark.slow


def small(**params) -> METM:
    return METM(**{"hidden": 32, "epochs": 5, **params})


def views(rows, n_tokens=None, encoder=None) -> Views:
    matrix = np.array(rows)
    n_tokens = matrix.sum(axis=1) if n_tokens is None else np.array(n_tokens)
    encoder = encoder or random_encoder(0, n_inputs=8, n_features=matrix.shape[1])
    return counts_to_views(matrix, n_tokens, kind="features", encoder=encoder)


@pytest.mark.parametrize("seed", range(5))
def test_planted_vectors_are_recovered_through_a_random_encoder(seed):
    planted = plant_metm(seed, random_encoder(seed), n_docs=400)
    result = METM(n_topics=10, hidden=200).fit(planted.views, seed=seed)
    scores = matched_cosine(result.topic_item, planted.topic_item)
    assert scores.mean() >= 0.85
    assert scores.min() >= 0.7


def test_planted_vectors_are_recovered_through_the_shipped_sae():
    planted = plant_metm(0, load_sae(MINILM_SAES.path()).encoder, n_docs=300)
    result = METM(n_topics=10, hidden=200).fit(planted.views, seed=0)
    scores = matched_cosine(result.topic_item, planted.topic_item)
    assert scores.mean() >= 0.85
    assert scores.min() >= 0.7


def test_firing_is_the_frozen_encoder_read_at_the_topic_vector():
    """π_ki = σ((pre_i(t_k) − o) / T) with the whole pre-activation, input scale included."""
    plain = random_encoder(3, n_inputs=6, n_features=40)
    rng = np.random.default_rng(0)
    encoder = EncoderParams(
        plain.weight, plain.bias, rng.normal(size=6).astype(np.float32), input_scale=1.7
    )
    planted = plant_metm(0, plain, n_docs=50, n_topics=3)
    model = small(n_topics=3)
    matrix = planted.views.features.matrix.toarray()
    result = model.fit(views(matrix, planted.views.features.n_tokens, encoder), seed=0)
    inputs = model.topic_vectors_ * 1.7 - encoder.subtract
    logits = (inputs @ encoder.weight + encoder.bias - model.offset_) / model.temperature_
    firing = expit(logits)
    np.testing.assert_allclose(
        result.topic_item, firing / firing.sum(axis=1, keepdims=True), rtol=1e-3, atol=1e-7
    )
    np.testing.assert_allclose(result.info["mean_firing"], firing.mean(axis=1), atol=1e-4)
    excess = np.maximum(firing - firing.mean(axis=0), 0)
    np.testing.assert_allclose(result.shown_item, excess, rtol=2e-2, atol=1e-4)


def test_training_starts_at_the_likeliest_topics_for_the_rates():
    """Base rates that the encoder hardly expresses: ridge on logits alone starts far too low."""
    rng = np.random.default_rng(0)
    encoder = random_encoder(0, n_inputs=6, n_features=80)
    deviations = rng.normal(size=(3, 6)) @ encoder.weight
    rates = expit(rng.normal(-4, 1.7, size=80) + deviations / deviations.std())
    shares = np.array([0.5, 0.3, 0.2])
    weight = encoder.weight.astype(np.float64)

    def cost(values) -> float:
        vectors, offset, log_temperature = values[:-2].reshape(3, 6), values[-2], values[-1]
        pre = (vectors - encoder.subtract) @ weight + encoder.bias
        logits = (pre - offset) / np.exp(log_temperature)
        fit = rates * logits - np.logaddexp(0, logits)
        return float(-(shares[:, None] * fit).sum())

    with reproducible(0):
        decoder = _FiringTopics(3, encoder)
        decoder.switch_off(rates.mean(axis=0))
        decoder.start_at(rates, shares)
    offset, temperature = float(decoder.offset.detach()), float(decoder.log_temperature.detach())
    start = np.append(decoder.vectors.detach().numpy().ravel(), [offset, temperature])
    best = min(
        minimize(cost, at, method="L-BFGS-B", options={"maxiter": 5000, "maxfun": 10**6}).fun
        for at in (start, np.append(rng.normal(size=18), [offset, 0.0]))
    )
    corpus = float(
        -(shares[:, None] * (rates * np.log(rates) + (1 - rates) * np.log1p(-rates))).sum()
    )
    assert corpus < best <= cost(start) <= best + 0.02 * (best - corpus)


def test_the_likelihood_is_the_binomial_one():
    rng = np.random.default_rng(0)
    counts = rng.binomial(20, 0.2, size=(4, 7))
    theta, firing = rng.dirichlet(np.ones(3), 4), rng.uniform(0.01, 0.9, size=(3, 7))
    given = views(counts, [20, 25, 30, 20]).features
    with reproducible(0):
        found = binomial_log_likelihood(
            torch.from_numpy(theta),
            torch.from_numpy(firing),
            CountBatch.of(given.matrix.tocsr(), given.n_tokens),
        )
    expected = binom.logpmf(counts, given.n_tokens[:, None], theta @ firing).sum(axis=1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_the_gradients_are_those_of_the_dense_likelihood():
    rng = np.random.default_rng(1)
    counts = rng.binomial(20, 0.2, size=(4, 7))
    given = views(counts, [20, 25, 30, 20]).features
    firing = rng.uniform(0.01, 0.9, size=(3, 7))
    # Mixtures that are kept from 0 and 1, where the likelihood is flat.
    firing[:, 0], firing[:, 1] = 1e-9, 1 - 1e-9
    with reproducible(0):
        inputs = [
            torch.from_numpy(array).requires_grad_()
            for array in (rng.dirichlet(np.ones(3), 4), firing)
        ]
        weights = torch.arange(1.0, 5.0)
        found = binomial_log_likelihood(*inputs, CountBatch.of(given.matrix, given.n_tokens))
        kept = (inputs[0] @ inputs[1]).clamp(1e-6, 1 - 1e-6)
        c, n = torch.from_numpy(counts), torch.from_numpy(given.n_tokens)[:, None]
        dense = (c * kept.log() + (n - c) * torch.log1p(-kept)).sum(dim=1)
        for one, other in zip(
            torch.autograd.grad((weights * found).sum(), inputs),
            torch.autograd.grad((weights * dense).sum(), inputs),
            strict=True,
        ):
            torch.testing.assert_close(one, other)


def test_the_same_seed_gives_the_same_bits():
    planted = plant_metm(0, random_encoder(0, 16, 60), n_docs=60, n_topics=4)
    first, second, other = (small(n_topics=4).fit(planted.views, seed=s) for s in (7, 7, 8))
    assert first.revision == second.revision
    assert first.revision != other.revision


def test_transform_is_the_fit_and_folds_in_subsets():
    planted = plant_metm(1, random_encoder(0, 16, 60), n_docs=80, n_topics=4)
    model = small(n_topics=4)
    result = model.fit(planted.views, seed=0)
    theta = model.transform(planted.views)
    np.testing.assert_allclose(theta, result.doc_topic, atol=1e-6)
    np.testing.assert_allclose(
        model.transform(planted.views.select_docs([5, 3])), theta[[5, 3]], atol=1e-5
    )


@pytest.mark.parametrize("n_topics", [5, 20, 100])
def test_any_number_of_topics_fits(n_topics):
    planted = plant_metm(0, random_encoder(0, 16, 60), n_docs=50, n_topics=4)
    result = small(n_topics=n_topics).fit(planted.views, seed=0)
    assert result.doc_topic.shape == (50, n_topics)
    np.testing.assert_allclose(result.topic_item.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(result.doc_topic.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    "rows", [[[3, 1, 0, 2]], [[3], [1], [2]], [[3, 1, 0, 2]] * 30], ids=["document", "item", "same"]
)
def test_degenerate_corpora_give_the_only_right_rates(rows):
    n_tokens = [10] * len(rows)
    result = small(n_topics=2, epochs=400, learning_rate=0.02).fit(views(rows, n_tokens), seed=0)
    firing = result.topic_item * (
        np.array(result.info["mean_firing"])[:, None] * result.topic_item.shape[1]
    )
    # One rate must do for all documents that have but one item between them.
    rates = np.array(rows).mean(axis=0) / 10
    np.testing.assert_allclose((result.doc_topic @ firing).mean(axis=0), rates, atol=0.08)


def test_one_topic_is_shown_by_its_rates():
    result = small(n_topics=1).fit(views([[3, 1, 0, 2], [1, 1, 1, 0]]), seed=0)
    np.testing.assert_allclose(result.doc_topic, 1)
    assert result.shown_item is None


def test_a_document_without_features_has_a_row_of_zeros():
    result = small(n_topics=2).fit(views([[3, 1], [0, 0], [1, 4]], [5, 5, 5]), seed=0)
    np.testing.assert_allclose(result.doc_topic.sum(axis=1), [1, 0, 1], atol=1e-6)


def test_what_cannot_be_fitted_says_why():
    with pytest.raises(
        InputError, match=r"feature 'feature1' occurs 4 times in document 1.* 3 tok"
    ):
        small().fit(views([[1, 1], [2, 4]], [3, 3]), seed=0)
    with pytest.raises(InputError, match="has any features"):
        small().fit(views([[0, 0]], [3]), seed=0)
    with pytest.raises(InputError, match="did you mean 'random'"):
        small(start="randm").fit(views([[1, 1]]), seed=0)
    words = counts_to_views(np.array([[1, 2]]), np.array([3]))
    with pytest.raises(InputError, match="needs the features view"):
        small().fit(words, seed=0)
    bare = counts_to_views(np.array([[1, 2]]), np.array([3]), kind="features")
    with pytest.raises(InputError, match="SAE's encoder"):
        small().fit(bare, seed=0)
