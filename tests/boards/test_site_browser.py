"""The site in a browser, opened from a file: it sorts, filters, explores, and runs nothing else."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import tomli_w

from mtmbench.boards.site.parts import Part, write_run_parts
from mtmbench.boards.write import files_of, write_board
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


def folder_of(url: str) -> Path:
    return Path(unquote(urlsplit(url).path)).parent


def texts(browser: Any, selector: str) -> list[str]:
    told = (
        f"[...document.querySelectorAll({json.dumps(selector)})].map((x) => x.textContent.trim())"
    )
    return list(json.loads(browser.evaluate(f"JSON.stringify({told})")))


def press_to(browser: Any, selector: str) -> None:
    """Presses Tab until what a selector finds has the focus."""
    for _ in range(60):
        browser.press("Tab")
        if browser.evaluate(f"document.activeElement.matches({json.dumps(selector)})"):
            return
    raise AssertionError(f"60 presses of Tab do not reach {selector}")


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


def feature_parts(
    where: Mapping[str, Any], model: str, labels: Sequence[str], document: str, why: str = ""
) -> list[Part]:
    """What a run would tell of the features of one model's topics, ten of each."""
    corpus, setting = where["corpus"], where["setting"]
    topics = [
        {"documents": [[document, 0.5]],
         "features": [[str(10 * t + i), label, 0.1] for i, label in enumerate(labels)]}
        for t in range(10)
    ]  # fmt: skip
    features = {
        str(n): {"n": label, "f": "corpus", "o": f"own {label}", "s": 0.875, "d": 0.25, "t": 0.001}
        for n in range(100)
        for label in [labels[n % len(labels)]]
    }
    contexts = {str(n): [[document, f"before {label}", label, "behind"]] for n, label in
                enumerate(labels)}  # fmt: skip
    return [
        Part("documents", {"corpus": corpus, "spec": 10, "seed": 0}, {"models": {model: topics}}),
        Part("features", {"corpus": corpus, "setting": setting},
             {"features": features, "why": {"contexts": why} if why else {}}),
        Part("contexts", {"corpus": corpus, "setting": setting}, contexts),
    ]  # fmt: skip


LABELS = [f"label {i}" for i in range(10)]


@pytest.fixture(scope="module")
def run_url(tmp_path_factory: pytest.TempPathFactory, make_records: Make) -> str:
    """A board in a run's folder, where features are told of and texts shown."""
    suite, records = make_records(
        judges=("chat", "embedding"), models=("lda", "etm", "mlda"), corpora={"lee": 12},
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("run")
    lee = {"corpus": "lee", "setting": "default"}
    texts = {f"lee-{i}": f"The text of document {i}. " * 40 for i in range(12)}
    documents = list(texts)
    seen = {
        "documents": documents, "strings": ["one, two, three"], "why": None,
        "sides": {name: [[[0, 0.5]]] * 12 for name in ("lda", "etm", "mlda:default")},
    }  # fmt: skip
    parts = [
        *feature_parts(lee, "mlda:default", LABELS, "lee-3"),
        Part("texts", {"corpus": "lee"}, texts),
        Part("seen", {"corpus": "lee", "spec": 10, "shown": "items"}, seen),
        Part("times", {}, [["fit", "lee", "lda", 2, 1.5, 2.5, 3.5, 200]]),
    ]
    write_run_parts(folder, parts)
    return lay_out(folder, suite, records)


@pytest.fixture(scope="module")
def steering_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The committed board with curves of steering, its page made anew."""
    folder = tmp_path_factory.mktemp("steering") / "board"
    shutil.copytree(Path(__file__).parents[2] / "leaderboards" / "steering", folder)
    write_board(folder)
    return (folder / "index.html").as_uri()


def open_feature(browser: Any) -> None:
    """Opens, in the explorer, the first topic of the first model over features, and a feature."""
    browser.evaluate("document.querySelector('#topics button.open').click()")
    browser.wait("document.querySelector('#topics .feature-list button') !== null")
    browser.evaluate("document.querySelector('#topics .feature-list button').click()")
    browser.wait("document.querySelector('#topics .about-feature') !== null")


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
def test_a_feature_opens_by_keyboard_and_says_what_is_known(browser: Any, run_url: str) -> None:
    open_view(browser, run_url, "topics")
    choose(browser, "model", "mlda:default")
    browser.wait("document.querySelector('#topics thead th').textContent.startsWith('mlda:def')")
    press_to(browser, "#topics tr.topic button.open")
    browser.press("Enter")
    browser.wait("document.querySelector('#topics .feature-list button') !== null")
    press_to(browser, "#topics .feature-list button.open")
    assert browser.evaluate("document.activeElement.textContent") == "label 0"
    browser.press("Enter")
    browser.wait("document.querySelector('#topics .about-feature') !== null")
    assert browser.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    (told,) = texts(browser, "#topics .about-feature")
    for said in (
        "label 0 from the words at which it fires in this corpus", "own label 0", "0.875",
        "25.0 % of the documents, 0.100 % of the tokens", "before label 0label 0behind",
    ):  # fmt: skip
        assert said in told, said
    assert texts(browser, "#topics .about-feature mark") == ["label 0"]
    assert "The text of document 3." in texts(browser, "#topics .documents")[0]
    browser.press("Enter")
    browser.wait("document.querySelector('#topics .about-feature') === null")
    assert browser.errors == []


@pytest.mark.slow
def test_a_committed_board_says_what_it_does_not_know_of_a_feature(browser: Any, url: str) -> None:
    open_view(browser, url, "topics?c=lee")
    choose(browser, "model", "mlda:default")
    browser.wait("document.querySelector('#topics thead th').textContent.startsWith('mlda:def')")
    open_feature(browser)
    (told,) = texts(browser, "#topics .about-feature")
    assert "Records name a topic's features by their labels alone" in told
    assert "could not be loaded" not in told
    # Both settings' topics of one number have the same labels here, topics of others have not.
    number = texts(browser, "#topics button.open b")[0].removeprefix("Topic ")
    assert f"Topics with a feature of that labelmlda:paper {number}" in told
    assert browser.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["features", "contexts", "documents"])
def test_the_explorer_says_which_part_could_not_be_loaded(
    browser: Any, run_url: str, tmp_path: Path, kind: str
) -> None:
    shutil.copytree(folder_of(run_url), tmp_path / "run")
    (tmp_path / "run" / "site" / f"{kind}-0.js").unlink()
    # Of a feature without its part no more is known than where the fit's labels are from.
    fits = tmp_path / "run" / "site" / "topics-0.js"
    fits.write_text(
        re.sub('"labels":(null|"[a-z]+")', '"labels":"corpus"', fits.read_text("utf-8"))
    )
    open_view(browser, (tmp_path / "run" / "index.html").as_uri(), "topics")
    choose(browser, "model", "mlda:default")
    browser.wait("document.querySelector('#topics thead th').textContent.startsWith('mlda:def')")
    open_feature(browser)
    (told,) = texts(browser, "#topics .about-topic")
    lost = f"could not be loaded: site/{kind}-0.js is not beside this page."
    about = ("Contexts" if kind == "contexts" else "Its score and density") + " " + lost
    assert about in told
    assert (f"The documents of every topic {lost}" in told) == (kind == "documents")
    assert "run's own folder" not in told
    assert "fires nowhere" not in told
    hedged = "this corpus, else, where it fires at none or a judge scored its label, the SAE's own"
    assert (hedged in told) == (kind != "contexts")


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
@pytest.mark.parametrize("kind", ["seen", "texts"])
def test_a_match_says_which_part_could_not_be_loaded(
    browser: Any, run_url: str, tmp_path: Path, kind: str
) -> None:
    shutil.copytree(folder_of(run_url), tmp_path / "run")
    for part in (tmp_path / "run" / "site").glob(f"{kind}-*.js"):
        part.unlink()
    visit(browser, (tmp_path / "run" / "index.html").as_uri(), "matches")
    told = " ".join(texts(browser, "#matches .about-match"))
    assert f"could not be loaded: not beside this page is site/{kind}-0.js." in told
    assert "run's own folder" not in told


@pytest.mark.slow
@pytest.mark.parametrize("left_out", [True, False])
def test_a_number_without_its_records_says_where_they_are(
    browser: Any, url: str, tmp_path: Path, left_out: bool
) -> None:
    shutil.copytree(folder_of(url), tmp_path / "board")
    if left_out:
        write_board(tmp_path / "board", most=0)
    else:
        (tmp_path / "board" / "site" / "values-0.js").unlink()
    open_view(browser, (tmp_path / "board" / "index.html").as_uri(), "record?m=0")
    browser.wait("document.querySelector('dialog[open] p') !== null")
    (told,) = texts(browser, "dialog[open] .body")
    assert ("the command at the head of Metrics" in told) == left_out
    assert ("could not be loaded: not beside this page is site/values-0.js;" in told) != left_out
    assert texts(browser, "#metrics .left-out code")[1:] == (
        ["mtmbench board FOLDER --parts-mb 1"] if left_out else []
    )


@pytest.mark.slow
def test_a_page_published_without_its_records_names_no_file_of_them(
    browser: Any, url: str, tmp_path: Path
) -> None:
    for name, text in files_of(folder_of(url), beside=False).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    for view in ("record?m=0", "record?key=abc"):
        open_view(browser, (tmp_path / "index.html").as_uri(), view)
        browser.wait("document.querySelector('dialog[open] .body')?.textContent")
        told = " ".join(texts(browser, "dialog[open] .body"))
        assert "the board's records" in told
        assert "records.jsonl" not in told
        assert "grep" not in told
    assert "records.jsonl" not in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert browser.errors == []


VISITS = (
    *(("url", view) for view in VIEWS),
    ("run_url", "topics"), ("run_url", "matches"), ("run_url", "costs"), ("url", "record?m=0"),
    ("steering_url", "steering"),
)  # fmt: skip
"""Which board and which view of it: all that there are, those with more in a run's folder again."""


def visit(browser: Any, url: str, view: str) -> None:
    """Opens a view and in it all that opens: a topic and its feature, a match, a record."""
    open_view(browser, url, view)
    if view == "topics":
        names = texts(browser, "#topics .filters option")
        choose(browser, "model", "mlda:default")
        assert "mlda:default" in names
        browser.wait("document.querySelector('#topics thead th').textContent.startsWith('mlda:d')")
        open_feature(browser)
    elif view == "matches":
        browser.evaluate("document.querySelector('#matches button.open').click()")
        browser.wait("document.querySelector('#matches .about-match') !== null")
    elif view.startswith("record"):
        browser.wait("document.querySelectorAll('dialog[open] tbody tr').length > 0")
    elif view == "steering":
        browser.evaluate("document.querySelector('#steering summary').click()")


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    browser: Any, request: pytest.FixtureRequest, theme: str
) -> None:
    spec = importlib.util.find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        pytest.skip("axe-playwright-python, of the dev extra, is not installed: no axe-core")
    axe = Path(spec.origin).with_name("axe.min.js").read_text(encoding="utf-8")
    media = [{"name": "prefers-color-scheme", "value": theme}]
    browser.send("Emulation.setEmulatedMedia", features=media)
    found = {}
    for board, view in VISITS:
        visit(browser, request.getfixturevalue(board), view)
        browser.evaluate(axe)
        run = (
            "axe.run().then((found) => JSON.stringify("
            "found.violations.map((v) => [v.id, v.impact, v.nodes[0].html])))"
        )
        serious = [v for v in json.loads(browser.evaluate(run)) if v[1] in ("serious", "critical")]
        if serious:
            found[board, view] = serious
    assert found == {}


@pytest.mark.slow
def test_no_view_is_wider_than_a_phone(browser: Any, request: pytest.FixtureRequest) -> None:
    browser.send(
        "Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1,
        mobile=True,
    )  # fmt: skip
    for board, view in VISITS:
        visit(browser, request.getfixturevalue(board), view)
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390, (board, view)
    assert browser.errors == []


@pytest.mark.slow
def test_wide_tables_are_stacked_on_a_phone_and_sort(browser: Any, url: str) -> None:
    browser.send(
        "Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1,
        mobile=True,
    )  # fmt: skip
    for view in ("ratings", "metrics", "fits"):
        open_view(browser, url, view)
        wider = (
            f"[...document.querySelectorAll('#{view} .scroll')].filter((box) => box.offsetParent "
            "&& box.querySelector('.stack') && box.scrollWidth > box.clientWidth).length"
        )
        assert browser.evaluate(wider) == 0, view
    open_view(browser, url, "ratings")
    cells = "#ratings table.stack tbody tr:not([hidden]) td:nth-child(8)"
    label = f"document.querySelector({json.dumps(cells)}).dataset.label"
    assert browser.evaluate(label) == "Elo"
    choose(browser, "sort by", "Elo")
    elos = [float(text) for text in texts(browser, cells) if text != "–"]
    assert elos == sorted(elos, reverse=True)
    browser.evaluate(
        "[...document.querySelectorAll('#ratings button.narrow')]"
        ".find((x) => x.offsetParent).click()"
    )
    assert [float(text) for text in texts(browser, cells) if text != "–"] == sorted(elos)
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
    setting = "default" + attack
    features = feature_parts(
        {"corpus": corpus, "setting": setting}, f"mlda{attack}:{setting}", [attack] * 10,
        documents[0], attack,
    )  # fmt: skip
    write_run_parts(
        tmp_path,
        [
            Part("texts", {"corpus": corpus}, dict.fromkeys(documents, attack)),
            Part("seen", {**where, "shown": "items"},
                 {"documents": documents, "strings": [attack], "why": attack,
                  "sides": {"lda" + attack: [[[0, 0.5]]] * len(documents)}}),
            *features,
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
        if view == "topics":
            choose(browser, "model", f"mlda{attack}:{setting}")
            browser.wait("document.querySelector('#topics thead .features') !== null")
            open_feature(browser)
            (told,) = texts(browser, "#topics .about-feature")
            assert told.count("globalThis.hacked='img'") >= 5  # names, why, contexts
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
