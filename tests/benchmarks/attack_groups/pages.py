"""Boards whose texts and names hold markup: nothing of it runs in a browser."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from support.killing import PLUGIN, lay_out

from attack_groups.child import Attack, child, command

SCRIPTS = (
    "<script>document.title='RAN'</script>",
    "<img src=x onerror=\"document.title='RAN'\">",
    '"><svg onload="document.title=\'RAN\'">',
    "</script><script>document.title='RAN'</script>",
    "javascript:document.title='RAN'",
    "{{constructor.constructor('document.title=\"RAN\"')()}}",
)


def scripts(times: int, draw: random.Random, place: Path) -> Iterator[tuple[str, Attack]]:
    """Boards whose documents, words and names hold markup, opened in a browser."""
    browser = shutil.which("chromium") or shutil.which("chrome")
    if browser is None:
        print("no Chromium here: pages are not opened")
        return

    def attack() -> Attack:
        for number in range(min(times, len(SCRIPTS))):
            folder = place / f"page-{number}"
            folder.mkdir()
            lay_out(folder, "http://127.0.0.1:1/v1", documents=4)
            script = SCRIPTS[number]
            rows = [json.loads(line) for line in (folder / "tiny.jsonl").read_text().splitlines()]
            for row in rows:
                row["text"] = f"{script} {row['text']}"
                row["id"] = f"{script}{row['id']}"
            (folder / "tiny.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            named = [f"title = {json.dumps(script)}", f"description = {json.dumps(script)}"]
            suite = (folder / "suite.toml").read_text()
            (folder / "suite.toml").write_text("\n".join(named) + suite)
            ended = child(
                command("run", "suite.toml", "--plugin", str(PLUGIN), "--out", "out",
                        "--workers", "0", "--set", 'judging.judges=["lexical"]'), folder,
            )  # fmt: skip
            fault = ended.fault()
            if fault is None:
                page = subprocess.run(
                    [browser, "--headless", "--no-sandbox", "--virtual-time-budget=3000",
                     "--dump-dom", f"file://{folder}/out/index.html"],
                    capture_output=True, text=True, check=False, timeout=120,
                ).stdout  # fmt: skip
                fault = f"{script} ran" if "<title>RAN</title>" in page or not page else None
            yield fault

    yield "scripts on a board's page", attack()
