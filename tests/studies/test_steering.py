"""The steering study: points and sentences by hand, the pages, and a whole one on small data."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import Suite
from mtmbench.stats.intervals import mean_interval
from mtmbench.steering.summary import topic_rows
from mtmbench.studies.steering import steering_study_json, study_points
from mtmbench.studies.steering_pages import steering_study_files

SUITE = parse_card(
    {
        "name": "study", "corpora": ["toy"], "models": ["mlda"],
        "features": {"source": "tinylm"}, "steering": {"topics": 3},
    },
    Suite, "study",
)  # fmt: skip
TFIDF, PLAIN = "mbertopic:default", "mbertopic:default, frequencies"
RATES = {TFIDF: (0.7, 0.8, 0.9), PLAIN: (0.5, 0.5, 0.8)}
LEVELS = (1.0, 2.0)


def rows(chosen=((2.0, 2.0, 1.0), (2.0, 1.0, None))):
    """Three topics of two models; each topic's win rate is that of RATES, plus 0.05 at λ = 2."""
    found = []
    for model, levels in zip(RATES, chosen, strict=True):
        for topic in range(3):
            base = {
                "corpus": "toy", "model": model, "k": 3, "topic": topic, "judge": "words",
                "perplexity_baseline": 10.0, "delta_l": 0.1, "mean_change": 5.0,
                "by_direction": None,
            }  # fmt: skip
            for level in LEVELS:
                own = level == levels[topic]
                found.append(
                    {
                        **base, "method": "topic", "lambda": level, "lambda_unit": "p99",
                        "win_rate": RATES[model][topic] + (0.05 if level == 2 else 0),
                        "perplexity": 10.0 * level * 2**topic, "drift": 0.1 * (topic + level),
                        "chosen": own, "steered": (topic > 0) if own else None,
                    }
                )  # fmt: skip
            found.append(
                {
                    **base, "method": "none", "lambda": None, "lambda_unit": None,
                    "win_rate": 0.5, "perplexity": 10.0, "drift": 0.3, "chosen": None,
                    "steered": None,
                }
            )  # fmt: skip
    return found


def point(points, model, measure, level):
    return next(
        p for p in points if (p["model"], p["measure"], p["lambda"]) == (model, measure, level)
    )


def test_points_by_hand():
    points = study_points(rows(), topic_rows(rows()))
    assert len(points) == 2 * 3 * 3
    two = point(points, TFIDF, "relevance", 2.0)
    mean, lo, hi = mean_interval([0.75, 0.85, 0.95])
    ends = [two[name] for name in ("mean", "lo", "hi")]
    assert ends == pytest.approx([mean, lo, min(hi, 1)], abs=1e-4)
    assert (two["n"], two["n_chosen"], two["best"], two["judge"]) == (3, 2, True, "words")
    assert (point(points, TFIDF, "relevance", 1.0)["best"], two["lambda_unit"]) == (False, "p99")
    # Ratios 2, 4 and 8: their geometric mean, and the interval of their logarithms.
    cost = point(points, TFIDF, "perplexity", 2.0)
    ends = [math.exp(end) for end in mean_interval([math.log(r) for r in (2, 4, 8)])]
    assert [cost[name] for name in ("mean", "lo", "hi")] == pytest.approx(ends, abs=1e-3)
    assert (cost["mean"], cost["judge"]) == (4.0, None)
    assert point(points, TFIDF, "drift", 1.0)["mean"] == pytest.approx(0.2)
    plain = point(points, TFIDF, "relevance", None)
    assert (plain["mean"], plain["lo"], plain["best"]) == (0.5, None, False)
    # One topic chose each λ: the weaker is the operating point.
    assert point(points, PLAIN, "relevance", 1.0)["best"] is True


def test_findings_by_hand():
    found = {f["model"]: f["text"] for f in steering_study_json(SUITE, rows())["findings"]}
    assert found[TFIDF].startswith(
        "at λ = 2 p99, which 2 of 3 topics chose, steered text is found more about its topic in "
        "85 % (60 to 100) by words, at 4.00 (0.71 to 22.38) times the perplexity of unsteered "
        "text."
    )
    assert found[TFIDF].endswith("2 of 3 topics lie above the permuted and other-topic controls by "
                                 "every judge.")  # fmt: skip
    # Topics 0 and 1 have a chosen λ both ways: .75 and .85 against .55 and .5.
    assert found["mbertopic, judge words"] == (
        "with TF-IDF weights 80 %, without 52 %, over the 2 topics that have a chosen λ both ways: "
        "no difference beyond the spread over topics, +28 points (−68 to +123)."
    )


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        (((None,) * 3, (1.0,) * 3), "no topic has a chosen λ both with and without TF-IDF weights"),
        (((1.0, None, None), (1.0,) * 3), "70 %, without 50 %, over the 1 topics"),
    ],
)
def test_what_cannot_be_compared(chosen, text):
    found = {f["model"]: f["text"] for f in steering_study_json(SUITE, rows(chosen))["findings"]}
    assert text in found["mbertopic, judge words"]
    if chosen[0][0] is None:
        assert found[TFIDF].startswith("no λ left the text of any of 3 topics fluent")


def test_the_pages_escape_what_they_are_told():
    evil = "<script>alert('x')</script>|=1"
    study = json.loads(json.dumps(steering_study_json(SUITE, rows())).replace(TFIDF, evil))
    files = steering_study_files(study)
    assert "<script" not in files["study.html"] + files["study.md"]
    assert "&lt;script&gt;alert(&#39;x&#39;)" in files["study.html"]
    assert r"&lt;script&gt;alert('x')&lt;/script&gt;\|=1" in files["study.md"]


def test_the_pages():
    study = steering_study_json(SUITE, rows())
    files = steering_study_files(study)
    assert set(files) == {"study.json", "study.csv", "study.md", "study.html"}
    assert json.loads(files["study.json"]) == study
    read = list(csv.DictReader(io.StringIO(files["study.csv"])))
    assert [line["mean"] for line in read] == [str(p["mean"]) for p in study["points"]]
    lines = files["study.md"].splitlines()
    assert "| mbertopic:default | 2 p99 | 4.00 | 0.71 to 22.38 | 3 | 2 (operating point) |" in lines
    assert "| mbertopic:default | unsteered | 0.50 | – | 3 | 0 |" in lines
    # A marked row for each model and measure, a dashed line in each row that is drawn.
    assert files["study.html"].count('<tr class="best">') == 2 * 3
    assert files["study.html"].count('class="reference"') == 2 * 3 * 2
