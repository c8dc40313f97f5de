"""The matches of a league as cells: who meets whom before which judge, each with its key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from mtmbench.core.cards import JudgeCard
from mtmbench.core.cells import FitCell, LabelCell, MatchCell, RewriteCell, labels_of
from mtmbench.core.match_payloads import MatchJudge
from mtmbench.core.serialise import content_hash
from mtmbench.core.specs import JudgingSpec, Representation, WordSpec
from mtmbench.core.types import Corpus
from mtmbench.features.words import identity_of
from mtmbench.judges.base import judged_mark
from mtmbench.judges.identity import card_identity, match_identity
from mtmbench.judges.registry import clients_of, reads_words
from mtmbench.matches.rewrites import cells_behind
from mtmbench.matches.schedule import sample_documents, summary_halves

_NOT_OF_A_MATCH = {"judges", "representations", "bootstrap", "confidence", "nulls",
                   "null_documents", "ties", "lengths", "schedule", "resolution", "summariser",
                   "same_summariser", "refiner", "refine", "seeds"}  # fmt: skip
"""Fields of a suite's judging that no answer depends on."""


@dataclass(frozen=True)
class LeaguePlan:
    """One league to be laid out: what its matches have in common.

    Attributes:
        spec: the suite's judging.
        words: its tokenisation, which projected words depend on.
        corpus: the corpus.
        players: the fits that meet.
        judge: name of the judge's card.
        card: the card.
        representation: "items", "projected" or "summary".
        rewrites: the cells that refine and summarise topics of the suite.
        labels: the cells that name the items of the suite's fits.
        nth_seed: which of its seeds each player is fitted under, 0 for the first.
    """

    spec: JudgingSpec
    words: WordSpec
    corpus: Corpus
    players: Sequence[FitCell]
    judge: str
    card: JudgeCard
    representation: Representation
    rewrites: Sequence[RewriteCell]
    labels: Sequence[LabelCell] = ()
    nth_seed: int = 0

    @cached_property
    def identity(self) -> MatchJudge:
        """What records say of the judge."""
        return match_identity(self.judge, self.card)

    @cached_property
    def _told_card(self) -> dict[str, object]:
        return card_identity(self.card)

    @cached_property
    def protocol(self) -> dict[str, object]:
        """What records say of the protocol: the fields of the suite that an answer depends on."""
        protocol: dict[str, object] = self.spec.model_dump(exclude=_NOT_OF_A_MATCH)
        if self.spec.lengths:
            # A record without them holds less, and is another record.
            protocol["lengths"] = True
        if self.spec.schedule == "adaptive":
            protocol.update(schedule=self.spec.schedule, resolution=self.spec.resolution)
        return protocol

    @cached_property
    def projected(self) -> Literal["crossed"] | None:
        """How the words are taken that the judge is shown of topics, None where it is shown none.

        "crossed": from the half of the documents that the judged one is not in.
        """
        return "crossed" if self._reads or self.representation == "projected" else None

    @cached_property
    def _reads(self) -> bool:
        """Whether the judge reads words, however topics are shown."""
        return any(map(reads_words, clients_of([self.card])))

    @cached_property
    def _words(self) -> list[object]:
        """All that the words depend on which are shown or read.

        A judge that reads those of documents reads them as the suite cuts them; where that is not
        the default, it once read the default's.
        """
        told = identity_of(self.words)
        own = told["stop_words"] is not True or "language" in told or "tokeniser" in told
        return [told, *([["of documents", "the suite's"]] if self._reads and own else [])]

    @cached_property
    def among(self) -> Sequence[int] | None:
        """The rows that may be judged, None for all: none that a summary may be taken from."""
        behind = cells_behind(self.rewrites, self.representation, self.players)
        extracted = any(cell.extraction is not None for cell in behind)
        return summary_halves(self.corpus)[1] if extracted else None

    @cached_property
    def sample(self) -> tuple[int, ...]:
        """The rows that the matches of the league judge, sorted."""
        spec = self.spec
        return tuple(sample_documents(self.corpus, spec.documents, spec.seed, self.among))

    @cached_property
    def _of_their_own(self) -> str | None:
        """Hash of the sample where it is not drawn among all documents, None where it is."""
        return None if self.among is None else judged_mark(self.corpus, self.sample)

    def match(
        self, rows: Sequence[int], a: FitCell, b: FitCell, *kind: str, place: Sequence[int] = ()
    ) -> MatchCell:
        """Returns a match's cell; one of another kind takes its fields over, by ``vars``.

        Args:
            rows: the documents.
            a: first fit.
            b: second fit.
            kind: what kind of match it is, hashed first.
            place: its place among others of the pair, hashed before the documents.
        """
        doc_ids = tuple(self.corpus.doc_ids[row] for row in rows)
        behind = cells_behind(self.rewrites, self.representation, (a, b))
        # Of items alone: a summary was written from them and depends on its own cell.
        called = _labels_of_both(self.labels, a, b) if self.representation == "items" else ()
        key = content_hash(
            *kind, self.identity, self._told_card, self.corpus.revision, *place,
            list(doc_ids), self.protocol, *self._words, self.representation,
            a.key, b.key, *([[cell.key for cell in behind]] if behind else []),
            *([[cell.key for cell in called]] if called else []),
            *([["judged", self._of_their_own]] if self._of_their_own else []),
            *([["projected", self.projected]] if self.projected else []),
        )  # fmt: skip
        return MatchCell(
            key, self.judge, self.card, self.representation, a, b, tuple(rows), doc_ids,
            self.identity, self.protocol, rewrites=behind, labels=called,
            nth_seed=self.nth_seed, judged=self.sample, projected=self.projected,
        )  # fmt: skip


def _labels_of_both(labels: Sequence[LabelCell], a: FitCell, b: FitCell) -> tuple[LabelCell, ...]:
    found = (labels_of(labels, fit) for fit in {a.key: a, b.key: b}.values())
    return tuple(cell for cell in found if cell is not None)
