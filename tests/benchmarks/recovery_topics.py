"""How well LDA, mLDA, ETM and mETM recover planted topics; full size when run as a script.

Word models and mLDA see corpora of LDA's own process (D = 1,000, K = 10, V = 1,000, 100 items a
document, α = 0.1, β = 0.05); mETM sees firing counts of planted topic vectors, read through the
shipped SAE's encoder. Found and planted topics are matched one to one (Hungarian algorithm).

    python -P tests/benchmarks/recovery_topics.py [--models lda etm] [--seeds 5]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.planted import Planted, matched_cosine, plant_lda, plant_metm

LEAST_MEAN = {"lda": 0.9, "mlda": 0.9, "etm": 0.8, "metm": 0.85}
LEAST_TOPIC = 0.7


def planted_corpus(model: str, seed: int, **sizes: int) -> Planted:
    """Returns the generated corpus that ``model`` is asked to recover."""
    if model == "metm":
        from mtmbench.features.sae.sae import load_sae
        from mtmbench.features.sae.shipped import MINILM_SAES

        return plant_metm(seed, load_sae(MINILM_SAES.path()).encoder, **sizes)
    return plant_lda(seed, kind="features" if model == "mlda" else "words", **sizes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; returns 1 if a bar is missed."""
    from mtmbench.models.registry import MODELS

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--models", nargs="+", choices=sorted(LEAST_MEAN), default=[*LEAST_MEAN])
    parser.add_argument("--seeds", type=int, default=5)
    chosen = parser.parse_args(arguments)
    missed = False
    print("model  seed  mean  least topic  θ     seconds")
    for model in chosen.models:
        for seed in range(chosen.seeds):
            planted = planted_corpus(model, seed)
            started = time.perf_counter()
            result = MODELS.get(model)(n_topics=10).fit(planted.views, seed=seed)
            seconds = time.perf_counter() - started
            topics = matched_cosine(result.topic_item, planted.topic_item)
            shares = matched_cosine(result.doc_topic.T, planted.doc_topic.T)
            missed |= bool(topics.mean() < LEAST_MEAN[model] or topics.min() < LEAST_TOPIC)
            print(
                f"{model:6} {seed:<5} {topics.mean():.3f} {topics.min():.3f}        "
                f"{shares.mean():.3f} {seconds:.1f}",
                flush=True,
            )
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
