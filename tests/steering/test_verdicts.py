"""Which topics count as steered, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from mtmbench.steering.verdicts import steered, verdict_rows


def row(topic, method, rate, *, chosen=None, drawn=None, judge="words", k=5):
    return {
        "corpus": "lee", "model": "mlda", "k": k, "topic": topic, "judge": judge,
        "method": method, "win_rate": rate, "chosen": chosen, "by_direction": drawn,
    }  # fmt: skip


NULLS = [0.4, 0.5, 0.6, 0.5]
ROWS = [
    row(0, "topic_raw", 0.95, chosen=True),
    row(0, "topic_raw", 0.99, chosen=False),
    row(0, "permuted", 0.5, drawn=NULLS),
    row(0, "other_topic", 0.5, drawn=NULLS),
    row(0, "random", 0.5, drawn=[1.0, 1.0]),
    row(1, "topic_raw", 0.95, chosen=True),
    row(1, "permuted", 0.5, drawn=NULLS),
    row(1, "other_topic", 0.8, drawn=[0.7, 0.8, 0.9, 0.8]),
    row(2, "topic_raw", 0.7, chosen=False),
    row(2, "permuted", 0.5, drawn=NULLS),
]


def test_differences_and_their_intervals():
    found = verdict_rows(ROWS)
    assert [(each["topic"], each["control"]) for each in found] == [
        (0, "permuted"), (1, "permuted"), (0, "other_topic"), (1, "other_topic"),
    ]  # fmt: skip
    assert [each["difference"] for each in found] == pytest.approx([0.45, 0.45, 0.45, 0.15])
    # Two topics have a chosen λ: each interval is at 97.5 %, with three degrees of freedom a topic.
    half = t.ppf(1 - 0.05 / 2 / 2, 6) * np.std(NULLS, ddof=1) * np.sqrt(1.25)
    assert [each["hi"] - each["difference"] for each in found] == pytest.approx([half] * 4)
    assert {each["n_directions"] for each in found} == {4}
    assert steered(found) == {("words", 0): True, ("words", 1): False}


def test_more_topics_need_more():
    near = [{**each, "win_rate": 0.81 if each["chosen"] else each["win_rate"]} for each in ROWS[:4]]
    one = [*near, row(1, "permuted", 0.5, drawn=NULLS)]
    assert steered(verdict_rows(one)) == {("words", 0): True}
    many = [each | {"topic": k} for k in range(40) for each in near]
    assert set(steered(verdict_rows(many)).values()) == {True}
    wide = [each | {"topic": k} for k in range(4000) for each in near]
    assert set(steered(verdict_rows(wide)).values()) == {False}


def test_models_and_judges_are_apart():
    other = [{**each, "judge": "cosine"} for each in ROWS]
    assert verdict_rows([*ROWS, *other])[:4] == verdict_rows(ROWS)
    more = [{**each, "model": "metm"} for each in ROWS]
    assert [each for each in verdict_rows([*more, *ROWS]) if each["model"] == "mlda"] == (
        verdict_rows(ROWS)
    )


def test_a_topic_without_a_control_is_not_steered():
    assert steered(verdict_rows(ROWS[:3])) == {("words", 0): False}
    assert verdict_rows([*ROWS[:2], row(0, "permuted", 0.1, drawn=None)]) == []
    assert steered([]) == {}


def test_a_control_of_one_direction_each_says_nothing_of_their_spread():
    single = [{**each, "by_direction": [0.5]} for each in ROWS if each["method"] == "permuted"]
    rows = [each for each in ROWS if each["method"] != "permuted"] + single
    found = verdict_rows(rows)
    assert {each["control"] for each in found} == {"other_topic"}
    assert found == [each for each in verdict_rows(ROWS) if each["control"] == "other_topic"]
    assert steered(found) == {("words", 0): False, ("words", 1): False}
