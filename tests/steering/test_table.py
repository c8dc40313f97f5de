"""The three files of the steering table, by hand."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace

import pytest
from scipy.stats import t

from mtmbench.steering.evaluate import TextScores, table_row
from mtmbench.steering.table import steering_files, write_table
from mtmbench.steering.units import Strength
from mtmbench.steering.win_rate import WinRate

SCORES = TextScores(10, 31.23456, 20.0, 0.91, 1.0, 0.0, 0.4, 2.0)


def row(method, value, *, topic=3, chosen=None, steered=None, strength=None, rate=None):
    made = table_row(
        corpus="lee", model="mlda", topic=topic, method=method, strength=strength, judge="words",
        rate=rate or WinRate(value, value - 0.1, value + 0.1, 0.0, 1.0, 10, 5, 0),
        scores=replace(SCORES, mean_change=0.0) if method == "none" else SCORES,
        delta_l=None,
    )  # fmt: skip
    rated = {"concept": 2.0, "instruction": 1.0, "fluency": 2.0, "overall": 1.5}
    none = dict.fromkeys(rated)
    return {**made, "k": 7, "chosen": chosen, "steered": steered, **(rated if chosen else none)}


TWO, ONE = (Strength(level, "p99") for level in (2.0, 1.0))
NULLS = WinRate(0.5, 0.4, 0.6, 0.4, 0.6, 10, 5, 0, None, (0.47, 0.5, 0.53 + 1e-9))
ROWS = [
    row("topic", 0.81236, chosen=True, steered=True, strength=TWO),
    row("none", 0.5),
    row("permuted", 0.5, rate=NULLS),
    row("other_topic", 0.5, rate=NULLS),
    row("topic", 0.4, topic=4, chosen=False, strength=ONE),
    row("none", None, topic=4, rate=WinRate(None, None, None, None, None, 0, 0, 3, "none judged")),
]


def test_json_and_csv(tmp_path):
    files = write_table(tmp_path / "new", ROWS, title="Toy")
    assert [path.name for path in files] == ["steering.json", "steering.csv", "steering.md"]
    written = json.loads(files[0].read_text(encoding="utf-8"))
    assert written["schema"] == 2
    half = round(t.ppf(0.975, 2) * 0.03 * math.sqrt(4 / 3), 4)
    assert written["verdicts"] == [
        {
            "corpus": "lee", "model": "mlda", "k": 7, "judge": "words", "topic": 3,
            "control": control, "difference": 0.3124, "lo": pytest.approx(0.3124 - half, abs=2e-4),
            "hi": pytest.approx(0.3124 + half, abs=2e-4), "n_directions": 3,
        }
        for control in ("permuted", "other_topic")
    ]  # fmt: skip
    assert [row["topic"] for row in written["topics"]] == [3, 4]
    assert (written["summary"][0]["n_steered"], written["summary"][0]["win_rate"]) == (1, 0.8124)
    assert len(written["rows"]) == 6
    first = written["rows"][0]
    assert (first["win_rate"], first["perplexity"]) == (0.8124, 31.2346)
    assert (first["chosen"], first["steered"], first["n"]) == (True, True, 10)
    assert written["rows"][2]["by_direction"] == [0.47, 0.5, 0.53]
    assert written["rows"][5]["win_rate"] is None
    with files[1].open(encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [line["win_rate"] for line in read] == ["0.8124", "0.5", "0.5", "0.5", "0.4", ""]
    assert list(read[0]) == [name for name in first if name != "by_direction"]


def test_the_page(tmp_path):
    page = write_table(tmp_path, ROWS, title="Toy *and* more", notes=["Read <this>."])[2]
    lines = page.read_text(encoding="utf-8").splitlines()
    assert lines[0] == r"# Toy \*and\* more"
    assert "- Read &lt;this&gt;." in lines
    assert "## mlda on lee, K = 7, judge words" in lines
    assert (
        "1 of 2 topics count as steered (1 by every judge); for 1 no λ left the text fluent. Mean "
        "win rate at the chosen λ 81 % (permuted 50 % and other_topic 50 %). In the scored texts "
        "controls changed activations by 1.00 (permuted) to 1.00 (permuted) times as much as the "
        "topics."
    ) in lines
    assert r"| topic | less permuted | less other\_topic |" in lines
    assert "| 3 | +0.31 (+0.16 to +0.46) | +0.31 (+0.16 to +0.46) |" in lines
    assert "| lee | mlda | 3 | 2 p99 | – | 1 | words |" in lines
    assert "| lee | mlda | 4 | – | – | 0 | none |" in lines
    rest = "31.2 | 0.91 | – | 0.4"
    assert (
        f"| 3 | topic (chosen) | 2 p99 | 0.81 (0.71 to 0.91) | 10 | {rest} | 2 | 2 | 1 | 2 | 1.5 |"
        in lines
    )
    assert f"| 4 | none | – | – | 0 | {rest} | 0 | – | – | – | – |" in lines


def test_the_page_says_why_no_topic_can_count_as_steered(tmp_path):
    single = [
        {**each, "by_direction": [0.5]} if each["method"] == "other_topic" else each
        for each in ROWS
    ]
    files = write_table(tmp_path, single, title="Toy")
    verdicts = json.loads(files[0].read_text(encoding="utf-8"))["verdicts"]
    assert {each["control"] for each in verdicts} == {"permuted"}
    lines = files[2].read_text(encoding="utf-8").splitlines()
    assert "| 3 | +0.31 (+0.16 to +0.46) | – |" in lines
    assert (
        "No topic can count as steered: no topic with a chosen λ has several judged directions of "
        r"other\_topic, so that nothing says how they spread."
    ) in lines
    page = write_table(tmp_path, ROWS, title="Toy")[2].read_text(encoding="utf-8")
    assert "No topic can count" not in page


def test_tables_of_the_first_schema_say_what_was_done_then(tmp_path):
    table = json.loads(write_table(tmp_path, ROWS, title="Toy")[0].read_text(encoding="utf-8"))
    now = steering_files(table, title="Toy")["steering.md"]
    old = {name: value for name, value in table.items() if name != "verdicts"} | {"schema": 1}
    for row in old["summary"]:
        del row["method"], row["changes"]
    then = steering_files(old, title="Toy")["steering.md"]
    assert "in the mean over a reference text" in then
    assert r"lies above the intervals of permuted and other\_topic" in then
    assert "less permuted" not in then
    assert "in the mean over generated text" in now
    assert "95 % for all topics of a model together" in now
