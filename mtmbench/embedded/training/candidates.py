"""Trains candidates for the MiniLM SAE and scores each: the table from which one is chosen.

Run as ``python -m mtmbench.embedded.training.candidates --data DIR --cache DIR --table FILE`` with
the folder of corpora, the folder into which :mod:`mtmbench.embedded.training.activations` stored
activations, and the CSV to append to. A candidate is a row as soon as it is done; those that have
one for as many tokens and steps and the same seed are not repeated, nor is the training of one that
is saved. With fewer ``--tokens`` and ``--steps`` than there are, candidates are screened.

Three corpora serve the choice and no other: DBpedia's abstracts, 1,500 yelp reviews and the
held-out documents of ``lm_text`` (by their weak domains). A row holds explained variance on the
held-out documents, features that never fire on training tokens, and for each corpus the NMI of
mLDA (argmax θ, all documents), mean over seeds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.types import Corpus, Counts, IntArray, Views
from mtmbench.corpora.load import load_corpus
from mtmbench.embedded.training.activations import (
    HalfArray,
    document_passages,
    load_activations,
    read_passages,
    sentence_means,
    store_activations,
    write_passages,
)
from mtmbench.embedded.training.minilm import metadata_of
from mtmbench.embedded.training.topk import (
    TrainingPlan,
    encoded,
    explained_variance,
    train_sae,
)
from mtmbench.features.filters import FeatureSetting, apply_filters
from mtmbench.features.sae.minilm import minilm_backbone
from mtmbench.features.sae.sae import SAE, load_sae, save_sae
from mtmbench.features.sae.shipped import MINILM_SAES
from mtmbench.features.words import all_tokens

Pooling = Literal["token", "sentence"]

N_TOPICS = {"dbpedia": 20, "yelp": 20, "held_out": 26}
"""K of each selection corpus; "held_out" is that of ``lm_text``."""
_LAYERS = (5, 6)
_CHECKED_ROWS = 250_000
"""Training rows on which dead features are counted; encoding is most of a candidate's scoring."""


@dataclass(frozen=True)
class Candidate:
    """What is trained: on which rows, and how; without a plan it is the SAE that ships.

    Attributes:
        plan: the training, but for the number of steps.
        layer: encoder layer whose output is read; 6 is the last.
        pooling: whether a row is a token or the mean over a sentence's tokens.
    """

    plan: TrainingPlan | None
    layer: int = 6
    pooling: Pooling = "token"


def _candidates() -> dict[str, Candidate]:
    found: dict[str, Candidate] = {"shipped": Candidate(None)}

    def add(kind: str, width: int, k: int, layer: int = 6, pooling: Pooling = "token") -> None:
        nested = tuple(m for m in (128, 512, 2048) if m < width) if kind == "matryoshka" else ()
        plan = TrainingPlan(width, k, "topk" if kind == "topk" else "batchtopk", nested, rate=3e-3)
        found[f"{kind}-{width}-{k}-layer{layer}-{pooling}"] = Candidate(plan, layer, pooling)

    kinds = ("topk", "batchtopk", "matryoshka")
    add("topk", 2048, 16)
    for kind in kinds:
        add(kind, 2048, 16, pooling="sentence")
    for width, k in ((2048, 16), (2048, 32), (8192, 32), (8192, 16)):
        for kind in kinds:
            add(kind, width, k)
            add(kind, width, k, layer=5)
    for kind in kinds:
        add(kind, 2048, 32, pooling="sentence")
    # The widest whose weights stay below 12 MB in float16.
    add("topk", 7168, 16)
    return found


CANDIDATES = _candidates()
"""By name, in the order in which they are trained."""


@dataclass(frozen=True)
class Rows:
    """What an SAE reads of a corpus, and the document of each row.

    Attributes:
        values: (N, H) activations of tokens or means of sentences.
        document_of: (N,) number of the document.
        labels: gold label of each document.
        n_tokens: (D,) tokens of each document.
    """

    values: HalfArray
    document_of: IntArray
    labels: tuple[str, ...]
    n_tokens: IntArray


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains and scores candidates from the command line."""
    import torch

    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    for name in options.only or CANDIDATES:
        if name not in CANDIDATES:
            raise UnknownNameError("candidate", name, CANDIDATES)
    prepare_corpora(options.data, options.cache)
    for name in options.only or CANDIDATES:
        candidate = CANDIDATES[name]
        trained = candidate.plan is not None
        effort = (options.tokens, options.steps, options.seed) if trained else ("", "", "")
        if (name, *map(str, effort)) not in rows_done(options.table):
            row = evaluate(name, candidate, options)
            append_row(options.table, row)
            print(json.dumps(row), flush=True)


def prepare_corpora(data: Path, cache: Path) -> None:
    """Stores the activations of the selection corpora that are not part of the training text."""
    corpora = {
        "dbpedia": load_corpus("dbpedia", data_dir=data),
        "yelp": load_corpus("yelp", data_dir=data, max_documents=1500),
    }
    backbone = minilm_backbone()
    for name, corpus in corpora.items():
        drawn = document_passages(corpus, backbone)
        write_passages(cache / name, drawn, {"corpus": corpus.name, "documents": len(corpus)})
        chunks = [passage.tokens for passage in read_passages(cache / name)]
        store_activations(chunks, cache / name, _LAYERS, backbone)


def evaluate(name: str, candidate: Candidate, options: argparse.Namespace) -> dict[str, object]:
    """Trains a candidate unless it is saved, and returns its row of the table."""
    cache, layer, pooling = options.cache, candidate.layer, candidate.pooling
    train = training_rows(cache, layer, pooling, options.tokens)
    saved = cache / "saes" / f"{name}-{options.tokens}-{options.steps}-{options.seed}"
    if candidate.plan is None:
        saved = MINILM_SAES.path()
    elif not (saved / "cfg.json").exists():
        plan = replace(candidate.plan, steps=options.steps, seed=options.seed)
        metadata = metadata_of(layer, window=1)
        save_sae(train_sae(train, plan, metadata), saved, half=True)
    sae = load_sae(saved)
    corpora = {corpus: rows_of(cache / corpus, layer, pooling) for corpus in N_TOPICS}
    counts = {corpus: feature_counts(sae, rows) for corpus, rows in corpora.items()}
    held_out = corpora["held_out"].values
    fired = np.bincount(encoded(sae, train[:_CHECKED_ROWS])[1], minlength=sae.n_features)
    row: dict[str, object] = {
        "name": name,
        "pooling": pooling,
        "layer": layer,
        "rule": candidate.plan.rule if candidate.plan else sae.architecture,
        "nested": " ".join(map(str, candidate.plan.nested)) if candidate.plan else "",
        "width": sae.n_features,
        "k": candidate.plan.k if candidate.plan else sae.k,
        "tokens": options.tokens if candidate.plan else "",
        "steps": options.steps if candidate.plan else "",
        "seed": options.seed if candidate.plan else "",
        "explained_variance": round(explained_variance(sae, held_out), 4),
        "mean_active": round(counts["held_out"].matrix.sum() / len(held_out), 2),
        "dead": int((fired == 0).sum()),
    }
    means = []
    # The default setting's, but for its classes of labels: candidates have no labels.
    setting = FeatureSetting(0.0, 0.9, None)
    for corpus, rows in corpora.items():
        kept = apply_filters(counts[corpus], None, setting)
        scores = nmi_of(kept, rows.labels, N_TOPICS[corpus], options.nmi_seeds)
        means.append(float(np.mean(scores)))
        row |= {
            f"nmi_{corpus}": round(means[-1], 4),
            f"items_{corpus}": len(kept.item_ids),
            f"seeds_{corpus}": " ".join(f"{score:.4f}" for score in scores),
        }
    return {**row, "nmi_mean": round(float(np.mean(means)), 4)}


def training_rows(cache: Path, layer: int, pooling: Pooling, n_tokens: int) -> HalfArray:
    """Returns the first tokens of the training text, or means of their sentences, kept on disk.

    Raises:
        InputError: fewer tokens are stored.
    """
    values = load_activations(cache / "train", layer)
    if len(values) < n_tokens:
        raise InputError(
            f"{len(values)} tokens are stored, not {n_tokens}; store more, or ask less"
        )
    values = values[:n_tokens]
    if pooling == "token":
        return values
    file = cache / "train" / f"sentences{layer}-{n_tokens}.npy"
    if not file.exists():
        means, _ = sentence_means(values, read_passages(cache / "train"))
        with file.with_suffix(".partial").open("wb") as out:
            np.save(out, means)
        file.with_suffix(".partial").rename(file)
    kept: HalfArray = np.load(file)
    return kept


def rows_of(folder: Path, layer: int, pooling: Pooling) -> Rows:
    """Returns what an SAE reads of a stored corpus."""
    passages = list(read_passages(folder))
    values = load_activations(folder, layer)
    lengths = np.array([len(passage.tokens) for passage in passages])
    passage_of = np.repeat(np.arange(len(passages)), lengths)
    if pooling == "sentence":
        values, passage_of = sentence_means(values, passages)
    labels = {passage.doc_id: passage.domain for passage in passages}
    number = {doc_id: i for i, doc_id in enumerate(labels)}
    document = np.array([number[passage.doc_id] for passage in passages])
    n_tokens = np.bincount(document, weights=lengths).astype(np.int64)
    return Rows(values, document[passage_of], tuple(labels.values()), n_tokens)


def feature_counts(sae: SAE, rows: Rows, labels: Sequence[str] | None = None) -> Counts:
    """Returns on how many rows of each document a feature fires; thresholds are 0.

    Args:
        sae: the SAE.
        rows: what it reads.
        labels: of its features; None for their numbers.
    """
    from scipy.sparse import coo_matrix

    row, feature, _ = encoded(sae, rows.values)
    ones = np.ones(len(row), np.int32)
    shape = (len(rows.labels), sae.n_features)
    names = tuple(map(str, range(sae.n_features)))
    matrix = coo_matrix((ones, (rows.document_of[row], feature)), shape).tocsr()
    return Counts("features", matrix, rows.n_tokens, names, tuple(labels or names))


def nmi_of(
    counts: Counts, labels: Sequence[str | None], n_topics: int, n_seeds: int
) -> list[float]:
    """Returns the NMI with the gold labels, seed by seed, of LDA on words or mLDA on features."""
    from mtmbench.metrics.alignment import NMI
    from mtmbench.metrics.context import MetricContext
    from mtmbench.models.lda import LDA, MLDA

    names = tuple(map(str, range(len(labels))))
    corpus = Corpus("selection", names, names, tuple(labels))
    tokens = all_tokens(corpus)
    model = (LDA if counts.kind == "words" else MLDA)(n_topics=n_topics)
    views = Views(corpus, words=counts, features=counts)
    scores = []
    for seed in range(n_seeds):
        result = model.fit(views, seed=seed)
        value = NMI().compute(result, MetricContext(corpus, tokens=tokens, counts={})).value
        assert value is not None
        scores.append(value)
    return scores


def rows_done(table: Path) -> set[tuple[str, str, str, str]]:
    """Returns name, tokens, steps and seed of the rows that a table has."""
    if not table.exists():
        return set()
    with table.open(newline="", encoding="utf-8") as lines:
        return {
            (row["name"], row["tokens"], row["steps"], row["seed"]) for row in csv.DictReader(lines)
        }


def append_row(table: Path, row: Mapping[str, object]) -> None:
    """Appends a row, durable when this returns; a new table gets a header first."""
    table.parent.mkdir(parents=True, exist_ok=True)
    with table.open("a", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(row), lineterminator="\n")
        if out.tell() == 0:
            writer.writeheader()
        writer.writerow(row)
        out.flush()
        os.fsync(out.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mtmbench.embedded.training.candidates")
    parser.add_argument("--data", type=Path, required=True, help="folder of corpora")
    parser.add_argument("--cache", type=Path, required=True, help="stored activations")
    parser.add_argument("--table", type=Path, required=True, help="CSV to append rows to")
    parser.add_argument("--only", nargs="+", help="names of candidates; all if not given")
    parser.add_argument("--tokens", type=int, default=8_000_000, help="of the training text")
    parser.add_argument("--steps", type=int, default=4000, help="of 2,048 rows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--nmi-seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
