"""The page of a study, whichever it is: findings first, then charts, and the tables behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtmbench.boards.html import render_template
from mtmbench.boards.markdown import MarkdownPage
from mtmbench.boards.plot import ChartPanel
from mtmbench.core.tables import ShownTable, csv_text, table_json
from mtmbench.studies.flow_figure import FlowFigure

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class FlowView:
    """How one model's topics flow over K: drawn, counted, and its splits in words."""

    model: str
    figure: FlowFigure
    table: ShownTable
    splits: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Section:
    """What is told of one corpus.

    Attributes:
        name: the corpus.
        title: the same with what else is known of it.
        findings: (who, sentence) of what matters most.
        others: (who, sentence) of the rest.
        counted: what there is to count, or None.
        panels: the charts.
        flows: how topics flow over K, where the study matches them.
    """

    name: str
    title: str
    findings: Sequence[tuple[str, str]]
    panels: Sequence[ChartPanel]
    others: Sequence[tuple[str, str]] = ()
    counted: ShownTable | None = None
    flows: Sequence[FlowView] = ()


@dataclass(frozen=True)
class StudyPage:
    """What a study's pages say, in their order.

    Attributes:
        title: the study's title.
        question: what it asks.
        played: what was played, in words.
        sections: one a corpus.
        notes: how to read it.
        remark: how to read its charts.
        errors: what failed, one line a record.
    """

    title: str
    question: str
    played: str
    sections: Sequence[Section]
    notes: Sequence[str]
    remark: str
    errors: Sequence[str] = ()


def page_files(
    study: Mapping[str, object],
    page: StudyPage,
    template: str,
    columns: Sequence[str],
    rows: Sequence[Mapping[str, object]],
) -> dict[str, str]:
    """Returns the contents of a study's files by name.

    Args:
        study: the content of ``study.json``.
        page: what its pages say.
        template: that of ``study.html``; it extends ``study_page.html.j2``.
        columns: those of ``study.csv``.
        rows: its rows.
    """
    return {
        "study.json": table_json(study),
        "study.csv": csv_text(columns, rows),
        "study.md": _markdown(page),
        "study.html": render_template(_TEMPLATES / template, study=study, page=page),
    }


def _markdown(told: StudyPage) -> str:
    page = MarkdownPage(told.title)
    page.text(told.question)
    page.text(told.played)
    for section in told.sections:
        page.heading(section.title)
        page.bullets(f"{who}: {text}" for who, text in section.findings)
        if section.others:
            page.text("By the other metrics:")
            page.bullets(f"{who}: {text}" for who, text in section.others)
        if section.counted is not None:
            page.table(*section.counted)
        for panel in section.panels:
            page.heading(panel.title, level=3)
            for title, table in panel.tables:
                if title:
                    page.bold(title)
                page.table(*table)
            page.text(panel.reference or "")
        for flow in section.flows:
            page.heading(f"Topics of {flow.model} over K", level=3)
            page.table(*flow.table)
            page.bullets(f"{where}: {text}" for where, text in flow.splits)
    page.heading("How to read this")
    page.bullets(told.notes)
    if told.errors:
        page.heading("Errors")
        page.bullets(told.errors)
    return str(page)
