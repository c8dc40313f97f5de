"""A board as played: its tables as data frames, its figures, and what a notebook shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from mtmbench.boards.board_file import parse_board
from mtmbench.boards.league_view import LeagueView
from mtmbench.boards.metric_figure import metric_figure
from mtmbench.boards.rating_figures import ratings_figure, win_rates_figure
from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.steering import Steering
from mtmbench.boards.view import BoardView
from mtmbench.core.errors import InputError
from mtmbench.core.files import read_json
from mtmbench.core.notebook import html_table
from mtmbench.core.store import records_file

if TYPE_CHECKING:
    import pandas as pd

    from mtmbench.core.notebook_figure import NotebookFigure

_FILES = ("index.html", "board.md", "board.csv", "board.json")


@dataclass(frozen=True, repr=False)
class Board:
    """A leaderboard as played.

    Attributes:
        data: the content of ``board.json``.
        folder: where the board's files lie.
    """

    data: BoardTables
    folder: Path

    @classmethod
    def read(cls, folder: str | Path) -> Board:
        """Reads a board that was played before from its folder.

        Raises:
            InputError: there is none, or its ``board.json`` is not a board; the message names it.
        """
        path = Path(folder) / "board.json"
        data = read_json(path, " is not a board")
        parse_board(data, str(path))
        if missing := sorted(BoardTables.__required_keys__ - cast(BoardTables, data).keys()):
            raise InputError(
                f"{path} is not a whole board: it has no {', '.join(missing)}; `mtmbench board` on "
                "its folder makes it anew from the records"
            )
        return cls(cast(BoardTables, data), Path(folder))

    @property
    def ratings(self) -> pd.DataFrame:
        """One row per judge, corpus, K, representation and model, best first."""
        import pandas as pd

        frame = pd.DataFrame(self.data["ratings"])
        if frame.empty:
            return frame
        return frame.sort_values(
            ["judge", "corpus", "representation", "elo"], ascending=[True, True, True, False]
        ).reset_index(drop=True)

    @property
    def metrics(self) -> pd.DataFrame:
        """One row per model, corpus, K and metric; the mean over seeds with its interval."""
        import pandas as pd

        return pd.DataFrame(self.data["metrics"])

    @property
    def steering(self) -> Steering:
        """The steering table beside the board.

        Raises:
            InputError: there is none, or it is damaged.
        """
        return Steering.read(self.folder)

    def plot_ratings(
        self,
        *,
        judge: str | None = None,
        representation: str | None = None,
        corpus: str | None = None,
        k: int | str | None = None,
    ) -> NotebookFigure:
        """Draws every model's rating with its interval, judges side by side.

        Args:
            judge: draws this judge alone.
            representation: how topics were shown: "items", "projected" or "summary"; None takes
                for each judge the one with which its tables begin.
            corpus: the corpus, or "all" for the pool; None takes the pool where there is one, else
                the first corpus.
            k: K as the suite asks for it, a number or "labels"; None takes the first.

        Raises:
            InputError: the board has no ratings.
            UnknownNameError: there is nothing of this name; the message says what there is.
        """
        return ratings_figure(
            self.data, judge=judge, representation=representation, corpus=corpus, k=k
        )

    def plot_win_rates(
        self,
        *,
        judge: str | None = None,
        representation: str | None = None,
        corpus: str | None = None,
        k: int | str | None = None,
    ) -> NotebookFigure:
        """Draws which share of the points each model won against each other, as a heat map.

        Arguments and errors are those of :meth:`plot_ratings`.
        """
        return win_rates_figure(
            self.data, judge=judge, representation=representation, corpus=corpus, k=k
        )

    def plot_metric(
        self,
        metric: str,
        *,
        view: str | None = None,
        corpus: str | None = None,
        k: int | str | None = None,
        **params: object,
    ) -> NotebookFigure:
        """Draws a metric of every model, means over seeds with their intervals.

        A panel is a corpus, K and setting of the metric; what is not given is drawn in all of its
        values.

        Args:
            metric: its name.
            view: "projected" for words of the topics' documents, by which all models compare, or
                "own" for models' own items; None takes the former where there is one.
            corpus: the corpus.
            k: K as the suite asks for it, a number or "labels".
            **params: parameters of the metric, such as ``window=10``.

        Raises:
            InputError: the board has no metric values, none with these parameters, or too many
                panels for one figure.
            UnknownNameError: there is nothing of this name; the message says what there is.
        """
        return metric_figure(self.data, metric, view=view, corpus=corpus, k=k, params=params)

    def __repr__(self) -> str:
        return f"Board({self.data['title']}: {self._size()}; {self.folder})"

    def _repr_html_(self) -> str:
        leagues = [
            _league_html(view.judge["id"], league)
            for view in BoardView(self.data).judges()
            for league in view.leagues
        ]
        about = f"<p><b>{escape(self.data['title'])}</b>: {self._size()}</p>"
        links = ", ".join(
            _link(self.folder / name) for name in (*_FILES, records_file(self.folder).name)
        )
        return "\n".join([about, *leagues, f"<p>{links}</p>"])

    def _size(self) -> str:
        counts = {
            "competitor": len(self.data["competitors"]),
            "judge": len(self.data["judges"]),
            "rating": len(self.data["ratings"]),
            "metric value": len(self.data["metrics"]),
        }
        return ", ".join(f"{n:,} {what}{'s' * (n != 1)}" for what, n in counts.items())


def _league_html(judge: str, league: LeagueView) -> str:
    rows = [
        (
            "–" if row["rank"] is None else row["rank"],
            f"{name} ‡" if name in league.short else name,
            row["reason"] or "–" if row["elo"] is None else f"{row['elo']:.1f}",
            "–" if row["lo"] is None else f"{row['lo']:.1f} … {row['hi']:.1f}",
            row["wins"],
            row["losses"],
            row["ties"],
        )
        for name, row in zip(league.names, league.rows, strict=True)
    ]
    header = ("rank", "model", "Elo", "interval", "won", "lost", "tied")
    return html_table(header, rows, f"judge {judge} · {league.title}")


def _link(path: Path) -> str:
    """Returns a link to a file; its name alone if it is not there."""
    if not path.is_file():
        return escape(path.name)
    address = path.as_uri() if path.is_absolute() else quote(path.as_posix())
    return f'<a href="{escape(address)}">{escape(path.name)}</a>'
