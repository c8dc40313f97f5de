"""The summary of a small table, counted by hand."""

from __future__ import annotations

import pytest

from mtmbench.steering.summary import in_words, rank_correlation, summary_rows, topic_rows


def row(
    topic, judge, method, value, *, level=None, gain=None, chosen=None, steered=None, change=10.0
):
    return {
        "corpus": "lee", "model": "mlda", "k": 5, "topic": topic, "judge": judge,
        "method": method, "lambda": level, "lambda_unit": "p99", "win_rate": value,
        "delta_l": gain, "chosen": chosen, "steered": steered, "perplexity": 30.0,
        "perplexity_baseline": 20.0, "mean_change": change,
    }  # fmt: skip


def table():
    """Topic 0: the third of four λ; topic 1: the first; topic 2: none."""
    rows = []
    for judge, first, second in (("words", 0.9, 0.8), ("cosine", 0.7, 0.6)):
        gains = (0.1, 0.3, 0.2, -1.0)
        for i, gain in enumerate(gains):
            own = i == 2
            rows.append(
                row(0, judge, "topic", first if own else 0.5, level=i + 1.0, gain=gain, chosen=own,
                    steered=True if own else None)
            )  # fmt: skip
        rows.append(row(0, judge, "permuted", 0.4, change=11.0))
        rows.append(row(0, judge, "none", 0.4, change=0.0))
        rows.append(row(0, judge, "other_topic", 0.5))
        for i in range(2):
            own = i == 0
            steered = (judge == "words") if own else None
            rows.append(
                row(1, judge, "topic", second, level=i + 1.0, gain=float(-i), chosen=own,
                    steered=steered)
            )  # fmt: skip
        rows.append(row(1, judge, "permuted", 0.6, change=8.0))
        rows.append(row(1, judge, "other_topic", None))
        rows.append(row(2, judge, "topic", 1.0, level=1.0, gain=0.0, chosen=False))
        rows.append(row(2, judge, "permuted", 0.1))
    return rows


def test_topics_by_hand():
    found = topic_rows(table())
    assert [each["topic"] for each in found] == [0, 1, 2]
    assert [each["lambda"] for each in found] == [3.0, 1.0, None]
    # Ranks 1, 3, 2 against 1, 2, 3: one minus six times two over twenty-four.
    assert found[0]["delta_l_spearman"] == pytest.approx(0.5)
    assert [each["delta_l_spearman"] for each in found[1:]] == [None, None]
    assert [each["n_lambdas"] for each in found] == [3, 1, 0]
    assert [each["steered"] for each in found] == [["words", "cosine"], ["words"], []]


def test_summary_by_hand():
    words, cosine = summary_rows(table())
    assert (words["judge"], cosine["judge"]) == ("words", "cosine")
    assert (words["n_topics"], words["n_chosen"]) == (3, 2)
    assert words["win_rate"] == pytest.approx(0.85)
    assert cosine["win_rate"] == pytest.approx(0.65)
    # Topic 2 has no chosen λ, and its controls are those of another one.
    assert words["controls"] == {"permuted": 0.5, "other_topic": 0.5, "none": 0.4}
    assert words["method"] == "topic"
    assert words["changes"] == {"permuted": 0.95, "other_topic": 1.0}
    assert (words["n_steered"], cosine["n_steered"]) == (2, 1)
    assert (words["n_steered_by_all"], cosine["n_steered_by_all"]) == (1, 1)
    assert (words["n_spearman"], words["n_spearman_positive"]) == (1, 1)
    assert words["perplexity_ratio"] == 1.5
    assert in_words(words) == (
        "2 of 3 topics count as steered (1 by every judge); for 1 no λ left the text fluent. Mean "
        "win rate at the chosen λ 85 % (permuted 50 % and other_topic 50 %). Δℓ rises with λ, up "
        "to the chosen one, for 1 of the 1 topics whose λ is not the grid's least. In the scored "
        "texts controls changed activations by 0.95 (permuted) to 1.00 (other_topic) times as much "
        "as the topics."
    )


def test_nothing_chosen():
    only = [each for each in table() if each["topic"] == 2]
    summary = summary_rows(only)[0]
    assert (summary["win_rate"], summary["n_chosen"], summary["controls"]) == (None, 0, {})
    assert in_words(summary) == "No λ left the text of any of 1 topics fluent."


@pytest.mark.parametrize(
    ("pairs", "value"),
    [
        ([], None),
        ([(1.0, 2.0)], None),
        ([(1.0, 2.0), (2.0, 2.0)], None),
        ([(1.0, 2.0), (2.0, 3.0)], 1.0),
        ([(1.0, 5.0), (2.0, 4.0), (3.0, 1.0)], -1.0),
    ],
)
def test_rank_correlation(pairs, value):
    assert rank_correlation(pairs) == (None if value is None else pytest.approx(value))
