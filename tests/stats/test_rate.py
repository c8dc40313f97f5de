"""Ratings, intervals and ranks against formulas and a plain bootstrap loop."""

from __future__ import annotations

import itertools

import choix
import numpy as np
import pytest
from scipy.stats import t as student

from mtmbench.core.errors import InputError, NotRateableError
from mtmbench.stats import rate as rating
from mtmbench.stats.bradley_terry import ELO_PER_NAT
from mtmbench.stats.rate import TieModel, rate


def league(
    n: int, n_documents: int, seed: int, strengths: np.ndarray | None = None
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    theta = np.linspace(-0.5, 0.5, n) if strengths is None else strengths
    pairs = np.array(list(itertools.combinations(range(n), 2)))
    a, b = np.tile(pairs[:, 0], n_documents), np.tile(pairs[:, 1], n_documents)
    document = np.repeat(np.arange(n_documents), len(pairs))
    chance = 1 / (1 + np.exp(theta[b] - theta[a]))
    score = (random.random(len(a)) < chance) / 2 + (random.random(len(a)) < chance) / 2
    return [f"m{i}" for i in range(n)], a, b, score, document


def test_wins_losses_and_ties_are_counted_and_a_tie_is_half_a_win() -> None:
    table = rate(["x", "y"], [0, 0, 1, 0], [1, 1, 0, 1], [1, 0.5, 1, 1], [0, 1, 2, 3], seed=0)
    x, y = table.rows
    assert (x.wins, x.losses, x.ties) == (2, 1, 1)
    assert (y.wins, y.losses, y.ties) == (1, 2, 1)
    assert x.ability == pytest.approx(np.log(2.5 / 1.5) / 2)
    assert table.win_rate == ((None, 0.625), (0.375, None))
    assert table.comparisons.tolist() == [[0, 4], [4, 0]]


def test_the_interval_is_the_stated_formula_over_a_plain_bootstrap() -> None:
    names, a, b, score, document = league(4, 12, seed=5)
    table = rate(names, a, b, score, document, seed=11, n_bootstrap=200)
    random = np.random.RandomState(11)
    draws = random.randint(0, 12, size=(200, 12), dtype=np.int64)
    resampled = []
    for draw in draws:
        wins = np.zeros((4, 4))
        for chosen in draw:
            for i in np.flatnonzero(document == chosen):
                wins[a[i], b[i]] += score[i]
                wins[b[i], a[i]] += 1 - score[i]
        theta = choix.ilsr_pairwise_dense(wins, tol=1e-12)
        resampled.append(theta - theta.mean())
    error = np.std(resampled, axis=0, ddof=1) * ELO_PER_NAT
    factor = student.ppf(0.975, 11) * np.sqrt(12 / 11)
    assert table.n_unrateable == 0
    for i, row in enumerate(table.rows):
        assert row.elo is not None
        assert row.lo == pytest.approx(row.elo - factor * error[i], abs=1e-5)
        assert row.hi == pytest.approx(row.elo + factor * error[i], abs=1e-5)
    gaps = np.array(resampled)[:, 0] - np.array(resampled)[:, 3]
    half = factor * np.std(gaps, ddof=1) * ELO_PER_NAT
    assert table.difference_error[0, 3] == pytest.approx(half, abs=1e-5)


def test_two_competitors_approach_the_sandwich_error() -> None:
    random = np.random.default_rng(0)
    n_documents, per_document = 400, 5
    leaning = random.normal(0.4, 1.0, size=n_documents)
    score = random.random((n_documents, per_document)) < 1 / (1 + np.exp(-leaning[:, None]))
    document = np.repeat(np.arange(n_documents), per_document)
    zeros = np.zeros(score.size, dtype=int)
    table = rate(["x", "y"], zeros, zeros + 1, score.ravel(), document, seed=1, n_bootstrap=4000)
    share = score.mean()
    by_document = score.mean(axis=1)
    error_of_share = by_document.std(ddof=1) / np.sqrt(n_documents)
    # Delta method: ability = ½ log(p / (1 − p)).
    error = error_of_share / (2 * share * (1 - share)) * ELO_PER_NAT
    x = table.rows[0]
    assert x.hi is not None
    assert x.lo is not None
    assert (x.hi - x.lo) / 2 == pytest.approx(student.ppf(0.975, 399) * error, rel=0.04)


def test_repeating_a_document_within_its_cluster_buys_no_certainty() -> None:
    names, a, b, score, document = league(3, 40, seed=2)
    once = rate(names, a, b, score, document, seed=3)
    four = [np.tile(column, 4) for column in (a, b, score, document)]
    again = rate(names, *four, seed=3)
    apart = rate(names, *four[:3], np.arange(len(four[0])), seed=3)
    for i in range(3):
        assert again.rows[i].lo == pytest.approx(once.rows[i].lo, abs=1e-6)
        width = once.rows[i].hi - once.rows[i].lo
        assert apart.rows[i].hi - apart.rows[i].lo < 0.7 * width


@pytest.mark.parametrize("ties", ["half", "davidson"])
def test_a_weight_is_that_many_identical_comparisons_of_one_cluster(ties: TieModel) -> None:
    names, a, b, score, document = league(4, 25, seed=6)
    weight = np.random.default_rng(1).integers(1, 5, len(a))
    stratum = document % 2
    weighed = rate(names, a, b, score, document, stratum, weight, seed=3, ties=ties)
    columns = [np.repeat(column, weight) for column in (a, b, score, document, stratum)]
    repeated = rate(names, *columns, seed=3, ties=ties)
    assert weighed.rows == repeated.rows
    assert weighed.n_clusters == repeated.n_clusters == 25
    assert weighed.sandwich == pytest.approx(repeated.sandwich, nan_ok=True)
    assert weighed.comparisons.tolist() == repeated.comparisons.tolist()
    assert weighed.win_rate == repeated.win_rate
    assert isinstance(weighed.rows[0].wins, int)


def test_weights_need_not_be_whole_and_their_unit_does_not_matter() -> None:
    names, a, b, score, document = league(3, 30, seed=6)
    weight = np.random.default_rng(2).random(len(a)) + 0.1
    one = rate(names, a, b, score, document, weight=weight, seed=3)
    two = rate(names, a, b, score, document, weight=10 * weight, seed=3)
    for row, other in zip(one.rows, two.rows, strict=True):
        assert (row.ability, row.lo) == pytest.approx((other.ability, other.lo))
        assert 10 * row.wins == pytest.approx(other.wins, abs=1e-4)
    assert one.sandwich == pytest.approx(two.sandwich)


@pytest.mark.parametrize("weight", [5e-324, 1e-300, 1e-20, 1e9, 1e100, 1e300])
@pytest.mark.parametrize("ties", ["half", "davidson"])
@pytest.mark.parametrize("many", [False, True])
def test_weights_may_be_of_any_size(
    weight: float, ties: TieModel, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, a, b, score, document = league(3, 30, seed=6)
    if many:
        monkeypatch.setattr(rating, "MOST_BOOTSTRAPPED", 2)
    heavy = np.full(len(a), weight)
    one = rate(names, a, b, score, document, seed=3, n_bootstrap=50, ties=ties)
    two = rate(names, a, b, score, document, weight=heavy, seed=3, n_bootstrap=50, ties=ties)
    for row, other in zip(one.rows, two.rows, strict=True):
        assert row.lo is not None
        assert (row.ability, row.lo) == pytest.approx((other.ability, other.lo))
        assert row.wins * weight == pytest.approx(other.wins)


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("ties", ["half", "davidson"])
def test_exact_twins_have_one_rank(many: bool, ties: TieModel) -> None:
    n = 130 if many else 8
    random = np.random.default_rng(1)
    rows: list[tuple[int, int, float, int]] = []
    for document in range(1500):
        i, j = random.choice(n, 2, replace=False)
        score = 0.5 if random.random() < 0.2 else float(random.random() < 0.5 + (i - j) / n / 2)
        rows += [(i, j, score, document), (i + n, j + n, score, document)]
        rows += [(i, j + n, score, document), (i + n, j, score, document)]
    table = rate(
        [f"m{i:03d}" for i in range(2 * n)], *np.transpose(rows), seed=1, n_bootstrap=100, ties=ties
    )
    assert table.intervals == ("sandwich" if many else "bootstrap")
    ranks = [row.rank for row in table.rows]
    assert ranks[:n] == ranks[n:]
    assert len(set(ranks)) > 4


def test_strata_keep_their_sizes_and_set_the_degrees_of_freedom() -> None:
    names, a, b, score, document = league(3, 30, seed=4)
    stratum = (document >= 10).astype(int)
    inner = np.where(stratum == 1, document - 10, document)
    table = rate(names, a, b, score, inner, stratum, seed=9, n_bootstrap=300)
    assert table.n_clusters == 30
    random = np.random.RandomState(9)
    small = random.randint(0, 10, size=(300, 10), dtype=np.int64)
    large = random.randint(0, 20, size=(300, 20), dtype=np.int64) + 10
    found = []
    for draw in np.concatenate([small, large], axis=1):
        wins = np.zeros((3, 3))
        for chosen in draw:
            for i in np.flatnonzero(document == chosen):
                wins[a[i], b[i]] += score[i]
                wins[b[i], a[i]] += 1 - score[i]
        theta = choix.ilsr_pairwise_dense(wins, tol=1e-12)
        found.append(theta - theta.mean())
    factor = student.ppf(0.975, 28) * np.sqrt(30 / 28)
    half = factor * np.std(found, axis=0, ddof=1) * ELO_PER_NAT
    for row, expected in zip(table.rows, half, strict=True):
        assert (row.hi - row.lo) / 2 == pytest.approx(expected, abs=1e-5)


def test_ranks_use_difference_intervals() -> None:
    names, a, b, score, document = league(4, 60, seed=1, strengths=np.array([2.0, 0.05, 0.0, -2.0]))
    table = rate(names, a, b, score, document, seed=1)
    assert [row.rank for row in table.rows] == [1, 2, 2, 4]
    for i, j in itertools.permutations(range(4), 2):
        ahead = table.difference[j, i] - table.difference_error[j, i] > 0
        assert ahead == ((j, i) in {(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)})


def test_the_same_seed_gives_the_same_table_and_names_do_not_matter() -> None:
    names, a, b, score, document = league(5, 25, seed=8)
    one = rate(names, a, b, score, document, seed=4)
    two = rate([f"other {name}" for name in names], a, b, score, document, seed=4)
    assert [(r.lo, r.hi, r.rank) for r in one.rows] == [(r.lo, r.hi, r.rank) for r in two.rows]
    assert rate(names, a, b, score, document, seed=5).rows[0].lo != one.rows[0].lo


def test_a_league_with_an_undefeated_model_has_counts_and_no_numbers() -> None:
    table = rate(["star", "x", "y"], [0, 0, 1, 1], [1, 2, 2, 2], [1, 1, 1, 0], [0, 0, 0, 1], seed=0)
    assert not table.rateable
    for row in table.rows:
        assert (row.ability, row.elo, row.lo, row.hi, row.rank) == (None,) * 5
        assert row.reason is not None
        assert "[star] (never lost a point to the others)" in row.reason
    assert (table.rows[0].wins, table.rows[1].losses) == (2, 2)
    with pytest.raises(NotRateableError, match="star"):
        table.require_rateable()


def test_resamples_that_cannot_be_rated_cost_the_interval() -> None:
    # y's one win is in one document of 20, which (1 − 1/20)^20 = 36 % of the resamples leave out.
    score = np.ones(20)
    score[7] = 0
    table = rate(["x", "y"], np.zeros(20), np.ones(20), score, np.arange(20), seed=0)
    assert table.n_unrateable / table.n_bootstrap == pytest.approx(0.95**20, abs=0.05)
    x = table.rows[0]
    assert x.elo == pytest.approx(1500 + 200 * np.log10(19))
    assert (x.lo, x.hi, x.rank) == (None, None, None)
    assert x.reason is not None
    assert "could not be rated" in x.reason


def test_no_interval_from_one_document_or_without_spread() -> None:
    single = rate(["x", "y"], [0, 0, 0], [1, 1, 1], [1, 0, 1], [4, 4, 4], seed=0)
    assert single.rows[0].elo == pytest.approx(1500 + 200 * np.log10(2))
    assert single.rows[0].lo is None
    assert "two documents" in (single.rows[0].reason or "")
    ties = rate(["x", "y"], [0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 2, 3], seed=0)
    assert (ties.rows[0].elo, ties.rows[0].lo, ties.rows[0].rank) == (1500, None, None)
    assert "same rating" in (ties.rows[0].reason or "")
    assert ties.reason == ties.rows[0].reason
    assert "every comparison is a tie" in (ties.reason or "")


@pytest.mark.parametrize("weight", [0, -1, np.nan, np.inf])
def test_a_weight_is_a_positive_number(weight: float) -> None:
    with pytest.raises(InputError, match="comparison 1 has a weight that is not positive"):
        rate(["x", "y"], [0, 0], [1, 1], [1, 0], [0, 1], weight=[1, weight], seed=0)
    with pytest.raises(InputError, match="weight has shape"):
        rate(["x", "y"], [0], [1], [1], [0], weight=[1, 2], seed=0)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (([0], [0], [1], [0]), "against itself"),
        (([0], [2], [1], [0]), "above 1"),
        (([-1], [1], [1], [0]), "negative"),
        (([0], [1], [0.3], [0]), "score"),
        (([0, 1], [1], [1], [0]), "one length"),
        (([0], [1], [1], [0, 1]), "cluster"),
        (([], [], [], []), "no comparisons"),
    ],
)
def test_wrong_arrays_are_input_errors(arrays: tuple[list[float], ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        rate(["x", "y"], *arrays, seed=0)


def test_names_must_be_distinct() -> None:
    with pytest.raises(InputError, match="distinct"):
        rate(["x", "x"], [0], [1], [1], [0], seed=0)


def test_no_resamples_give_the_same_ratings_without_intervals() -> None:
    args = league(4, 20, seed=3)
    bare, full = rate(*args, seed=0, n_bootstrap=0), rate(*args, seed=0, n_bootstrap=50)
    assert [row.elo for row in bare.rows] == [row.elo for row in full.rows]
    assert {(row.lo, row.hi, row.rank) for row in bare.rows} == {(None, None, None)}
