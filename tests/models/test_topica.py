"""topica's models: the contract, planted topics, the library called by hand, what is refused."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import topica
from support.planted import Planted, matched_cosine, plant_lda

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.types import Float64Array, Views
from mtmbench.models import topica_models
from mtmbench.models.registry import MODELS, card_of, load_model_card
from mtmbench.models.topica_models import MODELS_OF_TOPICA, NOT_PLAYED
from mtmbench.testing import check_topic_model

K, V = 4, 60
_SHORT = {"batch_size": 32, "lr": 0.02}
RECOVERED: dict[str, tuple[dict[str, Any], float, float]] = {
    "lda": ({"iters": 100, "burn_in": 20}, 0.99, 0.99),
    "onlinelda": ({"iters": 50}, 0.99, 0.99),
    "ctm": ({}, 0.99, 0.99),
    "stm": ({}, 0.99, 0.99),
    "gsdmm": ({}, 0.99, 0.99),
    "pt": ({"iters": 50, "num_pseudo": 20}, 0.99, 0.99),
    # Of three seeds one recovers all topics, the others two of four.
    "etm": ({}, 0.75, 0.75),
    # A Gaussian is wider than a topic.
    "gaussianlda": ({"iters": 6}, 0.85, 0.9),
    # The experts of a product, and what is near in space, are no mixture: θ alone is comparable.
    "prodlda": ({"iters": 80, **_SHORT}, 0.0, 0.9),
    "combinedtm": ({"iters": 40, **_SHORT}, 0.0, 0.95),
    "zeroshottm": ({"iters": 100, **_SHORT}, 0.0, 0.9),
    "fastopic": ({}, 0.0, 0.8),
}
"""Parameters for a small corpus, and the least mean cosine of φ and of θ to the truth."""


def planted(seed: int, *, n_docs: int = 300, alpha: float = 0.1) -> tuple[Planted, Views]:
    """Documents by LDA's own process, and embeddings in which topics are directions."""
    rng = np.random.default_rng(seed)
    truth = plant_lda(seed, n_docs=n_docs, n_topics=K, n_items=V, doc_length=50, alpha=alpha)

    def embedded(of: Float64Array, spread: float) -> Any:
        vectors = of @ np.eye(K, 12)
        return (vectors + rng.normal(scale=spread, size=vectors.shape)).astype(np.float32)

    lengths = np.linalg.norm(truth.doc_topic, axis=1, keepdims=True)
    return truth, Views(
        truth.views.corpus,
        words=truth.views.words,
        embeddings=embedded(truth.doc_topic / lengths, 0.05),
        # A topic is the softmax of a direction among the words, as ETM has it.
        word_embeddings=embedded(np.log(truth.topic_item.T + 1e-3) / 3, 0.05),
    )


def made(name: str, **params: Any) -> Any:
    return MODELS.get(f"topica:{name}")(n_topics=K, **params)


def by_hand(views: Views) -> Any:
    assert views.words is not None
    names = list(views.words.item_ids)
    rows = views.words.matrix.toarray()
    documents = [[names[v] for v in range(V) for _ in range(row[v])] for row in rows]
    return topica.Corpus.from_documents(documents, vocabulary=names), names


def test_every_model_of_the_library_is_played_or_refused_for_a_reason() -> None:
    known = {name.lower() for name in topica.REGISTRY}
    assert known == set(MODELS_OF_TOPICA) | set(NOT_PLAYED)
    assert not set(MODELS_OF_TOPICA) & set(NOT_PLAYED)
    assert {f"topica:{name}" for name in MODELS_OF_TOPICA} <= set(MODELS.names())
    assert set(RECOVERED) == set(MODELS_OF_TOPICA)


@pytest.mark.parametrize("name", MODELS_OF_TOPICA)
def test_keeps_the_contract(name: str) -> None:
    fewer = {"iters": 5} if "iters" in MODELS_OF_TOPICA[name].fit_options else {}
    check_topic_model(made(name, **fewer))


@pytest.mark.slow
@pytest.mark.parametrize("name", RECOVERED)
def test_planted_topics_are_recovered(name: str) -> None:
    params, least_phi, least_theta = RECOVERED[name]
    # Each document of one topic, where a model takes them to be.
    truth, views = planted(1, alpha=0.005 if name in ("gsdmm", "pt") else 0.1)
    result = made(name, **params).fit(views, seed=1)
    assert matched_cosine(result.topic_item, truth.topic_item).mean() >= least_phi
    assert matched_cosine(result.doc_topic.T, truth.doc_topic.T).mean() >= least_theta


def test_is_the_library_on_counts_alone() -> None:
    _, views = planted(2)
    corpus, _ = by_hand(views)
    theirs = topica.CTM(K, seed=5, sigma_shrink=0.3)
    theirs.fit(corpus, iters=20, num_threads=1)
    model = made("ctm", iters=20, sigma_shrink=0.3)
    result = model.fit(views, seed=5)
    np.testing.assert_allclose(result.topic_item, theirs.topic_word, atol=1e-6)
    np.testing.assert_allclose(result.doc_topic, theirs.doc_topic, atol=1e-6)
    np.testing.assert_allclose(model.transform(views), theirs.transform(corpus), atol=1e-6)


def test_is_the_library_on_embeddings_of_words() -> None:
    _, views = planted(2)
    corpus, names = by_hand(views)
    theirs = topica.ETM(K, seed=5)
    theirs.fit(corpus, np.asarray(views.word_embeddings, np.float64), names, iters=10)
    result = made("etm", iters=10).fit(views, seed=5)
    np.testing.assert_allclose(result.topic_item, theirs.topic_word, atol=1e-6)
    np.testing.assert_allclose(result.doc_topic, theirs.doc_topic, atol=1e-6)


def test_is_the_library_on_embeddings_of_documents() -> None:
    _, views = planted(2)
    corpus, _ = by_hand(views)
    vectors = np.asarray(views.embeddings, np.float64)
    theirs = topica.CombinedTM(K, seed=5, hidden_size=20)
    theirs.fit(corpus, vectors, iters=5)
    model = made("combinedtm", iters=5, hidden_size=20)
    result = model.fit(views, seed=5)
    np.testing.assert_allclose(result.topic_item, theirs.topic_word, atol=1e-6)
    np.testing.assert_allclose(model.transform(views), theirs.transform(corpus, vectors), atol=1e-6)


def test_stm_without_covariates_is_ctm() -> None:
    _, views = planted(3)
    ours = made("stm").fit(views, seed=0)
    ctm = made("ctm").fit(views, seed=0)
    np.testing.assert_allclose(ours.doc_topic, ctm.doc_topic, atol=1e-4)


def test_another_seed_gives_another_fit() -> None:
    _, views = planted(4, n_docs=60)
    fits = [made("lda", iters=20).fit(views, seed=seed).revision for seed in (0, 0, 1)]
    assert fits[0] == fits[1] != fits[2]


def test_documents_without_words_or_vector_have_no_topics() -> None:
    _, views = planted(5, n_docs=40)
    assert views.words is not None
    assert views.embeddings is not None
    matrix, vectors = views.words.matrix.tolil(), views.embeddings.copy()
    matrix[3], vectors[7] = 0, 0
    counts = type(views.words)(
        "words", matrix.tocsr(), views.words.n_tokens, views.words.item_ids, views.words.item_labels
    )
    given = Views(views.corpus, words=counts, embeddings=vectors)
    model = made("zeroshottm", iters=2)
    result = model.fit(given, seed=0)
    np.testing.assert_array_equal(np.flatnonzero(result.doc_topic.sum(axis=1) == 0), [3, 7])
    assert result.info["left_out"] == 2
    assert result.info["library"].startswith("topica ")
    assert (model.transform(given.select_docs([3])) == 0).all()


def test_parameters_are_the_librarys_but_for_those_that_are_ours() -> None:
    given = inspect.signature(MODELS.get("topica:lda")).parameters
    theirs = inspect.signature(topica.LDA).parameters
    assert given["beta"].default == theirs["beta"].default
    assert given["iters"].default == inspect.signature(topica.LDA.fit).parameters["iters"].default
    assert not {"num_topics", "seed", "num_threads"} & set(given)
    with pytest.raises(TypeError, match="betta"):
        made("lda", betta=1)


def test_what_cannot_be_played_says_why() -> None:
    _, views = planted(6, n_docs=40)
    with pytest.raises(InputError, match="'topica:hdp' is not played: it finds the number"):
        MODELS.get("topica:hdp")
    with pytest.raises(UnknownNameError, match="'topica:smt'; did you mean 'topica:stm'"):
        MODELS.get("topica:smt")
    with pytest.raises(InputError, match=r"topica refuses: .*gamma_prior"):
        made("stm", gamma_prior="wide").fit(views, seed=0)
    words_alone = Views(views.corpus, words=views.words)
    with pytest.raises(InputError, match="needs the word_embeddings view"):
        made("etm").fit(words_alone, seed=0)
    bad = Views(views.corpus, words=views.words, embeddings=np.zeros((3, 2), np.float32))
    with pytest.raises(InputError, match="expects 40 rows of finite numbers as the embeddings"):
        made("fastopic").fit(bad, seed=0)
    none = Views(views.corpus, words=views.words, embeddings=np.zeros((40, 2), np.float32))
    with pytest.raises(InputError, match="documents with a vector"):
        made("fastopic").fit(none, seed=0)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topica_models, "is_installed", lambda: False)
    assert not [name for name in MODELS.names() if name.startswith("topica:")]
    assert "topica:stm" in MODELS
    with pytest.raises(InputError, match=r"pip install 'mtmbench\[topica\]'"):
        MODELS.get("topica:stm")


@pytest.mark.parametrize("name", MODELS_OF_TOPICA)
def test_a_card_has_a_hyphen_for_the_colon(name: str) -> None:
    card = load_model_card(f"topica:{name}")
    assert card == load_model_card(card_of(f"topica:{name}"))
    assert card.model == f"topica:{name}"
    assert card.reference
    for parameter, values in card.search.items():
        for value in values:
            assert made(name, **{parameter: value}).get_params()[parameter] == value
