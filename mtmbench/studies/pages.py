"""The files of a study, each a function of the content of ``study.json`` alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mtmbench.boards.markdown import markdown_bullets, markdown_table, markdown_text
from mtmbench.boards.plot import Axis, Mark
from mtmbench.boards.write import board_json
from mtmbench.stats.paired import ALPHA
from mtmbench.studies.findings import differs, joined, signed
from mtmbench.studies.tables import FIRINGS

Row = Mapping[str, Any]

COLUMNS = (
    "table", "corpus", "model", "setting", "series", "x", "metric", "n_seeds", "mean", "lo", "hi",
    "difference", "difference_lo", "difference_hi", "p", "p_holm", "n_paired", "n_compared",
    "reason",
)  # fmt: skip


def study_files(study: Mapping[str, Any]) -> dict[str, str]:
    """Returns the content of every file of a study by name."""
    return {
        "study.json": board_json(study),
        "study.csv": render_csv(study),
        "study.md": render_md(study),
        "study.html": render_html(study),
    }


def render_csv(study: Mapping[str, Any]) -> str:
    """Returns values and firings in one long table; a missing value is empty."""
    x = {setting["name"]: setting["x"] for setting in study["settings"]}
    series = {setting["name"]: setting["series"] for setting in study["settings"]}
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row in study["rows"]:
        writer.writerow({**row, "table": "value"})
    for row in study["firings"]:
        place = {"x": x[row["setting"]], "series": series[row["setting"]]}
        for name in FIRINGS:
            writer.writerow({**row, **place, "table": "firings", "metric": name, "mean": row[name]})
    return text.getvalue()


def render_md(study: Mapping[str, Any]) -> str:
    """Returns the study as Markdown: findings first, then the tables behind them."""
    view = StudyView(study)
    parts = [f"# {markdown_text(view.title)}", markdown_text(study["question"])]
    parts.append(markdown_text(view.played()))
    for corpus in study["corpora"]:
        parts.append(f"## {markdown_text(view.corpus_title(corpus))}")
        for leading in (True, False):
            told = view.findings(corpus["name"], leading=leading)
            if told:
                parts += [] if leading else ["By the other metrics:"]
                parts.append(markdown_bullets([f"{who}: {text}" for who, text in told]))
        parts.append(markdown_table(*view.firings_table(corpus["name"])))
        for panel in view.panels(corpus["name"]):
            parts.append(f"### {markdown_text(panel.title)}")
            for chart in panel.charts:
                parts.append(f"**{markdown_text(chart.title)}**")
                parts.append(markdown_table(_HEADER, [_md_row(line) for line in chart.lines]))
            if panel.reference is not None:
                parts.append(markdown_text(panel.reference))
    parts += ["## How to read this", markdown_bullets(study["notes"])]
    if study["errors"]:
        parts += ["## Errors", markdown_bullets(view.errors())]
    return "\n\n".join(parts) + "\n"


def render_html(study: Mapping[str, Any]) -> str:
    """Returns one self-contained page in the look of the board's; all text is escaped."""
    text: str = _template().render(study=study, view=StudyView(study))
    return text.rstrip("\n") + "\n"


@dataclass(frozen=True)
class Line:
    """One setting of a chart; numbers as they are shown, ``mark`` where there is a value."""

    setting: Row
    row: Row
    mark: Mark | None
    value: str
    interval: str
    difference: str
    difference_interval: str
    differs: bool


@dataclass(frozen=True)
class Chart:
    """One model's settings under one metric, on the axis of its panel."""

    title: str
    lines: Sequence[Line]


@dataclass(frozen=True)
class Panel:
    """One metric on one corpus: a chart per model and series, on one axis.

    ``reference`` tells the reference model's value, ``reference_mark`` where it lies.
    """

    title: str
    axis: Axis
    charts: Sequence[Chart]
    reference: str | None
    reference_mark: Mark | None


class StudyView:
    """What the pages show of a study, in their order."""

    def __init__(self, study: Mapping[str, Any]) -> None:
        self.study = study
        self.settings = {setting["name"]: setting for setting in study["settings"]}

    @property
    def title(self) -> str:
        """The study's title."""
        return f"Study: {self.study['study']}"

    def played(self) -> str:
        """Says in words what was played."""
        study = self.study
        n = len(study["seeds"])
        reference = (
            "" if study["reference"] is None else f", beside {study['reference']} over words"
        )
        cut = (
            ""
            if study["max_tokens"] is None
            else f", documents cut to {study['max_tokens']} tokens"
        )
        return (
            f"{joined(study['models'])} on {len(study['settings'])} settings of the features of "
            f"{study['source']}{cut}{reference}; {n} seed{'s' if n != 1 else ''} each."
        )

    def corpus_title(self, corpus: Row) -> str:
        """Returns a corpus with its size and number of topics."""
        labels = f", {corpus['n_labels']} labels" if corpus["n_labels"] else ", no labels"
        return f"{corpus['name']}: {corpus['n_docs']:,} documents{labels}, K = {corpus['k']}"

    def findings(self, corpus: str, *, leading: bool) -> list[tuple[str, str]]:
        """Returns (model, sentence) of a corpus's leading metric, or of its others."""
        return [
            (f"{row['model']}, {row['series']}" if row["series"] else row["model"], row["text"])
            for row in self.study["findings"]
            if row["corpus"] == corpus and row["leads"] == leading
        ]

    def firings_table(self, corpus: str) -> tuple[list[str], list[list[str]]]:
        """Returns header and rows of what each setting leaves to count."""
        header = [self.study["varied"], *FIRINGS.values()]
        rows = []
        for row in self.study["firings"]:
            if row["corpus"] == corpus:
                values = [_count(row, name) for name in FIRINGS]
                if row["reason"] is not None:
                    values[0] = row["reason"]
                rows.append([self.setting_text(row["setting"]), *values])
        return header, rows

    def setting_text(self, name: str) -> str:
        """Returns a setting's label, with its role and what else it is."""
        setting = self.settings[name]
        role = setting["role"] if setting["role"] != setting["label"] else ""
        more = ", ".join(part for part in (role, setting["detail"]) if part)
        return f"{setting['label']} ({more})" if more else str(setting["label"])

    def panels(self, corpus: str) -> list[Panel]:
        """Returns a panel per metric that the corpus has."""
        rows = [row for row in self.study["rows"] if row["corpus"] == corpus]
        return [
            self._panel(metric, [row for row in rows if row["metric"] == metric["name"]])
            for metric in self.study["metrics"]
            if any(row["metric"] == metric["name"] for row in rows)
        ]

    def errors(self) -> list[str]:
        """Says what failed, one line a record."""
        return [
            " ".join(str(error[name]) for name in ("corpus", "model", "setting", "metric")
                     if error[name] is not None) + f", seed {error['seed']}: {error['reason']}"
            for error in self.study["errors"]
        ]  # fmt: skip

    def _panel(self, metric: Row, rows: Sequence[Row]) -> Panel:
        values = [row[name] for row in rows for name in ("mean", "lo", "hi")]
        axis = Axis.spanning(value for value in values if value is not None)
        groups: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            if row["setting"] is not None:
                groups.setdefault((row["model"], row["series"]), []).append(row)
        charts = [
            Chart(
                f"{model}, {series}" if series else model,
                [self._line(row, axis) for row in found],
            )
            for (model, series), found in groups.items()
        ]
        reference = next((row for row in rows if row["setting"] is None), None)
        text = mark = None
        if reference is not None:
            value = reference["reason"] if reference["mean"] is None else _value(reference)
            interval = _interval(reference)
            text = f"{reference['model']} over words: {value}{f' ({interval})' if interval else ''}"
            mark = _mark(reference, axis)
        return Panel(metric["title"], axis, charts, text, mark)

    def _line(self, row: Row, axis: Axis) -> Line:
        return Line(
            setting=self.settings[row["setting"]],
            row=row,
            mark=_mark(row, axis),
            value=_value(row),
            interval=_interval(row),
            difference=_difference(row),
            difference_interval=_difference_interval(row),
            differs=differs(row),
        )


_HEADER = ("setting", "mean", "95 % interval", "difference to the baseline", "p, Holm", "note")


def _md_row(line: Line) -> list[Any]:
    p = line.row["p_holm"]
    star = " *" if line.differs else ""
    difference = None
    if line.difference:
        within = f" ({line.difference_interval})" if line.difference_interval else ""
        difference = f"{line.difference}{within}{star}"
    role = line.setting["role"]
    name = line.setting["label"]
    return [
        f"{name} ({role})" if role and role != name else name,
        line.value,
        line.interval or None,
        difference,
        None if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}",
        line.row["reason"],
    ]


@lru_cache(maxsize=1)
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    here = Path(__file__).parent
    environment = Environment(
        # The board's folder has the style that all pages share.
        loader=FileSystemLoader([here / "templates", here.parent / "boards" / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(alpha=ALPHA)
    return environment.get_template("study.html.j2")


def _mark(row: Row, axis: Axis) -> Mark | None:
    if row["mean"] is None:
        return None
    return Mark.placed(axis, row["mean"], row["lo"], row["hi"])


def _value(row: Row) -> str:
    return "–" if row["mean"] is None else signed(row["mean"])


def _interval(row: Row) -> str:
    return "" if row["lo"] is None else f"{signed(row['lo'])} to {signed(row['hi'])}"


def _difference(row: Row) -> str:
    if row["difference"] is None:
        return ""
    return signed(row["difference"], plus=True)


def _difference_interval(row: Row) -> str:
    if row["difference_lo"] is None:
        return ""
    return f"{signed(row['difference_lo'])} to {signed(row['difference_hi'])}"


def _count(row: Row, name: str) -> str:
    value = row[name]
    if value is None:
        return "–"
    if name == "firings_kept":
        return f"{100 * value:.1f} %"
    return f"{value:,}" if isinstance(value, int) else f"{value:.2f}"
