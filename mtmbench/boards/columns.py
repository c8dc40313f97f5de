"""The documents of matches as columns: what records say a document at a time, read in one pass.

A board of a million comparisons would be a million objects, each of them looked at by every table
it counts in. As columns they are a few arrays, and a table is a few operations on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mtmbench.boards.packed import alike_part
from mtmbench.core.competitors import Competitor, League
from mtmbench.core.errors import InputError
from mtmbench.core.records import MatchRecord
from mtmbench.core.types import BoolArray, Float64Array, IntArray
from mtmbench.matches.match import OUTCOMES, fold

Characters = NDArray[np.uint8]


@dataclass(frozen=True)
class MatchColumns:
    """Matches, and the N documents of those that were played, in the order of the matches.

    Attributes:
        matches: the records.
        players: every competitor, sorted; competitors are numbered by their place here.
        corpora: every corpus, sorted; likewise.
        leagues: every league, as the matches name them.
        places: every (corpus, document) that was judged, sorted; likewise.
        a: (matches,) one side of each match.
        b: (matches,) the other.
        corpus: (matches,) the corpus of each match.
        league: (matches,) the league of each match.
        match: (N,) which match a document is of.
        place: (N,) which document of which corpus it is.
        position: (N,) its place in its match.
        forward: (N,) outcome character with a shown first.
        backward: (N,) with b shown first.
    """

    matches: Sequence[MatchRecord]
    players: Sequence[Competitor]
    corpora: Sequence[str]
    leagues: Sequence[League]
    places: Sequence[tuple[str, str]]
    a: IntArray
    b: IntArray
    corpus: IntArray
    league: IntArray
    match: IntArray
    place: IntArray
    position: IntArray
    forward: Characters
    backward: Characters

    @classmethod
    def of(cls, matches: Sequence[MatchRecord]) -> MatchColumns:
        """Reads matches.

        Raises:
            InputError: a record holds other than an outcome for each document and order.
        """
        found: dict[Competitor, int] = {}
        leagues: dict[League, int] = {}
        seen: dict[tuple[str, str], int] = {}
        # What packed matches say alike is one object, and is looked up as such.
        players_of: dict[int, int] = {}
        league_of: dict[int, int] = {}
        places_of: dict[int, IntArray] = {}
        sides: list[int] = []
        league, sizes, forward, backward = [], [], [], []
        places: list[IntArray] = [np.zeros(0, dtype=np.int64)]
        for match in matches:
            payload = match.payload
            for side in (payload["a"], payload["b"]):
                if id(side) not in players_of:
                    players_of[id(side)] = found.setdefault(Competitor.of(side), len(found))
                sides.append(players_of[id(side)])
            alike = id(alike_part(payload))
            if alike not in league_of:
                league_of[alike] = leagues.setdefault(League.of(payload), len(leagues))
            league.append(league_of[alike])
            if match.status != "ok":
                sizes.append(0)
                continue
            if alike not in places_of:
                corpus = payload["corpus"]
                places_of[alike] = np.array(
                    [seen.setdefault((corpus, name), len(seen)) for name in payload["documents"]],
                    dtype=np.int64,
                )
            size = len(places_of[alike])
            outcomes = payload["forward"], payload["backward"]
            if len(outcomes[0]) != size or len(outcomes[1]) != size:
                raise InputError(
                    f"record {match.key}: {size} documents, but "
                    f"{len(outcomes[0])} outcomes forward and {len(outcomes[1])} backward"
                )
            sizes.append(size)
            places.append(places_of[alike])
            forward.append(outcomes[0])
            backward.append(outcomes[1])
        players = sorted(found)
        corpora = sorted({each.corpus for each in leagues})
        met, name = list(seen), _numbered(corpora)
        of_league = np.array([name[each.corpus] for each in leagues], dtype=np.int64)
        league_number = np.array(league, dtype=np.int64)
        player = np.empty(len(found), dtype=np.int64)
        player[[found[who] for who in players]] = np.arange(len(found))
        by_side = player[np.array(sides, dtype=np.int64).reshape(-1, 2)]
        order = sorted(range(len(met)), key=met.__getitem__)
        number = np.empty(len(met), dtype=np.int64)
        number[order] = np.arange(len(met))
        lengths = np.array(sizes, dtype=np.int64)
        first = np.cumsum(lengths) - lengths
        return cls(
            matches=matches,
            players=players,
            corpora=corpora,
            leagues=list(leagues),
            places=[met[i] for i in order],
            a=by_side[:, 0].copy(),
            b=by_side[:, 1].copy(),
            corpus=of_league[league_number],
            league=league_number,
            match=np.repeat(np.arange(len(matches)), lengths),
            place=number[np.concatenate(places)],
            position=np.arange(int(lengths.sum())) - np.repeat(first, lengths),
            forward=_characters(forward),
            backward=_characters(backward),
        )

    @cached_property
    def score(self) -> Float64Array:
        """(N,) the two orders folded to the score of a; NaN where the document's pair is removed.

        Raises:
            InputError: a character is no outcome, or a rule decided one order and not the other.
        """
        table = np.full((256, 256), np.inf)
        for first in OUTCOMES:
            for second in OUTCOMES:
                try:
                    folded = fold(first, second)
                except InputError:
                    continue
                table[ord(first), ord(second)] = np.nan if folded is None else folded
        score: Float64Array = table[self.forward, self.backward]
        wrong = np.flatnonzero(np.isinf(score))
        if len(wrong):
            i = int(wrong[0])
            payload = self.matches[self.match[i]].payload
            at = int(self.position[i])
            fold(payload["forward"][at], payload["backward"][at])  # says what is wrong with it
        return score

    @cached_property
    def unparsed(self) -> BoolArray:
        """(N,) whether an order's reply could not be parsed."""
        return self.is_in("u", self.forward) | self.is_in("u", self.backward)

    @cached_property
    def corpus_of_place(self) -> IntArray:
        """(places,) the corpus of each place, by number."""
        number = _numbered(self.corpora)
        return np.array([number[corpus] for corpus, _ in self.places], dtype=np.int64)

    @staticmethod
    def is_in(wanted: str, characters: Characters) -> BoolArray:
        """Returns whether each character is one of those wanted."""
        found: BoolArray = np.isin(characters, np.frombuffer(wanted.encode(), np.uint8))
        return found

    def rows_of(self, matches: IntArray) -> IntArray:
        """Returns the documents of some matches, as positions in the columns."""
        own = np.unique(matches)
        begin, length = self._bounds[own], self._bounds[own + 1] - self._bounds[own]
        before = np.cumsum(length) - length
        return np.repeat(begin - before, length) + np.arange(int(length.sum()))

    @cached_property
    def _bounds(self) -> IntArray:
        """(matches + 1,) where the documents of each match begin, and where all end."""
        return np.searchsorted(self.match, np.arange(len(self.matches) + 1))


def _numbered(names: Sequence[object]) -> dict[object, int]:
    return {name: i for i, name in enumerate(names)}


def _characters(texts: Sequence[str]) -> Characters:
    # What is no outcome stays one: "?" is none.
    return np.frombuffer("".join(texts).encode("latin-1", "replace"), np.uint8)
