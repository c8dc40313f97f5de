"""Where a judge's card was found, where it is asked, and by which key: what a user should see."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mtmbench.core.card_files import card_path, shadowed_card
from mtmbench.core.cards import JudgeCard
from mtmbench.core.errors import MtmbenchError
from mtmbench.judges.registry import JUDGES, load_judge_card

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Whereabouts:
    """A language model that is asked.

    Attributes:
        name: of its card; a jury's member stands behind the jury's name.
        card: the card.
        path: the card's file, absolute.
        shadows: the shipped card of this name, where another one stands before it.
    """

    name: str
    card: JudgeCard
    path: Path
    shadows: Path | None

    def told(self) -> str:
        """Returns a line that says it all; no secret is in it that a card may hold by mistake."""
        parts = [f"card {self.path}"]
        if self.shadows is not None:
            parts.append(f"which shadows the shipped {self.shadows}")
        endpoint = self.card.endpoint
        if endpoint is not None:
            key = endpoint.api_key_env
            by = "without a key"
            if key is not None:
                by = f"with the key in {key if _VARIABLE.fullmatch(key) else '(no variable)'}"
            parts.append(f"asked at {_plain(endpoint.base_url)} {by}")
        else:
            parts.append("no endpoint")
        line = f"judge {self.name}: {', '.join(parts)}"
        return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)


def language_models(names: Iterable[str]) -> list[Whereabouts]:
    """Returns the language models behind judge cards, each once; juries are looked into.

    Cards that cannot be read are left out, and so are clients without a card: they are plugins'.
    """
    found = {one.name: one for name in dict.fromkeys(names) for one in _behind(name, ())}
    return list(found.values())


def _behind(name: str, above: Sequence[str]) -> Iterator[Whereabouts]:
    try:
        card = load_judge_card(name)
        kind = JUDGES.get(card.client)
        is_llm = kind.traits(card.params)["is_llm"]
        members = list(kind.members(card.params))
        path = card_path("judges", name).absolute()
    except MtmbenchError:
        return
    for member in members:
        if member not in above:
            yield from _behind(member, [*above, name])
    if is_llm and not members:
        shadows = shadowed_card("judges", name)
        yield Whereabouts(" > ".join([*above, name]), card, path, shadows)


def _plain(url: str) -> str:
    """Returns an address without what may be a secret in it."""
    try:
        parts = urlsplit(url)
        if parts.username is None and parts.password is None and not parts.query:
            return url
    except ValueError:
        pass
    return "an address that is refused"
