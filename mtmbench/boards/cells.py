"""What records say about cells: who competes, what belongs together, what contradicts itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mtmbench.core.cards import Suite
from mtmbench.core.cells import Competitor
from mtmbench.core.errors import InputError
from mtmbench.core.serialise import canonical_json
from mtmbench.core.types import Record

ALL = "all"
"""The name under which corpora are pooled."""


@dataclass(frozen=True)
class BoardRecords:
    """The records of a board by kind, in the order of their cells, checked for contradictions."""

    fits: Sequence[Record] = field(default_factory=list)
    metrics: Sequence[Record] = field(default_factory=list)
    matches: Sequence[Record] = field(default_factory=list)
    nulls: Sequence[Record] = field(default_factory=list)
    shown: Sequence[Record] = field(default_factory=list)

    @classmethod
    def of(cls, records: Iterable[Record]) -> BoardRecords:
        """Sorts records by kind.

        Raises:
            InputError: a corpus, metric or judge stands in two versions, or two records are about
                one cell, so that a board would mix what is not comparable; the message names it.
        """
        by_kind: dict[str, dict[str, Record]] = {
            "fit": {}, "metric": {}, "match": {}, "null": {}, "shown": {},
        }  # fmt: skip
        versions: dict[tuple[str, str], str] = {}
        for record in records:
            if record.kind not in by_kind:
                continue
            place = canonical_json(_place(record))
            if place in by_kind[record.kind]:
                raise InputError(f"two {record.kind} records are about one cell: {place}")
            by_kind[record.kind][place] = record
            for what, version in _versions(record).items():
                if versions.setdefault(what, version) != version:
                    raise InputError(
                        f"{what[0]} {what[1]!r} stands in two versions on one board: "
                        f"{versions[what]} and {version}"
                    )
        return cls(*([found[key] for key in sorted(found)] for found in by_kind.values()))


def display_names(suite: Suite, competitors: Iterable[Competitor]) -> dict[Competitor, str]:
    """Returns display ids: "model", or "model:setting" where the suite plays several settings."""
    several = len(suite.features.settings) > 1
    return {
        who: f"{who.model}:{who.setting}" if who.setting and several else who.model
        for who in competitors
    }


def _place(record: Record) -> dict[str, Any]:
    """Returns the fields that say which cell a record is about."""
    payload = record.payload
    where = {name: payload.get(name) for name in ("corpus", "k_spec", "seed")}
    if record.kind in ("match", "null"):
        sides = sorted([payload[side]["model"], payload[side]["setting"]] for side in "ab")
        named = ("judge", "representation", "control", "start")
        who = {name: payload[name] for name in named if name in payload}
        return {**where, **who, "sides": sides}
    who = {name: payload.get(name) for name in ("model", "setting")}
    if record.kind == "fit":
        return {**where, **who}
    if record.kind == "shown":
        return {**where, **who, "task": payload.get("task")}
    what = {name: payload.get(name) for name in ("metric", "view", "params")}
    return {**where, **who, **what}


def _versions(record: Record) -> dict[tuple[str, str], str]:
    """Returns what must not differ between the records of one board."""
    payload = record.payload
    found = {("corpus", str(payload["corpus"])): str(payload["corpus_revision"])}
    if record.kind == "metric":
        found["metric", str(payload["metric"])] = f"version {payload['version']}"
    if record.kind in ("match", "null"):
        parts = {name: payload.get(name) for name in ("judge_version", "prompt", "protocol")}
        found["judge", str(payload["judge"])] = canonical_json(parts)
    if record.kind == "shown":
        parts = {name: payload.get(name) for name in ("judge", "facts", "prompt", "top_items")}
        found["shown topics", str(payload["task"])] = canonical_json(parts)
    return found
