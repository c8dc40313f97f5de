"""The questions of ``mtmbench validate``."""

from __future__ import annotations

from collections.abc import Sequence

from mtmbench.judges.base import Option, Question, ShownTopic
from mtmbench.judges.prompt import Template, cut_at_sentence, load_template
from mtmbench.validation import hoyle, proxann
from mtmbench.validation.hoyle import HoyleTopic, IntrusionTask
from mtmbench.validation.proxann import ProxannTopic

Asked = tuple[Question, str]
"""A question, and what it is about."""

_DOCUMENTS = {"exemplar_characters": 50, "document_characters": 100}


def fit_questions(topics: Sequence[ProxannTopic]) -> list[Asked]:
    """Returns a question for every document of every topic, in order: how well does it fit?"""
    template = load_template(
        "validate_fit", {"fence", "words", "exemplars", "document"}, _DOCUMENTS
    )
    asked = []
    for topic in topics:
        values = _group(topic, template)
        for place, text in enumerate(topic.documents):
            shown = cut_at_sentence(text, template.settings["document_characters"])
            context = {
                "corpus": proxann.DATASET, "topic": topic.id, "document": place, "text": text,
            }  # fmt: skip
            messages = template.messages({**values, "document": shown})
            question = Question("fit", context, (_option(topic.words),), messages)
            asked.append((question, f"fit of document {place} to topic {topic.id}"))
    return asked


def rank_questions(topics: Sequence[ProxannTopic]) -> list[Asked]:
    """Returns a question for every topic: which documents fit it best?"""
    template = load_template(
        "validate_rank", {"fence", "words", "exemplars", "documents"}, _DOCUMENTS
    )
    asked = []
    for topic in topics:
        limit = template.settings["document_characters"]
        values = {
            **_group(topic, template),
            "documents": _numbered([cut_at_sentence(text, limit) for text in topic.documents]),
        }
        context = {"corpus": proxann.DATASET, "topic": topic.id, "texts": list(topic.documents)}
        question = Question("rank", context, (_option(topic.words),), template.messages(values))
        asked.append((question, f"ranking of the documents of topic {topic.id}"))
    return asked


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
        messages = template.messages({"words": _numbered(task.words)})
        question = Question("intrusion", context, options, messages)
        asked.append((question, f"intruder {task.draw} of topic {task.topic}"))
    return asked


def _group(topic: ProxannTopic, template: Template) -> dict[str, str]:
    limit = template.settings["exemplar_characters"]
    return {
        "words": ", ".join(topic.words),
        "exemplars": _numbered([cut_at_sentence(text, limit) for text in topic.exemplars]),
    }


def _numbered(texts: Sequence[str]) -> str:
    return "\n".join(f"{i}. {' '.join(text.split())}" for i, text in enumerate(texts, start=1))


def _option(words: Sequence[str]) -> Option:
    return Option("topic", (ShownTopic(1.0, tuple(words)),))
