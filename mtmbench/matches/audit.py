"""How a judge behaved over its matches: position bias, flips, ties, replies that were no verdict.

Pure functions over the outcome characters of :mod:`mtmbench.matches.match`. Strings of several
matches may be joined: every figure is a count over documents.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from mtmbench.core.errors import InputError
from mtmbench.matches.match import fold

ORDER_FREE = "the judge's verdict cannot depend on the order"
"""Why an order-free judge has neither position bias nor flips."""

_NO_SPREAD = 1e-12


@dataclass(frozen=True)
class Rate:
    """A share with its Wilson score interval.

    Attributes:
        value: the share, None with ``reason``.
        lo: lower end of the interval, None with ``reason``.
        hi: upper end.
        n: what it is a share of.
        reason: why there is no value.
    """

    value: float | None
    lo: float | None
    hi: float | None
    n: int
    reason: str | None = None


@dataclass(frozen=True)
class Audit:
    """A judge's behaviour over the documents of one or more matches.

    Attributes:
        n_documents: documents of the matches, judged or not.
        n_ruled: documents decided by rule, without a call.
        n_removed: documents whose pair was removed, one order unparsed or refused.
        position_bias: share of the first slot among decisive answers (raw, before folding); 0.5
            is no bias.
        flips: among documents answered in both orders, share whose two verdicts differ.
        ties: share of ties among parsed answers.
        unparsed: share of unparsed replies among all answers.
        refused: share of refusals among all answers.
    """

    n_documents: int
    n_ruled: int
    n_removed: int
    position_bias: Rate
    flips: Rate
    ties: Rate
    unparsed: Rate
    refused: Rate


def audit(
    forward: str, backward: str, *, order_free: bool = False, confidence: float = 0.95
) -> Audit:
    """Counts a judge's behaviour.

    Args:
        forward: outcome characters with competitor a shown first.
        backward: the same documents with b shown first.
        order_free: one call was recorded as both orders, so position bias and flips do not apply
            and an answer counts once.
        confidence: of the intervals.

    Raises:
        InputError: the strings differ in length or hold a character that is no outcome.
    """
    if len(forward) != len(backward):
        raise InputError(f"{len(forward)} outcomes forward but {len(backward)} backward")
    documents = Counter(zip(forward, backward, strict=True))
    folded = {both: fold(*both) for both in documents}
    answers = Counter(
        char for char in forward + ("" if order_free else backward) if char in "abtur"
    )
    parsed = answers["a"] + answers["b"] + answers["t"]
    asked = answers.total()
    in_both = {both: n for both, n in documents.items() if set(both) <= set("abt")}

    def rate(part: int, whole: int, what: str) -> Rate:
        return wilson(part, whole, confidence, reason=f"no {what}")

    if order_free:
        bias = flips = Rate(None, None, None, 0, ORDER_FREE)
    else:
        first = sum(n for (f, b), n in documents.items() for slot in (f == "a", b == "b") if slot)
        flipped = sum(n for (f, b), n in in_both.items() if f != b)
        bias = rate(first, answers["a"] + answers["b"], "decisive answer")
        flips = rate(flipped, sum(in_both.values()), "document answered in both orders")
    return Audit(
        n_documents=len(forward),
        n_ruled=sum(n for (f, _), n in documents.items() if f in "ABT"),
        n_removed=sum(n for both, n in documents.items() if folded[both] is None),
        position_bias=bias,
        flips=flips,
        ties=rate(answers["t"], parsed, "parsed answer"),
        unparsed=rate(answers["u"], asked, "answer"),
        refused=rate(answers["r"], asked, "answer"),
    )


def clustered(
    values: Sequence[float],
    clusters: Sequence[Hashable],
    strata: Sequence[Hashable] | None = None,
    *,
    confidence: float = 0.95,
    reason: str = "nothing to count",
) -> Rate:
    """Returns the mean of values in [0, 1] with an interval over clusters (documents).

    ``mean ± t(n − S) · √(n / (n − S)) · error`` for n clusters in S strata, with the linearised
    error of a ratio, ``√Σ_s Σ_c (e_c − ē_s)² / Σ_c m_c`` where ``e_c = Σ_c value − m_c · mean`` and
    m_c values are in cluster c (Cochran 1977, 6.13): what resampling whole documents within their
    corpora tends to. Where no cluster differs from the others that error is zero, and the interval
    is Wilson's with the clusters as trials.

    Args:
        values: M values.
        clusters: M clusters; a cluster may repeat in another stratum.
        strata: M strata (corpora); None for one.
        confidence: of the interval, in (0, 1).
        reason: why there is no value when there are no values.

    Raises:
        InputError: the columns differ in length, or a value is not in [0, 1].
    """
    from scipy.special import stdtrit

    groups = ["" for _ in values] if strata is None else list(strata)
    if not len(values) == len(clusters) == len(groups):
        raise InputError(f"{len(values)} values, {len(clusters)} clusters, {len(groups)} strata")
    if not all(0 <= value <= 1 for value in values):
        raise InputError("a value is not between 0 and 1")
    if not values:
        return Rate(None, None, None, 0, reason)
    mean = math.fsum(values) / len(values)
    excess: dict[tuple[Hashable, Hashable], float] = {}
    for value, cluster, stratum in zip(values, clusters, groups, strict=True):
        key = stratum, cluster
        excess[key] = excess.get(key, 0.0) + value - mean
    by_stratum: dict[Hashable, list[float]] = {}
    for (stratum, _), e in excess.items():
        by_stratum.setdefault(stratum, []).append(e)
    n, freedom = len(excess), len(excess) - len(by_stratum)
    if min(map(len, by_stratum.values())) < 2:
        return Rate(mean, None, None, len(values), "no interval: a corpus has only one document")
    squares = math.fsum((e - fmean(own)) ** 2 for own in by_stratum.values() for e in own)
    if squares < _NO_SPREAD:
        exact = wilson(round(mean * n), n, confidence)
        return Rate(mean, exact.lo, exact.hi, len(values))
    error = math.sqrt(squares * n / freedom) / len(values)
    half = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    return Rate(mean, max(0.0, mean - half), min(1.0, mean + half), len(values))


def wilson(
    part: float, whole: int, confidence: float = 0.95, *, reason: str = "nothing to count"
) -> Rate:
    """Returns ``part / whole`` with its Wilson score interval (Wilson 1927).

    Args:
        part: successes; a half counts half, which makes the interval a little too wide.
        whole: trials; 0 gives a missing value with ``reason``.
        confidence: of the interval, in (0, 1).
        reason: why there is no value when ``whole`` is 0.

    Raises:
        InputError: ``part`` is not between 0 and ``whole``, or ``confidence`` not in (0, 1).
    """
    if not 0 <= part <= whole:
        raise InputError(f"{part} of {whole} is not a share")
    if not 0 < confidence < 1:
        raise InputError(f"confidence must lie between 0 and 1, not {confidence!r}")
    if whole == 0:
        return Rate(None, None, None, 0, reason)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = part / whole
    scale = 1 + z * z / whole
    centre = (share + z * z / (2 * whole)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole))
    # At 0 and at 1 the end is exact, and rounding must not carry it outside.
    lo = 0.0 if part == 0 else max(0.0, centre - half)
    hi = 1.0 if part == whole else min(1.0, centre + half)
    return Rate(share, lo, hi, whole)
