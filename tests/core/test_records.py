"""Records: lines and kinds."""

from __future__ import annotations

import json

import pytest

from mtmbench.core.errors import InputError
from mtmbench.core.records import Record, of_kind


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
