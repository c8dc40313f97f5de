"""Short names for the topics of a result, by a judge card: what ``mtmbench topics`` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

from mtmbench.core.judge_facts import AnswersBy, PromptFacts
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.word_lists import read_word_lists
from mtmbench.judges.asker import Asker
from mtmbench.judges.panel import Panel
from mtmbench.judges.replies import parse_topic_label
from mtmbench.judges.topic_questions import (
    TopicAnswer,
    ask_about_topics,
    counted,
    prompt_record,
    topic_template,
)

_SCHEMA = 1


class TopicLabel(TypedDict):
    """A topic's name, or None with why it has none: then ``reply`` is what the judge said."""

    topic: int
    label: str | None
    status: str
    items: list[str]
    reply: NotRequired[str | None]


class TopicLabels(TypedDict):
    """The file of names, as :func:`label_topics` describes it."""

    schema: int
    topics: list[TopicLabel]
    statuses: dict[str, int]
    prompt: PromptFacts
    answers_by: AnswersBy


def label_topics(topics: Sequence[Sequence[str]], judge: str, panel: Panel) -> TopicLabels:
    """Has a judge name each topic in one to five words.

    Args:
        topics: the top items of each topic, strongest first.
        judge: a judge card, by name or path.
        panel: whom to ask; with the same ledger the same call again asks nothing twice.

    Returns:
        JSON values: "schema", "topics" (number, label or None, status, items, and the reply where
        it gave no label), "statuses", "prompt" and "answers_by", the judge with what it took.

    Raises:
        UnknownNameError: there is no such card.
        JudgeError: the judge failed; what was answered before is kept.
    """
    prompt = topic_template("topic_label")
    limit = prompt.settings["label_characters"]

    async def job(asker: Asker) -> tuple[list[TopicAnswer[str]], AnswersBy]:
        labels = await ask_about_topics(
            asker, topics, prompt, lambda reply, _: parse_topic_label(reply, limit), kind="label"
        )
        return labels, asker.record()

    found, answered_by = panel.consult(judge, job)
    rows: list[TopicLabel] = []
    for k, (answer, items) in enumerate(zip(found, topics, strict=True)):
        rows.append(
            {"topic": k, "label": answer.value, "status": answer.status, "items": list(items)}
        )
        if answer.status != "ok":
            rows[k]["reply"] = answer.reply
    return {
        "schema": _SCHEMA,
        "topics": rows,
        "statuses": counted(found),
        "prompt": prompt_record(prompt),
        "answers_by": answered_by,
    }


def read_topics(path: Path, top_items: int) -> list[list[str]]:
    """Reads the top items of topics: a saved result (``.safetensors``) or word lists.

    Raises:
        InputError: the file cannot be read or holds no topics; the message names it.
    """
    if path.suffix == ".safetensors":
        return TopicResult.load(path).top_labels(top_items)
    return [topic[:top_items] for topic in read_word_lists(path)]
