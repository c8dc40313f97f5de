"""The rows of the judges' board: figures, and what is known of the judges that were run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict, final

from mtmbench.boards.rows.spending import LackingReplies
from mtmbench.core.judge_facts import JudgeFacts


class FigureRow(TypedDict):
    """A figure; see :class:`~mtmbench.validation.scores.Figure`."""

    judge: str
    dataset: str
    task: str
    statistic: str
    value: float | None
    lo: float | None
    hi: float | None
    n: int


class PromptHashes(TypedDict, total=False):
    """Content hashes of the prompts that a language model read, by name."""

    prompts: Mapping[str, str]


@final
class InterviewedJudge(JudgeFacts, PromptHashes, LackingReplies):
    """A judge that was asked here."""

    judge: str
    is_llm: bool
    revisions: Sequence[str]


@final
class StoredJudge(TypedDict):
    """A judge whose published answers were scored."""

    judge: str
    is_llm: bool
    client: str
    runs: int
    source: str


ValidatedJudge = InterviewedJudge | StoredJudge


class JudgesBoard(TypedDict):
    """The content of the judges' ``board.json``."""

    schema: int
    rows: Sequence[FigureRow]
    judges: Sequence[ValidatedJudge]
