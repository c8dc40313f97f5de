"""Executes every example of CONTRIBUTING.md, README.md and the pages of docs as a reader would.

A block under a line with a file's name is saved under that name; the lines of ``console`` blocks
are run; a ``python`` block without a name is run as a script. Each section has its own folder.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.pages import PAGES, ROOT, sections

pytestmark = pytest.mark.slow

# Commands of the environment itself; CI runs each of them.
ENVIRONMENT_COMMANDS = (
    "make ", "git clone", "cd ", "pip install", "python -m pip", "source ", "export ",
)  # fmt: skip


SECTIONS = {
    f"{page}: {title}": blocks
    for page in PAGES
    for title, blocks in sections(page).items()
    if any(block.file or block.language in ("python", "console") for block in blocks)
}


def run(command: list[str], folder: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("section", SECTIONS)
def test_examples_run_as_printed(section: str, tmp_path: Path) -> None:
    blocks = SECTIONS[section]
    for block in blocks:
        if block.file is not None:
            path = tmp_path / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.code, encoding="utf-8")
    for block in blocks:
        if block.language == "console":
            for line in block.code.splitlines():
                if line.startswith("$ "):
                    run(["bash", "-c", line[2:]], tmp_path)
        elif block.language == "python" and block.file is None:
            run([sys.executable, "-c", block.code], tmp_path)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_named_file_is_used(section: str) -> None:
    blocks = SECTIONS[section]
    names = [block.file for block in blocks if block.file is not None]
    assert len(set(names)) == len(names)
    everything = "".join(block.code for block in blocks)
    assert [name for name in names if Path(name).stem not in everything] == []


def test_the_four_additions_are_explained_each_within_a_page() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for kind in ("model", "judge", "metric", "corpus"):
        assert f"CONTRIBUTING.md: Add a {kind}" in SECTIONS
        section = text.split(f"## Add a {kind}\n")[1].split("\n## ")[0]
        assert len(section.splitlines()) <= 90


def test_the_readme_opens_with_the_two_commands() -> None:
    shell = [block for blocks in sections("README.md").values() for block in blocks]
    first = shell[0]
    assert first.language == "sh"
    commands = [line.split("#")[0].strip() for line in first.code.splitlines() if line.strip()]
    assert commands == ["make quick", "make test"]


def test_shell_blocks_hold_only_commands_that_exist() -> None:
    """Unexecuted blocks name commands of the Makefile or of the command line, nothing invented."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    for page in PAGES:
        for blocks in sections(page).values():
            for block in (block for block in blocks if block.language == "sh"):
                for line in block.code.splitlines():
                    command = line.split("#")[0].split()
                    if command and command[0] == "make":
                        named = {word for word in command[1:] if "=" not in word}
                        assert named <= targets, line
                    elif command:
                        assert line.startswith(("mtmbench ", *ENVIRONMENT_COMMANDS)), line
