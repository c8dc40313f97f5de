"""Prices of plans: the card's before genai-prices', and whence they are."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from mtmbench.core.cards import EndpointSpec, JudgeCard, PriceSpec
from mtmbench.judges.prices import quote
from mtmbench.judges.registry import load_judge_card

URL = "https://api.example.org/v1"
CHAT = JudgeCard(client="openai", model="m-1", endpoint=EndpointSpec(base_url=URL))


def stand_in(known: dict[str, tuple[float, float, float]]) -> Any:
    """A module with genai-prices' face: input, cached and output prices of a million tokens."""

    def calc_price(usage: SimpleNamespace, model_ref: str, *, provider_api_url: str) -> Any:
        if provider_api_url != URL or model_ref not in known:
            raise LookupError(model_ref)
        fresh, cached, output = known[model_ref]
        read = getattr(usage, "cache_read_tokens", 0)
        inputs = getattr(usage, "input_tokens", 0)
        total = (inputs - read) * fresh + read * cached
        return SimpleNamespace(
            total_price=(total + getattr(usage, "output_tokens", 0) * output) / 1e6
        )

    return SimpleNamespace(calc_price=calc_price, Usage=SimpleNamespace)


def test_the_cards_prices_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", stand_in({"m-1": (9.0, 9.0, 9.0)}))
    prices = PriceSpec.model_validate(
        {"input": 1, "output": 2, "as_of": "2026-11-27", "source": "the maker's page"}
    )
    found = quote(CHAT.model_copy(update={"prices": prices}))
    assert found.prices == prices
    assert found.source == "the card's as of 2026-11-27, from the maker's page"
    assert (
        "undated" in quote(CHAT.model_copy(update={"prices": PriceSpec(input=1, output=2)})).source
    )


def test_without_them_genai_prices_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", stand_in({"m-1": (2.0, 0.5, 8.0)}))
    found = quote(CHAT)
    assert found.prices is not None
    assert (found.prices.input, found.prices.cached, found.prices.output) == (2.0, 0.5, 8.0)
    assert found.source.startswith("genai-prices")
    unknown = quote(CHAT.model_copy(update={"model": "m-2"}))
    assert unknown.prices is None
    assert unknown.source.endswith(f"genai-prices does not know m-2 at {URL}")


def test_without_either_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    found = quote(CHAT)
    assert found.prices is None
    assert "pip install 'mtmbench[prices]'" in found.source
    assert quote(load_judge_card("lexical")).source == "free"


@pytest.mark.parametrize(
    "name",
    ["gpt-4.1", "gpt-6.1-terra", "claude-sonnet-5-5", "gemini-3.8-flash", "openai", "gemini"],
)
def test_shipped_cards_have_dated_prices_and_bounded_answers(name: str) -> None:
    card = load_judge_card(name)
    assert card.prices is not None
    assert card.prices.as_of is not None
    assert card.prices.source
    assert card.prices.input < card.prices.output
    assert {"max_tokens", "max_completion_tokens"} & set(card.decoding)
