"""A small corpus with four planted topics, in every view, and topics fitted to it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from mtmbench.core.specs import WordSpec
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, Counts, EncoderParams, FloatArray, Views
from mtmbench.features.words import Tokens, tokenise, word_counts
from mtmbench.judges.topic_writer import JudgeWriter
from mtmbench.metrics.context import MetricContext
from mtmbench.models.base import TopicModel
from mtmbench.testing.themes import THEMES
from mtmbench.testing.topic_judge import PLANTED_JUDGE, consult_planted

PLANTED_DOCUMENTS = 120
_N_TOPICS = len(THEMES)
_WORDS_PER_DOCUMENT = 40
_OWN_THEME = 0.85
_FEATURES_PER_THEME = 6
_WIDTH = 16


@cache
def planted_corpus() -> Corpus:
    """120 documents of 40 words, 85 % of them from the document's own theme, its label."""
    rng = np.random.default_rng(0)
    themes = list(THEMES)
    words = [text.split() for text in THEMES.values()]
    texts = []
    for row in range(PLANTED_DOCUMENTS):
        own = rng.random(_WORDS_PER_DOCUMENT) < _OWN_THEME
        chosen = np.where(own, row % _N_TOPICS, rng.integers(_N_TOPICS, size=_WORDS_PER_DOCUMENT))
        texts.append(" ".join(words[k][rng.integers(len(words[k]))] for k in chosen))
    return Corpus(
        name="planted",
        doc_ids=tuple(f"doc-{row}" for row in range(PLANTED_DOCUMENTS)),
        texts=tuple(texts),
        labels=tuple(themes[row % _N_TOPICS] for row in range(PLANTED_DOCUMENTS)),
        source={"format": "planted"},
    )


def planted_views() -> Views:
    """The corpus in every view and a judge, made anew; features (24) and embeddings of 16."""
    corpus = planted_corpus()
    rng = np.random.default_rng(1)
    centres = np.eye(_N_TOPICS, _WIDTH, dtype=np.float32)
    embeddings = centres[np.arange(PLANTED_DOCUMENTS) % _N_TOPICS] + rng.normal(
        scale=0.15, size=(PLANTED_DOCUMENTS, _WIDTH)
    )
    words = word_counts(corpus, WordSpec(min_df=1, max_df=1.0))
    return Views(
        corpus,
        words=words,
        features=_features(rng, centres),
        embeddings=_unit_rows(embeddings),
        word_embeddings=_word_embeddings(words, rng, centres),
        writer=JudgeWriter(PLANTED_JUDGE, consult_planted),
    )


def planted_result(
    seed: int = 0, order: Sequence[int] = range(_N_TOPICS), shift: int = 0
) -> TopicResult:
    """Topics that know the themes, listed in ``order``.

    Args:
        seed: a higher one blurs the topics more.
        order: the order in which the themes are listed.
        shift: a topic has this many words of the next theme in place of its own first ones; with 0
            the topics are the themes.
    """
    views = Views(planted_corpus(), words=planted_views().words)
    return _Planted(order=tuple(order), shift=shift).fit(views, seed=seed)


def planted_context(needs: Sequence[str]) -> MetricContext:
    """A context that offers what ``needs`` names and nothing else that is optional."""
    views = planted_views()
    corpus = views.corpus
    if "labels" not in needs:
        corpus = Corpus(corpus.name, corpus.doc_ids, corpus.texts)
    assert views.words is not None
    return MetricContext(
        corpus,
        tokens=_tokens(),
        counts={"words": views.words},
        siblings=[planted_result(1), planted_result(2)] if "siblings" in needs else (),
        reordered=[planted_result(0, (1, 0, 2, 3))] if "orders" in needs else (),
        others={"other": planted_result(3, (1, 3, 0, 2))} if "others" in needs else None,
        refit=_refit if "refit" in needs else None,
        views=views if "refit" in needs else None,
        embed=_embed if "embeddings" in needs else None,
        encoder="planted" if "embeddings" in needs else None,
        consult=consult_planted if "judge" in needs else None,
    )


@cache
def _tokens() -> Tokens:
    return tokenise(planted_corpus())


class _Planted(TopicModel):
    """Fixed topics, one a theme; θ by expectation-maximisation with the topics held fixed."""

    name = "planted"
    has_perplexity: ClassVar[bool] = True

    def __init__(
        self,
        n_topics: int = _N_TOPICS,
        order: tuple[int, ...] = tuple(range(_N_TOPICS)),
        shift: int = 0,
    ) -> None:
        self.n_topics = n_topics
        self.order = order
        self.shift = shift

    def fit(self, views: Views, *, seed: int) -> TopicResult:
        """Takes the themes as topics."""
        words: Counts = views.require("words", self.name)
        themed = " ".join(THEMES.values()).split()
        size = len(themed) // _N_TOPICS
        turned = themed[self.shift :] + themed[: self.shift]
        blur = 0.05 * (1 + seed)
        self.topic_item_ = np.array(
            [
                [
                    (word in turned[size * k : size * (k + 1)]) + blur + 0.001 * i
                    for i, word in enumerate(words.item_ids)
                ]
                for k in self.order
            ]
        )
        self.topic_item_ /= self.topic_item_.sum(axis=1, keepdims=True)
        return self._result(
            views, words, seed=seed, doc_topic=self.transform(views), topic_item=self.topic_item_
        )

    def transform(self, views: Views) -> FloatArray:
        """Returns θ after 20 steps from the uniform start."""
        counts = np.asarray(views.require("words", self.name).matrix.todense(), dtype=np.float64)
        theta = np.full((len(counts), len(self.order)), 1 / len(self.order))
        for _ in range(20):
            theta *= (counts / np.maximum(theta @ self.topic_item_, 1e-12)) @ self.topic_item_.T
            theta /= np.maximum(theta.sum(axis=1, keepdims=True), 1e-12)
        return np.asarray(theta, dtype=np.float32)


def _refit(views: Views, seed: int) -> tuple[TopicModel, TopicResult]:
    model = _Planted()
    return model, model.fit(views, seed=seed)


def _embed(texts: Sequence[str]) -> FloatArray:
    """Counts of each theme's words and a constant: enough of an encoder for planted texts."""
    themes = [set(text.split()) for text in THEMES.values()]
    rows = [
        [*(sum(word.strip(",") in theme for word in text.split()) for theme in themes), 0.1]
        for text in texts
    ]
    return _unit_rows(np.array(rows, dtype=np.float64))


def _features(rng: np.random.Generator, centres: FloatArray) -> Counts:
    n_features = _N_TOPICS * _FEATURES_PER_THEME
    theme = np.repeat(np.arange(_N_TOPICS), _FEATURES_PER_THEME)
    directions = _unit_rows(centres[theme] + rng.normal(scale=0.2, size=(n_features, _WIDTH)))
    own = (np.arange(PLANTED_DOCUMENTS) % _N_TOPICS)[:, None] == theme[None, :]
    counts = np.minimum(rng.poisson(np.where(own, 4.0, 0.3)), _WORDS_PER_DOCUMENT)
    matrix = csr_matrix(counts.astype(np.int32))
    names = list(THEMES)
    return Counts(
        kind="features",
        matrix=matrix,
        n_tokens=np.full(PLANTED_DOCUMENTS, _WORDS_PER_DOCUMENT, dtype=np.int64),
        item_ids=tuple(str(i) for i in range(n_features)),
        item_labels=tuple(f"{names[k]} {i}" for i, k in enumerate(theme)),
        source={"backbone": "planted", "hook_point": "planted", "sae_hash": "planted"},
        directions=directions,
        encoder=EncoderParams(
            np.ascontiguousarray(directions.T),
            np.full(n_features, -0.5, dtype=np.float32),
            np.zeros(_WIDTH, dtype=np.float32),
        ),
        activation=csr_matrix(counts.astype(np.float32) / _WORDS_PER_DOCUMENT),
    )


def _word_embeddings(words: Counts, rng: np.random.Generator, centres: FloatArray) -> FloatArray:
    theme = {word: k for k, text in enumerate(THEMES.values()) for word in text.split()}
    noise = rng.normal(scale=0.15, size=(len(words.item_ids), _WIDTH))
    return _unit_rows(centres[[theme[word] for word in words.item_ids]] + noise)


def _unit_rows(array: NDArray[np.floating[Any]]) -> FloatArray:
    rows = array / np.linalg.norm(array, axis=1, keepdims=True)
    return np.asarray(rows, dtype=np.float32)
