"""What a suite file takes: every key of it, in words that a writer of TOML knows."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from types import UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from docstrings import as_markdown
from markdown_tables import code, table
from pydantic.fields import FieldInfo

from mtmbench.core.cards import Suite
from mtmbench.core.specs import (
    Card,
    CorpusSpec,
    EmbeddingsSpec,
    FeatureSpec,
    JudgingSpec,
    RefineSpec,
    SteeringSpec,
    WordSpec,
)
from mtmbench.core.tuning import TuningSpec

SUITE_TABLES: dict[type[Card], str] = {
    Suite: "The suite",
    CorpusSpec: "A corpus",
    WordSpec: "`[words]`",
    EmbeddingsSpec: "`[embeddings]`",
    FeatureSpec: "`[features]`",
    JudgingSpec: "`[judging]`",
    RefineSpec: "`judging.refine`",
    SteeringSpec: "`[steering]`",
    TuningSpec: "`[tuning]`",
}
_TYPES = {
    int: "number",
    float: "number",
    str: "text",
    bool: "true or false",
    object: "a value",
    Path: "a file",
    type(None): "",
}


def suite_facts() -> str:
    """Returns every key of a suite file with its default, a table of the file each."""
    parts = []
    for spec, title in SUITE_TABLES.items():
        told = as_markdown(inspect.getdoc(spec) or "")
        rows = [
            (code(name), _annotation(field.annotation), _default(field))
            for name, field in spec.model_fields.items()
        ]
        parts.append(f"## {title}\n\n{told}\n{table(('key', 'takes', 'default'), rows)}\n")
    return "\n".join(parts)


def _annotation(annotation: object) -> str:
    """Returns a type in words that a writer of TOML knows."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in _TYPES:
        return _TYPES[annotation]  # type: ignore[index]
    if origin is Annotated:
        return _annotation(inner[0])
    if origin is Literal:
        return " or ".join(json.dumps(value) for value in inner)
    if origin is tuple:
        return f"a list of {_annotation(inner[0])}"
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(told for part in inner if (told := _annotation(part))))
    return "a table"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Card):
        return "as below"
    if value is None or value in ((), {}, ""):
        return "none"
    return code(json.dumps(list(value) if isinstance(value, tuple) else value))
