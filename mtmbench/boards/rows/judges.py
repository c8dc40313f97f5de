"""The rows of judges: who ruled, how it behaved over its matches, and its controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypedDict

from mtmbench.boards.rows.spending import JudgeSpending, LackingReplies

if TYPE_CHECKING:
    from mtmbench.core.match_payloads import Control
    from mtmbench.core.specs import Representation


class ShareRow(TypedDict):
    """A share with its interval, over ``n``."""

    value: float | None
    lo: float | None
    hi: float | None
    n: int
    reason: str | None


class AuditRow(TypedDict):
    """How a judge behaved over its matches (:mod:`mtmbench.matches.audit`)."""

    documents: int
    ruled: int
    removed: int
    first_slot_rate: ShareRow
    flip_rate: ShareRow
    tie_rate: ShareRow
    unparsed_rate: ShareRow
    refused_rate: ShareRow


class ProjectedWords(TypedDict, total=False):
    """How projected words were taken where a judge was shown or read some, as records say it.

    ``wordless`` of ``worded`` options had topics without any; the two are there where some had.
    """

    projected: Literal["crossed"]
    wordless: int
    worded: int


class RulingJudge(JudgeSpending, LackingReplies, ProjectedWords):
    """A judge, without the verdict of its controls."""

    id: str
    is_llm: bool
    order_free: bool
    encoder: str | None
    client: str | None
    version: int | None
    prompt: str | None
    params: Mapping[str, object]
    revisions: Sequence[str]
    protocol: Mapping[str, object]
    calls: int
    usage: Mapping[str, int]
    shares_encoder_with: Sequence[str]
    audit: AuditRow


class JudgeRow(RulingJudge):
    """A judge; ``reliable`` is None where no control has tested it."""

    reliable: bool | None


class ControlPlace(TypedDict):
    """Before whom a control was played, and how its topics were shown."""

    judge: str
    representation: Representation


class ControlRow(ControlPlace):
    """A control, pooled (``model`` None) or of one competitor."""

    control: Control | str
    corpus: str
    k: int | None
    k_spec: int | str | None
    model: str | None
    setting: str | None
    value: float | None
    lo: float | None
    hi: float | None
    n: int
    passed: bool | None
    reason: str | None
