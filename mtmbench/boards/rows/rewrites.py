"""The rows of refined and summarised topics: who wrote them, and how it went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NotRequired

from mtmbench.boards.rows.spending import LackingReplies
from mtmbench.core.fit_payloads import CompetitorFields
from mtmbench.core.judge_facts import JudgeFacts, PromptFacts
from mtmbench.core.match_payloads import ExtractionFacts, RefineLimits

if TYPE_CHECKING:
    from mtmbench.core.match_payloads import RewriteTask


class RewrittenFit(CompetitorFields):
    """How many topics of a fit got an answer of each status.

    ``seed`` is told where fits under several are summarised.
    """

    corpus: str
    k_spec: int | str
    seed: NotRequired[int]
    statuses: Mapping[str, int]


class RewriteRow(LackingReplies):
    """Who refined or summarised the topics of the board.

    ``prompt`` is None, and ``extraction`` there, where summaries were taken from documents; its
    counts are over all corpora.
    """

    task: RewriteTask
    judge: str
    facts: JudgeFacts
    prompt: PromptFacts | None
    extraction: NotRequired[ExtractionFacts]
    limits: NotRequired[RefineLimits]
    top_items: int
    revisions: Sequence[str]
    questions: int
    usage: Mapping[str, int]
    cost: float | None
    statuses: Mapping[str, int]
    failed: int
    fits: Sequence[RewrittenFit]
