"""Whether a corpus's texts may be shown to others, by the licence that its source states."""

from __future__ import annotations

import re

from mtmbench.core.types import Corpus

_OPEN = re.compile(r"CC0|CC[ -]BY|public domain|US government|Apache|MIT\b|BSD", re.IGNORECASE)
_CLOSED = re.compile(r"\bNC\b|non-?commercial|\bND\b", re.IGNORECASE)


def why_not_shown(corpus: Corpus) -> str | None:
    """Returns why a corpus's texts are not to be passed on; None where its licence allows it.

    A licence that is not stated allows nothing.
    """
    licence = str(corpus.source.get("licence") or "none stated")
    if _OPEN.search(licence) and not _CLOSED.search(licence):
        return None
    return f"texts of {corpus.name} are not shown: its licence is {licence!r}"
