"""A board's rows as flat tables of texts and numbers, for data frames and trackers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.terms import k_text
from mtmbench.core.match_payloads import MatchPayload, MatchSide
from mtmbench.core.records import StoredRecord, of_kind
from mtmbench.core.serialise import canonical_json, write_atomically
from mtmbench.core.tables import columns_of

Cell = str | int | float | bool | None
FlatRow = dict[str, Cell]

_FLOATS = frozenset(
    {"value", "lo", "hi", "elo", "elo_sd", "elo_adjusted", "lo_adjusted", "hi_adjusted", "rate",
     "share"}
)  # fmt: skip
"""Columns of real numbers, also where all of a board's are whole or missing."""
_INTEGERS = frozenset({"k", "rank", "n_out_of_vocabulary", "n_topics_without_value"})
"""Columns of whole numbers of which all may be missing; other columns without a value are texts."""


def flat_tables(
    board: BoardTables, records: Iterable[StoredRecord] = ()
) -> dict[str, list[FlatRow]]:
    """Returns the tables of a board by name.

    ``values`` has a row a metric's value, ``ratings`` one a rating, ``pairs`` one a pair of models
    (the share of the points that ``a`` won of ``b``, both ways round), ``topics`` one an item of a
    topic, with the word of the same rank that tells the topic's documents apart. ``matches`` has a
    row a document of a match, with the verdict in either order of the sides: "a", "b", "t" for a
    tie, "u" unparsed, "r" refused; ``by_rule`` where nobody was asked: a side without a topic, or
    two that show the same. ``name`` is a model as the board shows it; a K that is
    missing is one by corpus, and ``k_spec`` says as what it was asked for. What is nested on the
    board is JSON here.

    Args:
        board: the content of ``board.json``.
        records: the board's records; without them there are no matches.
    """
    names = {(row["model"], row["setting"]): row["name"] for row in board["competitors"]}

    def named(row: Mapping[str, object]) -> FlatRow:
        return {"name": names[row["model"], row["setting"]], **_flat(row)}  # type: ignore[index]

    pairs: list[FlatRow] = [
        {**_flat(_league(table)), "a": a, "b": b, "rate": table["rates"][i][j],
         "comparisons": table["comparisons"][i][j]}
        for table in board["win_rates"]
        for i, a in enumerate(table["names"])
        for j, b in enumerate(table["names"])
        if i != j
    ]  # fmt: skip
    topics: list[FlatRow] = []
    for told in board["topics"]:
        fit = named({name: value for name, value in told.items() if name != "topics"})
        for topic in told["topics"]:
            for rank, item in enumerate(topic["items"]):
                word = topic["words"][rank] if rank < len(topic["words"]) else None
                place: FlatRow = {"topic": topic["topic"], "share": topic["share"]}
                topics.append({**fit, **place, "rank": rank + 1, "item": item, "word": word})

    def side(told: MatchSide) -> str:
        return names[told["model"], told["setting"]]

    matches = [
        {**place, "a": side(match["a"]), "b": side(match["b"]), "document": document,
         "forward": forward.lower(), "backward": backward.lower(), "by_rule": forward.isupper()}
        for match in (record.payload for record in of_kind(records, "match"))
        for place in [_place(match)]
        for document, forward, backward in zip(
            match["documents"], match.get("forward", ""), match.get("backward", ""), strict=False
        )
    ]  # fmt: skip
    return {
        "values": _even([named(row) for row in board["metrics"]]),
        "ratings": _even([named(row) for row in board["ratings"]]),
        "pairs": pairs,
        "topics": _even(topics),
        "matches": matches,
    }


def numbers(board: BoardTables) -> dict[str, float]:
    """Returns ratings and values of metrics by names as of folders, for trackers of experiments.

    Ends of an interval stand under the name with ``/lo`` and ``/hi``. What is missing is left out.
    """
    names = {(row["model"], row["setting"]): row["name"] for row in board["competitors"]}
    found: dict[str, float] = {}
    for rating in board["ratings"]:
        who, k = names[rating["model"], rating["setting"]], k_text(rating["k"], rating["k_spec"])
        league = (rating["judge"], rating["corpus"], k, rating["representation"])
        _put(found, ("elo", *league, who), rating["elo"], rating["lo"], rating["hi"])
    for value in board["metrics"]:
        who, k = names[value["model"], value["setting"]], k_text(value["k"], value["k_spec"])
        settings = [f"{name} {setting}" for name, setting in sorted(value["params"].items())]
        what = " ".join([value["metric"], *filter(None, [value["view"]]), *settings])
        _put(
            found,
            ("metrics", value["corpus"], k, what, who),
            value["value"],
            value["lo"],
            value["hi"],
        )
    return found


def write_parquet(tables: Mapping[str, list[FlatRow]], folder: Path) -> list[Path]:
    """Writes tables that have rows as ``NAME.parquet``, without an index; returns the files.

    Columns are of 64-bit floats or integers, truth values or texts.
    """
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {float: pa.float64(), int: pa.int64(), bool: pa.bool_(), str: pa.string()}
    files = []
    for name, rows in tables.items():
        if not rows:
            continue
        schema = pa.schema([(column, kinds[_kind(column, rows)]) for column in columns_of(rows)])
        held = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), held)
        write_atomically(folder / f"{name}.parquet", held.getvalue())
        files.append(folder / f"{name}.parquet")
    return files


def _even(rows: Sequence[FlatRow]) -> list[FlatRow]:
    """Returns rows of the same columns, in the order in which these come."""
    columns = columns_of(rows)
    return [{column: row.get(column) for column in columns} for row in rows]


def _kind(column: str, rows: Iterable[FlatRow]) -> type:
    if column in _FLOATS:
        return float
    found = {type(value) for row in rows if (value := row.get(column)) is not None}
    if len(found) == 1:
        return found.pop()
    if found:
        return float if found == {int, float} else str
    return int if column in _INTEGERS else str


def _flat(row: Mapping[str, object]) -> FlatRow:
    return {name: _cell(name, value) for name, value in row.items()}


def _cell(name: str, value: object) -> Cell:
    if name == "k_spec":
        return str(value)  # 20 on one board, "labels" on another
    if value is None or isinstance(value, str | int | float):
        return value
    return canonical_json(value)


def _league(table: Mapping[str, object]) -> dict[str, object]:
    kept = ("judge", "corpus", "k", "k_spec", "representation")
    return {name: table[name] for name in kept}


def _place(match: MatchPayload) -> FlatRow:
    return {**_flat(_league(match)), "nth_seed": match.get("nth_seed", 0)}


def _put(
    found: dict[str, float],
    place: Iterable[str],
    value: float | None,
    lo: float | None,
    hi: float | None,
) -> None:
    name = "/".join(place)
    for end, number in (("", value), ("/lo", lo), ("/hi", hi)):
        if number is not None:
            found[name + end] = float(number)
