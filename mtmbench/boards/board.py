"""A board as played: its tables as data frames, and what a notebook shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from mtmbench.boards.rows import BoardTables
from mtmbench.boards.view import BoardView, LeagueView
from mtmbench.core.notebook import html_table

if TYPE_CHECKING:
    import pandas as pd

_FILES = ("index.html", "board.md", "board.csv", "board.json", "records.jsonl")


@dataclass(frozen=True, repr=False)
class Board:
    """A leaderboard as played.

    Attributes:
        data: the content of ``board.json``.
        folder: where the board's files lie.
    """

    data: BoardTables
    folder: Path

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

    def __repr__(self) -> str:
        return f"Board({self.data['title']}: {self._size()}; {self.folder})"

    def _repr_html_(self) -> str:
        leagues = [
            _league_html(view.judge["id"], league)
            for view in BoardView(self.data).judges()
            for league in view.leagues
        ]
        about = f"<p><b>{escape(self.data['title'])}</b>: {self._size()}</p>"
        links = ", ".join(_link(self.folder / name) for name in _FILES)
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
