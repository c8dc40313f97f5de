"""``index.html`` and its parts, from a board's tables and records."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from base64 import b64encode
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any, cast

from mtmbench.boards import about_judges, notes
from mtmbench.boards.cells import ALL, BoardRecords
from mtmbench.boards.html import render_template
from mtmbench.boards.labels import LABEL_SOURCES
from mtmbench.boards.numbers import percent, signed
from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.rows.fits import FitItems
from mtmbench.boards.site.overview import LEADING, basis, headline, otherwise, rating_charts
from mtmbench.boards.site.parts import FOLDER, part_files, run_parts, script_json
from mtmbench.boards.site.steering import steering_curves
from mtmbench.boards.site.tables import line_name, model_metrics, rating_lines
from mtmbench.boards.site.topics import topic_parts
from mtmbench.boards.site.values import value_parts
from mtmbench.boards.site.verdicts import verdict_parts
from mtmbench.boards.spending import cost_text, spending_table, total_note
from mtmbench.boards.terms import SHOWN, k_text, who_ruled
from mtmbench.boards.view import BoardView
from mtmbench.core.competitors import Competitor
from mtmbench.core.specs import Representation

MOST_COMMITTED = 3_000_000
"""Bytes that the parts of a board without its run may take; a run's board takes what it needs."""

_NAMED = 6
"""So many parts that were left out are named; of more it is said how many they are."""

_TEMPLATES = Path(__file__).parent / "templates"
_SCRIPTS = ("page", "tables", "records", "topics", "matches")
_CITATION = (
    "{title} [board of suite {suite}, mtmbench {version}; {corpora} corpora, {models} models, "
    "judges: {judges}; records {revision}]"
)


def site_files(
    board: BoardTables,
    records: BoardRecords,
    folder: Path | None = None,
    *,
    most: int | None = MOST_COMMITTED,
    beside: bool = True,
) -> dict[str, str]:
    """Returns the contents of ``index.html`` and of its parts by name.

    Args:
        board: the board's tables.
        records: what they were made of.
        folder: where a steering table may lie, and parts that only a run can make.
        most: bytes that the other parts may take together where there are none of a run's; None
            for any number.
        beside: whether the records will lie beside the page, which then links them.

    Raises:
        InputError: the folder's steering table or its list of parts is damaged.
    """
    names = {Competitor.of(row): row["name"] for row in board["competitors"]}
    made = [*topic_parts(records, names), *verdict_parts(records, names)]
    made += value_parts(board, records)
    more = None if folder is None else run_parts(folder)
    parts = part_files(made, most if more is None else None)
    view = BoardView(board)
    judges = view.judges()
    charts = rating_charts(judges)
    rates = board["win_rates"]
    confidence = (rates[0]["confidence"] if rates else None) or 0.95
    records_name = board.get("records", "records.jsonl")
    grep = "zgrep" if records_name.endswith(".gz") else "grep"
    data = {
        "parts": [*parts.listed, *(more or ())],
        "run": more is not None,
        "models": [
            {"name": row["name"], "kind": row["items"], "model": row["model"],
             "setting": row["setting"]}
            for row in board["competitors"]
        ],
        "judges": {judge.judge["id"]: judge.judge["is_llm"] for judge in judges},
        "shown": SHOWN,
        "label_sources": LABEL_SOURCES,
        "citation": _citation(board, records),
        "records": records_name if beside else None,
        "grep": grep,
    }  # fmt: skip
    style, early = (
        (_TEMPLATES / name).read_text(encoding="utf-8") for name in ("style.css", "early.js")
    )
    directed = right_to_left(board)
    scripts = (*_SCRIPTS, *(("directions",) if directed else ()))
    script = "\n".join((_TEMPLATES / f"{name}.js").read_text(encoding="utf-8") for name in scripts)
    page = render_template(
        _TEMPLATES / "index.html.j2",
        board=board,
        view=view,
        judges=judges,
        charts=charts,
        all_corpora=ALL,
        leading=LEADING,
        headline=headline(charts[0]) if charts else "",
        basis=basis(charts[0], confidence) if charts else "",
        otherwise=otherwise(charts) if charts else "",
        metrics=model_metrics(view, charts),
        ratings=rating_lines(charts, board),
        curves=steering_curves(folder if "steering" in board else None),
        about_judges=about_judges,
        notes=notes,
        folded=folded,
        filters_text=_filters_text,
        heat_class=heat_class,
        k_text=k_text,
        who_ruled=who_ruled,
        left_out=left_out(parts.left_out),
        all_mb=ceil(parts.size / 1_000_000),
        line_name=line_name,
        percent=percent,
        signed=signed,
        spending_table=spending_table,
        cost_text=cost_text,
        spending_notes=total_note(board),
        citation=data["citation"],
        fit_keys=_fit_keys(records),
        data=script_json(data),
        data_file=records_name,
        beside=beside,
        data_grep=grep,
        directed=directed,
        style=style,
        early=early,
        script=script,
        policy=policy(style, early, script),
    )
    return {"index.html": page, **parts.texts}


def right_to_left(board: BoardTables) -> bool:
    """Whether words of any topic are of a script that is written from right to left."""
    topics = (topic for row in board["topics"] for topic in row["topics"])
    words = (word for topic in topics for word in (*topic["items"], *topic["words"]))
    return any(
        unicodedata.bidirectional(character) in ("R", "AL")
        for word in words
        if not word.isascii()
        for character in word
    )


def policy(style: str, *scripts: str) -> str:
    """Returns the page's Content-Security-Policy: its own style and script, and what that adds.

    Scripts are named by their hashes. ``strict-dynamic`` lets them add the parts' files, which no
    other source expression does both from ``file:`` and from a server without letting in more;
    other scripts, handlers and styles in the page's text stay forbidden, and so does every other
    connection.
    """
    allowed = " ".join(f"'{_hash(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed} 'strict-dynamic'; "
        f"style-src '{_hash(style)}'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def with_script(page: str, script: str, **data: object) -> str:
    """Returns a page with one more script at its end, which may ask the server that it is from.

    Args:
        page: ``index.html`` as :func:`site_files` makes it.
        script: its text, which the page's policy then names too.
        data: what the script finds as the data of its element; None for nothing.
    """
    allowed = f"'{_hash(script)}' 'strict-dynamic'; connect-src 'self'"
    head, body, end = page.replace("'strict-dynamic'", allowed, 1).rpartition("</body>")
    told = [f' data-{name}="{value}"' for name, value in data.items() if value is not None]
    return f"{head}<script{''.join(told)}>{script}</script>\n{body}{end}"


def parts_below(page: str, folder: str) -> str:
    """Returns a page, as :func:`site_files` makes it, that looks for its parts in another folder.

    In the page's data a quote within a text is escaped, and elsewhere it is an entity.
    """
    return page.replace(f'"file":"{FOLDER}/', f'"file":"{folder}/')


def left_out(parts: Sequence[Mapping[str, object]]) -> dict[str, str]:
    """Returns, by kind, which parts there was no room for, in words; the first few by name."""
    found: dict[str, list[str]] = {}
    for part in parts:
        k, spec = (cast("Any", part.get(name)) for name in ("k", "spec"))
        told = [str(part["corpus"]), k_text(k, spec) if spec is not None else ""]
        told += [f"seed {part['seed']}"] if "seed" in part else []
        told += [SHOWN[cast("Representation", part["shown"])]] if "shown" in part else []
        found.setdefault(str(part["kind"]), []).append(", ".join(filter(None, told)))
    return {
        kind: "; ".join(places[:_NAMED])
        + (f"; and {len(places) - _NAMED} more" if len(places) > _NAMED else "")
        for kind, places in found.items()
    }


def folded(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Returns notes as their first sentence and the rest of them, which may be folded away."""
    parts = [re.split(r"(?<=[.!?]) (?=[A-Z])", line, maxsplit=1) for line in lines]
    return [(part[0], part[1] if len(part) > 1 else "") for part in parts]


def heat_class(rate: float | None) -> str:
    """Returns the class of a cell by a share: h0 (none) over h5 (half) to h10 (all)."""
    return "" if rate is None else f"h{round(10 * min(1.0, max(0.0, rate)))}"


def _hash(text: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _citation(board: BoardTables, records: BoardRecords) -> str:
    digest = hashlib.blake2b(digest_size=6)
    every = (*records.fits, *records.metrics, *records.matches, *records.nulls, *records.shown)
    for key in sorted(record.key for record in every):
        digest.update(key.encode("utf-8"))
    return _CITATION.format(
        title=board["title"],
        suite=board["suite"],
        version=", ".join(board["versions"].get("mtmbench", ())) or "of an unknown version",
        corpora=len(board["corpora"]),
        models=len(board["competitors"]),
        judges=", ".join(judge["id"] for judge in board["judges"]) or "none",
        revision=digest.hexdigest(),
    )


def _fit_keys(records: BoardRecords) -> Mapping[tuple[object, ...], list[str]]:
    """Returns the keys of the fits of a row of the table of fits, by seed."""
    keys: dict[tuple[object, ...], list[str]] = {}
    for fit in sorted(records.fits, key=lambda fit: fit.payload["seed"]):
        payload = fit.payload
        place = payload["corpus"], payload["k_spec"], payload["model"], payload["setting"]
        keys.setdefault(place, []).append(fit.key)
    return keys


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
