"""Null controls on a board: who picks the first slot, and whether known answers come out right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mtmbench.boards.cells import ALL, BoardRecords
from mtmbench.boards.columns import MatchColumns
from mtmbench.boards.rows.judges import ControlPlace, ControlRow
from mtmbench.core.competitors import Competitor, k_order
from mtmbench.core.match_payloads import Control
from mtmbench.core.records import MatchRecord
from mtmbench.core.serialise import rounded
from mtmbench.core.specs import Representation
from mtmbench.core.types import Float64Array, IntArray
from mtmbench.matches.adaptive import sides_of
from mtmbench.matches.controls import LEAST_SCORE
from mtmbench.stats.intervals import Rate, clustered

_FIRST_SLOT = "first_slot"
_CONTROLS: tuple[Control, ...] = ("refit", "other_topic", "repeat")
"""In the order in which pages show them, after the first slot."""


class _Values(NamedTuple):
    """Values in [0, 1], and the document and corpus that each comes from, by number."""

    value: Float64Array
    document: IntArray
    corpus: IntArray


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
    matches, nulls = board.columns, board.null_columns
    of_matches, of_nulls = _by_place(matches), _by_place(nulls)
    rows: list[ControlRow] = []
    for judge, representation in sorted({*of_matches, *of_nulls}):
        where: ControlPlace = {"judge": judge, "representation": representation}
        own = of_matches.get((judge, representation), [])
        controls = of_nulls.get((judge, representation), [])
        if own and not matches.matches[own[0]].payload["order_free"]:
            rate = _clustered(_first_slots(matches, own), confidence)
            rows.append(_row(where, _FIRST_SLOT, rate))
        for control in _CONTROLS:
            chosen = [i for i in controls if nulls.matches[i].payload["control"] == control]
            if chosen:
                rate = _rate(board, control, chosen, own, confidence)
                rows.append(_row(where, control, rate))
        rows += _by_competitor(board, where, controls, own, confidence)
    return rows


def reliability(rows: Sequence[ControlRow], judge: str) -> bool | None:
    """Returns whether a judge told topics of a document from another's; None if not tested."""
    passed = [row["passed"] for row in rows if row["judge"] == judge and row["passed"] is not None]
    return all(passed) if passed else None


def _by_competitor(
    board: BoardRecords,
    where: ControlPlace,
    controls: Sequence[int],
    own: Sequence[int],
    confidence: float,
) -> list[ControlRow]:
    groups: dict[tuple[Control, str, int | str, Competitor], list[int]] = {}
    for i in controls:
        payload = board.nulls[i].payload
        if payload["control"] != "repeat":
            key = payload["control"], payload["corpus"], payload["k_spec"]
            groups.setdefault((*key, Competitor.of(payload["a"])), []).append(i)
    order = sorted(groups, key=lambda key: (key[0], key[1], *k_order(key[2]), key[3]))
    return [
        _row(
            where,
            control,
            _rate(board, control, groups[key], own, confidence),
            corpus=corpus, k_spec=k_spec, k=board.nulls[groups[key][0]].payload["k"], who=who,
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


def _rate(
    board: BoardRecords,
    control: Control,
    chosen: Sequence[int],
    own: Sequence[int],
    confidence: float,
) -> Rate:
    """Returns what some of the null controls say of a judge that ruled on some of the matches."""
    if control == "repeat":
        values = _repeats(board.columns, own, board.null_columns, chosen)
    else:
        values = _scores(board.null_columns, chosen)
    if not len(values.value):
        payloads = [board.nulls[i].payload for i in chosen]
        why = sorted({str(payload["reason"]) for payload in payloads if payload.get("reason")})
        return Rate(None, None, None, 0, "; ".join(why) or "the judge was asked about no document")
    return _clustered(values, confidence)


def _scores(columns: MatchColumns, chosen: Sequence[int]) -> _Values:
    """Returns the folded scores of side a over the documents that were put to the judge."""
    rows = columns.rows_of(np.array(chosen, dtype=np.int64))
    score = columns.score[rows]
    rows = rows[~np.isnan(score) & ~columns.is_in("ABT", columns.forward[rows])]
    return _valued(columns, rows, columns.score[rows])


def _first_slots(columns: MatchColumns, chosen: Sequence[int]) -> _Values:
    """Returns, for each decisive answer, 1 if it names what stood first."""
    rows = columns.rows_of(np.array(chosen, dtype=np.int64))
    answers = [(columns.forward[rows], "a"), (columns.backward[rows], "b")]
    decisive = [columns.is_in("ab", given) for given, _ in answers]
    return _valued(
        columns,
        np.concatenate([rows[some] for some in decisive]),
        np.concatenate(
            [
                columns.is_in(first, given[some]).astype(np.float64)
                for (given, first), some in zip(answers, decisive, strict=True)
            ]
        ),
    )


def _repeats(
    matches: MatchColumns, own: Sequence[int], nulls: MatchColumns, chosen: Sequence[int]
) -> _Values:
    """Returns, for each answer parsed both times, 1 if the second is as the first."""
    asked = {_pair(matches.matches[i]): i for i in own}
    rows: list[int] = []
    values: list[float] = []
    for i in chosen:
        first = asked.get(_pair(nulls.matches[i]))
        if first is None:
            continue
        before = {
            matches.places[matches.place[row]]: (matches.forward[row], matches.backward[row])
            for row in matches.rows_of(np.array([first]))
        }
        for row in nulls.rows_of(np.array([i])):
            place = nulls.places[nulls.place[row]]
            if place not in before:
                continue
            answers = nulls.forward[row], nulls.backward[row]
            for old, new in zip(before[place], answers, strict=True):
                if chr(old) in "abt" and chr(new) in "abt":
                    rows.append(int(row))
                    values.append(float(old == new))
    return _valued(nulls, np.array(rows, dtype=np.int64), np.array(values))


def _valued(columns: MatchColumns, rows: IntArray, values: Float64Array) -> _Values:
    return _Values(values, columns.place[rows], columns.corpus[columns.match[rows]])


def _clustered(values: _Values, confidence: float) -> Rate:
    return clustered(*values, confidence=confidence, reason="no decisive answer")


def _pair(record: MatchRecord) -> tuple[str, int | str, Competitor, Competitor]:
    payload = record.payload
    return payload["corpus"], payload["k_spec"], *sides_of(payload)


def _by_place(columns: MatchColumns) -> dict[tuple[str, Representation], list[int]]:
    """Returns which matches each judge ruled on in each representation."""
    numbers: dict[tuple[str, Representation], list[int]] = {}
    for number, league in enumerate(columns.leagues):
        numbers.setdefault((league.judge, league.representation), []).append(number)
    return {
        place: np.flatnonzero(np.isin(columns.league, some)).tolist()
        for place, some in numbers.items()
    }
