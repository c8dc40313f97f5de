"""Packed matches against the records that they were made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mtmbench.boards.cells import BoardRecords
from mtmbench.boards.packed import Packer
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError
from mtmbench.core.records import Record
from mtmbench.core.serialise import canonical_json

Make = Callable[..., tuple[Suite, list[Record]]]


def matches(make_records: Make) -> list[Record]:
    _, records = make_records(judges=("chat", "lexical"), failing=[("wiki", "etm")])
    return [record for record in records if record.kind == "match"]


def test_a_packed_record_says_the_same(make_records: Make) -> None:
    packer = Packer()
    for record in matches(make_records):
        packed: Any = packer.packed(record)
        assert packed.to_json() == record.to_json()
        assert dict(packed.payload) == record.payload
        assert len(packed.payload) == len(record.payload)
        assert packed.payload.get("forward") == record.payload.get("forward")
        assert packed.payload.get("nothing", 3) == 3
        assert "judge" in packed.payload
        assert "nothing" not in packed.payload


def test_equal_numbers_of_other_types_stay_as_they_are(make_records: Make) -> None:
    first = matches(make_records)[0]
    packer = Packer()
    for number in (1, True, 1.0, 0.0, -0.0, 1):
        payload: dict[str, Any] = {
            **first.payload, "judge_version": number, "protocol": {"of": [number], "by": number},
            "usage": {"input": number}, "cost": number,
        }  # fmt: skip
        record = Record("match", first.key, first.status, payload, {"a": str(number)})
        packed: Any = packer.packed(record)
        assert canonical_json(packed.to_json()) == canonical_json(record.to_json())


def test_what_a_league_says_alike_is_held_once(make_records: Make) -> None:
    records = matches(make_records)
    packer = Packer()
    told = {id(packer.packed(record).payload.alike) for record in records}  # type: ignore[union-attr]
    own = ("a", "b", "backward", "calls", "cost", "forward", "reason", "seed", "unread", "usage")
    alike = {
        canonical_json({name: x for name, x in record.payload.items() if name not in own})
        for record in records
    }
    assert len(told) == len(alike) < len(records) / 4


def test_matches_are_in_the_order_of_the_json_of_their_cells(make_records: Make) -> None:
    board = BoardRecords.of(matches(make_records))
    places = [
        canonical_json(
            {
                **{name: match.payload[name] for name in ("corpus", "k_spec", "seed", "judge")},
                "representation": match.payload["representation"],
                "sides": sorted(
                    [match.payload[side]["model"], match.payload[side]["setting"]] for side in "ab"
                ),
            }
        )
        for match in board.matches
    ]
    assert places == sorted(places)
    assert len(set(places)) == len(places)


def test_two_matches_about_one_cell_are_refused(make_records: Make) -> None:
    record = matches(make_records)[0]
    other = Record("match", "0" * 32, record.status, {**record.payload}, record.versions)
    with pytest.raises(InputError, match="two match records are about one cell"):
        BoardRecords.of([record, other])
