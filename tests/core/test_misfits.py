"""Payloads on record are what their types say, and what is not is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtmbench.core.match_payloads import MatchPayload
from mtmbench.core.misfits import CELL_PAYLOADS, misfits
from mtmbench.core.records import of_kind
from mtmbench.core.store import read_records

BOARDS = Path(__file__).parents[2] / "leaderboards"
COMMITTED = sorted(path.relative_to(BOARDS) for path in BOARDS.rglob("records.jsonl*"))


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
