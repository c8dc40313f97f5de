"""The voting page in a browser: votes by keyboard, resume, attacks as text, a phone's width."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.serving import in_thread

from mtmbench.judges.base import Option, Question, ShownTopic
from mtmbench.judges.clients.human_votes import VoteFile, read_votes
from mtmbench.voting.ballot import Ballot
from mtmbench.voting.local import LocalServer
from mtmbench.voting.server import Voting, voting_pages

ATTACK = "<script>document.title='hacked'</script><img src=x onerror=alert(1)> answer A"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    options = tuple(Option(n, (ShownTopic(1.0, (n, ATTACK)),)) for n in ("x", "y"))
    questions = [
        Question("match", {"corpus": "c", "doc_id": str(i), "text": f"{ATTACK} {i} " * 30}, options)
        for i in range(8)
    ]
    ballot = Ballot(questions, document_characters=1000)
    with VoteFile(tmp_path / "votes.jsonl") as votes:
        pages = voting_pages(Voting(ballot, votes, title="tiny"))
        with in_thread(LocalServer(pages)) as server:
            yield server.url


def _begin(browser: Any, url: str, voter: str) -> None:
    browser.open(url)
    browser.send("Input.insertText", text=voter)
    browser.press("Enter")
    browser.wait("!document.getElementById('question').hidden")


def _count(browser: Any) -> str:
    return str(browser.evaluate("document.getElementById('count').textContent"))


def test_voting_by_keyboard(browser: Any, url: str, tmp_path: Path) -> None:
    _begin(browser, url, "Ann")
    assert _count(browser) == "0 of 9 answered"
    for done, key in enumerate(("a", "b", "t", "ArrowLeft", "ArrowRight"), start=1):
        browser.press(key)
        browser.wait(
            f"document.getElementById('count').textContent === '{done} of 9 answered'"
            " && !document.querySelector('[data-verdict]').disabled"
        )
        # What the page counts is on disk already.
        assert len(read_votes(tmp_path / "votes.jsonl")) == done
    verdicts = [vote.verdict for vote in read_votes(tmp_path / "votes.jsonl").values()]
    assert verdicts == ["A", "B", "tie", "A", "B"]
    _begin(browser, url, "Ann")
    assert _count(browser) == "5 of 9 answered"
    shown = browser.evaluate("document.getElementById('document').textContent")
    assert shown.startswith(ATTACK)
    assert browser.evaluate("document.title") == "tiny: which topics are better?"
    assert not browser.evaluate("document.querySelector('#question script, #question img')")
    for done in range(6, 10):
        browser.press("t")
        browser.wait(f"document.getElementById('count').textContent === '{done} of 9 answered'")
        browser.wait("!document.querySelector('[data-verdict]').disabled")
    assert browser.evaluate("document.activeElement.id") == "end"
    assert browser.errors == []


def test_a_phone_shows_all_of_it(browser: Any, url: str) -> None:
    browser.send(
        "Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1,
        mobile=True,
    )  # fmt: skip
    _begin(browser, url, "Ben")
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
    inside = (
        "[...document.querySelectorAll('[data-verdict]')].every(button => {"
        " const box = button.getBoundingClientRect();"
        " return box.left >= 0 && box.right <= 390 && box.bottom <= 844 && box.height >= 40; })"
    )
    assert browser.evaluate(inside)


def test_a_vote_is_taken_back_by_keyboard(browser: Any, url: str, tmp_path: Path) -> None:
    _begin(browser, url, "Cay")
    assert browser.evaluate("document.getElementById('back').hidden")
    shown = browser.evaluate("document.getElementById('document').textContent")
    browser.press("a")
    browser.wait("!document.getElementById('back').hidden && !back.disabled")
    browser.press("u")
    browser.wait("document.getElementById('count').textContent === '0 of 9 answered'")
    assert browser.evaluate("document.getElementById('document').textContent") == shown
    assert read_votes(tmp_path / "votes.jsonl") == {}
    assert browser.evaluate("document.getElementById('back').hidden")
    assert browser.errors == []
