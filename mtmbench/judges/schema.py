"""JSON schemas of replies, for endpoints that hold a model to one."""

from __future__ import annotations

from typing import Any

from mtmbench.judges.base import QuestionKind

_VERDICT = {
    "type": "object",
    # The reason first: a model writes in this order, and a verdict without one comes unconsidered.
    "properties": {
        "reason": {"type": "string", "description": "At most two sentences."},
        "verdict": {"type": "string", "enum": ["A", "B", "tie"]},
    },
    "required": ["reason", "verdict"],
    "additionalProperties": False,
}
_SCHEMAS: dict[QuestionKind, dict[str, Any]] = {"match": _VERDICT, "steer": _VERDICT}


def response_format(kind: QuestionKind) -> dict[str, Any] | None:
    """Returns the ``response_format`` of a chat completion; None for questions of other forms."""
    schema = _SCHEMAS.get(kind)
    if schema is None:
        return None
    return {
        "type": "json_schema",
        "json_schema": {"name": "verdict", "strict": True, "schema": schema},
    }
