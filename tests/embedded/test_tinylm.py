"""The small LM's text and training: overlap, tokens, resumption, export."""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mtmbench.embedded.training.lm_text import (
    Overlap,
    find_overlap,
    read_tokens,
    run_hashes,
    train_tokenizer,
    write_tokens,
)
from mtmbench.embedded.training.tinylm import (
    LMPlan,
    export,
    held_out_loss,
    make_model,
    negative_log_likelihood,
    sequences,
    train_language_model,
)

PLAN = LMPlan(
    vocabulary=300, width=32, layers=2, heads=2, inner=48, context=16, tokens=4096, batch=128,
    micro_batch=4,
)  # fmt: skip


def words(n: int, seed: int) -> str:
    return " ".join(random.Random(seed).choices(["river", "stone", "light", "crow", "tin"], k=n))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lm")
    text = folder / "lm_text"
    text.mkdir()
    with gzip.open(text / "a.jsonl.gz", "wt", encoding="utf-8") as file:
        for i in range(200):
            file.write(json.dumps({"id": f"doc-{i}", "text": words(40, i) + " — ünï"}) + "\n")
    tokenizer = train_tokenizer([words(40, i) for i in range(50)], PLAN.vocabulary)
    tokenizer.save(str(folder / "tokenizer.json"))
    overlap = {"dropped": ["doc-3"], "by_corpus": {"x": 1}, "n_documents": 200}
    (folder / "overlap.json").write_text(json.dumps(overlap))
    write_tokens(text, Overlap(("doc-3",), {"x": 1}, 200), tokenizer, folder)
    return folder


def test_hashes_are_equal_for_equal_runs_alone():
    texts = [words(30, seed) for seed in range(20)]
    for a in texts[:5]:
        for b in texts:
            left, right = a.split(), b.split()
            shared = {tuple(left[i : i + 13]) for i in range(18)} & {
                tuple(right[i : i + 13]) for i in range(18)
            }
            assert len(set(run_hashes(a)) & set(run_hashes(b))) == len(shared)
    assert len(run_hashes(words(12, 0))) == 0
    np.testing.assert_array_equal(run_hashes("A b, c!", 2), run_hashes("a B: c", 2))


def test_overlap_names_documents_and_corpora():
    run = " ".join(f"w{i}" for i in range(13))
    documents = [
        {"id": "clean", "text": words(50, 1)},
        {"id": "quoted", "text": f"It said: {run.upper()}. And went on."},
        {"id": "short", "text": " ".join(run.split()[:12])},
    ]
    found = find_overlap(documents, {"news": [f"x {run} y"], "other": ["nothing alike"]})
    assert found == Overlap(("quoted",), {"news": 1, "other": 0}, 3)


def test_tokens_are_the_documents_again(work: Path):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
    texts = set()
    for name in ("train", "held_out"):
        stream = read_tokens(work / f"{name}.bin")
        for part in np.split(stream, np.flatnonzero(stream == 1) + 1):
            texts.add(tokenizer.decode(part.tolist()))
    assert {words(40, i) + " — ünï" for i in range(200) if i != 3} <= texts
    assert words(40, 3) + " — ünï" not in texts
    assert tokenizer.encode("river").ids[0] == 0


def test_blocks_cover_an_epoch_once_in_an_order_of_the_seed(work: Path):
    stream = np.arange(16 * 8 * 3, dtype=np.uint16)
    steps = [np.concatenate(list(sequences(stream, PLAN, step))) for step in range(3)]
    assert sorted(np.concatenate(steps)[:, 0]) == list(range(0, len(stream), 16))
    again = np.concatenate(list(sequences(stream, PLAN, 3)))
    assert not np.array_equal(again, steps[0])
    other = np.concatenate(list(sequences(stream, replace(PLAN, seed=1), 0)))
    assert not np.array_equal(other, steps[0])


def test_the_loss_is_that_of_the_model_on_shifted_tokens():
    """transformers' own loss, which shifts labels itself, on <s> and the block."""
    torch.manual_seed(0)
    model = make_model(PLAN).eval()
    block = np.random.default_rng(0).integers(2, 300, size=(3, 15))
    whole = torch.from_numpy(np.concatenate([np.zeros((3, 1), np.int64), block], axis=1))
    with torch.inference_mode():
        expected = model(input_ids=whole, labels=whole).loss
        found = negative_log_likelihood(model, block, "cpu").mean()
    torch.testing.assert_close(found, expected)


@pytest.mark.slow
def test_training_learns_and_resumes_where_it_was_killed(work: Path, monkeypatch, tmp_path: Path):
    folders = []
    for name in ("whole", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        for file in ("train.bin", "held_out.bin", "held_out.json", "tokenizer.json"):
            (folder / file).write_bytes((work / file).read_bytes())
        (folder / "overlap.json").write_bytes((work / "overlap.json").read_bytes())
        folders.append(folder)
    plan = replace(PLAN, tokens=128 * 150)
    whole = train_language_model(folders[0], plan, threads=1)
    import mtmbench.embedded.training.tinylm as module

    real, steps = module.sequences, []

    def dying(stream, plan, step):
        steps.append(step)
        if len(steps) == 120:
            raise KeyboardInterrupt
        return real(stream, plan, step)

    monkeypatch.setattr(module, "sequences", dying)
    with pytest.raises(KeyboardInterrupt):
        train_language_model(folders[1], plan, threads=1)
    monkeypatch.undo()
    resumed = train_language_model(folders[1], plan, threads=1)
    for (name, a), b in zip(whole.named_parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b), name
    before = held_out_loss(make_model(plan), folders[0], plan)["perplexity"]
    after = held_out_loss(whole, folders[0], plan)["perplexity"]
    assert after < before / 10
    with pytest.raises(SystemExit, match="of another plan"):
        train_language_model(folders[1], replace(plan, seed=5), threads=1)


def test_an_exported_model_loads_and_reproduces_its_figures(work: Path, tmp_path: Path, capsys):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    (work / "log.csv").write_text("step\n")
    export(make_model(PLAN), work, tmp_path / "out", PLAN)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    stored = json.loads((tmp_path / "out" / "training.json").read_text())
    assert stored["dropped_for_overlap"] == 1
    assert json.loads(capsys.readouterr().out) == stored["held_out"]
    # By brute force: every held-out document alone, in blocks of 16, each after <s>.
    stream = read_tokens(work / "held_out.bin").tolist()
    total, start = 0.0, 0
    for end, token in enumerate(stream, start=1):
        if token != 1:
            continue
        for first in range(start, end, 16):
            ids = torch.tensor([[0, *stream[first : min(first + 16, end)]]])
            with torch.inference_mode():
                logits = model(input_ids=ids).logits[0].log_softmax(dim=-1)
            total -= float(logits[:-1].gather(1, ids[0, 1:, None]).sum())
        start = end
    assert stored["held_out"]["perplexity"] == pytest.approx(np.exp(total / len(stream)), rel=1e-4)
    assert stored["held_out"]["bits_per_byte"] == pytest.approx(
        total / np.log(2) / json.loads((work / "held_out.json").read_text())["bytes"], rel=1e-4
    )
    assert tokenizer("river stone")["input_ids"][0] == tokenizer.bos_token_id == 0
    assert tokenizer.decode(tokenizer("river ünï")["input_ids"][1:]) == "river ünï"


def test_the_rate_warms_up_stays_and_falls():
    plan = LMPlan(tokens=8192 * 1000, batch=8192, warm_up=0.1, cool_down=0.5)
    shares = [plan.share_of_rate(step) for step in range(plan.steps)]
    assert shares[0] == pytest.approx(0.01)
    assert shares[99] == shares[400] == 1.0
    assert shares[750] == pytest.approx(0.5)
    assert 0 < shares[-1] < 0.01
