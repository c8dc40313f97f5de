"""Which of two texts is more about a topic: steered against unsteered, before any judge."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mtmbench.core.cards import JudgeCard
from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.judges.asker import JudgeError, gather, run_async
from mtmbench.judges.base import EMPTY_TOPIC, Completion, JudgeClient, Option, Question
from mtmbench.judges.prompt import Template, cut_at_sentence, load_template
from mtmbench.judges.replies import parse_verdict
from mtmbench.matches.match import MatchOutcome
from mtmbench.steering.vector import check_topic

PROMPT = "steer"
PLACEHOLDERS = frozenset({"fence", "topic", "text_a", "text_b"})
SETTINGS = {"text_characters": 100}
"""Settings that the prompt's file must give, and the least value of each."""
STEERED, UNSTEERED = "steered", "unsteered"
_FORWARD = {"A": "a", "B": "b", "tie": "t", "unparsed": "u", "refused": "r"}
_BACKWARD = {**_FORWARD, "A": "b", "B": "a"}


@dataclass(frozen=True)
class TextPair:
    """Two texts that go on from one prompt.

    Attributes:
        name: what tells the pair from others of the same topic.
        steered: the text whose wins are counted.
        unsteered: the other.
    """

    name: str
    steered: str
    unsteered: str


def describe_topic(result: TopicResult, topic: int, *, n_items: int = 10) -> str:
    """Returns the text that stands for a topic: its summary where there is one, else its items.

    Raises:
        InputError: the topic is out of range.
    """
    check_topic(result, topic)
    if result.summaries is not None:
        return result.summaries[topic]
    return ", ".join(result.top_labels(n_items)[topic]) or EMPTY_TOPIC


def compare_texts(
    client: JudgeClient,
    card: JudgeCard,
    corpus: Corpus,
    result: TopicResult,
    topic: int,
    pairs: Sequence[TextPair],
    *,
    description: str | None = None,
    prompt: str = PROMPT,
    concurrency: int = 8,
) -> MatchOutcome:
    """Has a judge say of each pair which text is more about the topic, in both orders.

    Equal texts tie without a call. In the outcome "a" is the steered text; it reads as that of a
    match does, a pair standing for a document. The client is closed by whoever made it.

    Args:
        client: the judge.
        card: its card; ``decoding`` goes with every question.
        corpus: the corpus that the topics were fitted on.
        result: the topics.
        topic: which one.
        pairs: the texts.
        description: what stands for the topic; :func:`describe_topic` if not given.
        prompt: name of the prompt that chat models are asked by.
        concurrency: questions under way at one time, at most.

    Raises:
        InputError: the topic is out of range, or two pairs have one name.
        JudgeError: the client raised; the cause is chained.
    """
    check_topic(result, topic)
    if concurrency < 1:
        raise InputError(f"concurrency must be at least 1, not {concurrency!r}")
    twice = [name for name, n in Counter(pair.name for pair in pairs).items() if n > 1]
    if twice:
        raise InputError(f"two pairs of texts are called {twice[0]!r}")
    described = describe_topic(result, topic) if description is None else description
    template = None
    if client.is_llm:
        template = load_template(prompt, PLACEHOLDERS, SETTINGS)
    comparison = _Comparison(client, card, corpus.name, topic, described, template)
    options = [option for pair in pairs for option in _options(pair)]
    client.prepare_texts(corpus, result.doc_topic, options)
    return run_async(comparison.play(pairs, concurrency))


@dataclass(frozen=True)
class _Reply:
    char: str
    completion: Completion | None = None


@dataclass(frozen=True, eq=False)
class _Comparison:
    client: JudgeClient
    card: JudgeCard
    corpus: str
    topic: int
    description: str
    template: Template | None

    async def play(self, pairs: Sequence[TextPair], concurrency: int) -> MatchOutcome:
        limit = asyncio.Semaphore(concurrency)

        async def one(pair: TextPair) -> tuple[_Reply, _Reply]:
            if pair.steered == pair.unsteered:
                return _Reply("T"), _Reply("T")
            first, second = _options(pair)
            async with limit:
                forward = await self.ask(pair, first, second, _FORWARD)
                if self.client.order_free:
                    return forward, _Reply(forward.char)
                return forward, await self.ask(pair, second, first, _BACKWARD)

        return _outcome(await gather([one(pair) for pair in pairs]))

    async def ask(
        self, pair: TextPair, first: Option, second: Option, names: Mapping[str, str]
    ) -> _Reply:
        context = {
            "corpus": self.corpus, "doc_id": pair.name, "topic": self.topic,
            "text": self.description,
        }  # fmt: skip
        question = Question("steer", context, (first, second), self._messages(first, second))
        try:
            completion = await self.client.answer(question, self.card.decoding, 0)
        except Exception as error:
            raise JudgeError(
                f"judge {self.card.client!r} failed on texts {pair.name!r} of topic {self.topic}: "
                f"{type(error).__name__}: {error}"
            ) from error
        verdict = "refused" if completion.refused else parse_verdict(completion.text)
        return _Reply(names[verdict], completion)

    def _messages(self, first: Option, second: Option) -> tuple[Mapping[str, str], ...]:
        if self.template is None:
            return ()
        limit = self.template.settings["text_characters"]
        shown = [cut_at_sentence(str(option.text), limit) for option in (first, second)]
        return self.template.messages(
            {"topic": self.description, "text_a": shown[0], "text_b": shown[1]}
        )


def _options(pair: TextPair) -> tuple[Option, Option]:
    return Option(STEERED, (), pair.steered), Option(UNSTEERED, (), pair.unsteered)


def _outcome(replies: Sequence[tuple[_Reply, _Reply]]) -> MatchOutcome:
    texts = [
        tuple(None if reply.completion is None else reply.completion.text for reply in both)
        for both in replies
    ]
    asked = [reply.completion for both in replies for reply in both if reply.completion is not None]
    usage: Counter[str] = Counter()
    for completion in asked:
        usage.update(completion.usage)
    revisions = {completion.model_revision for completion in asked} - {""}
    return MatchOutcome(
        forward="".join(forward.char for forward, _ in replies),
        backward="".join(backward.char for _, backward in replies),
        calls=len(asked),
        usage=dict(sorted(usage.items())),
        replies=tuple((forward, backward) for forward, backward in texts),
        revisions=tuple(sorted(revisions)),
    )
