"""The steering table beside a board as a value: data frames, figures, what a notebook shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from mtmbench.boards.figures import check_panels, chosen
from mtmbench.boards.numbers import DASH, fixed, percent, shown
from mtmbench.boards.steering_rows import (
    CONTROLS,
    SteeredTopic,
    SteeringRow,
    SteeringSummary,
    SteeringTable,
)
from mtmbench.core.errors import InputError
from mtmbench.core.figure_styles import STYLES, Style
from mtmbench.core.figures import (
    Bar,
    BarPanel,
    Curve,
    CurvePanel,
    Estimate,
    bar_figure,
    curve_figure,
)
from mtmbench.core.files import read_json_object
from mtmbench.core.misfits import misfits
from mtmbench.core.notebook import html_table

if TYPE_CHECKING:
    import pandas as pd

    from mtmbench.core.notebook_figure import NotebookFigure

_CONTROL = Style("#999999", "", "")
_WIN_RATE = (
    "Win rate: share of prompts whose steered text the judge finds more about the topic than the "
    "unsteered one, a tie being half; on prompts that no λ was chosen on."
)
_Placed = TypeVar("_Placed", SteeringRow, SteeringSummary)


@dataclass(frozen=True, repr=False)
class Steering:
    """What steering by topics did, beside its controls.

    Attributes:
        data: the content of ``steering.json``.
    """

    data: SteeringTable = field(repr=False)

    @classmethod
    def read(cls, folder: str | Path) -> Steering:
        """Reads the ``steering.json`` of a folder.

        Raises:
            InputError: there is none, or it is not a steering table; the message says why.
        """
        path = Path(folder) / "steering.json"
        if not path.is_file():
            raise InputError(f"{folder} has no steering table; mtmbench steer SUITE writes it")
        content = read_json_object(path)
        for misfit in misfits(content, SteeringTable, "the table"):
            raise InputError(f"{path} is not a steering table: {misfit}")
        return cls(cast(SteeringTable, content))

    @property
    def frame(self) -> pd.DataFrame:
        """One row per corpus, model, K, topic, method, λ and judge."""
        import pandas as pd

        return pd.DataFrame(self.data["rows"])

    @property
    def topics(self) -> pd.DataFrame:
        """One row a topic: its chosen λ, Δℓ's rank correlation with λ, who finds it steered."""
        import pandas as pd

        return pd.DataFrame(self.data["topics"])

    def plot_curves(
        self,
        *,
        corpus: str | None = None,
        model: str | None = None,
        k: int | None = None,
        topic: int | None = None,
        judge: str | None = None,
    ) -> NotebookFigure:
        """Draws each topic's win rate over λ, with intervals; the chosen λ has a ring.

        Args:
            corpus: draws topics of this corpus; None draws all of them, as below.
            model: draws topics of this model.
            k: draws topics of fits with this K.
            topic: draws this topic.
            judge: draws what this judge says, and beside it the controls: unsteered text, random
                directions, permuted ones, other topics'.

        Raises:
            UnknownNameError: there is nothing of this name; the message says what there is.
            InputError: there are too many topics for one figure.
        """
        rows = _of(self.data["rows"], corpus, model, k, judge)
        rows = chosen("topic", topic, rows, lambda row: row["topic"])
        judges = list(dict.fromkeys(row["judge"] for row in rows))
        topics: dict[tuple[str, str, int | None, int], list[SteeringRow]] = {}
        for row in rows:
            topics.setdefault((*_fit(row), row["topic"]), []).append(row)
        check_panels(len(topics), "a corpus=, a model= or a topic=")
        fits = list(dict.fromkeys(place[:3] for place in topics))
        panels, lost = [], []
        for (*_, number), group in topics.items():
            curves = [_curve(judge, group) for judge in judges]
            lost += [
                f"topic {number} at λ {x:g} by {curve.label}"
                for curve in curves
                for x, each in zip(curve.x, curve.y, strict=True)
                if each.value is None
            ]
            where = "" if len(fits) == 1 else f"\n{_where(*_fit(group[0]))}"
            levels = {
                f"{row['method']} (control)": row["win_rate"]
                for method in CONTROLS
                for row in group
                if len(judges) == 1 and row["method"] == method and row["win_rate"] is not None
            }
            panels.append(CurvePanel(f"topic {number}{where}", curves, levels))
        units = {row["lambda_unit"] for row in rows if row["chosen"] is not None}
        steered = [
            f"topic {row['topic']}{'' if len(fits) == 1 else f' ({_where(*_fit(row))})'} "
            f"by {row['judge']}"
            for row in rows
            if row["steered"]
        ]
        return curve_figure(
            panels,
            title=f"Win rate over λ{f': {_where(*fits[0])}' if len(fits) == 1 else ''}",
            axes_labels=(f"λ ({', '.join(sorted(filter(None, units)))})", "win rate"),
            limits=(0, 1),
            notes=[
                f"{_WIN_RATE} Bands: 95 % intervals over prompts, n = {_n(rows)}; a ring marks the "
                f"chosen λ{_by(judges)}.",
                f"Counts as steered: {', '.join(steered) or 'no topic'}.",
                *([f"Nobody ruled: {', '.join(lost)}."] if lost else []),
            ],
            reference=0.5,
        )

    def plot_methods(
        self,
        *,
        corpus: str | None = None,
        model: str | None = None,
        k: int | None = None,
        judge: str | None = None,
    ) -> NotebookFigure:
        """Draws the mean win rate of the topics at their chosen λ, and of every control.

        A dot is a topic, a bar the mean over topics, a panel a fit before a judge.

        Args:
            corpus: draws fits on this corpus; None draws all of them, as below.
            model: draws fits of this model.
            k: draws fits with this K.
            judge: draws what this judge says.

        Raises:
            UnknownNameError: there is nothing of this name; the message says what there is.
            InputError: there are too many fits for one figure.
        """
        told = _of(self.data["summary"], corpus, model, k, judge)
        check_panels(len(told), "a corpus=, a model= or a judge=")
        own = f"{told[0].get('method', 'topic')}, chosen λ"
        names = list(dict.fromkeys([own, *(name for each in told for name in each["controls"])]))
        panels = []
        for each in told:
            dots = self._dots(each)
            means = {own: each["win_rate"], **each["controls"]}
            bars = [
                Bar(
                    mean := means.get(name),
                    f"mean {percent(mean, 0)}"
                    if mean is not None
                    else "no chosen λ"
                    if not each["n_chosen"]
                    else "nobody ruled"
                    if name == own
                    else "not played",
                    dots.get("" if name == own else name, ()),
                )
                for name in names
            ]
            title = f"{_where(*_fit(each))}\n{each['judge']}, n = {each['n_chosen']} topics"
            panels.append(BarPanel(title, bars))
        left = [
            f"{_where(*_fit(each))}: {each['n_topics'] - each['n_chosen']} of {each['n_topics']} "
            "topics"
            for each in told
            if each["n_chosen"] < each["n_topics"]
        ]
        steered = [
            f"{each['n_steered']} of {each['n_topics']} by {each['judge']} ({_where(*_fit(each))})"
            for each in told
        ]
        return bar_figure(
            names,
            panels,
            title="Win rate at the chosen λ, and of controls",
            axis="win rate",
            notes=[
                f"{_WIN_RATE} Bars: means over topics; dots: topics. No interval: the table has "
                "none of a mean over topics.",
                f"Count as steered: {'; '.join(steered)}.",
                *([f"Left out, for no λ left their text fluent: {'; '.join(left)}."] * bool(left)),
            ],
            reference=0.5,
            shares=True,
            styles=[STYLES[0], *[_CONTROL for _ in names[1:]]],
        )

    def __repr__(self) -> str:
        return f"Steering({'; '.join(self._told())})"

    def _repr_html_(self) -> str:
        methods = list(dict.fromkeys(m for row in self.data["summary"] for m in row["controls"]))
        summary = [
            (
                *map(_cell, (*_fit(row), row["judge"], row["n_topics"], row["n_steered"])),
                *(
                    shown(rate, lambda share: percent(share, 0))
                    for rate in (row["win_rate"], *(row["controls"].get(m) for m in methods))
                ),
            )
            for row in self.data["summary"]
        ]
        topics = [
            (
                *map(_cell, (*_fit(row), row["topic"])),
                DASH if row["lambda"] is None else f"{row['lambda']:g} {row['lambda_unit']}",
                shown(row["delta_l_spearman"], fixed(2)),
                ", ".join(row["steered"]) or "nobody",
            )
            for row in self.data["topics"]
        ]
        fit = ("corpus", "model", "K")
        return "\n".join(
            [
                html_table(
                    (*fit, "judge", "topics", "steered", "win rate", *methods), summary,
                    "Mean win rates at the chosen λ, and of controls",
                ),
                html_table(
                    (*fit, "topic", "chosen λ", "Spearman of Δℓ with λ", "steered by"), topics,
                    "Topics",
                ),
            ]
        )  # fmt: skip

    def _told(self) -> list[str]:
        return [
            f"{_where(*_fit(row))}: {row['n_steered']} of {row['n_topics']} topics steered by "
            f"{row['judge']}"
            for row in self.data["summary"]
        ]

    def _dots(self, told: SteeringSummary) -> dict[str, list[float]]:
        """Returns win rates of a fit's topics before a judge by control; "" is the chosen λ."""
        rows = [
            row
            for row in self.data["rows"]
            if (*_fit(row), row["judge"]) == (*_fit(told), told["judge"])
        ]
        topics = {row["topic"] for row in rows if row["chosen"]}
        found: dict[str, list[float]] = {}
        for row in rows:
            rate = row["win_rate"]
            of_grid = row["chosen"] is False
            if rate is not None and not of_grid and row["topic"] in topics:
                found.setdefault("" if row["chosen"] else row["method"], []).append(rate)
        return found


def _of(
    rows: Sequence[_Placed], corpus: str | None, model: str | None, k: int | None, judge: str | None
) -> Sequence[_Placed]:
    """Returns the rows of a fit before a judge, as far as these are named.

    Raises:
        InputError: there is no row at all.
        UnknownNameError: there is nothing of a name.
    """
    if not rows:
        raise InputError("the steering table has no rows: no topic was steered by")
    found = chosen("corpus", corpus, rows, lambda row: row["corpus"])
    found = chosen("model", model, found, lambda row: row["model"])
    found = chosen("K", k, found, lambda row: row.get("k"))
    return chosen("judge", judge, found, lambda row: row["judge"])


def _fit(row: SteeringRow | SteeringSummary | SteeredTopic) -> tuple[str, str, int | None]:
    return row["corpus"], row["model"], row.get("k")


def _where(corpus: str, model: str, k: int | None) -> str:
    return f"{model} on {corpus}" + ("" if k is None else f", K = {k}")


def _curve(judge: str, rows: Sequence[SteeringRow]) -> Curve:
    grid = sorted(
        (row["lambda"] or 0.0, i, row)
        for i, row in enumerate(rows)
        if row["judge"] == judge and row["chosen"] is not None
    )
    return Curve(
        judge,
        [x for x, _, _ in grid],
        [Estimate(row["win_rate"], row["lo"], row["hi"]) for _, _, row in grid],
        [i for i, (_, _, row) in enumerate(grid) if row["chosen"]],
    )


def _n(rows: Sequence[SteeringRow]) -> str:
    counts = sorted({row["n"] for row in rows if row["chosen"] is not None}) or [0]
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _by(judges: Sequence[str]) -> str:
    return f"; judge {judges[0]}" if len(judges) == 1 else ""


def _cell(value: object) -> object:
    return DASH if value is None else value
