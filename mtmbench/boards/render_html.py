"""``index.html``: a board as one page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mtmbench.boards import notes
from mtmbench.boards.html import render_template
from mtmbench.boards.numbers import percent, signed
from mtmbench.boards.plot import Axis, Mark, heat
from mtmbench.boards.rows import BoardTables, FitItems
from mtmbench.boards.spending import spending_table
from mtmbench.boards.view import BoardView

_TEMPLATE = Path(__file__).parent / "templates" / "index.html.j2"


def render_html(board: BoardTables) -> str:
    """Returns the page; every text that comes from records is escaped."""
    view = BoardView(board)
    judges = view.judges()
    return render_template(
        _TEMPLATE,
        board=board,
        view=view,
        judges=judges,
        axes={
            judge.judge["id"]: Axis.elo(row for league in judge.leagues for row in league.rows)
            for judge in judges
        },
        metric_tables=view.metric_tables(),
        notes=notes,
        filters_text=_filters_text,
        heat=heat,
        mark=Mark.elo,
        percent=percent,
        signed=signed,
        spending_table=spending_table,
    )


def _filters_text(items: FitItems | None) -> str:
    """Returns how many items are left and what each filter dropped by itself, in words."""
    filters = dict((items["filters"] if items else None) or {})
    parts = []
    if "items" in filters and "kept" in filters:
        kept = f"{filters.pop('kept'):,} of {filters.pop('items'):,} kept"
        firings = filters.pop("firings_kept", None)
        of = f" ({percent(firings, 0)} of firings)" if isinstance(firings, int | float) else ""
        parts.append(kept + of)
    for name, value in filters.items():
        parts.append(f"{name}{_effect(value) if isinstance(value, Mapping) else _plain(value)}")
    return "; ".join(parts)


def _effect(filter_: Mapping[str, object]) -> str:
    rest = {name: value for name, value in filter_.items() if name not in ("limit", "dropped")}
    parts = [f"{filter_['dropped']:,} dropped"] if "dropped" in filter_ else []
    parts += [f"{name}{_plain(value)}" for name, value in rest.items()]
    return f"{_plain(filter_['limit']) if 'limit' in filter_ else ''}: {', '.join(parts)}"


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return f" ({', '.join(f'{name}{_plain(part)}' for name, part in value.items())})"
    if isinstance(value, int) and not isinstance(value, bool):
        return f" {value:,}"
    return f" {value:.3g}" if isinstance(value, float) else f" {value}"
