"""How a judge sees contexts: each on one line, cut to a length, the firing token marked or not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from mtmbench.features.sae.contexts import Context, RandomContext

ELLIPSIS = "…"
"""Stands where a window goes on."""

_WORD = 24
"""A window begins and ends with a whole word if one ends within so many characters."""

_PAIRS = (("⟦", "⟧"), ("<<", ">>"), ("«", "»"), ("⟪", "⟫"))


def marks(contexts: Sequence[Context]) -> tuple[str, str]:
    """Returns an opening and a closing mark that occur in none of the contexts."""
    numbered = ((f"<{n}:", f":{n}>") for n in itertools.count())
    return next(
        (opening, closing)
        for opening, closing in itertools.chain(_PAIRS, numbered)
        if not any(opening in context.text or closing in context.text for context in contexts)
    )


def marked(context: Context, limit: int, opening: str, closing: str) -> str:
    r"""Returns a context with its token between marks, cut to ``limit`` characters around it.

    White space at the token's ends stays outside the marks; a token of white space alone is shown
    as it is, a line break as ``\n``.
    """
    before, token, after = _parts(context, limit)
    bare = token.strip()
    if bare:
        lead, tail = token[: token.index(bare)], token[token.index(bare) + len(bare) :]
    else:
        lead, tail = "", ""
        bare = token.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return _one_line(f"{before}{lead}{opening}{bare}{closing}{tail}{after}")


def unmarked(context: Context | RandomContext, limit: int) -> str:
    """Returns a context unmarked, cut to ``limit`` characters around its token or middle."""
    return _one_line("".join(_parts(context, limit)))


def numbered(lines: Sequence[str]) -> str:
    """Returns lines numbered from 1, ``(no passage)`` where there is none."""
    if not lines:
        return "(no passage)"
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))


def _parts(context: Context | RandomContext, limit: int) -> tuple[str, str, str]:
    """What is shown before the token, the token, and what is shown after it."""
    text = context.text
    if isinstance(context, Context):
        start, end = context.start, context.end
    else:
        start = end = len(text) // 2
    if len(text) <= limit:
        return text[:start], text[start:end], text[end:]
    side = max(0, limit - (end - start)) // 2
    # What one side does not need goes to the other.
    left = max(0, min(start - side, len(text) - limit))
    right = min(len(text), max(end + side, limit))
    before, after = text[left:start], text[end:right]
    if left > 0:
        before = ELLIPSIS + before[max(0, before.find(" ", 0, _WORD)) :]
    if right < len(text):
        space = after.rfind(" ", max(0, len(after) - _WORD))
        after = (after[: space + 1] if space >= 0 else after) + ELLIPSIS
    return before, text[start:end], after


def _one_line(text: str) -> str:
    return " ".join(text.split())
