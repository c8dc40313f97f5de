"""Records: what a run keeps of its work, a line each.

A record is about one unit of work. Its payload says which (``identity`` of a cell, or what a text
or a score depends on) and what came of it; with a status other than "ok" the values are missing,
all or in part, and ``reason`` says why. The fields of payloads stand in :mod:`fit_payloads`,
:mod:`match_payloads` and :mod:`steering_payloads`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, get_args, overload

from mtmbench.core.errors import InputError
from mtmbench.core.files import parse_json
from mtmbench.core.fit_payloads import FitPayload, LabelsPayload, MetricPayload
from mtmbench.core.match_payloads import MatchPayload, RewritePayload
from mtmbench.core.serialise import canonical_json
from mtmbench.core.steering_payloads import GenerationPayload, SteerPayload

SCHEMA_VERSION = 1

RecordKind = Literal["fit", "labels", "metric", "shown", "match", "null", "generation", "steer"]
Status = Literal["ok", "error", "unparsed", "refused", "skipped"]

CellPayload = FitPayload | LabelsPayload | MetricPayload | RewritePayload | MatchPayload
Payload = CellPayload | GenerationPayload | SteerPayload

_Payload_co = TypeVar("_Payload_co", bound=Mapping[str, object], covariant=True)


@dataclass(frozen=True, slots=True)
class Record(Generic[_Payload_co]):
    """One append-only fact of a run.

    Attributes:
        kind: what it records.
        key: hash of every input that can change the value; unique in a store.
        status: "ok", or why there is no value.
        payload: JSON values; the value, its parameters, and ``reason`` where it is missing.
        versions: versions that the value depends on (mtmbench, metric, libraries).
    """

    kind: RecordKind
    key: str
    status: Status
    payload: _Payload_co
    versions: Mapping[str, str] = field(default_factory=dict)
    schema: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """Returns the record as one line of canonical JSON."""
        return canonical_json(
            {
                "schema": self.schema,
                "kind": self.kind,
                "key": self.key,
                "status": self.status,
                "payload": self.payload,
                "versions": self.versions,
            }
        )

    @staticmethod
    def from_json(line: str) -> StoredRecord:
        """Reads one line of ``records.jsonl``.

        Raises:
            InputError: the line is not a record, or of a later schema.
        """
        try:
            data: Any = parse_json(line, "the line")
            if data["schema"] <= SCHEMA_VERSION:
                _check(data["kind"], data["payload"])
            record: StoredRecord = Record(
                data["kind"], data["key"], data["status"], data["payload"],
                data["versions"], data["schema"],
            )  # fmt: skip
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"not a record: {line[:80]!r} ({error})") from error
        if record.schema > SCHEMA_VERSION:
            raise InputError(
                f"record of schema {record.schema}; this mtmbench reads up to {SCHEMA_VERSION}"
            )
        return record


FitRecord = Record[FitPayload]
LabelsRecord = Record[LabelsPayload]
MetricRecord = Record[MetricPayload]
RewriteRecord = Record[RewritePayload]
MatchRecord = Record[MatchPayload]
GenerationRecord = Record[GenerationPayload]
CellRecord = Record[CellPayload]
StoredRecord = Record[Payload]
"""A record of any kind."""


@overload
def of_kind(records: Iterable[StoredRecord], kind: Literal["fit"]) -> list[FitRecord]: ...
@overload
def of_kind(records: Iterable[StoredRecord], kind: Literal["labels"]) -> list[LabelsRecord]: ...
@overload
def of_kind(records: Iterable[StoredRecord], kind: Literal["metric"]) -> list[MetricRecord]: ...
@overload
def of_kind(records: Iterable[StoredRecord], kind: Literal["shown"]) -> list[RewriteRecord]: ...
@overload
def of_kind(
    records: Iterable[StoredRecord], kind: Literal["match", "null"]
) -> list[MatchRecord]: ...
@overload
def of_kind(
    records: Iterable[StoredRecord], kind: Literal["generation"]
) -> list[GenerationRecord]: ...
def of_kind(records: Iterable[StoredRecord], kind: RecordKind) -> list[Record[Any]]:
    """Returns the records of one kind, in their order."""
    return [record for record in records if record.kind == kind]


_KINDS = frozenset(get_args(RecordKind))


def _check(kind: object, payload: object) -> None:
    if kind not in _KINDS:
        raise ValueError(f"there is no kind {kind!r}")
    if not isinstance(payload, dict):
        raise ValueError("its payload is no object")
