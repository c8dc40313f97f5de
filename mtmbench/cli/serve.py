"""``mtmbench serve``; the page is in :mod:`mtmbench.voting.server`."""

from pathlib import Path
from typing import Annotated

import typer

from mtmbench.cli.console import echo
from mtmbench.cli.options import (
    DataOption,
    PluginOption,
    SuiteArgument,
    resolve_suite,
    set_option,
)


def serve(
    suite: SuiteArgument,
    judge: Annotated[str, typer.Option("--judge", help="A judge card of people.")] = "human",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The run's folder, with its fits; runs/SUITE by default."),
    ] = None,
    overrides: Annotated[list[str] | None, set_option("the suite")] = None,
    models: Annotated[
        str | None, typer.Option("--models", help="Compare these, separated by commas.")
    ] = None,
    data_dir: DataOption = None,
    plugin: PluginOption = None,
    host: Annotated[
        str, typer.Option(help="The address to listen on; others than this machine's can vote too.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0, max=65535)] = 0,
    export_csv: Annotated[
        Path | None, typer.Option("--export", help="Write the votes to this CSV, and end.")
    ] = None,
    import_csv: Annotated[
        Path | None, typer.Option("--import", help="Add the votes of this CSV, and end.")
    ] = None,
) -> None:
    """Serves a page on which people judge a suite's matches, blind, in random order, by keyboard.

    Play the suite first, so that its fits are there. Every vote is on disk before it is thanked
    for; voters go on under their name where they stopped. Ctrl-C ends it. The board is then made
    by `mtmbench run SUITE --set 'judging.judges=["human"]'`, from documents that have their votes.
    """
    from mtmbench.core.serialise import write_atomically
    from mtmbench.judges.clients.human_votes import VoteFile, votes_csv, votes_from_csv
    from mtmbench.voting.ballot import card_of_people, suite_ballot
    from mtmbench.voting.local import LocalServer
    from mtmbench.voting.server import Voting, voting_pages

    card, kept = card_of_people(judge)
    resolved = resolve_suite(suite, overrides, models)
    with VoteFile(kept) as votes:
        if import_csv is not None:
            added = votes_from_csv(import_csv)
            votes.add(added)
            echo(f"added {len(added)} votes to {kept}")
        if export_csv is not None:
            write_atomically(export_csv, votes_csv(votes.votes.values()))
            echo(f"wrote {len(votes.votes)} votes to {export_csv}")
        if import_csv is not None or export_csv is not None:
            return
        ballot = suite_ballot(
            resolved, out or Path("runs") / resolved.name, judge, card, data_dir=data_dir,
            plugins=plugin or [],
        )  # fmt: skip
        pages = voting_pages(Voting(ballot, votes, title=resolved.name))
        server = LocalServer(pages, host=host, port=port)
        echo(f"{len(ballot)} questions; votes go to {kept}")
        echo(f"vote on {server.url}  (Ctrl-C ends)")
        server.run()
        echo(f"\n{len(votes.votes)} votes in {kept}")
