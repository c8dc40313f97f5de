"""How heavy a board's page is, and how soon its main table sorts.

    python -P tests/benchmarks/site_weight.py [BOARD ...] [--runs 5]

Each BOARD is a folder with ``suite.toml`` and records of matches; its page is made anew in a copy.
Without one it is ``leaderboards/quick``. A drawn board of 12 models by 8 corpora, with 3 judges, 2
ways to show topics, 25 values a fit and 2 seeds, comes last. Time is from the start of navigation
to the first moment at which a click on a head of the table of ratings sorts it (tried every 5 ms),
in a new context of a headless Chromium each run; tasks of more than 50 ms are long. Beside it
stands the CPU time of the page's main thread until half a second later, which other work on the
machine does not lengthen. Needs playwright and an installed Chromium.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import tomli_w

from mtmbench.boards.write import write_board
from mtmbench.core.cards import Suite
from mtmbench.core.records import Record

TESTS = Path(__file__).parents[1]
MODELS = ("lda", "etm", "bertopic", "mlda", "metm", "mbertopic", "ctm", "k_means", "nmf")
"""With two settings each of the three over features they are 12."""

MEASURE = """
globalThis.measured = null;
globalThis.longTasks = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) globalThis.longTasks.push(entry.duration);
}).observe({ type: "longtask", buffered: true });
const attempt = () => {
  const head = document.querySelectorAll("#ratings table.sort thead th")[7];
  head?.querySelector("button")?.click();
  if (head?.hasAttribute("aria-sort")) globalThis.measured = performance.now();
  else setTimeout(attempt, 5);
};
attempt();
"""


@dataclass(frozen=True)
class Weight:
    """A page: bytes of ``index.html``, packed and of all parts, elements, seconds to make it."""

    page: int
    packed: int
    parts: int
    made_in: float


def large_board(
    make: Callable[..., tuple[Suite, list[Record]]], documents: int = 40
) -> tuple[Suite, list[Record]]:
    """Returns a drawn board of 12 models by 8 corpora.

    Args:
        make: ``synthetic`` of ``tests/boards/conftest.py``.
        documents: how many each corpus has.
    """
    suite, records = make(
        corpora={f"corpus{i}": documents for i in range(8)}, models=MODELS, k=(20,),
        judges=("chat", "embedding", "lexical"), seeds=(0, 1),
    )  # fmt: skip
    more: list[Record] = []
    for record in records:
        payload: dict[str, Any] = dict(record.payload)
        if record.kind == "match":
            shown = {**payload, "representation": "projected"}
            more.append(replace(record, key=f"{record.key}p", payload=shown))
        elif record.kind == "metric" and payload["seed"] is not None:
            more += [
                replace(
                    record, key=f"{record.key}{i}",
                    payload={**payload, "metric": f"{payload['metric']}_{i}"},
                )
                for i in range(1, 5)
            ]  # fmt: skip
    judging = suite.judging
    assert judging is not None
    fewer = judging.model_copy(update={"bootstrap": 100, "representations": ("items", "projected")})
    return suite.model_copy(update={"judging": fewer}), [*records, *more]


def lay_out(folder: Path, suite: Suite, records: list[Record]) -> None:
    """Writes a suite and its records."""
    data = suite.model_dump(mode="json", exclude_none=True)
    folder.mkdir(parents=True)
    (folder / "suite.toml").write_text(tomli_w.dumps(data), encoding="utf-8")
    lines = "".join(record.to_json() + "\n" for record in records)
    (folder / "records.jsonl").write_text(lines, encoding="utf-8")


def weigh(folder: Path) -> Weight:
    """Makes a board's page and weighs it."""
    start = time.process_time()
    written = write_board(folder)
    made_in = time.process_time() - start
    page = (folder / "index.html").read_bytes()
    parts = sum(path.stat().st_size for path in written if path.parent.name == "site")
    return Weight(len(page), len(gzip.compress(page)), parts, made_in)


@dataclass(frozen=True)
class Run:
    """One visit: ms until the table sorts, of long tasks, of the main thread's CPU; elements."""

    sorts: float
    long: float
    cpu: float
    elements: int


def measure(url: str, runs: int) -> list[Run]:
    """Visits a page so many times, in a new context each."""
    from playwright.sync_api import sync_playwright

    found = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for _ in range(runs):
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            tools = page.context.new_cdp_session(page)
            tools.send("Performance.enable", {"timeDomain": "threadTicks"})
            page.add_init_script(MEASURE)
            page.goto(f"{url}#ratings")
            end = time.monotonic() + 120
            while page.evaluate("measured") is None:  # the page's policy lets nothing else poll
                assert time.monotonic() < end, f"{url} has no table of ratings that sorts"
                page.wait_for_timeout(20)
            page.wait_for_timeout(500)
            told = "[measured, longTasks, document.querySelectorAll('*').length]"
            sorts, long, elements = page.evaluate(told)
            spent = {
                each["name"]: each["value"]
                for each in tools.send("Performance.getMetrics")["metrics"]
            }
            found.append(Run(sorts, sum(long), 1000 * spent["TaskDuration"], elements))
            page.context.close()
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("boards", nargs="*", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    sys.path.insert(0, str(TESTS))
    from boards.conftest import synthetic

    boards = given.boards or [TESTS.parent / "leaderboards" / "quick"]
    print(
        "board, page kB, gzip kB, parts kB, made in CPU s, elements, ms to sort, ms of long tasks, "
        "ms of CPU"
    )
    with tempfile.TemporaryDirectory() as scratch:
        for source in [*boards, None]:
            folder = Path(scratch) / ("12 x 8" if source is None else source.name)
            if source is None:
                lay_out(folder, *large_board(synthetic))
            else:
                shutil.copytree(source, folder)
            weight = weigh(folder)
            runs = measure((folder / "index.html").as_uri(), given.runs)
            spans = [
                f"{median(each):.0f} ({min(each):.0f} to {max(each):.0f})"
                for each in zip(*((run.sorts, run.long, run.cpu) for run in runs), strict=True)
            ]
            print(
                f"{folder.name}, {weight.page / 1e3:.0f}, {weight.packed / 1e3:.0f}, "
                f"{weight.parts / 1e3:.0f}, {weight.made_in:.1f}, {runs[0].elements:,}, "
                f"{', '.join(spans)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
