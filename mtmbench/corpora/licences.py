"""Whether the texts of a corpus may be shown to everybody, by the licence that it states."""

from __future__ import annotations

import re

from mtmbench.core.types import Corpus

_OPEN = re.compile(
    r"cc0|cc[ -]by(?![ -]n[cd])|public domain|us government|odc-by|apache|mit\b|bsd",
    re.IGNORECASE,
)
"""Licences under which anybody may pass texts on; what forbids selling or changing is none."""


def may_be_shown(corpus: Corpus) -> bool:
    """Whether anybody may show the texts: the corpus states a licence that says so.

    No licence, one of the source's own terms, one for research alone: all of these are a no.
    """
    stated = corpus.source.get("licence")
    return isinstance(stated, str) and _OPEN.match(stated) is not None
