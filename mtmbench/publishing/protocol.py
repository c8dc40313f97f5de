"""What a contributor's suite asks besides the board's, and what it asks otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from mtmbench.core.cards import Suite, shown_name
from mtmbench.core.serialise import canonical_json
from mtmbench.publishing.contribution import Fault

_T = TypeVar("_T")

_FREE = (
    "name", "title", "description", "models", "models_per_corpus", "seeds", "seeds_per_model",
    "params", "params_per_corpus", "features.settings", "features.settings_per_corpus", "steering",
)  # fmt: skip
"""What a contributor may say otherwise: what is played, not how. The rest is the protocol."""

_NOTHING = object()


def differences(suite: Suite, board: Suite) -> list[Fault]:
    """Returns what a suite asks otherwise than a board's, a key of the suite each."""
    ours, theirs = (dict(_flat(each)) for each in (suite, board))
    found = [
        Fault("protocol", key, f"is {_told(ours, key)}; the board's is {_told(theirs, key)}")
        for key in sorted({*ours, *theirs})
        if ours.get(key, _NOTHING) != theirs.get(key, _NOTHING)
    ]
    held = {shown_name(model) for model in board.all_models}
    for model in map(shown_name, suite.all_models):
        asked = board.seeds_of(model)
        if missing := [seed for seed in asked if seed not in suite.seeds_of(model)]:
            says = f"of {model!r} lack {_list(missing)}; the board's are {_list(asked)}"
            found.append(Fault("protocol", "seeds", says))
        for corpus in ["", *(spec.name for spec in board.corpora)]:
            own, other = (_params(each, model, corpus) for each in (suite, board))
            if model in held and own != other:
                place = f"params_per_corpus.{corpus}" if corpus else "params"
                says = f"is {_short(own)}; the board's is {_short(other)}"
                found.append(Fault("protocol", f"{place}.{model}", says))
    return found


def merged_suite(suite: Suite, board: Suite) -> Suite:
    """Returns the board's suite with the models, settings and seeds that another one adds."""
    held = {shown_name(model) for model in board.all_models}
    models = _union(board.models, suite.models)
    all_models = _union(board.all_models, suite.all_models)
    seeds = {}
    for model in map(shown_name, all_models):
        own = suite.seeds_of(model) if model in map(shown_name, suite.all_models) else ()
        seeds[model] = _union(board.seeds_of(model) if model in held else (), own)
    alike = board.seeds if board.seeds in seeds.values() else next(iter(seeds.values()))
    per_corpus = {
        corpus: _union(board.models_of(corpus), suite.models_of(corpus))
        for corpus in (*board.models_per_corpus, *suite.models_per_corpus)
    }
    theirs, ours = board.features, suite.features
    settings = {
        corpus: _union(theirs.settings_of(corpus), ours.settings_of(corpus))
        for corpus in (*theirs.settings_per_corpus, *ours.settings_per_corpus)
    }
    features = theirs.model_copy(
        update={
            "settings": _union(theirs.settings, ours.settings),
            "settings_per_corpus": settings,
        }
    )
    return board.model_copy(
        update={
            "models": models,
            "models_per_corpus": per_corpus,
            "seeds": alike,
            "seeds_per_model": {name: own for name, own in seeds.items() if own != alike},
            "params": {**_without(suite.params, held), **board.params},
            "params_per_corpus": {
                corpus: told
                for corpus in _union(board.params_per_corpus, suite.params_per_corpus)
                if (
                    told := {
                        **_without(suite.params_per_corpus.get(corpus, {}), held),
                        **board.params_per_corpus.get(corpus, {}),
                    }
                )
            },
            "features": features,
        }
    )


def additions(suite: Suite, board: Suite) -> dict[str, object]:
    """Returns the keys of a board's suite that ``suite``, merged into it, has otherwise."""
    ours, theirs = (
        each.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        for each in (suite, board)
    )
    return {name: value for name, value in ours.items() if theirs.get(name) != value}


def _flat(suite: Suite) -> Iterator[tuple[str, object]]:
    """Yields the protocol of a suite by dotted keys; corpora by their names."""
    data = suite.model_dump(mode="json", exclude_none=True)
    corpora = data.pop("corpora")
    yield "corpora", [spec["name"] for spec in sorted(corpora, key=lambda spec: spec["name"])]
    waiting = [*data.items(), *((f"corpora.{spec['name']}", spec) for spec in corpora)]
    while waiting:
        key, value = waiting.pop()
        if key in _FREE:
            continue
        if isinstance(value, Mapping):
            waiting += [(f"{key}.{name}", part) for name, part in value.items()]
        else:
            yield key, value


def _params(suite: Suite, model: str, corpus: str) -> Mapping[str, object]:
    return (suite.params_per_corpus.get(corpus, {}) if corpus else suite.params).get(model, {})


def _without(told: Mapping[str, _T], names: Iterable[str]) -> dict[str, _T]:
    left_out = set(names)
    return {name: value for name, value in told.items() if name not in left_out}


def _union(first: Iterable[_T], second: Iterable[_T]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys([*first, *second]))


def _told(told: Mapping[str, object], key: str) -> str:
    return _short(told[key]) if key in told else "not given"


def _short(value: object) -> str:
    text = canonical_json(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _list(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
