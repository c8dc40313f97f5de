"""The two parts of a corpus: one on which models are tuned, and the rest, which boards score."""

from __future__ import annotations

from dataclasses import replace

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash
from mtmbench.core.specs import Part
from mtmbench.core.types import Corpus
from mtmbench.corpora.rows import count_duplicates

_HASH_BITS = 128


def part_of(corpus: Corpus, part: Part, share: float, seed: int) -> Corpus:
    """Returns the documents of one part of a corpus, in its order.

    A document is in the tuning part where the content hash of "tuning part", the seed and its id,
    read as a fraction, lies below ``share``, whatever other documents there are; a larger share
    holds all of a smaller one. Documents of one text are all where the first of them is, so that
    no copy of a document that tuning saw is scored. ``source["part"]`` says what was taken.

    Raises:
        InputError: the part has no document.
    """
    tuning = {
        text: int(content_hash("tuning part", seed, doc_id), 16) < share * 2**_HASH_BITS
        for text, doc_id in corpus.first_ids.items()
    }
    rows = [row for row, text in enumerate(corpus.texts) if tuning[text] == (part == "tuning")]
    if not rows:
        raise InputError(
            f"the {part} part of corpus {corpus.name!r} has none of its {len(corpus)} documents at "
            f"tuning_share = {share:g}; give another share"
        )
    taken = corpus.select(rows)
    told = {"part": part, "tuning_share": share, "seed": seed, "of": len(corpus)}
    return replace(
        taken,
        n_duplicates=count_duplicates(taken.texts),
        source={**corpus.source, "part": told},
    )
