"""The detectable difference against simulated leagues, rated as a board rates them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.stats.bradley_terry import ELO_PER_NAT, fit_wins
from mtmbench.stats.outcomes import checked_outcomes
from mtmbench.stats.power import detectable_difference
from mtmbench.stats.sandwich import sandwich_half_widths


def found(
    n_models: int, n_documents: int, elo: float, tie_rate: float, *, ordered: bool, seed: int
) -> float:
    """Share of simulated leagues in which the first model is separated from the last."""
    random = np.random.default_rng(seed)
    pairs = np.array(list(itertools.combinations(range(n_models), 2)))
    a, b = (np.tile(side, n_documents) for side in pairs.T)
    document = np.repeat(np.arange(n_documents), len(pairs))
    strength = np.zeros(n_models)
    strength[0], strength[-1] = elo / 2 / ELO_PER_NAT, -elo / 2 / ELO_PER_NAT
    names = [f"m{i}" for i in range(n_models)]
    hits = 0
    for _ in range(150):
        # Gumbel noise makes the larger one win by Bradley-Terry; shared, it orders the document.
        shape = (n_documents, n_models) if ordered else (n_documents, len(pairs), 2)
        noise = random.gumbel(size=shape)
        if ordered:
            lead = (strength + noise)[:, pairs[:, 0]] - (strength + noise)[:, pairs[:, 1]]
        else:
            lead = strength[pairs[:, 0]] - strength[pairs[:, 1]] + noise[..., 0] - noise[..., 1]
        score = np.where(random.random(lead.shape) < tie_rate, 0.5, lead > 0).ravel()
        outcomes = checked_outcomes(names, a, b, score, document)
        abilities = fit_wins(outcomes.wins())
        _, between = sandwich_half_widths(outcomes, abilities, 0.95)
        hits += ELO_PER_NAT * (abilities[0] - abilities[-1]) > between[0, -1]
    return hits / 150


@pytest.mark.parametrize(("n_models", "n_documents", "tie_rate"), [(6, 100, 0.0), (4, 60, 0.0)])
@pytest.mark.parametrize("ordered", [False, True])
def test_the_stated_difference_is_found_four_times_in_five(
    n_models: int, n_documents: int, tie_rate: float, ordered: bool
) -> None:
    stated = detectable_difference(n_documents, n_models, tie_rate=tie_rate)
    elo = stated.ordered if ordered else stated.independent
    # Four standard errors of 150 leagues are .13, and the larger differences bend the curve.
    assert found(n_models, n_documents, elo, tie_rate, ordered=ordered, seed=1) == pytest.approx(
        0.8, abs=0.13
    )


def test_ties_and_documents_and_models_narrow_it_as_the_formula_says() -> None:
    base = detectable_difference(400, 8)
    assert detectable_difference(400, 32).independent == pytest.approx(base.independent / 2)
    assert detectable_difference(1600, 8).independent == pytest.approx(
        base.independent / 2, rel=0.01
    )
    tied = detectable_difference(400, 8, tie_rate=0.75)
    assert tied.independent == pytest.approx(base.independent / 2)
    assert base.ordered == pytest.approx(base.independent * np.sqrt(3))
    # 2.8 standard errors, each 173.7 √(8 / 3200) = 8.69 Elo.
    assert base.independent == pytest.approx(24.4, abs=0.3)


def test_two_models_have_the_same_difference_either_way() -> None:
    stated = detectable_difference(50, 2)
    assert stated.ordered == stated.independent


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_documents": 1, "n_models": 5}, "documents"),
        ({"n_documents": 9, "n_models": 1}, "models"),
        ({"n_documents": 9, "n_models": 5, "tie_rate": 1.0}, "tie_rate"),
    ],
)
def test_wrong_schedules_are_input_errors(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        detectable_difference(**arguments)
