"""How well models recover planted topics; full size when run as a script: one Markdown table.

Corpora are of LDA's own process (D = 1,000, K = 10, V = 1,000, 100 items a document, α = 0.1,
β = 0.05), with embeddings in which topics are orthogonal directions: a document's is its θ, a
word's what share of it each topic has, both of unit length with noise of 0.05 a coordinate. Models
over features see the same counts as of features, whose directions are those of the words. mETM sees
firing counts of planted topic vectors, read through the shipped SAE's encoder. Found and planted
topics are matched one to one (Hungarian algorithm); a figure is the mean of the cosines to β and to
the columns of θ, over seeds, with the smallest of any topic under any seed.

    python -P tests/benchmarks/recovery_topics.py [--models lda etm] [--seeds 5]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
from models import fitted_by_default
from support.planted import Planted, matched_cosine, plant_lda, plant_metm

from mtmbench.boards.markdown import MarkdownPage
from mtmbench.boards.numbers import fixed, shown
from mtmbench.core.types import Float64Array, FloatArray, Views
from mtmbench.models.registry import MODELS

LEAST_MEAN = {"lda": 0.9, "mlda": 0.9, "etm": 0.8, "metm": 0.85}
LEAST_TOPIC = 0.7
N_TOPICS, NOISE = 10, 0.05
THREE = fixed(3)


def planted_corpus(model: str, seed: int, **sizes: int) -> Planted:
    """Returns the generated corpus that ``model`` is asked to recover."""
    if model == "metm":
        from mtmbench.features.sae.sae import load_sae
        from mtmbench.features.sae.shipped import MINILM_SAES

        return plant_metm(seed, load_sae(MINILM_SAES.path()).encoder, **sizes)
    of_features = "features" in MODELS.get(model).needs
    return with_vectors(plant_lda(seed, kind="features" if of_features else "words", **sizes), seed)


def with_vectors(planted: Planted, seed: int) -> Planted:
    """Adds embeddings of documents and words, or of features their directions."""
    rng = np.random.default_rng(seed)
    of_words = planted.topic_item.T / planted.topic_item.sum(axis=0)[:, None]
    documents, items = (_near(of, rng) for of in (planted.doc_topic, of_words))
    given = planted.views
    if given.features is None:
        views = Views(given.corpus, given.words, embeddings=documents, word_embeddings=items)
    else:
        # In the words, for who reads them too, each feature is a word.
        words = replace(given.features, kind="words")
        views = Views(given.corpus, words, replace(given.features, directions=items))
    return replace(planted, views=views)


def _near(shares: Float64Array, rng: np.random.Generator) -> FloatArray:
    vectors = shares / np.linalg.norm(shares, axis=1, keepdims=True)
    vectors = vectors + rng.normal(scale=NOISE, size=vectors.shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; returns 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--models", nargs="+", default=fitted_by_default())
    parser.add_argument("--seeds", type=int, default=5)
    chosen = parser.parse_args(arguments)
    rows, missed = [], False
    for model in chosen.models:
        by_seed = [recovered(model, seed) for seed in range(chosen.seeds)]
        topics, shares = zip(*by_seed, strict=True)
        missed |= any(
            of.mean() < LEAST_MEAN.get(model, 0) or (model in LEAST_MEAN and of.min() < LEAST_TOPIC)
            for of in topics
        )
        rows.append([model, *(cell for each in (topics, shares) for cell in cells(each))])
        print(*rows[-1], file=sys.stderr, flush=True)
    page = MarkdownPage("Planted topics")
    page.table(["model", "β", "least", "θ", "least"], rows)
    print(page)
    return int(missed)


def recovered(model: str, seed: int) -> tuple[Float64Array, Float64Array]:
    """Returns the cosine of each planted topic, and of its column of θ, to the one found."""
    planted = planted_corpus(model, seed)
    result = MODELS.get(model)(n_topics=N_TOPICS).fit(planted.views, seed=seed)
    return (
        matched_cosine(result.topic_item, planted.topic_item),
        matched_cosine(result.doc_topic.T, planted.doc_topic.T),
    )


def cells(by_seed: Sequence[Float64Array]) -> tuple[str, str]:
    """Returns the mean over seeds, with its standard deviation, and the smallest of all."""
    means = [float(of.mean()) for of in by_seed]
    spread = f" ± {shown(stdev(means), THREE)}" if len(means) > 1 else ""
    return f"{shown(fmean(means), THREE)}{spread}", shown(
        min(float(of.min()) for of in by_seed), THREE
    )


if __name__ == "__main__":
    sys.exit(main())
