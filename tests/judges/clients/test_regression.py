"""The regression judge: what it learns, by the normal equations, and what it does not."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from support.two_subjects import SUBJECTS, two_subjects

from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus
from mtmbench.judges.base import Option, Question
from mtmbench.judges.clients.regression import RegressionJudge
from mtmbench.judges.registry import load_judge_card
from mtmbench.judges.replies import parse_verdict


@pytest.fixture
def corpus() -> Corpus:
    return two_subjects()


@pytest.fixture
def theta():
    return np.tile(np.float32([[0.9, 0.1], [0.2, 0.8]]), (30, 1))


def ask(judge, topic, first, second, kind="steer"):
    options = tuple(Option(name, (), text) for name, text in (("x", first), ("y", second)))
    context = {"corpus": "toy", "doc_id": "p", "topic": topic, "text": "ice"}
    return parse_verdict(asyncio.run(judge.answer(Question(kind, context, options), {}, 0)).text)


def test_it_learns_topics_from_words(corpus, theta):
    judge = RegressionJudge(**load_judge_card("regression").params)
    judge.prepare_texts(corpus, theta, [])
    assert ask(judge, 0, "the puck and the goal", "a tax on bread") == "A"
    assert ask(judge, 1, "the puck and the goal", "a tax on bread") == "B"
    assert ask(judge, 0, "some rain", "some snow") == "tie"
    assert min(judge.held_out_correlation) > 0.95
    assert (judge.is_llm, judge.order_free, judge.encoder) == (False, True, None)


def test_the_regression_is_a_ridge_on_tf_idf(corpus, theta):
    """Predictions against the normal equations, with an intercept that is not penalised."""
    judge = RegressionJudge(alpha=0.5)
    judge.prepare_texts(corpus, theta, [])
    vocabulary = [*sorted(word for subject in SUBJECTS for word in subject), "of", "the"]
    counts = np.array([[text.split().count(w) for w in vocabulary] for text in corpus.texts])
    idf = np.log(61 / (1 + (counts > 0).sum(axis=0))) + 1
    weights = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0) * idf
    x = weights / np.linalg.norm(weights, axis=1, keepdims=True)
    centred, y = x - x.mean(axis=0), theta[:, 0].astype(float)
    gram = centred.T @ centred + 0.5 * np.eye(len(vocabulary))
    coefficients = np.linalg.solve(gram, centred.T @ (y - y.mean()))
    new = "the puck the goal"
    row = np.array([new.split().count(w) for w in vocabulary])
    row = np.where(row > 0, 1 + np.log(np.maximum(row, 1)), 0) * idf
    expected = y.mean() + (row / np.linalg.norm(row) - x.mean(axis=0)) @ coefficients
    judge._predict({new})
    assert judge._predicted[new][0] == pytest.approx(expected, abs=1e-4)


def test_topics_that_words_do_not_tell_are_known_as_such(corpus, theta):
    generator = np.random.default_rng(1)
    share = generator.random(60).astype(np.float32)
    judge = RegressionJudge()
    judge.prepare_texts(corpus, np.stack([share, 1 - share], axis=1), [])
    assert abs(judge.held_out_correlation[0]) < 0.4
    judge.prepare_texts(corpus, np.full((60, 2), 0.5, np.float32), [])
    assert judge.held_out_correlation == (None, None)


def test_it_is_trained_anew_for_other_topics(corpus, theta):
    judge = RegressionJudge()
    judge.prepare_texts(corpus, theta, [])
    assert ask(judge, 0, "puck", "tax") == "A"
    judge.prepare_texts(corpus, theta[:, ::-1].copy(), [])
    assert ask(judge, 0, "puck", "tax") == "B"


def test_errors_name_the_value(corpus, theta):
    judge = RegressionJudge()
    with pytest.raises(InputError, match="needs prepare_texts"):
        ask(judge, 0, "puck", "tax")
    with pytest.raises(InputError, match=r"compares texts .*, not a 'match'"):
        ask(judge, 0, "puck", "tax", kind="match")
    with pytest.raises(InputError, match="θ of 60 documents for the 2 of 'toy'"):
        judge.prepare_texts(corpus.select([0, 1]), theta, [])
    with pytest.raises(InputError, match="learns from 5 documents at least; 'toy' has 2"):
        judge.prepare_texts(corpus.select([0, 1]), theta[:2], [])
    for named, message in (
        ({"alpha": 0}, "alpha must be above 0, not 0"),
        ({"tie_below": -1}, "tie_below must lie between 0 and 1, not -1"),
        ({"min_df": 0}, "min_df must be at least 1, not 0"),
    ):
        with pytest.raises(InputError, match=message):
            RegressionJudge(**named)
