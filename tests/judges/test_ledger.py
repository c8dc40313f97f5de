"""The ledger: shared by processes, taken over from dead ones, durable before it is used."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest
from support.odd_text import ODD_TEXT
from support.spoilt_files import spoil_schema

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import canonical_json
from mtmbench.judges import ledger as ledger_module
from mtmbench.judges import ledger_file
from mtmbench.judges.base import JudgeStoppedError
from mtmbench.judges.ledger import Ledger
from mtmbench.judges.ledger_file import Answer, QuestionBatch
from mtmbench.judges.refuge import Refuge

PAYER = """
import asyncio, os, sys
from pathlib import Path
from mtmbench.judges.ledger import Answer, Ledger

path, log, first, n = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

async def pay(key):
    with open(log, "a") as file:
        file.write(key + "\\n")
    await asyncio.sleep(0.01)
    return Answer(key, f"to {key}", False, {"input": 3}, "r", 0.5)

async def main():
    slots = asyncio.Semaphore(4)
    with Ledger(path) as ledger:
        # Each begins elsewhere, so that they meet.
        keys = [f"k{(i + first) % n}" for i in range(n)]
        answers = await asyncio.gather(
            *[ledger.obtain(key, "what", lambda key=key: pay(key), slots) for key in keys]
        )
        assert [answer.text for answer in answers] == [f"to {key}" for key in keys]

asyncio.run(main())
"""


def payer(folder: Path, first: int, n: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", PAYER, str(folder / "ledger.sqlite"), str(folder / "log"),
         str(first), str(n)],
    )  # fmt: skip


def paid(folder: Path) -> Counter[str]:
    return Counter((folder / "log").read_text().split())


@pytest.mark.slow
def test_two_processes_pay_for_nothing_twice(tmp_path: Path) -> None:
    n = 120
    processes = [payer(tmp_path, first, n) for first in (0, 60)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert paid(tmp_path) == Counter({f"k{i}": 1 for i in range(n)})
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.spent() == 0.5 * n
        assert ledger.get("k7") == Answer("k7", "to k7", False, {"input": 3}, "r", 0.5)
        assert ledger.get("k120") is None


@pytest.mark.slow
def test_the_claims_of_a_killed_process_are_taken_over(tmp_path: Path) -> None:
    n = 120
    (tmp_path / "log").touch()
    killed = payer(tmp_path, 0, n)
    while len(paid(tmp_path)) < 30:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as db:
        kept = {key for (key,) in db.execute("SELECT key FROM answers")}
        assert db.execute("SELECT count(*) FROM claims").fetchone()[0] > 0
    before = paid(tmp_path)
    assert payer(tmp_path, 0, n).wait(60) == 0
    again = paid(tmp_path) - before
    assert set(again) == {f"k{i}" for i in range(n)} - kept
    # Four slots: no more than four were under way.
    assert (paid(tmp_path).total() - n) <= 4


def test_who_fails_gives_the_question_back(tmp_path: Path) -> None:
    async def fail() -> Answer:
        raise OSError("no")

    async def succeed() -> Answer:
        return Answer("k", "yes", False, {}, "")

    async def main(ledger: Ledger) -> Answer:
        slot = asyncio.Semaphore(1)
        with pytest.raises(OSError, match="no"):
            await ledger.obtain("k", "what", fail, slot)
        return await ledger.obtain("k", "what", succeed, slot)

    with Ledger(tmp_path / "l.sqlite") as ledger:
        assert asyncio.run(main(ledger)).text == "yes"
        assert ledger.get("k") == Answer("k", "yes", False, {}, "", None)


def test_an_answer_that_is_there_stays(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.sqlite") as ledger:
        for text in ("first", "second"):
            asyncio.run(ledger.keep([(Answer("k", text, True, {}, ""), "what")]))
        kept = ledger.get("k")
    assert kept is not None
    assert (kept.text, kept.refused) == ("first", True)


def test_batches_are_noted(tmp_path: Path) -> None:
    batch = QuestionBatch("t", "judge", None, "submitting", {"k": "what"})
    with Ledger(tmp_path / "l.sqlite") as ledger:
        asyncio.run(ledger.note_batch(batch))
    with Ledger(tmp_path / "l.sqlite") as ledger:
        assert ledger.batches("judge") == [batch]
        assert ledger.batches("another") == []
        asyncio.run(
            ledger.note_batch(QuestionBatch("t", "judge", "b-1", "submitted", {"k": "what"}))
        )
        assert [found.id for found in ledger.batches("judge")] == ["b-1"]
        asyncio.run(ledger.note_batch(QuestionBatch("t", "judge", "b-1", "collected", {})))
        assert ledger.batches("judge") == []


def test_a_later_schema_is_not_read(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.sqlite"):
        pass
    with closing(sqlite3.connect(tmp_path / "l.sqlite")) as db, db:
        db.execute("UPDATE meta SET value = '9'")
    with pytest.raises(InputError, match="schema 9; this mtmbench reads up to 3"):
        Ledger(tmp_path / "l.sqlite")


def test_a_claim_of_another_life_of_the_pid_is_dead(tmp_path: Path) -> None:
    async def succeed() -> Answer:
        return Answer("k", "mine", False, {}, "")

    with Ledger(tmp_path / "l.sqlite") as ledger:
        with closing(sqlite3.connect(tmp_path / "l.sqlite")) as db, db:
            db.execute("INSERT INTO claims VALUES ('k', 'o', ?, 'long ago')", (os.getpid(),))
        obtained = ledger.obtain("k", "what", succeed, asyncio.Semaphore(1))
        assert asyncio.run(asyncio.wait_for(obtained, 5)).text == "mine"


def test_a_damaged_answer_is_named_and_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    given = [Answer(key, "VERDICT: A", False, {"input": 3}, "r", 0.5) for key in ("k1", "k2")]
    with Ledger(path) as ledger:
        asyncio.run(ledger.keep([(answer, "what") for answer in given]))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE answers SET text = 'VERDICT: B' WHERE key = 'k1'")

    async def ask() -> Answer:
        return Answer("k1", "VERDICT: A, again", False, {}, "r", 0.5)

    with pytest.warns(UserWarning, match="answer k1 in .* is damaged; its question is asked again"):
        ledger = Ledger(path)
    with ledger:
        assert (ledger.get("k1"), ledger.get("k2")) == (None, given[1])
        assert ledger.spent() == 0.5
        again = asyncio.run(ledger.obtain("k1", "what", ask, asyncio.Semaphore(1)))
        assert again.text == "VERDICT: A, again"
    with Ledger(path) as ledger:
        assert ledger.get("k1") == again


def test_a_text_that_is_no_text_is_damage_though_its_hash_is_right(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    with Ledger(path) as ledger:
        asyncio.run(ledger.keep([(Answer("k", "VERDICT: A", False, {}, "r"), "what")]))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE answers SET text = CAST(text AS BLOB)")
    with pytest.warns(UserWarning, match="answer k in .* is damaged"), Ledger(path) as ledger:
        assert ledger.get("k") is None


def test_a_ledger_whose_tables_have_no_readable_names_is_named(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    Ledger(path).close()
    spoil_schema(path)
    with pytest.raises(InputError, match=r"l\.sqlite is not a file of answers, or is damaged"):
        Ledger(path)


def test_answers_are_checked_once_when_a_ledger_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    monkeypatch.setattr(
        ledger_file, "drop_damaged", lambda _db, table, _columns: checked.append(table) or []
    )
    with Ledger(tmp_path / "l.sqlite"):
        assert checked == ["answers"]


def test_a_row_that_was_rescued_and_damaged_takes_no_other_along(tmp_path: Path) -> None:
    good = canonical_json({**asdict(Answer("k", "VERDICT: A", False, {}, "r")), "what": "w"})
    rows = (b'{"key": "j", "text": "\xff"}', b"[" * 100_000, b'{"key', good.encode())
    (tmp_path / "l.sqlite-rescued-x.jsonl").write_bytes(b"\n".join(rows) + b"\n")
    with Ledger(tmp_path / "l.sqlite") as ledger:
        assert ledger.get("j") is None
        assert ledger.get("k") == Answer("k", "VERDICT: A", False, {}, "r")
        ledger.check()


def test_odd_characters_of_a_reply_are_kept(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.sqlite") as ledger:
        asyncio.run(ledger.keep([(Answer("k", ODD_TEXT, False, {}, ODD_TEXT), "what")]))
    with Ledger(tmp_path / "l.sqlite") as ledger:
        found = ledger.get("k")
    assert found is not None
    assert (found.text, found.model_revision) == (ODD_TEXT, ODD_TEXT)


SCHEMA_1 = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE answers (
  key TEXT PRIMARY KEY, what TEXT NOT NULL, text TEXT NOT NULL, refused INTEGER NOT NULL,
  usage TEXT NOT NULL, model_revision TEXT NOT NULL, cost REAL
) WITHOUT ROWID;
CREATE TABLE claims (
  key TEXT PRIMARY KEY, owner TEXT NOT NULL, pid INTEGER NOT NULL, started TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE batches (
  token TEXT PRIMARY KEY, judge TEXT NOT NULL, id TEXT, state TEXT NOT NULL, questions TEXT NOT NULL
);
INSERT INTO meta VALUES ('schema', '1');
INSERT INTO answers VALUES ('k', 'what', 'VERDICT: A', 0, '{"input":3}', 'r', 0.25);
INSERT INTO batches VALUES ('t', 'judge', 'b-1', 'submitted', '{"k2":"what"}');
"""


def test_an_old_ledger_is_read_and_written_on(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(SCHEMA_1)
    old = Answer("k", "VERDICT: A", False, {"input": 3}, "r", 0.25)
    new = Answer("k2", "VERD", False, {}, "r", None, cut=True, most=0.5)
    for _ in range(2):
        with Ledger(path) as ledger:
            assert ledger.get("k") == old
            assert ledger.batches() == [
                QuestionBatch("t", "judge", "b-1", "submitted", {"k2": "what"})
            ]
            asyncio.run(ledger.keep([(new, "what")]))
            assert ledger.get("k2") == new
            assert ledger.spent() == 0.75
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT value FROM meta").fetchall() == [("3",)]


def test_the_answers_of_an_old_ledger_get_a_hash_each(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(SCHEMA_1)
    with Ledger(path) as ledger:
        assert ledger.get("k") is not None
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE answers SET refused = 1 WHERE key = 'k'")
    with pytest.warns(UserWarning, match="answer k"), Ledger(path) as ledger:
        assert ledger.get("k") is None


def test_two_that_open_an_old_ledger_at_once_move_it_once(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(SCHEMA_1)
    program = (
        "import sys; from pathlib import Path; from mtmbench.judges.ledger import Ledger\n"
        "with Ledger(Path(sys.argv[1])) as ledger: assert ledger.get('k').cost == 0.25"
    )
    openers = [subprocess.Popen([sys.executable, "-P", "-c", program, str(path)]) for _ in range(3)]
    assert [opener.wait(60) for opener in openers] == [0, 0, 0]


def test_an_answer_that_cannot_be_written_takes_no_other_along(tmp_path: Path) -> None:
    good = [Answer(key, "VERDICT: A", False, {}, "r") for key in "abc"]
    bad = Answer("bad", "VERDICT: A", False, {}, "\ud800")

    async def main(ledger: Ledger) -> None:
        several = [(good[0], "what"), (bad, "what"), (good[1], "what")]
        outcomes = await asyncio.gather(
            ledger.keep(several), ledger.keep([(good[2], "what")]), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [UnicodeEncodeError, type(None)]

    with Ledger(tmp_path / "l.sqlite") as ledger:
        asyncio.run(main(ledger))
        assert [ledger.get(answer.key) for answer in good] == good
        assert ledger.get("bad") is None


BIG = [Answer(f"k{n}", f"{n}" * 50_000, False, {"input": n}, "r", 0.5, most=None) for n in range(8)]


def fill(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Answer]:
    """Pays for answers until a disk of a few pages takes no more; returns what came."""

    def small_disk(path: Path) -> sqlite3.Connection:
        db = open_whole(path)
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages + 50}")
        return db

    async def main() -> list[Answer]:
        came = []
        slot = asyncio.Semaphore(1)
        with Ledger(path) as ledger:

            async def pay(answer: Answer) -> Answer:
                ledger.check()
                return answer

            async def pay_all() -> None:
                for answer in BIG:
                    found = await ledger.obtain(answer.key, "what", lambda a=answer: pay(a), slot)
                    assert ledger.get(answer.key) == found
                    came.append(found)

            with pytest.raises(JudgeStoppedError, match=r"disk is full.* same command again goes"):
                await pay_all()
            assert ledger.spent() == 0.5 * len(came)
        return came

    open_whole = ledger_module.open_ledger
    with monkeypatch.context() as patched:
        patched.setattr(ledger_module, "open_ledger", small_disk)
        return asyncio.run(main())


def test_what_is_paid_for_outlives_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "l[1].sqlite"
    came = fill(path, monkeypatch)
    # One was paid for when the disk was found full, and it was used and kept.
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM answers").fetchone() == (len(came) - 1,)
    assert 1 < len(came) < len(BIG)
    (rescued,) = tmp_path.glob("*.jsonl")
    with Ledger(path) as ledger:
        assert [ledger.get(answer.key) for answer in came] == came
        ledger.check()
        assert not rescued.exists()
    with Ledger(path) as ledger:
        assert [ledger.get(answer.key) for answer in came] == came


def test_a_full_disk_is_no_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def small(*arguments: object, **options: object) -> sqlite3.Connection:
        db = connect(*arguments, **options)  # type: ignore[call-overload]
        db.execute("PRAGMA max_page_count = 1")
        return db  # type: ignore[no-any-return]

    monkeypatch.setattr(sqlite3, "connect", small)
    with pytest.raises(InputError, match=r"cannot keep answers in .*l\.sqlite: .* full"):
        Ledger(tmp_path / "l.sqlite")


def test_they_outlive_the_process_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    path = tmp_path / "l.sqlite"
    with Ledger(path) as killed:
        with monkeypatch.context() as patched:
            patched.setattr(ledger_module, "keep_answer", full)
            for answer in BIG[:3]:
                asyncio.run(killed.keep([(answer, "what")]))
            with pytest.raises(JudgeStoppedError, match=r"paid for are in .*jsonl"):
                killed.check()
        # It was never closed, as far as this one knows.
        with Ledger(path) as ledger:
            assert [ledger.get(answer.key) for answer in BIG[:3]] == BIG[:3]
    assert list(tmp_path.glob("*.jsonl")) == []


def test_where_nothing_fits_beside_it_answers_go_into_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, elsewhere = tmp_path / "l.sqlite", tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    places = Refuge.places
    monkeypatch.setattr(Refuge, "places", lambda self: [(tmp_path / "full", "l"), places(self)[1]])
    came = fill(path, monkeypatch)
    (rescued,) = elsewhere.glob("*.jsonl")
    assert rescued.stat().st_mode & 0o077 == 0
    # Another ledger's, and a link that somebody laid there, are not read.
    rescued.with_name(rescued.name.replace(".jsonl", "-link.jsonl")).symlink_to("/dev/zero")
    with Ledger(tmp_path / "other.sqlite") as other:
        assert other.get(came[-1].key) is None
    with Ledger(path) as ledger:
        assert [ledger.get(answer.key) for answer in came] == came
    assert not rescued.exists()


def test_answers_that_fit_nowhere_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Refuge, "places", lambda self: [(tmp_path / "full", "l")])
    with pytest.raises(JudgeStoppedError, match=r"1 paid answers are lost: neither .*l\.sqlite"):
        fill(tmp_path / "l.sqlite", monkeypatch)
