"""Marks on the labels of features: a CSV that a person fills in, or a judge that is asked."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mtmbench.core.errors import InputError, did_you_mean
from mtmbench.core.serialise import write_atomically
from mtmbench.core.tables import csv_text, unguarded
from mtmbench.core.text_files import long_cells
from mtmbench.features.base import TokenContext
from mtmbench.judges.replies import MATCHES, parse_match
from mtmbench.studies.rows import MarkedBy

if TYPE_CHECKING:
    from mtmbench.judges.asker import Asker
    from mtmbench.judges.base import Question
    from mtmbench.judges.prompt import Template


MARK_VALUES = (*MATCHES, "unparsed", "refused")
"""What a case may be marked; a person writes one of the first three."""

_PROMPT = "feature_match"

_COLUMNS = ("doc_id", "rank", "feature", "label", "count", "matches")
_EXCERPT = 1500
_PLACEHOLDERS = ("fence", "open", "close", "document", "passages", "label")
_SETTINGS = {"document_characters": 100, "context_characters": 40}
CONTEXTS_SHOWN = 3


@dataclass(frozen=True)
class Case:
    """A feature of a document, to be judged.

    Attributes:
        row: row of the document in its corpus.
        doc_id: its id.
        text: its text.
        rank: place among the document's features, from 1.
        feature: index of the feature in its SAE.
        label: what it is said to be about.
        count: how often it counts in the document.
        contexts: where it is strongest, strongest first.
    """

    row: int
    doc_id: str
    text: str
    rank: int
    feature: int
    label: str
    count: int
    contexts: tuple[TokenContext, ...]


@dataclass(frozen=True)
class Marks:
    """A mark for each case, None where it has none, and who gave them."""

    values: Sequence[str | None]
    marked_by: MarkedBy


def marks_csv(cases: Sequence[Case]) -> str:
    """Returns the file to be marked: a row per case, with contexts and the document's beginning."""
    from mtmbench.judges.prompt import cut_at_sentence

    contexts = [f"context_{i + 1}" for i in range(CONTEXTS_SHOWN)]
    rows = []
    for case in cases:
        shown = [marked_context(c.before, c.token, c.after) for c in case.contexts]
        rows.append(
            {
                "doc_id": case.doc_id,
                "rank": case.rank,
                "feature": case.feature,
                "label": case.label,
                "count": case.count,
                **dict(zip(contexts, shown, strict=False)),
                "text": cut_at_sentence(case.text, _EXCERPT),
            }
        )
    return csv_text([*_COLUMNS, *contexts, "text"], rows)


def marked_context(before: str, token: str, after: str) -> str:
    """Returns a context on one line, its token between ⟦ and ⟧."""
    return " ".join(f"{before}⟦{token}⟧{after}".split())


def write_cases(path: Path, content: str) -> None:
    """Writes the file to be marked, unless it is there already, marks and all.

    Raises:
        InputError: the file there is of other cases, which may have been marked.
    """
    if not path.exists():
        write_atomically(path, content)
        return
    held = [_identity(row) for row in _rows(path)]
    with long_cells():
        made = [_identity(row) for row in csv.DictReader(io.StringIO(content, newline=""))]
    if held != made:
        raise InputError(
            f"{path} is there already and is of other documents, features or labels; move it away "
            "or choose another --out"
        )


def read_marks(path: Path, cases: Sequence[Case]) -> Marks:
    """Reads a person's marks; a case may be left without one.

    Raises:
        InputError: a mark is none of yes, no and unsure, a row is of no case of this study, or two
            rows are of one.
    """
    rows = _rows(path)
    known = {
        (unguarded(case.doc_id), str(case.feature), unguarded(case.label)): i
        for i, case in enumerate(cases)
    }
    values: list[str | None] = [None] * len(cases)
    seen: set[tuple[str, str, str]] = set()
    for number, row in enumerate(rows, start=2):
        identity = _identity(row)
        if identity not in known:
            raise InputError(
                f"{path}, row {number}: document {row['doc_id']!r} has no feature {row['feature']} "
                f"labelled {row['label']!r} in this study; mark the file that it wrote"
            )
        mark = (row["matches"] or "").strip().lower()
        if mark and mark not in MATCHES:
            raise InputError(
                f"{path}, row {number}: matches is {row['matches']!r}{did_you_mean(mark, MATCHES)}"
            )
        if identity in seen:
            raise InputError(f"{path}, row {number}: the same case stands there twice")
        seen.add(identity)
        values[known[identity]] = mark or None
    return Marks(values, {"kind": "person"})


def judge_cases(
    judge: str, corpus: str, cases: Sequence[Case], answers: Path, budget: float | None = None
) -> Marks:
    """Asks a judge about every case; each answer is on disk before the next is asked for.

    Raises:
        InputError: there is no such card, or its judge reads no messages.
        JudgeError: the judge failed, or the budget is used up; what it had answered is kept.
    """
    from mtmbench.judges.panel import Panel
    from mtmbench.judges.prompt import load_template
    from mtmbench.judges.topic_questions import prompt_record

    template = load_template(_PROMPT, _PLACEHOLDERS, _SETTINGS)
    with Panel(answers, budget=budget) as panel:
        asker = panel.seat(judge)
        if not asker.client.is_llm:
            raise InputError(
                f"judge {judge!r} is no language model, and cannot say whether a label matches a "
                "document; name a card of a chat model"
            )
        values = panel.run(_ask(asker, template, corpus, cases))
        told = asker.record()
        marked_by: MarkedBy = {
            "kind": "judge",
            "card": judge,
            "prompt": prompt_record(template),
            "card_fields": told["card"],
            "revisions": told["revisions"],
            "questions": told["questions"],
            "usage": told["usage"],
        }
        if "cost" in told and "paid" in told:
            marked_by["cost"], marked_by["paid"] = told["cost"], told["paid"]
        return Marks(values, marked_by)


async def _ask(
    asker: Asker, template: Template, corpus: str, cases: Sequence[Case]
) -> list[str | None]:
    from mtmbench.judges.asker import gather

    async def one(case: Case) -> str | None:
        answer = await asker.ask(
            _question(template, corpus, case), f"feature {case.feature} of {case.doc_id}"
        )
        return "refused" if answer.refused else parse_match(answer.readable)

    return list(await gather([one(case) for case in cases]))


def _question(template: Template, corpus: str, case: Case) -> Question:
    from mtmbench.features.sae.contexts import Context
    from mtmbench.judges.base import Question
    from mtmbench.judges.prompt import cut_at_sentence
    from mtmbench.labelling.context_text import marked, marks, numbered

    contexts = [
        Context(
            f"{c.before}{c.token}{c.after}", len(c.before), len(c.before) + len(c.token), c.value
        )
        for c in case.contexts
    ]
    opening, closing = marks(contexts)
    limit = template.settings["context_characters"]
    messages = template.messages(
        {
            "open": opening,
            "close": closing,
            "document": cut_at_sentence(case.text, template.settings["document_characters"]),
            "passages": numbered([marked(c, limit, opening, closing) for c in contexts]),
            "label": " ".join(case.label.split()),
        }
    )
    context = {
        "corpus": corpus,
        "doc_id": case.doc_id,
        "text": case.text,
        "feature": case.feature,
        "label": case.label,
    }
    return Question("label", context, (), messages)


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with long_cells(), path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = [{k: v or "" for k, v in row.items() if k is not None} for row in reader]
            names = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read marks from {path}: {error}") from error
    missing = [name for name in ("doc_id", "feature", "label", "matches") if name not in names]
    if missing:
        raise InputError(f"{path} has no column {missing[0]!r}; its columns are {', '.join(names)}")
    return rows


def _identity(row: Mapping[str, str]) -> tuple[str, str, str]:
    return unguarded(row["doc_id"]), row["feature"], unguarded(row["label"])
