"""Halves of a corpus: what is made from one is shown beside documents of the other."""

from __future__ import annotations

from mtmbench.core.serialise import content_hash
from mtmbench.core.types import Corpus


def halves_of(corpus: Corpus) -> str:
    """Returns the half that each document is in, one character a document.

    It is "0" or "1" as the last bit of the content hash of "half" and the document's id. Documents
    of one text are all where the first of them is, so that none is described by its own copy.
    """
    found = {
        text: str(int(content_hash("half", doc_id), 16) & 1)
        for text, doc_id in corpus.first_ids.items()
    }
    return "".join(found[text] for text in corpus.texts)
