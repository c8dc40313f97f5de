"""The site in a browser, opened from a file: it sorts, filters, explores, and runs nothing else."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from mtmbench.boards.site.parts import Part, write_run_parts
from mtmbench.boards.write import write_board
from mtmbench.core.cards import Suite
from mtmbench.core.records import Record

Make = Callable[..., tuple[Suite, list[Record]]]
ATTACKS = (
    "<script>globalThis.hacked='script'</script>",
    "<img src=x onerror=\"globalThis.hacked='img'\">",
    "</script><script>globalThis.hacked='end'</script>",
    "'\"><svg onload=\"globalThis.hacked='svg'\">",
    "<iframe srcdoc=\"<script>parent.hacked='frame'</script>\"></iframe>",
    "javascript:globalThis.hacked='url'",
    "<a href=\"javascript:globalThis.hacked='link'\">x</a>",
    "');globalThis.hacked='part';('",
    "\\');globalThis.hacked='escape';//",
    "\u2028globalThis.hacked='line'\u2029",
    "<!--<script>globalThis.hacked='comment'//-->",
    "{{ 7 * 7 }}${globalThis.hacked='template'}",
    "<style>*{display:none}</style>",
    '<base href="https://attacker.invalid/">',
    '<meta http-equiv="refresh" content="0;url=javascript:globalThis.hacked=\'meta\'">',
    "__proto__",
)
VIEWS = (
    "overview", "ratings", "metrics", "judges", "topics", "matches", "costs", "fits", "errors",
    "about",
)  # fmt: skip


def lay_out(folder: Path, suite: Suite, records: list[Record]) -> str:
    """Writes a board, and returns the address of its page."""
    folder.mkdir(parents=True, exist_ok=True)
    data = suite.model_dump(mode="json", exclude_none=True)
    (folder / "suite.toml").write_text(tomli_w.dumps(data), encoding="utf-8")
    lines = "".join(record.to_json() + "\n" for record in records)
    (folder / "records.jsonl").write_text(lines, encoding="utf-8")
    write_board(folder)
    return (folder / "index.html").as_uri()


def open_view(browser: Any, url: str, view: str = "overview") -> None:
    browser.send("Page.navigate", url="about:blank")
    browser.wait("location.href === 'about:blank'")
    browser.open(f"{url}#{view}" if view else url)
    browser.wait("document.documentElement.dataset.ready === '1'")
    if view.startswith(("topics", "matches")):
        browser.wait("document.querySelector('.view.on .explore') !== null")


def texts(browser: Any, selector: str) -> list[str]:
    told = (
        f"[...document.querySelectorAll({json.dumps(selector)})].map((x) => x.textContent.trim())"
    )
    return list(json.loads(browser.evaluate(f"JSON.stringify({told})")))


def choose(browser: Any, label: str, value: str) -> None:
    """Chooses, in the view that is seen, from the box of that label the option of that text."""
    browser.evaluate(
        f"""(() => {{
          const label = [...document.querySelectorAll('.view.on label')].find(
            (x) => x.textContent === {json.dumps(label)} && x.offsetParent);
          const box = document.getElementById(label.htmlFor);
          box.value = [...box.options].find((x) => x.textContent === {json.dumps(value)}).value;
          box.dispatchEvent(new Event('change'));
        }})()"""
    )


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, make_records: Make) -> str:
    suite, records = make_records(
        judges=("chat", "embedding"), unparsed=0.06, models=("lda", "etm", "mlda"),
        failing=[("wiki", "etm")], corpora={"lee": 12, "wiki": 10},
    )  # fmt: skip
    return lay_out(tmp_path_factory.mktemp("site"), suite, records)


@pytest.mark.slow
def test_tables_sort_and_filter_and_say_so(browser: Any, url: str) -> None:
    open_view(browser, url, "ratings")
    column = "#ratings table.sort tbody tr:not([hidden]) td:nth-child(8)"
    browser.evaluate("document.querySelectorAll('#ratings table.sort th button')[7].click()")
    elos = [float(text) for text in texts(browser, column) if text != "–"]
    assert elos == sorted(elos, reverse=True)
    assert texts(browser, column)[len(elos) :] == ["–"] * (len(texts(browser, column)) - len(elos))
    sorted_by = "document.querySelectorAll('#ratings th')[7].getAttribute('aria-sort')"
    assert browser.evaluate(sorted_by) == "descending"
    browser.evaluate("document.querySelectorAll('#ratings table.sort th button')[7].click()")
    assert browser.evaluate(sorted_by) == "ascending"
    choose(browser, "judge", "chat")
    choose(browser, "corpus", "lee")
    shown = texts(browser, "#ratings table.sort tbody tr:not([hidden]) td:first-child")
    assert shown == ["chat"] * 4
    assert texts(browser, "#ratings .count") == ["4 of 24 rows"]
    assert browser.errors == []


@pytest.mark.slow
def test_topics_stand_beside_those_that_match_and_open(browser: Any, url: str) -> None:
    open_view(browser, url, "topics")
    assert len(texts(browser, "#topics tr.topic")) in (8, 10)
    choose(browser, "model", "lda")
    browser.wait("document.querySelector('#topics thead th').textContent.startsWith('lda')")
    # Topics of equal number have the same words here.
    for row in texts(browser, "#topics tr.topic"):
        assert row.count("overlap 1.00") == 2
    browser.evaluate("document.querySelector('#topics button.open').click()")
    browser.wait("document.querySelector('#topics .about-topic') !== null")
    assert "The same topic elsewhere" in texts(browser, "#topics .about-topic")[0]
    assert browser.evaluate("document.querySelectorAll('#topics .map circle').length") > 20
    assert browser.errors == []


@pytest.mark.slow
def test_matches_show_verdicts_by_judge_and_what_disagrees(browser: Any, url: str) -> None:
    open_view(browser, url, "matches?c=lee&a=lda&j=chat")
    every = len(texts(browser, "#matches tr.match"))
    choose(browser, "only", "orders disagree")
    some = texts(browser, "#matches tr.match")
    assert 0 < len(some) < every
    assert all("orders disagree" in row for row in some)
    browser.evaluate("document.querySelector('#matches button.open').click()")
    browser.wait("document.querySelector('#matches .about-match .said') !== null")
    said = texts(browser, "#matches .about-match .said")[0]
    assert said.startswith("chat: ")
    assert said.count(" first: ") == 2
    assert "record" in said
    assert browser.errors == []


@pytest.mark.slow
def test_a_number_leads_to_its_records_by_keyboard(browser: Any, url: str) -> None:
    # An address that names a view begins there; by its own the page begins with the skip link.
    open_view(browser, url, "")
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.className") == "skip"
    for _ in range(40):
        browser.press("Tab")
        if browser.evaluate("document.activeElement.hash") == "#metrics":
            break
    browser.press("Enter")
    browser.wait("document.querySelector('#metrics').classList.contains('on')")
    assert browser.evaluate("document.activeElement.id") == "t-metrics"
    current = "document.querySelector('nav [aria-current=page]').textContent"
    assert browser.evaluate(current) == "Metrics"
    for _ in range(40):
        browser.press("Tab")
        if str(browser.evaluate("document.activeElement.hash")).startswith("#record"):
            break
    browser.press("Enter")
    browser.wait("document.querySelectorAll('dialog[open] tbody tr').length > 0")
    browser.press("Escape")
    browser.wait("document.querySelector('dialog[open]') === null")
    assert browser.evaluate("document.querySelector('#metrics').classList.contains('on')")
    assert browser.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, url: str, theme: str) -> None:
    spec = importlib.util.find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        pytest.skip("axe-playwright-python, of the dev extra, is not installed: no axe-core")
    axe = Path(spec.origin).with_name("axe.min.js").read_text(encoding="utf-8")
    media = [{"name": "prefers-color-scheme", "value": theme}]
    browser.send("Emulation.setEmulatedMedia", features=media)
    found = {}
    for view in VIEWS:
        open_view(browser, url, view)
        if view in ("topics", "matches"):
            browser.evaluate(f"document.querySelector('#{view} button.open').click()")
            browser.wait(f"document.querySelector('#{view} .detail td > *') !== null")
        browser.evaluate(axe)
        run = (
            "axe.run().then((found) => JSON.stringify("
            "found.violations.map((v) => [v.id, v.impact, v.nodes[0].html])))"
        )
        serious = [v for v in json.loads(browser.evaluate(run)) if v[1] in ("serious", "critical")]
        if serious:
            found[view] = serious
    assert found == {}


@pytest.mark.slow
def test_no_view_is_wider_than_a_phone(browser: Any, url: str) -> None:
    browser.send(
        "Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1,
        mobile=True,
    )  # fmt: skip
    for view in VIEWS:
        open_view(browser, url, view)
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390, view
    assert browser.errors == []


def hostile(records: list[Record], attack: str) -> list[Record]:
    """Puts an attack into every text of records that a stranger can write."""
    swapped = []
    for record in records:
        payload: dict[str, Any] = dict(record.payload)
        if "documents" in payload:
            payload["documents"] = [f"{attack} {name}" for name in payload["documents"]]
            payload["unread"] = {name: [attack, attack] for name in payload["documents"]}
        if "topics" in payload:
            payload["topics"] = [
                {**topic, "items": [attack, *topic["items"]], "words": [attack, *topic["words"]]}
                for topic in payload["topics"]
            ]
        if payload.get("reason"):
            payload["reason"] = attack
        for name in ("model", "setting"):
            if payload.get(name):
                payload[name] += attack
        for side in ("a", "b"):
            if side in payload:
                payload[side] = {**payload[side], "model": payload[side]["model"] + attack}
                if payload[side]["setting"]:
                    payload[side]["setting"] += attack
        if "judge" in payload:
            payload["judge"] += attack
        payload["corpus"] += attack
        swapped.append(replace(record, payload=payload))
    return swapped


@pytest.mark.slow
def test_nothing_of_records_and_texts_runs(
    browser: Any, tmp_path: Path, make_records: Make
) -> None:
    attack = " ".join(ATTACKS)
    suite, records = make_records(
        judges=("chat", "embedding"), unparsed=0.2, models=("lda", "etm", "mlda"),
        corpora={"lee": 8, "wiki": 6}, failing=[("wiki", "etm")],
    )  # fmt: skip
    suite = suite.model_copy(update={"title": attack, "description": attack})
    spoilt = hostile(records, attack)
    corpus = "lee" + attack
    documents = next(r.payload["documents"] for r in spoilt if r.payload.get("documents"))
    where = {"corpus": corpus, "spec": 10}
    write_run_parts(
        tmp_path,
        [
            Part("texts", {"corpus": corpus}, dict.fromkeys(documents, attack)),
            Part("seen", {**where, "shown": "items"},
                 {"documents": documents, "strings": [attack], "why": attack,
                  "sides": {"lda" + attack: [[[0, 0.5]]] * len(documents)}}),
            Part("times", {}, [[attack, attack, attack, 1, 1.0, 1.0, 1.0, 1]]),
        ],
    )  # fmt: skip
    url = lay_out(tmp_path, suite, spoilt)
    for view in VIEWS:
        open_view(browser, url, view)
        browser.evaluate(
            "document.querySelectorAll('.view.on button, .view.on summary')"
            ".forEach((x) => x.click())"
        )
        browser.evaluate("new Promise((done) => setTimeout(done, 200))")
        assert browser.evaluate("typeof globalThis.hacked") == "undefined", view
        assert browser.evaluate("document.querySelectorAll('main img, main iframe').length") == 0
        assert browser.evaluate(
            "[...document.querySelectorAll('a')].every((a) => a.protocol !== 'javascript:')"
        )
        assert attack.split("\u2028")[0] in browser.evaluate(
            "document.title + document.body.innerText"
        )
    assert browser.errors == []
    # The policy holds where escaping would not: neither markup nor handlers nor links run.
    for markup in ATTACKS:
        browser.evaluate(
            "(() => { const box = document.createElement('div'); document.body.append(box);"
            f"box.innerHTML = {json.dumps(markup)};"
            "box.querySelectorAll('a').forEach((a) => a.click()); })()"
        )
    browser.evaluate("new Promise((done) => setTimeout(done, 200))")
    assert browser.evaluate("typeof globalThis.hacked") == "undefined"
