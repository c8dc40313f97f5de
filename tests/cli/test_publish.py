"""``mtmbench publish``: what goes onto a server, and what must not."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.boards import board_of_records
from support.commands import Call
from support.hub_server import TOKEN, Hub

from mtmbench.boards.write import write_board
from mtmbench.core.card_reading import read_card, suite_text
from mtmbench.core.cards import Suite
from mtmbench.publishing import publication, traces

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("played")


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def texts(folder: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.*"))


def change(kind: str, **changes: object) -> dict[str, Any]:
    """Changes the first record of a kind in ``out``; returns its payload."""
    path = Path("out/records.jsonl")
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    first = next(line for line in found if line["kind"] == kind)
    first.update({name: changes.pop(name) for name in ("status",) if name in changes})
    first["payload"].update(changes)
    path.write_text("".join(json.dumps(line) + "\n" for line in found), encoding="utf-8")
    payload: dict[str, Any] = first["payload"]
    return payload


def test_a_board_goes_to_a_folder_as_it_is(call: Call) -> None:
    assert {"store.sqlite", "store.lock"} <= names(Path("out"))
    code, out, err = call("publish", "out", "--to", "site/tiny")
    assert (code, err) == (0, "")
    site = Path("site/tiny")
    board = board_of_records(Path("out"))
    whole = board["index.html"]
    board = {**board, "index.html": (site / "index.html").read_text(encoding="utf-8")}
    board["suite.toml"] = Path("out/suite.toml").read_text(encoding="utf-8")
    assert names(site) == {*board, ".nojekyll", "publication.json"}
    assert out.split() == [
        f"site/tiny/{name}" for name in [".nojekyll", *board, "publication.json"]
    ]
    for name, text in board.items():
        assert (site / name).read_text(encoding="utf-8") == text
    assert call("publish", "out", "--to", "site/tiny", "--records")[0] == 0
    assert names(site) == {*board, ".nojekyll", "publication.json", "records.jsonl"}
    assert (site / "records.jsonl").read_bytes() == Path("out/records.jsonl").read_bytes()
    assert (site / "index.html").read_text(encoding="utf-8") == whole
    # As its page says, it is rebuilt of what lies there.
    before = texts(site)
    write_board(site)
    assert texts(site) == before
    # What a later publication has not goes, and what the server put there stays.
    (site / ".git").write_text("gitdir: x")
    assert call("publish", "out", "--to", "site/tiny")[0] == 0
    assert names(site) == {*board, ".nojekyll", "publication.json", ".git"}


@pytest.mark.parametrize("more", [[], ["--records"]])
def test_links_of_a_published_page_lead_to_what_is_there(more: list[str], call: Call) -> None:
    assert call("publish", "out", "--to", "site", *more)[0] == 0
    page = Path("site/index.html").read_text(encoding="utf-8")
    linked = set(re.findall(r'<a href="([^"#:{}]+)"', page))
    assert linked <= names(Path("site"))
    assert {"board.json", "suite.toml"} <= linked
    assert ("records.jsonl" in linked, "byte for byte" in page) == (bool(more), bool(more))
    assert ("records are not published with it" in page) == (not more)


def test_packed_records_go_along_packed(call: Call) -> None:
    plain = Path("out/records.jsonl")
    whole = plain.read_bytes()
    Path("out/records.jsonl.gz").write_bytes(gzip.compress(whole))
    plain.unlink()
    code, _, err = call("publish", "out", "--to", "site", "--records")
    assert (code, err) == (0, "")
    packed = Path("site/records.jsonl.gz").read_bytes()
    assert gzip.decompress(packed) == whole
    assert not Path("site/records.jsonl").exists()
    call("publish", "out", "--to", "again", "--records")
    assert Path("again/records.jsonl.gz").read_bytes() == packed


PLAIN = sorted(ROOT.glob("leaderboards/*/records.jsonl"))
PACKED = min(ROOT.glob("leaderboards/*/records.jsonl.gz"), key=lambda path: path.stat().st_size)
"""The smallest of those whose records are packed: each takes half a minute."""


@pytest.mark.parametrize(
    "board",
    [*(path.parent for path in PLAIN), pytest.param(PACKED.parent, marks=pytest.mark.slow)],
    ids=lambda board: board.name,
)
def test_committed_boards_can_be_published(board: Path, call: Call) -> None:
    code, _, err = call("publish", str(board), "--to", "site", "--records")
    assert (code, err) == (0, "")
    for name in ("board.json", "board.csv", "board.md"):
        assert (Path("site") / name).read_bytes() == (board / name).read_bytes(), name
    for table in board.glob("steering.*"):
        assert (Path("site") / table.name).read_bytes() == table.read_bytes(), table.name
    page = Path("site/index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'<a href="([^"#:{}]+)"', page)) <= names(Path("site"))


def test_what_is_not_for_everybody_stays_here(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (traces, publication):
        monkeypatch.setattr(module, "LONGEST_QUOTATION", 28)
    here = str(Path.cwd())
    text = json.loads(Path("tiny.jsonl").read_text().splitlines()[0])["text"] + " and more"
    trace = f"ValueError: no Traceback (most recent call last):\n  File {here}/x.py, line 3"
    suite = read_card(Path("out/suite.toml"), Suite)
    told = suite.model_copy(update={"description": f"Played in {here}/runs."})
    text_of_suite = suite_text(told)
    assert '"tiny.jsonl"' in text_of_suite
    text_of_suite = text_of_suite.replace('"tiny.jsonl"', f'"{here}/tiny.jsonl"')
    Path("out/suite.toml").write_text(text_of_suite)
    change("fit", status="error", reason=trace)
    change("metric", details={"read": f"{here}/texts/a.txt", "quoted": text})
    code, _, err = call("publish", "out", "--to", "site", "--records")
    assert code == 0, err
    shown = texts(Path("site"))
    for secret in (here, "Traceback", text, "line 3"):
        assert secret not in shown
    assert "…/a.txt" in shown
    assert "ValueError: no" in shown
    assert "Played in …/runs." in shown
    assert '"…/tiny.jsonl"' in Path("site/suite.toml").read_text(encoding="utf-8")
    assert "(a text of 32 words, which may not be shown)" in shown


def test_a_quotation_of_a_corpus_that_is_here_may_be_shown(call: Call) -> None:
    words = json.loads(Path("tiny.jsonl").read_text().splitlines()[0])["text"].split()
    ours = " ".join([*words[:20], *["word"] * 30])
    change("metric", details={"quoted": ours})
    assert call("publish", "out", "--to", "site", "--records")[0] == 0
    assert ours in texts(Path("site"))
    path = Path("tiny.jsonl")
    for other in (lambda: path.write_text(path.read_text().replace("team1", "team2")), path.unlink):
        other()
        assert call("publish", "out", "--to", "site", "--records")[0] == 0
        assert ours not in texts(Path("site"))


def test_a_secret_stops_it(call: Call) -> None:
    change("fit", no_words=f"key {TOKEN}")
    code, out, err = call("publish", "out", "--to", "site")
    assert (code, out) == (2, "")
    assert "payload.no_words looks like a token of Hugging Face" in err.replace(
        ": no_", ": payload.no_"
    )
    assert TOKEN not in err
    assert not Path("site").exists()


@pytest.mark.parametrize("name", ["notes.txt", "deep/er/index.html", "publication.json"])
def test_a_folder_of_something_else_is_left_alone(name: str, call: Call) -> None:
    Path("site").mkdir()
    (Path("site") / name).parent.mkdir(parents=True, exist_ok=True)
    (Path("site") / name).write_text("mine")
    (Path("site") / "zz.txt").write_text("mine too")
    code, _, err = call("publish", "out", "--to", "site")
    assert code == 2
    assert "is not JSON" in err or "which no publication put there" in err or "site" in err
    assert (Path("site") / name).read_text() == "mine"
    assert len(names(Path("site"))) == 2


def test_no_manifest_leads_out_of_its_folder(call: Call) -> None:
    Path("kept.txt").write_text("mine")
    Path("site").mkdir()
    Path("site/publication.json").write_text('{"files": ["../kept.txt", "/etc/hosts"]}')
    assert call("publish", "out", "--to", "site")[0] == 0
    assert Path("kept.txt").read_text() == "mine"


@pytest.mark.parametrize("to", ["hf:ann", "hf:ann/../x", "hf:", "hf:ann/x/y"])
def test_a_space_has_an_owner_and_a_name(to: str, call: Call) -> None:
    code, _, err = call("publish", "out", "--to", to)
    assert code == 2
    assert "names no Space; it is hf:OWNER/NAME" in err


def to_space(hub: Hub, *more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(Path("hf").resolve()), "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1",
        "HF_HUB_DISABLE_XET": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-P", "-m", "mtmbench", "publish", "out", "--to", "hf:ann/board", *more],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert TOKEN not in done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_a_board_goes_to_a_static_space_in_one_commit() -> None:
    suite = read_card(Path("out/suite.toml"), Suite)
    title = 'Our: "topics" # {x}'
    told = suite.model_copy(update={"title": title})
    Path("out/suite.toml").write_text(suite_text(told))
    with Hub() as hub:
        done = to_space(hub, "--records")
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{hub.url}/spaces/ann/board\n"
        assert (hub.made["ann/board"]["type"], hub.made["ann/board"]["sdk"]) == ("space", "static")
        board = {**board_of_records(Path("out")), "suite.toml": Path("out/suite.toml").read_text()}
        files = hub.spaces["ann/board"]
        ours = {"README.md", "records.jsonl", "publication.json"}
        assert {*files} == {*board, *ours, ".gitattributes"}
        for name, text in board.items():
            assert files[name].decode() == text
        _, matter, _ = files["README.md"].decode().split("---\n")
        assert yaml.safe_load(matter) == {
            "title": title, "sdk": "static", "app_file": "index.html", "pinned": False,
        }  # fmt: skip
        assert sum(path.endswith("/commit/main") for _, path in hub.calls) == 1
        # Once more, without records: they go.
        done = to_space(hub)
        assert done.returncode == 0, done.stderr
        assert {*files} == {*board, *ours, ".gitattributes"} - {"records.jsonl"}
        files["mine.txt"] = b"mine"
        done = to_space(hub)
        assert done.returncode == 2
        assert "the Space ann/board holds mine.txt, which no publication put there" in done.stderr
        assert files["mine.txt"] == b"mine"
        hub.refuses = 403
        done = to_space(hub)
        assert (done.returncode, done.stdout) == (2, "")
        assert "the hub answered 403" in done.stderr
        assert done.stderr.count("\n") == 1
