"""The parts behind single numbers: which records a metric's value is the mean of."""

from __future__ import annotations

from collections.abc import Mapping

from mtmbench.boards.cells import BoardRecords
from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.rows.metrics import MetricRow
from mtmbench.boards.site.parts import Part
from mtmbench.core.competitors import Competitor
from mtmbench.core.fit_payloads import MetricPayload
from mtmbench.core.serialise import canonical_json, rounded

_Cell = tuple[str, int | str, Competitor, str, str | None, str]


def value_parts(board: BoardTables, records: BoardRecords) -> list[Part]:
    """Returns a part per corpus: the records behind each row of the metrics table, by its number.

    A record is its key, seed, value, status and reason.
    """
    behind: dict[_Cell, list[list[object]]] = {}
    for record in records.metrics:
        payload = record.payload
        behind.setdefault(_cell(payload), []).append(
            [record.key, payload["seed"], rounded(payload.get("value"), 6), record.status,
             payload.get("reason")]
        )  # fmt: skip
    by_corpus: dict[str, dict[str, list[list[object]]]] = {}
    for i, row in enumerate(board["metrics"]):
        by_corpus.setdefault(row["corpus"], {})[str(i)] = behind.get(_cell(row), [])
    return [Part("values", {"corpus": corpus}, by_corpus[corpus], 2) for corpus in by_corpus]


def _cell(row: MetricRow | MetricPayload) -> _Cell:
    params: Mapping[str, object] = row["params"]
    return (
        row["corpus"], row["k_spec"], Competitor.of(row), row["metric"], row["view"],
        canonical_json(params),
    )  # fmt: skip
