"""The exact scores that a scripted judge's answers lead to: the truth behind simulations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def expected_scores(
    strengths: Sequence[float] | NDArray[np.float64],
    tie_rate: float = 0.0,
    position_bias: float = 0.0,
) -> NDArray[np.float64]:
    """Returns the exact expected folded score of every competitor against every other.

    With ``w(x, y) = (1 − tie_rate)(max(0, ±position_bias) + (1 − |position_bias|) σ(s_x − s_y))``
    the probability that x is named (plus where x stands first), a wins its pair with probability
    ``P_aa = w₊(a, b) w₋(a, b)``, the two orders being independent, and the expected score is
    ``½ + ½ (P_aa − P_bb)``: only the same competitor in both orders is a win. The score is given
    that both orders were parsed; failures are independent of verdicts, so they change nothing.

    Args:
        strengths: (n,) natural-log abilities.
        tie_rate: as in :class:`mtmbench.judges.clients.scripted.ScriptedJudge`.
        position_bias: likewise.

    Returns:
        (n, n); row a, column b: score of a; ½ on the diagonal.
    """
    ability = np.asarray(strengths, dtype=np.float64)
    wins = 1 / (1 + np.exp(ability[None, :] - ability[:, None]))
    read = (1 - abs(position_bias)) * wins
    first = (1 - tie_rate) * (max(0.0, position_bias) + read)
    second = (1 - tie_rate) * (max(0.0, -position_bias) + read)
    both: NDArray[np.float64] = first * second
    scores: NDArray[np.float64] = 0.5 + 0.5 * (both - both.T)
    return scores
