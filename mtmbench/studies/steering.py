"""``study steering``: what λ buys and costs, for each model; mBERTopic with and without TF-IDF."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtmbench.boards.numbers import estimate, fixed, within
from mtmbench.boards.steering_rows import (
    SteeredTopic,
    SteeringRow,
    SteeringSummary,
    SteeringTotals,
)
from mtmbench.core.card_reading import parse_card, set_dotted
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError
from mtmbench.core.records import SCHEMA_VERSION
from mtmbench.core.serialise import rounded
from mtmbench.core.specs import KSpec
from mtmbench.core.tables import rounded_row, write_files
from mtmbench.engine.harness import RunProgress, run_suite
from mtmbench.stats.intervals import mean_interval
from mtmbench.stats.paired import paired_difference
from mtmbench.steering.rows import experiment_rows
from mtmbench.steering.suite import experiments
from mtmbench.steering.summary import strength_text, summary_rows, topic_rows
from mtmbench.studies.rows import (
    Measure,
    MeasureMean,
    SteeringFinding,
    SteeringPoint,
    SteeringStudyTables,
)
from mtmbench.studies.steering_pages import MEASURES, steering_study_files

_CORPORA = ("bills",)
_MODELS = ("mlda", "metm", "mbertopic")
WEIGHED = "mbertopic"
"""The model that is also steered by frequencies, without its TF-IDF weights."""

_CONFIDENCE, _DIGITS = 0.95, 4


@dataclass(frozen=True)
class SteeringStudy:
    """What :func:`run_steering_study` left behind: its ``study.json`` and the files written."""

    folder: Path
    study: SteeringStudyTables
    files: tuple[Path, ...]


def run_steering_study(
    corpora: Sequence[str] = (),
    *,
    source: str = "tinylm",
    models: Sequence[str] = _MODELS,
    topics: int = 5,
    k: KSpec = "labels",
    out: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    data_dir: Path | None = None,
    plugins: Sequence[str] = (),
    workers: int | None = None,
    progress: RunProgress | None = None,
    text_progress: Callable[[int, int], None] | None = None,
    budget: float | None = None,
) -> SteeringStudy:
    """Steers by every model's topics and writes relevance, perplexity and drift against λ.

    Interrupted, the same call goes on where it stopped.

    Args:
        corpora: names, files or folders; bills by default.
        source: a feature source of a causal language model.
        models: models over features; mBERTopic is steered without its TF-IDF weights too.
        topics: how many of each model, of largest share.
        k: number of topics, or "labels".
        out: the study's folder, by default ``runs/studies/steering``.
        overrides: dotted keys of the suite behind the study (``steering.lambdas``, …).
        data_dir: folder of local corpora.
        plugins: files or modules that register more.
        workers: processes of the fits; None takes every core, 0 plays in this process.
        progress: told how the fits get on.
        text_progress: told how many of how many texts are there.
        budget: what language models' answers about its texts may cost altogether.

    Raises:
        InputError: a name is not known, a fit failed, or the source has no causal language model.
        StoreInUseError: another run holds the folder.
    """
    suite = _suite(corpora, source, models, topics, k, overrides)
    folder = out or Path("runs") / "studies" / "steering"
    run = run_suite(
        suite, folder, data_dir=data_dir, plugins=plugins, workers=workers, progress=progress
    )
    if run.errors:
        raise InputError(f"{run.errors[0][0]} could not be fitted: {run.errors[0][1]}")
    suites = [suite]
    if WEIGHED in models:
        changes = {"models": (WEIGHED,), "weights": "frequencies"}
        spec = suite.steering.model_copy(update=changes) if suite.steering else None
        suites.append(suite.model_copy(update={"steering": spec}))
    rows: list[SteeringRow] = [
        {**row, "k": cell.k}
        for each in suites
        for cell, experiment in experiments(each, folder, data_dir, plugins, text_progress, budget)
        for row in experiment_rows(experiment)
    ]
    study = steering_study_json(suite, rows)
    return SteeringStudy(folder, study, tuple(write_files(folder, steering_study_files(study))))


def steering_study_json(suite: Suite, rows: Sequence[SteeringRow]) -> SteeringStudyTables:
    """Returns the content of ``study.json`` from the rows of the steering tables."""
    assert suite.steering is not None
    summary, topics = summary_rows(rows), topic_rows(rows)
    points = study_points(rows, topics)
    return {
        "schema": SCHEMA_VERSION,
        "study": "steering",
        "question": "How far should text be steered, and by which model's topics?",
        "source": suite.features.source,
        "max_tokens": suite.features.max_tokens,
        "steering": suite.steering.model_dump(mode="json"),
        "corpora": list(dict.fromkeys(row["corpus"] for row in rows)),
        "models": list(dict.fromkeys(row["model"] for row in rows)),
        "judges": list(dict.fromkeys(row["judge"] for row in rows)),
        "points": points,
        "summary": [rounded_row(_totals(row), _DIGITS) for row in summary],
        "findings": _findings(rows, points, summary),
        "notes": list(_NOTES),
    }


_NOTES = (
    "Intervals are 95 % t-intervals over the topics of one fit, kept within 0 and 1 for a share.",
    "Everything is of the half of the prompts that no λ was chosen on. The operating point is the "
    "λ that most topics chose on the other half, the weaker of equals: of highest win rate by the "
    "first judge among those whose text has at most twice the perplexity of unsteered text and at "
    "least 0.8 of its distinct-2.",
    "Perplexity is under the unsteered model, and its mean the geometric one.",
    "Two unsteered texts of a prompt drift apart too: the dashed line of drift is what they do. "
    "The dashed line of relevance is theirs as well.",
)


def _totals(row: SteeringSummary) -> SteeringTotals:
    """Returns a row of the summary without its controls."""
    return {
        "corpus": row["corpus"],
        "model": row["model"],
        "k": row["k"],
        "judge": row["judge"],
        "n_topics": row["n_topics"],
        "n_chosen": row["n_chosen"],
        "win_rate": row["win_rate"],
        "n_steered": row["n_steered"],
        "n_steered_by_all": row["n_steered_by_all"],
        "n_spearman": row["n_spearman"],
        "n_spearman_positive": row["n_spearman_positive"],
        "perplexity_ratio": row["perplexity_ratio"],
    }


def study_points(
    rows: Sequence[SteeringRow], topics: Sequence[SteeredTopic]
) -> list[SteeringPoint]:
    """Returns a row for each corpus, model, measure, judge and λ: the mean over topics.

    Perplexity and drift have no judge. ``lambda`` None is no steering. ``best`` marks the operating
    point, ``n_chosen`` says how many topics chose the λ.
    """
    found: list[SteeringPoint] = []
    first = rows[0]["judge"] if rows else None
    for corpus, model in dict.fromkeys((row["corpus"], row["model"]) for row in rows):
        mine = [row for row in rows if (row["corpus"], row["model"]) == (corpus, model)]
        choices: list[float | None] = [
            t["lambda"] for t in topics
            if (t["corpus"], t["model"]) == (corpus, model) and t["lambda"] is not None
        ]  # fmt: skip
        levels = sorted(
            {
                level for row in mine
                if row["chosen"] is not None and (level := row["lambda"]) is not None
            }
        )  # fmt: skip
        best = max(levels, key=lambda level: (choices.count(level), -level)) if choices else None
        for measure in MEASURES:
            judges = list(dict.fromkeys(row["judge"] for row in mine))
            for judge in judges if measure == "relevance" else [first]:
                for level in (*levels, None):
                    here = [
                        row for row in mine
                        if (row["judge"], row["lambda"]) == (judge, level)
                        and (row["method"] == "none" or row["chosen"] is not None)
                    ]  # fmt: skip
                    found.append(
                        {
                            "corpus": corpus, "model": model, "measure": measure,
                            "judge": judge if measure == "relevance" else None, "lambda": level,
                            "lambda_unit": here[0]["lambda_unit"] if here else None,
                            **_mean(measure, here), "n_chosen": choices.count(level),
                            "best": level is not None and level == best,
                        }
                    )  # fmt: skip
    return found


def _mean(measure: Measure, rows: Sequence[SteeringRow]) -> MeasureMean:
    values = [value for value in (_value(measure, row) for row in rows) if value is not None]
    if not values:
        return {"n": 0, "mean": None, "lo": None, "hi": None}
    ends: tuple[float | None, ...] = mean_interval(values, _CONFIDENCE)
    if measure == "perplexity":
        ends = tuple(None if end is None else math.exp(end) for end in ends)
    if measure == "relevance":
        ends = tuple(None if end is None else min(1.0, max(0.0, end)) for end in ends)
    mean, lo, hi = (rounded(end, _DIGITS) for end in ends)
    return {"n": len(values), "mean": mean, "lo": lo, "hi": hi}


def _value(measure: Measure, row: SteeringRow) -> float | None:
    if measure == "relevance":
        return row["win_rate"]
    if measure == "drift":
        return row["drift"]
    if row["perplexity"] is None or not row["perplexity_baseline"]:
        return None
    return math.log(row["perplexity"] / row["perplexity_baseline"])


def _findings(
    rows: Sequence[SteeringRow],
    points: Sequence[SteeringPoint],
    summary: Sequence[SteeringSummary],
) -> list[SteeringFinding]:
    found: list[SteeringFinding] = []
    for corpus, model in dict.fromkeys((point["corpus"], point["model"]) for point in points):
        mine = [point for point in points if (point["corpus"], point["model"]) == (corpus, model)]
        told = [row for row in summary if (row["corpus"], row["model"]) == (corpus, model)]
        found.append({"corpus": corpus, "model": model, "text": _sentence(mine, told)})
    for corpus in dict.fromkeys(row["corpus"] for row in rows):
        here = [row for row in rows if row["corpus"] == corpus and row["chosen"] is not None]
        for judge in dict.fromkeys(row["judge"] for row in here):
            text = _tfidf_sentence([row for row in here if row["judge"] == judge])
            if text is not None:
                found.append({"corpus": corpus, "model": f"{WEIGHED}, judge {judge}", "text": text})
    return found


def _sentence(points: Sequence[SteeringPoint], summary: Sequence[SteeringSummary]) -> str:
    best = [point for point in points if point["best"]]
    n = summary[0]["n_topics"]
    if not best:
        return f"no λ left the text of any of {n} topics fluent, so there is no operating point."
    rates = [
        f"{_hundredths(point['mean'])} %{within(point['lo'], point['hi'], _hundredths)} by "
        f"{point['judge']}"
        for point in best
        if point["measure"] == "relevance" and point["mean"] is not None
    ]
    cost = next(point for point in best if point["measure"] == "perplexity")
    at = best[0]
    return (
        f"at λ = {strength_text(at)}, which {at['n_chosen']} of {n} topics chose, "
        f"steered text is found more about its topic in {' and '.join(rates)}, at "
        f"{estimate(cost['mean'], cost['lo'], cost['hi'], fixed(2))} times the perplexity of "
        "unsteered text. "
        f"Each at its own λ, {summary[0]['n_steered_by_all']} of {n} topics lie above the permuted "
        "and other-topic controls by every judge."
    )


def _tfidf_sentence(rows: Sequence[SteeringRow]) -> str | None:
    """Says whether TF-IDF weights steer better: paired by topic, at each side's chosen λ."""
    sides: dict[bool, dict[int, float]] = {True: {}, False: {}}
    for row in rows:
        if row["model"].startswith(WEIGHED) and row["chosen"] and row["win_rate"] is not None:
            sides[not row["model"].endswith("frequencies")][row["topic"]] = row["win_rate"]
    if not any(row["model"].endswith("frequencies") for row in rows):
        return None
    found = paired_difference(sides[True], sides[False], _CONFIDENCE)
    if found.mean is None:
        return "no topic has a chosen λ both with and without TF-IDF weights: nothing is compared."
    means = [
        100 * sum(side[t] for t in sides[True].keys() & sides[False].keys()) / found.n
        for side in (sides[True], sides[False])
    ]
    start = (
        f"with TF-IDF weights {means[0]:.0f} %, without {means[1]:.0f} %, over the {found.n} "
        "topics that have a chosen λ both ways"
    )
    if found.lo is None or found.hi is None:
        return f"{start}; the difference has no interval."
    told = f"{100 * found.mean:+.0f} points ({100 * found.lo:+.0f} to {100 * found.hi:+.0f})"
    told = told.replace("-", "−")
    if found.lo > 0:
        return f"{start}: TF-IDF weights steer better, by {told}."
    if found.hi < 0:
        return f"{start}: TF-IDF weights steer worse, by {told}."
    return f"{start}: no difference beyond the spread over topics, {told}."


def _hundredths(share: float) -> str:
    return f"{100 * share:.0f}"


def _suite(
    corpora: Sequence[str],
    source: str,
    models: Sequence[str],
    topics: int,
    k: KSpec,
    overrides: Mapping[str, object] | None,
) -> Suite:
    data: dict[str, object] = {
        "name": "study-steering",
        "title": "Study: steering",
        "corpora": list(corpora or _CORPORA),
        "models": list(models),
        "k": [k],
        "words": {"min_df": 5},
        "features": {"source": source, "max_tokens": 512},
        "steering": {
            "topics": topics, "lambdas": [0.25, 0.5, 0.75, 1.0, 1.5], "n_prompts": 60, "drawn": 5,
            "document_tokens": 96, "documents": 25, "describe": "words",
        },
    }  # fmt: skip
    for key, value in (overrides or {}).items():
        set_dotted(data, key, value)
    return parse_card(data, Suite, "study 'steering'")
