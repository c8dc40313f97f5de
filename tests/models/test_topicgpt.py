"""TopicGPT-style topics: planted themes, the whole path by hand, what no reply says, new texts."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import clone
from support.asking import Clerk, consulting, two_subjects

from mtmbench.core.errors import InputError
from mtmbench.core.types import Views
from mtmbench.judges.topic_writer import JudgeWriter
from mtmbench.models.clusters import class_tfidf
from mtmbench.models.topicgpt import TopicGPT
from mtmbench.testing import check_topic_model
from mtmbench.testing.planted import planted_views

pytestmark = pytest.mark.slow


def fitted(clerk: Clerk, views: Views | None = None, seed: int = 0, **params):
    views = views or two_subjects()
    model = TopicGPT(**{"n_topics": 5, "sample": 8, **params})
    return model, model.fit(views.asking(JudgeWriter("clerk", consulting(clerk))), seed=seed)


def test_it_keeps_the_contract():
    check_topic_model(TopicGPT(n_topics=4, sample=12))


def test_planted_themes_are_recovered():
    views = planted_views()
    result = TopicGPT(n_topics=4, sample=40).fit(views, seed=0)
    names = [result.info["names"][k] for k in result.doc_topic.argmax(axis=1)]
    right = np.mean([a == b for a, b in zip(names, views.corpus.labels, strict=True)])
    assert right >= 0.99
    assert result.summaries is not None
    assert sorted(result.summaries)[0] == "garden: Texts about the garden."


def test_topics_are_written_merged_assigned_and_weighed_as_said():
    clerk = Clerk(same=[["Ice", "Skates"]])
    model, result = fitted(clerk)
    # All eight were read; "Skates" goes under "Ice", which more documents have.
    assert result.info["replies"]["topic_write"] == {"ok": 8}
    assert result.info["names"] == ["Ice", "Law"]
    assert (result.info["written"], result.info["merged"], result.info["found"]) == (3, 1, 2)
    # Documents 0 to 4 are of ice, 4 to 6 of law, 7 of neither.
    half = [0.5, 0.5]
    expected = [[1, 0]] * 4 + [half] + [[0, 1]] * 2 + [[0, 0]]
    np.testing.assert_array_equal(result.doc_topic, np.array(expected, np.float32))
    assert result.outlier is not None
    assert result.outlier.tolist() == [False] * 7 + [True]
    counts = two_subjects().words.matrix.toarray()
    weights = class_tfidf(np.array(expected, float).T @ counts)
    np.testing.assert_allclose(
        result.topic_item, weights / weights.sum(axis=1, keepdims=True), atol=1e-6
    )
    assert model.quotes_[4] == {0: "ice", 1: "law"}
    assert model.quotes_[7] == {}
    for task, n in model.questions(model.get_params(), 8).items():
        assert clerk.asked[task] == n


def test_a_question_shows_what_was_written_before_it_and_no_more():
    clerk = Clerk()
    fitted(clerk, sample=3, least_share=0.0)
    shown = [topics for task, topics in clerk.shown if task == "topic_write"]
    assert shown[0] == []
    assert all(len(a) <= len(b) for a, b in pairwise(shown))
    (merging,) = [topics for task, topics in clerk.shown if task == "topic_merge"]
    assert len(merging) >= len(shown[-1])


def test_rare_topics_and_those_beyond_k_are_dropped():
    _, result = fitted(Clerk(), least_share=0.2)  # of eight, "Skates" are one
    assert result.info["names"] == ["Ice", "Law"]
    assert result.info["dropped"] == 1
    _, result = fitted(Clerk(), n_topics=1, least_share=0.0)
    assert result.info["names"] == ["Ice"]


def test_a_document_that_names_two_merged_topics_counts_once():
    # "Ice" is in five documents of eight, one of which names "Skates" too.
    same = [["Ice", "Skates"]]
    assert fitted(Clerk(same=same), least_share=0.6)[1].info["names"] == ["Ice"]
    with pytest.raises(InputError, match=r"none of 2 topics is in 5\.6 documents"):
        fitted(Clerk(same=same), least_share=0.7)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("It is about ice.", "unparsed"),
        (None, "refused"),
        (json.dumps({"assigned": [{"topic": 1, "quote": "never said"}]}), "misquoted"),
        (json.dumps({"assigned": [{"topic": 9, "quote": "ice"}]}), "unparsed"),
    ],
)
def test_a_reply_that_says_nothing_leaves_a_document_without_topic(said, status):
    _, result = fitted(Clerk(instead={0: said}))
    assert result.outlier is not None
    assert result.outlier[0]
    assert not result.doc_topic[0].any()
    assert result.info["replies"]["topic_assign"] == {"none": 1, "ok": 6, status: 1}


def test_new_documents_are_assigned_to_the_same_topics():
    clerk = Clerk()
    views = two_subjects()
    model, result = fitted(clerk, views)
    asked = clerk.asked["topic_write"]
    asking = views.asking(JudgeWriter("clerk", consulting(clerk)))
    np.testing.assert_array_equal(
        model.transform(asking.select_docs([5, 0])), result.doc_topic[[5, 0]]
    )
    assert clerk.asked["topic_write"] == asked
    with pytest.raises(InputError, match="asks a judge, and these views of corpus"):
        model.transform(views)


def test_the_same_seed_reads_the_same_sample():
    first, second, third = (Clerk() for _ in range(3))
    assert fitted(first, sample=4)[1].revision == fitted(second, sample=4)[1].revision
    assert first.shown == second.shown
    fitted(third, sample=4, seed=1)
    assert first.shown != third.shown


@pytest.mark.parametrize(
    ("params", "clerk", "message"),
    [
        ({"n_topics": 0}, Clerk(), "n_topics must be a whole number"),
        ({"sample": 0}, Clerk(), "sample must be at least 1"),
        ({"least_share": 2.0}, Clerk(), "least_share must be from 0 to 1"),
        ({"least_share": 0.9}, Clerk(), "none of 3 topics is in 7.2 documents"),
        ({}, Clerk(always="hm"), r"wrote no topic for 8 documents \(replies: 8 unparsed\)"),
        (
            {},
            Clerk(instead=dict.fromkeys(range(8), "ASSIGNED: none")),
            r"assigned no document \(replies: 8 none\)",
        ),
    ],
)
def test_what_cannot_be_says_why(params, clerk, message):
    with pytest.raises(InputError, match=message):
        fitted(clerk, **params)


def test_without_a_judge_it_says_how_to_name_one():
    model = clone(TopicGPT())
    with pytest.raises(InputError, match=r"views\(corpus, judge=CARD\)"):
        model.fit(two_subjects(), seed=0)
    with pytest.raises(InputError, match="not fitted"):
        model.transform(two_subjects())
