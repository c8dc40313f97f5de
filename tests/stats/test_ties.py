"""Davidson's model against a closed form, a general optimiser, planted values and its limits."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from mtmbench.core.errors import NotRateableError
from mtmbench.stats.bradley_terry import ELO_PER_NAT, fit_wins
from mtmbench.stats.rate import rate
from mtmbench.stats.ties import batch_davidson, fit_davidson, outcome_chances


def log_likelihood(wins: np.ndarray, ties: np.ndarray, theta: np.ndarray, log_nu: float) -> float:
    """Davidson's (1970) likelihood, term by term in his own parameters π and ν."""
    pi, nu = np.exp(theta), np.exp(log_nu)
    total = 0.0
    for i, j in itertools.combinations(range(len(pi)), 2):
        root = nu * np.sqrt(pi[i] * pi[j])
        scale = pi[i] + pi[j] + root
        total += wins[i, j] * np.log(pi[i] / scale) + wins[j, i] * np.log(pi[j] / scale)
        total += ties[i, j] * np.log(root / scale)
    return total


def drawn(n: int, m: int, nu: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    theta = np.linspace(-0.8, 0.8, n)
    wins, ties = np.zeros((n, n)), np.zeros((n, n))
    for i, j in itertools.combinations(range(n), 2):
        won, lost, tie = outcome_chances(np.array(theta[i] - theta[j]), nu)
        wins[i, j], wins[j, i], ties[i, j] = random.multinomial(m, [won, lost, tie])
    return theta, wins, ties + ties.T


def test_two_competitors_have_a_closed_form() -> None:
    # w, l and t of one pair are fitted exactly: π ratio w / l, ν = t / √(w l).
    fit = fit_davidson(np.array([[0, 8], [2.0, 0]]), np.array([[0, 6], [6.0, 0]]))
    assert fit.abilities == pytest.approx([np.log(4) / 2, -np.log(4) / 2], abs=1e-9)
    assert fit.nu == pytest.approx(6 / 4, abs=1e-9)


def test_a_general_optimiser_finds_the_same_maximum() -> None:
    _, wins, ties = drawn(5, 40, 0.7, seed=2)
    fit = fit_davidson(wins, ties)
    found = minimize(
        lambda z: -log_likelihood(wins, ties, np.append(0, z[:-1]), z[-1]),
        np.zeros(5), method="BFGS", options={"gtol": 1e-7},
    )  # fmt: skip
    theta = np.append(0, found.x[:-1])
    assert fit.abilities == pytest.approx(theta - theta.mean(), abs=1e-5)
    assert fit.nu == pytest.approx(np.exp(found.x[-1]), rel=1e-5)


def test_planted_values_are_recovered() -> None:
    theta, wins, ties = drawn(6, 40_000, 1.3, seed=4)
    fit = fit_davidson(wins, ties)
    assert fit.abilities == pytest.approx(theta, abs=0.02)
    assert fit.nu == pytest.approx(1.3, rel=0.02)


def test_many_data_sets_at_once_are_fitted_as_one_by_one() -> None:
    sets = [drawn(4, 30, 0.5, seed)[1:] for seed in range(5)]
    sets.append((sets[0][0], np.zeros((4, 4))))  # nobody tied: Bradley-Terry
    wins, ties = (np.array(parts) for parts in zip(*sets, strict=True))
    abilities, nu, ok = batch_davidson(wins, ties)
    assert ok.all()
    for i in range(5):
        alone = fit_davidson(wins[i], ties[i])
        assert abilities[i] == pytest.approx(alone.abilities, abs=1e-8)
        assert nu[i] == pytest.approx(alone.nu, abs=1e-8)
    assert abilities[5] == pytest.approx(fit_wins(wins[5]), abs=1e-8)
    assert nu[5] == 0


def test_no_finite_maximum_is_said() -> None:
    # With ν free, ties cannot stand in for the wins that the second never had.
    with pytest.raises(NotRateableError, match="no finite maximum"):
        fit_davidson(np.array([[0, 5], [0.0, 0]]), np.array([[0, 3], [3.0, 0]]))
    with pytest.raises(NotRateableError, match=r"\[x\]"):
        fit_davidson(np.array([[0, 5], [0.0, 0]]), np.zeros((2, 2)), ["x", "y"])
    with pytest.raises(NotRateableError):
        fit_davidson(np.zeros((2, 2)), np.array([[0, 3], [3.0, 0]]))


def test_hockey_has_a_zero_gradient_and_reproduces_its_ties(shared_data: Path) -> None:
    path = shared_data / "battles" / "icehockey_ncaa2009_10.csv.gz"
    games = list(csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode())))
    names = sorted({g[side] for g in games for side in ("visitor", "opponent")})
    wins, ties = np.zeros((len(names), len(names))), np.zeros((len(names), len(names)))
    for game in games:
        i, j = names.index(game["visitor"]), names.index(game["opponent"])
        result = float(game["result_visitor"])
        if result == 0.5:
            ties[i, j] += 1
            ties[j, i] += 1
        else:
            wins[(i, j) if result == 1 else (j, i)] += 1
    fit = fit_davidson(wins, ties)
    met = wins + wins.T + ties
    won, _, tie = outcome_chances(fit.abilities[:, None] - fit.abilities[None, :], fit.nu)
    # The score equations: every team's points and the number of ties are as expected.
    points = (wins + ties / 2).sum(axis=1)
    assert (met * (won + tie / 2)).sum(axis=1) == pytest.approx(points, abs=1e-6)
    assert (met * tie).sum() == pytest.approx(ties.sum(), abs=1e-6)
    assert (met.sum() / 2, ties.sum() / 2) == (1083, 125)


def test_rate_under_davidson_resamples_both_kinds_of_outcome() -> None:
    random = np.random.default_rng(0)
    score = random.choice([1, 0.5, 0], p=[0.5, 0.2, 0.3], size=400)
    zeros = np.zeros(400, dtype=int)
    table = rate(["x", "y"], zeros, zeros + 1, score, np.arange(400), seed=3, ties="davidson")
    won, lost, tied = (int((score == s).sum()) for s in (1, 0, 0.5))
    x = table.rows[0]
    assert x.ability == pytest.approx(np.log(won / lost) / 2, abs=1e-8)
    assert table.tie_parameter == pytest.approx(tied / np.sqrt(won * lost), abs=1e-8)
    # Delta method for ½ log(w / l): variance ¼ (1/w + 1/l).
    half = 1.966 * ELO_PER_NAT * np.sqrt(1 / won + 1 / lost) / 2
    assert x.hi is not None
    assert x.elo is not None
    assert x.hi - x.elo == pytest.approx(half, rel=0.08)
    assert np.isnan(table.sandwich).all()
