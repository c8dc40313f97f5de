"""The files of ``study k``, each a function of the content of ``study.json`` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mtmbench.boards.numbers import interval, shown, within
from mtmbench.boards.plot import Axis, Chart, ChartPanel, Line, Mark
from mtmbench.core.figures import Curve, CurvePanel, Estimate, curve_figure
from mtmbench.core.tables import ShownTable, columns_of
from mtmbench.studies.findings import joined
from mtmbench.studies.flow_figure import flow_figure
from mtmbench.studies.flows import FATES, fate_counts
from mtmbench.studies.k_findings import number_form
from mtmbench.studies.k_rows import KCorpus, KMeasureFacts, KRow, KStudyTables, TopicFlows
from mtmbench.studies.page import FlowView, Section, StudyPage, page_files

if TYPE_CHECKING:
    from mtmbench.core.notebook_figure import NotebookFigure

_HEADER = ("K", "mean", "95 % interval", "difference to the best", "p, Holm", "note")
_SPLITS_TOLD = 10
"""Splits told in words of each step, those of the largest topics; ``study.json`` has all."""
_FLOW_HEADER = ("from K to K", *FATES, "new")


def k_study_files(study: KStudyTables) -> dict[str, str]:
    """Returns the content of every file of the study by name."""
    rows = study["rows"]
    return page_files(study, k_study_page(study), "k.html.j2", columns_of(rows), rows)


def k_study_page(study: KStudyTables) -> StudyPage:
    """Returns what the pages say: a panel per measure, a chart per model, and the topics' flow."""
    seeds = len(study["seeds"])
    judge = "" if study["judge"] is None else f"; judge {study['judge']}"
    ks = joined([str(k) for k in study["ks"]])
    return StudyPage(
        title="Study: number of topics",
        question=study["question"],
        played=(
            f"{joined(study['models'])} at K = {ks}, {seeds} seed{'' if seeds == 1 else 's'} "
            f"each{judge}."
        ),
        sections=[_section(study, corpus) for corpus in study["corpora"]],
        notes=study["notes"],
        remark=(
            "The shaded row is the best mean. A difference in bold is beyond the spread over "
            "seeds: that K is worse. A K that is neither cannot be told from the best."
        ),
        errors=[
            " ".join(str(error[name]) for name in ("corpus", "model", "metric") if error[name])
            + f", seed {error['seed']}: {error['reason']}"
            for error in study["errors"]
        ],
    )


def k_figure(study: KStudyTables) -> NotebookFigure:
    """Draws every measure over K: curves of models with bands over seeds, a panel a corpus.

    Raises:
        InputError: there are more models than a figure tells apart.
    """
    panels = []
    for corpus in study["corpora"]:
        for measure in study["measures"]:
            curves = []
            for model in study["models"]:
                own = _rows(study, corpus["name"], measure["name"], model)
                if any(row["mean"] is not None for row in own):
                    points = [Estimate(row["mean"], row["lo"], row["hi"]) for row in own]
                    best = [i for i, row in enumerate(own)
                            if row["standing"] in ("best", "like the best")]  # fmt: skip
                    curves.append(Curve(model, [row["k"] for row in own], points, best))
            if curves:
                panels.append(CurvePanel(f"{corpus['name']}\n{measure['title']}", curves, {}))
    n = len(study["seeds"])
    return curve_figure(
        panels,
        title="Measures over the number of topics",
        axes_labels=("K", "mean over seeds"),
        limits=None,
        notes=[
            f"Bands: 95 % intervals over {n} seeds, of which there are none for one seed or seeds "
            "that agree. Rings: the best K of a model, and those that cannot be told from it."
        ],
        x_ticks=study["ks"],
    )


def _section(study: KStudyTables, corpus: KCorpus) -> Section:
    name = corpus["name"]
    labels = f", {corpus['n_labels']} labels" if corpus["n_labels"] else ", no labels"
    told = [finding for finding in study["findings"] if finding["corpus"] == name]
    return Section(
        name=name,
        title=f"{name}: {corpus['n_docs']:,} documents{labels}",
        findings=[(finding["model"], finding["text"]) for finding in told],
        panels=[
            panel
            for measure in study["measures"]
            if (panel := _panel(study, name, measure)) is not None
        ],
        flows=[_flow(flows) for flows in study["flows"] if flows["corpus"] == name],
    )


def _rows(study: KStudyTables, corpus: str, measure: str, model: str) -> list[KRow]:
    place = corpus, measure, model
    return [row for row in study["rows"] if (row["corpus"], row["measure"], row["model"]) == place]


def _panel(study: KStudyTables, corpus: str, measure: KMeasureFacts) -> ChartPanel | None:
    models = {m: own for m in study["models"] if (own := _rows(study, corpus, measure["name"], m))}
    with_values = {
        model: own for model, own in models.items() if any(row["mean"] is not None for row in own)
    }
    if not with_values:
        return None
    axis = Axis.spanning(
        end for own in models.values() for row in own for end in (row["mean"], row["lo"], row["hi"])
    )
    return ChartPanel(
        title=measure["title"] + ("" if measure["higher_is_better"] else ", lower is better"),
        axis=axis,
        charts=[
            Chart(model, [_line(row, axis) for row in own], None)
            for model, own in with_values.items()
        ],
        columns=("K", "to the best"),
        tables=[
            (model, ShownTable(_HEADER, [_cells(row) for row in own]))
            for model, own in models.items()
        ],
    )


def _line(row: KRow, axis: Axis) -> Line:
    number = number_form(row["measure"])
    return Line(
        name=str(row["k"]),
        role="best" if row["standing"] == "best" else "",
        mark=Mark.placed(axis, row["mean"], row["lo"], row["hi"], number),
        value=shown(row["mean"], number),
        interval=interval(row["lo"], row["hi"], number),
        missing=row["reason"] or "",
        beside=shown(row["difference"], number),
        beside_interval=interval(row["difference_lo"], row["difference_hi"], number),
        sure=row["standing"] == "worse",
        shaded="best" if row["standing"] == "best" else "",
    )


def _cells(row: KRow) -> list[str | None]:
    number, difference = number_form(row["measure"]), None
    if row["difference"] is not None:
        ends = within(row["difference_lo"], row["difference_hi"], number)
        worse = " *" if row["standing"] == "worse" else ""
        difference = f"{number(row['difference'])}{ends}{worse}"
    p = row["p_holm"]
    best = " (best)" if row["standing"] == "best" else ""
    return [
        f"{row['k']}{best}",
        shown(row["mean"], number),
        interval(row["lo"], row["hi"], number) or None,
        difference,
        None if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}",
        row["reason"],
    ]


def _flow(flows: TopicFlows) -> FlowView:
    rows = []
    for step in flows["steps"]:
        counts = fate_counts(step["fates"], step["new"])
        rows.append([f"{step['k_from']} → {step['k_to']}", *counts.values()])
    labels: Mapping[tuple[int, int], str] = {
        (topic["k"], topic["topic"]): topic["label"] for topic in flows["topics"]
    }
    return FlowView(
        model=flows["model"],
        figure=flow_figure(flows),
        table=ShownTable(_FLOW_HEADER, rows),
        splits=_splits(flows, labels),
    )


def _splits(flows: TopicFlows, labels: Mapping[tuple[int, int], str]) -> Sequence[tuple[str, str]]:
    """Returns (from K to K, in words) of topics that were split: the largest of each step."""
    share = {(topic["k"], topic["topic"]): topic["share"] for topic in flows["topics"]}
    found = []
    for step in flows["steps"]:
        split = [fate for fate in step["fates"] if fate["fate"] == "split"]
        split.sort(key=lambda fate: -share[step["k_from"], fate["topic"]])
        for fate in split[:_SPLITS_TOLD]:
            parts = [
                f"“{labels[step['k_to'], b]}” ({100 * part:.0f} %)"
                for b, part in zip(fate["into"], fate["shares"], strict=True)
            ]
            source = labels[step["k_from"], fate["topic"]]
            found.append((f"{step['k_from']} → {step['k_to']}", f"“{source}” into {joined(parts)}"))
    return found
