"""A judge: which option shows more words that the document uses."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from typing import Any

from mtmbench import Completion, JudgeClient, Option, Question


class Overlap(JudgeClient):
    """Counts the projected words of each option that occur in the document; more wins."""

    name = "overlap"
    version = 1
    order_free = True

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        text = set(re.findall(r"\w+", str(question.context["text"]).lower()))
        first, second = (len(text & self._words(option)) for option in question.options)
        verdict = "tie" if first == second else "A" if first > second else "B"
        return Completion(f"VERDICT: {verdict}", model_revision="overlap, version 1")

    def sees(self, option: Option) -> Hashable:
        return frozenset(self._words(option))

    def _words(self, option: Option) -> set[str]:
        return {word for topic in option.topics for word in topic.words}
