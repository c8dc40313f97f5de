"""Fits against closed forms, choix's cases, published tables and another library's values."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from mtmbench.core.errors import InputError, NotRateableError
from mtmbench.stats.bradley_terry import (
    batch_newton,
    connected,
    fit_wins,
    to_elo,
)

BASEBALL = {
    "Baltimore": 0.0,
    "Boston": 1.1077,
    "Cleveland": 0.6839,
    "Detroit": 1.4364,
    "Milwaukee": 1.5814,
    "New York": 1.2476,
    "Toronto": 1.2945,
}


def matrix(rows: Iterable[tuple[str, str, float, float]]) -> tuple[list[str], np.ndarray]:
    listed = list(rows)
    names = sorted({row[0] for row in listed} | {row[1] for row in listed})
    wins = np.zeros((len(names), len(names)))
    for a, b, won, lost in listed:
        wins[names.index(a), names.index(b)] += won
        wins[names.index(b), names.index(a)] += lost
    return names, wins


def read(path: Path) -> list[dict[str, str]]:
    content = path.read_bytes()
    text = gzip.decompress(content) if path.suffix == ".gz" else content
    return list(csv.DictReader(io.StringIO(text.decode())))


def test_two_competitors_have_a_closed_form() -> None:
    abilities = fit_wins(np.array([[0, 7.5], [2.5, 0]]))
    assert abilities == pytest.approx([np.log(3) / 2, -np.log(3) / 2], abs=1e-12)
    assert to_elo(abilities)[0] - to_elo(abilities)[1] == pytest.approx(400 * np.log10(3))
    assert to_elo(abilities).mean() == pytest.approx(1500)


def test_any_expected_scores_of_the_model_are_recovered() -> None:
    truth = np.array([-2.0, -0.3, 0.0, 0.8, 1.5])
    chance = 1 / (1 + np.exp(truth[None, :] - truth[:, None]))
    np.fill_diagonal(chance, 0)
    assert fit_wins(chance) == pytest.approx(truth - truth.mean(), abs=1e-10)


def test_baseball_reproduces_agresti(shared_data: Path) -> None:
    games = read(shared_data / "battles" / "baseball_agresti.csv")
    names, wins = matrix(
        (g["home"], g["away"], float(g["home_wins"]), float(g["away_wins"])) for g in games
    )
    abilities = fit_wins(wins)
    found = {
        name: a - abilities[names.index("Baltimore")]
        for name, a in zip(names, abilities, strict=True)
    }
    assert {name: round(value, 4) for name, value in found.items()} == BASEBALL


def test_citations_and_hockey_equal_their_refits(shared_data: Path) -> None:
    reference = json.loads((shared_data / "battles" / "published_and_refit.json").read_text())
    citations = read(shared_data / "battles" / "citations_stigler.csv")
    names, wins = matrix(
        (c["journal1"], c["journal2"], float(c["win1"]), float(c["win2"])) for c in citations
    )
    abilities = fit_wins(wins)
    for journal, (estimate, _) in reference["citations"]["refit_est_se"].items():
        found = abilities[names.index(journal)] - abilities[names.index("Biometrika")]
        assert found == pytest.approx(estimate, abs=1e-6)
    games = read(shared_data / "battles" / "icehockey_ncaa2009_10.csv.gz")
    names, wins = matrix(
        (g["visitor"], g["opponent"], float(g["result_visitor"]), 1 - float(g["result_visitor"]))
        for g in games
    )
    abilities = fit_wins(wins)
    for team, (estimate, _) in reference["icehockey"]["refit_no_home_est_se"].items():
        assert abilities[names.index(team)] - abilities[0] == pytest.approx(estimate, abs=1e-6)


def test_choix_cases(shared_data: Path) -> None:
    cases = json.loads((shared_data / "battles" / "choix_testcases.json").read_text())
    for name in ("testcase-pairwise-1", "testcase-pairwise-2"):
        case = cases[name]
        wins = np.zeros((case["n_items"], case["n_items"]))
        for winner, loser in case["data"]:
            wins[winner, loser] += 1
        assert fit_wins(wins) == pytest.approx(case["ml_est"], abs=1e-8)


@pytest.mark.parametrize("case", ["simple", "food"])
def test_evalica_bradley_terry(shared_data: Path, case: str) -> None:
    rows = read(shared_data / "battles" / f"evalica_{case}.csv")
    points = {"left": 1.0, "tie": 0.5, "right": 0.0}
    names, wins = matrix(
        (r["left"], r["right"], points[r["winner"]], 1 - points[r["winner"]]) for r in rows
    )
    golden = {
        row["item"]: float(row["score"])
        for row in read(shared_data / "battles" / f"evalica_{case}-golden.csv")
        if row["algorithm"] == "bradley_terry"
    }
    strength = np.exp(fit_wins(wins))
    strength /= strength.sum()
    # evalica stops at a change of 1e-6.
    assert dict(zip(names, strength, strict=True)) == pytest.approx(golden, abs=1e-5)


def test_a_nearly_cut_off_graph_still_converges() -> None:
    # A chain where each beats the next 10,000 to 1, which spectral ranking alone crawls along.
    n = 12
    wins = np.zeros((n, n))
    for i in range(n - 1):
        wins[i, i + 1], wins[i + 1, i] = 10_000, 1
    step = np.log(10_000)
    assert -np.diff(fit_wins(wins)) == pytest.approx(np.full(n - 1, step), abs=1e-8)


def test_batch_equals_an_optimiser_on_each_data_set() -> None:
    random = np.random.default_rng(3)
    wins = random.integers(0, 4, size=(20, 5, 5)).astype(float)
    wins[:, np.arange(5), np.arange(5)] = 0
    abilities, ok = batch_newton(wins)
    assert ok.sum() >= 15
    for data, found in zip(wins[ok], abilities[ok], strict=True):

        def loss(theta: np.ndarray, data: np.ndarray = data) -> float:
            return float((data * np.logaddexp(0, theta[None, :] - theta[:, None])).sum())

        best = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-9}).x
        assert found == pytest.approx(best - best.mean(), abs=1e-5)


def test_resamples_have_the_points_that_their_fits_expect() -> None:
    # Of a regular exponential family: the optimum is where expected sufficient statistics are those
    # observed. By loops over matrices, with nothing of the fit in them.
    random = np.random.default_rng(5)
    truth = random.normal(0, 1, 9)
    chance = 1 / (1 + np.exp(truth[None, :] - truth[:, None]))
    games = np.triu(random.integers(0, 5, size=(300, 9, 9)), k=1)
    won = random.binomial(games, chance)
    wins = (won + (games - won).transpose(0, 2, 1)).astype(float)
    start = fit_wins(wins.sum(axis=0))
    abilities, ok = batch_newton(wins, start=start)
    reach = np.linalg.matrix_power((wins > 0) + np.eye(9), 9) > 0
    assert ok.tolist() == reach.all(axis=(1, 2)).tolist()
    assert ok.sum() > 150
    for data, theta in zip(wins[ok], abilities[ok], strict=True):
        expected = (data + data.T) / (1 + np.exp(theta[None, :] - theta[:, None]))
        assert expected.sum(axis=1) == pytest.approx(data.sum(axis=1), abs=1e-8)
        assert theta.sum() == pytest.approx(0, abs=1e-10)


def test_a_data_set_far_from_the_others_is_fitted_as_well() -> None:
    # A hundred rings of equals and one of 10,000 to 1: the mean curvature is nothing like its own.
    even = np.ones((4, 4)) - np.eye(4)
    chain = np.zeros((4, 4))
    for i in range(3):
        chain[i, i + 1], chain[i + 1, i] = 10_000, 1
    wins = np.concatenate([np.repeat(even[None], 100, axis=0), chain[None]])
    abilities, ok = batch_newton(wins)
    assert ok.all()
    assert abilities[:100] == pytest.approx(np.zeros((100, 4)), abs=1e-12)
    assert -np.diff(abilities[100]) == pytest.approx(np.full(3, np.log(10_000)), abs=1e-8)


def test_batch_flags_what_cannot_be_rated_and_leaves_it_zero() -> None:
    cycle = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], dtype=float)
    undefeated = np.array([[0, 2, 1], [0, 0, 1], [0, 1, 0]], dtype=float)
    apart = np.zeros((3, 3))
    abilities, ok = batch_newton(np.stack([cycle, undefeated, apart]))
    assert ok.tolist() == [True, False, False]
    assert connected(np.stack([cycle, undefeated, apart]) > 0).tolist() == ok.tolist()
    assert not abilities.any()


@pytest.mark.slow
@given(
    st.integers(2, 6).flatmap(
        lambda n: st.lists(st.integers(0, 3), min_size=n * n, max_size=n * n).map(
            lambda cells: np.array(cells, dtype=float).reshape(n, n)
        )
    )
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_fit_balances_won_and_expected_points_or_is_refused(wins: np.ndarray) -> None:
    np.fill_diagonal(wins, 0)
    reach = np.linalg.matrix_power((wins > 0) + np.eye(len(wins)), len(wins)) > 0
    if not reach.all():
        with pytest.raises(NotRateableError, match="not rateable"):
            fit_wins(wins)
        return
    theta = fit_wins(wins)
    chance = 1 / (1 + np.exp(theta[None, :] - theta[:, None]))
    expected = ((wins + wins.T) * chance).sum(axis=1)
    assert wins.sum(axis=1) == pytest.approx(expected, abs=1e-8)
    assert theta.sum() == pytest.approx(0, abs=1e-9)


def test_the_refusal_names_who_is_cut_off_and_how() -> None:
    wins = np.zeros((4, 4))
    wins[0, 1] = wins[1, 0] = wins[2, 0] = wins[2, 1] = 1
    with pytest.raises(NotRateableError) as caught:
        fit_wins(wins, ["lda", "etm", "star", "alone"])
    message = str(caught.value)
    assert "[lda, etm] (never took a point from the others)" in message
    assert "[star] (never lost a point to the others)" in message
    assert "[alone] (never met the others)" in message


@pytest.mark.parametrize(
    ("wins", "message"),
    [
        (np.zeros((2, 3)), "square"),
        (np.array([[0, -1.0], [1, 0]]), "not negative"),
        (np.array([[0, np.nan], [1, 0]]), "finite"),
        (np.array([[1.0, 1], [1, 0]]), "diagonal"),
    ],
)
def test_wrong_matrices_are_input_errors(wins: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_wins(wins)


def test_one_competitor_is_not_rateable() -> None:
    with pytest.raises(NotRateableError, match="at least two"):
        fit_wins(np.zeros((1, 1)))
