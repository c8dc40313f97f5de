"""The study of K: rows, sentences and fates from made-up numbers, and a whole one."""

from __future__ import annotations

import csv
import json
import re
from itertools import combinations, pairwise
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mtmbench.core.cells import FitCell
from mtmbench.core.errors import InputError
from mtmbench.core.records import Record
from mtmbench.core.store import read_records
from mtmbench.stats.flow import Flow
from mtmbench.studies.flow_figure import MOST_DRAWN, flow_figure
from mtmbench.studies.flows import fate_counts, flow_facts, topic_fates, topic_flows
from mtmbench.studies.k import run_k_study
from mtmbench.studies.k_design import k_suite, plan_k_study
from mtmbench.studies.k_findings import k_findings
from mtmbench.studies.k_pages import k_study_files
from mtmbench.studies.k_tables import k_rows, k_study_json

KS = (5, 10, 20)
NPMI = {"name": "npmi", "title": "NPMI", "higher_is_better": True}
PERPLEXITY = {"name": "perplexity", "title": "perplexity", "higher_is_better": False}
STABILITY = {"name": "stability", "title": "stability", "higher_is_better": True}
JUDGE = {"name": "judge", "title": "share won", "higher_is_better": True}


def fit(k: int, seed: int) -> FitCell:
    return FitCell(f"{k}-{seed}", "c", "r", "lda", "lda", None, k, k, seed, {}, 1)


def plan(n_seeds: int = 4) -> Any:
    fits = tuple(fit(k, seed) for k in KS for seed in range(n_seeds))
    return SimpleNamespace(fits=fits, corpora={"c": None})


def metric(name: str, k: int, values: list[float | None], reason: str = "none") -> list[Record]:
    return [
        Record(
            "metric", f"{name}-{k}-{seed}", "skipped" if value is None else "ok",
            {"metric": name, "fits": [f"{k}-{seed}"], "value": value, "reason": reason},
        )
        for seed, value in enumerate(values)
    ]  # fmt: skip


def of_all(name: str, values: dict[int, list[float | None]]) -> list[Record]:
    return [record for k, own in values.items() for record in metric(name, k, own)]


CLEAR = {5: [0.10, 0.11, 0.10, 0.12], 10: [0.30, 0.31, 0.29, 0.30], 20: [0.29, 0.32, 0.28, 0.30]}


def sentences(records: list[Record], *measures: Any, n_seeds: int = 4) -> list[str]:
    return [f["text"] for f in k_findings(measures, k_rows(plan(n_seeds), records, measures))]


def test_rows_are_means_with_t_intervals_held_against_the_best() -> None:
    rows = {row["k"]: row for row in k_rows(plan(), of_all("npmi", CLEAR), [NPMI])}
    interval = stats.t.interval(0.95, 3, fmean(CLEAR[5]), stats.sem(CLEAR[5]))
    assert (rows[5]["lo"], rows[5]["hi"]) == pytest.approx(interval, abs=1e-4)
    assert [rows[k]["standing"] for k in KS] == ["worse", "best", "like the best"]
    p = {k: stats.ttest_rel(CLEAR[k], CLEAR[10]).pvalue for k in (5, 20)}
    assert rows[5]["p_holm"] == pytest.approx(2 * p[5], abs=1e-6)
    assert rows[20]["p_holm"] == pytest.approx(p[20], abs=1e-6)
    assert rows[5]["difference"] == pytest.approx(0.1075 - 0.3, abs=1e-4)
    assert (rows[10]["difference"], rows[10]["n_compared"]) == (None, None)


def test_a_k_without_its_bad_seeds_is_no_better_for_it() -> None:
    lost: dict[int, list[float | None]] = {
        # Under every seed it is below K = 10, which has the bad seeds too.
        5: [0.29, 0.30, None, None], 10: [0.30, 0.311, 0.01, 0.02], 20: [0.1, 0.1, 0.1, 0.1],
    }  # fmt: skip
    rows = {row["k"]: row for row in k_rows(plan(), of_all("npmi", lost), [NPMI])}
    assert {k: row["n_seeds"] for k, row in rows.items()} == dict.fromkeys(KS, 2)
    assert rows[10]["standing"] == "best"
    assert rows[10]["mean"] == pytest.approx(0.3055)
    assert rows[10]["reason"] == "over the seeds that all K have"
    # One shared seed is too few. K = 10 has the best mean by its last seed alone, and K = 20 is
    # above it wherever both have a value.
    few: dict[int, list[float | None]] = {
        5: [0.20, None, None, None], 10: [0.30, 0.31, 0.30, 0.90], 20: [0.41, 0.422, 0.409, None],
    }  # fmt: skip
    rows = {row["k"]: row for row in k_rows(plan(), of_all("npmi", few), [NPMI])}
    assert rows[10]["standing"] == "best"
    assert (rows[20]["difference"] > 0, rows[20]["p_holm"] < 0.05) == (True, True)
    assert rows[20]["standing"] == "like the best"


def test_a_sentence_names_the_best_and_what_cannot_be_told_from_it() -> None:
    assert sentences(of_all("npmi", CLEAR), NPMI) == [
        "NPMI is highest at K = 10, 0.300 (0.287 to 0.313); K = 20 cannot be told from it with 4 "
        "seeds; K = 5 is lower."
    ]
    lower = {k: [100 * value for value in own] for k, own in CLEAR.items()}
    assert sentences(of_all("perplexity", lower), PERPLEXITY) == [
        "Perplexity is lowest at K = 5, 11 (9 to 12); K = 10 and 20 are higher."
    ]


def test_one_seed_and_seeds_that_agree_tell_no_k_from_another() -> None:
    one = {k: own[:1] for k, own in CLEAR.items()}
    assert sentences(of_all("npmi", one), NPMI, n_seeds=1) == [
        "NPMI is highest at K = 10, 0.300; one seed has no spread, so no K can be told from "
        "another."
    ]
    (text,) = sentences(of_all("npmi", {k: [own[0]] * 4 for k, own in CLEAR.items()}), NPMI)
    assert text.endswith("; all seeds agree, which is no spread, so no K can be told from another.")


def test_what_has_no_value_is_said() -> None:
    lost = of_all("npmi", {**CLEAR, 20: [None] * 4})
    assert sentences(lost, NPMI)[0].endswith("; K = 5 is lower; K = 20 has no value (none).")
    assert sentences(of_all("npmi", {k: [None] for k in KS}), NPMI) == [
        "NPMI: no K has a value (none)."
    ]


def test_measures_that_disagree_are_said_to_and_no_k_is_recommended() -> None:
    falls = {5: [0.9, 0.91, 0.92, 0.9], 10: [0.5, 0.51, 0.5, 0.52], 20: [0.1, 0.12, 0.1, 0.1]}
    both = [*of_all("npmi", CLEAR), *of_all("nmi", falls)]
    nmi = {"name": "nmi", "title": "NMI", "higher_is_better": True}
    assert sentences(both, NPMI, nmi)[0] == (
        "The measures disagree: no K is among the best by all of them. Best by NPMI: K = 10 and "
        "20; NMI: K = 5."
    )
    alike = {k: [0.4, 0.5, 0.45, 0.42 + 0.001 * k] for k in KS}
    assert sentences([*of_all("npmi", CLEAR), *of_all("nmi", alike)], NPMI, nmi)[0] == (
        "K = 10 and 20 are best, or cannot be told from the best, by all 2 measures (NMI tells no "
        "K apart)."
    )


def test_stability_has_an_interval_over_seeds_not_over_pairs() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.random(4)
    pairs = [(x + y) / 2 for x, y in combinations(numbers, 2)]
    payload = {
        "metric": "stability", "fits": [f"5-{seed}" for seed in range(4)],
        "value": float(np.mean(pairs)), "reason": None, "details": {"overlaps": pairs},
    }  # fmt: skip
    (row,) = k_rows(plan(), [Record("metric", "s", "ok", payload)], [STABILITY])
    # Of means of two numbers it is the interval of the numbers' own mean.
    interval = stats.t.interval(0.95, 3, numbers.mean(), stats.sem(numbers))
    assert row["n_seeds"] == 4
    assert (row["mean"], row["lo"], row["hi"]) == pytest.approx(
        (numbers.mean(), max(0, interval[0]), min(1, interval[1])), abs=1e-4
    )


def match(a: int, b: int, seed: int, forward: str, backward: str) -> Record:
    sides = {side: {"fit": f"{k}-{seed}"} for side, k in (("a", a), ("b", b))}
    return Record(
        "match", f"{a}{b}{seed}", "ok", {**sides, "forward": forward, "backward": backward}
    )


def test_a_judges_score_is_the_share_won_against_the_other_k() -> None:
    # K = 5 wins two documents of four against 10 and ties one; it loses all against 20.
    records = [
        match(5, 10, 0, "aabb", "aaab"), match(5, 20, 0, "bbbb", "bbbb"),
        match(10, 20, 0, "aaua", "aaaa"),
    ]  # fmt: skip
    rows = {row["k"]: row for row in k_rows(plan(1), records, [JUDGE])}
    assert rows[5]["mean"] == pytest.approx(2.5 / 8, abs=1e-4)
    assert rows[10]["mean"] == pytest.approx((1.5 + 3) / 7, abs=1e-4)  # one was unparsed
    assert rows[20]["mean"] == pytest.approx(4 / 7, abs=1e-4)


def facts(forward: list[list[float]], backward: list[list[float]]) -> Any:
    return flow_facts(Flow(np.array(forward), np.array(backward)))


def test_fates_by_their_thresholds() -> None:
    told = facts(
        #  b0    b1    b2    b3    b4    b5
        [[0.96, 0.01, 0.01, 0.01, 0.01, 0.00],  # kept
         [0.00, 0.50, 0.30, 0.10, 0.05, 0.05],  # split: two parts of a quarter or more
         [0.02, 0.02, 0.02, 0.90, 0.04, 0.00],  # merged with the next
         [0.05, 0.00, 0.00, 0.60, 0.15, 0.20],  # merged: nothing else holds a quarter
         [0.20, 0.20, 0.20, 0.20, 0.10, 0.10]],  # vanished
        [[0.80, 0.01, 0.02, 0.01, 0.10, 0.00],
         [0.00, 0.90, 0.80, 0.10, 0.20, 0.30],
         [0.05, 0.04, 0.05, 0.45, 0.30, 0.20],
         [0.10, 0.00, 0.03, 0.35, 0.20, 0.40],
         [0.05, 0.05, 0.10, 0.09, 0.20, 0.10]],
    )  # fmt: skip
    fates, new = topic_fates(told)
    assert [(fate["fate"], fate["into"]) for fate in fates] == [
        ("kept", [0]), ("split", [1, 2]), ("merged", [3]), ("merged", [3]), ("vanished", []),
    ]  # fmt: skip
    assert fates[1]["shares"] == [0.5, 0.3]
    assert new == [4, 5]
    assert fate_counts(fates, new) == {
        "kept": 1, "split": 1, "merged": 2, "vanished": 1, "new": 2,
    }  # fmt: skip


def test_many_small_parts_are_a_split_and_not_new_topics() -> None:
    # Five parts of a fifth, which come from nowhere else.
    fates, new = topic_fates(facts([[0.2] * 5], [[1.0] * 5]))
    assert (fates[0]["fate"], len(fates[0]["into"]), new) == ("split", 5, [])


def flows_of(n: int) -> Any:
    share = [[float(i == j) for j in range(n)] for i in range(n)]
    told = facts(share, share)
    fates, new = topic_fates(told)
    topics = [
        {"k": k, "topic": i, "label": f"word{i}", "share": (n - i) / (n * (n + 1) / 2)}
        for k in (n, n + 1)
        for i in range(n)
    ]
    step = {"k_from": n, "k_to": n + 1, **told, "fates": fates, "new": new}
    return {"corpus": "c", "model": "lda", "seed": 0, "topics": topics, "steps": [step]}


def test_a_figure_draws_boxes_apart_and_bands_within_them() -> None:
    figure = flow_figure(flows_of(6))
    assert len(figure.boxes) == 12
    assert len(figure.bands) == 6
    assert figure.left_out == ""
    for x in {box.x for box in figure.boxes}:
        column = sorted((box for box in figure.boxes if box.x == x), key=lambda box: box.y)
        for upper, lower in pairwise(column):
            assert upper.y + upper.height < lower.y
        assert column[-1].y + column[-1].height <= figure.height
    first = {box.label: box for box in figure.boxes if box.x == figure.boxes[0].x}
    for band in figure.bands:
        label = re.search("“(.*?)”", band.told)
        assert label is not None
        box = first[label[1]]
        assert float(band.path.split()[1].split("C")[0]) == pytest.approx(box.y, abs=0.1)
        assert float(band.path.split()[-1][:-1]) == pytest.approx(box.y + box.height, abs=0.1)
        assert band.kind == "words"  # kept


def test_beyond_fifty_topics_the_largest_are_drawn() -> None:
    figure = flow_figure(flows_of(60))
    assert len(figure.boxes) == 2 * MOST_DRAWN
    assert figure.left_out == (
        "The 50 largest topics of a K are drawn; left out: 10 of K = 60, 10 of K = 61."
    )
    assert not any("word59" in box.told for box in figure.boxes)


def test_wrong_questions_are_refused() -> None:
    for ks, seeds, more, says in (
        ([5], 3, {}, r"at least two numbers of topics, not \[5\]"),
        ([5, 9], 0, {}, "at least one seed, not 0"),
        ([5, 9], 3, {"judging.representations": ["summary"]}, "one judge, topics shown by"),
        ([5, 9], 3, {"features.settings": ["default", "paper"]}, "one feature setting, not 2"),
    ):
        with pytest.raises(InputError, match=says):
            k_suite(["lee"], ["lda"], ks, seeds, "embedding", more)


def test_features_that_a_judge_is_shown_have_the_labels_of_any_run(corpus_file: Path) -> None:
    def planned(shown: str) -> Any:
        asked = {"features.labels": "corpus", "judging.representations": [shown]}
        suite = k_suite([str(corpus_file)], ["mlda"], [3, 4], 1, "lexical", asked)
        return plan_k_study(suite, None, ())

    items = planned("items")
    (match,) = items.matches
    assert {cell.fit.key for cell in match.labels} == {fit.key for fit in items.fits}
    assert {cell.key for cell in items.labels} == {cell.key for cell in match.labels}
    assert planned("projected").labels == ()


@pytest.mark.slow
def test_from_three_topics_to_the_four_planted_ones_one_splits(
    corpus_file: Path, tmp_path: Path
) -> None:
    options: Any = {
        "models": ["k_means"], "ks": [3, 4], "seeds": 2, "judge": "lexical", "workers": 0,
        "out": tmp_path / "k", "overrides": {"words.max_df": 1.0, "judging.documents": 20},
    }  # fmt: skip
    outcome = run_k_study([str(corpus_file)], **options)
    assert outcome.run.errors == ()
    study = outcome.study
    (flows,) = study["flows"]
    (step,) = flows["steps"]
    assert fate_counts(step["fates"], step["new"]) == {
        "kept": 2, "split": 1, "merged": 0, "vanished": 0, "new": 0,
    }  # fmt: skip
    (split,) = (fate for fate in step["fates"] if fate["fate"] == "split")
    assert split["shares"] == pytest.approx([0.5, 0.5], abs=0.02)
    nmi = {row["k"]: row["mean"] for row in study["rows"] if row["measure"] == "nmi"}
    assert nmi[4] == pytest.approx(1.0)
    assert nmi[3] < 1
    judged = {row["k"]: row["mean"] for row in study["rows"] if row["measure"] == "judge"}
    assert sum(judged.values()) == pytest.approx(1, abs=1e-3)
    # Every file follows from what lies in the folder, without the results.
    written = {path.name: path.read_bytes() for path in outcome.files}
    suite = k_suite([str(corpus_file)], ["k_means"], [3, 4], 2, "lexical", options["overrides"])
    plan = plan_k_study(suite, None, ())
    for result in (outcome.folder / "results").glob("*"):
        result.unlink()
    records = list(read_records(outcome.folder / "records.jsonl"))
    rebuilt = k_study_files(k_study_json(plan, records, topic_flows(plan, outcome.folder)))
    assert {name: text.encode() for name, text in rebuilt.items()} == {
        name: content for name, content in written.items() if name != "study.png"
    }
    assert json.loads(written["study.json"]) == json.loads(json.dumps(study))
    with (outcome.folder / "study.csv").open() as file:
        assert [row["k"] for row in csv.DictReader(file)] == [
            str(row["k"]) for row in study["rows"]
        ]
    page = written["study.html"].decode()
    assert page.count("<rect") == 7
    assert "could not" not in page
