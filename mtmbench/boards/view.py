"""What the pages show, in the order in which they show it; shared by Markdown and HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mtmbench.boards.cells import ALL
from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.rows.fits import FitRow, TopicsRow
from mtmbench.boards.rows.judges import ControlRow, JudgeRow
from mtmbench.boards.rows.leagues import AdaptiveSummary, LeaguePlace, LeagueRow, LengthSummary
from mtmbench.boards.rows.metrics import CorrelationRow, MetricRow
from mtmbench.core.cells import Competitor, k_order
from mtmbench.core.records import CompetitorFields
from mtmbench.core.specs import BY_CORPUS, Representation, is_capped

SHOWN: Mapping[Representation, str] = {
    "items": "top items",
    "projected": "projected words",
    "summary": "summaries",
}
"""What topics are shown by."""


def who_ruled(judge: JudgeRow) -> Literal["language model", "people", "proxy"]:
    """Returns what a judge is: people are the one kind that is told by its client alone."""
    if judge["is_llm"]:
        return "language model"
    return "people" if judge["client"] == "human" else "proxy"


def lead(judge: JudgeRow) -> tuple[Representation, ...]:
    """Returns the representations in the order in which a judge's tables stand.

    A proxy's verdicts rest on wording; by projected words all models are worded alike. Language
    models and people read what a model itself says of its topics.
    """
    if who_ruled(judge) != "proxy":
        return "items", "projected", "summary"
    return "projected", "items", "summary"


_Place = tuple[str, str, int | str, str]
"""Judge, corpus, K and representation of a league."""


@dataclass(frozen=True)
class Wording:
    """A league of a proxy beside the same one by projected words.

    Attributes:
        shown: how this league shows topics.
        elo: Elo by projected words by display id, of the models that are rated in both.
        moved: Elo here less that, by display id; both leagues have their mean over these models.
        apart: how many of them have intervals in the two leagues that do not overlap.
    """

    shown: Representation
    elo: Mapping[str, float]
    moved: Mapping[str, float]
    apart: int


@dataclass(frozen=True)
class LeagueView:
    """One rating table: strongest first, the unrateable last.

    Attributes:
        title: corpus, K and representation in words.
        rows: rating rows.
        names: display ids, same order.
        kinds: "words", "features" or None, same order.
        sequential: sequential Elo, None where there is none, same order.
        matrix: win rates in the order of ``names``, None on the diagonal and where two never met.
        n_documents: documents that the intervals rest on.
        n_unrateable: resamples without a rating, of ``n_bootstrap``.
        n_bootstrap: resamples.
        sandwich: smallest and largest ratio of a sandwich interval's width to the bootstrap's;
            None without both.
        by_sandwich: whether the intervals are the sandwich's: there are too many for a bootstrap.
        nu: Davidson's tie parameter, None where ties are half wins.
        length: what twice the length is worth in Elo, None where lengths were not asked for.
        adaptive: how far an adaptive league has come, None for a uniform one.
        short: where fits found fewer topics than K, by display id.
        wording: what the same judge says by projected words, None where it does not.
    """

    title: str
    rows: Sequence[LeagueRow]
    names: Sequence[str]
    kinds: Sequence[str | None]
    sequential: Sequence[float | None]
    matrix: Sequence[Sequence[float | None]]
    n_documents: int
    n_unrateable: int
    n_bootstrap: int
    sandwich: tuple[float, float] | None = None
    by_sandwich: bool = False
    nu: float | None = None
    length: LengthSummary | None = None
    adaptive: AdaptiveSummary | None = None
    short: Mapping[str, str] = field(default_factory=dict)
    wording: Wording | None = None

    @property
    def removed(self) -> bool:
        """Whether any comparison was removed, unparsed or refused."""
        return any(row["unparsed"] + row["refused"] for row in self.rows)

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """(names, reason) of the rows with something missing, those of one reason together."""
        named: dict[str, list[str]] = {}
        for name, row in zip(self.names, self.rows, strict=True):
            if row["reason"]:
                named.setdefault(row["reason"], []).append(name)
        return [(", ".join(names), reason) for reason, names in named.items()]


@dataclass(frozen=True)
class JudgeView:
    """One judge with its leagues, the pooled ones first, and its null controls."""

    judge: JudgeRow
    leagues: Sequence[LeagueView]
    controls: Sequence[ControlRow]


@dataclass(frozen=True)
class MetricEntry:
    """A value with the half-width of its interval; ``note`` is the number of a reason."""

    value: float | None
    half: float | None
    best: bool
    note: int | None


@dataclass(frozen=True)
class MetricLine:
    """One metric over all competitors of a table; ``rows`` are what its cells are made of."""

    metric: str
    higher_is_better: bool
    view: str | None
    params: str
    cells: Sequence[MetricEntry | None]
    rows: Sequence[MetricRow | None] = ()


@dataclass
class MetricTable:
    """Metrics of one corpus and K, competitors as columns; ``notes`` are reasons, from 1."""

    corpus: str
    k: int
    k_spec: int | str
    title: str
    names: Sequence[str]
    kinds: Sequence[str | None]
    comparable: list[MetricLine] = field(default_factory=list)
    own: list[MetricLine] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


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
        self._kind = {Competitor.of(row): row["items"] for row in board["competitors"]}
        self._win_rates = {_league(table): table for table in board["win_rates"]}
        self._sequential: dict[_Place, dict[Competitor, float | None]] = {}
        for row in board["sequential_elo"]:
            self._sequential.setdefault(_league(row), {})[Competitor.of(row)] = row["elo"]

    def name(self, row: CompetitorFields) -> str:
        """Returns the display id of a row's competitor."""
        return self._name[Competitor.of(row)]

    def judges(self) -> list[JudgeView]:
        """Returns every judge, language models first."""
        order = sorted(self.board["judges"], key=lambda judge: (not judge["is_llm"], judge["id"]))
        return [
            JudgeView(
                judge,
                self._leagues(judge),
                self._controls(judge),
            )
            for judge in order
        ]

    def metric_tables(self) -> list[MetricTable]:
        """Returns one table per corpus and K."""
        groups: dict[tuple[str, int | str], list[MetricRow]] = {}
        for row in self.board["metrics"]:
            groups.setdefault((row["corpus"], row["k_spec"]), []).append(row)
        return [self._metric_table(groups[key]) for key in sorted(groups, key=_corpus_and_k)]

    def correlations(self) -> list[CorrelationTable]:
        """Returns one matrix of models per corpus and K; none without the metric."""
        groups: dict[tuple[str, int | str], list[CorrelationRow]] = {}
        for row in self.board.get("doc_topic_correlation", ()):
            groups.setdefault((row["corpus"], row["k_spec"]), []).append(row)
        return [self._correlations(groups[key]) for key in sorted(groups, key=_corpus_and_k)]

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
            for corpus, k_spec in sorted(groups, key=_corpus_and_k)
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

    def _leagues(self, judge: JudgeRow) -> list[LeagueView]:
        groups: dict[tuple[str, int | str, Representation], list[LeagueRow]] = {}
        for row in self.board["ratings"]:
            if row["judge"] == judge["id"]:
                key = row["corpus"], row["k_spec"], row["representation"]
                groups.setdefault(key, []).append(row)
        place = lead(judge).index
        order = sorted(
            groups, key=lambda key: (place(key[2]), key[0] != ALL, *_corpus_and_k(key[:2]))
        )
        by_words = lead(judge)[0] == "projected"
        return [
            self._league(
                judge["id"],
                key,
                groups[key],
                groups.get((*key[:2], "projected"), ()) if by_words else (),
            )
            for key in order
        ]

    def _league(
        self,
        judge: str,
        key: tuple[str, int | str, Representation],
        rows: Sequence[LeagueRow],
        projected: Sequence[LeagueRow],
    ) -> LeagueView:
        ranked = sorted(
            rows, key=lambda row: (row["elo"] is None, -(row["elo"] or 0.0), self.name(row))
        )
        names = [self.name(row) for row in ranked]
        place = (judge, *key)
        rates = self._win_rates[place]
        elo = self._sequential.get(place, {})
        column = {name: i for i, name in enumerate(rates["names"])}
        matrix = [
            [
                rates["rates"][column[a]][column[b]] if a in column and b in column else None
                for b in names
            ]
            for a in names
        ]
        corpus, k_spec, representation = key
        where = "All corpora, pooled" if corpus == ALL else corpus
        shown = SHOWN[representation]
        return LeagueView(
            title=f"{where} · {k_text(ranked[0]['k'], k_spec)} · {shown} shown",
            rows=ranked,
            names=names,
            kinds=[self._kind[Competitor.of(row)] for row in ranked],
            sequential=[elo.get(Competitor.of(row)) for row in ranked],
            matrix=matrix,
            n_documents=rates["n_documents"],
            n_unrateable=rates["n_unrateable"],
            n_bootstrap=rates["n_bootstrap"],
            by_sandwich="intervals" in rates,
            sandwich=_sandwich_ratio(
                ranked, dict(zip(rates["names"], rates["sandwich"], strict=True)), names
            ),
            nu=rates.get("nu"),
            length=rates.get("length"),
            adaptive=rates.get("adaptive"),
            short=self._short(corpus, k_spec, set(names)),
            wording=None
            if representation == "projected" or self._by_itself(place, rates["n_documents"])
            else self._wording(representation, rows, projected),
        )

    def _by_itself(
        self, place: tuple[str, str, int | str, Representation], n_documents: int
    ) -> bool:
        """Whether a league is on other documents than the same one by projected words.

        Where summaries are taken from documents, it is, though samples may be of one size.
        """
        extracted = any("extraction" in row for row in self.board.get("shown", ()))
        table = self._win_rates.get((*place[:3], "projected"))
        apart = table is not None and table["n_documents"] != n_documents
        return (place[3] == "summary" and extracted) or apart

    def _short(self, corpus: str, k_spec: int | str, names: set[str]) -> dict[str, str]:
        """Returns where and how far fits that play found fewer topics than K, by name."""
        said: dict[str, list[str]] = {}
        for row in self.board["fits"]:
            told = zip(row["seeds"], row.get("cautions", ()), strict=False)
            if (
                corpus in (ALL, row["corpus"])
                and row["k_spec"] == k_spec
                and any(
                    each and "found" in each and seed == row.get("plays", seed)
                    for seed, each in told
                )
            ):
                found = ", ".join("failed" if n is None else str(n) for n in row["n_topics"])
                where = f" on {row['corpus']}" if corpus == ALL else ""
                said.setdefault(self.name(row), []).append(f"{found} of {row['k']}{where}")
        return {name: "; ".join(said[name]) for name in sorted(said) if name in names}

    def _wording(
        self,
        shown: Representation,
        rows: Sequence[LeagueRow],
        projected: Sequence[LeagueRow],
    ) -> Wording | None:
        other = {Competitor.of(row): row for row in projected}
        both = [
            (self.name(row), row, row["elo"], by_words, by_words["elo"])
            for row in rows
            if (by_words := other.get(Competitor.of(row))) is not None
            and row["elo"] is not None
            and by_words["elo"] is not None
        ]
        if len(both) < 2:
            return None
        middle = sum(here - there for _, _, here, _, there in both) / len(both)
        return Wording(
            shown,
            {name: there for name, _, _, _, there in both},
            {name: here - there - middle for name, _, here, _, there in both},
            sum(_apart(row, by_words, middle) for _, row, _, by_words, _ in both),
        )

    def _metric_table(self, rows: Sequence[MetricRow]) -> MetricTable:
        competitors = sorted({Competitor.of(row) for row in rows})
        documents = {corpus["name"]: corpus["n_docs"] for corpus in self.board["corpora"]}
        corpus = rows[0]["corpus"]
        size = f" · {documents[corpus]:,} documents" if documents[corpus] else ""
        table = MetricTable(
            corpus=corpus,
            k=rows[0]["k"],
            k_spec=rows[0]["k_spec"],
            title=f"{corpus} · {k_text(rows[0]['k'], rows[0]['k_spec'])}{size}",
            names=[self._name[who] for who in competitors],
            kinds=[self._kind[who] for who in competitors],
        )
        lines: dict[tuple[str, str, str], dict[Competitor, MetricRow]] = {}
        for row in rows:
            key = row["metric"], row["view"] or "", _params_text(row["params"])
            lines.setdefault(key, {})[Competitor.of(row)] = row
        for metric, view, params in sorted(lines, key=lambda key: (key[0], key[1], key[2])):
            cells = [lines[metric, view, params].get(who) for who in competitors]
            comparable = view != "own"
            higher = self.board["metric_versions"][metric]["higher_is_better"]
            best = _clear_best(cells, higher) if comparable else None
            line = MetricLine(
                metric, higher, view or None, params,
                [_metric_entry(cell, i == best, table.notes) for i, cell in enumerate(cells)],
                cells,
            )  # fmt: skip
            (table.comparable if comparable else table.own).append(line)
        return table


def k_text(k: int | None, k_spec: int | str | None) -> str:
    """Returns the number of topics asked for, in words."""
    if k_spec == BY_CORPUS:
        return "K by corpus"
    if k_spec is not None and is_capped(k_spec):
        return f"K = {k} = {k_spec}" if k else f"K = {k_spec}"
    if k_spec != "labels":
        return f"K = {k}"
    return "K = number of labels" + (f" ({k})" if k else "")


def _params_text(params: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {params[name]}" for name in sorted(params))


def _apart(a: LeagueRow, b: LeagueRow, shift: float) -> bool:
    """Whether the intervals of two ratings, the second shifted, do not overlap."""
    if a["lo"] is None or a["hi"] is None or b["lo"] is None or b["hi"] is None:
        return False
    return a["lo"] > b["hi"] + shift or a["hi"] < b["lo"] + shift


def _sandwich_ratio(
    rows: Sequence[LeagueRow], sandwich: Mapping[str, float | None], names: Sequence[str]
) -> tuple[float, float] | None:
    ratios = [
        2 * half / (row["hi"] - row["lo"])
        for row, half in zip(rows, (sandwich.get(name) for name in names), strict=True)
        if half is not None and row["lo"] is not None and row["hi"] is not None
    ]
    return (min(ratios), max(ratios)) if ratios else None


def _clear_best(cells: Sequence[MetricRow | None], higher: bool) -> int | None:
    """Returns the column whose interval lies beyond everyone else's, if there is one."""
    sign = 1 if higher else -1
    ends: dict[int, tuple[float, float]] = {}
    for i, cell in enumerate(cells):
        if cell is None or cell["value"] is None:
            continue
        if cell["lo"] is None or cell["hi"] is None:
            return None
        ends[i] = (
            min(sign * cell["lo"], sign * cell["hi"]),
            max(sign * cell["lo"], sign * cell["hi"]),
        )
    if len(ends) < 2:
        return None
    best = max(ends, key=lambda i: ends[i][0])
    clear = all(ends[best][0] > ends[i][1] for i in ends if i != best)
    return best if clear else None


def _metric_entry(row: MetricRow | None, best: bool, notes: list[str]) -> MetricEntry | None:
    if row is None:
        return None
    lo, hi = row["lo"], row["hi"]
    half = None if lo is None or hi is None else (hi - lo) / 2
    expected = row["value"] is not None and (row["reason"] or "").startswith("no interval: ")
    said = "; ".join(filter(None, (None if expected else row["reason"], row.get("note"))))
    if said and said not in notes:
        notes.append(said)
    note = notes.index(said) + 1 if said else None
    return MetricEntry(row["value"], half, best, note)


def _corpus_and_k(key: tuple[str, int | str]) -> tuple[str, bool, int]:
    return key[0], *k_order(key[1])


def _league(row: LeaguePlace) -> _Place:
    return row["judge"], row["corpus"], row["k_spec"], row["representation"]
