"""Loggers: trackers of experiments that are told of a run while it is played.

A logger is a class without parameters that is registered as ``mtmbench.loggers``; what it is told
has no absolute paths, and nothing that looks like a secret, in it. It sees no text of a corpus and
no answer of a judge. One that fails is left out from there on; the run goes on.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from mtmbench.boards.board import Board
from mtmbench.boards.flat import FlatRow, flat_tables, numbers
from mtmbench.core.registry import Registry
from mtmbench.core.serialise import plain
from mtmbench.publishing.publication import clean
from mtmbench.publishing.traces import secret_in

if TYPE_CHECKING:
    from mtmbench.core.cards import Suite
    from mtmbench.engine.harness import RunOutcome, RunProgress

LOGGED_TABLES = ("ratings", "values")


@dataclass(frozen=True)
class LoggedRun:
    """What a logger is told when a run begins.

    Attributes:
        name: the suite's.
        suite: the suite as JSON values, without what has its default.
        versions: of mtmbench and Python.
    """

    name: str
    suite: Mapping[str, object]
    versions: Mapping[str, str]


@dataclass(frozen=True)
class LoggedBoard:
    """What a logger is told of the board at the end.

    Attributes:
        numbers: ratings and means of metrics, with the ends of their intervals under ``/lo`` and
            ``/hi``; names are as of folders (:func:`mtmbench.boards.flat.numbers`).
        tables: ``ratings`` and ``values``, each rows of texts and numbers in the same columns.
        errors: cells that failed.
    """

    numbers: Mapping[str, float]
    tables: Mapping[str, Sequence[FlatRow]]
    errors: int


class RunLogger(Protocol):
    """What a logger does. A library that it needs is imported, and missed, in ``__init__``."""

    def start(self, run: LoggedRun) -> None:
        """A run begins."""

    def progress(self, phase: str, done: float, total: float) -> None:
        """So much of a phase is done: about every hundredth of it."""

    def finish(self, board: LoggedBoard | None) -> None:
        """The run is over; without a board it was cut off. Nothing is told after that."""


LOGGERS: Registry[Callable[[], RunLogger]] = Registry("logger", "mtmbench.loggers")

register_logger = LOGGERS.register


class Loggers:
    """The loggers of a run, none of which can spoil it; a context manager around the run.

    Args:
        names: registered names.
        suite: what is played; another may take its place until it is.
        tell: told once of each logger that fails, in a sentence.

    Raises:
        UnknownNameError: there is no logger of a name.
        InputError: a logger's library is not installed.
    """

    def __init__(self, names: Sequence[str], suite: Suite, tell: Callable[[str], None]) -> None:
        self.suite, self._tell = suite, tell
        self._loggers = {name: LOGGERS.get(name)() for name in dict.fromkeys(names)}
        self._board: LoggedBoard | None = None

    def __enter__(self) -> Loggers:
        data = self.suite.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        versions = {"mtmbench": version("mtmbench"), "python": platform.python_version()}
        run = LoggedRun(clean(self.suite.name), _cleaned(plain(data)), versions)
        self._each(lambda logger: logger.start(run))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._each(lambda logger: logger.finish(self._board))

    def beside(self, progress: RunProgress | None) -> RunProgress:
        """Returns what is told of progress in place of ``progress``, and tells it and loggers."""
        return _Progress(progress, self)

    def played(self, outcome: RunOutcome) -> None:
        """Takes what loggers are told at the end from the board of a run."""
        if self._loggers:
            board = Board.read(outcome.folder).data
            tables = flat_tables(board)
            self._board = LoggedBoard(
                {clean(name): number for name, number in numbers(board).items()},
                _cleaned({name: tables[name] for name in LOGGED_TABLES}),
                len(outcome.errors),
            )

    def _each(self, call: Callable[[RunLogger], None]) -> None:
        for name, logger in list(self._loggers.items()):
            try:
                call(logger)
            except Exception as error:
                del self._loggers[name]
                why = _cleaned(" ".join(f"{type(error).__name__}: {error}".split())[:400])
                self._tell(f"logger {name} failed and is told no more of this run: {why}")


class _Progress:
    def __init__(self, other: RunProgress | None, loggers: Loggers) -> None:
        self._other, self._loggers = other, loggers
        self._phase, self._total, self._done = "", 0.0, 0.0

    def phase(self, name: str, total: float) -> None:
        """A phase of ``total`` units of work begins."""
        self._phase, self._total, self._done = name, total, 0.0
        if self._other is not None:
            self._other.phase(name, total)

    def advance(self, units: float, what: str) -> None:
        """``units`` more units of the phase are done."""
        if self._other is not None:
            self._other.advance(units, what)
        before, self._done = self._done, self._done + units
        if self._total and int(100 * before / self._total) < int(100 * self._done / self._total):
            told = self._phase, self._done, self._total
            self._loggers._each(lambda logger: logger.progress(*told))


def _cleaned(value: Any) -> Any:
    """Returns JSON values without absolute paths, tracebacks and what looks like a secret."""
    if isinstance(value, str):
        secret = secret_in(value)
        return clean(value) if secret is None else f"[left out: {secret}]"
    if isinstance(value, Mapping):
        return {_cleaned(name): _cleaned(item) for name, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list | tuple) else value
