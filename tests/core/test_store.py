"""The run store: durable, append-only, held by one process."""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from contextlib import closing
from pathlib import Path

import pytest
from support.odd_text import ODD_TEXT
from support.spoilt_files import spoil_schema

from mtmbench.core.errors import InputError, StoreInUseError
from mtmbench.core.records import Record
from mtmbench.core.store import RunInfo, RunStore, read_records, recorded, records_file


def record(key: str, status: str = "ok", value: float = 1.0) -> Record:
    return Record("metric", key, status, {"value": value}, {"mtmbench": "0"})  # type: ignore[arg-type]


def add(store: RunStore, *records: Record) -> None:
    store.add([(item, RunInfo(seconds=0.1)) for item in records])


def test_records_survive_reopening_and_export_sorted(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        add(store, record("b"), record("a"))
        add(store, record("c", "error"))
        assert store.finished() == {"a", "b"}
    with RunStore(tmp_path) as store:
        path = store.export()
        assert [item.key for item in read_records(path)] == ["a", "b", "c"]
        assert [item.key for item in read_records(store.export({"b"}))] == ["b"]


def test_final_records_are_never_overwritten_but_errors_may_be(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        add(store, record("a", "error"))
        add(store, record("a", "ok", 2.0))
        add(store, record("a", "ok", 2.0))
        with pytest.raises(InputError, match="final"):
            add(store, record("a", "ok", 3.0))
        assert [item.payload["value"] for item in store.records()] == [2.0]


def test_a_batch_is_added_whole_or_not_at_all(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        add(store, record("a"))
        with pytest.raises(InputError):
            add(store, record("b"), record("a", value=9.0))
        assert store.finished() == {"a"}


def test_run_info_keeps_tracebacks_out_of_the_records(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        store.add([(record("a", "error"), RunInfo(1.0, 2.0, "Traceback: secret path"))])
        with sqlite3.connect(tmp_path / "store.sqlite") as db:
            kept = db.execute("SELECT key, traceback FROM run_info").fetchall()
        assert kept == [("a", "Traceback: secret path")]
        assert "secret" not in store.export().read_text()


def test_a_second_process_is_turned_away_at_once(tmp_path: Path) -> None:
    with RunStore(tmp_path):
        script = (
            "import sys; from pathlib import Path\n"
            "from mtmbench.core.store import RunStore\n"
            "RunStore(Path(sys.argv[1]))\n"
        )
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True
        )
        assert done.returncode != 0
        assert "StoreInUseError" in done.stderr
        assert f"process {os.getpid()}" in done.stderr
        assert time.monotonic() - start < 10


def test_the_lock_is_free_after_kill_9(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from mtmbench.core.store import RunStore\n"
        "store = RunStore(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreInUseError, match=str(holder.pid)):
            RunStore(tmp_path)
        holder.send_signal(signal.SIGKILL)
    RunStore(tmp_path).close()


@pytest.mark.slow
def test_a_new_run_waits_for_a_killed_ones_workers(tmp_path: Path) -> None:
    orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(2)"])
    with RunStore(tmp_path) as store:
        store.note_worker(orphan.pid)
    start = time.monotonic()
    RunStore(tmp_path).close()
    assert 0.5 < time.monotonic() - start < 12
    orphan.wait()


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"this is no database, not at all" * 100)
    with pytest.raises(InputError, match=r"store\.sqlite"):
        RunStore(tmp_path)


def test_a_later_schema_is_refused(tmp_path: Path) -> None:
    RunStore(tmp_path).close()
    with sqlite3.connect(tmp_path / "store.sqlite") as db:
        db.execute("UPDATE meta SET value = '99'")
    with pytest.raises(InputError, match="schema 99"):
        RunStore(tmp_path)


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(record("a").to_json() + "\n{half a rec\n")
    with pytest.raises(InputError, match=r"records\.jsonl, line 2: not a record"):
        read_records(path)


def test_records_with_odd_characters_are_read_back_and_blank_lines_are_none(tmp_path: Path) -> None:
    made = [
        Record("metric", key, "ok", {"topic": [ODD_TEXT], "value": 1.0}, {"mtmbench": "0"})
        for key in ("a", "b")
    ]
    with RunStore(tmp_path) as store:
        add(store, *made)
        assert list(store.records()) == made
        path = store.export()
    assert read_records(path) == made
    path.write_text(path.read_text(encoding="utf-8") + "\n  \n", encoding="utf-8")
    assert read_records(path) == made


def test_records_that_are_no_text_or_not_there_are_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"\xff\n")
    for missing in (path, tmp_path / "none.jsonl"):
        with pytest.raises(InputError, match=f"cannot read .*{missing.name}"):
            read_records(missing)


def test_packed_records_are_read_as_plain_ones_where_these_are_not_there(tmp_path: Path) -> None:
    made = [Record("metric", key, "ok", {"topic": [ODD_TEXT]}, {"mtmbench": "0"}) for key in "ab"]
    lines = "".join(one.to_json() + "\n" for one in made).encode()
    packed = tmp_path / "records.jsonl.gz"
    packed.write_bytes(gzip.compress(lines))
    assert records_file(tmp_path) == packed
    assert read_records(packed) == made
    for broken in (gzip.compress(lines)[:-9], lines, gzip.compress(lines)[:-8] + bytes(8)):
        packed.write_bytes(broken)
        with pytest.raises(InputError, match=r"cannot read .*records\.jsonl\.gz"):
            read_records(packed)
    (tmp_path / "records.jsonl").write_bytes(lines)
    assert read_records(records_file(tmp_path)) == made


def damage(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(sql)


@pytest.mark.parametrize(
    "change",
    [
        "line = replace(line, '1.0', '1.5')", "status = 'error'", "kind = 'fit'", "key = 'x'",
        "hash = NULL", "line = CAST(x'7bff' AS TEXT)",
    ],
)  # fmt: skip
def test_a_damaged_record_is_named_and_dropped(tmp_path: Path, change: str) -> None:
    with RunStore(tmp_path) as store:
        add(store, record("a"), record("b"), record("c"))
    damage(tmp_path / "store.sqlite", f"UPDATE records SET {change} WHERE key = 'b'")
    with pytest.warns(UserWarning, match=r"record [bx] in .* is damaged; its cell is played again"):
        store = RunStore(tmp_path)
    with store:
        assert len(store.damaged) == 1
        assert store.finished() == {"a", "c"}
        add(store, record("b"))
    with RunStore(tmp_path) as store:
        assert store.damaged == []
        assert [item.key for item in store.records()] == ["a", "b", "c"]


def test_single_flipped_bits_are_never_read_as_records(tmp_path: Path) -> None:
    with RunStore(tmp_path / "whole") as store:
        add(store, *(record(f"key {i}", value=i / 7) for i in range(20)))
        expected = {item.key: item.to_json() for item in store.records()}
    whole = (tmp_path / "whole" / "store.sqlite").read_bytes()
    rng = random.Random(1)
    dropped = 0
    for flip in range(60):
        folder = tmp_path / str(flip)
        folder.mkdir()
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        (folder / "store.sqlite").write_bytes(bytes(data))
        with warnings.catch_warnings(), contextlib.suppress(InputError):
            warnings.simplefilter("ignore")
            with RunStore(folder) as store:
                found = list(store.records())
                assert store.finished() <= set(expected)
            assert len({item.key for item in found}) == len(found)
            assert {item.key: item.to_json() for item in found}.items() <= expected.items()
            dropped += len(found) < len(expected)
    assert dropped > 5


def test_a_store_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    line = record("a").to_json()
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as db, db:
        db.executescript(
            "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);"
            "INSERT INTO meta VALUES ('schema', '1');"
            "CREATE TABLE records (key TEXT PRIMARY KEY, kind TEXT NOT NULL, "
            "status TEXT NOT NULL, line TEXT NOT NULL);"
        )
        db.execute("INSERT INTO records VALUES ('a', 'metric', 'ok', ?)", (line,))
    for _ in range(2):
        with RunStore(tmp_path) as store:
            assert [item.to_json() for item in store.records()] == [line]
            assert store.export().read_text(encoding="utf-8") == line + "\n"
    damage(tmp_path / "store.sqlite", "UPDATE records SET status = 'skipped'")
    with pytest.warns(UserWarning, match="record a in"), RunStore(tmp_path) as store:
        assert list(store.records()) == []


@pytest.mark.parametrize("schema", ["9", "two", ""])
def test_a_store_of_a_schema_that_is_not_known_is_refused(tmp_path: Path, schema: str) -> None:
    with RunStore(tmp_path):
        pass
    damage(tmp_path / "store.sqlite", f"UPDATE meta SET value = '{schema}'")
    with pytest.raises(InputError, match="schema"):
        RunStore(tmp_path)


def test_a_record_is_read_without_holding_the_store(tmp_path: Path) -> None:
    assert recorded(tmp_path, "a") is None
    with RunStore(tmp_path) as store:
        add(store, record("a", value=3.0))
        found = recorded(tmp_path, "a")
        assert found is not None
        assert found.payload["value"] == 3.0
        assert recorded(tmp_path, "b") is None
    damage(tmp_path / "store.sqlite", "UPDATE records SET line = replace(line, '3.0', '4.0')")
    with pytest.raises(InputError, match=r"record a in .* is damaged"):
        recorded(tmp_path, "a")


def test_a_full_disk_keeps_what_is_there_and_says_so(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        add(store, record("a"))
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(InputError, match=r"cannot write .*store.sqlite: .*full"):
            add(store, *(record(f"more {i}") for i in range(2000)))
        assert store.finished() == {"a"}


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("line = CAST(line AS BLOB)", None),  # the same bytes, and the same hash
        ("line = CAST(? AS TEXT)", b'{"x": "\xff"}'),
        ("line = ?", "{}"),
        ("hash = NULL", None),
    ],
)
def test_what_is_damaged_is_not_taken_for_absent(
    tmp_path: Path, change: str, value: str | bytes | None
) -> None:
    with RunStore(tmp_path) as store:
        add(store, record("a"), record("b"))
    assert recorded(tmp_path, "c") is None
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as db, db:
        values = () if value is None else (value,)
        db.execute(f"UPDATE records SET {change} WHERE key = 'a'", values)
    assert recorded(tmp_path, "b") == record("b")
    with pytest.raises(InputError, match=r"record a in .* is damaged; play the suite again"):
        recorded(tmp_path, "a")
    with pytest.warns(UserWarning, match="record a in"), RunStore(tmp_path) as store:
        assert (store.damaged, store.finished()) == (["a"], {"b"})


def test_a_store_of_an_earlier_release_or_in_use_has_no_record_to_be_read(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        add(store, record("a"))
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as db, db:
        db.execute("ALTER TABLE records DROP COLUMN hash")
    assert recorded(tmp_path, "a") is None
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as db, db:
        db.execute("DROP TABLE records")
    assert recorded(tmp_path, "a") is None
    (tmp_path / "store.sqlite").write_bytes(b"no database" * 500)
    with pytest.raises(InputError, match=r"record a in .* is damaged"):
        recorded(tmp_path, "a")


def test_a_store_whose_tables_have_no_readable_names_is_named(tmp_path: Path) -> None:
    RunStore(tmp_path).close()
    spoil_schema(tmp_path / "store.sqlite")
    with pytest.raises(InputError, match=r"store\.sqlite is not a run store or is damaged"):
        RunStore(tmp_path)
    with pytest.raises(InputError, match="is damaged"):
        recorded(tmp_path, "a")
