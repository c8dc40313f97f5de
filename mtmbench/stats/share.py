"""A share of yes among yes and no, with an interval that resamples whole documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mtmbench.boards.cells import rounded
from mtmbench.matches.audit import wilson
from mtmbench.stats.outcomes import resampled_counts

N_BOOTSTRAP = 2000


@dataclass(frozen=True)
class Share:
    """A share and its interval.

    Attributes:
        value: yes over n; None where n is 0.
        lo: lower end; None where it cannot be had.
        hi: upper end.
        yes: how many are yes.
        n: how many are yes or no.
        n_documents: documents that these lie in.
        reason: why the interval is missing or of another kind, or None.
    """

    value: float | None
    lo: float | None
    hi: float | None
    yes: int
    n: int
    n_documents: int
    reason: str | None

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON values, numbers rounded to 4 decimals."""
        values = asdict(self)
        return {**values, **{name: rounded(values[name], 4) for name in ("value", "lo", "hi")}}


def clustered_share(
    marked: Sequence[tuple[int, bool]],
    *,
    seed: int,
    n_bootstrap: int = N_BOOTSTRAP,
    confidence: float = 0.95,
) -> Share:
    """Returns the share of yes with an interval over documents.

    As for ratings: ``share ± t(n − 1) · √(n / (n − 1)) · bootstrap standard error`` with n
    documents resampled as a whole, kept within 0 and 1. Where all are marked alike the bootstrap
    shows no spread, and the interval is Wilson's with each document counted once.

    Args:
        marked: (document, whether yes) of everything marked.
        seed: seed of the bootstrap.
        n_bootstrap: number of resamples.
        confidence: level of the interval.
    """
    from scipy.special import stdtrit

    documents, index = np.unique([document for document, _ in marked], return_inverse=True)
    yes = np.bincount(index, weights=[value for _, value in marked], minlength=len(documents))
    total = np.bincount(index, minlength=len(documents))
    n_yes, n, n_documents = int(yes.sum()), int(total.sum()), len(documents)
    if n == 0:
        return Share(None, None, None, 0, 0, 0, "nothing is marked yes or no")
    value = n_yes / n
    if n_documents < 2:
        reason = "no interval: one document"
        return Share(value, None, None, n_yes, n, n_documents, reason)
    if n_yes in (0, n):
        ends = wilson(n_documents if n_yes else 0, n_documents, confidence)
        reason = "all are marked alike: Wilson's interval, each document counted once"
        return Share(value, ends.lo, ends.hi, n_yes, n, n_documents, reason)
    drawn = resampled_counts(np.random.RandomState(seed), n_bootstrap, n_documents)
    shares = (drawn @ yes) / (drawn @ total)
    factor = float(stdtrit(n_documents - 1, 0.5 + confidence / 2))
    half = factor * np.sqrt(n_documents / (n_documents - 1)) * float(np.std(shares, ddof=1))
    return Share(value, max(0.0, value - half), min(1.0, value + half), n_yes, n, n_documents, None)
