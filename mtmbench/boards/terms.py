"""What pages call judges, ways to show topics and numbers of topics, and how they order them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mtmbench.boards.rows.judges import JudgeRow
from mtmbench.core.competitors import k_order
from mtmbench.core.specs import BY_CORPUS, Representation, is_capped

SHOWN: Mapping[Representation, str] = {
    "items": "top items",
    "projected": "projected words",
    "summary": "summaries",
}
"""What topics are shown by."""


def who_ruled(judge: JudgeRow) -> Literal["language model", "people", "proxy"]:
    """Returns what a judge is: people are the one kind that is told by its client alone."""
    if judge["is_llm"]:
        return "language model"
    return "people" if judge["client"] == "human" else "proxy"


def lead(judge: JudgeRow) -> tuple[Representation, ...]:
    """Returns the representations in the order in which a judge's tables stand.

    A proxy's verdicts rest on wording; by projected words all models are worded alike. Language
    models and people read what a model itself says of its topics.
    """
    if who_ruled(judge) != "proxy":
        return "items", "projected", "summary"
    return "projected", "items", "summary"


def k_text(k: int | None, k_spec: int | str | None) -> str:
    """Returns the number of topics asked for, in words."""
    if k_spec == BY_CORPUS:
        return "K by corpus"
    if k_spec is not None and is_capped(k_spec):
        return f"K = {k} = {k_spec}" if k else f"K = {k_spec}"
    if k_spec != "labels":
        return f"K = {k}"
    return "K = number of labels" + (f" ({k})" if k else "")


def corpus_and_k(key: tuple[str, int | str]) -> tuple[str, bool, int]:
    """Returns what sorts tables: by corpus, then by the number of topics asked for."""
    return key[0], *k_order(key[1])
