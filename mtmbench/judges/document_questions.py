"""Questions about the documents of a topic: how well does each fit, and which fit best?

The protocol of ProxAnn (Hoyle, Calvo-Bartolomé, Boyd-Graber and Resnik 2025): from a topic's words
and documents that exemplify it a judge finds the category that they share, says how well each of
some further documents fits it, and ranks them. People were asked so, and whatever holds a judge
against them asks as the metric does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mtmbench.judges.base import Option, Question, ShownTopic
from mtmbench.judges.prompt import Template, cut_at_sentence, load_template
from mtmbench.judges.replies import parse_level, parse_ranking

Asked = tuple[Question, str]
"""A question, and what it is about."""

DocumentTask = Literal["fit", "rank"]
FIT_LEVELS = 5
"""How well a document fits: 1, not, to 5."""

_SETTINGS = {"exemplar_characters": 50, "document_characters": 100}
_SHOWN = {"fit": "document", "rank": "documents"}


@dataclass(frozen=True)
class TopicDocuments:
    """A topic with its documents.

    Attributes:
        id: its name.
        words: its top items, strongest first.
        exemplars: texts of documents that exemplify it.
        documents: texts of the documents that are judged.
    """

    id: str
    words: tuple[str, ...]
    exemplars: tuple[str, ...]
    documents: tuple[str, ...]


def document_template(task: DocumentTask) -> Template:
    """Loads the prompt by which chat models are asked."""
    placeholders = {"fence", "words", "exemplars", _SHOWN[task]}
    return load_template(f"validate_{task}", placeholders, _SETTINGS)


def document_questions(
    task: DocumentTask,
    corpus: str,
    topics: Sequence[TopicDocuments],
    prompt: Template | None,
    judged: str = "",
) -> list[Asked]:
    """Returns questions of a task, topics in order: one a document ("fit"), or one a topic.

    Args:
        task: "fit", how well does it fit, or "rank", which fit best.
        corpus: name of the corpus that the documents are of.
        topics: the topics.
        prompt: :func:`document_template`; None for judges that read no messages.
        judged: see :class:`~mtmbench.judges.base.Question`.
    """
    asked = []
    for topic in topics:
        told: dict[str, object] = {
            "corpus": corpus, "task": task, "topic": topic.id, "items": list(topic.words),
            "exemplars": list(topic.exemplars),
        }  # fmt: skip
        option = Option("topic", (ShownTopic(1.0, topic.words),))
        if task == "rank":
            context = {**told, "texts": list(topic.documents)}
            messages = _messages(prompt, topic, topic.documents, "documents")
            question = Question(task, context, (option,), messages, judged)
            asked.append((question, f"ranking of the documents of topic {topic.id}"))
            continue
        for place, text in enumerate(topic.documents):
            context = {**told, "document": place, "text": text}
            messages = _messages(prompt, topic, [text], "document")
            question = Question(task, context, (option,), messages, judged)
            asked.append((question, f"fit of document {place} to topic {topic.id}"))
    return asked


def scores_by_topic(
    task: DocumentTask,
    topics: Sequence[TopicDocuments],
    replies: Sequence[str | None],
    levels: tuple[float, float] = (1, FIT_LEVELS),
) -> list[tuple[float | None, ...]]:
    """Returns, for each topic, a score for each of its documents, the better the higher.

    Scores are levels of fit, or ranks, the best highest; None where a reply gives none, which a
    ranking does for all of its documents.

    Args:
        task: what was asked.
        topics: the topics that were asked about.
        replies: one for each of :func:`document_questions`; None for a refusal.
        levels: the least and the highest level that a reply may state.
    """
    low, high = levels
    scores: list[tuple[float | None, ...]] = []
    left = iter(replies)
    for topic in topics:
        n = len(topic.documents)
        if task == "fit":
            texts = [next(left) for _ in range(n)]
            scores.append(
                tuple(None if t is None else parse_level(t, "FIT", high, low) for t in texts)
            )
        else:
            reply = next(left)
            ranks = None if reply is None else parse_ranking(reply, n)
            scores.append((None,) * n if ranks is None else tuple(map(float, ranks)))
    return scores


def numbered(texts: Sequence[str]) -> str:
    """Returns texts as a numbered list, one a line."""
    return "\n".join(f"{i}. {' '.join(text.split())}" for i, text in enumerate(texts, start=1))


def _messages(
    prompt: Template | None, topic: TopicDocuments, documents: Sequence[str], placeholder: str
) -> tuple[Mapping[str, str], ...]:
    if prompt is None:
        return ()
    limit, exemplar_limit = (prompt.settings[f"{x}_characters"] for x in ("document", "exemplar"))
    shown = [cut_at_sentence(text, limit) for text in documents]
    return prompt.messages(
        {
            "words": ", ".join(topic.words),
            "exemplars": numbered([cut_at_sentence(t, exemplar_limit) for t in topic.exemplars]),
            placeholder: numbered(shown) if placeholder == "documents" else shown[0],
        }
    )
