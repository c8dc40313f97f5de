"""Which of two texts is more about a topic: steered against unsteered, before any judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.judges.asker import Asker
from mtmbench.judges.base import EMPTY_TOPIC, Option, Question
from mtmbench.judges.prompt import Template, cut_at_sentence, load_template
from mtmbench.matches.match import Contest, MatchOutcome, judge_contests
from mtmbench.steering.vector import check_topic

_PROMPT = "steer"
_STEERED, _UNSTEERED = "steered", "unsteered"


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


def relevance_prompt(name: str = _PROMPT) -> Template:
    """Loads the prompt by which chat models compare texts."""
    return load_template(name, {"fence", "topic", "text_a", "text_b"}, {"text_characters": 100})


async def compare_texts(
    asker: Asker,
    corpus: Corpus,
    result: TopicResult,
    topic: int,
    pairs: Sequence[TextPair],
    *,
    description: str | None = None,
    prompt: str = _PROMPT,
) -> MatchOutcome:
    """Has a judge say of each pair which text is more about the topic, in both orders.

    Equal texts tie without a call. In the outcome "a" is the steered text; it reads as that of a
    match does, a pair standing for a document.

    Args:
        asker: puts the questions and keeps the answers.
        corpus: the corpus that the topics were fitted on.
        result: the topics.
        topic: which one.
        pairs: the texts.
        description: what stands for the topic; :func:`describe_topic` if not given.
        prompt: name of the prompt that chat models are asked by.

    Raises:
        InputError: the topic is out of range, or two pairs have one name.
        JudgeError: the client raised; the cause is chained.
    """
    check_topic(result, topic)
    twice = [name for name, n in Counter(pair.name for pair in pairs).items() if n > 1]
    if twice:
        raise InputError(f"two pairs of texts are called {twice[0]!r}")
    described = describe_topic(result, topic) if description is None else description
    client = asker.client
    template = relevance_prompt(prompt) if client.is_llm else None

    def contest(pair: TextPair) -> Contest:
        steered = Option(_STEERED, (), pair.steered)
        unsteered = Option(_UNSTEERED, (), pair.unsteered)
        context = {"corpus": corpus.name, "doc_id": pair.name, "topic": topic, "text": described}

        def question(first: Option, second: Option) -> Question:
            return Question(
                "steer", context, (first, second), _messages(template, described, first, second)
            )

        return Contest(
            steered, unsteered, "T" if pair.steered == pair.unsteered else None, question,
            f"texts {pair.name!r} of topic {topic}",
        )  # fmt: skip

    contests = [contest(pair) for pair in pairs]
    client.prepare_texts(
        corpus, result.doc_topic, [option for c in contests for option in (c.first, c.second)]
    )
    return await judge_contests(asker, contests)


def _messages(
    template: Template | None, described: str, first: Option, second: Option
) -> tuple[Mapping[str, str], ...]:
    if template is None:
        return ()
    limit = template.settings["text_characters"]
    text_a, text_b = (cut_at_sentence(str(option.text), limit) for option in (first, second))
    return template.messages({"topic": described, "text_a": text_a, "text_b": text_b})
