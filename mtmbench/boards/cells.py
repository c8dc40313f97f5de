"""What records say about cells: who competes, what belongs together, what contradicts itself."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from operator import itemgetter
from typing import Any, TypeVar, cast

from mtmbench.boards.columns import MatchColumns
from mtmbench.boards.packed import PackedPayload, Packer
from mtmbench.core.cards import Suite
from mtmbench.core.competitors import Competitor
from mtmbench.core.errors import InputError
from mtmbench.core.fit_payloads import FitPayload, LabelsPayload, MetricPayload
from mtmbench.core.match_payloads import MatchPayload, MatchSide, RewritePayload
from mtmbench.core.records import (
    CellPayload,
    CellRecord,
    FitRecord,
    LabelsRecord,
    MatchRecord,
    MetricRecord,
    Record,
    RewriteRecord,
    StoredRecord,
)

ALL = "all"
"""The name under which corpora are pooled."""

_P = TypeVar("_P", bound=CellPayload)


@dataclass(frozen=True)
class BoardRecords:
    """The records of a board by kind, in the order of their cells, checked for contradictions.

    ``matches`` are those of fits of first seeds, which ratings rest on; ``later`` are the others.
    ``reordered`` are fits of documents in other orders, which values of other fits compare with.
    ``versions`` are those that records state of packages, by name.
    """

    fits: Sequence[FitRecord] = field(default_factory=list)
    metrics: Sequence[MetricRecord] = field(default_factory=list)
    matches: Sequence[MatchRecord] = field(default_factory=list)
    nulls: Sequence[MatchRecord] = field(default_factory=list)
    shown: Sequence[RewriteRecord] = field(default_factory=list)
    labels: Sequence[LabelsRecord] = field(default_factory=list)
    later: Sequence[MatchRecord] = field(default_factory=list)
    reordered: Sequence[FitRecord] = field(default_factory=list)
    versions: Mapping[str, set[str]] = field(default_factory=dict)

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
        found: dict[str, list[Any]] = defaultdict(list)
        packages: dict[str, set[str]] = defaultdict(set)
        packer, told = Packer(), None
        for record in records:
            kept = record
            if record.kind in ("match", "null"):
                kept = packer.packed(cast(MatchRecord, record))
            found[record.kind].append(kept)
            if kept.versions is not told:
                told = kept.versions
                for name, version in told.items():
                    packages[name].add(version)
        versions: dict[tuple[str, str], str] = {}
        first: list[MatchRecord] = []
        later: list[MatchRecord] = []
        for match in _matches_in_order(found.pop("match", ()), versions):
            (later if match.payload.get("nth_seed") else first).append(match)
        fits = _in_order(found["fit"], _fit, versions)
        return cls(
            fits=[fit for fit in fits if not fit.payload.get("order")],
            reordered=[fit for fit in fits if fit.payload.get("order")],
            matches=first,
            later=later,
            metrics=_in_order(found["metric"], _metric, versions),
            nulls=_matches_in_order(found["null"], versions),
            shown=_in_order(found["shown"], _rewrite, versions),
            labels=_in_order(found["labels"], _label, versions),
            versions=packages,
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
        _check_versions(payload, stated, versions)
    return [found[place] for place in sorted(found)]


def _matches_in_order(
    records: Iterable[MatchRecord], versions: dict[tuple[str, str], str]
) -> list[MatchRecord]:
    """Returns packed matches by their cells, as :func:`_in_order` does, with less said anew."""
    groups: dict[str, list[tuple[str, str, MatchRecord]]] = defaultdict(list)
    ends: dict[int, tuple[str, str]] = {}
    middles: dict[tuple[int, int, int], str] = {}
    for record in records:
        payload = record.payload
        assert isinstance(payload, PackedPayload)
        alike, seed, a, b = payload.alike, payload["seed"], payload["a"], payload["b"]
        if id(alike) not in ends:
            stated = _match(cast(MatchPayload, payload))
            _check_versions(payload, stated, versions)
            ends[id(alike)] = _ends(stated.place)
        before, after = ends[id(alike)]
        # Equal seeds and sides are one object, and are looked up as such.
        if (middle := (id(seed), id(a), id(b))) not in middles:
            middles[middle] = f'"seed":{_json(seed)},"sides":{_json(_sides(a, b))}'
        groups[before].append((middles[middle], after, record))
    for before, group in groups.items():
        group.sort(key=itemgetter(0, 1))
        for one, other in pairwise(group):
            if one[:2] == other[:2]:
                raise InputError(
                    f"two {one[2].kind} records are about one cell: {before}{one[0]}{one[1]}"
                )
    return [record for before in sorted(groups) for _, _, record in groups[before]]


def _ends(place: Mapping[str, object]) -> tuple[str, str]:
    """Returns what stands before seed and sides in the JSON of a match's place, and after them."""
    before = {name: value for name, value in place.items() if name < "seed"}
    after = {name: value for name, value in place.items() if name > "sides"}
    return f"{_json(before)[:-1]},", f",{_json(after)[1:]}" if after else "}"


def _check_versions(
    payload: Mapping[str, Any], stated: _Stated, versions: dict[tuple[str, str], str]
) -> None:
    corpus = {("corpus", payload["corpus"]): payload["corpus_revision"]}
    for what, version in {**corpus, **stated.versions}.items():
        if versions.setdefault(what, version) != version:
            raise InputError(
                f"{what[0]} {what[1]!r} stands in two versions on one board: "
                f"{versions[what]} and {version}"
            )


def _fit(payload: FitPayload) -> _Stated:
    order = ["order"] if "order" in payload else []
    return _Stated(_fields(payload, "corpus", "k_spec", "seed", "model", "setting", *order))


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
        "sides": _sides(payload["a"], payload["b"]),
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


def _sides(a: MatchSide, b: MatchSide) -> list[list[str | None]]:
    return sorted([side["model"], side["setting"]] for side in (a, b))


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


def place_of(record: CellRecord) -> str:
    """Returns what says which cell of a board a record is about: no key, and no version."""
    return f"{record.kind} {_json(_READERS[record.kind](record.payload).place)}"


_READERS: Mapping[str, Callable[[Any], _Stated]] = {
    "fit": _fit,
    "labels": _label,
    "metric": _metric,
    "shown": _rewrite,
    "match": _match,
    "null": _match,
}


_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
"""What :func:`~mtmbench.core.serialise.canonical_json` makes of values that are JSON already."""


def _fields(payload: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: payload.get(name) for name in names}
