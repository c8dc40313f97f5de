"""The interface of every judge: a question in, a completion out, one verdict parser for all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypedDict

from mtmbench.core.errors import MtmbenchError
from mtmbench.core.serialise import content_hash

if TYPE_CHECKING:
    from mtmbench.core.cards import JudgeCard
    from mtmbench.core.judge_facts import MemberFacts
    from mtmbench.core.types import Corpus, FloatArray

QuestionKind = Literal[
    "match", "steer", "rating", "intrusion", "label", "summary", "fit", "rank", "split", "mixing",
    "repetitiveness", "outliers", "themes", "topics",
]  # fmt: skip
Verdict = Literal["A", "B", "tie", "unparsed", "refused"]

NO_TOPIC = "(no topic)"
"""Shown for a document on which a model has no mass."""
EMPTY_TOPIC = "(empty topic)"
"""Shown for a topic that has mass in the document but neither items nor a summary."""


class JudgeError(MtmbenchError, RuntimeError):
    """A judge failed on a question; the message names the judge and the question."""


class JudgeStoppedError(JudgeError):
    """A judge must be asked nothing more: its endpoint says no, or the budget is spent."""


@dataclass(frozen=True)
class ShownTopic:
    """One topic as a judge sees it.

    Attributes:
        share: θ of the topic in the document, in [0, 1].
        items: labels of the top items, strongest first; where projected words are shown, those.
        item_weights: their weights, same order.
        words: top projected words (words that the topic's documents use), strongest first.
        word_weights: their weights, same order.
        summary: a one-sentence summary where the board shows summaries.
    """

    share: float
    items: tuple[str, ...]
    item_weights: tuple[float, ...] = ()
    words: tuple[str, ...] = ()
    word_weights: tuple[float, ...] = ()
    summary: str | None = None

    @cached_property
    def description(self) -> str:
        """The text that stands for the topic: its summary where there is one, else its items."""
        text = ", ".join(self.items) if self.summary is None else self.summary
        return " ".join(text.split()) or EMPTY_TOPIC


@dataclass(frozen=True)
class Option:
    """The topics that one model shows for a document; empty means "(no topic)".

    ``name`` is the competitor's id; it is never shown to a judge, only to scripted ones. ``text``
    is the text itself in a question of kind "steer", which compares texts and shows no topics.
    """

    name: str
    topics: tuple[ShownTopic, ...]
    text: str | None = None


@dataclass(frozen=True)
class Question:
    """What a judge is asked.

    Attributes:
        kind: what sort of question it is.
        context: fields that proxies, people and scripts read: "corpus", "doc_id", "text"; in a
            question of kind "steer" ``text`` describes the topic, "topic" is its index, and
            "doc_id" names the pair of texts.
        options: the alternatives in the order shown; the first is "A".
        messages: chat messages ``{"role", "content"}`` that chat clients read.
        judged: :func:`judged_mark` of the documents judged beside this one, as they were told to
            :meth:`JudgeClient.prepare_documents`; "" for those told last of the corpus.
    """

    kind: QuestionKind
    context: Mapping[str, Any]
    options: tuple[Option, ...]
    messages: tuple[Mapping[str, str], ...] = ()
    judged: str = ""


def judged_mark(corpus: Corpus, rows: Sequence[int]) -> str:
    """Returns the hash by which a question names the documents that are judged beside it."""
    return content_hash(corpus.revision, [corpus.doc_ids[row] for row in rows])


Lack = Literal["cut", "empty"]
"""Why there is nothing in a reply to be read: it broke off, or there is none."""


class Reply:
    """What replies have in common, those that have just come and those that were kept.

    Attributes:
        text: the reply as it came.
        refused: the judge declined to answer.
        cut: it broke off, most often at the token limit; what it would have ended in is not known.
    """

    text: str
    refused: bool
    cut: bool

    @property
    def readable(self) -> str:
        """What an answer may be read from: nothing of a reply that was cut."""
        return "" if self.cut else self.text

    @property
    def lack(self) -> Lack | None:
        """Why nothing can be read from it; a refusal lacks nothing."""
        if self.refused:
            return None
        return "cut" if self.cut else None if self.text.strip() else "empty"


@dataclass(frozen=True)
class Completion(Reply):
    """A judge's reply as it came; what is ``readable`` of it goes through the verdict parser.

    Attributes:
        text: the reply.
        usage: tokens by kind ("input", of which "cached", and "output"), empty for judges that
            use none.
        model_revision: what the endpoint says it is, or the client's own version.
        refused: the judge declined to answer.
        costs: what each part of the answer cost, None where that is not known, for judges that
            consist of others; empty if the card's prices and ``usage`` say it.
        cut: the reply broke off, so that nothing must be read from it.
    """

    text: str
    usage: Mapping[str, int] = field(default_factory=dict)
    model_revision: str = ""
    refused: bool = False
    costs: tuple[float | None, ...] = ()
    cut: bool = False


class JudgeTraits(TypedDict):
    """What is known of a judge before it is made; see :class:`JudgeClient`."""

    is_llm: bool
    order_free: bool
    encoder: str | None


class JudgeClient(ABC):
    """A judge. ``__init__`` takes the card's ``params`` as keyword arguments.

    Attributes:
        name: the registry name of the client.
        version: raised whenever the same question may get another answer.
        is_llm: whether a language model rules; boards say so.
        free: its answers cost nothing by definition, so that its card needs no prices; so it is
            with every judge that is no language model.
        order_free: the verdict cannot depend on the order of the options, so one call is recorded
            as both orders and a flip rate is not applicable.
        encoder: name of the text encoder whose cosines rule, or None; boards flag models that
            share it.
        reads_words: whether it rules by the words of documents and the projected words of topics,
            however these are shown: words have to be told apart then, and one representation of a
            suite is enough.
        extracts: whether it takes summaries from documents (:meth:`prepare_summaries`) and does
            nothing else; what it was given is then not judged.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    is_llm: ClassVar[bool] = False
    free: ClassVar[bool] = False
    order_free: ClassVar[bool] = False
    encoder: ClassVar[str | None] = None
    reads_words: ClassVar[bool] = False
    extracts: ClassVar[bool] = False
    _tell_lost: Callable[[Question], Awaitable[None]] | None = None

    @classmethod
    def from_card(cls, card: JudgeCard) -> Self:
        """Makes the judge of a card; a client that needs more than ``params`` overrides it."""
        return cls(**card.params)

    @classmethod  # noqa: B027
    def check_card(cls, card: JudgeCard) -> None:
        """Says what is missing here to ask the judge of a card, before anything else is done.

        Raises:
            InputError: the judge could not be asked.
        """

    @classmethod
    def version_of(cls, params: Mapping[str, Any]) -> int:  # noqa: ARG003
        """Returns the version of a judge of these parameters; a few clients keep an older one."""
        return cls.version

    @classmethod
    def inputs(cls, params: Mapping[str, Any]) -> Mapping[str, object]:  # noqa: ARG003
        """Returns, as JSON values, the content of what the parameters name, such as an encoder."""
        return {}

    @abstractmethod
    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        """Answers one question. ``params`` are decoding settings; ``replicate`` counts repeats."""

    def prepare_documents(  # noqa: B027
        self, corpus: Corpus, rows: Sequence[int]
    ) -> None:
        """Told before each match which documents all matches of its league judge.

        They are fixed before any match, so that what a judge makes of them depends neither on who
        plays nor on what was played before.

        Args:
            corpus: the whole corpus.
            rows: the rows of ``corpus`` that the league's matches judge, those of each match among
                them.
        """

    def prepare(  # noqa: B027
        self, corpus: Corpus, options: Sequence[Option], rows: Sequence[int]
    ) -> None:
        """Told what is coming before each match, so that proxies can encode texts in batches.

        Args:
            corpus: the whole corpus, for statistics such as document frequencies.
            options: every option that the match shows.
            rows: the rows of ``corpus`` that are judged.
        """

    def prepare_texts(  # noqa: B027
        self, corpus: Corpus, doc_topic: FloatArray, options: Sequence[Option]
    ) -> None:
        """Told what is coming before texts are compared by how much they are about a topic.

        Args:
            corpus: the corpus that the topics were fitted on.
            doc_topic: (D, K) θ of its documents.
            options: every text that will be shown.
        """

    def prepare_summaries(self, corpus: Corpus, doc_topic: FloatArray) -> None:  # noqa: B027
        """Told what is coming before summaries of topics are taken from documents.

        Each topic is then a question of kind "summary" whose ``context`` has "topic", its index,
        and "documents", the ids of those that may be read, of largest θ first. The reply is JSON:
        ``{"summary": "…", "documents": [ids of those it was taken from]}``.

        Args:
            corpus: the corpus that the topics were fitted on.
            doc_topic: (D, K) θ of its documents.
        """

    def sees(self, option: Option) -> Hashable:
        """Returns all of an option that can reach the verdict; equal ones tie without a call."""
        return tuple(topic.description for topic in option.topics)

    @classmethod
    def traits(cls, params: Mapping[str, Any]) -> JudgeTraits:  # noqa: ARG003
        """Returns what a judge of these parameters is; nothing is loaded."""
        return {"is_llm": cls.is_llm, "order_free": cls.order_free, "encoder": cls.encoder}

    @classmethod
    def members(cls, params: Mapping[str, Any]) -> Mapping[str, MemberFacts]:  # noqa: ARG003
        """Returns the judges of whom it consists, by card; most have none."""
        return {}

    def put_to(self, card: JudgeCard, question: Question) -> list[tuple[JudgeCard, Question]]:
        """Returns whom a question goes to, and as what: what an answer can cost depends on it."""
        return [(card, question)]

    def tell_lost(
        self, card: JudgeCard, told: Callable[[JudgeCard, Question], Awaitable[None]]
    ) -> None:
        """Has it tell of every request that may be charged for although it brought no answer.

        Args:
            card: the judge's.
            told: given the card and the question before that is asked again; an error that it
                raises ends the asking.
        """
        self._tell_lost = partial(told, card)

    async def close(self) -> None:  # noqa: B027
        """Releases what the client holds; called once, also after an error."""
