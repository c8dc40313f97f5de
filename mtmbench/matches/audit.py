"""How a judge behaved over its matches: position bias, flips, ties, replies that were no verdict.

Pure functions over the outcome characters of :mod:`mtmbench.matches.match`. Strings of several
matches may be joined: every figure is a count over documents.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from mtmbench.core.errors import InputError
from mtmbench.matches.match import fold
from mtmbench.stats.intervals import Rate, wilson

ORDER_FREE = "the judge's verdict cannot depend on the order"
"""Why an order-free judge has neither position bias nor flips."""


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
    answers: Counter[str] = Counter()
    for both, n in documents.items():
        answers.update({char: both[: 1 if order_free else 2].count(char) * n for char in "abtur"})
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
