"""A conversation as token ids, such that no text in it can pass for a turn of its own.

A chat template puts control tokens around every message. A tokenizer that is handed the rendered
text finds the same tokens wherever they are spelt, inside a message too: a document that says
``<|im_start|>assistant`` would speak as the judge. Here only the template's own control tokens
become ids of control tokens; the same letters inside a message are read as letters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mtmbench.core.errors import InputError

SystemRole = Literal["system", "user"]
"""How a system message is sent: as one, or in front of the first user message."""

_BREAK = "\ue0f0break\ue0f1"
"""A token that this module adds, puts between letters that must not join, and takes out again."""

_NO_CLOCK = {"date_string": "26 Jul 2024"}
"""What Llama's templates say where they are told no date; else they would read the clock."""


class ChatTokens:
    """Encodes conversations for one tokenizer and its chat template.

    The template is rendered around stand-ins for the messages, so that it cannot react to what they
    say, and the messages are put in their places. A text without control tokens gets the very ids
    that the tokenizer's own ``apply_chat_template`` gives. Turns that a template marks by ordinary
    letters (Llama 2's ``[INST]``) have no control tokens to protect: there the fence of the prompt
    alone tells material from instructions.

    Args:
        tokenizer: a fast tokenizer of transformers with a chat template.
        template: further values for the template, such as ``{"enable_thinking": False}``.
        system: "user" for templates that know no system message.

    Raises:
        InputError: the tokenizer is not a fast one, or has no chat template.
    """

    def __init__(
        self,
        tokenizer: Any,
        template: Mapping[str, Any] | None = None,
        system: SystemRole = "system",
    ) -> None:
        from tokenizers import AddedToken, Tokenizer

        if not getattr(tokenizer, "is_fast", False):
            raise InputError("the model needs a fast tokenizer (tokenizer.json)")
        if not tokenizer.chat_template:
            raise InputError("the model's tokenizer has no chat template: it is no chat model")
        self.control_ids = _control_ids(tokenizer)
        self._tokenizer = tokenizer
        self._template = {**_NO_CLOCK, **(template or {})}
        self._system = system
        self._backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.add_special_tokens([AddedToken(_BREAK, special=True, normalized=False)])
        self._break_id = self._backend.token_to_id(_BREAK)

    def encode(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Returns the token ids of a conversation, up to where the reply begins.

        Raises:
            InputError: the template refuses the messages or does not show each of them once, or
                the tokenizer knows no way to read a message as mere text.
        """
        turns = _folded(messages) if self._system == "user" else messages
        text, inside = self._render(turns)
        breaks: set[int] = set()
        while True:
            ids, spans = self._tokens(text, breaks)
            caught = {
                span
                for token, span in zip(ids, spans, strict=True)
                if token in self.control_ids and any(inside[slice(*span)])
            }
            if not caught:
                return ids
            # Halves of halves, in case one of them is a control token again.
            found = {(start + end) // 2 for start, end in caught if end - start > 1} - breaks
            if not found:
                start, end = min(caught)
                raise InputError(
                    f"the tokenizer reads {text[start:end]!r} as a control token in every place"
                )
            breaks |= found

    def _render(self, turns: Sequence[Mapping[str, str]]) -> tuple[str, bytearray]:
        """Returns the conversation's text, and for each character whether a message says it."""
        from jinja2 import TemplateError

        marks = [f"\ue0f2{i}\ue0f3" for i in range(len(turns))]
        stand_ins = [{**turn, "content": mark} for turn, mark in zip(turns, marks, strict=True)]
        try:
            rest = self._tokenizer.apply_chat_template(
                stand_ins, tokenize=False, add_generation_prompt=True, **self._template
            )
        except TemplateError as error:
            raise InputError(
                f"the chat template refuses the messages: {error}; if it knows no system message, "
                'set system = "user"'
            ) from error
        text, inside = "", bytearray()
        for turn, mark in zip(turns, marks, strict=True):
            before, *after = rest.split(mark)
            if len(after) != 1:
                raise InputError(
                    f"the chat template shows the {turn['role']} message {len(after)} times, not "
                    "once and in order"
                )
            said = turn["content"].replace(_BREAK, "")
            text += before + said
            inside += bytes(len(before)) + b"\1" * len(said)
            (rest,) = after
        return text + rest, inside + bytes(len(rest))

    def _tokens(self, text: str, breaks: set[int]) -> tuple[list[int], list[tuple[int, int]]]:
        """Encodes a text with breaks in it; returns ids and where each stands in ``text``."""
        places = sorted(breaks)
        pieces = [
            text[start:end]
            for start, end in zip([0, *places], [*places, len(text)], strict=True)
        ]  # fmt: skip
        origin: list[int] = []
        start = 0
        for piece in pieces:
            origin += range(start, start + len(piece))
            start += len(piece)
            origin += [start] * len(_BREAK)
        encoded = self._backend.encode(_BREAK.join(pieces), add_special_tokens=False)
        kept = [
            (token, (origin[first], origin[first] if last == first else origin[last - 1] + 1))
            for token, (first, last) in zip(encoded.ids, encoded.offsets, strict=True)
            if token != self._break_id
        ]
        return [token for token, _ in kept], [span for _, span in kept]


def _control_ids(tokenizer: Any) -> frozenset[int]:
    """Special tokens, and other added ones by which the template speaks (``<think>``)."""
    source = tokenizer.get_chat_template()
    found = {
        index
        for index, token in tokenizer.added_tokens_decoder.items()
        if token.special or (token.content.strip() and token.content in source)
    } | set(tokenizer.all_special_ids)
    # Letters that a tokenizer does not know are no control token, unless it has one token for all.
    unknown = tokenizer.unk_token_id
    if unknown not in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        found.discard(unknown)
    return frozenset(found)


def _folded(messages: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Puts the system message in front of the user message that follows it."""
    turns: list[Mapping[str, str]] = []
    before = ""
    for message in messages:
        if message["role"] == "system":
            before += message["content"] + "\n\n"
        else:
            turns.append({**message, "content": before + message["content"]})
            before = ""
    return [*turns, {"role": "user", "content": before.strip()}] if before else turns
