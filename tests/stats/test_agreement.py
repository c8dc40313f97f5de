"""Kappa and alpha against scikit-learn, Krippendorff's own example, and plain resampling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student
from sklearn.metrics import cohen_kappa_score

from mtmbench.core.errors import InputError
from mtmbench.stats.agreement import MISSING, cohen_kappa, krippendorff_alpha

# Krippendorff (2011), "Computing Krippendorff's alpha-reliability", part C: four observers,
# twelve units, some missing; nominal alpha is .743.
OBSERVERS = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)


def test_krippendorffs_example() -> None:
    codes = [[MISSING if c == "." else int(c) for c in row.split()] for row in OBSERVERS]
    found = krippendorff_alpha(np.array(codes).T, np.arange(12), seed=0)
    assert found.value == pytest.approx(0.743, abs=5e-4)
    assert found.n == 11  # the last unit has one verdict


def judged(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    document = np.arange(n) // 4
    shared = random.integers(0, 3, n)
    keeps = random.random((n, 2)) < random.beta(2, 2, n // 4)[document][:, None]
    return np.where(keeps, shared[:, None], random.integers(0, 3, (n, 2))), document


def test_kappa_equals_scikit_learns() -> None:
    verdicts, document = judged(200, 1)
    found = cohen_kappa(verdicts, document, seed=0)
    assert found.value == pytest.approx(cohen_kappa_score(*verdicts.T), abs=1e-12)
    holed = verdicts.copy()
    holed[:10, 0] = MISSING
    assert cohen_kappa(holed, document, seed=0).value == pytest.approx(
        cohen_kappa_score(*verdicts[10:].T), abs=1e-12
    )


def test_alpha_of_two_judges_without_holes_has_a_closed_form() -> None:
    verdicts, document = judged(200, 2)
    pooled = np.bincount(verdicts.ravel(), minlength=3)
    apart = (verdicts[:, 0] != verdicts[:, 1]).mean()
    expected = 1 - (pooled / 400 * (400 - pooled) / 399).sum()
    found = krippendorff_alpha(verdicts, document, seed=0)
    assert found.value == pytest.approx(1 - apart / (1 - expected), abs=1e-12)


@pytest.mark.slow
def test_intervals_are_those_of_whole_documents_resampled_within_strata() -> None:
    verdicts, document = judged(240, 3)
    stratum = document % 2
    found = cohen_kappa(verdicts, document, stratum, seed=9, n_bootstrap=400)
    random = np.random.RandomState(9)
    draws = [random.randint(0, 30, size=(400, 30), dtype=np.int64) for _ in range(2)]
    values = []
    for b in range(400):
        picked = np.concatenate([2 * draws[0][b], 2 * draws[1][b] + 1])
        index = np.concatenate([np.flatnonzero(document == d) for d in picked])
        values.append(cohen_kappa_score(*verdicts[index].T))
    half = student.ppf(0.975, 58) * np.sqrt(60 / 58) * np.std(values, ddof=1)
    assert found.hi is not None
    assert found.value is not None
    assert found.hi - found.value == pytest.approx(half, abs=1e-9)


def test_what_cannot_be_had_has_its_reason() -> None:
    same = cohen_kappa([[1, 1], [1, 1]], [0, 1], seed=0)
    assert (same.value, same.reason) == (None, "every verdict is the same")
    none = krippendorff_alpha([[MISSING, 1], [0, MISSING]], [0, 1], seed=0)
    assert (none.value, none.n) == (None, 0)
    lone = cohen_kappa([[1, 1], [0, 1]], [0, 0], seed=0)
    assert lone.value is not None
    assert lone.lo is None
    with pytest.raises(InputError, match="two judges"):
        cohen_kappa([[1, 1, 1]], [0], seed=0)
