"""Corpora that are not here, for plans: of the size that their cards state, without their texts."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash
from mtmbench.core.specs import CorpusSpec
from mtmbench.core.types import Corpus
from mtmbench.corpora.hub import is_hub_id
from mtmbench.corpora.load import load_spec, resolve_data_dir
from mtmbench.corpora.offline import offline
from mtmbench.corpora.paper import CARDS, StatedSize, is_here

CHARACTERS_PER_WORD = 6
"""With the space behind it: 5.5 to 6.6 on bills, AG News, 20 Newsgroups and WritingPrompts."""

_WORDS_UNKNOWN = 200
"""Words of a document where no card says."""


class StandIn(Corpus):
    """A corpus of stated size: ids and labels are made up, and every text is as long as the mean.

    ``source["stated"]`` says whose size it is. It has the interface of a corpus, so that cells are
    counted by the code that lays them out; nothing can be fitted to it. Its texts are one text, so
    that it takes no room.
    """

    @cached_property
    def revision(self) -> str:
        """A hash of the size alone; no real corpus has it."""
        return content_hash("stated size", self.name, len(self), len(self.texts[0]), self.n_labels)


def load_here(spec: CorpusSpec, data_dir: Path | None = None) -> Corpus:
    """Loads a corpus of a suite from this machine, without a network, or makes a stand-in for it.

    Raises:
        InputError: its texts are not here, and no card states how many there are.
    """
    try:
        with offline():
            return load_spec(spec, data_dir)
    except InputError as error:
        card = CARDS.get(spec.name)
        if (
            card is not None
            and not is_here(card, resolve_data_dir(data_dir))
            and not _columns(spec)
        ):
            return stand_in(spec.name, card.stated, spec.max_documents, share_of(spec))
        if card is not None:
            raise
        if not is_hub_id(spec.name) or Path(spec.name).exists():
            raise
        raise InputError(
            f"the texts of {spec.name!r} are not on this machine, and no card states how many "
            "there are; a plan fetches nothing: load the corpus once, or name a file or folder"
        ) from error


def _columns(spec: CorpusSpec) -> bool:
    """Whether a spec says which part or columns to read, which a corpus of a card does not take."""
    return any((spec.subset, spec.text, spec.label, spec.id, spec.split))


def share_of(spec: CorpusSpec) -> float:
    """Returns the share of a corpus's documents that its part takes, but for chance."""
    if spec.part is None:
        return 1.0
    return spec.tuning_share if spec.part == "tuning" else 1 - spec.tuning_share


def stand_in(
    name: str, stated: StatedSize, max_documents: int | None = None, share: float = 1.0
) -> StandIn:
    """Returns a corpus of a share of a stated size, of ``max_documents`` where that is fewer."""
    n = max(1, round(stated.documents * share))
    n = n if max_documents is None else min(n, max_documents)
    text = "words " * round(stated.mean_words or _WORDS_UNKNOWN)
    labels = tuple(f"label {i % stated.labels}" for i in range(n)) if stated.labels else None
    words = "unknown, taken as " * (stated.mean_words is None)
    said = (
        f"{stated.documents:,} documents of {words}{stated.mean_words or _WORDS_UNKNOWN:g} words "
        f"in the mean ({stated.source})"
    )
    return StandIn(
        name, tuple(f"document {i}" for i in range(n)), (text,) * n, labels,
        source={"format": "stated", "stated": said},
    )  # fmt: skip


def missing_note(corpus: Corpus) -> str | None:
    """Returns a sentence for a stand-in: whose size is assumed, and how many documents are taken.

    None for a corpus whose texts are here.
    """
    if not isinstance(corpus, StandIn):
        return None
    return (
        f"corpus {corpus.name}: its texts are not here; assumed are {corpus.source['stated']}, of "
        f"which {len(corpus):,} are taken"
    )
