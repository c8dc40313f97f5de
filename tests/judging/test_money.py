"""Costs by hand, and bounds that hold."""

from __future__ import annotations

import random

import pytest

from mtmbench.cards import JudgeCard, PriceSpec
from mtmbench.errors import InputError
from mtmbench.judging.money import Budget, cost_of, most_tokens, output_limit, total_cost

PRICES = PriceSpec(input=0.15, output=0.60, cached=0.075)


def test_input_output_and_cached_tokens_have_prices_of_their_own() -> None:
    usage = {"input": 2_000_000, "cached": 500_000, "output": 100_000}
    # 1.5 M fresh at 0.15, half a million cached at 0.075, 0.1 M out at 0.60.
    assert cost_of(usage, PRICES) == pytest.approx(0.225 + 0.0375 + 0.06)
    without = PriceSpec(input=0.15, output=0.60)
    assert cost_of(usage, without) == pytest.approx(0.30 + 0.06)


def test_what_is_not_known_is_not_zero() -> None:
    assert cost_of({"input": 10, "output": 1}, None) is None
    assert cost_of({}, PRICES) is None
    assert cost_of({"input": 10}, PRICES) is None
    assert total_cost([0.1, None]) is None
    assert total_cost([]) is None
    assert total_cost([0.1, 0.2]) == 0.3


def test_a_total_does_not_depend_on_the_order() -> None:
    costs = [random.Random(i).random() * 10 ** -(i % 7) for i in range(200)]
    assert len({total_cost(random.Random(i).sample(costs, 200)) for i in range(20)}) == 1


def test_messages_have_fewer_tokens_than_bytes() -> None:
    messages = [{"role": "system", "content": "abc"}, {"role": "user", "content": "é…"}]
    assert most_tokens(messages) == 3 + 5 + 2 * 64


def test_the_limit_of_an_answer() -> None:
    assert output_limit({"max_tokens": 50, "max_completion_tokens": 70}) == 50
    assert output_limit({"temperature": 0}) is None


def test_a_budget_needs_prices_and_a_bound() -> None:
    budget = Budget(1.0)
    with pytest.raises(InputError, match="judge 'x' has no prices"):
        budget.check("x", JudgeCard(client="openai", decoding={"max_tokens": 5}))
    with pytest.raises(InputError, match=r"set decoding\.max_completion_tokens"):
        budget.check("x", JudgeCard(client="openai", prices=PRICES))
    budget.check("x", JudgeCard(client="openai", prices=PRICES, decoding={"max_tokens": 5}))
    with pytest.raises(InputError, match="above 0, not -1"):
        Budget(-1.0)
