"""What boards say of labels that lie in a result, not in a record of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from mtmbench.boards.labels import label_notes
from mtmbench.boards.render_md import render_md
from mtmbench.boards.rows.fits import LabelsRow
from mtmbench.boards.tables import build_board
from mtmbench.core.cards import Suite
from mtmbench.core.records import Record

CORPUS = {"source": "corpus", "version": 1}


def with_labels(records: list[Record], source: Mapping[str, object]) -> list[Record]:
    """The records with every fit's labels said to be from ``source``."""

    def labelled(record: Record) -> Record:
        payload: dict[str, Any] = dict(record.payload)
        told = {**payload["items"]["source"], "labels": dict(source)}
        return replace(record, payload={**payload, "items": {**payload["items"], "source": told}})

    return [labelled(record) if record.kind == "fit" else record for record in records]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (CORPUS, "Features are called by the words at which they fire in the corpus (class-based"),
        ({"source": "corpus"}, "TF-IDF, version –)"),
        ({"source": "given"}, "Features are called as the SAE's folder has it, which does not say"),
        ({"by": "a plugin"}, "Features are called as where they come from has it."),
        ({"source": None}, "Features are called by their numbers."),
    ],
)
def test_labels_that_no_record_counts_are_told_without_counts(
    make_records: Callable[..., tuple[Suite, list[Record]]],
    source: Mapping[str, object],
    said: str,
) -> None:
    suite, records = make_records(corpora={"lee": 20}, models=("mlda", "metm"))
    board = build_board(suite, with_labels(records, source))
    assert {row["labels"] for row in board["topics"]} == {source.get("source")}
    page = render_md(board).replace("\\", "")
    assert said in page
    assert "items of fits at most" not in page


def test_items_are_counted_where_records_count_them() -> None:
    row: LabelsRow = {"setting": "default", "source": CORPUS, "fits": 2, "items": 70,
                      "unlabelled": [1, 5, 4]}  # fmt: skip
    uncounted: LabelsRow = {**row, "setting": None, "items": 900, "unlabelled": []}
    (note,) = label_notes([uncounted, row])
    assert "Of 70 items of fits at most 5 fire at no word of a half" in note
