"""The files of ``study steering``, made from its ``study.json`` alone."""

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

Row = Mapping[str, Any]


def steering_files(study: Mapping[str, Any]) -> dict[str, str]:
    """Returns the content of every file of the study by name."""
    return {
        "study.json": board_json(study),
        "study.csv": render_csv(study),
        "study.md": render_md(study),
        "study.html": render_html(study),
    }


def render_csv(study: Mapping[str, Any]) -> str:
    """Returns the points; a missing value is empty."""
    text = io.StringIO()
    names = list(study["points"][0]) if study["points"] else []
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(study["points"])
    return text.getvalue()


def render_md(study: Mapping[str, Any]) -> str:
    """Returns the study as Markdown: findings first, then the tables behind them."""
    view = SteeringView(study)
    parts = ["# Study: steering", markdown_text(study["question"]), markdown_text(view.played())]
    for corpus in study["corpora"]:
        parts.append(f"## {markdown_text(corpus)}")
        told = [f"{who}: {text}" for who, text in view.findings(corpus)]
        parts.append(markdown_bullets(told))
        for panel in view.panels(corpus):
            parts.append(f"### {markdown_text(panel.title)}")
            header = ("model", "λ", "mean", "95 % interval", "topics", "chosen by")
            lines = [
                [chart.title, line.level, line.value, line.interval or None, line.n, line.chosen]
                for chart in panel.charts
                for line in (*chart.lines, *([] if chart.plain is None else [chart.plain]))
            ]
            parts.append(markdown_table(header, lines))
    parts += ["## How to read this", markdown_bullets(study["notes"])]
    return "\n\n".join(parts) + "\n"


def render_html(study: Mapping[str, Any]) -> str:
    """Returns one self-contained page in the look of the board's; all text is escaped."""
    text: str = _template().render(study=study, view=SteeringView(study))
    return text.rstrip("\n") + "\n"


@dataclass(frozen=True)
class Line:
    """One λ of a chart; numbers as they are shown."""

    level: str
    mark: Mark | None
    value: str
    interval: str
    n: int
    chosen: str
    best: bool


@dataclass(frozen=True)
class Chart:
    """One model under one measure; ``plain`` is unsteered text."""

    title: str
    lines: Sequence[Line]
    plain: Line | None


@dataclass(frozen=True)
class Panel:
    """One measure on one corpus: a chart per model, on one axis."""

    title: str
    axis: Axis
    charts: Sequence[Chart]


class SteeringView:
    """What the pages show of the study, in their order."""

    def __init__(self, study: Mapping[str, Any]) -> None:
        self.study = study

    def played(self) -> str:
        """Says in words what was played."""
        spec = self.study["steering"]
        return (
            f"The {spec['topics']} topics of largest share of each model over the features of "
            f"{self.study['source']}, {spec['n_prompts']} prompts at most, {spec['max_tokens']} "
            f"new tokens; judges {' and '.join(self.study['judges'])}."
        )

    def findings(self, corpus: str) -> list[tuple[str, str]]:
        """Returns (model, sentence) of a corpus."""
        return [(f["model"], f["text"]) for f in self.study["findings"] if f["corpus"] == corpus]

    def panels(self, corpus: str) -> list[Panel]:
        """Returns a panel per measure, and per judge where there is one."""
        here = [point for point in self.study["points"] if point["corpus"] == corpus]
        return [
            self._panel(measure, judge, [p for p in here if _is(p, measure, judge)])
            for measure, judge in dict.fromkeys((p["measure"], p["judge"]) for p in here)
        ]

    def _panel(self, measure: str, judge: str | None, points: Sequence[Row]) -> Panel:
        values = [p[name] for p in points for name in ("mean", "lo", "hi") if p[name] is not None]
        axis = Axis.spanning(values)
        charts = []
        for model in dict.fromkeys(point["model"] for point in points):
            lines = {
                point["lambda"]: _line(point, axis) for point in points if point["model"] == model
            }
            plain = lines.pop(None, None)
            charts.append(Chart(model, list(lines.values()), plain))
        title = MEASURES[measure] + ("" if judge is None else f", judge {judge}")
        return Panel(title, axis, charts)


def _is(point: Row, measure: str, judge: str | None) -> bool:
    return bool(point["measure"] == measure and point["judge"] == judge)


def _line(point: Row, axis: Axis) -> Line:
    mean, lo, hi = point["mean"], point["lo"], point["hi"]
    level = "unsteered"
    if point["lambda"] is not None:
        level = f"{point['lambda']:g} {point['lambda_unit']}"
    best = " (operating point)" if point["best"] else ""
    return Line(
        level=level,
        mark=None if mean is None else Mark.placed(axis, mean, lo, hi, 2),
        value="–" if mean is None else f"{mean:.2f}",
        interval="" if lo is None else f"{lo:.2f} to {hi:.2f}".replace("-", "−"),
        n=point["n"],
        chosen=f"{point['n_chosen']}{best}",
        best=point["best"],
    )


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
    return environment.get_template("steering.html.j2")


MEASURES = {
    "relevance": "relevance: share of pairs whose steered text is found more about the topic",
    "perplexity": "perplexity, as a multiple of the unsteered text's",
    "drift": "semantic drift from the unsteered text",
}
