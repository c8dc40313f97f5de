"""The judge clients by name, and judges' cards; nothing is imported until a name is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mtmbench.core.card_files import card_names, card_path
from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import JudgeCard
from mtmbench.core.errors import UnknownNameError
from mtmbench.core.registry import Registry

if TYPE_CHECKING:
    from mtmbench.judges.base import JudgeClient, JudgeTraits

JUDGES: Registry[type[JudgeClient]] = Registry("judge client", "mtmbench.judges")

register_judge = JUDGES.register


def load_judge_card(name: str) -> JudgeCard:
    """Loads a judge card by name or path; a registered client needs no card.

    Raises:
        UnknownNameError: there is no such judge or client; the nearest is named.
    """
    if Path(name).suffix != ".toml" and name not in card_names("judges"):
        if name not in JUDGES:
            raise UnknownNameError("judge", name, {*JUDGES.names(), *card_names("judges")})
        return JudgeCard(client=name)
    card = read_card(card_path("judges", name), JudgeCard)
    if card.client not in JUDGES:
        raise UnknownNameError("judge client", card.client, JUDGES.names())
    return card


def traits_of(card: JudgeCard) -> JudgeTraits:
    """Returns what kind of judge a card names; a jury's traits follow from its members."""
    return JUDGES.get(card.client).traits(card.params)


def reads_words(client: str | None) -> bool:
    """Whether a judge's client is known to read projected words however topics are shown."""
    return client is not None and client in JUDGES and JUDGES.get(client).reads_words


def clients_of(cards: Iterable[JudgeCard]) -> set[str]:
    """Returns the clients of judges, members of juries among them."""
    left, clients = list(cards), set()
    while left:
        card = left.pop()
        clients.add(card.client)
        left += [load_judge_card(name) for name in JUDGES.get(card.client).members(card.params)]
    return clients
