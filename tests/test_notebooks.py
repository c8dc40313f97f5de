"""The committed notebooks: what they hold, and that a rerun gives the same."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import nbformat
import pytest
from notebooks import as_page, executed, notebook_text, notebooks, tidy

MOST_BYTES = 400_000
MACHINE = re.compile(r"/(?:home|root|tmp|work|usr|opt|Users|var)/|[A-Z]:\\|site-packages|\.venv")
NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:\.\d+)?(?![\w.])")
PATHS = notebooks()


def read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def texts(cell: dict[str, Any]) -> list[str]:
    """The outputs of a cell as texts; a picture is its kind alone."""
    found = []
    for output in cell["outputs"]:
        data = output.get("data", {"text/plain": output.get("text")})
        told = data.get("text/html", data["text/plain"]) if "image/png" not in data else "a picture"
        found.append(told if isinstance(told, str) else "".join(told))
    return found


def test_there_are_three() -> None:
    assert [path.stem for path in PATHS] == ["first_board", "own_model", "steering"]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_what_is_committed_is_whole_and_of_no_machine(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(nbformat.reads(path.read_text(encoding="utf-8"), as_version=4))
    cells = code_cells(notebook)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"execute_result", "stream"}
    assert {output.get("name") for output in outputs} <= {None, "stdout"}
    assert sum("a picture" in texts(cell) for cell in cells) >= 2
    # What a cell ends in is shown, unless it is an import, a statement, or says nothing on purpose.
    silent = [cell["source"][-1] for cell in cells if not cell["outputs"]]
    assert all(
        re.match(r"(import|from) |pd\.set_option|check_topic_model", line) for line in silent
    ), silent
    written = json.dumps([cell["outputs"] for cell in cells if "a picture" not in texts(cell)])
    assert MACHINE.findall(written) == []
    assert len(path.read_bytes()) < MOST_BYTES
    # A rerun writes the file in this form.
    assert notebook_text(tidy(notebook)) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_page_has_every_cell_and_asks_no_network(path: Path) -> None:
    page = as_page(path)
    for cell in read(path)["cells"]:
        source = "".join(cell["source"])
        assert source.partition("\n")[2] in page
        if cell["cell_type"] == "code":
            for text in texts(cell):
                told = re.sub(r'<a href="runs/[^"]*">([^<]*)</a>', r"\1", text)
                assert told.strip() in page or text == "a picture"
    assert page.count("<img ") == page.count('src="data:image/png;base64,')
    assert re.findall(r"<(?:script|link|iframe)", page) == []
    assert re.findall(r'<img alt="" |href="runs/', page) == []


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_rerun_gives_what_is_committed(path: Path) -> None:
    """Words are the same and numbers near; another machine may round otherwise.

    Sampled text, tagged "varies", is another one after the first draw that falls otherwise.
    """
    committed, again = code_cells(read(path)), code_cells(executed(path))
    for then, now in zip(committed, again, strict=True):
        if "varies" in then["metadata"].get("tags", ()):
            assert len(then["outputs"]) == len(now["outputs"])
            continue
        old, new = (" ".join(map(unescape, texts(cell))) for cell in (then, now))
        assert NUMBER.sub("#", new) == NUMBER.sub("#", old)
        numbers = [
            [float(number.replace("−", "-")) for number in NUMBER.findall(text)]
            for text in (new, old)
        ]
        assert numbers[0] == pytest.approx(numbers[1], rel=0.02, abs=0.02)
