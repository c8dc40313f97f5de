"""What a model may ask a judge without knowing judges: topics in words, and documents' topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from mtmbench.core.judge_facts import AnswersBy

_T_co = TypeVar("_T_co", covariant=True)


@dataclass(frozen=True)
class WrittenTopic:
    """A topic in a judge's words.

    Attributes:
        name: a few words.
        description: what documents on it are about.
    """

    name: str
    description: str

    @property
    def text(self) -> str:
        """Name and description, as they are shown."""
        return f"{self.name}: {self.description}"


@dataclass(frozen=True)
class Assignment:
    """A topic of a document, by its number from 0, and the words of the document that say so."""

    topic: int
    quote: str


@dataclass(frozen=True)
class Replies(Generic[_T_co]):
    """What came back to several questions of one sort.

    Attributes:
        values: what each reply states, in order; None where it states nothing that can be read.
        statuses: how many replies were "ok", "unparsed", "refused" and so on.
        answers_by: the judge, and what its answers took.
    """

    values: tuple[_T_co | None, ...]
    statuses: Mapping[str, int]
    answers_by: AnswersBy


class TopicWriter(Protocol):
    """A judge that writes topics and says which a document has."""

    def write(self, texts: Sequence[str]) -> Replies[tuple[WrittenTopic, ...]]:
        """Returns the topics of each text; those of earlier ones are there to be named again.

        One topic has one name and description, those under which it came first.
        """

    def merge(self, topics: Sequence[WrittenTopic]) -> Replies[tuple[tuple[int, ...], ...]]:
        """Returns groups of topics that are the same, by their numbers from 0, in one reply."""

    def assign(
        self, texts: Sequence[str], topics: Sequence[WrittenTopic]
    ) -> Replies[tuple[Assignment, ...]]:
        """Returns which of the topics each text has, each with a quotation; () for none."""
