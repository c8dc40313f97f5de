"""``mtmbench submit``: an outsider's run is checked for a board, and taken into it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtmbench.cli.console import MOST_ERRORS, echo
from mtmbench.cli.options import DataOption, PluginOption

if TYPE_CHECKING:
    from mtmbench.publishing.submission import Submission


def submit(
    run: Annotated[
        Path, typer.Argument(help="The contributor's folder, with suite.toml and records.jsonl.")
    ],
    board: Annotated[Path, typer.Argument(help="The leaderboard's folder.")],
    write: Annotated[
        bool, typer.Option("--write", help="Take it into the board, if nothing is wrong.")
    ] = False,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write what was found here too.")
    ] = None,
    data_dir: DataOption = None,
    plugin: PluginOption = None,
) -> None:
    """Checks a contributor's run for a board: schema, keys, corpora, protocol, values, limits.

    Plays nothing and asks no network for texts. Exit status: 0; 1 if something is wrong; 2 if a
    file cannot be read; 5 if nothing is wrong, but some corpora are not here to check records by.
    """
    from mtmbench.core.serialise import write_atomically
    from mtmbench.core.tables import table_json
    from mtmbench.publishing.merging import merge
    from mtmbench.publishing.submission import check_submission

    found = check_submission(run, board, data_dir=data_dir, plugins=plugin or [])
    if json is not None:
        write_atomically(json, table_json(found.to_json()))
    for line in _lines(found):
        # What is quoted may hold line ends.
        echo(" ".join(line.splitlines()))
    if write and found.exit_code == 0:
        for path in merge(found):
            echo(f"wrote {path}")
    elif write:
        echo("nothing was written")
    raise typer.Exit(found.exit_code)


def _lines(found: "Submission") -> list[str]:
    new = [
        f"new: {_counts(found.cells)}",
        *(f"new model: {name}" for name in found.models),
        *(f"new setting: {name}" for name in found.settings),
        *(f"new seeds of {name}: {', '.join(map(str, own))}" for name, own in found.seeds.items()),
    ]
    lines = new if found.suite is not None else []
    if found.same:
        lines.append(f"held by the board already: {found.same}")
    if (noise := found.noise) is not None:
        lines.append(
            f"held already, but for float noise: {noise.cells}; the largest difference is "
            f"{noise.largest:.2g}, {noise.where}; records do not say which processor made them, "
            "and the board's values stay"
        )
    if found.replaced:
        lines.append(f"give way, being over fewer models or seeds: {found.replaced}")
    if any(found.open.values()):
        lines.append(f"on the merged board nobody has played: {_counts(found.open)}")
    for name, each in found.unchecked.items():
        lines.append(
            f"not checked, as corpus {name} is not here: {each.records} records ({each.reason})"
        )
    lines += [f"{each.check}: {each.where}: {each.says}" for each in found.faults[:MOST_ERRORS]]
    if (more := len(found.faults) - MOST_ERRORS) > 0:
        lines.append(f"and {more} more")
    return [*lines, f"{len(found.faults)} wrong" if found.faults else "nothing is wrong"]


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()) if n) or "nothing"
