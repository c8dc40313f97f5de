"""Chat messages made from the files in ``judges/prompts``, with the material fenced off.

Texts and topic descriptions are other people's words. Each question gets its own code, derived
from a hash of all that is shown, and stands between marks that carry it; a document cannot know
the code, and a code that occurs in the material by chance is replaced. So a document that says
"answer A", closes a mark or writes a placeholder remains a document.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from mtmbench.core.card_files import card_folders
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.files import parse_toml
from mtmbench.core.serialise import content_hash
from mtmbench.judges.base import NO_TOPIC, Option

CUT_MARK = " […]"
"""Marks that a document goes on after what is shown."""

_MATCH_PLACEHOLDERS = frozenset({"fence", "document", "topics_a", "topics_b"})
_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")
_PARTS = re.compile(
    r"\A\+\+\+\n(?P<settings>.*?)\n\+\+\+\n\s*^# system\n(?P<system>.*?)^# user\n(?P<user>.*)\Z",
    re.DOTALL | re.MULTILINE,
)
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*(?=\s|\Z)|[。！？]|\n\s*\n")


@dataclass(frozen=True)
class Template:
    """A prompt file of any kind of question, read and checked.

    Attributes:
        name: its name.
        system: template of the system message.
        user: template of the user message.
        settings: the whole numbers that the file sets.
        hash: content hash of the whole file.
    """

    name: str
    system: str
    user: str
    settings: Mapping[str, int]
    hash: str

    def messages(self, values: Mapping[str, str]) -> tuple[Mapping[str, str], ...]:
        """Returns the system and the user message; the fence's code occurs in none of ``values``.

        Args:
            values: what stands for each placeholder but ``fence``.
        """
        return _messages(self.system, self.user, _fence(self.hash, *values.values()), values)


@dataclass(frozen=True)
class Prompt:
    """The prompt file of a match, read and checked.

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
        first, second = (_option_text(option) for option in options)
        shown = cut_at_sentence(document, self.document_characters)
        values = {"document": shown, "topics_a": first, "topics_b": second}
        fence = _fence(self.hash, shown, first, second)
        return _messages(self.system, self.user, fence, values)


def load_prompt(name: str) -> Prompt:
    """Loads the prompt of a match by name, or by the path of an ``.md`` file.

    Raises:
        UnknownNameError: there is no such prompt; the nearest name is given.
        InputError: the file is not a prompt; the message says what is missing.
    """
    found = load_template(name, _MATCH_PLACEHOLDERS, {"document_characters": 100})
    return Prompt(
        found.name, found.system, found.user, found.settings["document_characters"], found.hash
    )


def load_template(
    name: str, placeholders: Collection[str], settings: Mapping[str, int]
) -> Template:
    """Loads a prompt of any kind by name, or by the path of an ``.md`` file.

    Args:
        name: the prompt's name or path.
        placeholders: what the user part must hold, each as ``{{name}}``, and the system part may.
        settings: the settings that the file must give, and the least value of each.

    Raises:
        UnknownNameError: there is no such prompt, or it names another placeholder or setting.
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
        if placeholder not in placeholders:
            raise UnknownNameError(f"placeholder in {path}", placeholder, placeholders)
    missing = set(placeholders) - set(_PLACEHOLDER.findall(user))
    if missing:
        raise InputError(f"{path}: the user part lacks {{{{{min(missing)}}}}}")
    given = _settings(parts["settings"], settings, path)
    return Template(path.stem, system, user, given, content_hash(text))


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


def cut_at_sentence(text: str, n_characters: int) -> str:
    """Cuts a text to ``n_characters``, at the last sentence end in the second half of them.

    Where there is none the cut is at white space, and where there is none either, anywhere. A text
    that was cut ends in :data:`CUT_MARK`, which is not counted.
    """
    text = text.strip()
    if len(text) <= n_characters:
        return text
    # One character more is looked at, since a sentence may end exactly at the limit.
    window = text[: n_characters + 1]
    ends = [m.end() for m in _SENTENCE_END.finditer(window) if m.end() <= n_characters]
    if ends and ends[-1] >= n_characters / 2:
        return window[: ends[-1]].rstrip() + CUT_MARK
    spaces = [m.start() for m in re.finditer(r"\s", window)]
    cut = spaces[-1] if spaces and spaces[-1] >= n_characters / 2 else n_characters
    return window[:cut].rstrip() + CUT_MARK


def sentences(text: str) -> list[str]:
    """Returns the sentences of a text, with their punctuation; one without any is one sentence."""
    ends = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
    found = [text[begin:end].strip() for begin, end in pairwise(ends)]
    return [sentence for sentence in found if sentence]


def _option_text(option: Option) -> str:
    """Returns the topics of an option, numbered, one a line; ``(no topic)`` where there is none."""
    if not option.topics:
        return NO_TOPIC
    return "\n".join(f"{i}. {topic.description}" for i, topic in enumerate(option.topics, start=1))


def _find(name: str) -> Path:
    if name.endswith(".md"):
        return Path(name)
    available = prompt_names()
    if name not in available:
        raise UnknownNameError("prompt", name, available)
    return available[name]


def _settings(text: str, least: Mapping[str, int], path: Path) -> dict[str, int]:
    settings = parse_toml(text, f"{path}: its settings", " are not valid TOML")
    for name in sorted(set(settings) - set(least)):
        raise UnknownNameError(f"setting in {path}", name, least)
    for name, low in least.items():
        value = settings.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise InputError(f"{path}: {name} must be a whole number from {low} up, not {value!r}")
    return settings


def _messages(
    system: str, user: str, fence: str, values: Mapping[str, str]
) -> tuple[Mapping[str, str], ...]:
    known = {"fence": fence, **values}
    return (
        {"role": "system", "content": _fill(system, known)},
        {"role": "user", "content": _fill(user, known)},
    )


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
