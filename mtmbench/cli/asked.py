"""Whom a command will ask, said before it asks: cards, endpoints and the variables of keys.

A card of the working directory stands before a shipped one of its name, and may name any host and
any variable of the environment; so what is sent where is for everybody to see.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mtmbench.cli.console import print_line

if TYPE_CHECKING:
    from mtmbench.core.cards import Suite


def print_asked(names: Iterable[str | None], plugins: Sequence[str] = ()) -> None:
    """Prints a line a language model behind these judge cards, a jury's members among them.

    A card that cannot be read is left to whoever reads it next, and says why.

    Args:
        names: names or paths of cards; None is passed over.
        plugins: files or modules that register more judges.
    """
    from mtmbench.core.plugins import load_plugins
    from mtmbench.judges.whereabouts import language_models

    load_plugins(plugins)
    for found in language_models([name for name in names if name is not None]):
        print_line(found.told(), highlight=False, wrap=False)


def asked_by_run(suite: "Suite") -> list[str | None]:
    """Returns the judge cards that a run of a suite asks."""
    from mtmbench.core.card_files import card_names, card_path
    from mtmbench.core.card_reading import read_card
    from mtmbench.core.cards import ModelCard

    names: list[str | None] = []
    if suite.judging is not None:
        names += [*suite.judging.judges, suite.judging.summariser, suite.judging.refiner]
    tuned_by = [suite.tuning.metric] if suite.tuning is not None and suite.tunes_first else []
    for metric in dict.fromkeys([*suite.metrics, *tuned_by]):
        judge = suite.metric_params.get(metric, {}).get("judge")
        names.append(judge if isinstance(judge, str) else None)
    told = [*suite.params.values()]
    told += [params for models in suite.params_per_corpus.values() for params in models.values()]
    for model in suite.all_models:
        if model in card_names("baselines") or model.endswith(".toml"):
            told.append(read_card(card_path("baselines", model), ModelCard).params)
    names += [judge for params in told if isinstance(judge := params.get("judge"), str)]
    return names


def asked_by_steering(suite: "Suite") -> list[str | None]:
    """Returns the judge cards that are asked about steered texts of a suite."""
    return [] if suite.steering is None else [*suite.steering.judges, suite.steering.axbench]
