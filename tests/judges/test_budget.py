"""Costs by hand, and bounds that hold."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from support.chat_server import ChatServer, Drop, Fail, Garble, Say

from mtmbench.core.cards import (
    EndpointSpec,
    JudgeCard,
    LimitSpec,
    PriceSpec,
)
from mtmbench.core.errors import InputError
from mtmbench.judges import asker as asker_module
from mtmbench.judges import limits
from mtmbench.judges.asker import Asker
from mtmbench.judges.base import JudgeError, JudgeStoppedError, Question
from mtmbench.judges.budget import (
    Budget,
    cost_of,
    most_tokens,
    output_limit,
    prices_of,
    total_cost,
)
from mtmbench.judges.clients.jury import Jury
from mtmbench.judges.ledger import Ledger
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


# 69 in at most, 5 out at twice the price.
MOST = 79.0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_FIRST_WAIT", 0.002)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def served(server: ChatServer, retries: int = 3) -> JudgeCard:
    return chat(PriceSpec(input=1e6, output=2e6), max_tokens=5).model_copy(
        update={
            "endpoint": EndpointSpec(base_url=server.url),
            "limits": LimitSpec(retries=retries, timeout=0.5),
        }
    )


def spent_on(path: Path, card: JudgeCard, budget: float = 1000.0) -> tuple[float, str]:
    """Asks once and returns what is spent by then, as a later command sees it, and the error."""
    asked = Question("steer", {"text": "t"}, (), ({"role": "user", "content": "which"},))
    error = ""
    with Panel(path, budget=budget) as panel:
        try:
            panel.run(panel.seat("chat", card).ask(asked, "a question"))
        except JudgeError as raised:
            error = str(raised)
    with Ledger(path) as ledger:
        return ledger.spent(), error


@pytest.mark.parametrize(
    ("behaviour", "lost"),
    [
        (Garble(), MOST), (Garble(b"{}"), MOST), (Drop(), MOST), (Drop(halfway=True), MOST),
        (Say("VERDICT: A", delay=2), MOST), (Fail(504), MOST), (Fail(500), 0), (Fail(429), 0),
        (Garble(b"x", {"content-encoding": "br"}), MOST),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("quick")
def test_a_request_that_may_be_charged_for_counts_though_it_brought_nothing(
    tmp_path: Path, behaviour: Any, lost: float
) -> None:
    with ChatServer() as server:
        server.then(behaviour, behaviour, Say("VERDICT: A", usage=False))
        assert spent_on(tmp_path / "a.sqlite", served(server)) == (2 * lost + MOST, "")
        server.then(behaviour)
        told, error = spent_on(tmp_path / "b.sqlite", served(server, retries=0))
        assert told == lost
        assert "gave no answer" in error


@pytest.mark.usefixtures("quick")
def test_an_endpoint_that_is_not_there_costs_nothing(tmp_path: Path) -> None:
    with ChatServer() as server:
        card = served(server)
    spent, error = spent_on(tmp_path / "a.sqlite", card)
    assert (spent, "gave no answer" in error) == (0, True)


@pytest.mark.usefixtures("quick")
def test_nothing_is_tried_again_that_could_exceed_the_budget(tmp_path: Path) -> None:
    with ChatServer() as server:
        server.then(*[Garble()] * 4)
        spent, error = spent_on(tmp_path / "a.sqlite", served(server), budget=2.5 * MOST)
        assert spent == 2 * MOST
        assert "the budget of 197.50 is used up: 158.0000 is spent" in error
        assert len(server.completions) == 2


@pytest.mark.usefixtures("quick")
def test_an_answer_of_another_revision_is_paid_for(tmp_path: Path) -> None:
    with ChatServer() as server:
        server.then(Say("VERDICT: A", model="another"))
        card = served(server).model_copy(update={"revision": "this one"})
        spent, error = spent_on(tmp_path / "a.sqlite", card)
    assert (spent, "which the card pins" in error) == (MOST, True)


@pytest.mark.usefixtures("quick")
def test_what_is_given_up_under_way_counts_on_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Question("steer", {}, (), ({"role": "user", "content": "which"},))
    monkeypatch.setattr(asker_module, "_GRACE_SECONDS", 0.1)

    async def give_up(asker: Asker) -> None:
        asking = asyncio.ensure_future(asker.ask(asked, "a question"))
        while not server.completions:
            await asyncio.sleep(0.001)
        asking.cancel()
        await asyncio.wait({asking})

    with ChatServer() as server:
        card = served(server).model_copy(update={"limits": LimitSpec(timeout=60)})
        server.then(Say("VERDICT: A", delay=60))
        with Panel(tmp_path / "a.sqlite") as panel:
            panel.run(give_up(panel.seat("chat", card)))
    with Ledger(tmp_path / "a.sqlite") as ledger:
        assert ledger.spent() == MOST


@pytest.mark.usefixtures("quick")
def test_what_the_others_of_a_jury_said_is_paid_for_when_one_fails(tmp_path: Path) -> None:
    with ChatServer() as good, ChatServer() as bad:
        bad.then(Garble(), Fail(401))
        card = jury(tmp_path, good=served(good), bad=served(bad))
        spent, error = spent_on(tmp_path / "a.sqlite", card)
    assert "401" in error
    # The lost body of the one, and the answer of the other.
    assert spent == 2 * MOST
