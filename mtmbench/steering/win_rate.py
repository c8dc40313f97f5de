"""Win rates of steered text, with intervals over pairs and over prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.matches.match import fold
from mtmbench.stats.intervals import logit_share, wilson


@dataclass(frozen=True)
class WinRate:
    """A share of pairs won, a tie being half a win.

    Attributes:
        value: the share; None where no pair was judged.
        lo: lower end of the interval over prompts; None where it cannot be had.
        hi: upper end.
        wilson_lo: lower end of Wilson's interval, which takes pairs for independent.
        wilson_hi: upper end.
        n: pairs judged.
        n_prompts: prompts that they go on from.
        n_removed: pairs with an unparsed or refused reply.
        reason: why something is missing or of another kind, or None.
        by_direction: the share of each direction's pairs, where a control has several.
    """

    value: float | None
    lo: float | None
    hi: float | None
    wilson_lo: float | None
    wilson_hi: float | None
    n: int
    n_prompts: int
    n_removed: int
    reason: str | None = None
    by_direction: tuple[float, ...] = ()


def win_rate(
    forward: str,
    backward: str,
    prompts: Sequence[str],
    *,
    confidence: float = 0.95,
) -> WinRate:
    """Folds outcomes into a win rate.

    Texts of one prompt resemble each other, and several λ or samples may share it, so that the
    interval is over prompts, on the logit scale (:func:`~mtmbench.stats.intervals.logit_share`).

    Args:
        forward: outcome characters of the pairs with the steered text first
            (:mod:`mtmbench.matches.match`).
        backward: the same with it second.
        prompts: the prompt of each pair.
        confidence: level of the intervals.

    Raises:
        InputError: the three differ in length, or a character is no outcome.
    """
    if not len(forward) == len(backward) == len(prompts):
        raise InputError(
            f"{len(forward)} outcomes forward, {len(backward)} backward, {len(prompts)} prompts"
        )
    folded = [fold(*both) for both in zip(forward, backward, strict=True)]
    kept = [
        (prompt, score) for prompt, score in zip(prompts, folded, strict=True) if score is not None
    ]
    n_removed = len(folded) - len(kept)
    if not kept:
        return WinRate(None, None, None, None, None, 0, 0, n_removed, "no pair was judged")
    distinct, index = np.unique([prompt for prompt, _ in kept], return_inverse=True)
    won = np.bincount(index, weights=[score for _, score in kept], minlength=len(distinct))
    played = np.bincount(index, minlength=len(distinct))
    ends = wilson(float(won.sum()), len(kept), confidence)
    rate = logit_share(won, played, of="prompt", confidence=confidence)
    return WinRate(
        rate.value, rate.lo, rate.hi, ends.lo, ends.hi, rate.n, len(distinct), n_removed,
        rate.reason,
    )  # fmt: skip
