"""The run store: one SQLite file under the run's folder, appended to by one process alone."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import io
import json
import os
import platform
import sqlite3
import time
import urllib.parse
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import TypeVar, cast

from mtmbench.core.errors import InputError, StoreInUseError
from mtmbench.core.records import Payload, Record, RecordKind, StoredRecord
from mtmbench.core.row_hash import DAMAGE, add_hashes, drop_damaged, find_row, row_hash
from mtmbench.core.serialise import content_hash, write_atomically

_T = TypeVar("_T")
_P = TypeVar("_P", bound=Payload)

_ORPHAN_WAIT_SECONDS = 15.0
"""How long a new run waits for the workers of a killed one to end."""

_FEW = 500
"""So many records are looked up by their keys; for more of them the table is read through."""

_SCHEMA = 2
"""Of the store; since 2 every record carries a hash. Records have a schema of their own."""

_HELD = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
)
"""What SQLite says of a file that cannot be read just now."""

_COLUMNS = ("key", "kind", "status", "line")
_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS records (
  key TEXT PRIMARY KEY, kind TEXT NOT NULL, status TEXT NOT NULL, line TEXT NOT NULL, hash TEXT
);
CREATE TABLE IF NOT EXISTS run_info (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, finished REAL NOT NULL, seconds REAL,
  peak_rss_mb REAL, host TEXT, traceback TEXT
);
CREATE TABLE IF NOT EXISTS workers (pid INTEGER PRIMARY KEY, started TEXT NOT NULL);
"""


@dataclass(frozen=True)
class RunInfo:
    """How a record came about; kept beside the records and never exported.

    Attributes:
        seconds: wall time of the unit of work.
        peak_rss_mb: peak resident memory of the process so far, MiB.
        traceback: the whole traceback of an error record.
    """

    seconds: float | None = None
    peak_rss_mb: float | None = None
    traceback: str | None = None


class RunStore:
    """Append-only records of one run folder; a context manager that holds the folder's lock.

    A record whose status is "error" may be replaced by a later attempt; any other is final.
    Every :meth:`add` is durable when it returns.

    Args:
        folder: the run's ``--out``; made if it is not there.

    Raises:
        StoreInUseError: another live process holds the folder, or a killed run's workers do not
            end within 15 s.
        InputError: the store was written by a later schema, is damaged beyond single records, or
            cannot be written.

    Attributes:
        damaged: keys of the records that were not as they had been written. They are named by a
            warning and dropped, so that their cells are played again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock_fd = _take_lock(self.folder / "store.lock")
        except OSError as error:
            raise InputError(f"cannot keep records in {self.folder}: {error.strerror}") from error
        path = self.folder / "store.sqlite"
        try:
            self._db = _open(path)
            with _written(path):
                self.damaged = drop_damaged(self._db, "records", _COLUMNS)
                self._wait_for_orphans()
        except BaseException:
            os.close(self._lock_fd)
            raise
        for key in self.damaged:
            warnings.warn(
                f"record {key} in {path} is damaged; its cell is played again", stacklevel=2
            )

    def __enter__(self) -> RunStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the database and gives the lock back."""
        self._db.close()
        os.close(self._lock_fd)

    def add(self, records: Sequence[tuple[StoredRecord, RunInfo]]) -> None:
        """Appends records in one durable transaction: all of them or none.

        Raises:
            InputError: the store already holds another final record under one of the keys, or
                cannot be written (the disk is full, for one); then none of the records is kept.
        """
        with _written(self.folder / "store.sqlite"), self._db:
            for record, info in records:
                self._add_one(record, info)

    def forget(self, key: str) -> None:
        """Drops a record whose result file is gone, so that its cell is played again."""
        with self._db:
            self._db.execute("DELETE FROM records WHERE key = ?", (key,))

    def finished(self) -> set[str]:
        """Returns the keys that need no further work: every status but "error"."""
        return {
            row[0] for row in self._db.execute("SELECT key FROM records WHERE status != 'error'")
        }

    def records(self, keys: Iterable[str] | None = None) -> Iterator[StoredRecord]:
        """Yields records sorted by kind and key; only those of ``keys`` if given."""
        wanted = None if keys is None else set(keys)
        few = wanted is not None and len(wanted) <= _FEW
        chosen = f"WHERE key IN ({','.join('?' * len(wanted))})" if wanted and few else ""
        query = f"SELECT key, line FROM records {chosen} ORDER BY kind, key"
        for key, line in self._db.execute(query, tuple(wanted) if wanted and few else ()):
            if wanted is None or key in wanted:
                yield Record.from_json(line)

    def memo(
        self,
        kind: RecordKind,
        wanted: Mapping[_T, Mapping[str, object]],
        make: Callable[[list[_T]], Iterable[_P]],
        tag: str,
    ) -> dict[_T, _P]:
        """Returns a payload for each of ``wanted``: from its record, or made now and recorded.

        Args:
            kind: of the records.
            wanted: all that each value depends on, as JSON values; its hash is the record's key.
            make: makes the payloads of those that have no record, in order.
            tag: what the values are; it tells them from others of the same identity.
        """
        keys = {item: content_hash(tag, identity) for item, identity in wanted.items()}
        # What lies under these keys is what an earlier call made.
        held = {record.key: cast(_P, record.payload) for record in self.records(keys.values())}
        missing = [item for item, key in keys.items() if key not in held]
        versions = {"mtmbench": version("mtmbench")}
        for item, payload in zip(missing, make(missing) if missing else (), strict=True):
            self.add([(Record(kind, keys[item], "ok", payload, versions), RunInfo())])
            held[keys[item]] = payload
        return {item: held[key] for item, key in keys.items()}

    def export(self, keys: Iterable[str] | None = None) -> Path:
        """Writes ``records.jsonl``, sorted and without a clock; returns its path."""
        path = self.folder / "records.jsonl"
        write_atomically(path, "".join(record.to_json() + "\n" for record in self.records(keys)))
        return path

    def note_worker(self, pid: int) -> None:
        """Remembers a worker, so that a later run can wait for it if this one is killed."""
        with self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO workers VALUES (?, ?)", (pid, process_start(pid) or "")
            )

    def drop_worker(self, pid: int) -> None:
        """Forgets a worker that has ended."""
        with self._db:
            self._db.execute("DELETE FROM workers WHERE pid = ?", (pid,))

    def _add_one(self, record: StoredRecord, info: RunInfo) -> None:
        line = record.to_json()
        held = self._db.execute(
            "SELECT status, line FROM records WHERE key = ?", (record.key,)
        ).fetchone()
        if held is not None and held[0] != "error" and held[1] != line:
            raise InputError(f"record {record.key} is final and would be overwritten")
        self._db.execute(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)",
            (*(row := (record.key, record.kind, record.status, line)), row_hash(*row)),
        )
        self._db.execute(
            "INSERT INTO run_info (key, finished, seconds, peak_rss_mb, host, traceback) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (record.key, time.time(), info.seconds, info.peak_rss_mb, platform.node(),
             info.traceback),
        )  # fmt: skip

    def _wait_for_orphans(self) -> None:
        deadline = time.monotonic() + _ORPHAN_WAIT_SECONDS
        left = self._db.execute("SELECT pid, started FROM workers").fetchall()
        while left := [
            (pid, start) for pid, start in left if start and process_start(pid) == start
        ]:
            if time.monotonic() > deadline:
                pids = [pid for pid, _ in left]
                raise StoreInUseError(f"workers of a killed run still live: {pids}; end them first")
            time.sleep(0.1)
        with self._db:
            self._db.execute("DELETE FROM workers")


def records_file(folder: Path) -> Path:
    """Returns a folder's ``records.jsonl``, or ``records.jsonl.gz`` where that alone lies there."""
    plain = folder / "records.jsonl"
    packed = folder / "records.jsonl.gz"
    return packed if packed.is_file() and not plain.exists() else plain


def records_content(name: str, records: Iterable[StoredRecord]) -> bytes:
    """Returns what a file of records holds, which is packed under a name that ends in ``.gz``."""
    data = "".join(f"{record.to_json()}\n" for record in records).encode("utf-8")
    if not name.endswith(".gz"):
        return data
    packed = io.BytesIO()
    # Without a name or a clock in it, and the same whichever Python writes it.
    with gzip.GzipFile("", "wb", 9, packed, mtime=0) as file:
        file.write(data)
    return packed.getvalue()


def read_records(path: Path) -> list[StoredRecord]:
    """Reads ``records.jsonl``, or the same packed by gzip under a name that ends in ``.gz``.

    Raises:
        InputError: the file cannot be read or a line is no record; the message names the line.
    """
    return list(stream_records(path))


def stream_records(path: Path) -> Iterator[StoredRecord]:
    """Yields the records of ``records.jsonl``, packed or not, which may be larger than the memory.

    Raises:
        InputError: as :func:`read_records` does, when it comes to the line.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if text := line.decode("utf-8").strip():
                    try:
                        yield Record.from_json(text)
                    except InputError as error:
                        raise InputError(f"{path}, line {number}: {error}") from error
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def stream_run(folder: Path) -> Iterator[StoredRecord]:
    """Yields the records of a run that may be under way, sorted as exports are.

    They come from its store, as it stands when the first is asked for; from ``records.jsonl``,
    packed or not, where there is no store, or one that cannot be read beside its writer.

    Raises:
        InputError: there is neither, or a record is damaged.
    """
    path = folder / "store.sqlite"
    address = f"file:{urllib.parse.quote(str(path.resolve()))}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True)) as db:
            lines = db.execute("SELECT line FROM records ORDER BY kind, key").fetchall()
    except DAMAGE as error:
        exported = records_file(folder)
        if exported.is_file():
            yield from stream_records(exported)
            return
        raise InputError(f"cannot read {path}, and there is no records.jsonl: {error}") from error
    for (line,) in lines:
        yield Record.from_json(line)


def recorded(folder: Path, key: str) -> StoredRecord | None:
    """Returns a record of a run that need not be held; None if there is none, or no store.

    Raises:
        InputError: the record is damaged.
    """
    path = folder / "store.sqlite"
    if not path.is_file():
        return None
    try:
        with contextlib.closing(_read_only(path)) as db:
            row = find_row(db, "records", _COLUMNS, key)
    except (*DAMAGE, ValueError) as error:
        if _is_out_of_reach(error):
            return None
        raise InputError(
            f"record {key} in {path} is damaged; play the suite again: mtmbench run"
        ) from error
    return None if row is None else Record.from_json(row[_COLUMNS.index("line")].decode("utf-8"))


def run_infos(folder: Path) -> list[tuple[str, RunInfo]]:
    """Returns by key how a run's records came about, oldest first; what cannot be read is not told.

    Tracebacks are left out.
    """
    path = folder / "store.sqlite"
    if not path.is_file():
        return []
    try:
        with contextlib.closing(_read_only(path)) as db:
            rows = db.execute("SELECT key, seconds, peak_rss_mb FROM run_info ORDER BY id")
            return [(str(key), RunInfo(seconds, peak)) for key, seconds, peak in rows]
    except DAMAGE:
        return []


def run_progress(folder: Path) -> tuple[int, int] | None:
    """Returns how many records a run's store holds, and how often one was added to it.

    One of the two changes with whatever becomes of the records. None where there is no store, or
    one that cannot be read beside its writer.
    """
    path = folder / "store.sqlite"
    if not path.is_file():
        return None
    query = "SELECT (SELECT count(*) FROM records), (SELECT coalesce(max(id), 0) FROM run_info)"
    try:
        with contextlib.closing(_read_only(path)) as db:
            held, added = db.execute(query).fetchone()
            return int(held), int(added)
    except DAMAGE:
        return None


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{urllib.parse.quote(str(path.resolve()))}?mode=ro", uri=True)


def process_start(pid: int) -> str | None:
    """Returns what tells a process from a later one of the same pid; None if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        try:
            os.kill(pid, 0)
        except OSError:
            return None
        return "alive"
    return None if fields[0] == "Z" else fields[19]


def _take_lock(path: Path) -> int:
    # os.open gives a descriptor that children do not inherit: an orphan cannot keep the lock.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + _ORPHAN_WAIT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            holder = _read_holder(descriptor)
            if (
                holder is None
                or process_start(holder[0]) == holder[1]
                or time.monotonic() > deadline
            ):
                os.close(descriptor)
                who = f"process {holder[0]}" if holder else "another process"
                raise StoreInUseError(
                    f"{path.parent} is in use by {who}; wait for it, or choose another --out"
                ) from None
            time.sleep(0.1)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps([os.getpid(), process_start(os.getpid())]).encode(), 0)
    return descriptor


def _read_holder(descriptor: int) -> tuple[int, str] | None:
    with contextlib.suppress(ValueError, TypeError):
        pid, started = json.loads(os.pread(descriptor, 200, 0))
        return int(pid), str(started)
    return None


@contextlib.contextmanager
def _written(path: Path) -> Iterator[None]:
    """Around what writes a store: an error of the disk is one of the user's, and says so."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise InputError(f"cannot write {path}: {error}") from error
    except DAMAGE as error:
        raise InputError(f"{path} is not a run store or is damaged: {error}") from error


def _is_out_of_reach(error: Exception) -> bool:
    """Whether a store is of an earlier release, or not to be read beside its writer."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    return code in _HELD or str(error).startswith(("no such column", "no such table"))


def _open(path: Path) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(path)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.executescript(_TABLES)
        row = db.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
        if row is None:
            with db:
                db.execute("INSERT INTO meta VALUES ('schema', ?)", (str(_SCHEMA),))
        elif not str(row[0]).isdecimal():
            raise InputError(f"{path} is damaged: its schema is {row[0]!r:.40}, which is no number")
        elif int(row[0]) > _SCHEMA:
            raise InputError(f"{path} has schema {row[0]}; this mtmbench reads up to {_SCHEMA}")
        elif int(row[0]) < _SCHEMA:
            with db:
                add_hashes(db, "records", _COLUMNS)
                db.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (str(_SCHEMA),))
    except sqlite3.OperationalError as error:
        raise InputError(f"cannot keep records in {path}: {error}") from error
    except DAMAGE as error:
        raise InputError(f"{path} is not a run store or is damaged: {error}") from error
    return db
