"""A plugin for the tests of labels: a judge that reads the passages, and ones that fail at it.

It reads nothing but the chat messages. It labels by the word that is marked most often, names the
passages that hold a word of the label, and sorts labels by the words in them.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mtmbench as mb
from mtmbench.judges.base import Completion, JudgeClient, Question

BLOCK = re.compile(
    r"\[(?P<code>[0-9a-f]{16}) (?P<what>[a-z]+) begins\]\n(?P<text>.*?)\n"
    r"\[(?P=code) (?P=what) ends\]",
    re.DOTALL,
)
LINE = re.compile(r"^([0-9]+)\. (.*)$", re.MULTILINE)
CLASS_OF = {"comma": "punctuation", "the": "stop words", "noun": "grammar"}


@mb.register_judge("reader")
class Reader(JudgeClient):
    """See the module; ``log`` names a file that gets a line a question asked.

    Args:
        log: where to note each question before it is answered.
        kill_after: after so many questions in the log, the process is killed at the next.
        labels: label by feature, instead of one that is read off.
    """

    name = "reader"
    is_llm = True

    def __init__(
        self, log: str | None = None, kill_after: int | None = None, labels: Any = None
    ) -> None:
        self.log = Path(log) if log else None
        self.kill_after = kill_after
        self.labels = {str(feature): label for feature, label in (labels or {}).items()}
        self.questions: list[Question] = []
        self.closed = 0

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        assert question.kind == "label"
        assert not question.options
        user = question.messages[1]["content"]
        if self.log is not None:
            asked = self.log.read_text().splitlines() if self.log.exists() else []
            if self.kill_after is not None and len(asked) >= self.kill_after:
                os.kill(os.getpid(), signal.SIGKILL)
            with self.log.open("a") as file:
                file.write(f"{question.context['task']} {question.context.get('feature')}\n")
        self.questions.append(question)
        blocks = {found["what"]: found["text"] for found in BLOCK.finditer(user)}
        return Completion(self.reply(question, user, blocks), {"input": 7}, "reader-1")

    def reply(self, question: Question, user: str, blocks: Mapping[str, str]) -> str:
        if "firing" in blocks:
            told = self.labels.get(str(question.context["feature"]))
            return f"They share a word.\n\nLABEL: {told or self.most_marked(user, blocks)}"
        if "passages" in blocks:
            words = set(re.findall(r"\w+", blocks["description"]))
            named = [
                number
                for number, line in LINE.findall(blocks["passages"])
                if words & set(re.findall(r"\w+", line))
            ]
            return f"ACTIVE: {', '.join(named) or 'none'}"
        labels = LINE.findall(blocks["descriptions"])
        return "\n".join(f"{n}: {CLASS_OF.get(label.split()[0], 'none')}" for n, label in labels)

    def most_marked(self, user: str, blocks: Mapping[str, str]) -> str:
        between = re.search(r"stands between (\S+) and (\S+), which", user)
        assert between is not None
        opening, closing = (re.escape(mark) for mark in between.groups())
        marked = re.findall(f"{opening}(.*?){closing}", blocks["firing"])
        assert len(marked) == len(LINE.findall(blocks["firing"]))
        return Counter(marked).most_common(1)[0][0]

    async def close(self) -> None:
        self.closed += 1


@mb.register_judge("refuser")
class Refuser(Reader):
    """Refuses everything."""

    name = "refuser"

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        self.questions.append(question)
        return Completion("LABEL: no, I will not", refused=True)


@mb.register_judge("babbler")
class Babbler(Reader):
    """Says a lot, nothing of it in the right form."""

    name = "babbler"

    def reply(self, question: Question, user: str, blocks: Mapping[str, str]) -> str:
        return "The LABEL: might be hockey, or LABEL: golf.\nACTIVE: perhaps 1\n1: maybe grammar"
