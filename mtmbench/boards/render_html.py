"""``index.html``: one self-contained page, without scripts, fonts or anything from a network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from mtmbench.boards.notes import (
    AGREEMENT_NOTE,
    CONTROL_NOTE,
    STEERING_NOTE,
    agreement_tables,
    audit_line,
    control_table,
    judge_notes,
    judge_warnings,
    league_notes,
    metric_notes,
    percent,
    rating_notes,
)
from mtmbench.boards.plot import Axis, Mark, heat
from mtmbench.boards.spending import spending_table
from mtmbench.boards.view import BoardView, k_text


def render_html(board: Mapping[str, Any]) -> str:
    """Returns the page; every text that comes from records is escaped."""
    view = BoardView(board)
    judges = view.judges()
    text: str = _template().render(
        board=board,
        view=view,
        judges=judges,
        axes={
            judge.judge["id"]: Axis.over(row for league in judge.leagues for row in league.rows)
            for judge in judges
        },
        metric_tables=view.metric_tables(),
        rating_notes=rating_notes(view),
        metric_notes=metric_notes(view),
    )
    return text.rstrip("\n") + "\n"


@lru_cache(maxsize=1)
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(
        agreement_note=AGREEMENT_NOTE,
        steering_note=STEERING_NOTE,
        agreement_tables=agreement_tables,
        audit_line=audit_line,
        control_note=CONTROL_NOTE,
        control_table=control_table,
        heat=heat,
        judge_notes=judge_notes,
        judge_warnings=judge_warnings,
        k_text=k_text,
        league_notes=league_notes,
        mark=Mark.of,
        percent=percent,
        spending_table=spending_table,
        filters_text=_filters_text,
    )
    return environment.get_template("index.html.j2")


def _filters_text(items: Mapping[str, Any] | None) -> str:
    """Returns how many items are left and what each filter dropped by itself, in words."""
    filters = dict((items or {}).get("filters") or {})
    parts = []
    if "items" in filters and "kept" in filters:
        kept = f"{filters.pop('kept'):,} of {filters.pop('items'):,} kept"
        firings = filters.pop("firings_kept", None)
        parts.append(kept if firings is None else f"{kept} ({percent(firings, 0)} of firings)")
    for name, value in filters.items():
        parts.append(f"{name}{_effect(value) if isinstance(value, Mapping) else _plain(value)}")
    return "; ".join(parts)


def _effect(filter_: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in filter_.items() if name not in ("limit", "dropped")}
    parts = [f"{filter_['dropped']:,} dropped"] if "dropped" in filter_ else []
    parts += [f"{name}{_plain(value)}" for name, value in rest.items()]
    return f"{_plain(filter_['limit']) if 'limit' in filter_ else ''}: {', '.join(parts)}"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return f" ({', '.join(f'{name}{_plain(part)}' for name, part in value.items())})"
    if isinstance(value, int) and not isinstance(value, bool):
        return f" {value:,}"
    return f" {value:.3g}" if isinstance(value, float) else f" {value}"
