"""Two chat cards that read differently, over TCP: both boards, summaries, controls, agreement."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from support.chat_server import ChatServer
from support.killing import PLUGIN, lay_out
from support.readers import MODELS, lay_out_two_cards, long, overlap

from mtmbench.core.card_files import load_suite
from mtmbench.engine.harness import run_suite
from mtmbench.judges.base import Option, ShownTopic
from mtmbench.judges.ledger import LEDGER, Ledger
from mtmbench.judges.prompt import load_prompt

WORDS = (  # noqa: SIM905
    "ice snow road game goal team cup bread soup oven butter salt orbit rocket moon planet bill "
    "senate parliament legislation government orchestra symphony instrument electricity"
).split()


def test_the_two_read_differently() -> None:
    options = tuple(
        Option(name, (ShownTopic(1.0, words),))
        for name, words in (("x", ("snow", "ice")), ("y", ("legislation", "parliament")))
    )
    messages = load_prompt("match").messages("Snow and ice closed the road.", options)
    back = load_prompt("match").messages("Snow and ice closed the road.", options[::-1])
    assert [overlap(asked)[-1] for asked in (messages, back)] == ["A", "B"]
    assert [long(asked)[-1] for asked in (messages, back)] == ["B", "A"]
    alike = load_prompt("match").messages("Nothing of it.", (options[0], options[0]))
    assert overlap(alike).endswith("VERDICT: tie")


def test_a_board_of_two_chat_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ChatServer(models=MODELS) as server:
        lay_out(tmp_path, server.url, documents=12)  # for the model card
        draw = random.Random(0)
        rows = [{"id": f"d{i}", "text": " ".join(draw.choices(WORDS, k=9))} for i in range(24)]
        (tmp_path / "tiny.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        suite = lay_out_two_cards(
            tmp_path, server.url, corpus='"tiny.jsonl"', models=("drawn", "third"), k=4,
            documents=12, null_documents=10,
        )  # fmt: skip
        outcome = run_suite(
            load_suite(str(suite), {"words.max_df": 1.0}), Path("out"), plugins=[str(PLUGIN)],
            workers=0,
        )  # fmt: skip
        assert outcome.errors == ()
        # By match 12 documents, by control 10, for two models and one pair; two orders each.
        asked = Counter(request.body["model"] for request in server.completions)
        assert asked["writer"] <= 8
        assert asked["overlap"] == asked["long"] <= 2 * 2 * (12 + 2 * 10 + 10)
        board = json.loads(Path("out/board.json").read_text())
        with Ledger(Path("out") / LEDGER) as ledger:
            assert board["spent"]["cost"] == pytest.approx(ledger.spent())
        assert board["spent"]["answers"] == server.paid.total()
    leagues = {(row["judge"], row["representation"]) for row in board["ratings"]}
    assert leagues == {(j, r) for j in ("long", "overlap") for r in ("items", "summary")}
    for row in board["agreement"]:
        assert row["judges"] == ["long", "overlap"]
        assert row["kappa_lo"] <= row["kappa"] <= row["kappa_hi"]
        assert row["alpha"] is not None
    assert {row["judge"] for row in board["controls"]} == {"long", "overlap"}
    page = Path("out/index.html").read_text()
    for said in ("Krippendorff", "All answers together", "prompt summary", "Null controls"):
        assert said in page, said
