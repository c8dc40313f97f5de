"""Weights of firings: idf against scikit-learn's, sums by hand, what stays and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfTransformer
from support.planted import plant_lda

from mtmbench.core.errors import InputError
from mtmbench.core.types import Counts, EncoderParams, Views
from mtmbench.features.filters import FeatureSetting
from mtmbench.features.sae.sae_folder import setting_from
from mtmbench.features.weighting import weigh
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.perplexity import Perplexity
from mtmbench.models.k_means import MKMeans
from mtmbench.models.lda import MLDA
from mtmbench.models.mbertopic import document_vectors
from mtmbench.models.metm import METM

DENSE = np.array([[2, 1, 0, 1], [1, 4, 0, 0], [3, 0, 5, 0], [7, 0, 0, 0]], np.int32)
"""The first item is in every document, the last document has no other."""


def counts_of(dense: np.ndarray = DENSE) -> Counts:
    names = tuple(map(str, range(dense.shape[1])))
    return Counts("features", csr_matrix(dense), dense.sum(axis=1), names, names, {"sae": "toy"})


def weights_of(counts: Counts) -> np.ndarray:
    assert counts.weighted is not None
    dense: np.ndarray = counts.weighted.toarray()
    return dense


def test_idf_is_that_of_scikit_learn_less_its_one() -> None:
    theirs = TfidfTransformer(norm=None, smooth_idf=False).fit(csr_matrix(DENSE))
    expected = DENSE * (theirs.idf_ - 1)
    expected *= DENSE.sum() / expected.sum()
    counts = weigh(counts_of(), idf=True)
    np.testing.assert_allclose(weights_of(counts), expected)
    np.testing.assert_array_equal(counts.matrix.toarray(), DENSE)
    assert counts.source["weighting"] == {
        "values": "counts", "idf": True, "documents_without_mass": 1,
    }  # fmt: skip


def test_sums_keep_the_mass_of_each_feature() -> None:
    rng = np.random.default_rng(0)
    sums = DENSE * rng.uniform(0.1, 9.0, DENSE.shape)
    found = weights_of(weigh(counts_of(), sums=csr_matrix(sums)))
    for item in range(DENSE.shape[1]):
        mean = sums[:, item].sum() / DENSE[:, item].sum()
        np.testing.assert_allclose(found[:, item], sums[:, item] / mean)
    both = weights_of(weigh(counts_of(), sums=csr_matrix(sums), idf=True))
    held = (DENSE > 0).sum(axis=0)
    expected = found * np.log(len(DENSE) / held)
    np.testing.assert_allclose(both, expected * DENSE.sum() / expected.sum())


def test_items_and_documents_are_chosen_with_their_weights() -> None:
    counts = weigh(counts_of(), idf=True)
    dense = weights_of(counts)
    np.testing.assert_array_equal(weights_of(counts.select_docs([2, 0])), dense[[2, 0]])
    chosen = counts.select_items(np.array([3, 1]))
    np.testing.assert_array_equal(weights_of(chosen), dense[:, [3, 1]])
    for part in (chosen, counts.select_docs([3, 1])):
        assert part.weighted is not None
        np.testing.assert_array_equal(part.weighted.indices, part.matrix.indices)
    assert counts.revision != counts_of().revision
    assert counts.revision != replace(counts, weighted=None).revision


def test_what_cannot_be_weighed_is_named() -> None:
    with pytest.raises(InputError, match=r"every one of the 2 features is in all of the 3 doc"):
        weigh(counts_of(np.ones((3, 2), np.int32)), idf=True)
    with pytest.raises(InputError, match="of different firings"):
        weigh(counts_of(), sums=csr_matrix(np.ones(DENSE.shape)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"values": "sum"}, "here: values is 'sum'; it is counts or sums"),
        ({"idf": "smooth"}, "here: idf is 'smooth'; it is true or false"),
    ],
)
def test_wrong_weightings_are_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        setting_from(given, FeatureSetting(), "here")


def test_settings_that_only_count_are_on_record_as_before() -> None:
    assert not {"values", "idf"} & set(FeatureSetting().as_dict())
    setting = setting_from({"values": "sums", "idf": True}, FeatureSetting(), "here")
    assert setting.as_dict() == {**FeatureSetting().as_dict(), "values": "sums", "idf": True}
    assert setting_from(setting.as_dict(), FeatureSetting(), "here") == setting


@pytest.fixture(scope="module")
def planted() -> Counts:
    drawn = plant_lda(0, n_docs=120, n_items=80, n_topics=4, kind="features").views.features
    assert drawn is not None
    return drawn


def views_of(counts: Counts) -> Views:
    corpus = plant_lda(0, n_docs=120, n_items=80, n_topics=4, kind="features").views.corpus
    return Views(corpus, features=counts)


def test_weights_of_one_give_the_fit_of_the_counts(planted: Counts) -> None:
    ones = replace(planted, weighted=planted.matrix.astype(np.float64))
    plain, weighted = MLDA(n_topics=4), MLDA(n_topics=4)
    first = plain.fit(views_of(planted), seed=1)
    second = weighted.fit(views_of(ones), seed=1)
    np.testing.assert_allclose(second.doc_topic, first.doc_topic, atol=1e-5)
    np.testing.assert_allclose(second.topic_item, first.topic_item, atol=1e-6)
    np.testing.assert_allclose(
        weighted.transform(views_of(ones)), plain.transform(views_of(planted)), atol=1e-5
    )


def test_models_read_the_weights(planted: Counts) -> None:
    ignored = np.zeros(planted.matrix.shape[1])
    ignored[:40] = 1.0
    halved = planted.matrix.multiply(ignored).tocsr().astype(np.float64)
    kept = planted.matrix.astype(np.float64)
    kept.data = kept.data * ignored[kept.indices]
    counts = replace(planted, weighted=kept)
    topics = MLDA(n_topics=4).fit(views_of(counts), seed=0)
    assert topics.topic_item[:, 40:].max() < 1e-4
    engine = MLDA(n_topics=4, engine="gensim", iterations=5).fit(views_of(counts), seed=0)
    assert engine.topic_item[:, 40:].max() < 1e-3
    clusters = MKMeans(4, weighting="counts").fit(views_of(counts), seed=0)
    only = MKMeans(4, weighting="counts").fit(
        views_of(replace(planted, matrix=halved.astype(np.int32))), seed=0
    )
    np.testing.assert_array_equal(clusters.doc_topic, only.doc_topic)
    directions = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
    vectors = document_vectors(replace(counts, directions=directions))
    expected = halved.toarray() @ directions / np.maximum(planted.n_tokens, 1)[:, None]
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-5)


def test_models_of_whole_occurrences_refuse_weights(planted: Counts) -> None:
    counts = weigh(planted, idf=True)
    with pytest.raises(InputError, match="'tomotopy' samples whole occurrences"):
        MLDA(n_topics=4, engine="tomotopy").fit(views_of(counts), seed=0)
    encoder = EncoderParams(
        np.ones((3, 80), np.float32), np.zeros(80, np.float32), np.zeros(3, np.float32)
    )
    with pytest.raises(InputError, match="'metm' is a binomial"):
        METM(n_topics=4).fit(views_of(replace(counts, encoder=encoder)), seed=0)
    views = views_of(counts)
    result = MLDA(n_topics=4, iterations=3).fit(views, seed=0)
    context = MetricContext(
        views.corpus, tokens=lambda: [], counts={}, views=views,
        refit=lambda views, seed: (MLDA(n_topics=4), result),
    )  # fmt: skip
    found = Perplexity().compute(result, context)
    assert found.value is None
    assert "weights of firings" in str(found.reason)
