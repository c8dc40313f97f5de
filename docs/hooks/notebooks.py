"""The notebooks of ``docs/notebooks``: executed and written anew, and as pages of the site.

``make notebooks`` runs this file. A notebook is kept as a rerun leaves it: without times, paths and
what else differs from run to run. As a page it is Markdown, so that the build asks nothing of a
network and checks its links as those of other pages.
"""

from __future__ import annotations

import html
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "notebooks"
PICTURE = ROOT / "docs" / "figures" / "ratings.png"
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_WRITEFILE = re.compile(r"%%writefile (\S+)\n")
_RUN_FILE = re.compile(r'<a href="runs/[^"]*">([^<]*)</a>')
"""A link to a file of the run that a notebook played, which is not in the site."""
_LANGUAGES = {".toml": "toml", ".py": "python", ".csv": "csv"}


def notebooks() -> list[Path]:
    """Returns the notebooks by name."""
    return sorted(FOLDER.glob("*.ipynb"))


def executed(path: Path) -> dict[str, Any]:
    """Runs a notebook in an empty folder, in a kernel of this Python, and returns it.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raises.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder) / "work"
        here.mkdir()
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.getenv("PYTHONPATH")])),
            "IPYTHONDIR": folder,
            # A progress bar asks for ipywidgets, which nothing here needs.
            "PYTHONWARNINGS": "ignore:IProgress not found",
        }
        NotebookClient(
            notebook, timeout=900, kernel_name="python3", record_timing=False,
            resources={"metadata": {"path": str(here)}},
        ).execute(env=environment)  # fmt: skip
    return tidy(json.loads(nbformat.writes(notebook)))


def tidy(notebook: dict[str, Any]) -> dict[str, Any]:
    """Returns a notebook without what differs from one run to the next."""
    cells = []
    for cell in notebook["cells"]:
        kept = {name: cell[name] for name in ("cell_type", "id", "source")}
        tags = cell["metadata"].get("tags")
        kept["metadata"] = {"tags": tags} if tags else {}
        if cell["cell_type"] == "code":
            kept["execution_count"] = cell["execution_count"]
            kept["outputs"] = cell["outputs"]
        cells.append(kept)
    return {"cells": cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}


def notebook_text(notebook: Mapping[str, Any]) -> str:
    """Returns the content of a notebook's file."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def as_page(path: Path) -> str:
    """Returns a notebook as Markdown: its text, its code, and what that gave."""
    parts: list[str] = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = _text(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(_code(source))
        parts += [_output(output, source) for output in cell["outputs"]]
    return "\n\n".join(parts) + "\n"


def _code(source: str) -> str:
    written = _WRITEFILE.match(source)
    if written is None:
        return _fence(source, "python")
    name, content = written[1], source[written.end() :]
    return f"`{name}`:\n\n{_fence(content, _LANGUAGES[Path(name).suffix])}"


def _output(output: Mapping[str, Any], source: str) -> str:
    if output["output_type"] == "stream":
        return _fence(_text(output["text"]), "text")
    data = output["data"]
    if "image/png" in data:
        image = "".join(_text(data["image/png"]).split())
        width = output["metadata"].get("image/png", {}).get("width", "")
        told = html.escape(f"What {source.splitlines()[-1]} draws")
        return f'<p><img alt="{told}" width="{width}" src="data:image/png;base64,{image}"></p>'
    if "text/html" in data:
        shown = _RUN_FILE.sub(r"\1", _text(data["text/html"]))
        return f'<div class="output">\n{shown}\n</div>'
    return _fence(_text(data["text/plain"]), "text")


def _fence(text: str, language: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"


def _text(lines: str | Sequence[str]) -> str:
    return lines if isinstance(lines, str) else "".join(lines)


def draw_pictures() -> None:
    """Writes the figure that the page on Python shows, of a committed board."""
    import mtmbench as mb

    figure = mb.Board.read(ROOT / "leaderboards" / "paper-embedded").plot_ratings()
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=120, metadata={"Software": None})


def main() -> None:
    """Executes every notebook, or those that are named, and writes it; draws the picture."""
    draw_pictures()
    for path in [FOLDER / name for name in sys.argv[1:]] or notebooks():
        print(f"==> {path.name}", flush=True)
        path.write_text(notebook_text(executed(path)), encoding="utf-8")


if __name__ == "__main__":
    main()
