"""What tells one judge's answers from another's, for the keys of answers and for records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from mtmbench.core.cards import JudgeCard
from mtmbench.core.judge_facts import JudgeFacts
from mtmbench.core.match_payloads import MatchJudge
from mtmbench.core.serialise import plain
from mtmbench.judges.base import JudgeClient
from mtmbench.judges.prompt import prompt_hash
from mtmbench.judges.registry import JUDGES, traits_of


def judge_identity(card: JudgeCard, client: JudgeClient | None = None) -> JudgeFacts:
    """Returns, as JSON values, all of a card that an answer can depend on beside its question.

    Args:
        card: the judge's.
        client: the judge, where it is there already; a jury's members are then its own.
    """
    kind = client or JUDGES.get(card.client)
    inputs = kind.inputs(card.params)
    version = kind.version_of(card.params) if client is None else client.version
    facts = cast(
        "JudgeFacts",
        plain(
            {
                "client": card.client,
                "version": version,
                "params": _shown_params(card, inputs),
                "decoding": card.decoding,
                **card.asked(),
            }
        ),
    )
    if inputs:
        facts["inputs"] = inputs
    members = kind.members(card.params)
    return {**facts, "members": members} if members else facts


def card_identity(card: JudgeCard) -> dict[str, object]:
    """Returns all that tells matches of one card from another's, an encoder by its shown name."""
    inputs = JUDGES.get(card.client).inputs(card.params)
    return {**card.identity(), "params": _shown_params(card, inputs)}


def match_identity(name: str, card: JudgeCard) -> MatchJudge:
    """Returns the fields that records of matches have of their judge.

    They are :func:`judge_identity` under names of their own, the judge's traits, and the hash of
    the prompt that it reads; a member of a jury reads the prompt of its own card.
    """
    facts = judge_identity(card)
    traits = traits_of(card)
    reads = traits["is_llm"] and "members" not in facts
    fields: MatchJudge = {
        "judge": name,
        "judge_is_llm": traits["is_llm"],
        "order_free": traits["order_free"],
        "encoder": traits["encoder"],
        "judge_client": facts["client"],
        "judge_version": facts["version"],
        "judge_params": {**facts["params"], **card.decoding},
        "prompt": prompt_hash(card.prompt) if reads else None,
    }
    if "model" in facts:
        fields["judge_model"] = facts["model"]
    if "revision" in facts:
        fields["judge_revision"] = facts["revision"]
    if "endpoint" in facts:
        fields["judge_endpoint"] = facts["endpoint"]
    if "structured" in facts:
        fields["judge_structured"] = facts["structured"]
    if "inputs" in facts:
        fields["judge_inputs"] = facts["inputs"]
    if "members" in facts:
        fields["judge_members"] = facts["members"]
    return fields


def _shown_params(card: JudgeCard, inputs: Mapping[str, object]) -> dict[str, object]:
    """Returns a card's parameters, an encoder whose content is told by the name boards show.

    Where its folder lies changes no answer, and is nobody's business.
    """
    encoder = {"encoder": inputs["encoder"]} if "encoder" in inputs else {}
    return {**card.params, **encoder}
