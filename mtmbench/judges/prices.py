"""Prices for plans: those of the judge's card, else those that the package genai-prices knows."""

from __future__ import annotations

from dataclasses import dataclass

from mtmbench.core.cards import JudgeCard, PriceSpec
from mtmbench.judges.budget import prices_of

_ASKED_TOKENS = 1000
"""Few enough for the first of prices that rise with a request's length."""


@dataclass(frozen=True)
class Quote:
    """Prices of a judge and whence they are.

    Attributes:
        prices: per million tokens; None where nobody says.
        source: who says so, and as of when, for people.
    """

    prices: PriceSpec | None
    source: str


def quote(card: JudgeCard) -> Quote:
    """Returns what a plan reckons with. Runs and budgets know the prices on the card alone.

    The extra ``prices`` installs genai-prices; nothing is fetched, its prices are those of its
    release.
    """
    known = prices_of(card)
    if card.prices is not None:
        dated = f" as of {card.prices.as_of:%Y-%m-%d}" if card.prices.as_of else ", undated"
        said = f", from {card.prices.source}" if card.prices.source else ""
        return Quote(known, f"the card's{dated}{said}")
    if known is not None:
        return Quote(known, "free")
    found = _published(card)
    if isinstance(found, Quote):
        return found
    return Quote(None, f"not known: the card has none, and {found}")


def _published(card: JudgeCard) -> Quote | str:
    """Returns the prices that genai-prices has of a card's model, or why it has none."""
    try:
        import genai_prices
    except ImportError:
        return "genai-prices is not installed (pip install 'mtmbench[prices]')"
    from datetime import UTC, datetime
    from importlib.metadata import PackageNotFoundError, version

    if card.model is None or card.endpoint is None:
        return "no model at an endpoint stands on it for genai-prices to know"

    model, url = card.model, card.endpoint.base_url

    def per_million(**usage: int) -> float:
        told = genai_prices.calc_price(genai_prices.Usage(**usage), model, provider_api_url=url)
        return round(float(told.total_price) / _ASKED_TOKENS * 1_000_000, 9)

    try:
        prices = PriceSpec(
            input=per_million(input_tokens=_ASKED_TOKENS),
            output=per_million(output_tokens=_ASKED_TOKENS),
            cached=per_million(input_tokens=_ASKED_TOKENS, cache_read_tokens=_ASKED_TOKENS),
        )
    except (LookupError, ValueError):
        return f"genai-prices does not know {model} at {url}"
    try:
        release = version("genai-prices")
    except PackageNotFoundError:
        release = "of an unknown release"
    today = datetime.now(UTC).date()
    return Quote(prices, f"genai-prices {release}, for a request on {today}")
