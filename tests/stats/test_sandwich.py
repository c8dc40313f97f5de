"""The sandwich against the bootstrap and a formula, and the length covariate that rests on it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import t as student

from mtmbench.core.errors import InputError
from mtmbench.stats.bradley_terry import ELO_PER_NAT, fit_wins
from mtmbench.stats.length import fit_length
from mtmbench.stats.outcomes import checked_outcomes
from mtmbench.stats.rate import rate
from mtmbench.stats.sandwich import sandwich_half_widths

PAIRS = np.array(list(itertools.combinations(range(5), 2)))


def clustered_league(n_documents: int, seed: int, worth: float = 0.0) -> tuple[np.ndarray, ...]:
    """Five models over documents with likings of their own; ``worth`` is paid for length."""
    random = np.random.default_rng(seed)
    liking = np.linspace(-0.6, 0.6, 5) + 1.2 * random.standard_normal((n_documents, 5))
    length = np.linspace(-0.5, 0.5, 5) + 0.6 * random.standard_normal((n_documents, 5))
    a, b = PAIRS.T
    ratio = length[:, a] - length[:, b]
    lead = liking[:, a] - liking[:, b] + worth * ratio
    score = (random.random(lead.shape) < 1 / (1 + np.exp(-lead))) / 2
    score = score + (random.random(lead.shape) < 1 / (1 + np.exp(-lead))) / 2
    document = np.repeat(np.arange(n_documents), len(PAIRS))
    return (
        np.tile(a, n_documents), np.tile(b, n_documents), score.ravel(), document, ratio.ravel()
    )  # fmt: skip


def test_two_competitors_have_the_delta_methods_error() -> None:
    random = np.random.default_rng(0)
    leaning = random.normal(0.4, 1.0, size=80)
    score = (random.random((80, 5)) < 1 / (1 + np.exp(-leaning[:, None]))).astype(float)
    zeros = np.zeros(400, dtype=int)
    outcomes = checked_outcomes(
        ["x", "y"], zeros, zeros + 1, score.ravel(), np.repeat(range(80), 5)
    )
    own, between = sandwich_half_widths(outcomes, fit_wins(outcomes.wins()), 0.95)
    share = score.mean()
    error = score.mean(axis=1).std() / np.sqrt(80)
    expected = student.ppf(0.975, 79) * np.sqrt(80 / 79) * error / (2 * share * (1 - share))
    assert own == pytest.approx([expected * ELO_PER_NAT] * 2)
    assert between[0, 1] == pytest.approx(2 * expected * ELO_PER_NAT)


def test_sandwich_and_bootstrap_agree_on_clustered_documents_in_two_corpora() -> None:
    a, b, score, document, _ = clustered_league(240, seed=1)
    stratum = document % 3 == 0
    names = [f"m{i}" for i in range(5)]
    table = rate(names, a, b, score, document, stratum, seed=2, n_bootstrap=4000)
    bootstrap = [row.hi - row.elo for row in table.rows]
    # The bootstrap's own error over 4,000 resamples is 1.1 %.
    assert table.sandwich == pytest.approx(bootstrap, rel=0.05)
    outcomes = checked_outcomes(names, a, b, score, document, stratum)
    _, between = sandwich_half_widths(outcomes, fit_wins(outcomes.wins()), 0.95)
    upper = np.triu_indices(5, 1)
    assert between[upper] == pytest.approx(table.difference_error[upper], rel=0.05)


def test_one_document_gives_no_sandwich() -> None:
    table = rate(["x", "y"], [0, 0, 0], [1, 1, 1], [1, 0, 1], [4, 4, 4], seed=0)
    assert np.isnan(table.sandwich).all()


def fitted(n_documents: int, seed: int, worth: float):
    a, b, score, document, ratio = clustered_league(n_documents, seed, worth)
    outcomes = checked_outcomes([f"m{i}" for i in range(5)], a, b, score, document)
    return outcomes, ratio, fit_length(outcomes, ratio, fit_wins(outcomes.wins()), 0.95)


def test_a_general_optimiser_finds_the_same_adjusted_ratings() -> None:
    outcomes, ratio, found = fitted(60, 3, worth=0.8)

    def loss(z: np.ndarray) -> float:
        theta = np.append(0, z[:4])
        lead = theta[outcomes.first] - theta[outcomes.second] + z[4] * ratio
        return float((np.logaddexp(0, lead) - outcomes.points * lead).sum())

    best = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-8}).x
    theta = np.append(0, best[:4])
    assert found.elo - 1500 == pytest.approx(ELO_PER_NAT * (theta - theta.mean()), abs=1e-3)
    assert found.per_doubling == pytest.approx(ELO_PER_NAT * np.log(2) * best[4], abs=1e-3)


def test_what_length_alone_gains_is_taken_out() -> None:
    _, _, fair = fitted(4000, 5, worth=0.0)
    outcomes, _, found = fitted(4000, 5, worth=1.0)
    raw = 1500 + ELO_PER_NAT * fit_wins(outcomes.wins())
    assert fair.lo is not None
    assert found.lo is not None
    assert fair.lo < 0 < fair.hi
    assert found.lo > 50
    # Raw ratings are stretched by the longer texts of the stronger models; adjusted ones are not.
    assert raw[4] - raw[0] > 1.5 * (found.elo[4] - found.elo[0])
    assert found.elo == pytest.approx(fair.elo, abs=15)


@pytest.mark.slow
def test_intervals_of_adjusted_ratings_are_those_of_refits_over_resampled_documents() -> None:
    outcomes, ratio, found = fitted(150, 7, worth=0.5)
    random = np.random.default_rng(1)
    elos, worths = [], []
    rows = [np.flatnonzero(outcomes.groups == d) for d in range(150)]
    for _ in range(300):
        picked = random.integers(0, 150, 150)
        index = np.concatenate([rows[d] for d in picked])
        again = checked_outcomes(
            outcomes.names, outcomes.first[index], outcomes.second[index], outcomes.points[index],
            np.repeat(np.arange(150), 10),
        )  # fmt: skip
        refit = fit_length(again, ratio[index], np.zeros(5), 0.95)
        elos.append(refit.elo)
        worths.append(refit.per_doubling)
    factor = student.ppf(0.975, 149) * np.sqrt(150 / 149)
    assert found.half == pytest.approx(factor * np.std(elos, axis=0, ddof=1), rel=0.12)
    assert found.hi is not None
    assert found.per_doubling is not None
    half = found.hi - found.per_doubling
    assert half == pytest.approx(factor * np.std(worths, ddof=1), rel=0.12)


def test_lengths_that_belong_to_the_models_cannot_be_told_from_them() -> None:
    a, b, score, document, _ = clustered_league(30, 9)
    outcomes = checked_outcomes([f"m{i}" for i in range(5)], a, b, score, document)
    size = np.array([0.1, 0.5, 0.2, 0.9, 0.4])
    start = fit_wins(outcomes.wins())
    for ratio in (size[a] - size[b], np.zeros(len(a))):
        found = fit_length(outcomes, ratio, start, 0.95)
        assert np.isnan(found.elo).all()
        assert found.per_doubling is None
        assert "which models" in (found.reason or "")
    with pytest.raises(InputError, match="finite numbers"):
        fit_length(outcomes, [0.0], start, 0.95)
