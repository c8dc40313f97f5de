"""The parts of a board's page, read as the page reads them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any


def unpacked(text: str) -> Any:
    """What a part hands over, read as JavaScript reads a string in single quotes."""
    found = re.fullmatch(r"mtmPart\('[a-z]+-\d+\.js','((?:[^'\\]|\\.)*)'\);\n", text)
    assert found is not None
    return json.loads(re.sub(r"\\(.)", r"\1", found[1]))


def parts_of_run(folder: Path) -> dict[str, list[tuple[dict[str, Any], Any]]]:
    """The parts that a run left in its folder, by kind: what each is about, what it holds."""
    found: dict[str, list[tuple[dict[str, Any], Any]]] = {}
    for part in json.loads((folder / "site" / "run.json").read_text("utf-8")):
        content = unpacked((folder / part["file"]).read_text("utf-8"))
        found.setdefault(part["kind"], []).append((part, content))
    return found
