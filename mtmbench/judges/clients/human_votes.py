"""The votes of people: one JSON line a vote, on disk before it counts.

A vote that its voter takes back stays in the file: a later line says that it is undone.

A vote is about a document and two sets of topics, and names neither model: where two pairs of
models show the same sets, one vote serves both.
"""

from __future__ import annotations

import csv
import errno
import fcntl
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from mtmbench.core.errors import InputError, StoreInUseError
from mtmbench.core.files import read_json_lines
from mtmbench.core.serialise import canonical_json, content_hash
from mtmbench.core.tables import csv_text, unguarded
from mtmbench.judges.base import Option, Question
from mtmbench.judges.replies import DECISIONS, Decision

_UNDONE = "undone"
MAX_VOTER = 60
"""Characters of a voter's name, at most."""


@dataclass(frozen=True)
class Vote:
    """What one person said of one document; a later vote on the same replaces it.

    Attributes:
        voter: the name that the person gave.
        key: :func:`vote_key` of the question.
        corpus: the document's corpus.
        doc_id: the document.
        first: :func:`option_key` of the set that was shown first, as A.
        verdict: what the person chose.
        check: the set to choose in an attention check ("A" or "B"); empty for a real question.
    """

    voter: str
    key: str
    corpus: str
    doc_id: str
    first: str
    verdict: Decision
    check: str = ""

    def __post_init__(self) -> None:
        # A spreadsheet would take a name like "=1+1" for a formula.
        if not self.voter[:1].isalnum():
            raise InputError(
                f"a voter's name begins with a letter or digit, not {self.voter!r:.80}"
            )
        if len(self.voter) > MAX_VOTER or not self.voter.isprintable():
            raise InputError(
                f"a voter's name is 1 to {MAX_VOTER} printable characters, not {self.voter!r:.80}"
            )
        if self.verdict not in DECISIONS:
            raise InputError(f"a verdict is one of {', '.join(DECISIONS)}, not {self.verdict!r}")
        if self.check not in ("", "A", "B"):
            raise InputError(f"an attention check asks for A or B, not {self.check!r}")


class VoteFile:
    """An append-only file of votes, held by one process; a context manager.

    Args:
        path: the file; made if it is not there. A last line that a kill cut short is removed: its
            vote was never acknowledged.

    Raises:
        StoreInUseError: another process collects votes in it.
        InputError: a line is no vote, or it cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: what could not be written is not to be written later.
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise InputError(f"cannot keep votes in {path}: {error.strerror}") from error
        try:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreInUseError(f"votes are being collected in {path} already") from None
            self._file.seek(0)
            content = self._file.read()
            self._file.truncate(content.rfind(b"\n") + 1)
            self.votes = read_votes(path)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> VoteFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, votes: Iterable[Vote]) -> None:
        """Adds votes; they are on disk when this returns.

        Raises:
            InputError: they cannot be written (the disk is full); none of them counts.
        """
        added = list(votes)
        lines = "".join(canonical_json(asdict(vote)) + "\n" for vote in added)
        self._write(lines)
        for vote in added:
            self.votes.pop((vote.voter, vote.key), None)
            self.votes[vote.voter, vote.key] = vote

    def undo(self, voter: str, key: str) -> None:
        """Takes a vote back; that it was given and undone is on disk when this returns."""
        self._write(canonical_json({_UNDONE: {"voter": voter, "key": key}}) + "\n")
        self.votes.pop((voter, key), None)

    def _write(self, lines: str) -> None:
        end, data = self._file.seek(0, os.SEEK_END), lines.encode("utf-8")
        try:
            if self._file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(end)
            raise InputError(f"cannot keep votes in {self.path}: {error.strerror}") from error


def read_votes(path: Path) -> dict[tuple[str, str], Vote]:
    """Returns the last vote of every voter on every question, by (voter, key), as they came.

    Those that were undone are not among them.

    Raises:
        InputError: the file cannot be read, or a line is no vote.
    """
    votes: dict[tuple[str, str], Vote] = {}
    for number, row in enumerate(read_json_lines(path), start=1):
        where = f"{path} line {number}"
        if isinstance(row, Mapping) and set(row) == {_UNDONE}:
            votes.pop(_undone(row[_UNDONE], where), None)
            continue
        vote = _vote(row, where)
        votes.pop((vote.voter, vote.key), None)
        votes[vote.voter, vote.key] = vote
    return votes


def votes_csv(votes: Iterable[Vote]) -> str:
    """Returns votes as CSV, sorted by voter and question."""
    rows = map(asdict, sorted(votes, key=lambda vote: (vote.voter, vote.key)))
    return csv_text([field.name for field in fields(Vote)], rows)


def votes_from_csv(path: Path) -> list[Vote]:
    """Reads votes as :func:`votes_csv` writes them.

    Raises:
        InputError: the file cannot be read, or a row is no vote; it is named.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    votes = [_vote(row, f"{path} line {number}") for number, row in enumerate(rows, start=2)]
    return [
        replace(vote, corpus=unguarded(vote.corpus), doc_id=unguarded(vote.doc_id))
        for vote in votes
    ]


def option_key(option: Option) -> str:
    """Returns what tells a set of topics from others, as people see it."""
    return content_hash("option", [topic.description for topic in option.topics])


def vote_key(question: Question) -> str:
    """Returns what tells a question from others, in whichever order its sets are shown."""
    sets = sorted(option_key(option) for option in question.options)
    return content_hash("vote", question.context["corpus"], question.context["doc_id"], sets)


def _undone(told: object, where: str) -> tuple[str, str]:
    if not isinstance(told, Mapping) or not {"voter", "key"} <= set(told):
        raise InputError(f"{where} does not say whose vote on what is undone")
    return str(told["voter"]), str(told["key"])


def _vote(row: Mapping[str, Any], where: str) -> Vote:
    names = [field.name for field in fields(Vote)]
    if set(row) != set(names) or not all(isinstance(row[name], str) for name in names):
        raise InputError(f"{where} is no vote; a vote has the texts {', '.join(names)}")
    try:
        return Vote(**{name: row[name] for name in names})
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
