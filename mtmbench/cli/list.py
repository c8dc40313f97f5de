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
    from mtmbench.models.registry import MODELS

    cards = card_names("baselines")
    for name in sorted({*MODELS.names(), *cards}):
        card = read_card(cards[name], ModelCard) if name in cards else ModelCard(model=name)
        yield name, MODELS.origin(card.model), card.description


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
    from mtmbench.metrics.registry import METRICS
    from mtmbench.publishing.loggers import LOGGERS

    names, origin = {
        Listed.metrics: (METRICS.names, METRICS.origin),
        Listed.corpora: (CORPORA.names, CORPORA.origin),
        Listed.features: (FEATURES.names, FEATURES.origin),
        Listed.loggers: (LOGGERS.names, LOGGERS.origin),
    }[what]
    for name in names():
        yield name, origin(name), ""
