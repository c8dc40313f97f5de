"""Chat messages made from the files in ``judges/prompts``, with the material fenced off.

Texts and topic descriptions are other people's words. Each question gets its own code, derived
from a hash of all that is shown, and stands between marks that carry it; a document cannot know
the code, and a code that occurs in the material by chance is replaced. So a document that says
"answer A", closes a mark or writes a placeholder remains a document.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtmbench.cards import card_folders
from mtmbench.errors import InputError, UnknownNameError
from mtmbench.judging.base import NO_TOPIC, Option
from mtmbench.serialise import content_hash

CUT = " […]"
"""Marks that a document goes on after what is shown."""

_PLACEHOLDERS = frozenset({"fence", "document", "topics_a", "topics_b"})
_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")
_PARTS = re.compile(
    r"\A\+\+\+\n(?P<settings>.*?)\n\+\+\+\n\s*^# system\n(?P<system>.*?)^# user\n(?P<user>.*)\Z",
    re.DOTALL | re.MULTILINE,
)
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*(?=\s|\Z)|[。！？]|\n\s*\n")


@dataclass(frozen=True)
class Prompt:
    """A prompt file, read and checked.

    Attributes:
        name: its name.
        system: template of the system message.
        user: template of the user message.
        document_characters: length to which documents are cut.
        hash: content hash of the whole file.
    """

    name: str
    system: str
    user: str
    document_characters: int
    hash: str

    def messages(self, document: str, options: Sequence[Option]) -> tuple[Mapping[str, str], ...]:
        """Returns the system and the user message for one document and two options, A first."""
        first, second = (option_text(option) for option in options)
        shown = cut_at_sentence(document, self.document_characters)
        values = {
            "fence": _fence(self.hash, shown, first, second),
            "document": shown,
            "topics_a": first,
            "topics_b": second,
        }
        return (
            {"role": "system", "content": _fill(self.system, values)},
            {"role": "user", "content": _fill(self.user, values)},
        )


def load_prompt(name: str) -> Prompt:
    """Loads a prompt by name, or by the path of an ``.md`` file.

    Raises:
        UnknownNameError: there is no such prompt; the nearest name is given.
        InputError: the file is not a prompt; the message says what is missing.
    """
    path = _find(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read prompt {path}: {error}") from error
    parts = _PARTS.match(text)
    if parts is None:
        raise InputError(f"{path}: a prompt is +++ settings +++, then '# system', then '# user'")
    system, user = parts["system"].strip(), parts["user"].strip()
    for placeholder in _PLACEHOLDER.findall(system + user):
        if placeholder not in _PLACEHOLDERS:
            raise UnknownNameError(f"placeholder in {path}", placeholder, _PLACEHOLDERS)
    missing = _PLACEHOLDERS - set(_PLACEHOLDER.findall(user))
    if missing:
        raise InputError(f"{path}: the user part lacks {{{{{min(missing)}}}}}")
    return Prompt(path.stem, system, user, _settings(parts["settings"], path), content_hash(text))


def prompt_hash(name: str) -> str:
    """Returns the content hash of a prompt file, for records."""
    return load_prompt(name).hash


def prompt_names() -> dict[str, Path]:
    """Returns every prompt by name; the working directory's comes before the installed."""
    found: dict[str, Path] = {}
    for folder in card_folders("judges"):
        for path in sorted((folder / "prompts").glob("*.md")):
            found.setdefault(path.stem, path)
    return found


def option_text(option: Option) -> str:
    """Returns the topics of an option, numbered, one a line; ``(no topic)`` where there is none."""
    if not option.topics:
        return NO_TOPIC
    return "\n".join(f"{i}. {topic.description}" for i, topic in enumerate(option.topics, start=1))


def cut_at_sentence(text: str, n_characters: int) -> str:
    """Cuts a text to ``n_characters``, at the last sentence end in the second half of them.

    Where there is none the cut is at white space, and where there is none either, anywhere. A text
    that was cut ends in :data:`CUT`, which is not counted.
    """
    text = text.strip()
    if len(text) <= n_characters:
        return text
    # One character more is looked at, since a sentence may end exactly at the limit.
    window = text[: n_characters + 1]
    ends = [m.end() for m in _SENTENCE_END.finditer(window) if m.end() <= n_characters]
    if ends and ends[-1] >= n_characters / 2:
        return window[: ends[-1]].rstrip() + CUT
    spaces = [m.start() for m in re.finditer(r"\s", window)]
    cut = spaces[-1] if spaces and spaces[-1] >= n_characters / 2 else n_characters
    return window[:cut].rstrip() + CUT


def _find(name: str) -> Path:
    if name.endswith(".md"):
        return Path(name)
    available = prompt_names()
    if name not in available:
        raise UnknownNameError("prompt", name, available)
    return available[name]


def _settings(text: str, path: Path) -> int:
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: its settings are not valid TOML: {error}") from error
    unknown = sorted(set(settings) - {"document_characters"})
    if unknown:
        raise UnknownNameError(f"setting in {path}", unknown[0], ["document_characters"])
    characters = settings.get("document_characters")
    if isinstance(characters, bool) or not isinstance(characters, int) or characters < 100:
        raise InputError(
            f"{path}: document_characters must be a whole number from 100 up, not {characters!r}"
        )
    return characters


def _fence(*material: str) -> str:
    attempt = 0
    while True:
        code = content_hash("fence", attempt, *material)[:16]
        if not any(code in text for text in material[1:]):
            return code
        attempt += 1


def _fill(template: str, values: Mapping[str, str]) -> str:
    # One pass, so that a placeholder inside the material stays text.
    return _PLACEHOLDER.sub(lambda match: values[match.group(1)], template)
