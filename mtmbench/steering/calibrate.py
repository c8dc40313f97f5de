"""λ by which a direction changes activations as much as wanted, in the very text that it makes.

Steered text is other text: its activations lie elsewhere than a reference text's, and a λ that is
matched there misses by a fifth to a third in what is generated. So a few prompts are gone on from,
the change is measured, and λ is moved until it is right: a secant search, all directions at one
time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mtmbench.core.errors import InputError
from mtmbench.steering.hook import Push
from mtmbench.steering.vector import SteeringVector

TOLERANCE = 0.04
"""A change is right within this share of the target; a dozen prompts do not tell it finer."""

ROUNDS = 4
_SLOPES = 0.5, 2.0


@dataclass(frozen=True)
class Search:
    """What is looked for along one direction.

    Attributes:
        vector: the direction.
        start: the first λ to try, in the vector's scale.
        turn: where the change is least, in length; the search stays on the start's side of it,
            for beyond it the text is steered the other way.
        target: mean ‖a′ − a‖ to reach.
    """

    vector: SteeringVector
    start: float
    turn: float
    target: float


@dataclass(frozen=True)
class Trial:
    """A λ that was tried, and the mean ‖a′ − a‖ of the texts that it made."""

    strength: float
    change: float


@dataclass(frozen=True)
class Calibration:
    """What a search found.

    Attributes:
        trials: in the order of the search.
        target: the change that was looked for.
    """

    trials: tuple[Trial, ...]
    target: float

    @property
    def best(self) -> Trial:
        """The trial whose change is nearest to the target, the first of equals."""
        return min(self.trials, key=lambda trial: abs(trial.change - self.target))


def calibrate(
    searches: Sequence[Search], measure: Callable[[Sequence[Push]], Sequence[float]]
) -> list[Calibration]:
    """Searches λ along several directions at one time.

    The change is about as steep as λ far from where it is least, which gives the second λ; each
    further one is the secant's through the last two, its slope kept within 0.5 and 2. A search ends
    within 4 % of its target, where its λ cannot move, or after four rounds.

    Args:
        searches: what is looked for.
        measure: the mean ‖a′ − a‖ of the texts that each of some pushes makes.

    Raises:
        InputError: a target is not above 0.
    """
    for search in searches:
        if not search.target > 0:
            raise InputError(f"a change to reach must be above 0, not {search.target!r}")
    trials: list[list[Trial]] = [[] for _ in searches]
    levels: dict[int, float] = {i: search.start for i, search in enumerate(searches)}
    for _ in range(ROUNDS):
        pushes = [Push(searches[i].vector, level) for i, level in levels.items()]
        changes = measure(pushes) if pushes else []
        for i, push, change in zip(list(levels), pushes, changes, strict=True):
            trials[i].append(Trial(push.strength, change))
            level = _next(searches[i], trials[i])
            if level is None:
                del levels[i]
            else:
                levels[i] = level
    return [
        Calibration(tuple(tried), search.target)
        for tried, search in zip(trials, searches, strict=True)
    ]


def _next(search: Search, trials: Sequence[Trial]) -> float | None:
    """Returns the λ to try next; None where the search is over."""
    last, scale = trials[-1], search.vector.scale
    missing = search.target - last.change
    if abs(missing) <= TOLERANCE * search.target:
        return None
    side = 1.0 if search.start * scale >= search.turn else -1.0
    slope = 1.0
    if len(trials) > 1:
        before = trials[-2]
        rise = last.change - before.change
        slope = side * rise / (scale * (last.strength - before.strength))
        slope = min(max(slope, _SLOPES[0]), _SLOPES[1])
    level = last.strength * scale + side * missing / slope
    if side * (level - search.turn) < 0:
        level = search.turn
    found = level / scale
    return None if any(trial.strength == found for trial in trials) else found
