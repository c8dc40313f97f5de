"""What the best of several gains by noise alone."""

from __future__ import annotations

import numpy as np

from mtmbench.core.errors import InputError

_FARTHEST, _POINTS = 12.0, 20_001


def expected_largest(n: int) -> float:
    """Returns the expected largest of ``n`` independent standard normal values.

    ``∫ x dΦ(x)ⁿ`` (Tippett 1925), by parts ``∫₀^∞ (1 − Φ(x)ⁿ − Φ(−x)ⁿ) dx``, by the trapezoidal
    rule.

    Raises:
        InputError: ``n`` is less than 1.
    """
    from scipy.special import log_ndtr

    if n < 1:
        raise InputError(f"the largest of {n} values is none; give at least 1")
    x = np.linspace(0.0, _FARTHEST, _POINTS)
    inside = -np.expm1(n * log_ndtr(x)) - np.exp(n * log_ndtr(-x))
    return float(np.trapezoid(inside, x))
