"""The names in a suite, held against the corpora and models that it has."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mtmbench.core.cards import Suite, shown_name
from mtmbench.core.errors import InputError, UnknownNameError


def check_names(suite: Suite, corpora: Collection[str]) -> None:
    """Refuses names that are no corpus or model of the suite, and two models of one name.

    Raises:
        UnknownNameError: there is no corpus, or model, of a name that the suite says more of.
        InputError: a corpus has no number of topics; or two models would stand on the board under
            one name.
    """
    named: dict[str, str] = {}
    for model in suite.all_models:
        other = named.setdefault(shown_name(model), model)
        if other != model:
            raise InputError(
                f"models {other!r} and {model!r} would both stand on the board as "
                f"{shown_name(model)!r}; rename one of the cards"
            )
    steering = suite.steering
    of_corpora: dict[str, Iterable[str]] = {
        "k": suite.k_per_corpus,
        "models_per_corpus": suite.models_per_corpus,
        "params_per_corpus": suite.params_per_corpus,
        "features.settings_per_corpus": suite.features.settings_per_corpus,
        "steering.corpora": () if steering is None else steering.corpora,
    }
    of_models: dict[str, Iterable[str]] = {
        "seeds_per_model": suite.seeds_per_model,
        "params": suite.params,
        **{f"params_per_corpus.{name}": told for name, told in suite.params_per_corpus.items()},
        # With features of their own, models that steer need not be played.
        "steering.models": () if steering is None or steering.features else steering.models,
    }
    if steering is not None and steering.features:
        named |= {shown_name(model): model for model in steering.models}
    for what, valid, fields in (("corpus", corpora, of_corpora), ("model", named, of_models)):
        for place, names in fields.items():
            for name in names:
                if name not in valid:
                    raise UnknownNameError(f"{what} in {place}", name, valid)
    for name in corpora:
        if not suite.k_of(name):
            raise InputError(
                f"k says nothing of corpus {name!r}; name it there, or give a default: "
                "k = {…, default = 20}"
            )
