"""MiniLMFeatures end to end: counts against a slow path, caching, settings, edge corpora."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.serialise import content_hash
from mtmbench.core.specs import WordSpec
from mtmbench.core.types import Corpus
from mtmbench.features.corpus_labels import label_plan
from mtmbench.features.label_files import write_labels
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.features.sae.minilm import minilm_backbone
from mtmbench.features.sae.sae_folder import load_sae_folder
from mtmbench.features.sae.shipped import MiniLMFeatures
from mtmbench.features.views import make_views

F, K = 256, 8
TEXTS = (
    "The goalie made forty saves and the crowd cheered for the home team.",
    "Congress passed the budget after a long debate about taxes.",
    "Photosynthesis turns light into sugar in the leaves of plants. " * 30,
    "\u200b",
)
ALL_ON = {"threshold_quantile": 0.0, "max_doc_share": None, "max_density_multiple": None}


def corpus_of(*texts: str) -> Corpus:
    return Corpus("toy", tuple(str(i) for i in range(len(texts))), texts)


def write_folder(folder: Path, seed: int, window: int, layer: int = 6) -> None:
    from safetensors.numpy import save_file

    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    weights = {
        "W_enc": rng.normal(size=(384, F)), "b_enc": rng.normal(size=F) * 0.1,
        "W_dec": rng.normal(size=(F, 384)), "b_dec": rng.normal(size=384) * 0.1,
    }  # fmt: skip
    save_file(
        {name: array.astype(np.float16) for name, array in weights.items()},
        folder / "sae_weights.safetensors",
    )
    cfg = {
        "architecture": "topk", "k": K, "d_in": 384, "d_sae": F, "dtype": "float32",
        "device": "cpu", "metadata": {"hook_name": f"blocks.{layer - 1}.hook_resid_post"},
    }  # fmt: skip
    (folder / "cfg.json").write_text(json.dumps(cfg))
    save_file(
        {
            "quantiles": np.tile(np.array([0, 8, 12], np.float32), (F, 1)),
            "quantile_levels": np.array([0, 0.5, 0.8], np.float32),
            "density": np.full(F, K / F, np.float32),
        },
        folder / "features.safetensors",
    )
    (folder / "labels.json").write_text(json.dumps([f"feature{i}" for i in range(F)]))
    settings = {"window": window, "chunk_tokens": 254, "default": ALL_ON}
    if window == 1:
        settings["paper"] = {**ALL_ON, "threshold_quantile": 0.8, "max_doc_share": 0.5}
    (folder / "settings.json").write_text(json.dumps(settings))


@pytest.fixture
def saes(tmp_path: Path) -> Path:
    write_folder(tmp_path / "saes" / "token", 0, window=1)
    write_folder(tmp_path / "saes" / "window", 1, window=16, layer=4)
    return tmp_path / "saes"


def slow_counts(text: str, folder: Path, level: float) -> np.ndarray:
    """Eq. 5 for one document through transformers and sae-lens alone."""
    import sae_lens

    sae, info = sae_lens.SAE.load_from_disk(folder), load_sae_folder(folder)
    backbone = minilm_backbone()
    ids = backbone.tokenizer(text, add_special_tokens=False)["input_ids"]
    counts = np.zeros(F, int)
    for start in range(0, len(ids), 254):
        whole = torch.tensor([[101, *ids[start : start + 254], 102]])
        with torch.no_grad():
            hidden = backbone.model(input_ids=whole, output_hidden_states=True).hidden_states
            states = hidden[int(info.hook_point.split(".")[1]) + 1][0, 1:-1]
            if info.window > 1:
                rows, w = range(len(states)), info.window
                states = torch.stack(
                    [states[max(0, j - w // 2) : j + (w - 1) // 2 + 1].mean(0) for j in rows]
                )
            values = sae.encode(states).numpy()
        counts += (values > info.thresholds(level)).sum(axis=0)
    return counts


@pytest.mark.parametrize(
    ("setting", "sae", "level"), [("default", "window", 0.0), ("token80", "token", 0.8)]
)
def test_counts_equal_transformers_with_sae_lens(
    saes: Path, setting: str, sae: str, level: float
) -> None:
    source = MiniLMFeatures(
        saes, default="window", settings={"token80": {"sae": "token", "threshold_quantile": 0.8}}
    )
    counts = source.counts(corpus_of(*TEXTS), setting=setting)
    columns = [int(i) for i in counts.item_ids]
    for row, text in enumerate(TEXTS[:3]):
        expected = slow_counts(text, saes / sae, level)
        assert expected.sum() > 0
        found = np.zeros(F, int)
        found[columns] = counts.matrix[[row]].toarray().ravel()
        # TopK may break a near tie otherwise, no more than that.
        assert np.abs(found - expected).sum() <= 0.002 * expected.sum()
    assert counts.matrix[[3]].nnz == 0
    assert counts.n_tokens[3] == 0
    assert counts.n_tokens[2] > 254


def test_second_call_and_other_settings_run_no_forward_pass(
    saes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []
    forward = HuggingFaceBackbone._forward
    monkeypatch.setattr(
        HuggingFaceBackbone, "_forward",
        lambda self, *given: passes.append(1) or forward(self, *given),
    )  # fmt: skip
    corpus = corpus_of(*TEXTS)
    first = MiniLMFeatures(saes, default="window").counts(corpus)
    assert passes
    passes.clear()
    again = MiniLMFeatures(saes, default="window").counts(corpus)
    paper = MiniLMFeatures(saes, default="window").counts(corpus, setting="paper")
    assert not passes
    assert again.revision == first.revision
    assert paper.source["sae"] == "token"
    renamed = Corpus("other", tuple("abcd"), TEXTS, labels=tuple("xxyy"))
    assert (MiniLMFeatures(saes, default="window").counts(renamed).matrix != first.matrix).nnz == 0
    assert not passes
    MiniLMFeatures(saes, default="window").counts(corpus, max_tokens=10)
    assert passes


def test_without_its_cache_the_same_bits_come_out(
    saes: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = MiniLMFeatures(saes, default="window").counts(corpus_of(*TEXTS))
    monkeypatch.setenv("MTMBENCH_CACHE", str(tmp_path / "another"))
    second = MiniLMFeatures(saes, default="window").counts(corpus_of(*TEXTS))
    assert first.revision == second.revision
    assert first.activation is not None
    assert second.activation is not None
    assert first.activation.data.tobytes() == second.activation.data.tobytes()


def test_the_record_says_how_counts_were_made(saes: Path) -> None:
    counts = MiniLMFeatures(saes, default="window").counts(corpus_of(*TEXTS), max_tokens=20)
    source = counts.source
    assert source["backbone"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert source["hook_point"] == "blocks.3.hook_resid_post"
    assert (source["sae"], source["window"], source["chunk_tokens"]) == ("window", 16, 254)
    assert source["sae_hash"] == load_sae_folder(saes / "window").sae.revision
    assert source["threshold"]["quantile"] == 0.0
    assert source["max_tokens"] == 20
    assert source["tokens"]["documents_cut"] == 1
    assert source["tokens"]["documents_empty"] == 1
    assert source["tokens"]["counted"] == counts.n_tokens.sum()
    assert source["filters"]["items"] == F
    assert source["filters"]["kept"] == len(counts.item_ids) < F
    assert counts.directions is not None
    assert counts.directions.shape == (len(counts.item_ids), 384)
    json.dumps(source)


def test_settings_are_listed_and_wrong_ones_named(saes: Path) -> None:
    source = MiniLMFeatures(
        saes, default="token", settings={"open": {"max_doc_share": False, "sae": "window"}}
    )
    assert source.settings() == ["default", "paper", "open"]
    assert source.describe("open")["filter_limits"]["max_doc_share"] is None
    with pytest.raises(UnknownNameError, match="did you mean 'paper'"):
        source.counts(corpus_of("a"), setting="papper")
    with pytest.raises(InputError, match="unknown key 'max_doc_shar'; did you mean"):
        MiniLMFeatures(saes, "token", settings={"x": {"max_doc_shar": 1}}).settings()
    with pytest.raises(InputError, match=r"no quantile level 0\.33"):
        MiniLMFeatures(saes, "token", settings={"x": {"threshold_quantile": 0.33}}).settings()
    with pytest.raises(UnknownNameError, match="did you mean 'token'"):
        MiniLMFeatures(saes, default="tokens").settings()


def test_edge_corpora(saes: Path) -> None:
    one = MiniLMFeatures(saes, default="token").counts(corpus_of(TEXTS[0]))
    assert one.matrix.shape[0] == 1
    assert one.matrix.sum() == K * one.n_tokens[0]
    with pytest.raises(InputError, match=r"1 document.*max_doc_share=0\.5"):
        MiniLMFeatures(saes, default="token").counts(corpus_of(TEXTS[0]), setting="paper")
    with pytest.raises(InputError, match="none of the 1 documents has a token"):
        MiniLMFeatures(saes, default="token").counts(corpus_of("\u200b"))


def test_views_are_made_when_asked_for(saes: Path) -> None:
    corpus = corpus_of(*TEXTS)
    params = {"saes": str(saes), "default": "token"}
    views = make_views(corpus, words=WordSpec(min_df=1), params=params, max_tokens=12)
    assert views.words is not None
    assert "goalie" in views.words.item_ids
    assert views.features is not None
    assert views.features.n_tokens.max() == 12
    assert views.embeddings is not None
    assert views.embeddings.shape == (4, 384)
    assert make_views(corpus, words=WordSpec(), source=None).features is None
    with pytest.raises(UnknownNameError, match="feature source 'minilmm'"):
        make_views(corpus, words=WordSpec(), source="minilmm")
    with pytest.raises(UnknownNameError, match="feature setting 'papr'"):
        make_views(corpus, words=WordSpec(), params=params, setting="papr")


@pytest.mark.slow
def test_the_shipped_settings_on_real_news() -> None:
    import gensim

    file = Path(gensim.__file__).parent / "test" / "test_data" / "lee.cor"
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    texts = tuple(line for line in lines if line.strip())
    corpus = Corpus("lee-small", tuple(str(i) for i in range(len(texts))), texts)
    source = MiniLMFeatures()
    assert source.settings() == ["default", "paper"]
    for setting in source.settings():
        counts = source.counts(corpus, setting=setting)
        share = counts.source["filters"]["firings_kept"]
        assert 0.02 < share <= 1
        assert len(counts.item_ids) >= 100
        assert (counts.matrix.sum(axis=1) > 0).all()
        assert all(counts.item_labels)
    assert source.describe("paper")["threshold"]["quantile"] == 0.8
    assert source.describe("paper")["window"] == 1


def test_labels_that_a_judge_wrote_and_scored_win_over_the_corpus(saes: Path) -> None:
    labels = [f"feature{i}" for i in range(F)]
    source = MiniLMFeatures(saes=saes, default="token")
    assert source.folder("token").label_source == {"source": "shipped"}
    assert source.scored_labels() is None
    row = {"feature": 3, "label": "feature3", "score": 0.7}
    scores = {"schema": 1, "labels": content_hash(labels), "features": [row]}
    (saes / "token" / "label_scores.json").write_text(json.dumps(scores))
    # Scores of the labels that it came with make them no judge's.
    assert MiniLMFeatures(saes=saes, default="token").scored_labels() is None
    write_labels(saes / "token", labels, {"source": "judge", "card": "mine", "judge": {}})
    judged = MiniLMFeatures(saes=saes, default="token")
    assert judged.folder("token").label_source == {"source": "judge", "card": "mine"}
    scored = judged.scored_labels()
    assert scored is not None
    assert np.flatnonzero(scored).tolist() == [3]
    plan = label_plan(judged, "auto")
    assert plan is not None
    assert plan.kept == {3}
    corpus = corpus_of(*TEXTS[:3])
    assert 3 not in plan.make(corpus).whole
    whole = label_plan(judged, "corpus")
    assert whole is not None
    assert plan.key(corpus) != whole.key(corpus)
