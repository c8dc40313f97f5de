"""Loggers of a plugin: one that writes down what it is told, and one that fails."""

from __future__ import annotations

import json
from pathlib import Path

import mtmbench as mb
from mtmbench.publishing.loggers import LoggedBoard, LoggedRun


@mb.register_logger("diary")
class Diary:
    """Writes a line of JSON a call into ``diary.jsonl``."""

    def start(self, run: LoggedRun) -> None:
        self._write(["start", run.name, run.suite, run.versions])

    def progress(self, phase: str, done: float, total: float) -> None:
        self._write(["progress", phase, done / total])

    def finish(self, board: LoggedBoard | None) -> None:
        told = None if board is None else [board.numbers, board.tables, board.errors]
        self._write(["finish", told])

    def _write(self, line: list[object]) -> None:
        with Path("diary.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


@mb.register_logger("broken")
class Broken(Diary):
    """Fails at the first progress, with a path and a secret in what it says."""

    def progress(self, phase: str, done: float, total: float) -> None:
        raise RuntimeError("no route to /home/ann/log\nBearer abcdefghijklmnop1234")

    def _write(self, line: list[object]) -> None:
        Path("broken").write_text(str(line[0]))
