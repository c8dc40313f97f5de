"""MonoTM: scores against a by-hand count, planted topics beside noise, what is not kept."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from support.planted import counts_to_views, matched_cosine

from mtmbench.core.errors import InputError
from mtmbench.core.types import Views
from mtmbench.models.lda import MLDA
from mtmbench.models.monotm import MonoTM, word_scores
from mtmbench.testing import check_topic_model

pytestmark = pytest.mark.slow

N_TOPICS, PER_TOPIC, N_NOISE = 4, 6, 24


def planted(seed=0, n_docs=240):
    """Features that fire where a word of their own stands, by topic; and as many that fire anyhow.

    Every feature of a single meaning has one word; a topic has six of them.
    """
    rng = np.random.default_rng(seed)
    own = np.arange(n_docs) % N_TOPICS
    told = N_TOPICS * PER_TOPIC
    chance = np.where(np.arange(told) // PER_TOPIC == own[:, None], 0.6, 0.03)
    stands = rng.random((n_docs, told)) < chance
    words = counts_to_views(stands * rng.integers(1, 4, stands.shape), np.full(n_docs, 50)).words
    noise = rng.random((n_docs, N_NOISE)) < 0.3
    matrix = np.hstack([stands, noise]) * rng.integers(1, 4, (n_docs, told + N_NOISE))
    views = counts_to_views(matrix, np.full(n_docs, 50), kind="features")
    topics = np.hstack(
        [
            np.arange(told) // PER_TOPIC == np.arange(N_TOPICS)[:, None],
            np.zeros((N_TOPICS, N_NOISE), bool),
        ]
    )
    return Views(views.corpus, words=words, features=views.features), topics / PER_TOPIC, own


def test_it_keeps_the_contract():
    check_topic_model(MonoTM(n_topics=4))


@pytest.mark.parametrize("seed", range(3))
def test_planted_topics_are_recovered_and_noise_is_left_out(seed):
    views, topics, own = planted(seed)
    model = MonoTM(n_topics=N_TOPICS, least_score=0.8, label_words=1)
    result = model.fit(views, seed=seed)
    np.testing.assert_array_equal(model.kept_, np.arange(N_TOPICS * PER_TOPIC))
    assert not result.topic_item[:, N_TOPICS * PER_TOPIC :].any()
    assert matched_cosine(result.topic_item, topics).min() >= 0.9
    found = result.doc_topic.argmax(axis=1)
    right = [
        np.bincount(found[own == topic], minlength=N_TOPICS).max() for topic in range(N_TOPICS)
    ]
    assert sum(right) >= 0.95 * len(own)
    assert result.info["validation"]["kept"] == N_TOPICS * PER_TOPIC
    # θ, on the fit's documents as on others, is that of the kept features alone.
    alone = Views(views.corpus, features=views.features.select_items(model.kept_))
    mlda = MLDA(n_topics=N_TOPICS)
    np.testing.assert_array_equal(mlda.fit(alone, seed=seed).doc_topic, result.doc_topic)
    rows = [5, 0, 7]
    np.testing.assert_array_equal(
        model.transform(views.select_docs(rows)), mlda.transform(alone.select_docs(rows))
    )


def test_scores_are_the_balanced_accuracy_of_the_best_words_of_the_other_part():
    rng = np.random.default_rng(0)
    fires, has = rng.random((60, 7)) < 0.4, rng.random((60, 9)) < 0.3
    fires[:, 5], fires[:, 6] = False, True  # nothing to score
    has[:, 0] = fires[:, 0]
    own = np.arange(60) % 2 == 0
    found = word_scores(
        csr_matrix(fires, dtype=float), csr_matrix(has, dtype=float), own, ~own, n_words=2
    )
    for feature in range(5):
        on, off = fires[:, feature] & own, ~fires[:, feature] & own
        gain = has[on].mean(axis=0) - has[off].mean(axis=0)
        words = [w for w in np.argsort(-gain, kind="stable")[:2] if gain[w] > 0]
        said = has[:, words].any(axis=1)
        hits = said[~own & fires[:, feature]].mean()
        right = (~said)[~own & ~fires[:, feature]].mean()
        assert found[feature] == pytest.approx((hits + right) / 2)
    assert np.isnan(found[5:]).all()
    assert found[0] == max(found[:5])


def test_blocks_of_features_make_no_difference(monkeypatch):
    rng = np.random.default_rng(1)
    fires, has = (csr_matrix((rng.random((40, n)) < 0.4) * 1.0) for n in (11, 6))
    own = np.arange(40) < 20
    whole = word_scores(fires, has, own, ~own, n_words=3)
    monkeypatch.setattr("mtmbench.models.monotm.BLOCK_CELLS", 12)
    np.testing.assert_array_equal(word_scores(fires, has, own, ~own, n_words=3), whole)


def test_a_feature_without_words_is_at_chance():
    fires = csr_matrix(np.tile([[1.0], [0.0]], (10, 1)))
    own = np.arange(20) < 10
    assert word_scores(fires, csr_matrix((20, 3)), own, ~own, n_words=2) == [0.5]


def test_documents_without_a_kept_feature_have_no_topic():
    views, _, _ = planted()
    matrix = views.features.matrix.toarray()
    matrix[3, : N_TOPICS * PER_TOPIC] = 0
    given = counts_to_views(matrix, np.full(len(matrix), 50), kind="features").features
    model = MonoTM(n_topics=N_TOPICS, least_score=0.8, label_words=1)
    result = model.fit(Views(views.corpus, views.words, given), seed=0)
    assert not result.doc_topic[3].any()
    assert result.doc_topic[4].sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_topics": 0}, "n_topics must be a whole number"),
        ({"least_score": 1.2}, "least_score must be from 0 to 1"),
        ({"label_words": 0}, "label_words must be at least 1"),
        ({"least_score": 1.0}, r"no feature of 48 has a score of at least 1, the best has 0\.9"),
        ({"engine": "gibbs"}, "unknown LDA engine"),
    ],
)
def test_wrong_parameters_are_named(params, message):
    views, _, _ = planted()
    shaken = views.words.matrix.toarray()
    shaken[::9] = 1  # no word tells a feature without fault
    words = counts_to_views(shaken, np.full(len(shaken), 50)).words
    with pytest.raises(InputError, match=message):
        MonoTM(**params).fit(Views(views.corpus, words, views.features), seed=0)


def test_transform_before_a_fit_and_on_other_items_says_so():
    views, _, _ = planted()
    with pytest.raises(InputError, match="not fitted"):
        MonoTM().transform(views)
    model = MonoTM(n_topics=2)
    model.fit(views, seed=0)
    fewer = Views(views.corpus, views.words, views.features.select_items(np.arange(9)))
    with pytest.raises(InputError, match="fitted on 48 other items than the 9 given"):
        model.transform(fewer)
