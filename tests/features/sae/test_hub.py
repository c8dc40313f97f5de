"""The feature source "sae": any model with any SAE, what a reference text tells of it, doctor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mtmbench.cli.app import app
from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus
from mtmbench.features.sae.backbone_files import describe_backbone
from mtmbench.features.sae.contexts import load_contexts
from mtmbench.features.sae.hub import ModelFeatures
from mtmbench.features.sae.reference import N_STRONGEST, WINDOW_TOKENS, build_folder, draw_reference
from mtmbench.features.sae.sae import SAE, load_sae, save_sae
from mtmbench.features.sae.sae_folder import load_sae_folder

H, F = 16, 32
HOOK = "blocks.1.hook_resid_pre"


def corpus_of(n_docs: int = 80, seed: int = 0) -> Corpus:
    rng = np.random.default_rng(seed)
    texts = [" ".join(f"w{i}" for i in rng.integers(0, 50, n)) for n in rng.integers(1, 60, n_docs)]
    return Corpus("toy", tuple(str(i) for i in range(n_docs)), tuple(texts))


def an_sae(seed: int = 0, **metadata: Any) -> SAE:
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    metadata = {"hook_name": HOOK, "prepend_bos": True, "context_size": 21, **metadata}
    return SAE("standard", draw(H, F), draw(F) - 2, draw(F, H), draw(H), True, None, None, metadata)


@pytest.fixture
def sae_folder(tmp_path: Path) -> Path:
    save_sae(an_sae(), tmp_path / "raw")
    return tmp_path / "raw"


@pytest.fixture
def model(tiny_model) -> Path:
    path: Path = tiny_model("gpt2")[0]
    return path


def source_of(model: Path, folder: Path, **more: Any) -> ModelFeatures:
    return ModelFeatures(str(model), {"mine": {"folder": str(folder)}}, **more)


def activations(model: Path, corpus: Corpus, *, centred: bool = False) -> list[np.ndarray]:
    """(tokens, F) activations of each document, through transformers and sae-lens's arithmetic."""
    from transformers import AutoModel

    network, sae, found = AutoModel.from_pretrained(model).eval(), an_sae(), []
    for text in corpus.texts:
        ids = [int(word[1:]) for word in text.split()]
        rows = []
        for start in range(0, len(ids), 20):
            whole = torch.tensor([[50, *ids[start : start + 20]]])
            with torch.inference_mode():
                states = network(whole, output_hidden_states=True).hidden_states[1][0, 1:].numpy()
            if centred:
                states = states - states.mean(axis=1, keepdims=True)
            pre = (states - sae.b_dec) @ sae.w_enc + sae.b_enc
            rows.append(np.maximum(pre.astype(np.float16).astype(np.float32), 0))
        found.append(np.concatenate(rows))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("centred", [False, True])
def test_counts_of_an_sae_as_its_config_says(model: Path, tmp_path: Path, centred: bool) -> None:
    said = {"model_from_pretrained_kwargs": {"center_writing_weights": centred}}
    save_sae(an_sae(**said), tmp_path / "raw")
    corpus, source = corpus_of(), source_of(model, tmp_path / "raw")
    counts = source.counts(corpus)
    columns = [int(i) for i in counts.item_ids]
    expected = np.stack([(a > 0).sum(axis=0) for a in activations(model, corpus, centred=centred)])
    assert expected.sum() > 1000
    difference = np.abs(counts.matrix.toarray() - expected[:, columns]).sum()
    assert difference <= 0.001 * expected.sum()
    assert counts.source["centred"] is centred
    assert counts.source["chunk_tokens"] == 20
    assert counts.source["specials"] == [[50], []]
    other = activations(model, corpus, centred=not centred)
    assert np.abs(np.stack([(a > 0).sum(axis=0) for a in other]) - expected).sum() > 100


def test_a_centred_stream_is_one_by_its_new_name_too(model: Path, tmp_path: Path) -> None:
    save_sae(
        an_sae(model_from_pretrained_kwargs={"center_writing_weights": True}), tmp_path / "sae"
    )
    for name, centred in (
        ("blocks.0.hook_resid_post", True), ("blocks.0.hook_out", True), ("h.0.mlp", False)
    ):  # fmt: skip
        given = {"folder": str(tmp_path / "sae"), "hook_point": name}
        assert ModelFeatures(str(model), {"mine": given}).describe()["centred"] is centred


def test_the_config_of_an_sae_may_be_overruled(model: Path, sae_folder: Path) -> None:
    given = {"folder": str(sae_folder), "hook_point": "h.0.mlp", "context_size": 9}
    source = ModelFeatures(str(model), {"mine": given}, prepend_bos=False)
    described = source.describe()
    assert (described["hook_point"], described["chunk_tokens"]) == ("h.0.mlp", 9)
    assert described["specials"] == [[], []]


@pytest.mark.slow
def test_a_reference_text_gives_thresholds_densities_contexts_and_labels(
    model: Path, sae_folder: Path, tmp_path: Path
) -> None:
    import sae_lens

    corpus = corpus_of()
    dense = activations(model, corpus)
    tokens = np.concatenate(dense)
    folder = build_folder(source_of(model, sae_folder), corpus, tmp_path / "built")
    assert folder.estimated_on == "toy"
    np.testing.assert_allclose(folder.density, (tokens > 0).mean(axis=0), atol=2e-4)
    for level in (0.5, 0.8, 0.95):
        for feature in range(F):
            fired = tokens[:, feature][tokens[:, feature] > 0]
            if len(fired):
                # The share below a quantile, and at it, lies on both sides of the level.
                found = folder.thresholds(level)[feature]
                assert (fired < found * 0.999).mean() <= level + 0.005
                assert (fired <= found * 1.001).mean() >= level - 0.005
    contexts = load_contexts(tmp_path / "built")
    assert contexts.n_features == F
    for feature, strongest in enumerate(contexts.strongest):
        best = sorted((d[:, feature].max() for d in dense if d[:, feature].max() > 0), reverse=True)
        found = [context.value for context in strongest]
        assert len(found) == min(len(best), N_STRONGEST)
        np.testing.assert_allclose(found, best[: len(found)], rtol=2e-3)
        for context in (*strongest, *contexts.sampled[feature]):
            assert any(context.text in text for text in corpus.texts)
            assert len(context.text.split()) <= 2 * WINDOW_TOKENS + 1
            assert context.text[context.start : context.end].startswith("w")
    assert len(contexts.random) == len(corpus)
    whole = {text: row for row, text in enumerate(corpus.texts)}
    within = [context for context in contexts.random if context.text in whole]
    assert len(within) > 20
    for context in within:
        fires = dense[whole[context.text]].max(axis=0) > 0
        assert list(context.features) == np.flatnonzero(fires).tolist()
    assert folder.labels is not None
    assert len(folder.labels) == F
    peer = sae_lens.SAE.load_from_disk(tmp_path / "built")
    assert peer.cfg.metadata.hook_name == HOOK
    np.testing.assert_array_equal(peer.W_enc.detach().numpy(), an_sae().w_enc)
    source = source_of(model, tmp_path / "built")
    assert source.settings() == ["default", "paper"]
    paper = source.counts(corpus, setting="paper")
    assert paper.source["threshold"] == {"quantile": 0.8, "estimated_on": "toy"}
    limits = folder.thresholds(0.8)
    expected = np.stack([(d > limits).sum(axis=0) for d in dense])
    columns = [int(i) for i in paper.item_ids]
    assert np.abs(paper.matrix.toarray() - expected[:, columns]).sum() <= 0.01 * expected.sum()


def test_the_reference_is_whole_documents_at_random_up_to_a_number_of_tokens(
    model: Path, sae_folder: Path
) -> None:
    corpus, backbone = corpus_of(), source_of(model, sae_folder).backbone
    found = draw_reference(corpus, backbone, 300, seed=1)
    lengths = [len(text.split()) for text in found.texts]
    assert 300 <= sum(lengths) < 300 + 60
    assert draw_reference(corpus, backbone, 300, seed=1).doc_ids == found.doc_ids
    assert draw_reference(corpus, backbone, 300, seed=2).doc_ids != found.doc_ids
    assert len(draw_reference(corpus, backbone, 10**9, seed=1)) == len(corpus)
    with pytest.raises(InputError, match="0 tokens"):
        draw_reference(corpus, backbone, 0, seed=1)


def test_the_command_builds_the_same_folder(model: Path, sae_folder: Path, tmp_path: Path) -> None:
    corpus = corpus_of()
    file = tmp_path / "toy.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in corpus.texts))
    out = tmp_path / "built"
    result = CliRunner().invoke(
        app,
        [
            "features", "--backbone", str(model), "--sae", str(sae_folder), "--reference",
            str(file), "--out", str(out), "--tokens", "500",
        ],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert f"of {F} features fire" in result.output
    folder = load_sae_folder(out)
    settings = json.loads((out / "settings.json").read_text())
    assert 500 <= settings["reference"]["tokens"] < 560
    assert settings["reference"]["quantile_error"]["percentiles_99"] < 0.5
    assert folder.sae.revision == load_sae(sae_folder).revision


@pytest.mark.parametrize(
    "where",
    ["mtmbench.corpora.load.load_corpus", "mtmbench.features.sae.hub.ModelFeatures",
     "mtmbench.features.sae.reference.build_folder"],
)  # fmt: skip
def test_ctrl_c_at_any_time_says_how_to_go_on(
    model: Path, sae_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def stop(*_arguments: Any, **_named: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(where, stop)
    (tmp_path / "toy.jsonl").write_text('{"text": "w1 w2"}\n' * 30)
    result = CliRunner().invoke(
        app,
        [
            "features", "--backbone", str(model), "--sae", str(sae_folder), "--reference",
            str(tmp_path / "toy.jsonl"), "--out", str(tmp_path / "built"),
        ],
    )  # fmt: skip
    assert result.exit_code == 130
    assert result.stderr == "interrupted; the same command again goes on from here\n"


@pytest.mark.parametrize(
    ("saes", "message"),
    [
        ({}, "needs params: backbone"),
        ({"a": {"foldr": "x"}}, "unknown key 'foldr'; did you mean 'folder'"),
        ({"a": {"release": "gpt2-small-res-jb"}}, "give folder, or release and id, or all three"),
        ({"a": {"folder": "x", "release": "y"}}, "give folder, or release and id"),
        ({"a": {"folder": "x", "context_size": "64"}}, "context_size is '64'; it must be a whole"),
        ({"a": {"folder": "x", "window": 0}}, "window is 0; it must be a whole number above 0"),
        ({"a": {"folder": "x", "hook_point": 3}}, "hook_point is 3; it must be a text"),
    ],
)
def test_wrong_params_are_named(saes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ModelFeatures("gpt2", saes)


def test_saes_that_disagree_with_each_other_or_the_model_are_named(
    model: Path, tmp_path: Path
) -> None:
    save_sae(an_sae(), tmp_path / "a")
    save_sae(an_sae(prepend_bos=False), tmp_path / "b")
    both = {name: {"folder": str(tmp_path / name)} for name in "ab"}
    with pytest.raises(InputError, match="a: True, b: False"):
        ModelFeatures(str(model), both).settings()
    save_sae(an_sae(hook_name="blocks.9.hook_resid_pre"), tmp_path / "c")
    with pytest.raises(InputError, match=r"no hook point 'blocks\.9\.hook_resid_pre'"):
        source_of(model, tmp_path / "c").counts(corpus_of(3))
    save_sae(an_sae(hook_name=None), tmp_path / "d")
    with pytest.raises(InputError, match="does not say its hook point"):
        source_of(model, tmp_path / "d").settings()


def test_doctor_says_what_a_backbone_lacks(model: Path, tmp_path: Path) -> None:
    found = describe_backbone(str(model))
    assert found.verdict == "complete; nothing is fetched"
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {f.name for f in found.files}
    assert "blocks.0 to 2.hook_resid_pre" in found.hook_points
    (tmp_path / "config.json").write_text("{}")
    assert "lacks model*.safetensors, tokenizer.json" in describe_backbone(str(tmp_path)).verdict
    with pytest.raises(InputError, match="neither a folder nor a name"):
        describe_backbone("not/a/name")


def test_doctor_names_the_parts_of_the_weights_that_are_missing(
    model: Path, tmp_path: Path
) -> None:
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((model / name).read_bytes())
    parts = [f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
    index = {"weight_map": {"a": parts[0], "b": parts[1], "c": parts[2], "d": parts[2]}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / parts[0]).write_bytes(b"")
    verdict = describe_backbone(str(tmp_path)).verdict
    assert verdict == f"it lacks {parts[1]}, {parts[2]}; a run could not read it"


def test_doctor_says_the_hook_points_of_any_model(tiny_model, tmp_path: Path) -> None:
    found = describe_backbone(str(tiny_model("gemma3")[0]))
    assert "blocks.0 to 2.hook_mlp_out" in found.hook_points
    # Only a block with full attention has heads side by side.
    found = describe_backbone(str(tiny_model("qwen3_5")[0]))
    assert "blocks.0 to 2.hook_attn_out" in found.hook_points
    assert "blocks.0 to 2.attn.hook_z" not in found.hook_points
    (tmp_path / "config.json").write_text('{"model_type": "no_such_model"}')
    assert describe_backbone(str(tmp_path)).hook_points == ("the paths of its modules",)


def test_doctor_reads_the_hubs_cache_and_its_listing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    import huggingface_hub.constants as constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))

    class Listing:
        siblings = (
            huggingface_hub.hf_api.RepoSibling("config.json", size=1000),
            huggingface_hub.hf_api.RepoSibling("model.safetensors", size=5 * 2**20),
            huggingface_hub.hf_api.RepoSibling("pytorch_model.bin", size=9 * 2**20),
        )

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_a, **_k: Listing())
    found = describe_backbone("someone/tiny")
    assert [file.name for file in found.files] == ["config.json", "model.safetensors"]
    assert found.verdict == "a run would fetch 5 MiB from the hub"

    def fails(*_a: Any, **_k: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fails)
    assert "model*.safetensors of someone/tiny" in describe_backbone("someone/tiny").verdict
    revision = "0" * 40
    snapshot = cache / "models--someone--tiny" / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (cache / "models--someone--tiny" / "refs").mkdir()
    (cache / "models--someone--tiny" / "refs" / "main").write_text(revision)
    for path in model.iterdir():
        (snapshot / path.name).write_bytes(path.read_bytes())
    assert describe_backbone("someone/tiny").verdict == "complete; nothing is fetched"
