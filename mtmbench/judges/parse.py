"""The one verdict parser: what every judge replies, model or proxy, goes through it.

Two forms are a verdict, and nothing else is:

* the whole reply is a JSON object ``{"verdict": "A" | "B" | "tie"}``; a string ``"reason"`` may
  stand beside the verdict, other keys may not;
* the last line of the reply is ``VERDICT: A``, ``VERDICT: B`` or ``VERDICT: tie``.

A reply that states another verdict elsewhere is unparsed, and so is everything else: never a tie.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal, cast

from mtmbench.judges.base import Verdict

Decision = Literal["A", "B", "tie"]

_DECISIONS = ("A", "B", "tie")
_LAST_LINE = re.compile(r"VERDICT:[ \t]*(A|B|tie)")
_STATED = re.compile(
    r"(?i:verdict):[ \t]*(A|B|tie)\b" r"|" r'"verdict"\s*:\s*"(A|B|tie)"',
)


def parse_verdict(text: str) -> Verdict:
    """Returns the verdict that a reply states, or "unparsed"."""
    reply = text.strip()
    verdict = _from_json(reply) if reply.startswith("{") else _from_last_line(reply)
    if verdict is None:
        return "unparsed"
    stated = {bare or quoted for bare, quoted in _STATED.findall(reply)}
    return verdict if stated <= {verdict} else "unparsed"


def verdict_line(verdict: Decision) -> str:
    """Returns the reply of a judge that has nothing else to say."""
    return f"VERDICT: {verdict}"


def _from_last_line(reply: str) -> Decision | None:
    lines = reply.splitlines()
    match = _LAST_LINE.fullmatch(lines[-1].strip()) if lines else None
    return None if match is None else cast(Decision, match.group(1))


def _from_json(reply: str) -> Decision | None:
    try:
        stated = json.loads(reply, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError):
        return None
    verdict = stated.get("verdict")
    if not isinstance(verdict, str) or verdict not in _DECISIONS:
        return None
    if not set(stated) <= {"verdict", "reason"} or not isinstance(stated.get("reason", ""), str):
        return None
    return cast(Decision, verdict)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("a key stands twice")
    return keys
