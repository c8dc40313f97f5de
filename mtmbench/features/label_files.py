"""The files of labels beside an SAE: the labels, their scores, their classes, where they are from.

``labels.json`` is a list of F texts. ``label_scores.json`` and ``label_classes.json`` are of
exactly those labels and carry their hash, so that scores of other labels are never taken for
theirs. No file has a clock in it: equal labels give equal bytes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.files import read_json, read_json_object
from mtmbench.core.serialise import canonical_json, content_hash, plain, write_atomically
from mtmbench.core.types import BoolArray, FloatArray
from mtmbench.features.interpretation import Interpretation
from mtmbench.features.labels import CLASSES, NO_CLASS

LABELS, SOURCE = "labels.json", "label_source.json"
SCORES, LABEL_CLASSES = "label_scores.json", "label_classes.json"

_SCHEMA = 1
_TAKES_IN = {"formatting": ("punctuation", "numbers")}


class LabelScore(TypedDict):
    """One line of ``label_scores.json``: a label's score, and what it was counted from."""

    feature: int
    label: str | None
    label_status: str
    score: float | None
    score_status: str
    n: int
    n_active: int
    hits: int
    n_random: int
    false_alarms: int


def write_labels(folder: Path, labels: Sequence[str], source: Mapping[str, object]) -> list[Path]:
    """Writes the labels and where they are from; scores and classes of other labels are removed.

    Raises:
        InputError: the folder cannot be written to.
    """
    of = content_hash(list(labels))
    for name in (SCORES, LABEL_CLASSES):
        path = folder / name
        if path.is_file() and read_json_object(path).get("labels") != of:
            path.unlink()
    text = json.dumps(list(labels), ensure_ascii=False, indent=0) + "\n"
    head = {"schema": _SCHEMA, "labels": of, **source}
    return [_write(folder / LABELS, text), _write(folder / SOURCE, _lines(head))]


def read_labels(folder: Path) -> list[str]:
    """Returns the labels that a folder holds.

    Raises:
        InputError: they cannot be read, or are no list.
    """
    labels = read_json(folder / LABELS)
    if not isinstance(labels, list):
        raise InputError(f"{folder / LABELS} is not a list of labels")
    return [str(label) for label in labels]


def write_scores(folder: Path, found: Interpretation, **more: object) -> Path:
    """Writes the score of every label that was asked about, with what it was counted from.

    Args:
        folder: the folder of the labels.
        found: the scored labels.
        more: JSON values on record beside them.
    """
    rows: list[LabelScore] = []
    for label in found.labels:
        detection = label.detection
        if detection is None:
            continue
        score = detection.score
        rows.append(
            {
                "feature": label.feature, "label": label.label, "label_status": label.status,
                "score": None if score is None else round(score, 6),
                "score_status": detection.status, "n": detection.n_active + detection.n_random,
                "n_active": detection.n_active, "hits": detection.hits,
                "n_random": detection.n_random, "false_alarms": detection.false_alarms,
            }
        )  # fmt: skip
    shown = [label.shown for label in found.labels]
    head = {
        "schema": _SCHEMA, "labels": content_hash(shown), "n_features": len(shown),
        "judge": found.judge, "prompts": found.prompts,
        "statuses": dict(sorted(Counter(row["score_status"] for row in rows).items())), **more,
    }  # fmt: skip
    return _write(folder / SCORES, _lines(head, "features", rows))


def write_classes(folder: Path, found: Interpretation, **more: object) -> Path:
    """Writes which features' labels a judge put into which class; see :func:`write_scores`.

    Raises:
        InputError: no classes were asked for.
    """
    if found.classes is None:
        raise InputError("the interpretation has no classes")
    members: dict[str, list[int]] = {}
    for feature, name in enumerate(found.classes):
        if name != NO_CLASS:
            members.setdefault(name, []).append(feature)
    shown = [label.shown for label in found.labels]
    head = {
        "schema": _SCHEMA, "labels": content_hash(shown), "n_features": len(shown),
        "judge": found.judge, "prompts": found.prompts, "members": members, **more,
    }  # fmt: skip
    return _write(folder / LABEL_CLASSES, _lines(head))


def read_source(folder: Path, labels: Sequence[str]) -> dict[str, object]:
    """Returns what is on record about where a folder's labels are from.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / SOURCE
    written = read_json_object(path) if path.is_file() else {}
    if written.get("labels") != content_hash(list(labels)):
        return {"source": "given"}
    return {name: value for name, value in written.items() if name not in ("schema", "labels")}


def read_label_scores(folder: Path, labels: Sequence[str]) -> FloatArray | None:
    """Returns (F,) f32 scores, NaN for features without one; None if the folder has no scores.

    Raises:
        InputError: the file is damaged, or scores other labels.
    """
    path = folder / SCORES
    if not path.is_file():
        return None
    written = _checked(path, labels)
    scores = np.full(len(labels), np.nan, np.float32)
    rows: list[LabelScore] = written.get("features", [])
    for row in rows:
        score = row["score"]
        if score is None:
            continue
        if not 0 <= row["feature"] < len(labels) or not 0 <= score <= 1:
            raise InputError(f"{path}: feature {row['feature']} with score {score!r}")
        scores[row["feature"]] = score
    return scores


def read_label_classes(folder: Path, labels: Sequence[str]) -> dict[str, BoolArray] | None:
    """Returns for each class (F,) whether a judge put the label into it; None without such a file.

    As in :mod:`~mtmbench.features.labels`, "formatting" takes in "punctuation" and "numbers". A
    label whose reply was unparsed or refused is in none.

    Raises:
        InputError: the file is damaged, or is of other labels.
    """
    path = folder / LABEL_CLASSES
    if not path.is_file():
        return None
    members: dict[str, list[int]] = _checked(path, labels)["members"]
    found: dict[str, BoolArray] = {}
    for name in CLASSES:
        mask = np.zeros(len(labels), np.bool_)
        for part in (name, *_TAKES_IN.get(name, ())):
            mask[members.get(part, [])] = True
        found[name] = mask
    return found


def _checked(path: Path, labels: Sequence[str]) -> dict[str, Any]:
    written = read_json_object(path)
    if written.get("schema") != _SCHEMA:
        raise InputError(f"{path} has schema {written.get('schema')!r}; expected {_SCHEMA}")
    if written.get("labels") != content_hash(list(labels)):
        raise InputError(
            f"{path} is of other labels than {path.with_name(LABELS)} holds; remove it, or label "
            "and score again"
        )
    return written


def _lines(
    head: Mapping[str, object], name: str = "", rows: Sequence[Mapping[str, object]] = ()
) -> str:
    """JSON with one line for each key of the head and for each row."""
    lines = [f"{json.dumps(key)}: {canonical_json(value)}" for key, value in plain(head).items()]
    if name:
        body = ",\n".join(canonical_json(row) for row in rows)
        lines.append(f"{json.dumps(name)}: [\n{body}\n]")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _write(path: Path, text: str) -> Path:
    try:
        write_atomically(path, text)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    return path
