"""The table of final scores: words and SAEs on the same documents, the same seeds."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from mtmbench.core.types import Corpus
from mtmbench.embedded.training import scores
from mtmbench.features.sae.shipped import MINILM_SAES

pytest.importorskip("torch")

TEXTS = {
    "money": ("The bank raised rates. Shares fell.", "Inflation slowed; the bank cut rates."),
    "sea": ("Penguins feed on krill near the ice.", "Whales and krill. The ice melts!"),
}


def test_words_and_saes_are_scored_on_the_same_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [(label, f"{t} Day {i}.") for label, some in TEXTS.items() for t in some for i in "123"]
    labels, texts = zip(*told, strict=True)
    corpus = Corpus("toy", tuple(f"d{i}" for i in range(12)), texts, labels)
    monkeypatch.setattr(scores, "N_TOPICS", {"toy": 2})
    monkeypatch.setattr(scores, "load_corpus", lambda *_, **__: corpus)
    table = tmp_path / "table.csv"
    arguments = ["--data", "x", "--cache", str(tmp_path), "--table", str(table), "--seeds", "2"]
    scores.main(arguments)  # stores activations only
    assert not table.exists()
    scores.main([*arguments, "--sae", f"one={MINILM_SAES.path()}"])

    rows = list(csv.DictReader(table.open(newline="")))
    assert [(row["corpus"], row["model"], row["documents"]) for row in rows] == [
        ("toy", "words", "12"), ("toy", "one", "12"),
    ]  # fmt: skip
    # Words of at least five documents: bank and rates of one label, krill and ice of the other;
    # "day" is in too many.
    assert rows[0]["items"] == "4"
    for row in rows:
        by_seed = [float(score) for score in row["nmi_by_seed"].split()]
        assert len(by_seed) == 2
        assert float(row["nmi"]) == pytest.approx(np.mean(by_seed), abs=1e-4)
    assert float(rows[1]["nmi"]) == pytest.approx(1.0)
