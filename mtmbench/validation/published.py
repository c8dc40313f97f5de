"""What others have published of judges on the same human data, to stand beside ours.

ProxAnn (Hoyle, Calvo-Bartolomé, Boyd-Graber and Resnik, ACL 2025): the alternative-annotator test
by data set and by model, and binary agreement with people's fits; figures of the authors' own
notebooks, two decimals for the test, three for agreement. Averages over ten random constructions,
so the second decimal of the test may differ by one.
"""

from __future__ import annotations

from collections.abc import Iterator

from mtmbench.validation import proxann
from mtmbench.validation.scores import Figure

_N_TOPICS = 24
SUFFIX = ", published"
"""Marks the figures on the board that were not computed here."""

_TEST = (
    ("documents, by dataset", 0), ("topics, by dataset", 2), ("documents, by model", 4),
    ("topics, by model", 6),
)  # fmt: skip
_ADVANTAGE = {
    # Fit and rank; documents and topics by data set, then by model.
    "gpt-4o-2024-08-06": (0.65, 0.71, 0.77, 0.75, 0.65, 0.71, 0.77, 0.76),
    "Meta-Llama-3.1-8B-Instruct": (0.30, 0.53, 0.14, 0.44, 0.30, 0.53, 0.14, 0.44),
    "llama-3.3-70b-instruct-awq": (0.66, 0.67, 0.70, 0.60, 0.66, 0.67, 0.69, 0.60),
    "Qwen3-8B": (0.66, 0.57, 0.80, 0.43, 0.66, 0.57, 0.80, 0.43),
    "Qwen3-32B": (0.67, 0.68, 0.74, 0.70, 0.67, 0.68, 0.75, 0.71),
    "Qwen2.5-72B-Instruct-AWQ": (0.61, 0.71, 0.78, 0.65, 0.61, 0.70, 0.79, 0.65),
}
_AGREEMENT = {
    "gpt-4o-2024-08-06": 0.714,
    "Meta-Llama-3.1-8B-Instruct": 0.446,
    "llama-3.3-70b-instruct-awq": 0.768,
    "Qwen2.5-72B-Instruct-AWQ": 0.667,
    "Qwen3-8B": 0.774,
    "Qwen3-32B": 0.732,
}


def published_rows() -> Iterator[Figure]:
    """Yields the published figures as rows without intervals; the judge's name says so."""
    for judge, figures in _ADVANTAGE.items():
        for where, first in _TEST:
            for task, value in zip(("fit", "rank"), figures[first : first + 2], strict=True):
                yield _row(judge, task, f"advantage, {where}", value)
    for judge, value in _AGREEMENT.items():
        yield _row(judge, "fit", "agreement", value)


def _row(judge: str, task: str, statistic: str, value: float) -> Figure:
    return Figure(
        judge + SUFFIX, proxann.DATASET, task, statistic, value, None, None, _N_TOPICS
    )  # fmt: skip
