"""What a judge replied about labels: a grammar for each kind of question, and nothing else counts.

A reply may reason before its last lines, which hold the answer; a reply that states two different
answers, or none in the right form, is unparsed.
"""

from __future__ import annotations

import re

from mtmbench.features.labels import CLASSES, NO_CLASS
from mtmbench.judges.replies import in_json, on_last_line

NO_LABEL = "(none)"
"""A judge's word for contexts that share nothing it can name."""


_LABEL = re.compile(r"LABEL:[ \t]*(\S.*)")
_ACTIVE = re.compile(r"ACTIVE:[ \t]*(none|[0-9]{1,4}(?:[ \t]*,[ \t]*[0-9]{1,4})*)")
_CLASS = re.compile(r"([0-9]{1,4}):[ \t]*(" + "|".join((*CLASSES, NO_CLASS)) + r")")


def parse_label(text: str, max_characters: int) -> str | None:
    """Returns the label that a reply ends in, :data:`NO_LABEL`, or None if it is unparsed.

    The last line is ``LABEL: words``, or the reply is a JSON object ``{"label": "words"}``, beside
    which a string ``"reason"`` may stand. White space is made single and one pair of quotation
    marks around the whole is taken off. Another label elsewhere, one without a
    letter, one longer than ``max_characters``, and one that begins with a bracket (as marks of
    label files do) are none.
    """
    stated = in_json(text, "label")
    if stated is None:
        stated = on_last_line(text, _LABEL)
    if not isinstance(stated, str):
        return None
    label = " ".join(stated.split())
    if len(label) > 1 and label[0] in "\"'“" and label[-1] in "\"'”":
        label = label[1:-1].strip()
    if label == NO_LABEL:
        return NO_LABEL
    if label.startswith("(") or len(label) > max_characters or not re.search(r"\w", label):
        return None
    return label


def parse_active(text: str, n: int) -> frozenset[int] | None:
    """Returns which of ``n`` contexts a reply names, counted from 0, or None if it is unparsed.

    The last line is ``ACTIVE: 2, 5`` or ``ACTIVE: none``, or the reply is a JSON object
    ``{"active": [2, 5]}``, beside which a string ``"reason"`` may stand. Numbers run from 1 to
    ``n``, none twice.
    """
    stated = in_json(text, "active")
    if isinstance(stated, list) and all(type(number) is int for number in stated):
        numbers = stated
    else:
        line = on_last_line(text, _ACTIVE)
        if line is None:
            return None
        numbers = [] if line == "none" else [int(part) for part in line.split(",")]
    if len(set(numbers)) != len(numbers) or not all(1 <= number <= n for number in numbers):
        return None
    return frozenset(number - 1 for number in numbers)


def parse_classes(text: str, n: int) -> list[str] | None:
    """Returns the classes of ``n`` labels in order, or None if the reply is unparsed.

    The last ``n`` lines are ``1: class`` to ``n: class``, each of
    :data:`~mtmbench.features.labels.CLASSES` or :data:`NO_CLASS`; no line before them is of that
    form.
    """
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    found = [_CLASS.fullmatch(line) for line in lines]
    stated = [match for match in found if match is not None]
    if len(stated) != n or any(match is None for match in found[len(found) - n :]):
        return None
    if [int(match.group(1)) for match in stated] != list(range(1, n + 1)):
        return None
    return [match.group(2) for match in stated]
