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

from mtmbench.core.cells import Competitor
from mtmbench.core.errors import InputError
from mtmbench.core.records import MatchRecord
from mtmbench.core.types import BoolArray, Float64Array, IntArray
from mtmbench.matches.adaptive import sides_of
from mtmbench.matches.match import OUTCOMES, fold

Characters = NDArray[np.uint8]


@dataclass(frozen=True)
class MatchColumns:
    """Matches, and the N documents of those that were played, in the order of the matches.

    Attributes:
        matches: the records.
        players: every competitor, sorted; competitors are numbered by their place here.
        corpora: every corpus, sorted; likewise.
        places: every (corpus, document) that was judged, sorted; likewise.
        a: (matches,) one side of each match.
        b: (matches,) the other.
        corpus: (matches,) the corpus of each match.
        match: (N,) which match a document is of.
        place: (N,) which document of which corpus it is.
        position: (N,) its place in its match.
        forward: (N,) outcome character with a shown first.
        backward: (N,) with b shown first.
    """

    matches: Sequence[MatchRecord]
    players: Sequence[Competitor]
    corpora: Sequence[str]
    places: Sequence[tuple[str, str]]
    a: IntArray
    b: IntArray
    corpus: IntArray
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
        sides = [sides_of(match.payload) for match in matches]
        players = sorted({side for both in sides for side in both})
        corpora = sorted({match.payload["corpus"] for match in matches})
        player, name = _numbered(players), _numbered(corpora)
        seen: dict[str, dict[str, int]] = {corpus: {} for corpus in corpora}
        met: list[tuple[str, str]] = []
        sizes, places, forward, backward = [], [], [], []
        for match in matches:
            payload = match.payload
            if match.status != "ok":
                sizes.append(0)
                continue
            documents, known = payload["documents"], seen[payload["corpus"]]
            outcomes = payload["forward"], payload["backward"]
            if {len(one) for one in outcomes} != {len(documents)}:
                raise InputError(
                    f"record {match.key}: {len(documents)} documents, but "
                    f"{len(outcomes[0])} outcomes forward and {len(outcomes[1])} backward"
                )
            for document in documents:
                if document not in known:
                    known[document] = len(met)
                    met.append((payload["corpus"], document))
            sizes.append(len(documents))
            places += [known[document] for document in documents]
            forward.append(outcomes[0])
            backward.append(outcomes[1])
        order = sorted(range(len(met)), key=met.__getitem__)
        number = np.empty(len(met), dtype=np.int64)
        number[order] = np.arange(len(met))
        size = np.array(sizes, dtype=np.int64)
        first = np.cumsum(size) - size
        return cls(
            matches=matches,
            players=players,
            corpora=corpora,
            places=[met[i] for i in order],
            a=np.array([player[a] for a, _ in sides], dtype=np.int64),
            b=np.array([player[b] for _, b in sides], dtype=np.int64),
            corpus=np.array([name[match.payload["corpus"]] for match in matches], dtype=np.int64),
            match=np.repeat(np.arange(len(matches)), size),
            place=number[np.array(places, dtype=np.int64)],
            position=np.arange(int(size.sum())) - np.repeat(first, size),
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
        chosen = np.zeros(len(self.matches), dtype=bool)
        chosen[matches] = True
        return np.flatnonzero(chosen[self.match])


def _numbered(names: Sequence[object]) -> dict[object, int]:
    return {name: i for i, name in enumerate(names)}


def _characters(texts: Sequence[str]) -> Characters:
    # What is no outcome stays one: "?" is none.
    return np.frombuffer("".join(texts).encode("latin-1", "replace"), np.uint8)
