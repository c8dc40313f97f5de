"""The search space of a model: what its card's ``[search]`` says, as Optuna reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.cards import ModelCard
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.serialise import content_hash
from mtmbench.core.tuning import Choice, Search, SearchRange
from mtmbench.models.registry import MODELS

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def check_optuna() -> None:
    """Raises :class:`InputError` where Optuna is not installed."""
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise InputError("tuning needs package optuna: pip install 'mtmbench[tune]'") from error


def search_of(name: str, card: ModelCard, given: Mapping[str, object]) -> dict[str, Search]:
    """Returns what tuning may set of a model: its card's ``[search]`` less what a suite gives.

    Args:
        name: the model, as the suite names it.
        card: its card.
        given: parameters that the suite sets; these stay.

    Raises:
        UnknownNameError: the model has no such parameter.
        InputError: there is nothing to search, or the number of topics is searched.
    """
    valid = sorted(MODELS.get(card.model)().get_params(deep=False))
    for parameter in card.search:
        if parameter not in valid:
            raise UnknownNameError(f"parameter in [search] of model {name!r}", parameter, valid)
    if "n_topics" in card.search:
        raise InputError(f"[search] of model {name!r} has n_topics, which the suite's k sets")
    left = {each: search for each, search in card.search.items() if each not in given}
    if not left:
        why = "which the suite sets itself" if card.search else "of which its card has none"
        raise InputError(
            f"model {name!r} cannot be tuned without a [search], {why}; give a card such as "
            f"model = {card.model!r} with [search] alpha = [1, 5] or {{ low = 1, high = 9 }}"
        )
    return left


def distributions(search: Mapping[str, Search]) -> dict[str, BaseDistribution]:
    """Returns the same as Optuna's distributions."""
    from optuna import distributions as kinds

    def distribution(allowed: Search) -> BaseDistribution:
        if not isinstance(allowed, SearchRange):
            return kinds.CategoricalDistribution(allowed)
        low, high, step = allowed.low, allowed.high, allowed.step
        if allowed.is_whole:
            return kinds.IntDistribution(int(low), int(high), allowed.log, int(step or 1))
        return kinds.FloatDistribution(low, high, allowed.log, step)

    return {name: distribution(allowed) for name, allowed in search.items()}


def spread(search: Mapping[str, Search], nth: int, of: int, seed: int) -> dict[str, Choice]:
    """Returns the ``nth`` of ``of`` settings that are spread over the space.

    A Latin hypercube (McKay, Beckman and Conover 1979): each parameter's range is cut into ``of``
    parts as likely as each other, of which each is met once, in an order of its own; choices are
    met in turn.
    """
    found: dict[str, Choice] = {}
    for name, allowed in search.items():
        rng = np.random.default_rng(int(content_hash("spread", seed, name)[:8], 16))
        place, within = rng.permutation(of)[nth], rng.random(of)[nth]
        if not isinstance(allowed, SearchRange):
            order = rng.permutation(len(allowed))
            found[name] = allowed[order[place % len(allowed)]]
        else:
            found[name] = _at(allowed, float((place + within) / of))
    return found


def _at(allowed: SearchRange, share: float) -> int | float:
    """Returns the number that lies ``share`` of the way through a range."""
    low, high = allowed.low, allowed.high
    if allowed.log:
        value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        return min(int(high), round(value)) if allowed.is_whole else min(float(high), value)
    step = allowed.step or (1 if allowed.is_whole else None)
    if step is None:
        return low + share * (high - low)
    n = math.floor((high - low) / step + 1e-9) + 1
    # Rounded, since 0.1 + 2 · 0.1 is above 0.3, and no number of the range.
    return round(low + step * int(share * n), 12)
