"""``mtmbench list``: what there is."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import typer

from mtmbench.cli.console import print_table


class Listed(StrEnum):
    """What ``mtmbench list`` can list."""

    models = "models"
    judges = "judges"
    metrics = "metrics"
    corpora = "corpora"
    features = "features"
    tokenisers = "tokenisers"
    loggers = "loggers"
    suites = "suites"


def list_names(what: Annotated[Listed, typer.Argument(help="What to list.")]) -> None:
    """Lists what is registered or installed, with where it comes from."""
    print_table(("name", "from", "description"), _rows(what))


def _rows(what: Listed) -> Iterator[tuple[str, str, str]]:
    match what:
        case Listed.models:
            return _models()
        case Listed.judges:
            return _judges()
        case Listed.suites:
            return _suites()
        case _:
            return _registered(what)


def _models() -> Iterator[tuple[str, str, str]]:
    from mtmbench.core.card_files import card_names
    from mtmbench.core.card_reading import read_card
    from mtmbench.core.cards import ModelCard
    from mtmbench.models.registry import MODELS, card_of

    models = {card_of(name): name for name in MODELS.names()}
    cards = {name: read_card(path, ModelCard) for name, path in card_names("baselines").items()}
    for name in sorted({*models, *cards}):
        card = cards[name] if name in cards else ModelCard(model=models[name])
        if card.model in models.values() or ":" not in card.model:
            yield models.get(name, name), MODELS.origin(card.model), card.description


def _judges() -> Iterator[tuple[str, str, str]]:
    from mtmbench.core.card_files import card_names
    from mtmbench.core.card_reading import read_card
    from mtmbench.core.cards import JudgeCard

    for name, path in sorted(card_names("judges").items()):
        card = read_card(path, JudgeCard)
        yield name, card.client, card.description


def _suites() -> Iterator[tuple[str, str, str]]:
    from mtmbench.core.card_files import card_names, load_suite

    for name, path in sorted(card_names("suites").items()):
        yield name, str(path), load_suite(str(path)).title


def _registered(what: Listed) -> Iterator[tuple[str, str, str]]:
    from mtmbench.corpora.registry import CORPORA
    from mtmbench.features.registry import FEATURES
    from mtmbench.features.tokenisers import TOKENISERS
    from mtmbench.metrics.registry import METRICS
    from mtmbench.publishing.loggers import LOGGERS

    names, origin = {
        Listed.metrics: (METRICS.names, METRICS.origin),
        Listed.corpora: (CORPORA.names, CORPORA.origin),
        Listed.features: (FEATURES.names, FEATURES.origin),
        Listed.tokenisers: (TOKENISERS.names, TOKENISERS.origin),
        Listed.loggers: (LOGGERS.names, LOGGERS.origin),
    }[what]
    for name in names():
        yield name, origin(name), ""
