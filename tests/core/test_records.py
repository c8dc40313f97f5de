"""Records: lines, kinds, and payloads that are what their types say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtmbench.core.errors import InputError
from mtmbench.core.misfits import CELL_PAYLOADS, misfits
from mtmbench.core.records import (
    MatchPayload,
    Record,
    of_kind,
)
from mtmbench.core.store import read_records

BOARDS = Path(__file__).parents[2] / "leaderboards"
COMMITTED = sorted(path.relative_to(BOARDS) for path in BOARDS.rglob("records.jsonl"))


def line(**changes: object) -> str:
    return json.dumps({**json.loads(Record("fit", "k", "ok", {}).to_json()), **changes})


def test_a_line_is_read_back_as_written() -> None:
    record = Record("metric", "k", "ok", {"value": 0.5, "why": None}, {"mtmbench": "1"})
    written = record.to_json()
    assert "\n" not in written
    assert Record.from_json(written) == record
    assert Record.from_json(written).to_json() == written


@pytest.mark.parametrize(
    "wrong",
    [
        "", "[]", '{"schema": 1}', "not json", line(kind="look"), line(kind=None),
        line(payload=[1]), line(payload="text"), line(schema="1"),
    ],
)  # fmt: skip
def test_what_is_no_record_is_quoted(wrong: str) -> None:
    with pytest.raises(InputError, match="not a record"):
        Record.from_json(wrong)


def test_a_later_schema_is_refused_whatever_its_kinds() -> None:
    for later in (line(schema=9), line(schema=9, kind="look", payload=[])):
        with pytest.raises(InputError, match="record of schema 9; this mtmbench reads up to 1"):
            Record.from_json(later)


def test_records_of_a_kind_keep_their_order() -> None:
    records = [Record(kind, key, "ok", {}) for kind, key in
               (("fit", "b"), ("metric", "c"), ("fit", "a"))]  # fmt: skip
    assert [record.key for record in of_kind(records, "fit")] == ["b", "a"]
    assert of_kind(records, "match") == []


@pytest.mark.parametrize("path", COMMITTED, ids=str)
def test_committed_payloads_are_what_their_types_say(path: Path) -> None:
    records = read_records(BOARDS / path)
    assert records
    wrong = {
        misfit
        for record in records
        for misfit in misfits(record.payload, CELL_PAYLOADS[record.kind], record.kind)
    }
    assert wrong == set()


def test_a_payload_of_another_shape_is_told() -> None:
    (record, *_) = of_kind(read_records(BOARDS / "quick" / "records.jsonl"), "match")
    match = {**record.payload}
    assert list(misfits(match, MatchPayload)) == []
    assert list(misfits({**match, "calls": "3"}, MatchPayload)) == [
        "it.calls is no <class 'int'> but '3'"
    ]
    assert list(misfits({**match, "verdicts": ""}, MatchPayload)) == [
        "it has verdicts, which no type names"
    ]
    del match["forward"], match["documents"]
    assert list(misfits(match, MatchPayload)) == ["it lacks documents"]
