"""Sentences and rows from made-up records: they say what the numbers bear, and no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from mtmbench.core.records import Record
from mtmbench.studies.design import Design, Point
from mtmbench.studies.findings import findings
from mtmbench.studies.tables import study_rows

SETTINGS = ("q0", "q0.5", "q0.9")
DESIGN = Design(
    "threshold",
    "At which quantile?",
    "threshold quantile",
    tuple(
        Point(name, f"quantile {name[1:]}", float(name[1:]), {}, name == "q0", default=name == "q0")
        for name in SETTINGS
    ),
)
Values = Mapping[str | None, Sequence[float | None]]


def records(values: Values, metric: str = "nmi", reason: str = "no gold labels") -> list[Record]:
    """One record per setting and seed; None is a value that is missing."""
    found = []
    for setting, of_seeds in values.items():
        for seed, value in enumerate(of_seeds):
            payload = {
                "corpus": "c", "model": "lda" if setting is None else "mlda", "setting": setting,
                "metric": metric, "seed": seed, "value": value,
                "reason": reason if value is None else None,
            }  # fmt: skip
            status = "skipped" if value is None else "ok"
            found.append(Record("metric", f"{metric}-{setting}-{seed}", status, payload))
    return found


def rows(values: Values, **more: Any) -> dict[str | None, dict[str, Any]]:
    return {row["setting"]: row for row in study_rows(DESIGN, records(values, **more), ["c"])}


def sentence(values: Values, **more: Any) -> str:
    found = findings(DESIGN, study_rows(DESIGN, records(values, **more), ["c"]))
    (text,) = [row["text"] for row in found]
    return str(text)


CLEAR = {"q0": [0.40, 0.41, 0.42, 0.40], "q0.5": [0.50, 0.52, 0.52, 0.51], "q0.9": [0.3] * 4}
NOISE = {"q0": [0.40, 0.44, 0.42], "q0.5": [0.45, 0.40, 0.43], "q0.9": [0.41, 0.43, 0.41]}


def test_rows_are_means_with_t_intervals_and_paired_differences() -> None:
    from scipy import stats

    found = rows({**CLEAR, None: [0.45, 0.47]})
    row = found["q0.5"]
    interval = stats.t.interval(0.95, 3, 0.5125, stats.sem(CLEAR["q0.5"]))
    assert row["mean"] == 0.5125
    assert (row["lo"], row["hi"]) == pytest.approx(interval, abs=1e-4)
    test = stats.ttest_rel(CLEAR["q0.5"], CLEAR["q0"])
    assert row["difference"] == pytest.approx(0.105, abs=1e-4)
    assert row["p"] == pytest.approx(test.pvalue, abs=1e-6)
    other = stats.ttest_rel(CLEAR["q0.9"], CLEAR["q0"]).pvalue
    small, large = sorted([test.pvalue, other])
    assert sorted([row["p_holm"], found["q0.9"]["p_holm"]]) == pytest.approx(
        [2 * small, max(2 * small, large)], abs=1e-6
    )
    assert found["q0"]["n_compared"] is None
    assert found[None]["mean"] == 0.46
    assert found[None]["difference"] is None


def test_what_differs_is_told_with_both_directions() -> None:
    assert sentence(CLEAR) == (
        "NMI with the labels: beyond the spread over seeds, quantile 0.5 is higher than the "
        "default (quantile 0, 0.407), and quantile 0.9 is lower than the default (quantile 0, "
        "0.407); the highest mean of the 3 settings is at quantile 0.5, 0.512, by "
        "+0.105 (95 % interval, paired over 4 seeds, 0.096 to 0.114; p < 0.001 after Holm's "
        "correction for 2 settings compared)."
    )


def test_noise_is_no_difference() -> None:
    text = sentence(NOISE)
    assert text.startswith(
        "NMI with the labels: no difference beyond the spread over seeds from the default "
        "(quantile 0, 0.420); the highest mean of the 3 settings is at quantile 0.5, "
    )
    assert "higher than" not in text


def test_an_interval_that_excludes_zero_alone_is_not_enough() -> None:
    # d = 0.04, 0.05, 0.06, 0.01: p = 0.036 by itself, 0.073 as one of two.
    base = [0.40, 0.41, 0.42, 0.43]
    text = sentence(
        {"q0": base, "q0.5": [0.44, 0.46, 0.48, 0.44], "q0.9": [0.41, 0.40, 0.43, 0.42]}
    )
    assert "no difference beyond the spread over seeds from the default (quantile 0, " in text
    assert ", though taken alone quantile 0.5 would be higher; the highest" in text
    row = rows({"q0": base, "q0.5": [0.44, 0.46, 0.48, 0.44], "q0.9": [0.41, 0.40, 0.43, 0.42]})
    assert row["q0.5"]["difference_lo"] > 0
    assert row["q0.5"]["p"] < 0.05 < row["q0.5"]["p_holm"]


def test_a_default_that_is_best() -> None:
    text = sentence({"q0": CLEAR["q0.5"], "q0.5": CLEAR["q0"], "q0.9": [0.51, 0.52, 0.50, 0.52]})
    assert "quantile 0.5 is lower than the default (quantile 0, 0.512); none is higher" in text
    assert text.endswith("the highest mean of the 3 settings is the default's own.")


def test_equal_values_and_agreeing_seeds() -> None:
    assert "every setting gives what the default (quantile 0, 0.500) gives" in sentence(
        {name: [0.4, 0.6] for name in SETTINGS}
    )
    text = sentence({"q0": [0.5, 0.5], "q0.5": [0.6, 0.6], "q0.9": [0.4, 0.4]})
    assert "all seeds agree, so there is no spread to hold differences" in text
    assert text.endswith("is at quantile 0.5, 0.600, by +0.100 without an interval.")


def test_missing_values() -> None:
    text = sentence({**NOISE, "q0.9": [None] * 3})
    assert text.endswith("; 1 of 3 settings have no value.")
    assert "for 2 settings compared" in text  # the lost one was to be compared too
    text = sentence({**NOISE, "q0": [None] * 3})
    assert "the default (quantile 0) has no value (no gold labels), so nothing is compared" in text
    text = sentence({name: [None] for name in SETTINGS})
    assert text == "NMI with the labels: no setting has a value (no gold labels)."
    text = sentence({"q0": [0.4, 0.5], "q0.5": [None], "q0.9": [None]})
    assert "the default (quantile 0, 0.450) alone has a value, so nothing is compared" in text
    partial = rows({"q0": [0.4, 0.5, 0.6], "q0.5": [0.5, None, 0.65], "q0.9": [0.4, 0.5, 0.6]})
    assert (partial["q0.5"]["n_seeds"], partial["q0.5"]["n_paired"]) == (2, 2)
    assert partial["q0.5"]["reason"] == "some seeds without a value: no gold labels"


def test_the_first_metric_of_a_corpus_leads() -> None:
    both = [*records(NOISE, metric="diversity"), *records(CLEAR, metric="npmi")]
    found = findings(DESIGN, study_rows(DESIGN, both, ["c"]))
    assert [(row["metric"], row["leads"]) for row in found] == [
        ("npmi", True), ("diversity", False),
    ]  # fmt: skip


def test_series_have_baselines_of_their_own() -> None:
    design = Design(
        "layer",
        "Which layer?",
        "layer",
        (
            Point("a2", "layer 2", 2, {}, baseline=True, series="window 1"),
            Point("a4", "layer 4", 4, {}, series="window 1"),
            Point("b2", "layer 2", 2, {}, series="window 9"),
            Point("b4", "layer 4", 4, {}, baseline=True, series="window 9", default=True),
        ),
    )
    values = {"a2": [0.1, 0.11, 0.1], "a4": [0.3, 0.31, 0.31], "b2": [0.2, 0.2, 0.22],
              "b4": [0.5, 0.51, 0.5]}  # fmt: skip
    found = {row["setting"]: row for row in study_rows(design, records(values), ["c"])}
    assert found["a4"]["difference"] == pytest.approx(0.2033, abs=1e-4)
    assert found["b2"]["difference"] == pytest.approx(-0.2967, abs=1e-4)
    assert found["a4"]["n_compared"] == found["b2"]["n_compared"] == 1
    told = findings(design, list(found.values()))
    assert [row["series"] for row in told] == ["window 1", "window 9"]
    assert "higher than the baseline (layer 2, 0.103)" in told[0]["text"]
    assert "lower than the default (layer 4, 0.503); none is higher" in told[1]["text"]
    assert "Holm" not in told[0]["text"]
