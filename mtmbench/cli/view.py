"""``mtmbench view``; the pages are in :mod:`mtmbench.voting.viewer`."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from mtmbench.cli.console import echo
from mtmbench.cli.options import DataOption, PluginOption


def view(
    run: Annotated[Path, typer.Argument(help="A run's folder; the run may be under way.")],
    judge: Annotated[
        str | None,
        typer.Option("--judge", help="A judge card of people: serve its voting page too."),
    ] = None,
    data_dir: DataOption = None,
    plugin: PluginOption = None,
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0, max=65535)] = 0,
) -> None:
    """Serves a run's board on this machine alone, made anew when records came. Ctrl-C ends it."""
    from mtmbench.core.card_reading import read_card
    from mtmbench.core.cards import Suite
    from mtmbench.judges.clients.human_votes import VoteFile
    from mtmbench.voting.ballot import card_of_people, suite_ballot
    from mtmbench.voting.local import LocalServer
    from mtmbench.voting.server import Voting
    from mtmbench.voting.viewer import LiveBoard, board_pages

    suite = read_card(run / "suite.toml", Suite)
    voting = None
    with ExitStack() as undo:
        if judge is not None:
            card, kept = card_of_people(judge)
            votes = undo.enter_context(VoteFile(kept))
            ballot = suite_ballot(
                suite, run, judge, card, data_dir=data_dir, plugins=plugin or []
            )  # fmt: skip
            voting = Voting(ballot, votes, title=suite.name)
        server = LocalServer(board_pages(LiveBoard(run), voting), port=port)
        echo(f"see {server.url}  (Ctrl-C ends)")
        if voting is not None:
            echo(f"vote on {server.url}voting/: {len(ballot)} questions; votes go to {kept}")
        server.run()
        echo("" if voting is None else f"\n{len(votes.votes)} votes in {kept}")
