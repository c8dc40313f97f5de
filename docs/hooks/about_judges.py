"""What is known of judges: what a card and its client say, and all cards in one table."""

from __future__ import annotations

from about_plugins import parameter_table
from markdown_tables import code, codes, facts_table, table, yes
from repository import ROOT, file_link

from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import JudgeCard
from mtmbench.judges.registry import JUDGES, load_judge_card


def judge_facts(name: str) -> str:
    """Returns what a judge's card says, and what its client is."""
    card = load_judge_card(name)
    client = JUDGES.get(card.client)
    traits = client.traits(card.params)
    endpoint = card.endpoint
    rows = [
        ("card", file_link(f"judges/{name}.toml")),
        ("what it is", card.description),
        ("client", f"{code(card.client)}, {code(JUDGES.origin(card.client).replace(':', '.'))}"),
        ("version", str(client.version_of(card.params))),
        ("a language model", yes(traits["is_llm"])),
        ("order", "cannot matter" if traits["order_free"] else "asked in both"),
        ("encoder", traits["encoder"] or ""),
        ("model", code(card.model)),
        ("asked at", code(endpoint.base_url) if endpoint else ""),
        ("key in", code(endpoint.api_key_env) if endpoint else ""),
        ("replies held to a schema", yes(endpoint.structured) if endpoint else ""),
        ("decoding", codes(f"{key} = {value}" for key, value in card.decoding.items())),
        ("prices", _prices(card)),
        ("asked at once", str(card.limits.concurrency) if endpoint else ""),
    ]
    parameters = "" if endpoint else parameter_table(client, card.params)
    return f"{facts_table(rows)}\n\n{parameters}"


def judge_list() -> str:
    """Returns all judge cards that ship, a row each."""
    rows = []
    for name in judge_cards():
        card = read_card(ROOT / "judges" / f"{name}.toml", JudgeCard)
        is_llm = JUDGES.get(card.client).traits(card.params)["is_llm"]
        told = card.description.split(". ")[0].rstrip(".")
        rows.append((f"[`{name}`]({name}.md)", code(card.client), yes(is_llm), told))
    return table(("card", "client", "language model", "what it is"), rows)


def judge_cards() -> list[str]:
    """Returns the names of the judge cards that ship."""
    return sorted(path.stem for path in (ROOT / "judges").glob("*.toml"))


def _prices(card: JudgeCard) -> str:
    prices = card.prices
    if prices is None:
        return "free" if JUDGES.get(card.client).free else ""
    text = f"{prices.input:g} a million tokens in, {prices.output:g} out"
    if prices.cached is not None:
        text += f", {prices.cached:g} cached"
    if prices.batch != 1:
        text += f"; {prices.batch:g} of that in a batch"
    dated = f"; as of {prices.as_of}, by {prices.source}" if prices.as_of else ""
    return text + dated
