"""Adaptive leagues on a board: rated by the look at which they stand, from records alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mtmbench.boards.rows.leagues import AdaptiveSummary
from mtmbench.core.competitors import Competitor
from mtmbench.core.records import MatchRecord
from mtmbench.core.serialise import rounded
from mtmbench.core.specs import JudgingSpec
from mtmbench.matches.adaptive import league_scores, sides_of
from mtmbench.stats.adaptive import LOOKS, LeagueProgress
from mtmbench.stats.adaptive_table import adaptive_table
from mtmbench.stats.rate import RatingTable


@dataclass(frozen=True)
class AdaptiveLeague:
    """A league's table and how far its looks have come; ``n_full`` is what uniform would play."""

    table: RatingTable
    state: LeagueProgress
    n_full: int

    @classmethod
    def of(
        cls,
        matches: Sequence[MatchRecord],
        names: Mapping[Competitor, str],
        spec: JudgingSpec,
    ) -> AdaptiveLeague | None:
        """Rates a league of block records; None where no block was played."""
        played = [match for match in matches if match.status == "ok"]
        if not played:
            return None
        heard = {side for match in played for side in sides_of(match.payload)}
        met = {sides_of(match.payload) for match in matches}
        pairs = sorted(pair for pair in met if heard.issuperset(pair))
        n_documents = played[0].payload["sample"]
        league = league_scores(pairs, n_documents, played)
        state = league.progress(1 - spec.confidence, spec.resolution)
        shown = [names[player] for player in league.players]
        table = adaptive_table(shown, league.first, league.second, league.scores, state)
        return cls(table, state, n_documents * len(pairs))

    def summary(self) -> AdaptiveSummary:
        """Returns the look, its level, what was played of how much, and what was decided."""
        found = self.state.found
        return {
            "look": self.state.look,
            "looks": len(LOOKS),
            "level": None if self.state.level is None else rounded(self.state.level, 6),
            "finished": self.state.finished,
            "comparisons": int(self.table.comparisons.sum() // 2),
            "uniform": self.n_full,
            "decided": None if found is None else int(found.decided.sum()),
            "neighbours": len(self.table.rows) - 1,
        }
