"""Thousands of names: sparse fits against dense ones, choix and closed forms, in bounded memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import choix
import numpy as np
import pytest

from mtmbench.core.errors import NotRateableError
from mtmbench.stats import rate as rating
from mtmbench.stats.bradley_terry import ELO_PER_NAT, fit_wins
from mtmbench.stats.intervals import interval_factor
from mtmbench.stats.many import fit_many, fit_many_davidson, solved
from mtmbench.stats.outcomes import Outcomes, checked_outcomes
from mtmbench.stats.pairs import Pairs, unrateable_reason
from mtmbench.stats.rate import RatingTable, rate
from mtmbench.stats.sandwich import fit_covariance, sandwich_half_widths, sandwich_ranks
from mtmbench.stats.ties import fit_davidson


def battles(n: int, m: int, seed: int = 0) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Names, and m comparisons of random pairs, a fifth of them ties."""
    random = np.random.default_rng(seed)
    strength = random.normal(0, 0.6, size=n)
    a = random.integers(0, n, m)
    b = (a + 1 + random.integers(0, n - 1, m)) % n
    won = random.random(m) < 1 / (1 + np.exp(strength[b] - strength[a]))
    score = np.where(random.random(m) < 0.2, 0.5, won)
    return [f"m{i:04d}" for i in range(n)], a, b, score


def outcomes(n: int, m: int, seed: int = 0, clusters: int | None = None) -> Outcomes:
    names, a, b, score = battles(n, m, seed)
    return checked_outcomes(names, a, b, score, np.arange(m) % (clusters or m))


def chain(n: int) -> Pairs:
    """Each of n names beat the next 3 : 2, and met no other: differences are ln 1.5."""
    index = np.arange(n - 1)
    ones = np.ones(n - 1)
    return Pairs(n, index, index + 1, 3 * ones, 2 * ones, 0 * ones)


def test_sparse_and_dense_fits_and_choix_agree() -> None:
    data = outcomes(60, 1500)
    found = fit_many(data.pairs(), data.names)
    assert found == pytest.approx(fit_wins(data.wins()), abs=1e-9)
    by_choix = choix.ilsr_pairwise_dense(data.wins(), max_iter=1000, tol=1e-11)
    assert found == pytest.approx(by_choix - by_choix.mean(), abs=1e-7)


def test_davidsons_sparse_and_dense_fits_agree() -> None:
    data = outcomes(40, 1500, seed=3)
    pairs = data.pairs()
    found = fit_many_davidson(pairs, data.names)
    dense = fit_davidson(data.wins(tie=0.0), pairs.matrix(pairs.tied, pairs.tied, 0.0))
    assert found.abilities == pytest.approx(dense.abilities, abs=1e-8)
    assert found.nu == pytest.approx(dense.nu, abs=1e-8)
    untied = Pairs(40, pairs.low, pairs.high, pairs.won + 1, pairs.lost + 1, 0 * pairs.tied)
    assert fit_many_davidson(untied).nu == 0
    assert fit_many_davidson(untied).abilities == pytest.approx(fit_many(untied))
    only = Pairs(40, pairs.low, pairs.high, 0 * pairs.won, 0 * pairs.won, pairs.played)
    with pytest.raises(NotRateableError, match="no finite maximum"):
        fit_many_davidson(only)


def test_a_chain_of_three_thousand_names_has_its_closed_form() -> None:
    """Conjugate gradients would creep along it; a factorisation does not."""
    found = fit_many(chain(3000))
    assert -np.diff(found) == pytest.approx(np.log(1.5), abs=1e-9)


def test_a_laplacian_is_the_same_dense_and_sparse() -> None:
    pairs = outcomes(30, 200).pairs()
    curvature = np.random.default_rng(1).random(len(pairs.low))
    dense = np.zeros((30, 30))
    for low, high, value in zip(pairs.low, pairs.high, curvature, strict=True):
        apart = np.zeros(30)
        apart[low], apart[high] = 1, -1
        dense += value * np.outer(apart, apart)
    np.testing.assert_allclose(pairs.dense_laplacian(curvature), dense, atol=1e-12)
    np.testing.assert_allclose(pairs.laplacian(curvature).toarray(), dense, atol=1e-12)


def test_equations_in_a_laplacian_are_solved_up_to_a_shift() -> None:
    pairs = outcomes(50, 400, seed=2).pairs()
    matrix = pairs.laplacian(pairs.played)
    right = np.random.default_rng(0).normal(size=50)
    right -= right.mean()
    expected = np.linalg.lstsq(matrix.toarray(), right)[0]
    assert solved(matrix, right) == pytest.approx(expected - expected.mean(), abs=1e-8)


@pytest.mark.parametrize("clusters", [None, 13], ids=["a row each", "fewer than names"])
def test_the_sandwich_is_its_formula_with_one_name_held(clusters: int | None) -> None:
    data = outcomes(20, 600, clusters=clusters)
    abilities = fit_wins(data.wins())
    chance = 1 / (1 + np.exp(abilities[data.second] - abilities[data.first]))
    scores, information = np.zeros((len(data.strata), 20)), np.zeros((20, 20))
    for a, b, points, group, p in zip(
        data.first, data.second, data.points, data.groups, chance, strict=True
    ):
        scores[group, a] += points - p
        scores[group, b] -= points - p
        step = np.zeros(20)
        step[a], step[b] = 1, -1
        information += p * (1 - p) * np.outer(step, step)
    bread = np.zeros((20, 20))
    bread[1:, 1:] = np.linalg.inv(information[1:, 1:])  # the first ability is held at zero
    centred = np.eye(20) - 1 / 20
    scores = scores - scores.mean(axis=0)
    expected = centred @ bread @ scores.T @ scores @ bread @ centred
    covariance = fit_covariance(data, abilities)
    assert covariance.rows(0, 20) == pytest.approx(expected, abs=1e-9)
    assert covariance.variances() == pytest.approx(np.diag(expected), abs=1e-9)
    assert covariance.rows(4, 6) == pytest.approx(expected[4:6], abs=1e-9)


def test_ten_documents_of_a_hundred_names_have_a_sandwich() -> None:
    """The eigenvalue that is zero but for rounding used to be inverted: half-widths of millions."""
    random = np.random.default_rng(0)
    a, b = (np.tile(side, 10) for side in np.triu_indices(100, 1))
    score = random.integers(0, 2, len(a)).astype(float)
    names = [f"m{i}" for i in range(100)]
    data = checked_outcomes(names, a, b, score, np.repeat(np.arange(10), 4950))
    own, _ = sandwich_half_widths(data, fit_wins(data.wins()), 0.95)
    # Of 990 even comparisons each: 2 / √990 nats about, were they independent.
    assert ELO_PER_NAT * 0.5 * 2 / np.sqrt(990) < np.median(own)
    assert own.max() < ELO_PER_NAT * 4 * 2 / np.sqrt(990) * interval_factor(data.strata)


def test_ranks_of_many_are_those_of_the_matrix_of_half_widths() -> None:
    data = outcomes(30, 3000, seed=5)
    abilities = fit_wins(data.wins())
    own, between = sandwich_half_widths(data, abilities, 0.9)
    halves, ranks = sandwich_ranks(data, abilities, 0.9)
    elo = ELO_PER_NAT * abilities
    ahead = (elo[:, None] - elo[None, :] > between) & ~np.eye(30, dtype=bool)
    assert halves == pytest.approx(own)
    assert ranks.tolist() == (1 + ahead.sum(axis=0)).tolist()
    assert 5 < ranks.max() < 30


class TestBySize:
    @pytest.fixture
    def few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Calls a dozen names many."""
        monkeypatch.setattr(rating, "MOST_BOOTSTRAPPED", 11)

    def both(self, few: None, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Any:
        names, a, b, score = battles(12, 1500, seed=7)
        options = {"seed": 1, "n_bootstrap": 2000, **options}
        sandwich = rate(names, a, b, score, np.arange(1500) // 3, **options)
        monkeypatch.setattr(rating, "MOST_BOOTSTRAPPED", 12)
        return sandwich, rate(names, a, b, score, np.arange(1500) // 3, **options)

    @pytest.mark.parametrize("ties", ["half", "davidson"])
    def test_many_names_have_the_ratings_of_few_and_nearly_their_intervals(
        self, few: None, monkeypatch: pytest.MonkeyPatch, ties: Any
    ) -> None:
        many: RatingTable
        many, plain = self.both(few, monkeypatch, ties=ties)
        assert (many.intervals, many.n_bootstrap) == ("sandwich", 0)
        assert (plain.intervals, plain.n_bootstrap) == ("bootstrap", 2000)
        for one, other in zip(many.rows, plain.rows, strict=True):
            assert one.ability == pytest.approx(other.ability, abs=1e-8)
            assert (one.wins, one.losses, one.ties) == (other.wins, other.losses, other.ties)
            assert one.hi is not None
            assert other.hi is not None
            # The bootstrap's own error over 2,000 resamples is 1.6 %.
            assert one.hi - one.lo == pytest.approx(other.hi - other.lo, rel=0.08)
        if ties == "davidson":
            assert many.tie_parameter == pytest.approx(plain.tie_parameter, abs=1e-8)
        near = [abs(a.rank - b.rank) for a, b in zip(many.rows, plain.rows, strict=True)]
        assert max(near) <= 1

    def test_many_names_without_intervals_say_why(
        self, few: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names, a, b, score = battles(12, 400)
        one = rate(names, a, b, score, np.zeros(400), seed=0)
        assert one.reason is not None
        assert "two documents" in one.reason
        tied = rate(names, a, b, np.full(400, 0.5), np.arange(400), seed=0)
        assert {row.elo for row in tied.rows} == {1500}
        assert "every comparison is a tie" in (tied.reason or "")
        monkeypatch.setattr(rating, "MOST_WITH_INTERVALS", 11)
        many = rate(names, a, b, score, np.arange(400), seed=0)
        assert many.reason == "no interval: 12 competitors are more than 11"
        assert many.rows[0].elo is not None


def peak_mb(n: int, m: int, n_clusters: int, n_bootstrap: int) -> float:
    names, *columns = battles(n, m)
    tracemalloc.start()
    table = rate(names, *columns, np.arange(m) % n_clusters, seed=0, n_bootstrap=n_bootstrap)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert table.rows[0].hi is not None
    return peak / 1e6


def test_the_bootstrap_never_holds_all_matrices_of_wins() -> None:
    # (4000, 60, 60) at once is 115 MB of floats.
    assert peak_mb(60, 3000, n_clusters=50, n_bootstrap=4000) < 60


def test_many_names_take_little_memory() -> None:
    # (1000, 600, 600) at once would be 2.9 GB.
    assert peak_mb(600, 20_000, n_clusters=20_000, n_bootstrap=1000) < 100


def test_a_message_names_thousands_of_groups_without_listing_them_all() -> None:
    names = [f"m{i}" for i in range(500)]
    beats = np.triu(np.ones((500, 500)), 1)
    reason = unrateable_reason(beats, names) or ""
    assert "[m0] (never lost a point to the others)" in reason
    assert reason.endswith("and 470 more groups")
    apart = np.ones((500, 500))
    apart[499, :] = 0
    reason = unrateable_reason(apart, names) or ""
    assert "m29, and 469 more names] (never lost" in reason
    assert reason.endswith("[m499] (never took a point from the others)")
