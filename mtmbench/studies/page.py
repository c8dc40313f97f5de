"""The page of a study, whichever it is: findings first, then charts, and the tables behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mtmbench.boards.html import render_template
from mtmbench.boards.markdown import (
    markdown_bullets,
    markdown_heading,
    markdown_page,
    markdown_table,
    markdown_text,
)
from mtmbench.boards.plot import Panel
from mtmbench.core.tables import ShownTable, TableRow, csv_text, table_json

_TEMPLATES = Path(__file__).parent / "templates"


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
    """

    name: str
    title: str
    findings: Sequence[tuple[str, str]]
    panels: Sequence[Panel]
    others: Sequence[tuple[str, str]] = ()
    counted: ShownTable | None = None


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
    study: TableRow,
    page: StudyPage,
    template: str,
    rows: Sequence[TableRow],
    columns: Sequence[str] | None = None,
) -> dict[str, str]:
    """Returns the contents of a study's files by name.

    Args:
        study: the content of ``study.json``.
        page: what its pages say.
        template: that of ``study.html``; it extends ``study_page.html.j2``.
        rows: those of ``study.csv``.
        columns: its columns, all of the first row if left out.
    """
    return {
        "study.json": table_json(study),
        "study.csv": csv_text(rows, columns),
        "study.md": _markdown(page),
        "study.html": render_template(_TEMPLATES / template, study=study, page=page),
    }


def _markdown(page: StudyPage) -> str:
    parts = [markdown_heading(1, page.title), markdown_text(page.question)]
    parts.append(markdown_text(page.played))
    for section in page.sections:
        parts.append(markdown_heading(2, section.title))
        parts += _told(section.findings)
        if section.others:
            parts += ["By the other metrics:", *_told(section.others)]
        if section.counted is not None:
            parts.append(markdown_table(*section.counted))
        parts += [part for panel in section.panels for part in _panel(panel)]
    parts += ["## How to read this", markdown_bullets(page.notes)]
    if page.errors:
        parts += ["## Errors", markdown_bullets(page.errors)]
    return markdown_page(parts)


def _told(sentences: Sequence[tuple[str, str]]) -> list[str]:
    return [markdown_bullets(f"{who}: {text}" for who, text in sentences)] if sentences else []


def _panel(panel: Panel) -> list[str]:
    parts = [markdown_heading(3, panel.title)]
    for title, table in panel.tables:
        parts += [f"**{markdown_text(title)}**"] if title else []
        parts.append(markdown_table(*table))
    if panel.reference is not None:
        parts.append(markdown_text(panel.reference))
    return parts
