"""Candidates for the SAE: counts by brute force, NMI of planted topics, rows as they are done."""

from __future__ import annotations

import csv
import json
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.types import Corpus
from mtmbench.embedded.training import candidates, minilm
from mtmbench.embedded.training.activations import (
    document_passages,
    load_activations,
    read_passages,
    sentence_means,
    store_activations,
    write_passages,
)
from mtmbench.embedded.training.candidates import (
    CANDIDATES,
    Candidate,
    Rows,
    feature_counts,
    nmi_of,
    rows_of,
)
from mtmbench.embedded.training.topk import TrainingPlan, explained_variance
from mtmbench.features.sae.minilm import minilm_backbone
from mtmbench.features.sae.sae import SAE, load_sae
from mtmbench.features.sae.sae_folder import load_sae_folder

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

TEXTS = {
    "money": ("The bank raised rates. Shares fell.", "Inflation slowed; the bank cut rates."),
    "sea": ("Penguins feed on krill. They nest on ice.", "Whales and krill. The ice melts!"),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    backbone = minilm_backbone()
    labels = tuple(label for label, texts in TEXTS.items() for _ in range(3 * len(texts)))
    texts = tuple(f"{t} Day {i}." for some in TEXTS.values() for t in some for i in range(3))
    corpus = Corpus("toy", tuple(f"d{i}" for i in range(len(texts))), texts, labels)
    for name in ("train", "held_out", "dbpedia", "yelp"):
        write_passages(folder / name, document_passages(corpus, backbone), {})
        chunks = [passage.tokens for passage in read_passages(folder / name)]
        store_activations(chunks, folder / name, (5, 6), backbone)
    return folder


def _identity(n: int) -> SAE:
    eye, zeros = np.eye(n, dtype=np.float32), np.zeros(n, np.float32)
    return SAE(
        "topk", eye, zeros, eye, zeros, subtract_b_dec=True, k=2, threshold=None, metadata={}
    )


def test_counts_and_topics_of_planted_documents() -> None:
    rng = np.random.default_rng(0)
    labels = tuple("ab"[i % 2] for i in range(20))
    document_of = np.repeat(np.arange(20), 15)
    values = np.zeros((300, 6), np.float16)
    for row, document in zip(values, document_of, strict=True):
        theme = rng.choice(3, rng.integers(1, 3), replace=False) + 3 * (document % 2)
        row[theme] = rng.uniform(0.5, 1, len(theme))
    rows = Rows(values, document_of, labels, np.full(20, 15))

    counts = feature_counts(_identity(6), rows)

    wanted = np.stack([(values[document_of == d] > 0).sum(axis=0) for d in range(20)])
    np.testing.assert_array_equal(counts.matrix.toarray(), wanted)
    assert nmi_of(counts, labels, 2, 2) == [pytest.approx(1.0)] * 2


def test_rows_are_tokens_or_sentences_of_their_documents(cache: Path) -> None:
    passages = list(read_passages(cache / "yelp"))
    values = load_activations(cache / "yelp", 6)
    tokens = rows_of(cache / "yelp", 6, "token")
    assert np.bincount(tokens.document_of).tolist() == [len(p.tokens) for p in passages]
    np.testing.assert_array_equal(tokens.values, values)

    sentences = rows_of(cache / "yelp", 6, "sentence")
    # Two or three sentences a document: "Inflation slowed; the bank cut rates. Day 1." has two.
    assert np.bincount(sentences.document_of).tolist() == [3] * 3 + [2] * 3 + [3] * 6
    np.testing.assert_array_equal(sentences.values, sentence_means(values, passages)[0])
    assert sentences.labels == tokens.labels
    assert sentences.n_tokens.tolist() == tokens.n_tokens.tolist()


def test_a_candidate_has_its_row_as_soon_as_it_is_done(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = TrainingPlan(24, 4, batch=32)
    given = {
        "one": Candidate(plan),
        "two": Candidate(TrainingPlan(24, 4, "batchtopk", (6,), batch=32), 5, "sentence"),
        "broken": Candidate(plan, layer=4),
    }
    monkeypatch.setattr(candidates, "CANDIDATES", given)
    monkeypatch.setattr(candidates, "N_TOPICS", dict.fromkeys(("held_out", "dbpedia", "yelp"), 2))
    monkeypatch.setattr(candidates, "prepare_corpora", lambda data, cache: None)
    table = tmp_path / "table.csv"
    arguments = [
        "--data", str(tmp_path), "--cache", str(cache), "--table", str(table), "--steps", "30",
        "--tokens", "100", "--nmi-seeds", "2",
    ]  # fmt: skip
    with pytest.raises(Exception, match="no activations of layer 4"):
        candidates.main(arguments)
    before = table.read_text()
    rows = list(csv.DictReader(before.splitlines()))

    assert [row["name"] for row in rows] == ["one", "two"]
    for row, candidate in zip(rows, given.values(), strict=False):
        held_out = rows_of(cache / "held_out", candidate.layer, candidate.pooling).values
        saved = next((cache / "saes").glob(f"{row['name']}-*"))
        sae = load_sae(saved)
        assert float(row["explained_variance"]) == pytest.approx(
            explained_variance(sae, held_out), abs=1e-4
        )
        means = [float(row[f"nmi_{corpus}"]) for corpus in ("held_out", "dbpedia", "yelp")]
        assert float(row["nmi_mean"]) == pytest.approx(np.mean(means), abs=2e-4)
        assert [len(row[f"seeds_{c}"].split()) for c in ("dbpedia", "yelp")] == [2, 2]
    assert (rows[1]["rule"], rows[1]["nested"], rows[1]["layer"]) == ("batchtopk", "6", "5")

    monkeypatch.setattr(candidates, "train_sae", lambda *_: pytest.fail("trained again"))
    candidates.main([*arguments, "--only", "one", "two"])
    assert table.read_text() == before
    with pytest.raises(InputError, match="not 999999"):
        candidates.main([*arguments, "--tokens", "999999"])
    # A row that is missing comes from the SAE that is saved.
    table.write_text("".join(before.splitlines(keepends=True)[:2]))
    candidates.main([*arguments, "--only", "two"])
    assert table.read_text() == before


def test_the_chosen_one_is_written_as_what_ships(cache: Path, tmp_path: Path) -> None:
    arguments = [
        "--cache", str(cache), "--out", str(tmp_path), "--width", "24", "--k", "4", "--layer", "5",
        "--rule", "batchtopk", "--nested", "6", "12", "--steps", "30", "--batch", "32",
        "--statistics-tokens", "60",
    ]  # fmt: skip
    minilm.main(arguments)

    folder = load_sae_folder(tmp_path)
    assert folder.sae.architecture == "jumprelu"
    assert folder.hook_point == "blocks.4.hook_resid_post"
    training = json.loads((tmp_path / "settings.json").read_text())["training"]
    assert (training["rule"], training["nested"]) == ("batchtopk", [6, 12])
    lengths = [len(passage.tokens) for passage in read_passages(cache / "train")]
    n = next(total for total in accumulate(lengths) if total >= 60)
    assert training["statistics_tokens"] == n
    values = torch.from_numpy(load_activations(cache / "train", 5)[:n].astype(np.float32))
    _, features, _ = folder.sae.encode(values)
    np.testing.assert_allclose(folder.density, np.bincount(features, minlength=24) / n, rtol=1e-6)

    whole = json.loads((cache / "train" / "stored.json").read_text())
    (tmp_path / "train").mkdir()
    for file in (cache / "train").iterdir():
        (tmp_path / "train" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "held_out").symlink_to(cache / "held_out")
    (tmp_path / "train" / "stored.json").write_text(json.dumps({**whole, "n_tokens": 50}))
    with pytest.raises(InputError, match=f"holds 50 of {sum(lengths)} tokens"):
        minilm.main([*arguments, "--cache", str(tmp_path)])


def test_a_candidate_is_trained_again_from_as_many_tokens(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = TrainingPlan(24, 4, batch=32, rate=3e-3)
    monkeypatch.setattr(candidates, "CANDIDATES", {"one": Candidate(plan)})
    monkeypatch.setattr(candidates, "N_TOPICS", dict.fromkeys(("held_out", "dbpedia", "yelp"), 2))
    monkeypatch.setattr(candidates, "prepare_corpora", lambda data, cache: None)
    effort = ["--cache", str(cache), "--steps", "20", "--tokens", "70", "--seed", "5"]
    table = tmp_path / "table.csv"
    candidates.main(["--data", "x", "--table", str(table), "--nmi-seeds", "1", *effort])
    shape = ["--width", "24", "--k", "4", "--batch", "32"]
    saved = cache / "saes" / "one-70-20-5"
    minilm.main([*effort, *shape, "--out", str(tmp_path / "anew")])
    monkeypatch.setattr(minilm, "train_sae", lambda *_: pytest.fail("trained again"))
    minilm.main([*effort, *shape, "--trained", str(saved), "--out", str(tmp_path / "kept")])

    revisions = {load_sae(f).revision for f in (saved, tmp_path / "anew", tmp_path / "kept")}
    assert len(revisions) == 1
    training = json.loads((tmp_path / "kept" / "settings.json").read_text())["training"]
    lengths = list(accumulate(len(passage.tokens) for passage in read_passages(cache / "train")))
    assert training["tokens"] == 70
    assert training["passages"] == next(n for n, total in enumerate(lengths, 1) if total >= 70)
    for name in ("features.safetensors", "labels.json", "settings.json"):
        assert (tmp_path / "kept" / name).read_bytes() == (tmp_path / "anew" / name).read_bytes()


def test_an_unknown_candidate_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="matryoshka-2048-16-layer6-token"):
        candidates.main(
            ["--data", "x", "--cache", "x", "--table", "x", "--only", "matryoshka-2048-16-layer6"]
        )


def test_every_kind_width_k_layer_and_pooling_is_a_candidate() -> None:
    plans = [c for c in CANDIDATES.values() if c.plan is not None]
    kinds = {
        (c.plan.width, c.plan.k, c.plan.rule, bool(c.plan.nested), c.layer)
        for c in plans
        if c.pooling == "token"
    }
    assert kinds == {
        (width, k, rule, nested, layer)
        for width in (2048, 8192)
        for k in (16, 32)
        for rule, nested in (("topk", False), ("batchtopk", False), ("batchtopk", True))
        for layer in (5, 6)
    } | {(7168, 16, "topk", False, 6)}
    assert sum(c.pooling == "sentence" for c in plans) == 6
