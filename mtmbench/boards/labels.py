"""What the features of a board are called, by whom, and how often they are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtmbench.boards.cells import BoardRecords
from mtmbench.boards.numbers import DASH
from mtmbench.boards.rows.fits import LabelsRow
from mtmbench.core.records import FitRecord, LabelsRecord
from mtmbench.core.serialise import canonical_json

_SOURCES = {
    "corpus": (
        "the words at which it fires in this corpus",
        "by the words at which they fire in the corpus",
    ),
    "shipped": ("the SAE as it came", "as the SAE came, from a reference text"),
    "given": (
        "the SAE's folder, which does not say who wrote it",
        "as the SAE's folder has it, which does not say who wrote it",
    ),
    "judge": ("a judge", "as a judge wrote them"),
    "neuronpedia": ("Neuronpedia", "as Neuronpedia explains them"),
    "elsewhere": ("the source of the features", "as where they come from has it"),
}
"""Where the label of one feature is from, and what features are called by it."""

LABEL_SOURCES = {name: of_one for name, (of_one, _) in _SOURCES.items()}
"""Where the label of one feature is from, in words."""


def labels_by_fit(board: BoardRecords) -> dict[str, LabelsRecord]:
    """Returns the labels that lie over fits, by the fit's key."""
    return {named.payload["fits"][0]: named for named in board.labels if named.status == "ok"}


def source_of(fit: FitRecord, over: LabelsRecord | None) -> Mapping[str, object] | None:
    """Returns where the labels of a fit's items are from; None where records do not say."""
    if over is not None:
        return over.payload["labels"]
    source = fit.payload["items"]["source"].get("labels") if "items" in fit.payload else None
    return source if isinstance(source, Mapping) else None


def label_rows(board: BoardRecords) -> list[LabelsRow]:
    """Returns a row a source and setting; empty where no record says where labels are from.

    A row counts fits, their items, and those items that have no such label and keep their own: in
    the whole corpus, and in each half of its documents, summed over the fits.
    """
    over = labels_by_fit(board)
    rows: dict[tuple[str, str], LabelsRow] = {}
    for fit in board.fits:
        named = over.get(fit.key)
        source = source_of(fit, named)
        if source is None:
            continue
        setting = fit.payload["setting"]
        row = rows.setdefault(
            (str(setting), canonical_json(source)),
            {"setting": setting, "source": dict(source), "fits": 0, "items": 0, "unlabelled": []},
        )
        row["fits"] += 1
        row["items"] += fit.payload["items"]["n"]
        if named is not None:
            missing = named.payload["unlabelled"]
            before = row["unlabelled"] or [0] * len(missing)
            row["unlabelled"] = [a + b for a, b in zip(before, missing, strict=True)]
    return [rows[key] for key in sorted(rows)]


def label_notes(rows: Sequence[LabelsRow]) -> list[str]:
    """Returns what a reader must know about what features are called; one note a source."""
    notes: dict[str, None] = {}
    for row in rows:
        source = str(row["source"].get("source", "elsewhere"))
        _, called = _SOURCES.get(source, (source, "by their numbers"))
        if source != "corpus":
            notes[f"Features are called {called}."] = None
            continue
        alike = [other for other in rows if other["source"] == row["source"]]
        counted = [other for other in alike if other["unlabelled"]]
        judged, version = row["source"].get("judged"), row["source"].get("version", DASH)
        kept = f" {judged:,} features keep the label that a judge scored." if judged else ""
        notes[
            f"Features are called {called} (class-based "
            f"TF-IDF, version {version}). Beside a document they carry the labels that the other "
            "half of the documents gave, so that none is described by its own "
            "words; lists of topics, metrics, refinements and summaries read labels from the whole "
            f"corpus.{_missing_text(counted)}{kept}"
        ] = None
    return list(notes)


def _missing_text(rows: Sequence[LabelsRow]) -> str:
    """Returns how many items lack such a label; empty where no record has counted them."""
    if not rows:
        return ""
    items = sum(row["items"] for row in rows)
    missing = max(map(sum, zip(*(row["unlabelled"] for row in rows), strict=True)))
    return (
        f" Of {items:,} items of fits at most {missing:,} fire at no word of a half and keep the "
        "label that the SAE came with."
    )
