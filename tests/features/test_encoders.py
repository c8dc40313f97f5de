"""Encoders of sentence-transformers, against transformers and numpy; who is told of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tiny_models import write_encoder

from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import JudgeCard, Suite
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.corpora.offline import offline
from mtmbench.engine.harness import run_suite
from mtmbench.engine.plan import make_plan
from mtmbench.features.cache import cache_dir
from mtmbench.features.embeddings import embed_texts
from mtmbench.features.encoders import encoder_identity, is_default, shown_encoder
from mtmbench.judges.identity import card_identity, judge_identity, match_identity

TEXTS = ["w1 w2 w3", "w4", "", "w5 w6 w7 w8 w9", "w1 w2 w3"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoders") / "tiny-encoder"
    write_encoder(folder)
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTMBENCH_CACHE", str(tmp_path / "cache"))


def by_hand(folder: Path, text: str) -> np.ndarray:
    import torch
    from transformers import AutoModel, AutoTokenizer

    ids = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        states = AutoModel.from_pretrained(folder).double().eval()(input_ids=ids)
    mean = states.last_hidden_state[0].mean(0).numpy()
    return mean / np.linalg.norm(mean)


@pytest.mark.slow
def test_embeddings_are_the_means_of_token_states_and_are_kept(encoder: Path) -> None:
    found = embed_texts(TEXTS, model=str(encoder))
    expected = np.stack([by_hand(encoder, text) for text in TEXTS])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2.0**-20)
    np.testing.assert_array_equal(found[0], found[4])
    alone = embed_texts([TEXTS[3]], model=str(encoder), cache=False)
    np.testing.assert_array_equal(alone[0], found[3])
    (kept,) = (cache_dir() / "embeddings").glob("encoder-*.sqlite")
    assert str(encoder_identity(str(encoder))["hash"]) in kept.name
    assert embed_texts([], model=str(encoder)).shape == (0, 16)


def test_what_an_encoder_is_follows_from_its_files(encoder: Path, tmp_path: Path) -> None:
    told = encoder_identity(str(encoder))
    assert told["encoder"] == shown_encoder(str(encoder)) == "tiny-encoder"
    copied = tmp_path / "elsewhere" / "tiny-encoder"
    shutil.copytree(encoder, copied)
    assert encoder_identity(str(copied)) == told
    (copied / "README.md").write_text("a card is no part of it")
    assert encoder_identity(str(copied)) == told
    (copied / "1_Pooling" / "config.json").write_text("{}")
    assert encoder_identity(str(copied))["hash"] != told["hash"]
    for name in ("minilm", "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"):
        assert is_default(name)
        assert shown_encoder(name) == "all-MiniLM-L6-v2"


def test_what_is_no_encoder_is_an_error_of_one_line(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown embedding model .* 'minilmm'; did you"):
        embed_texts(["a"], model="minilmm")
    with pytest.raises(InputError, match="'nobody/nothing' is neither a folder here nor to be had"):
        embed_texts(["a"], model="nobody/nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty is no encoder .* has no modules\.json"):
        embed_texts(["a"], model=str(tmp_path / "empty"))
    broken = tmp_path / "broken"
    shutil.copytree(encoder, broken)
    (broken / "modules.json").write_text(json.dumps([{"type": "os.path.Module", "path": ""}]))
    with pytest.raises(InputError, match=r"names 'os\.path\.Module'; modules of sentence_trans"):
        embed_texts(["a"], model=str(broken))
    (broken / "modules.json").write_text("[]")
    (broken / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"broken holds no weights \(\.safetensors\)"):
        embed_texts(["a"], model=str(broken))


def test_records_of_a_judge_tell_its_encoder_where_it_is_not_the_default(encoder: Path) -> None:
    plain = JudgeCard(client="embedding")
    named = JudgeCard(client="embedding", params={"encoder": "minilm"})
    own = JudgeCard(client="embedding", params={"encoder": str(encoder)})
    assert match_identity("j", plain)["encoder"] == "all-MiniLM-L6-v2"
    for card in (plain, named):
        assert "judge_inputs" not in match_identity("j", card)
    told = match_identity("j", own)
    assert told["encoder"] == "tiny-encoder"
    assert told["judge_inputs"] == judge_identity(own)["inputs"] == encoder_identity(str(encoder))
    hub = JudgeCard(client="embedding", params={"encoder": "nobody/nothing"})
    with offline():
        assert match_identity("j", hub)["judge_inputs"]["encoder"] == "nobody/nothing"
    with pytest.raises(InputError, match="'nobody/nothing' is neither a folder"):
        match_identity("j", hub)


def test_where_an_encoder_lies_is_in_no_identity_of_its_judge(
    encoder: Path, tmp_path: Path
) -> None:
    def told(folder: Path) -> list[Any]:
        card = JudgeCard(client="embedding", params={"encoder": str(folder), "tie_below": 0.1})
        return [judge_identity(card), match_identity("j", card), card_identity(card)]

    copy = shutil.copytree(encoder, tmp_path / "elsewhere" / encoder.name)
    assert told(encoder) == told(copy)
    assert str(encoder.parent) not in json.dumps(told(encoder))
    assert told(encoder)[2]["params"] == {"encoder": "tiny-encoder", "tie_below": 0.1}
    # Keys of cards without an encoder hold.
    plain = JudgeCard(client="embedding")
    assert card_identity(plain) == plain.identity()


@pytest.mark.slow
def test_a_suite_is_played_by_an_encoder_of_its_own(encoder: Path, tmp_path: Path) -> None:
    """Fits, metrics and the judge read it, the board says so, and keys tell it from the default."""
    texts = tmp_path / "two.jsonl"
    rows = [" ".join(f"w{10 * (i % 2) + (i * j) % 7}" for j in range(1, 9)) for i in range(24)]
    texts.write_text(
        "".join(json.dumps({"id": str(i), "text": t}) + "\n" for i, t in enumerate(rows))
    )
    card = tmp_path / "own.toml"
    card.write_text(f'client = "embedding"\n[params]\nencoder = "{encoder}"\n')

    def suite(**changes: object) -> Suite:
        data = {
            "name": "s", "corpora": [str(texts)], "k": 2,
            "models": ["fastopic", "topica:etm", "k_means"],
            "params": {"fastopic": {"epochs": 3}}, "metrics": ["embedding_coherence"],
            "words": {"max_df": 1.0},
        }  # fmt: skip
        return parse_card({**data, **changes}, Suite, "here")

    judging = {"judges": [str(card)], "documents": 6, "bootstrap": 100}
    own = make_plan(suite(embeddings={"encoder": str(encoder)}, judging=judging))
    plain, named = make_plan(suite()), make_plan(suite(embeddings={"encoder": "minilm"}))
    assert plain.keys() == named.keys()
    keys = {fit.model: fit.key for fit in plain.fits}
    assert {fit.model: fit.key == keys[fit.model] for fit in own.fits} == {
        "fastopic": False, "topica:etm": False, "k_means": True,
    }  # fmt: skip
    assert not {cell.key for cell in own.metrics} & {cell.key for cell in plain.metrics}
    run = tmp_path / "run"
    assert run_suite(own.suite, run, workers=0, plan=own).errors == ()
    board = json.loads((run / "board.json").read_text())
    (judge,) = board["judges"]
    # topica's ETM reads vectors of words alone, by the same encoder.
    assert judge["encoder"] == "tiny-encoder"
    assert judge["shares_encoder_with"] == ["fastopic", "topica:etm"]
    assert "It compares texts by the encoder tiny-encoder." in (run / "board.md").read_text()
    records = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    told = [r["payload"]["details"]["encoder"] for r in records if r["kind"] == "metric"]
    assert set(told) == {"tiny-encoder"}
