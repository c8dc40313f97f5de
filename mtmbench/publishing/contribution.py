"""A stranger's run, read with care: its suite and its records, and what is wrong with them."""

from __future__ import annotations

import gzip
import math
import re
import stat
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict, cast

from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError
from mtmbench.core.files import check_unpacked, parse_json, parse_toml
from mtmbench.core.misfits import CELL_PAYLOADS, misfits
from mtmbench.core.names import check_name
from mtmbench.core.records import SCHEMA_VERSION, CellRecord, Record, RecordKind, Status
from mtmbench.core.store import records_file
from mtmbench.publishing.traces import is_path, leaves, secret_in

MOST_BYTES = 100_000_000
"""Of ``records.jsonl``; GitHub takes no larger file."""

MOST_LINE_BYTES = 2_000_000
"""Of a record; the longest of a committed board has 21,000."""

MOST_SUITE_BYTES = 200_000

_CHUNK = 1 << 16
_KEY = re.compile(r"[0-9a-f]{32}")
_MOST_INTEGER = 2**63


class RecordFields(TypedDict):
    """A line of ``records.jsonl``."""

    schema: int
    kind: RecordKind
    key: str
    status: Status
    payload: Mapping[str, object]
    versions: Mapping[str, str]


@dataclass(frozen=True, order=True)
class Fault:
    """Something that keeps a run off a board.

    Attributes:
        check: which check found it: "schema", "keys", "corpora", "protocol", "collisions",
            "limits" or "complete".
        where: the file and line, or the key of the suite.
        says: what is wrong, in one line.
    """

    check: str
    where: str
    says: str


@dataclass(frozen=True)
class Contribution:
    """What was read.

    Attributes:
        suite: the suite that was played.
        records: the sound records, each with its line.
        faults: what is wrong with the other lines.
    """

    suite: Suite
    records: list[tuple[int, CellRecord]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def read_contribution(folder: Path) -> Contribution:
    """Reads ``suite.toml`` and ``records.jsonl``, packed or not, of a run.

    Raises:
        InputError: a file is missing, too large, a link, or damaged; or the suite is none, or names
            paths.
    """
    suite = _suite(_regular(folder / "suite.toml", MOST_SUITE_BYTES))
    path = _regular(records_file(folder), MOST_BYTES)
    read = Contribution(suite)
    seen: dict[str, int] = {}
    for number, line in _lines(path):
        where = line_name(number)
        if len(line) > MOST_LINE_BYTES:
            read.faults.append(
                Fault("limits", where, f"has more than {MOST_LINE_BYTES:,} bytes; no record has")
            )
        elif line.strip():
            record, faults = _record(line, where)
            read.faults.extend(faults)
            if record is not None:
                first = seen.setdefault(record.key, number)
                if first != number:
                    says = f"has the key of line {first}, {record.key}; a key stands once"
                    read.faults.append(Fault("keys", where, says))
                elif not faults:
                    read.records.append((number, record))
    return read


def line_name(number: int) -> str:
    """Returns how messages name a line of the records."""
    return f"records.jsonl line {number}"


def _regular(path: Path, most: int) -> Path:
    """Returns a path to a plain file of limited size: no link, and no pipe to wait at."""
    try:
        found = path.lstat()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path} is no plain file; links and pipes are not followed")
    if found.st_size > most:
        raise InputError(f"{path} has {found.st_size:,} bytes; {most:,} are taken")
    return path


def _suite(path: Path) -> Suite:
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: {error}") from error
    data = parse_toml(text, str(path))
    # Before the suite is checked, since that already reads a file of stop words.
    for where, value in leaves(data):
        if isinstance(value, str) and (_leads_out(value) or is_path(value)):
            raise InputError(
                f"{path}: {where} names {value!r:.60}; paths in a suite for a board are relative, "
                "and stay below its folder"
            )
        if isinstance(value, str) and (secret := secret_in(value)):
            raise InputError(f"{path}: {where} looks like {secret}; take it out, and revoke it")
    suite = parse_card(data, Suite, str(path))
    for model in suite.all_models:
        check_name(Path(model).name, "a model")
    return suite


def _leads_out(text: str) -> bool:
    return ".." in re.split(r"[/\\]", text) or "\0" in text


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields lines by number; of one that is too long as much as shows that."""
    packed = path.stat().st_size
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            number = 0
            while line := file.readline(MOST_LINE_BYTES + 1):
                number += 1
                yield number, line
                while not line.endswith(b"\n") and (line := file.readline(_CHUNK)):
                    check_unpacked(file.tell(), packed, str(path))
                check_unpacked(file.tell(), packed, str(path))
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def _record(line: bytes, where: str) -> tuple[CellRecord | None, list[Fault]]:
    """Returns a line's record, None if it is none, and what is wrong with it."""
    try:
        data = parse_json(line.decode("utf-8"), where, unique=True)
    except UnicodeDecodeError as error:
        return None, [Fault("schema", where, f"is not UTF-8: {error.reason} at {error.start}")]
    except InputError as error:
        return None, [Fault("schema", where, _within(str(error), where))]
    wrong = list(misfits(data, RecordFields, "the record"))
    if wrong:
        return None, [Fault("schema", where, says) for says in wrong[:3]]
    fields = cast(RecordFields, data)
    if not 1 <= fields["schema"] <= SCHEMA_VERSION:
        says = f"is of schema {fields['schema']}; this mtmbench reads up to {SCHEMA_VERSION}"
        return None, [Fault("schema", where, says)]
    if not _KEY.fullmatch(fields["key"]):
        says = f"has the key {fields['key']!r:.40}; a key is 32 hexadecimal digits"
        return None, [Fault("schema", where, says)]
    kind = fields["kind"]
    if kind not in CELL_PAYLOADS:
        return None, [Fault("schema", where, f"is of kind {kind!r}; a board has none of it")]
    wrong = list(misfits(fields["payload"], CELL_PAYLOADS[kind], kind))
    record = Record(
        kind, fields["key"], fields["status"], fields["payload"], fields["versions"],
        fields["schema"],
    )  # fmt: skip
    faults = _unwanted(fields, where)
    faults += [Fault("schema", where, says) for says in wrong[:3] if not secret_in(says)]
    if fields["status"] == "error":
        reason = fields["payload"].get("reason")
        told = f"{'…' if secret_in(str(reason)) else reason!r:.100}"
        says = f"is an error record ({told}); play its cell again, or leave its model out"
        faults.append(Fault("limits", where, says))
    return cast(CellRecord, record), faults


def _unwanted(fields: RecordFields, where: str) -> list[Fault]:
    """Returns what no record may hold: numbers that are none, paths, what looks like a secret."""
    found: dict[str, Fault] = {}
    for place, value in leaves({"payload": fields["payload"], "versions": fields["versions"]}):
        if isinstance(value, str):
            if secret := secret_in(value):
                says = f"{place} looks like {secret}; take it out, and revoke it"
                found.setdefault("secret", Fault("limits", where, says))
            elif is_path(value):
                says = f"{place} holds an absolute path: {value!r:.80}; name files relatively"
                found.setdefault("path", Fault("limits", where, says))
            if re.search("[\ud800-\udfff]", value):
                says = f"{place} holds half a character, which UTF-8 has no form for"
                found.setdefault("half", Fault("schema", where, says))
        elif isinstance(value, float) and not math.isfinite(value):
            says = f"{place} is {value}; a missing value is null with a reason beside it"
            found.setdefault("finite", Fault("schema", where, says))
        elif isinstance(value, int) and not -_MOST_INTEGER <= value < _MOST_INTEGER:
            says = f"{place} is a whole number of {value.bit_length()} bits; it can have 64"
            found.setdefault("integer", Fault("schema", where, says))
    return list(found.values())


def _within(error: str, where: str) -> str:
    return error.removeprefix(where).removeprefix(":").strip()
