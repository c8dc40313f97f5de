"""The questions of ``mtmbench validate`` about words: ratings of topics, and intruders."""

from __future__ import annotations

from collections.abc import Sequence

from mtmbench.judges.base import Option, Question, ShownTopic
from mtmbench.judges.document_questions import Asked, numbered
from mtmbench.judges.prompt import load_template
from mtmbench.validation import hoyle
from mtmbench.validation.hoyle import HoyleTopic, IntrusionTask


def rating_questions(topics: Sequence[HoyleTopic]) -> list[Asked]:
    """Returns a question for every topic: do its words belong together?"""
    template = load_template("validate_rating", {"fence", "words"}, {})
    asked = []
    for topic in topics:
        words = topic.words[: hoyle.RATED_WORDS]
        context = {"corpus": f"hoyle-{topic.dataset}", "topic": topic.id}
        messages = template.messages({"words": ", ".join(words)})
        question = Question("rating", context, (_option(words),), messages)
        asked.append((question, f"rating of topic {topic.id}"))
    return asked


def intrusion_questions(tasks: Sequence[IntrusionTask]) -> list[Asked]:
    """Returns a question for every task: which word does not belong?"""
    template = load_template("validate_intrusion", {"fence", "words"}, {})
    asked = []
    for task in tasks:
        context = {
            "corpus": f"hoyle-{task.topic.partition('/')[0]}", "topic": task.topic,
            "draw": task.draw,
        }  # fmt: skip
        options = tuple(_option([word]) for word in task.words)
        messages = template.messages({"words": numbered(task.words)})
        question = Question("intrusion", context, options, messages)
        asked.append((question, f"intruder {task.draw} of topic {task.topic}"))
    return asked


def _option(words: Sequence[str]) -> Option:
    return Option("topic", (ShownTopic(1.0, tuple(words)),))
