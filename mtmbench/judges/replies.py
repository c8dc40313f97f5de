"""How a reply states something: on its last line, or as a JSON object; nothing else counts.

A reply may reason before its last line. One that states two different things is unparsed.
"""

from __future__ import annotations

import json
import re


def on_last_line(text: str, pattern: re.Pattern[str]) -> str | None:
    """Returns the first group of ``pattern`` on the last line.

    None if the last line is not of that form, or another line is of it and says something else.
    """
    lines = [line.strip() for line in text.strip().splitlines()]
    found = [match.group(1).strip() for line in lines if (match := pattern.fullmatch(line))]
    if not found or len(set(found)) > 1 or not pattern.fullmatch(lines[-1]):
        return None
    return found[-1]


def in_json(text: str, key: str) -> object:
    """Returns the value of ``key`` where the whole reply is a JSON object with it, else None.

    A string ``"reason"`` may stand beside it, other keys may not, and none may stand twice.
    """
    reply = text.strip()
    if not reply.startswith("{"):
        return None
    try:
        stated = json.loads(reply, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError):
        return None
    if not set(stated) <= {key, "reason"} or not isinstance(stated.get("reason", ""), str):
        return None
    value: object = stated.get(key)
    return value


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("a key stands twice")
    return keys
