"""Controls whose right answer is known: drawn as stated, played beside the matches, and judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import SUPPORT

from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import Suite
from mtmbench.core.cells import ControlCell, FitCell
from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import ItemSpace
from mtmbench.engine.harness import run_suite
from mtmbench.engine.plan import make_plan
from mtmbench.matches.controls import control_pairs, with_other_topics

PLUGIN = str(SUPPORT / "fast_plugin.py")


def result(theta: list[list[float]]) -> TopicResult:
    n_topics = len(theta[0])
    items = tuple(f"i{k}" for k in range(n_topics))
    return TopicResult(
        "hand", {}, {}, 0, np.array(theta, dtype=np.float32),
        np.eye(n_topics, dtype=np.float32), ItemSpace("words", items, items),
        {"name": "toy", "revision": "r"},
    )  # fmt: skip


def fit(model: str, seed: int) -> FitCell:
    return FitCell(f"{model}-{seed}", "lee", "r", model, model, None, 5, 5, seed, {}, 1)


def test_rows_come_uniformly_from_documents_with_another_top_topic() -> None:
    theta = [[0.9, 0.1, 0], [0.6, 0.4, 0], [0, 1, 0], [0.1, 0, 0.9], [0, 0, 0]]
    original = result(theta)
    counts = np.zeros((5, 5), dtype=int)
    for seed in range(400):
        drawn = with_other_topics(original, [0, 2, 4], seed).doc_topic
        assert (drawn[[1, 3]] == original.doc_topic[[1, 3]]).all()
        for row in (0, 2, 4):
            source = [i for i in range(5) if (drawn[row] == original.doc_topic[i]).all()]
            counts[row, source[0]] += 1
    assert counts[4, 4] == 400  # no mass: kept
    assert counts[0, [0, 1, 4]].sum() == 0
    assert counts[2, [2, 4]].sum() == 0
    # Half of 400 and a third of 400, within four standard errors.
    assert abs(counts[0, 2] - 200) < 40
    assert (abs(counts[2, [0, 1, 3]] - 400 / 3) < 40).all()


def test_one_top_topic_for_all_leaves_nothing_to_draw() -> None:
    with pytest.raises(InputError, match="another top topic"):
        with_other_topics(result([[0.9, 0.1], [0.8, 0.2], [0, 0]]), [0], 1)


def test_a_model_of_one_seed_has_no_refit_and_an_order_free_judge_is_not_asked_again() -> None:
    fits = [fit("a", 0), fit("a", 1), fit("a", 2), fit("b", 0), fit("c", 0)]
    players = [fits[0], fits[3], fits[4]]
    found = [(c, a.key, b.key) for c, a, b in control_pairs(players, fits, order_free=False)]
    assert found == [
        ("refit", "a-0", "a-1"),
        ("other_topic", "a-0", "a-0"),
        ("other_topic", "b-0", "b-0"),
        ("other_topic", "c-0", "c-0"),
        ("repeat", "a-0", "b-0"),
        ("repeat", "b-0", "c-0"),
    ]
    free = [c for c, _, _ in control_pairs(players, fits, order_free=True)]
    assert free == ["refit", "other_topic", "other_topic", "other_topic"]


@pytest.fixture(autouse=True)
def _in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The judge is named by a path, and what is drawn depends on the name.
    monkeypatch.chdir(tmp_path)


def suite_of(folder: Path, card: dict[str, Any], **judging: Any) -> Suite:
    rng = np.random.default_rng(0)
    words = [f"word{i}" for i in range(40)]
    corpus = folder / "tiny.jsonl"
    lines = [
        json.dumps({"id": f"d{i}", "text": " ".join(rng.choice(words, 30))}) for i in range(80)
    ]
    corpus.write_text("\n".join(lines) + "\n")
    judge = folder / "known.toml"
    settings = "\n".join(f"{name} = {value}" for name, value in card.items())
    judge.write_text(f'client = "scripted"\n[params]\n{settings}\n')
    data = {
        "name": "tiny", "corpora": ["tiny.jsonl"], "models": ["drawn", "drawn-sharp"], "k": [5],
        "seeds": [0, 1], "params": {"drawn-sharp": {"sharpness": 5.0}},
        "judging": {"judges": ["known.toml"], "documents": 60, **judging},
    }  # fmt: skip
    return parse_card(data, Suite, "test suite")


KNOWN = {
    "strengths": (
        '{drawn = 2.0, "drawn-sharp" = 2.0, "drawn/refit" = 2.0, "drawn-sharp/refit" = 2.0}'
    ),
    "others": 0.0,
}


def played(folder: Path, card: dict[str, Any]) -> dict[str, Any]:
    suite = suite_of(folder, card, nulls=True)
    outcome = run_suite(suite, folder / "out", plugins=[PLUGIN], workers=0)
    assert outcome.errors == ()
    board: dict[str, Any] = json.loads((folder / "out" / "board.json").read_text())
    return board


def test_a_judge_that_knows_passes_and_its_bias_is_seen(tmp_path: Path) -> None:
    board = played(tmp_path, {**KNOWN, "position_bias": 0.2})
    assert board["judges"][0]["reliable"] is True
    pooled = {row["control"]: row for row in board["controls"] if row["model"] is None}
    assert list(pooled) == ["first_slot", "refit", "other_topic", "repeat"]
    # One match of 60 documents, both orders, no tie: 120 decisive answers, 60 % the first slot.
    assert pooled["first_slot"]["n"] == 120
    assert pooled["first_slot"]["lo"] < 0.6 < pooled["first_slot"]["hi"]
    assert pooled["refit"]["lo"] < 0.5 < pooled["refit"]["hi"]
    # 2 models on 50 documents; σ(2) = .88, told in both orders with a fifth of the answers blind.
    named = {slot: max(0, slot * 0.2) + 0.8 / (1 + np.exp(-2)) for slot in (1, -1)}
    expected = 0.5 + 0.5 * (named[1] * named[-1] - (1 - named[1]) * (1 - named[-1]))
    assert pooled["other_topic"]["n"] == 100
    # Within four standard errors of one draw.
    other = pooled["other_topic"]
    assert abs(other["value"] - expected) < other["hi"] - other["lo"]
    assert pooled["other_topic"]["passed"] is True
    by_model = [row for row in board["controls"] if row["model"] is not None]
    assert [(row["control"], row["model"]) for row in by_model] == [
        ("other_topic", "drawn"), ("other_topic", "drawn-sharp"),
        ("refit", "drawn"), ("refit", "drawn-sharp"),
    ]  # fmt: skip
    page = (tmp_path / "out" / "board.md").read_text()
    assert "(passed)" in page
    assert "Unreliable" not in page


def test_a_judge_that_tosses_a_coin_is_unreliable_and_does_not_repeat_itself(
    tmp_path: Path,
) -> None:
    board = played(tmp_path, {"others": 0.0})
    assert board["judges"][0]["reliable"] is False
    pooled = {row["control"]: row for row in board["controls"] if row["model"] is None}
    assert pooled["other_topic"]["passed"] is False
    assert pooled["repeat"]["lo"] < 0.5 < pooled["repeat"]["hi"]
    page = (tmp_path / "out" / "board.md").read_text()
    assert "**Warning:** Unreliable" in page
    assert "(FAILED)" in (tmp_path / "out" / "index.html").read_text()


def test_controls_change_no_match_and_come_only_when_asked_for(tmp_path: Path) -> None:
    without = make_plan(suite_of(tmp_path, KNOWN), plugins=[PLUGIN])
    asked = make_plan(suite_of(tmp_path, KNOWN, nulls=True), plugins=[PLUGIN])
    assert not any(isinstance(cell, ControlCell) for cell in without.matches)
    nulls = [cell for cell in asked.matches if isinstance(cell, ControlCell)]
    assert [cell.control for cell in nulls] == [
        "refit", "other_topic", "refit", "other_topic", "repeat",
    ]  # fmt: skip
    assert asked.keys() - without.keys() == {cell.key for cell in nulls}
    assert set(nulls[0].rows) <= set(without.matches[0].rows)
    assert nulls[1].describe().endswith("(control: other topic)")
