"""``mtmbench tune``: what it prints and leaves, and that ``plan`` and ``run`` know of tuning."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support import SUPPORT
from support.commands import Call, cells

from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import ModelCard, Suite

pytestmark = pytest.mark.slow

PLUGIN = str(SUPPORT / "tuned_plugin.py")
SUITE = """
name = "mine"
corpora = ["lee"]
models = ["known.toml"]
k = [4]
metrics = ["quality"]
tuning = { metric = "quality", trials = 4, seeds = 2, fresh_seeds = 2 }
"""
CARD = 'model = "knobbed"\nsearch.level = [2.9, 3.0]\nsearch.kind = ["b"]\n'


def test_it_prints_the_gain_and_goes_on_with_more_trials(call: Call) -> None:
    Path("known.toml").write_text(CARD)
    told = ["--corpus", "lee", "--metric", "quality", "--limit", "40", "--k", "4", "--seeds", "2",
            "--workers", "0", "--plugin", PLUGIN]  # fmt: skip
    code, out, err = call("tune", "known.toml", *told, "--trials", "2")
    assert code == 0, err
    ((corpus, model, defaults, tuned, gain, *_),) = cells(out)
    assert (corpus, model) == ("lee", "known")
    shown = [float(cell.split()[0].replace("−", "-")) for cell in (tuned, defaults, gain)]
    assert shown[0] - shown[1] == pytest.approx(shown[2], abs=0.15)  # of rounded values
    assert "By quality, tuned known on lee (K = 4) is" in out
    folder = Path("runs/tuning/known-lee")
    card = read_card(folder / "known-tuned.toml", ModelCard)
    assert card.tuned is not None
    assert (card.tuned.trials, card.tuned.documents) == (2, 40)
    first = (folder / "trials.csv").read_text().splitlines()
    call("tune", "known.toml", *told, "--trials", "4")
    longer = (folder / "trials.csv").read_text().splitlines()
    assert len(longer) == len(first) + 2
    assert [line.split(",")[0] for line in longer[1:]] == ["defaults", "0", "1", "2", "3"]


def test_run_tunes_first_and_plan_counts_that(call: Call) -> None:
    Path("known.toml").write_text(CARD)
    Path("mine.toml").write_text(SUITE)
    code, out, err = call("plan", "mine.toml", "--plugin", PLUGIN)
    assert code == 0, err
    # (1 + 4) · 2 of tuning, and 2 · 2 fresh ones.
    assert "1 model on 1 corpus, 4 trials each, at most 14 fits, on 50% of the documents" in out
    code, out, err = call("run", "mine.toml", "--plugin", PLUGIN, "--workers", "0")
    assert code == 0, err
    assert "By quality, tuned known on lee" in out
    assert "2 cells played" in out
    played = read_card(Path("runs/mine/suite.toml"), Suite)
    assert [spec.part for spec in played.corpora] == ["scored"]
    assert played.params_per_corpus["lee"]["known"]["kind"] == "b"
    code, out, _ = call("plan", "runs/mine/suite.toml", "--plugin", PLUGIN)
    assert "Tuning comes first" not in out
    shutil.rmtree("runs/mine/tuning")
    assert call("run", "runs/mine/suite.toml", "--plugin", PLUGIN, "--workers", "0")[0] == 0


def test_what_is_wrong_is_said_in_a_line(call: Call) -> None:
    code, _, err = call("tune", "lda", "--corpus", "lee", "--metric", "stability")
    assert code == 2
    assert err.startswith("mtmbench: metric 'stability' is a number of several fits (siblings)")
    assert err.count("\n") == 1
    code, _, err = call("tune", "k_means", "--corpus", "lee")
    assert (code, "cannot be tuned without a [search]" in err) == (2, True)
    code, _, err = call("tune", "lda", "--corpus", "lee", "--share", "1.5")
    assert (code, "tuning.share" in err) == (2, True)
