"""A judge that knows the planted themes and answers questions about topics by themselves."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from mtmbench.core.cards import JudgeCard
from mtmbench.core.errors import InputError
from mtmbench.judges.base import Completion, JudgeClient, Question
from mtmbench.judges.ledger import LEDGER
from mtmbench.judges.panel import Consultation, Panel
from mtmbench.judges.registry import JUDGES
from mtmbench.testing.themes import THEMES

_T = TypeVar("_T")

PLANTED_JUDGE = "planted-themes"
"""The judge's name, for parameters and cards."""


@JUDGES.register(PLANTED_JUDGE)
class PlantedJudge(JudgeClient):
    """Answers by the planted theme that most of the items are of; other items are odd to it.

    A document fits by the share of its words that are of the theme.
    """

    name: ClassVar[str] = PLANTED_JUDGE
    is_llm: ClassVar[bool] = True

    async def answer(
        self,
        question: Question,
        params: Mapping[str, Any],  # noqa: ARG002
        replicate: int,  # noqa: ARG002
    ) -> Completion:
        """Replies in the grammar of the question's task.

        Raises:
            InputError: the question is not about a topic by itself.
        """
        usage = {"input": len(question.messages[-1]["content"].split()), "output": 2}
        if question.kind == "topics":
            return Completion(_topics(question.context), usage, "planted themes, version 1")
        items = question.context.get("items")
        if items is None:
            raise InputError(f"{self.name} is asked about topics, not a {question.kind} question")
        theme, odd = _main_theme(items)
        texts = question.context.get("texts") or [question.context.get("text", "")]
        shares = [_share(text, theme) for text in texts]
        best = sorted(range(len(shares)), key=lambda i: -shares[i])
        replies = {
            "fit": f"FIT: {1 + round(4 * shares[0])}",
            "rank": f"RANKING: {', '.join(str(i + 1) for i in best)}",
            "rating": f"RATING: {max(1, 3 - len(odd))}",
            "intrusion": f"INTRUDER: {odd[0] if odd else 1}",
            "word_split": f"GROUP: {', '.join(map(str, odd)) or 1}",
            "word_mixing": f"TOPICS: {1 + (len(odd) > 2)}",
            "repetitiveness": "RATING: 3",
            "outliers": f"ODD: {', '.join(map(str, odd)) or 'none'}",
            "missing_themes": f"MISSING: {'; '.join(_other_themes(texts[0], theme)) or 'none'}",
            "refine": f"ODD: {', '.join(map(str, odd[:2])) or 'none'}",
            "summary": f"SUMMARY: Texts about the {theme}.",
            "topic_label": f"LABEL: The {theme}",
        }
        return Completion(replies[question.context["task"]], usage, "planted themes, version 1")


def consult_planted(card: str, job: Consultation[_T]) -> _T:
    """Asks the planted judge, whatever card is named; no answer is kept."""
    with tempfile.TemporaryDirectory() as folder, Panel(Path(folder) / LEDGER) as panel:
        return panel.consult(card, job, JudgeCard(client=PLANTED_JUDGE))


def _topics(context: Mapping[str, Any]) -> str:
    """Writes a document's main theme as its topic, and assigns it; no two topics are the same."""
    if context["task"] == "topic_merge":
        return "SAME: none"
    words: list[str] = context["text"].split()
    theme, odd = _main_theme(words)
    if context["task"] == "topic_write":
        return json.dumps({"topics": [{"name": theme, "description": f"Texts about the {theme}."}]})
    first = next(word for number, word in enumerate(words, start=1) if number not in odd)
    themes = [topic.partition(":")[0] for topic in context["topics"]]
    if theme not in themes:
        return "ASSIGNED: none"
    return json.dumps({"assigned": [{"topic": themes.index(theme) + 1, "quote": first}]})


def _other_themes(text: str, theme: str) -> list[str]:
    """Returns the themes but one of which a quarter of a text's words are."""
    return [other for other in THEMES if other != theme and _share(text, other) >= 0.25]


def _share(text: str, theme: str) -> float:
    words = text.split()
    return sum(word in THEMES.get(theme, "").split() for word in words) / max(1, len(words))


def _main_theme(items: Sequence[str]) -> tuple[str, list[int]]:
    """Returns the commonest theme and the numbers, from 1, of the items of none or another."""
    of = [next((t for t, words in THEMES.items() if i in words.split()), "") for i in items]
    theme = Counter(of).most_common(1)[0][0]
    return theme, [number for number, one in enumerate(of, start=1) if one != theme]
