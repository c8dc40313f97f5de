"""What the pages show, in the order in which they show it; shared by Markdown and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mtmbench.boards.league_view import LeagueView, LeagueViews
from mtmbench.boards.metric_view import MetricTable, metric_tables
from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.rows.fits import FitRow, TopicsRow
from mtmbench.boards.rows.judges import ControlRow, JudgeRow
from mtmbench.boards.rows.metrics import CorrelationRow
from mtmbench.boards.terms import SHOWN, corpus_and_k, k_text, lead
from mtmbench.core.competitors import Competitor
from mtmbench.core.fit_payloads import CompetitorFields
from mtmbench.core.specs import Representation


@dataclass(frozen=True)
class JudgeView:
    """One judge with its leagues, the pooled ones first, and its null controls."""

    judge: JudgeRow
    leagues: Sequence[LeagueView]
    controls: Sequence[ControlRow]


@dataclass(frozen=True)
class ErrorGroup:
    """Failed cells of one competitor (or pair), kind and reason; ``what`` says how many."""

    corpus: str
    k: str
    who: str
    what: str
    reason: str


@dataclass(frozen=True)
class CorrelationTable:
    """Models against models; a cell is empty on the diagonal and where nothing is known."""

    title: str
    names: Sequence[str]
    matrix: Sequence[Sequence[CorrelationRow | None]]


class BoardView:
    """The tables of a board in the order in which pages show them."""

    def __init__(self, board: BoardTables) -> None:
        self.board = board
        self._name = {Competitor.of(row): row["name"] for row in board["competitors"]}
        self._leagues = LeagueViews(board)

    def name(self, row: CompetitorFields) -> str:
        """Returns the display id of a row's competitor."""
        return self._name[Competitor.of(row)]

    def judges(self) -> list[JudgeView]:
        """Returns every judge, language models first."""
        order = sorted(self.board["judges"], key=lambda judge: (not judge["is_llm"], judge["id"]))
        return [
            JudgeView(
                judge,
                self._leagues.of(judge),
                self._controls(judge),
            )
            for judge in order
        ]

    def metric_tables(self) -> list[MetricTable]:
        """Returns one table per corpus and K."""
        return metric_tables(self.board)

    def correlations(self) -> list[CorrelationTable]:
        """Returns one matrix of models per corpus and K; none without the metric."""
        groups: dict[tuple[str, int | str], list[CorrelationRow]] = {}
        for row in self.board.get("doc_topic_correlation", ()):
            groups.setdefault((row["corpus"], row["k_spec"]), []).append(row)
        return [self._correlations(groups[key]) for key in sorted(groups, key=corpus_and_k)]

    def _correlations(self, rows: Sequence[CorrelationRow]) -> CorrelationTable:
        cells: dict[frozenset[Competitor], CorrelationRow] = {
            frozenset((Competitor.of(row), Competitor.of(row["other"]))): row for row in rows
        }
        competitors = sorted(set().union(*cells))
        return CorrelationTable(
            f"{rows[0]['corpus']} · {k_text(rows[0]['k'], rows[0]['k_spec'])}",
            [self._name[who] for who in competitors],
            [[cells.get(frozenset((a, b))) for b in competitors] for a in competitors],
        )

    @staticmethod
    def shown_as(representation: Representation) -> str:
        """Returns what topics are shown by, in words."""
        return SHOWN[representation]

    def fits(self) -> list[FitRow]:
        """Returns the rows of fits by corpus and K."""
        return list(self.board["fits"])

    def topics(self) -> list[tuple[str, list[TopicsRow]]]:
        """Returns topic rows by corpus and K, with a title each."""
        groups: dict[tuple[str, int | str], list[TopicsRow]] = {}
        for row in self.board["topics"]:
            groups.setdefault((row["corpus"], row["k_spec"]), []).append(row)
        return [
            (f"{corpus} · {k_text(rows[0]['k'], k_spec)}", rows)
            for corpus, k_spec in sorted(groups, key=corpus_and_k)
            for rows in [groups[corpus, k_spec]]
        ]

    def errors(self) -> list[ErrorGroup]:
        """Returns the cells that failed, those of one competitor and reason together."""
        groups: dict[tuple[str, str, str, str, str], int] = {}
        for row in self.board["errors"]:
            if "a" in row:
                who = f"{self.name(row['a'])} against {self.name(row['b'])}"
            else:
                who = self.name({"model": row["model"], "setting": row.get("setting")})
            k = k_text(row["k"], row["k_spec"])
            key = row["corpus"], k, who, row["kind"], str(row["reason"])
            groups[key] = groups.get(key, 0) + 1
        kinds = {
            "fit": "fit", "metric": "metric value", "match": "match", "null": "control",
            "shown": "topic set", "labels": "set of labels",
        }  # fmt: skip
        return [
            ErrorGroup(
                corpus,
                k,
                who,
                f"{n} {kinds[kind]}{'es' * (n > 1 and kind == 'match') or 's' * (n > 1)}",
                reason,
            )
            for (corpus, k, who, kind, reason), n in sorted(groups.items())
        ]

    def _controls(self, judge: JudgeRow) -> list[ControlRow]:
        place = lead(judge).index
        own = [row for row in self.board["controls"] if row["judge"] == judge["id"]]
        return sorted(own, key=lambda row: place(row["representation"]))
