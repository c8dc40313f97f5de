"""Feature sources over the activation store, by a toy model."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.types import Corpus
from mtmbench.features.sae import activation_store, extract
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.features.sae.sae import SAE
from mtmbench.features.sae.sae_folder import SAEFolder, plain_folder
from mtmbench.features.sae.source import StoredFeatures, layer_of

F, H = 24, 16
PIECE = 40
"""Tokens of a shard."""


def corpus_of(n_docs: int = 30, seed: int = 0) -> Corpus:
    rng = np.random.default_rng(seed)
    texts = [" ".join(f"w{i}" for i in rng.integers(0, 50, n)) for n in rng.integers(1, 30, n_docs)]
    return Corpus("toy", tuple(str(i) for i in range(n_docs)), tuple(texts))


def sae(seed: int) -> SAE:
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    return SAE("standard", draw(H, F), draw(F) - 1, draw(F, H), draw(H), True, None, None, {})


class Toy(StoredFeatures):
    """A GPT-2 of three blocks with an SAE at two of them."""

    name = "toy"

    def __init__(self, folder: Path, **more: Any) -> None:
        super().__init__(**more)
        self._model = HuggingFaceBackbone(folder, name="toy")

    @property
    def backbone(self) -> HuggingFaceBackbone:
        return self._model

    def sae_names(self) -> list[str]:
        return ["early", "late"]

    def load_folder(self, name: str) -> SAEFolder:
        place = {"early": "blocks.0.hook_resid_post", "late": "blocks.1.hook_mlp_out"}[name]
        return plain_folder(name, sae(len(name)), hook_point=place, chunk_tokens=20)


@pytest.fixture
def folder(tiny_model, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(activation_store.ShardStore.__init__, "__defaults__", (PIECE,))
    monkeypatch.setattr(activation_store.CountStore.__init__, "__defaults__", (PIECE,))
    path: Path = tiny_model("gpt2")[0]
    return path


BOTH = {"late": {"sae": "late"}}


def by_hand(folder: Path, corpus: Corpus, name: str) -> np.ndarray:
    """Counts of one SAE through the model's own hidden states, document by document."""
    import torch

    toy = Toy(folder)
    one = toy.folder(name).sae
    counts = np.zeros((len(corpus), F), int)
    for row, text in enumerate(corpus.texts):
        ids = toy.backbone.tokenise([text])[0]
        for start in range(0, len(ids), 20):
            whole = torch.tensor([[50, *ids[start : start + 20].tolist()]])
            seen = {}
            block = toy.backbone.model.h[1].mlp
            handle = block.register_forward_hook(lambda _m, _i, out, seen=seen: seen.update(x=out))
            with torch.inference_mode():
                states = toy.backbone.model(whole, output_hidden_states=True).hidden_states[1]
            handle.remove()
            a = (states if name == "early" else seen["x"])[0, 1:].numpy()
            pre = (a - one.b_dec) @ one.w_enc + one.b_enc
            counts[row] += (pre.astype(np.float16) > 0).sum(axis=0)
    return counts


@pytest.mark.parametrize("keep", ["activations", "counts"])
def test_counts_equal_the_models_own_states(folder: Path, keep: str) -> None:
    corpus = corpus_of()
    toy = Toy(folder, settings=BOTH, keep=keep)
    for setting, name in (("default", "early"), ("late", "late")):
        counts = toy.counts(corpus, setting=setting)
        expected = by_hand(folder, corpus, name)[:, [int(i) for i in counts.item_ids]]
        assert expected.sum() > 100
        assert np.abs(counts.matrix.toarray() - expected).sum() <= 0.002 * expected.sum()
        assert counts.source["hook_point"] == toy.folder(name).hook_point
        assert counts.item_labels[0] == f"feature {counts.item_ids[0]}"
    assert toy.saes()["late"] == {
        "hook_point": "blocks.1.hook_mlp_out", "layer": 1, "width": F, "window": 1,
    }  # fmt: skip


def test_one_forward_pass_fills_the_stores_of_all_saes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy, corpus = Toy(folder, settings=BOTH), corpus_of()
    toy.counts(corpus)
    monkeypatch.setattr(HuggingFaceBackbone, "_forward", lambda *_: pytest.fail("ran again"))
    toy.counts(corpus, setting="late")
    Toy(folder, settings={"other": {"sae": "late", "max_doc_share": False}}).counts(
        corpus, setting="other"
    )


def extracting(path: Path, cache: str, n_docs: int, log: Path, pause: float) -> None:
    """A process that notes each shard it makes, and takes its time."""
    os.environ["MTMBENCH_CACHE"] = cache
    activation_store.ShardStore.__init__.__defaults__ = (PIECE,)
    real = extract.extract_shard

    def noted(tokens: Any, first: int, *rest: Any) -> Any:
        with log.open("a") as file:
            file.write(f"{first}\n")
        time.sleep(pause)
        return real(tokens, first, *rest)

    extract.extract_shard = noted
    Toy(path, settings=BOTH).counts(corpus_of(n_docs))


def start(*arguments: Any) -> multiprocessing.Process:
    process = multiprocessing.get_context("fork").Process(target=extracting, args=arguments)
    process.start()
    return process


def files(cache: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(cache)): path.read_bytes()
        for path in sorted(cache.glob("activations/**/*.parquet"))
    }


@pytest.mark.slow
def test_processes_share_the_shards_and_a_killed_one_loses_no_more_than_one(
    folder: Path, tmp_path: Path, own_cache: Path
) -> None:
    Toy(folder, settings=BOTH).counts(corpus_of(60))
    expected = files(own_cache)
    assert len(expected) > 20
    other, log = tmp_path / "other", tmp_path / "log"
    workers = [start(folder, str(other), 60, log, 0.05) for _ in range(2)]
    deadline = time.monotonic() + 60
    while not log.exists() or len(log.read_text().split()) < 6:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    workers[0].kill()
    for worker in workers:
        worker.join(60)
    assert workers[1].exitcode == 0
    assert files(other) == expected
    made = log.read_text().split()
    assert len(made) - len(set(made)) <= 1
    assert len(set(made)) == len(expected) // 2


def test_top_features_are_located(folder: Path) -> None:
    corpus = corpus_of(12, seed=3)
    toy = Toy(folder)
    found = toy.top_activations(corpus, [7, 2], n_features=3, n_contexts=2)
    counts = toy.counts(corpus)
    dense = counts.matrix.toarray()
    weights = dense * np.log(len(corpus) / np.maximum((dense > 0).sum(axis=0), 1))
    for row, tops in zip([7, 2], found, strict=True):
        best = sorted(weights[row], reverse=True)[: len(tops)]
        columns = [counts.item_ids.index(str(top.feature)) for top in tops]
        np.testing.assert_allclose(weights[row][columns], best, rtol=1e-5)
        words = corpus.texts[row].split()
        for top, column in zip(tops, columns, strict=True):
            assert top.count == dense[row][column]
            assert len(top.contexts) == min(2, top.count)
            values = [context.value for context in top.contexts]
            assert values == sorted(values, reverse=True)
            for context in top.contexts:
                around = f"{context.before} {context.token} {context.after}".split()
                assert " ".join(around) in " ".join(words)
                assert context.token in words


def test_sums_are_those_of_the_activations_of_each_token(folder: Path) -> None:
    corpus = corpus_of()
    sums_alone = {"sums": {"values": "sums"}}
    toy = Toy(folder, settings={**sums_alone, "both": {"values": "sums", "idf": True}})
    plain = toy.counts(corpus)
    counts = toy.counts(corpus, setting="sums")
    _, store = toy.filled_store(corpus)
    assert isinstance(store, activation_store.ActivationStore)
    sums = np.zeros((len(corpus), F))
    for number in range(len(store.shards)):
        shard = store.read(number)
        for token, document in enumerate(shard.documents):
            for entry in range(shard.starts[token], shard.starts[token + 1]):
                sums[document, shard.features[entry]] += float(shard.values[entry])
    sums = sums[:, [int(i) for i in plain.item_ids]]
    dense = plain.matrix.toarray()
    assert counts.weighted is not None
    expected = sums * (dense.sum(axis=0) / sums.sum(axis=0))
    np.testing.assert_allclose(counts.weighted.toarray(), expected, rtol=1e-6)
    np.testing.assert_array_equal(counts.matrix.toarray(), dense)
    assert counts.item_ids == plain.item_ids
    assert counts.source["weighting"] == {
        "values": "sums", "idf": False, "documents_without_mass": 0,
    }  # fmt: skip
    assert toy.describe("both")["weighting"] == {"values": "sums", "idf": True}
    assert "weighting" not in toy.describe()
    kept = Toy(folder, settings=sums_alone, keep="counts")
    with pytest.raises(InputError, match="does not keep sums of activations"):
        kept.counts(corpus, setting="sums")


def test_what_cannot_be_had_is_named(folder: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'counts'"):
        Toy(folder, keep="count")
    with pytest.raises(InputError, match="does not say where"):
        Toy(folder, keep="counts").top_activations(corpus_of(), [0])
    with pytest.raises(InputError, match="comes without thresholds"):
        Toy(folder, settings={"x": {"threshold_quantile": 0.8}}).settings()
    with pytest.raises(InputError, match="has no labels"):
        Toy(folder, settings={"x": {"drop_label_classes": ["grammar"]}}).settings()
    with pytest.raises(InputError, match="no reference text"):
        Toy(folder, settings={"x": {"max_density_multiple": 2}}).counts(corpus_of(), setting="x")
    with pytest.raises(UnknownNameError, match="did you mean 'late'"):
        Toy(folder, settings={"x": {"sae": "lates"}}).settings()


def test_layers_are_read_off_hook_names() -> None:
    assert layer_of("blocks.11.hook_resid_pre") == 11
    assert layer_of("encoder.layer.3") is None


def firings_of(toy: Toy, corpus: Corpus, setting: str) -> list[tuple[int, ...]]:
    return sorted(
        entry
        for part in toy.firings(corpus, setting=setting, max_tokens=15)
        for entry in zip(
            part.documents.tolist(), part.starts.tolist(), part.ends.tolist(),
            part.features.tolist(), strict=True,
        )
    )  # fmt: skip


def test_firings_are_the_counts_and_those_of_a_store_of_counts_are_the_same(folder: Path) -> None:
    corpus = corpus_of()
    toys = [Toy(folder, settings=BOTH, keep=keep) for keep in ("activations", "counts")]
    kept, again = (firings_of(toy, corpus, "late") for toy in toys)
    assert kept == again
    counts = toys[0].counts(corpus, setting="late", max_tokens=15)
    expected = np.zeros((len(corpus), F), int)
    for row, _, _, feature in kept:
        expected[row, feature] += 1
    columns = [int(item) for item in counts.item_ids]
    assert np.array_equal(counts.matrix.toarray(), expected[:, columns])
    spans = {(row, *span) for row, *span, _ in kept}
    tokens = [toys[0].backbone.spans([text])[0][:15].tolist() for text in corpus.texts]
    assert spans <= {(row, *span) for row, its in enumerate(tokens) for span in its}


def test_a_source_tells_where_its_labels_are_from(folder: Path) -> None:
    toy = Toy(folder)
    assert toy.counts(corpus_of()).source["labels"] == {"source": None}
    assert toy.scored_labels() is None


def test_a_source_says_what_is_at_hand_and_how_strongly_features_fire(folder: Path) -> None:
    corpus = corpus_of()
    toy = Toy(folder)
    assert not toy.at_hand("counts", corpus)
    assert not toy.at_hand("firings", corpus)
    top = toy.top_activations(corpus, range(len(corpus)), n_features=3, n_contexts=1)
    assert toy.at_hand("counts", corpus)
    assert toy.at_hand("firings", corpus)
    assert not toy.at_hand("counts", corpus, max_tokens=7)
    strongest: dict[tuple[int, int], float] = {}
    for part in toy.firings(corpus):
        assert part.values is not None
        for row, feature, value in zip(part.documents, part.features, part.values, strict=True):
            place = int(row), int(feature)
            strongest[place] = max(float(value), strongest.get(place, 0.0))
    told = {
        (row, each.feature): each.contexts[0].value
        for row, features in enumerate(top)
        for each in features
    }
    assert len(told) > 50
    assert told == {place: strongest[place] for place in told}
    counted = Toy(folder, keep="counts")
    counted.counts(corpus)
    assert counted.at_hand("counts", corpus)
    assert not counted.at_hand("firings", corpus)
    assert toy.label_scores() is None
