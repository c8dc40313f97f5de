"""Judges for the tests of shown topics, loaded with ``--plugin``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mtmbench as mb


@mb.register_judge("writer")
class Writer(mb.JudgeClient):
    """Finds the second item odd; summarises by the first, unless that is a word it will not say."""

    name = "writer"
    is_llm = True
    asked = 0

    def __init__(self, mute: str = "", fails: bool = False) -> None:
        self.mute = mute
        self.fails = fails

    async def answer(
        self, question: mb.Question, params: Mapping[str, Any], replicate: int
    ) -> mb.Completion:
        type(self).asked += 1
        if self.fails:
            raise OSError("the line is dead")
        first = question.context["items"][0]
        if question.context["task"] == "refine":
            return mb.Completion("ODD: 2", {"input": 0, "output": 1}, "writer-1")
        said = "I would rather not." if first == self.mute else f"SUMMARY: About {first}."
        return mb.Completion(said, {"input": 0, "output": 1}, "writer-1")


@mb.register_judge("topic-reader")
class Reader(mb.JudgeClient):
    """Prefers A; notes what it is shown."""

    name = "topic-reader"
    order_free = True
    seen: set[str] = set()  # noqa: RUF012

    async def answer(
        self, question: mb.Question, params: Mapping[str, Any], replicate: int
    ) -> mb.Completion:
        for option in question.options:
            self.seen.update(topic.description for topic in option.topics)
        return mb.Completion("VERDICT: A")


@mb.register_judge("chat-topic-reader")
class ChatReader(Reader):
    """The same as a language model, whose answers lie in the ledger."""

    name = "chat-topic-reader"
    is_llm = True
    order_free = False
