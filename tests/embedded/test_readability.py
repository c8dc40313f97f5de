"""Features to read: what is drawn and shown, whose it is only in the key, and the count."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.embedded.training import readability
from mtmbench.embedded.training.activations import Passage
from mtmbench.embedded.training.readability import TokenFirings, contexts, shown
from mtmbench.features.sae.sae import SAE, save_sae


def _passage(doc_id: str, text: str) -> Passage:
    """Tokens are the words, of which the first two letters are a token of their own."""
    offsets, at = [], 0
    for word in text.split():
        begin = text.index(word, at)
        at = begin + len(word)
        offsets += [(begin, begin + 2), (begin + 2, at)] if len(word) > 2 else [(begin, at)]
    return Passage(doc_id, "x", text, tuple(range(len(offsets))), tuple(offsets))


def test_the_whole_word_of_a_piece_is_marked() -> None:
    passage = _passage("a", "We saw  penguins\nswim away.")
    token = passage.offsets.index((10, 16))
    assert passage.text[10:16] == "nguins"
    assert shown(passage, token, 1.234) == "1.23 We saw [[penguins]] swim away."


def test_contexts_are_one_a_document_from_strong_to_weak() -> None:
    passages = [_passage(f"d{i // 2}", f"word{i} is here") for i in range(80)]
    passage = np.repeat(np.arange(80), 2)
    token = np.tile([0, 2], 80)
    strength = np.linspace(0.1, 9, 160).astype(np.float32)
    found = TokenFirings(np.arange(160) % 2 * 0 + 7, passage, token, strength)

    lines = contexts(found, 7, passages, np.random.default_rng(0))

    strengths = [float(line.split()[0]) for line in lines]
    assert len(lines) == 10
    assert strengths == sorted(strengths, reverse=True)
    # 40 documents with four firings each: every tenth of the range of documents has its line.
    documents = [int((s - 0.1) / (8.9 / 159) / 4 + 0.05) for s in strengths]
    assert len(set(documents)) == 10
    assert max(documents) >= 36
    assert min(documents) <= 3


def test_whose_features_are_read_stands_only_in_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    texts = {"held_out": "money bank rates", "dbpedia": "sea krill ice"}
    kept = {
        corpus: [_passage(f"{corpus}{i}", text) for i in range(6)] for corpus, text in texts.items()
    }
    monkeypatch.setattr(readability, "read_passages", lambda folder: kept[folder.name])
    values = np.tile(np.eye(6, dtype=np.float16), (6, 1))
    monkeypatch.setattr(readability, "load_activations", lambda folder, layer: values)
    eye, zeros = np.eye(6, dtype=np.float32), np.zeros(6, np.float32)
    for name, order in (("old", eye), ("new", eye[::-1].copy())):
        sae = SAE(
            "topk", order, zeros, order.T.copy(), zeros, subtract_b_dec=True, k=1, threshold=None,
            metadata={"hook_name": "blocks.5.hook_resid_post"},
        )  # fmt: skip
        save_sae(sae, tmp_path / name)
    out = tmp_path / "out"
    arguments = ["--cache", str(tmp_path), "--out", str(out), "--features", "4", "--seed", "3"]
    saes = [f"{name}={tmp_path / name}" for name in ("old", "new")]
    readability.main(["draw", *arguments, "--sae", *saes])

    text = (out / "contexts.txt").read_text()
    blocks = text.strip().split("\n\n")
    key = list(csv.DictReader((out / "key.csv").open(newline="")))
    assert len(blocks) == len(key) == 8
    assert {row["sae"] for row in key} == {"old", "new"}
    assert "old" not in text
    assert "new" not in text
    words = [*texts["held_out"].split()], [*texts["dbpedia"].split()]
    for block, row in zip(blocks, key, strict=True):
        head, *lines = block.splitlines()
        assert head == f"## {row['number']}"
        assert len(lines) == 10
        # Three words of two tokens each: input i is a token of word i // 2 of either corpus.
        i = int(row["feature"]) if row["sae"] == "old" else 5 - int(row["feature"])
        marked = {line.split("[[")[1].split("]]")[0] for line in lines}
        assert marked == {words[0][i // 2], words[1][i // 2]}
    readability.main(["draw", *arguments, "--sae", *saes])
    assert (out / "contexts.txt").read_text() == text

    table = tmp_path / "table.csv"
    verdicts = ["number,readable,concept"]
    verdicts += [f"{r['number']},{'yes' if r['sae'] == 'new' else 'no'},money" for r in key[:-1]]
    (out / "verdicts.csv").write_text("\n".join(verdicts) + "\n")
    with pytest.raises(InputError, match="number 8 has the verdict None"):
        readability.count(out, table)
    last = key[-1]
    with (out / "verdicts.csv").open("a") as lines_out:
        lines_out.write(f"{last['number']},{'yes' if last['sae'] == 'new' else 'no'},sea\n")
    found = readability.count(out, table)

    assert (found["new"].value, found["old"].value, found["old"].n) == (1.0, 0.0, 4)
    # Wilson's upper end for 0 of 4: z² / (4 + z²).
    assert found["old"].hi == pytest.approx(1.959964**2 / (4 + 1.959964**2), abs=1e-6)
    rows = list(csv.DictReader(table.open(newline="")))
    assert [row["sae"] for row in rows] == ["new"] * 4 + ["old"] * 4
    wanted = {(row["sae"], row["feature"]) for row in key}
    assert {(row["sae"], row["feature"]) for row in rows} == wanted
