"""A served board in a browser: it comes by itself, and tells what came since without moving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.serving import in_thread

from mtmbench.core.store import RunInfo, RunStore, stream_run
from mtmbench.voting.local import LocalServer
from mtmbench.voting.viewer import LiveBoard, board_pages

READY = "document.documentElement.dataset.ready === '1'"
TOLD = "document.querySelector('body > aside')?.textContent"
PLACE = "JSON.stringify([location.hash, scrollY, document.activeElement.outerHTML])"


@pytest.mark.slow
def test_a_page_becomes_the_board_and_tells_of_new_records(
    browser: Any, run: Path, tmp_path: Path
) -> None:
    records = list(stream_run(run))
    (tmp_path / "suite.toml").write_text((run / "suite.toml").read_text())
    with in_thread(LocalServer(board_pages(LiveBoard(tmp_path)))) as server:
        browser.open(f"{server.url}#ratings")
        assert "holds no records yet" in browser.evaluate("document.body.innerText")
        with RunStore(tmp_path) as store:
            store.add([(record, RunInfo()) for record in records[:-1]])
            browser.wait(READY)
            assert browser.evaluate("document.querySelector('#ratings.on') !== null")
            # Chromium logs the status of the page that said why there was no board.
            browser.errors.clear()
            browser.send(
                "Emulation.setDeviceMetricsOverride", width=390, height=400, deviceScaleFactor=1,
                mobile=True,
            )  # fmt: skip
            browser.evaluate(
                "document.querySelector('#ratings button').focus(); scrollTo(0, 120);"
                "new Promise(requestAnimationFrame)"
            )
            place = browser.evaluate(PLACE)
            # Nothing is told while nothing comes.
            browser.evaluate("new Promise((done) => setTimeout(done, 4000))")
            assert browser.evaluate(TOLD) is None
            store.add([(records[-1], RunInfo())])
            browser.wait(f"{TOLD} === '1 new record Reload'")
            assert browser.evaluate(PLACE) == place
            assert browser.evaluate("document.getElementById('say').textContent") == "1 new record"
            inside = "document.querySelector('body > aside').getBoundingClientRect()"
            assert browser.evaluate(f"{inside}.bottom <= innerHeight && {inside}.width <= 390")
            # It is the last thing that Tab comes to.
            browser.evaluate("[...document.querySelectorAll('footer a')].pop().focus()")
            browser.press("Tab")
            assert browser.evaluate("document.activeElement.textContent") == "Reload"
            browser.evaluate("globalThis.before = true")
            browser.press("Enter")
            browser.wait(f"globalThis.before === undefined && {READY}")
            assert browser.evaluate("location.hash") == "#ratings"
            assert browser.evaluate(TOLD) is None
    assert browser.errors == []
    browser.wait(f"{TOLD}?.startsWith('The server has ended')")


@pytest.mark.slow
def test_a_page_whose_parts_are_gone_says_so(browser: Any, run: Path, tmp_path: Path) -> None:
    fits = [record for record in stream_run(run) if record.kind == "fit"]
    (tmp_path / "suite.toml").write_text((run / "suite.toml").read_text())
    board = LiveBoard(tmp_path)
    with RunStore(tmp_path) as store, in_thread(LocalServer(board_pages(board))) as server:
        store.add([(fits[0], RunInfo())])
        browser.open(server.url)
        browser.wait(READY)
        for fit in fits[1:3]:
            store.add([(fit, RunInfo())])
            assert board.file("board.csv")
        browser.evaluate("location.hash = '#topics'")
        browser.wait(f"{TOLD}?.endsWith('Load it anew. Reload')")
        browser.evaluate("[...document.querySelectorAll('aside button')].pop().click()")
        browser.wait(
            f"{TOLD} === undefined && document.querySelector('#topics.on .app *') !== null"
        )
