"""A judge that answers from a file: what another judge, or people, have said before.

The file is JSON lines, one answer a line. A line says which question it answers by ``fields``, any
of the question's own (:func:`question_fields`), or by ``messages``, the hash of the chat messages
(:func:`messages_hash`); a line that names ``replicate`` answers that one alone.

.. code-block:: json

    {"fields": {"kind": "fit", "topic": "bills/3", "document": 0}, "text": "FIT: 4"}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from mtmbench.core.errors import InputError
from mtmbench.core.files import read_json_lines
from mtmbench.core.serialise import canonical_json, content_hash
from mtmbench.judges.base import Completion, JudgeClient, Question

_LINE_KEYS = {
    "fields",
    "messages",
    "replicate",
    "text",
    "refused",
    "cut",
    "usage",
    "model_revision",
}


class ReplayJudge(JudgeClient):
    """Answers every question with the line of a file that is about it.

    It counts as a language model: whose answers the file holds is for its card to say. Usage is
    what the line says, and is not paid again.

    Args:
        path: the file, ``.jsonl`` or ``.jsonl.gz``; read at the first question.
        where: fields that a line must have to count, with their values, for a file that holds the
            answers of several judges; lines need not be told by them.
    """

    name: ClassVar[str] = "replay"
    version: ClassVar[int] = 1
    is_llm: ClassVar[bool] = True
    free: ClassVar[bool] = True

    def __init__(self, path: str, where: Mapping[str, object] | None = None) -> None:
        self.path = Path(path)
        self.where = dict(where or {})
        self._answers: dict[frozenset[str], dict[str, Completion]] | None = None

    async def answer(
        self,
        question: Question,
        params: Mapping[str, object],  # noqa: ARG002
        replicate: int,
    ) -> Completion:
        """Returns the stored answer.

        Raises:
            InputError: no line is about the question, or two different ones are.
        """
        asked = {
            **question_fields(question),
            "replicate": replicate,
            "messages": messages_hash(question),
        }
        found = []
        for names, answers in self._read().items():
            if names <= set(asked):
                answer = answers.get(canonical_json({name: asked[name] for name in names}))
                if answer is not None:
                    found.append(answer)
        shown = canonical_json(question_fields(question))
        if not found:
            raise InputError(f"{self.path} has no answer to the question {shown:.400}")
        if len(found) > 1:
            raise InputError(f"{self.path} has {len(found)} answers to the question {shown:.400}")
        return found[0]

    def _read(self) -> dict[frozenset[str], dict[str, Completion]]:
        if self._answers is None:
            self._answers = {}
            for number, line in enumerate(read_json_lines(self.path), start=1):
                self._add(line, f"{self.path} line {number}")
        return self._answers

    def _add(self, line: Mapping[str, Any], where: str) -> None:
        assert self._answers is not None
        unknown = set(line) - _LINE_KEYS
        if unknown or not isinstance(line.get("text"), str):
            wrong = f"the key {min(unknown)!r}" if unknown else "no text"
            raise InputError(f"{where} has {wrong}; a line has {', '.join(sorted(_LINE_KEYS))}")
        fields = dict(line.get("fields", {}))
        if any(fields.get(name) != value for name, value in self.where.items()):
            return
        told = {name: value for name, value in fields.items() if name not in self.where}
        told |= {name: line[name] for name in ("messages", "replicate") if name in line}
        if not set(told) - {"replicate"}:
            raise InputError(f"{where} says of no question that it answers it")
        answers = self._answers.setdefault(frozenset(told), {})
        answer = Completion(
            line["text"],
            {kind: int(n) for kind, n in line.get("usage", {}).items()},
            str(line.get("model_revision", "")),
            bool(line.get("refused", False)),
            cut=bool(line.get("cut", False)),
        )
        if answers.setdefault(canonical_json(told), answer) != answer:
            raise InputError(f"{where} answers a question that an earlier line answers otherwise")


def question_fields(question: Question) -> dict[str, object]:
    """Returns all of a question that tells it from others, as JSON values.

    That is its kind, its context, and its ``options``: what each shows, in order.
    """
    shown = [[topic.description for topic in option.topics] for option in question.options]
    return {"kind": question.kind, **question.context, "options": shown}


def messages_hash(question: Question) -> str:
    """Returns the hash of a question's chat messages, by which a line may name it."""
    return content_hash("messages", [dict(message) for message in question.messages])
