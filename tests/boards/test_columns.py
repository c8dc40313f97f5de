"""Matches as columns against the records that they are read from, one document at a time."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mtmbench.boards.cells import BoardRecords
from mtmbench.boards.columns import MatchColumns
from mtmbench.boards.tables import build_board
from mtmbench.core.cards import Suite
from mtmbench.core.competitors import Competitor
from mtmbench.core.errors import InputError
from mtmbench.core.records import Record
from mtmbench.matches.match import fold

Make = Callable[..., tuple[Suite, list[Record]]]


def changed(record: Record, **payload: Any) -> Record:
    return replace(record, payload={**record.payload, **payload})


def match(make_records: Make) -> Record:
    """A match that was played."""
    _, records = make_records(models=("lda", "etm"), judges=("chat",), corpora={"lee": 6})
    return next(record for record in records if record.kind == "match")


def test_columns_say_what_the_records_say(make_records: Make) -> None:
    _, records = make_records(judges=("chat",), unparsed=0.1, failing=[("wiki", "etm")])
    board = BoardRecords.of(records)
    columns = board.columns
    told = [
        (
            *(Competitor.of(record.payload[side]) for side in ("a", "b")),
            record.payload["corpus"], document, position, fold(forward, backward),
            "u" in (forward, backward),
        )
        for record in board.matches
        if record.status == "ok"
        for position, (document, forward, backward) in enumerate(
            zip(
                *(record.payload[name] for name in ("documents", "forward", "backward")),
                strict=True,
            )
        )
    ]  # fmt: skip
    found = [
        (
            columns.players[columns.a[i]], columns.players[columns.b[i]],
            *columns.places[place], position, None if np.isnan(score) else score, unparsed,
        )
        for i, place, position, score, unparsed in zip(
            columns.match, columns.place, columns.position, columns.score, columns.unparsed,
            strict=True,
        )
    ]  # fmt: skip
    assert found == told
    assert None in {row[-2] for row in told}
    assert list(columns.players) == sorted({row[0] for row in told} | {row[1] for row in told})
    assert list(columns.places) == sorted({row[2:4] for row in told})
    corpora = [columns.corpora[i] for i in columns.corpus_of_place]
    assert corpora == [corpus for corpus, _ in columns.places]
    some = columns.rows_of(np.array([2, 0]))
    assert set(columns.match[some]) == {0, 2}


def test_every_pair_of_outcomes_is_folded_as_one_is(make_records: Make) -> None:
    record = match(make_records)
    for first, second in itertools.product("abtABTurx?é…", repeat=2):
        outcomes = {"forward": f"aa{first}", "backward": f"aa{second}"}
        columns = MatchColumns.of([changed(record, documents=["1", "2", "3"], **outcomes)])
        expected = folded(first, second)
        if isinstance(expected, str):
            with pytest.raises(InputError, match=re.escape(expected)):
                _ = columns.score
        else:
            assert columns.score[2] == pytest.approx(expected, nan_ok=True)


def folded(first: str, second: str) -> float | str:
    """The folded score, NaN for a pair that is removed, or what is wrong with the outcomes."""
    try:
        score = fold(first, second)
    except InputError as error:
        return str(error)
    return np.nan if score is None else score


def test_a_record_with_too_few_outcomes_is_named(make_records: Make) -> None:
    record = changed(match(make_records), forward="ab")
    with pytest.raises(InputError, match=f"record {record.key}: 6 documents, but 2 outcomes"):
        MatchColumns.of([record])


def test_no_matches_are_no_columns() -> None:
    columns = MatchColumns.of([])
    assert (len(columns.score), len(columns.places), len(columns.players)) == (0, 0, 0)


def test_a_record_is_looked_at_a_few_times_however_many_models_play(
    make_records: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each model used to look through all matches of its league: 140 of 220 seconds."""
    models = [f"m{i:02d}" for i in range(24)]
    suite, records = make_records(models=models, judges=("chat",), corpora={"lee": 3}, seeds=(0,))
    n_matches = sum(record.kind == "match" for record in records)
    assert n_matches == 24 * 23 / 2
    looked = 0
    of = Competitor.of

    def counted(fields: Any) -> Competitor:
        nonlocal looked
        looked += 1
        return of(fields)

    monkeypatch.setattr(Competitor, "of", counted)
    build_board(suite, records)
    others = 24 * 24 * 3  # fits and metric values, each by each model
    assert looked < 12 * n_matches + others
