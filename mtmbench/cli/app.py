"""The ``mtmbench`` command. Every heavy import waits until the command that needs it runs."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from mtmbench.cli.board import board
from mtmbench.cli.compare import compare
from mtmbench.cli.console import echo
from mtmbench.cli.doctor import doctor
from mtmbench.cli.export import export
from mtmbench.cli.features import features
from mtmbench.cli.import_ import import_topics
from mtmbench.cli.judge import judge
from mtmbench.cli.label import label
from mtmbench.cli.list import list_names
from mtmbench.cli.options import EXIT_STORE_IN_USE, EXIT_USAGE
from mtmbench.cli.plan import plan
from mtmbench.cli.publish import publish
from mtmbench.cli.rate import rate
from mtmbench.cli.run import run
from mtmbench.cli.score import score
from mtmbench.cli.serve import serve
from mtmbench.cli.show import show
from mtmbench.cli.steer import steer
from mtmbench.cli.study import study_app
from mtmbench.cli.submit import submit
from mtmbench.cli.topics import topics
from mtmbench.cli.tune import tune
from mtmbench.cli.validate import validate
from mtmbench.cli.view import view
from mtmbench.core.errors import MtmbenchError, StoreInUseError
from mtmbench.core.files import MAX_UNPACKED

app = typer.Typer(
    help="The evaluation-first benchmark harness for topic models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("list")(list_names)
app.command()(plan)
app.command()(run)
app.command()(judge)
app.command()(board)
app.command()(export)
app.command()(compare)
app.command()(submit)
app.command()(publish)
app.command()(rate)
app.command()(score)
app.command("import")(import_topics)
app.command()(features)
app.command()(label)
app.command()(topics)
app.command()(show)
app.command()(tune)
app.command()(steer)
app.command()(validate)
app.command()(view)
app.command()(serve)
app.command()(doctor)
app.add_typer(study_app, name="study")


@app.callback()
def options(
    max_unpacked: Annotated[
        int | None,
        typer.Option(
            metavar="MB",
            help="What a packed file (.gz, npz, Parquet) may unpack to: 512 MB by default, or 20 "
            "times its own size if that is more.",
            min=1,
        ),
    ] = None,
) -> None:
    """The evaluation-first benchmark harness for topic models."""
    if max_unpacked is not None:
        # Workers inherit it.
        os.environ[MAX_UNPACKED] = str(max_unpacked)


def main() -> None:
    """Runs the command line; errors a user can mend are printed bare, without a traceback."""
    try:
        app()
    except StoreInUseError as error:
        echo(f"mtmbench: {error}", err=True)
        sys.exit(EXIT_STORE_IN_USE)
    except MtmbenchError as error:
        echo(f"mtmbench: {error}", err=True)
        sys.exit(EXIT_USAGE)
    except (OSError, MemoryError) as error:
        echo(f"mtmbench: {_of_the_machine(error)}", err=True)
        sys.exit(EXIT_USAGE)
    except Exception as error:
        # Not imported for its name alone: --help is to be fast.
        if type(error).__module__ != "sqlite3":
            raise
        echo(f"mtmbench: cannot keep records or answers: {error}", err=True)
        sys.exit(EXIT_USAGE)


def _of_the_machine(error: OSError | MemoryError) -> str:
    """Returns what no code can mend, in one line: a full disk, a folder that is read-only."""
    if isinstance(error, MemoryError):
        return f"out of memory: {error or 'the numbers asked for are too large'}"
    told = error.strerror or str(error) or type(error).__name__
    return told if error.filename is None else f"{error.filename}: {told}"
