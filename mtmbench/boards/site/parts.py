"""Parts of a site: data in neighbouring files, which a page loads by a script tag.

A page that was opened from a file may fetch nothing, but scripts that its own script adds do load.
A part is JSON in a string, so that it is data and nothing else, whatever texts it holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mtmbench.core.errors import InputError
from mtmbench.core.files import read_json
from mtmbench.core.serialise import plain
from mtmbench.core.tables import write_files

FOLDER = "site"
"""Where parts lie, beside the page."""

RUN_LIST = "run.json"
"""Names, in that folder, the parts that only a run can make."""

_OF_RUN = ("documents", "features", "contexts", "seen", "replies", "texts", "times")
_NAME = re.compile(rf"(topics|verdicts|values|{'|'.join(_OF_RUN)})-\d+\.js")
_LISTED = re.compile(rf"{FOLDER}/({'|'.join(_OF_RUN)})-\d+\.js")


@dataclass(frozen=True)
class Part:
    """One file.

    Attributes:
        kind: what it holds; the first half of its name.
        of: what of the board it is about, for the page to find it by.
        content: JSON values.
        weighs: parts of a lower number are kept first where there is room for some alone.
    """

    kind: str
    of: Mapping[str, object]
    content: object
    weighs: int = 0


@dataclass
class PartFiles:
    """Parts as files.

    Attributes:
        texts: the files' contents by name, the folder's name in front.
        listed: kind, file and what it is about, of each, as the page lists them.
        left_out: kind and what it is about, of each for which there was no room.
        size: bytes of all, those left out among them.
    """

    texts: dict[str, str] = field(default_factory=dict)
    listed: list[dict[str, object]] = field(default_factory=list)
    left_out: list[dict[str, object]] = field(default_factory=list)
    size: int = 0


def part_files(parts: Sequence[Part], room: int | None = None) -> PartFiles:
    """Returns parts as files, numbered by kind in the order given.

    Args:
        parts: what is to be written.
        room: bytes that all files may take together; None for any number. A part for which there is
            no room left is left out.
    """
    files = PartFiles()
    numbers: dict[str, int] = {}
    texts: dict[int, tuple[str, str]] = {}
    for i, part in enumerate(parts):
        number = numbers[part.kind] = numbers.get(part.kind, -1) + 1
        name = f"{part.kind}-{number}.js"
        texts[i] = name, part_text(name, part.content)
    kept = set()
    for i in sorted(texts, key=lambda i: (parts[i].weighs, i)):
        size = len(texts[i][1].encode("utf-8"))
        files.size += size
        if room is None or size <= room:
            kept.add(i)
            room = None if room is None else room - size
    for i, part in enumerate(parts):
        if i in kept:
            name, text = texts[i]
            files.texts[f"{FOLDER}/{name}"] = text
            files.listed.append({"kind": part.kind, "file": f"{FOLDER}/{name}", **part.of})
        else:
            files.left_out.append({"kind": part.kind, **part.of})
    return files


def part_text(name: str, content: object) -> str:
    r"""Returns a script that hands over JSON by a name; what is in it can only be data.

    In a string in single quotes JSON needs ``\`` and ``'`` escaped, and line ends, of which JSON
    itself has none but U+2028 and U+2029.
    """
    text = script_json(content).replace("\\", "\\\\").replace("'", "\\'")
    return f"mtmPart('{name}','{text}');\n"


def script_json(content: object) -> str:
    """Returns JSON that may stand in a page: no ``<``, ``>`` or ``&``, no U+2028 or U+2029."""
    text = json.dumps(plain(content), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    # A lone surrogate has no UTF-8.
    return re.sub(r"[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def write_run_parts(folder: Path, parts: Sequence[Part]) -> None:
    """Writes a run's parts into its folder, and the list by which its page finds them."""
    files = part_files(parts)
    (folder / FOLDER).mkdir(exist_ok=True)
    drop_old_parts(folder, files.texts, _OF_RUN)
    listed = {f"{FOLDER}/{RUN_LIST}": script_json(files.listed) + "\n"}
    write_files(folder, {**files.texts, **listed})


def run_parts(folder: Path) -> list[dict[str, object]] | None:
    """Returns the parts that :func:`write_run_parts` left in a folder; None where it left none.

    Raises:
        InputError: the list is damaged, or names what is no part of a run or no regular file.
    """
    path = folder / FOLDER / RUN_LIST
    if not path.is_file():
        return None
    listed = read_json(path, " is not a list of parts")
    if not isinstance(listed, list):
        raise InputError(f"{path} is not a list of parts; mtmbench board writes it")
    for part in listed:
        file = part.get("file") if isinstance(part, dict) else None
        if not isinstance(file, str) or not _LISTED.fullmatch(file):
            raise InputError(f"{path} names {file!r}, which is no part; mtmbench board writes it")
        if (folder / file).is_symlink() or not (folder / file).is_file():
            raise InputError(
                f"{path} names {file!r}, which is no file there; without {path.name} the board has "
                "no parts of its run"
            )
    return listed


def drop_old_parts(
    folder: Path, written: Iterable[str], kinds: Sequence[str] = ("topics", "verdicts", "values")
) -> None:
    """Removes the parts of some kinds, as they were before, that are not among those written."""
    new = set(written)
    for path in sorted((folder / FOLDER).glob("*.js")):
        found = _NAME.fullmatch(path.name)
        if found and found[1] in kinds and f"{FOLDER}/{path.name}" not in new:
            path.unlink()
