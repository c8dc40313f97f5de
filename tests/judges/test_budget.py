"""Costs by hand, and bounds that hold."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
import tomli_w
from support.chat_server import ChatServer, Say

from mtmbench.core.cards import EndpointSpec, JudgeCard, PriceSpec
from mtmbench.core.errors import InputError
from mtmbench.judges.base import JudgeStoppedError, Question
from mtmbench.judges.budget import (
    Budget,
    cost_of,
    most_tokens,
    output_limit,
    prices_of,
    total_cost,
)
from mtmbench.judges.clients.jury import Jury
from mtmbench.judges.panel import Panel

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


def test_what_answers_in_this_process_costs_nothing() -> None:
    for client in ("transformers", "replay", "embedding"):
        card = JudgeCard(client=client)
        prices = prices_of(card)
        assert prices is not None
        assert cost_of({"input": 10, "output": 1}, prices) == cost_of({}, prices) == 0.0
        Budget(1.0).check("x", card)
    # Unless its card says otherwise.
    assert prices_of(JudgeCard(client="transformers", prices=PRICES)) == PRICES
    assert prices_of(JudgeCard(client="openai")) is None


def jury(folder: Path, **members: JudgeCard) -> JudgeCard:
    for name, card in members.items():
        data = card.model_dump(mode="json", exclude_none=True)
        (folder / f"{name}.toml").write_text(tomli_w.dumps(data))
    return JudgeCard(
        client="jury", params={"members": [str(folder / f"{name}.toml") for name in members]}
    )


def chat(prices: PriceSpec | None, **decoding: int) -> JudgeCard:
    return JudgeCard(
        client="openai", model="m", endpoint=EndpointSpec(base_url="http://127.0.0.1:1/v1"),
        prices=prices, decoding=decoding,
    )  # fmt: skip


def test_a_jury_needs_prices_of_those_who_are_paid(tmp_path: Path) -> None:
    local = JudgeCard(client="transformers", params={"model": "m"})
    paid = chat(PRICES, max_tokens=5)
    Budget(1.0).check("j", jury(tmp_path, a=paid, b=local))
    with pytest.raises(InputError, match=r"'j > .*c\.toml' has no prices"):
        Budget(1.0).check("j", jury(tmp_path, a=paid, c=chat(None, max_tokens=5)))
    with pytest.raises(InputError, match=r"'j > .*d\.toml' does not bound"):
        Budget(1.0).check("j", jury(tmp_path, a=paid, d=chat(PRICES)))


def test_a_jury_costs_what_its_members_cost(tmp_path: Path) -> None:
    first = chat(PriceSpec(input=1e6, output=2e6), max_tokens=5)
    second = chat(PriceSpec(input=3e6, output=0), max_tokens=7)
    free = JudgeCard(client="lexical")
    card = jury(tmp_path, first=first, second=second, free=free)
    client = Jury.from_card(card)
    asked = Question("steer", {"text": "t"}, (), ({"role": "user", "content": "abcd"},))
    parts = client.put_to(card, asked)
    assert [part.client for part, _ in parts] == ["openai", "openai", "lexical"]
    # 4 bytes and 64 of the frame: 68 + 2 · 5 and 3 · 68.
    assert asyncio.run(Budget(500.0).reserve(parts)) == 68 + 10 + 204
    with pytest.raises(JudgeStoppedError, match=r"the next answer may cost 282\.0000"):
        asyncio.run(Budget(281.0).reserve(parts))


def test_usage_that_is_not_known_counts_as_the_most_on_every_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def ask(text: str, server: ChatServer) -> float | None:
        card = chat(PriceSpec(input=1e6, output=2e6), max_tokens=5).model_copy(
            update={"endpoint": EndpointSpec(base_url=server.url)}
        )
        question = Question("match", {}, (), ({"role": "user", "content": text},))
        # At most 65 in and 5 out at twice the price: 75 a question.
        with Panel(tmp_path / "a.sqlite", budget=100.0) as panel:
            return panel.run(panel.seat("chat", card).ask(question, text)).cost

    with ChatServer() as server:
        server.then(Say("VERDICT: A", usage=False))
        assert ask("a", server) is None
        assert ask("a", server) is None
        with pytest.raises(JudgeStoppedError, match=r"75\.0000 is spent, and the next .* 75\.0000"):
            ask("b", server)
        assert len(server.completions) == 1
