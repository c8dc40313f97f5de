"""Null controls on a board: who picks the first slot, and whether known answers come out right."""

from __future__ import annotations

from collections.abc import Sequence

from mtmbench.boards.cells import ALL, BoardRecords
from mtmbench.boards.rows import ControlPlace, ControlRow
from mtmbench.core.cards import Representation
from mtmbench.core.cells import Competitor, k_order
from mtmbench.core.records import Control, MatchRecord
from mtmbench.core.serialise import rounded
from mtmbench.matches.adaptive import sides_of
from mtmbench.matches.controls import LEAST_SCORE
from mtmbench.matches.match import fold
from mtmbench.stats.intervals import Rate, clustered

_FIRST_SLOT = "first_slot"
_CONTROLS: tuple[Control, ...] = ("refit", "other_topic", "repeat")
"""In the order in which pages show them, after the first slot."""


_Value = tuple[float, str, str]
"""A value in [0, 1], and the corpus and document it comes from."""


def control_rows(board: BoardRecords, confidence: float) -> list[ControlRow]:
    """Returns a row per judge, representation and control, pooled, then one per competitor.

    ============  ==========================================================================
    first_slot    share of the first slot among decisive answers of all matches, raw
    refit         folded score of a model's first seed against its next
    other_topic   folded score of the true topics against those of another document
    repeat        share of answers that are the same when asked a second time
    ============  ==========================================================================

    Folded scores are over the documents that the judge was asked about: what a rule decides says
    nothing of a judge. Intervals are over documents. ``passed`` is the verdict of "other_topic":
    its lower bound exceeds :data:`mtmbench.matches.controls.LEAST_SCORE`.
    """
    rows: list[ControlRow] = []
    places = {_place(record) for record in (*board.matches, *board.nulls)}
    for judge, representation in sorted(places):
        where: ControlPlace = {"judge": judge, "representation": representation}
        own = [match for match in board.matches if _place(match) == (judge, representation)]
        nulls = [null for null in board.nulls if _place(null) == (judge, representation)]
        if own and not own[0].payload["order_free"]:
            rate = _clustered([v for match in own for v in _first_slots(match)], confidence)
            rows.append(_row(where, _FIRST_SLOT, rate))
        for control in _CONTROLS:
            records = [null for null in nulls if null.payload["control"] == control]
            if records:
                values = _values(control, records, own)
                rows.append(_row(where, control, _rate(records, values, confidence)))
        rows += _by_competitor(where, nulls, own, confidence)
    return rows


def reliability(rows: Sequence[ControlRow], judge: str) -> bool | None:
    """Returns whether a judge told topics of a document from another's; None if not tested."""
    passed = [row["passed"] for row in rows if row["judge"] == judge and row["passed"] is not None]
    return all(passed) if passed else None


def _by_competitor(
    where: ControlPlace, nulls: Sequence[MatchRecord], own: Sequence[MatchRecord], confidence: float
) -> list[ControlRow]:
    groups: dict[tuple[Control, str, int | str, Competitor], list[MatchRecord]] = {}
    for null in nulls:
        payload = null.payload
        if payload["control"] != "repeat":
            key = payload["control"], payload["corpus"], payload["k_spec"]
            groups.setdefault((*key, Competitor.of(payload["a"])), []).append(null)
    order = sorted(groups, key=lambda key: (key[0], key[1], *k_order(key[2]), key[3]))
    return [
        _row(
            where,
            control,
            _rate(groups[key], _values(control, groups[key], own), confidence),
            corpus=corpus, k_spec=k_spec, k=groups[key][0].payload["k"], who=who,
        )
        for key in order
        for control, corpus, k_spec, who in [key]
    ]  # fmt: skip


def _row(
    where: ControlPlace,
    control: str,
    rate: Rate,
    *,
    corpus: str = ALL,
    k_spec: int | str | None = None,
    k: int | None = None,
    who: Competitor | None = None,
) -> ControlRow:
    tested = control == "other_topic" and who is None and rate.value is not None
    return {
        **where,
        "control": control,
        "corpus": corpus,
        "k": k,
        "k_spec": k_spec,
        "model": None if who is None else who.model,
        "setting": None if who is None else who.setting or None,
        "value": rounded(rate.value, 4),
        "lo": rounded(rate.lo, 4),
        "hi": rounded(rate.hi, 4),
        "n": rate.n,
        "passed": (rate.lo is not None and rate.lo > LEAST_SCORE) if tested else None,
        "reason": rate.reason,
    }


def _rate(records: Sequence[MatchRecord], values: Sequence[_Value], confidence: float) -> Rate:
    if not values:
        why = sorted({str(r.payload["reason"]) for r in records if r.payload.get("reason")})
        return Rate(None, None, None, 0, "; ".join(why) or "the judge was asked about no document")
    return _clustered(values, confidence)


def _values(
    control: Control, records: Sequence[MatchRecord], matches: Sequence[MatchRecord]
) -> list[_Value]:
    if control == "repeat":
        asked = {_pair(match): match for match in matches}
        return [v for again in records for v in _repeats(asked.get(_pair(again)), again)]
    return [value for record in records for value in _scores(record)]


def _scores(record: MatchRecord) -> list[_Value]:
    """Returns the folded scores of side a over the documents that were put to the judge."""
    found = []
    for corpus, document, forward, backward in _documents(record):
        score = fold(forward, backward)
        if score is not None and forward not in "ABT":
            found.append((score, corpus, document))
    return found


def _first_slots(record: MatchRecord) -> list[_Value]:
    """Returns, for each decisive answer, 1 if it names what stood first."""
    found = []
    for corpus, document, forward, backward in _documents(record):
        found += [
            (float(char == first), corpus, document)
            for char, first in ((forward, "a"), (backward, "b"))
            if char in "ab"
        ]
    return found


def _repeats(first: MatchRecord | None, again: MatchRecord) -> list[_Value]:
    """Returns, for each answer parsed both times, 1 if the second is as the first."""
    if first is None:
        return []
    before = {document: (f, b) for _, document, f, b in _documents(first)}
    return [
        (float(old == new), corpus, document)
        for corpus, document, *answers in _documents(again)
        for old, new in zip(before.get(document, ("u", "u")), answers, strict=True)
        if old in "abt" and new in "abt"
    ]


def _documents(record: MatchRecord) -> list[tuple[str, str, str, str]]:
    payload = record.payload
    if record.status != "ok":
        return []
    orders = zip(payload["documents"], payload["forward"], payload["backward"], strict=True)
    return [(payload["corpus"], document, f, b) for document, f, b in orders]


def _clustered(values: Sequence[_Value], confidence: float) -> Rate:
    return clustered(
        [value for value, _, _ in values],
        [document for _, _, document in values],
        [corpus for _, corpus, _ in values],
        confidence=confidence,
        reason="no decisive answer",
    )


def _pair(record: MatchRecord) -> tuple[str, int | str, Competitor, Competitor]:
    payload = record.payload
    return payload["corpus"], payload["k_spec"], *sides_of(payload)


def _place(record: MatchRecord) -> tuple[str, Representation]:
    return record.payload["judge"], record.payload["representation"]
