"""What records say about cells: who competes, what belongs together, what contradicts itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from mtmbench.boards.columns import MatchColumns
from mtmbench.core.cards import Suite
from mtmbench.core.cells import Competitor
from mtmbench.core.errors import InputError
from mtmbench.core.records import (
    CellPayload,
    FitPayload,
    FitRecord,
    LabelsPayload,
    LabelsRecord,
    MatchPayload,
    MatchRecord,
    MetricPayload,
    MetricRecord,
    Record,
    RewritePayload,
    RewriteRecord,
    StoredRecord,
    of_kind,
)

ALL = "all"
"""The name under which corpora are pooled."""

_P = TypeVar("_P", bound=CellPayload)


@dataclass(frozen=True)
class BoardRecords:
    """The records of a board by kind, in the order of their cells, checked for contradictions.

    ``matches`` are those of fits of first seeds, which ratings rest on; ``later`` are the others.
    """

    fits: Sequence[FitRecord] = field(default_factory=list)
    metrics: Sequence[MetricRecord] = field(default_factory=list)
    matches: Sequence[MatchRecord] = field(default_factory=list)
    nulls: Sequence[MatchRecord] = field(default_factory=list)
    shown: Sequence[RewriteRecord] = field(default_factory=list)
    labels: Sequence[LabelsRecord] = field(default_factory=list)
    later: Sequence[MatchRecord] = field(default_factory=list)

    @cached_property
    def columns(self) -> MatchColumns:
        """The matches of first seeds as columns."""
        return MatchColumns.of(self.matches)

    @cached_property
    def null_columns(self) -> MatchColumns:
        """The null controls as columns."""
        return MatchColumns.of(self.nulls)

    @classmethod
    def of(cls, records: Iterable[StoredRecord]) -> BoardRecords:
        """Sorts records by kind.

        Raises:
            InputError: a corpus, metric or judge stands in two versions, or two records are about
                one cell, so that a board would mix what is not comparable; the message names it.
        """
        every = list(records)
        versions: dict[tuple[str, str], str] = {}
        matches = _in_order(of_kind(every, "match"), _match, versions)
        return cls(
            fits=_in_order(of_kind(every, "fit"), _fit, versions),
            matches=[match for match in matches if not match.payload.get("nth_seed")],
            later=[match for match in matches if match.payload.get("nth_seed")],
            metrics=_in_order(of_kind(every, "metric"), _metric, versions),
            nulls=_in_order(of_kind(every, "null"), _match, versions),
            shown=_in_order(of_kind(every, "shown"), _rewrite, versions),
            labels=_in_order(of_kind(every, "labels"), _label, versions),
        )


def display_names(suite: Suite, competitors: Iterable[Competitor]) -> dict[Competitor, str]:
    """Returns display ids: "model", or "model:setting" where the suite plays several settings."""
    several = len(suite.features.all_settings) > 1
    return {
        who: f"{who.model}:{who.setting}" if who.setting and several else who.model
        for who in competitors
    }


@dataclass(frozen=True)
class _Stated:
    """What a payload says.

    Attributes:
        place: the fields that say which cell it is about.
        versions: what must not differ between the records of one board, by kind and name.
    """

    place: Mapping[str, object]
    versions: Mapping[tuple[str, str], str] = field(default_factory=dict)


def _in_order(
    records: Sequence[Record[_P]],
    read: Callable[[_P], _Stated],
    versions: dict[tuple[str, str], str],
) -> list[Record[_P]]:
    """Returns records of one kind by their cells; ``versions`` takes on what they state."""
    found: dict[str, Record[_P]] = {}
    for record in records:
        payload, stated = record.payload, read(record.payload)
        place = _json(stated.place)
        if place in found:
            raise InputError(f"two {record.kind} records are about one cell: {place}")
        found[place] = record
        corpus = {("corpus", payload["corpus"]): payload["corpus_revision"]}
        for what, version in {**corpus, **stated.versions}.items():
            if versions.setdefault(what, version) != version:
                raise InputError(
                    f"{what[0]} {what[1]!r} stands in two versions on one board: "
                    f"{versions[what]} and {version}"
                )
    return [found[place] for place in sorted(found)]


def _fit(payload: FitPayload) -> _Stated:
    return _Stated(_fields(payload, "corpus", "k_spec", "seed", "model", "setting"))


def _metric(payload: MetricPayload) -> _Stated:
    place = ("corpus", "k_spec", "seed", "model", "setting", "metric", "view", "params")
    return _Stated(
        _fields(payload, *place), {("metric", payload["metric"]): f"version {payload['version']}"}
    )


def _match(payload: MatchPayload) -> _Stated:
    named = ("judge", "representation", "control", "start")
    place = {
        **_fields(payload, "corpus", "k_spec", "seed"),
        **_fields(payload, *(name for name in named if name in payload)),
        "sides": sorted([side["model"], side["setting"]] for side in (payload["a"], payload["b"])),
    }
    version = _json(_fields(payload, "judge_version", "prompt", "protocol"))
    words = f"{payload['judge']} by {payload['representation']}"
    return _Stated(
        place,
        {
            ("judge", payload["judge"]): version,
            ("projected words of", words): payload.get("projected", "all documents"),
        },
    )


def _rewrite(payload: RewritePayload) -> _Stated:
    limits = ["limits"] if "limits" in payload else []
    version = _json(_fields(payload, "judge", "facts", "prompt", "top_items", *limits))
    return _Stated(
        _fields(payload, "corpus", "k_spec", "seed", "model", "setting", "task"),
        {("shown topics", payload["task"]): version},
    )


def _label(payload: LabelsPayload) -> _Stated:
    return _Stated(
        _fields(payload, "corpus", "k_spec", "seed", "model", "setting"),
        {("labels under setting", str(payload["setting"])): _json(payload["labels"])},
    )


_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
"""What :func:`~mtmbench.core.serialise.canonical_json` makes of values that are JSON already."""


def _fields(payload: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: payload.get(name) for name in names}
