"""A scripted judge of topics in words, and eight documents that it knows about."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mtmbench.core.cards import JudgeCard
from mtmbench.core.specs import WordSpec
from mtmbench.core.types import Corpus, Views
from mtmbench.features.words import word_counts
from mtmbench.judges.base import Completion, JudgeClient, Question
from mtmbench.judges.ledger import LEDGER
from mtmbench.judges.panel import Consult, Consultation, Panel

T = TypeVar("T")

TEXTS = (
    "the ice held all winter",
    "ice and more ice on the lake",
    "a rink of smooth ice",
    "new skates slide over ice",
    "a law about ice on pavements",
    "the law was passed at night",
    "no court doubts this law",
    "a recipe with butter",
)


def two_subjects() -> Views:
    """Five documents of ice, one of which has skates too, three of law, one of both, and one."""
    corpus = Corpus("eight", tuple(f"d{i}" for i in range(len(TEXTS))), TEXTS)
    return Views(corpus, words=word_counts(corpus, WordSpec(min_df=1, max_df=1.0)))


class Clerk(JudgeClient):
    """Names the subjects whose word stands in a document.

    Args:
        same: names that are the same, by group.
        instead: what is said to be assigned to a document, by its number; None refuses.
        always: what is said to everything.

    Attributes:
        asked: questions of each task.
        shown: the task and the topics shown, in the order of asking.
    """

    name = "clerk"
    is_llm = True
    subjects = ("ice", "skates", "law")

    def __init__(
        self,
        same: Sequence[Sequence[str]] = (),
        instead: Mapping[int, str | None] | None = None,
        always: str | None = None,
    ) -> None:
        self.same, self.instead, self.always = same, instead or {}, always
        self.asked: Counter[str] = Counter()
        self.shown: list[tuple[str, list[str]]] = []

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        """Answers by the words of the chat message's fields."""
        context = question.context
        self.asked[context["task"]] += 1
        self.shown.append((context["task"], context["topics"]))
        usage = {"input": 10, "output": 5}
        if self.always is not None:
            return Completion(self.always, usage, "clerk-1")
        names = [topic.partition(":")[0] for topic in context["topics"]]
        text = context.get("text", "")
        if context["task"] == "topic_assign" and (nth := TEXTS.index(text)) in self.instead:
            said = self.instead[nth]
            return Completion(said or "No.", usage, "clerk-1", refused=said is None)
        found = [word for word in self.subjects if word in text.split()]
        said: dict[str, object] = {
            "topic_write": lambda: {
                "topics": [{"name": w.title(), "description": f"All of {w}."} for w in found]
            },
            "topic_merge": lambda: {
                "same": [[names.index(name) + 1 for name in group] for group in self.same]
            },
            "topic_assign": lambda: {
                "assigned": [
                    {"topic": names.index(w.title()) + 1, "quote": w}
                    for w in found
                    if w.title() in names
                ]
            },
        }[context["task"]]()
        return Completion(f"As I read it:\n{json.dumps(said)}", usage, "clerk-1")


def consulting(client: JudgeClient) -> Consult:
    """Returns what has jobs ask a client, whatever card is named."""

    def consult(card: str, job: Consultation[T]) -> T:
        with tempfile.TemporaryDirectory() as folder, Panel(Path(folder) / LEDGER) as panel:
            panel.seat(card, JudgeCard(client=client.name), client)
            return panel.consult(card, job)

    return consult
