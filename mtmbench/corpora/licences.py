"""Whether a corpus's texts may be shown to others, by the licence that its source states."""

from __future__ import annotations

import re

from mtmbench.core.types import Corpus

_OPEN = re.compile(
    r"cc0|cc[ -]by(?![ -]n[cd])|public domain|us government|odc-by|apache|mit\b|bsd",
    re.IGNORECASE,
)
"""Licences under which anybody may pass texts on; what forbids selling or changing is none."""


def why_not_shown(corpus: Corpus) -> str | None:
    """Returns why a corpus's texts are not to be passed on; None where its licence allows it.

    No licence, one of the source's own terms, one for research alone: all of these are a no.
    """
    stated = corpus.source.get("licence")
    if isinstance(stated, str) and _OPEN.match(stated):
        return None
    return f"texts of {corpus.name} are not shown: its licence is {stated or 'none stated'!r}"


def may_be_shown(corpus: Corpus) -> bool:
    """Whether anybody may show the texts: the corpus states a licence that says so."""
    return why_not_shown(corpus) is None
