"""The leagues of a board as pages show them: one rating table each, with what is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mtmbench.boards.cells import ALL
from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.rows.fits import FitRow
from mtmbench.boards.rows.judges import JudgeRow
from mtmbench.boards.rows.leagues import AdaptiveSummary, LeaguePlace, LeagueRow, LengthSummary
from mtmbench.boards.terms import SHOWN, corpus_and_k, k_text, lead
from mtmbench.core.competitors import Competitor
from mtmbench.core.specs import Representation

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


class LeagueViews:
    """Makes the leagues of a board, a judge at a time."""

    def __init__(self, board: BoardTables) -> None:
        self._board = board
        self._name = {Competitor.of(row): row["name"] for row in board["competitors"]}
        self._kind = {Competitor.of(row): row["items"] for row in board["competitors"]}
        self._win_rates = {_place_of(table): table for table in board["win_rates"]}
        self._sequential: dict[_Place, dict[Competitor, float | None]] = {}
        for row in board["sequential_elo"]:
            self._sequential.setdefault(_place_of(row), {})[Competitor.of(row)] = row["elo"]

    def of(self, judge: JudgeRow) -> list[LeagueView]:
        """Returns the leagues of a judge: as it leads, pooled ones first, then by corpus and K."""
        groups: dict[tuple[str, int | str, Representation], list[LeagueRow]] = {}
        for row in self._board["ratings"]:
            if row["judge"] == judge["id"]:
                key = row["corpus"], row["k_spec"], row["representation"]
                groups.setdefault(key, []).append(row)
        place = lead(judge).index
        order = sorted(
            groups, key=lambda key: (place(key[2]), key[0] != ALL, *corpus_and_k(key[:2]))
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
            rows, key=lambda row: (row["elo"] is None, -(row["elo"] or 0.0), self._named(row))
        )
        names = [self._named(row) for row in ranked]
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
        extracted = any("extraction" in row for row in self._board.get("shown", ()))
        table = self._win_rates.get((*place[:3], "projected"))
        apart = table is not None and table["n_documents"] != n_documents
        return (place[3] == "summary" and extracted) or apart

    def _short(self, corpus: str, k_spec: int | str, names: set[str]) -> dict[str, str]:
        """Returns where and how far fits that play found fewer topics than K, by name."""
        said: dict[str, list[str]] = {}
        for row in self._board["fits"]:
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
                said.setdefault(self._named(row), []).append(f"{found} of {row['k']}{where}")
        return {name: "; ".join(said[name]) for name in sorted(said) if name in names}

    def _wording(
        self,
        shown: Representation,
        rows: Sequence[LeagueRow],
        projected: Sequence[LeagueRow],
    ) -> Wording | None:
        other = {Competitor.of(row): row for row in projected}
        both = [
            (self._named(row), row, row["elo"], by_words, by_words["elo"])
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

    def _named(self, row: LeagueRow | FitRow) -> str:
        return self._name[Competitor.of(row)]


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


def _place_of(row: LeaguePlace) -> _Place:
    return row["judge"], row["corpus"], row["k_spec"], row["representation"]
