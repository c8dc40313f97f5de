"""What must not leave a machine in a text: paths of it, secrets, passages of a corpus."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

LONGEST_QUOTATION = 30
"""Words in a row that may stand in a record of a corpus whose texts may not be shown.

Summaries that are taken from documents are pieces of at most 25.
"""

_BLOCK = LONGEST_QUOTATION // 2
"""Aligned words of a text, one whole block of which lies in any longer passage."""

_ROOTS = (
    "home|Users|root|tmp|var|mnt|media|opt|srv|usr|etc|private|work|workspace|scratch|data|content"
    "|kaggle|gpfs|lustre|nfs|run|Volumes"
)
_REST = r"[^\s'\"<>,;:)\]]"
PATH = re.compile(
    rf"(?<![\w:/.<])/(?:{_ROOTS})/{_REST}+|\b[A-Za-z]:[\\/]\w{_REST}*[\\/]{_REST}*|file://{_REST}*"
    rf"|^\s*[/~]\w*/{_REST}*|^\\\\\w{_REST}*"
)
"""An absolute path, of whatever system, within a text."""
_SECRETS = {
    "a key of OpenAI or Anthropic": r"\bsk-[A-Za-z0-9_-]{16,}",
    "a token of Hugging Face": r"\bhf_[A-Za-z0-9]{16,}",
    "a token of GitHub": r"\b(?:gh[opsur]_[A-Za-z0-9]{16,}|github_pat_\w{16,})",
    "a token of GitLab": r"\bglpat-[\w-]{16,}",
    "a key of AWS": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a key of Google": r"\bAIza[\w-]{30,}",
    "a token of Slack": r"\bxox[abeprs]-[\w-]{10,}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "a signed token": r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.",
    "a bearer token": r"\b(?i:bearer) +[\w.~+/-]{16,}",
    "a password in an address": r"\b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/:@]+@",
}
_SECRET = re.compile("|".join(f"({pattern})" for pattern in _SECRETS.values()))


def is_path(text: str) -> bool:
    """Whether a text holds an absolute path, of whatever system."""
    return PATH.search(text) is not None


def secret_in(text: str) -> str | None:
    """Returns what kind of secret a text seems to hold, and never the secret; None if none."""
    found = _SECRET.search(text)
    return None if found is None else [*_SECRETS][(found.lastindex or 1) - 1]


def leaves(value: object, where: str = "") -> Iterator[tuple[str, object]]:
    """Yields every text and number of a JSON value, names of fields too, each with its place."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield f"{where}, the name of a field", name
            yield from leaves(item, f"{where}.{name:.40}" if where else f"{name:.40}")
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, f"{where}[]")
    else:
        yield where, value


class Passages:
    """Finds passages of a corpus in texts.

    Args:
        texts: the documents.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._text = "\0".join(" ".join(text.split()) for text in texts)

    def longest(self, text: str) -> int:
        """Returns how many words in a row of ``text`` stand in one document, if too many; else 0.

        White space does not count, and a block of words is looked for before its neighbours are,
        so that texts that quote nothing cost a search each block.
        """
        words = text.split()
        if len(words) <= LONGEST_QUOTATION:
            return 0
        found = 0
        for start in range(0, len(words) - _BLOCK + 1, _BLOCK):
            if self._holds(words[start : start + _BLOCK]):
                found = max(found, self._extent(words, start))
        return found if found > LONGEST_QUOTATION else 0

    def _extent(self, words: Sequence[str], start: int) -> int:
        end = start + _BLOCK
        # The passage may begin at a word of which the text has the end alone.
        while end < len(words) and self._holds(words[start : end + 1]):
            end += 1
        while start > 0 and self._holds(words[start - 1 : end]):
            start -= 1
        return end - start

    def _holds(self, words: Sequence[str]) -> bool:
        return " ".join(words) in self._text
