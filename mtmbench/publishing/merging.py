"""A submission that was found in order is taken into its board, or nothing of it is."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from mtmbench.boards.write import write_board
from mtmbench.core.card_reading import suite_text
from mtmbench.core.errors import InputError
from mtmbench.core.files import parse_toml, read_text
from mtmbench.core.serialise import write_atomically
from mtmbench.core.store import read_records, records_content, records_file
from mtmbench.publishing.submission import FINE, Submission

_OF_RUNS = shutil.ignore_patterns("*.sqlite", "*.sqlite-*", "*.lock", "results", "models")


def merge(submission: Submission) -> list[Path]:
    """Writes a board's suite, records and files with what a submission adds.

    All of it is made elsewhere first. If writing it fails half way, what was there is put back.

    Returns:
        The files that changed.

    Raises:
        InputError: the submission is not in order; or its board's ``suite.toml`` was written by
            hand, in which case the message gives the lines to put there.
        OSError: a file cannot be written.
    """
    if submission.exit_code != FINE or submission.suite is None:
        raise InputError("only a submission that was checked, and found in order, is merged")
    board = submission.board
    held = records_file(board)
    inputs: dict[str, bytes | str] = {}
    # The same records may be packed otherwise, and stay so.
    if not held.is_file() or read_records(held) != [*submission.records]:
        inputs[held.name] = records_content(held.name, submission.records)
    if submission.lines:
        _check_rewritable(submission)
        inputs["suite.toml"] = suite_text(submission.suite)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / board.name
        shutil.copytree(board, folder, ignore=_OF_RUNS)
        for name, content in inputs.items():
            write_atomically(folder / name, content)
        files = [path.relative_to(folder) for path in write_board(folder)]
        contents = {name: (folder / name).read_bytes() for name in [*map(Path, inputs), *files]}
        # Folders of the page hold nothing else, and a smaller board has fewer parts.
        parts = {name.parent for name in files} - {Path()}
        old = {p.relative_to(board) for part in parts for p in (board / part).glob("*")}
        return _replace(board, contents, old - contents.keys())


def _replace(board: Path, contents: dict[Path, bytes], gone: set[Path]) -> list[Path]:
    names = [*contents, *sorted(gone)]
    before = {name: (board / name).read_bytes() for name in names if (board / name).is_file()}
    changed = [name for name in contents if before.get(name) != contents[name]]
    try:
        for name in changed:
            write_atomically(board / name, contents[name])
        for name in gone:
            (board / name).unlink()
    except BaseException:
        for name in names:
            if name in before:
                write_atomically(board / name, before[name])
            else:
                (board / name).unlink(missing_ok=True)
        raise
    return [board / name for name in changed]


def _check_rewritable(submission: Submission) -> None:
    """Refuses to rewrite a suite that has comments or a layout of its own, which would be lost."""
    import tomli_w

    path = submission.board / "suite.toml"
    text = read_text(path)
    if text != tomli_w.dumps(parse_toml(text, str(path))):
        lines = tomli_w.dumps(submission.lines).rstrip()
        raise InputError(
            f"{path} was written by hand, and its comments would be lost; change these keys in it, "
            f"then submit again:\n{lines}"
        )
