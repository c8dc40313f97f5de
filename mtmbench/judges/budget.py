"""What answers cost, what they may cost at most, and a budget that holds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mtmbench.core.cards import JudgeCard, PriceSpec
from mtmbench.core.errors import InputError
from mtmbench.judges.base import JudgeClient, JudgeStoppedError, Question
from mtmbench.judges.registry import JUDGES, load_judge_card, traits_of

_PER = 1_000_000
"""Prices are for so many tokens."""

_OUTPUT_LIMITS = ("max_completion_tokens", "max_tokens")
"""Decoding settings that bound an answer; reasoning counts towards the first."""

_FRAME_TOKENS = 64
"""More than any chat template or reply schema of ours adds to the messages, in tokens each."""

_NOTHING = PriceSpec(input=0.0, output=0.0)
_WAIT_SECONDS = 0.02


def prices_of(card: JudgeCard, client: JudgeClient | None = None) -> PriceSpec | None:
    """Returns the prices on a card; None if there are none and its answers may cost something.

    Args:
        card: the judge's.
        client: the judge, where it is there already.
    """
    if card.prices is not None:
        return card.prices
    kind = client or JUDGES.get(card.client)
    llm = traits_of(card)["is_llm"] if client is None else client.is_llm
    return _NOTHING if kind.free or not llm else None


def members_of(name: str, card: JudgeCard) -> dict[str, JudgeCard]:
    """Returns the cards by whose prices a judge's answers are paid: a jury's members, else its own.

    Members' names stand behind the jury's.
    """
    own = JUDGES.get(card.client).members(card.params)
    parts = [members_of(f"{name} > {member}", load_judge_card(member)) for member in own]
    return {part: card for found in parts for part, card in found.items()} or {name: card}


def cost_of(usage: Mapping[str, int], prices: PriceSpec | None) -> float | None:
    """Returns what an answer cost; None where prices or usage are not known.

    Cached tokens are among the input ones and have a price of their own.
    """
    if prices is not None and not (prices.input or prices.output):
        return 0.0
    if prices is None or not {"input", "output"} <= set(usage):
        return None
    cached = min(usage.get("cached", 0), usage["input"])
    cached_price = prices.input if prices.cached is None else prices.cached
    fresh = (usage["input"] - cached) * prices.input
    return (fresh + cached * cached_price + usage["output"] * prices.output) / _PER


def total_cost(costs: Iterable[float | None]) -> float | None:
    """Returns the sum, rounded to 1e-9; None if a part is not known, or there is none."""
    listed = list(costs)
    known = [cost for cost in listed if cost is not None]
    # A sum of floats depends on its order, which replies do not keep.
    return round(sum(sorted(known)), 9) if listed and len(known) == len(listed) else None


def most_tokens(messages: Sequence[Mapping[str, str]]) -> int:
    """Returns more tokens than messages can have: a token is at least one byte of UTF-8."""
    return sum(len(message["content"].encode("utf-8")) + _FRAME_TOKENS for message in messages)


def most_cost(asked: Sequence[tuple[JudgeCard, Question]]) -> float | None:
    """Returns the most that a question can cost, given whom it is put to; None without prices."""
    costs = [_most(card, question) for card, question in asked]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def output_limit(decoding: Mapping[str, Any]) -> int | None:
    """Returns the bound that a card's decoding sets on an answer, in tokens."""
    set_limits = [int(decoding[name]) for name in _OUTPUT_LIMITS if name in decoding]
    return min(set_limits) if set_limits else None


def limit_setting(decoding: Mapping[str, Any]) -> str:
    """Returns the name of the setting that bounds an answer, or that could."""
    return next((name for name in _OUTPUT_LIMITS if name in decoding), "max_tokens")


class Budget:
    """An amount that is never exceeded, for as many judges as share it.

    Before a question is sent the most that its answer can cost is set aside; when the answer has
    come, what it did cost takes its place. With answers under way the sum of both is what counts,
    so that no bill that comes in later can break it. A request that is refused costs nothing; one
    that may have been answered, though nothing that can be read came back, the most that it can.

    Args:
        limit: the amount.
        spent: what was spent before.
    """

    def __init__(self, limit: float, spent: float = 0.0) -> None:
        if not limit > 0:
            raise InputError(f"a budget must be above 0, not {limit!r}")
        self.limit = limit
        self.spent = spent
        self._reserved: list[float] = []

    def check(self, name: str, card: JudgeCard) -> None:
        """Says at once if a card gives no bound on what an answer can cost.

        Raises:
            InputError: it, or a member of the jury that it is, has no prices, or no limit on the
                length of an answer that is paid for.
        """
        for member, asked in members_of(name, card).items():
            prices = prices_of(asked)
            if prices is None:
                raise InputError(
                    f"judge {member!r} has no prices, so that a budget cannot be kept: set "
                    "prices.input and prices.output, per million tokens, on its card"
                )
            if prices.output and output_limit(asked.decoding) is None:
                raise InputError(
                    f"judge {member!r} does not bound its answers, so that a budget cannot be "
                    f"kept: set decoding.{_OUTPUT_LIMITS[0]} on its card"
                )

    async def reserve(
        self, asked: Sequence[tuple[JudgeCard, Question]], *, wait: bool = True
    ) -> float:
        """Sets aside the most that a question can cost, given whom it is put to; returns it.

        While answers under way may still turn out cheaper, it waits for them, if told to.

        Raises:
            JudgeStoppedError: it could exceed the budget.
        """
        most = most_cost(asked) or 0.0
        while self.spent + sum(self._reserved) + most > self.limit:
            if not (wait and self._reserved):
                raise JudgeStoppedError(
                    f"the budget of {self.limit:.2f} is used up: {self.spent:.4f} is spent, and "
                    f"the next answer may cost {most:.4f}"
                )
            await asyncio.sleep(_WAIT_SECONDS)
        self._reserved.append(most)
        return most

    def lose(self, most: float) -> None:
        """Counts a request that may be charged for and brought nothing.

        Raises:
            JudgeStoppedError: there is no room left to ask again.
        """
        self.spent += most
        if self.spent + sum(self._reserved) > self.limit:
            raise JudgeStoppedError(
                f"the budget of {self.limit:.2f} is used up: {self.spent:.4f} is spent, as far as "
                "is known, and what is under way may cost more than is left"
            )

    def settle(self, reserved: float, cost: float | None) -> None:
        """Puts what was paid in place of what was set aside; all of it, if that is not known."""
        self._reserved.remove(reserved)
        self.spent += reserved if cost is None else cost


def _most(card: JudgeCard, question: Question) -> float | None:
    tokens = {
        "input": most_tokens(question.messages),
        "output": output_limit(card.decoding) or 0,
    }
    return cost_of(tokens, prices_of(card))
