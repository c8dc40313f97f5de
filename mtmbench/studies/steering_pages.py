"""The files of ``study steering``, made from its ``study.json`` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from mtmbench.boards.numbers import fixed, interval, shown, signed
from mtmbench.boards.plot import Axis, Chart, ChartPanel, Line, Mark
from mtmbench.core.tables import ShownTable, columns_of
from mtmbench.steering.summary import strength_text
from mtmbench.studies.page import Section, StudyPage, page_files
from mtmbench.studies.rows import Measure, SteeringPoint, SteeringStudyTables

MEASURES: Mapping[Measure, str] = {
    "relevance": "relevance: share of pairs whose steered text is found more about the topic",
    "perplexity": "perplexity, as a multiple of the unsteered text's",
    "drift": "semantic drift from the unsteered text",
}

_HEADER = ("model", "λ", "mean", "95 % interval", "topics", "chosen by")
_number = partial(signed, digits=2)


def steering_study_files(study: SteeringStudyTables) -> dict[str, str]:
    """Returns the content of every file of the study by name."""
    points = study["points"]
    return page_files(study, _page(study), "steering.html.j2", columns_of(points), points)


def _page(study: SteeringStudyTables) -> StudyPage:
    """Returns what the pages say: a panel per measure and judge, a chart per model."""
    spec = study["steering"]
    return StudyPage(
        title="Study: steering",
        question=study["question"],
        played=(
            f"The {spec['topics']} topics of largest share of each model over the features of "
            f"{study['source']}, {spec['n_prompts']} prompts at most, {spec['max_tokens']} "
            f"new tokens; judges {' and '.join(study['judges'])}."
        ),
        sections=[_section(study, corpus) for corpus in study["corpora"]],
        notes=study["notes"],
        remark="The dashed line is unsteered text. The shaded row is the operating point.",
    )


def _section(study: SteeringStudyTables, corpus: str) -> Section:
    here = [point for point in study["points"] if point["corpus"] == corpus]
    panels: dict[tuple[Measure, str | None], list[SteeringPoint]] = {}
    for point in here:
        panels.setdefault((point["measure"], point["judge"]), []).append(point)
    return Section(
        name=corpus,
        title=corpus,
        findings=[(f["model"], f["text"]) for f in study["findings"] if f["corpus"] == corpus],
        panels=[_panel(measure, judge, points) for (measure, judge), points in panels.items()],
    )


def _panel(measure: Measure, judge: str | None, points: Sequence[SteeringPoint]) -> ChartPanel:
    axis = Axis.spanning(
        end for point in points for end in (point["mean"], point["lo"], point["hi"])
    )
    by_model: dict[str, list[SteeringPoint]] = {}
    for point in points:
        by_model.setdefault(point["model"], []).append(point)
    return ChartPanel(
        title=MEASURES[measure] + ("" if judge is None else f", judge {judge}"),
        axis=axis,
        charts=[_chart(model, own, axis) for model, own in by_model.items()],
        columns=("λ", "chosen by"),
        tables=[("", ShownTable(_HEADER, [_cells(p) for own in by_model.values() for p in own]))],
    )


def _chart(model: str, points: Sequence[SteeringPoint], axis: Axis) -> Chart:
    """Returns a line for each λ; unsteered text is drawn across them, without its interval."""
    plain = next((_mark(p, axis) for p in points if p["lambda"] is None), None)
    lines = [_line(p, axis) for p in points if p["lambda"] is not None]
    return Chart(model, lines, plain and replace(plain, lo=None, hi=None))


def _line(point: SteeringPoint, axis: Axis) -> Line:
    return Line(
        name=_level(point),
        role="operating point" if point["best"] else "",
        mark=_mark(point, axis),
        value=shown(point["mean"], _number),
        interval=interval(point["lo"], point["hi"], _number),
        missing="no value",
        beside=str(point["n_chosen"]),
        shaded="best" if point["best"] else "",
    )


def _cells(point: SteeringPoint) -> list[object]:
    return [
        point["model"],
        _level(point),
        shown(point["mean"], _number),
        interval(point["lo"], point["hi"], _number) or None,
        point["n"],
        f"{point['n_chosen']}{' (operating point)' if point['best'] else ''}",
    ]


def _level(point: SteeringPoint) -> str:
    return strength_text(point) or "unsteered"


def _mark(point: SteeringPoint, axis: Axis) -> Mark | None:
    return Mark.placed(axis, point["mean"], point["lo"], point["hi"], fixed(2))
