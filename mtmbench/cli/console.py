"""What several commands print: tables, lines, how work gets on, what was played.

Names, reasons and paths are the user's own or a stranger's, so nothing here reads text as console
markup, and no control character of theirs reaches a terminal: all that commands print goes through
this module.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import typer

from mtmbench.cli.options import EXIT_INTERRUPTED, INTERRUPTED

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from mtmbench.engine.harness import RunOutcome

MOST_ERRORS = 20
"""Errors of a run that are printed; the rest stand in its records."""


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""C0 without tab and newline, DEL, C1, what turns the text behind it around, and halves of
characters, which cannot be encoded."""


def printable(text: str) -> str:
    """Returns text with its control characters and lone surrogates as escapes.

    Newlines and tabs stay. The escapes are those of JSON, so that printed JSON stays JSON.
    """
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def echo(text: str, *, err: bool = False) -> None:
    """Prints text as it is, unwrapped and without colours."""
    typer.echo(printable(text), err=err)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None
) -> None:
    """Prints a table; long cells are folded, none is cut."""
    from rich.table import Table

    table = Table(title=None if title is None else printable(title), title_justify="left")
    for column in columns:
        table.add_column(printable(column), overflow="fold")
    for row in rows:
        table.add_row(*map(printable, row))
    _console().print(table)


def print_line(
    text: str, *, style: str | None = None, highlight: bool = True, wrap: bool = True
) -> None:
    """Prints text, wrapped at the width of the terminal.

    Args:
        text: what to print.
        style: a style of rich's for all of it.
        highlight: colour numbers, paths and the like, where there are colours.
        wrap: whether to wrap it; what is to be copied or searched for is not.
    """
    _console().print(printable(text), style=style, highlight=highlight, soft_wrap=not wrap)


def print_files(heading: str, files: Iterable[Path]) -> None:
    """Prints a heading and under it the files that were written."""
    print_line(heading)
    for file in files:
        print_line(f"  {file}", highlight=False)


def print_played(outcome: RunOutcome) -> None:
    """Prints how many cells a run played, and its first errors."""
    print_line(
        f"{outcome.played} cells played, {outcome.reused} reused, {len(outcome.errors)} errors."
    )
    for cell, reason in outcome.errors[:MOST_ERRORS]:
        print_line(f"error: {cell}: {reason}", style="red", highlight=False)


@contextmanager
def resumable() -> Iterator[None]:
    """Around work that the same command goes on with: Ctrl-C ends it with a line that says so."""
    try:
        yield
    except KeyboardInterrupt:
        echo(INTERRUPTED, err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None


class ConsoleProgress:
    """A bar with time left for each phase; on a pipe, a line at each tenth."""

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        self._console = _console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description:<8}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[what]}", markup=False),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._name, self._total, self._done, self._started = "", 0.0, 0.0, 0.0

    def __enter__(self) -> ConsoleProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def phase(self, name: str, total: float) -> None:
        """Begins a bar of ``total`` units."""
        name = printable(name)
        self._task = self._bar.add_task(name, total=total, what="")
        self._name, self._total, self._done = name, total, 0.0
        self._started = time.monotonic()

    def advance(self, units: float, what: str) -> None:
        """Moves the bar; ``what`` names the last unit."""
        assert self._task is not None
        before, self._done = self._done, self._done + units
        self._bar.update(self._task, advance=units, what=printable(what[:60]))
        share = self._done / self._total
        reached, passed = (int(10 * done / self._total + 1e-6) for done in (self._done, before))
        if not self._console.is_terminal and reached > passed:
            spent = time.monotonic() - self._started
            left = max(0.0, spent / share - spent)
            self._console.print(
                f"{self._name}: {share:.0%}, {spent:.0f} s spent, about {left:.0f} s left",
                highlight=False,
            )

    def counted(self, phase: str, what: str) -> Callable[[int, int], None]:
        """Returns what draws a count: call it with how many are done, and of how many.

        A count of another total, or one that falls, begins the phase anew.

        Args:
            phase: the name of the bar.
            what: what it says of every unit.
        """
        done = of = 0

        def tell(now: int, total: int) -> None:
            nonlocal done, of
            if total != of or now < done:
                self.phase(phase, total)
                done, of = 0, total
            self.advance(now - done, what)
            done = now

        return tell


def _console(*, stderr: bool = False) -> Console:
    """Returns what all is printed on; ``[red]x[/red]`` and ``:smile:`` are names like any other."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False)
