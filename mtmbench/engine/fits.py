"""The fits of a suite: a cell for each corpus, model, feature setting, K and seed, with its key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mtmbench.core.cards import Suite, shown_name
from mtmbench.core.cells import FitCell
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.serialise import content_hash
from mtmbench.core.specs import DEFAULT_ENCODER, DEFAULT_WORDS
from mtmbench.core.types import Corpus
from mtmbench.engine.topic_numbers import numbers_of_topics
from mtmbench.features.encoders import encoder_in_keys
from mtmbench.features.registry import source_of
from mtmbench.features.sae.minilm import EMBEDDINGS_VERSION
from mtmbench.features.words import identity_of
from mtmbench.judges.topic_writer import writer_inputs
from mtmbench.models.registry import MODELS, load_model_card

if TYPE_CHECKING:
    from mtmbench.models.base import TopicModel


def fit_cells(suite: Suite, corpora: Iterable[Corpus], *, offline: bool = False) -> list[FitCell]:
    """Lays out every fit of a suite, corpus by corpus.

    Args:
        suite: what to play.
        corpora: its corpora.
        offline: tell settings of features apart by how they were given; nothing is extracted.

    Raises:
        UnknownNameError: a model has no parameter of a name that the suite or its card gives.
        InputError: K is none (:func:`mtmbench.engine.topic_numbers.numbers_of_topics`), or a model
            that asks a judge is given none.
    """
    return _told_apart(cell for corpus in corpora for cell in _cells_of(suite, corpus, offline))


def _cells_of(suite: Suite, corpus: Corpus, offline: bool) -> Iterator[FitCell]:
    for k, k_spec in numbers_of_topics(suite, corpus.name, len(corpus), corpus.n_labels):
        for name in suite.models_of(corpus.name):
            card = load_model_card(name)
            shown = shown_name(name)
            model = MODELS.get(card.model)
            own = suite.features.settings_of(corpus.name)
            settings = own if "features" in model.needs else (None,)
            params = {**card.params_for(corpus.name), **suite.params_of(shown, corpus.name)}
            if "n_topics" in _parameter_names(model):
                params["n_topics"] = k
            _check_params(name, model, params)
            # Defaults are hashed too: a later release may have others.
            resolved = model(**params).get_params(deep=False)
            version = model.version_of(resolved, len(corpus))
            hashed = model.params_in_key(resolved)
            view_inputs = {s: _view_inputs(suite, model.needs, s, offline) for s in settings}
            asked = []
            if model.asks:
                asked = [_writer_inputs(shown, resolved)]
                params = {**params, "judge": resolved["judge"]}
            for setting in settings:
                for seed in suite.seeds_of(shown):
                    key = content_hash(
                        "fit", corpus.revision, card.model, version, hashed,
                        view_inputs[setting], setting, k, k_spec, seed, *asked,
                    )  # fmt: skip
                    yield FitCell(
                        key, corpus.name, corpus.revision, shown, card.model, setting, k,
                        k_spec, seed, params, version,
                    )  # fmt: skip


def _told_apart(cells: Iterable[FitCell]) -> list[FitCell]:
    """Returns each fit once, and those that are the same but for a name under keys of their own.

    A record says one name, so that each name needs one; what is fitted is fitted once.
    """
    found: dict[str, FitCell] = {}
    for cell in cells:
        first = found.setdefault(cell.key, cell)
        if (first.corpus, first.model) != (cell.corpus, cell.model):
            key = content_hash("fit under another name", cell.key, cell.corpus, cell.model)
            found.setdefault(key, replace(cell, key=key, twin=cell.key))
    return list(found.values())


def _parameter_names(model: type[TopicModel]) -> list[str]:
    names = getattr(model, "_get_param_names", None)
    return list(names()) if names else []


def _check_params(name: str, model: type[TopicModel], params: Mapping[str, object]) -> None:
    valid = _parameter_names(model)
    for parameter in params:
        if valid and parameter not in valid:
            raise UnknownNameError(f"parameter of model {name!r}", parameter, valid)


def _view_inputs(
    suite: Suite, needs: Sequence[str], setting: str | None, offline: bool
) -> dict[str, object]:
    inputs: dict[str, object] = {}
    words = suite.words
    # Every fit's record shows words of its topics, or says why there are none. Settings that only
    # change which are shown are left out of other models' keys, what words are is not.
    cut = words.tokeniser != DEFAULT_WORDS.tokeniser or words.language != DEFAULT_WORDS.language
    if "words" in needs or cut:
        inputs["words"] = identity_of(words)
    for view in {"embeddings", "word_embeddings"} & set(needs):
        inputs[view] = encoder_in_keys(suite.embeddings.encoder) or {
            "encoder": DEFAULT_ENCODER,
            "version": EMBEDDINGS_VERSION,
        }
    if "features" in needs and setting is not None:
        features = suite.features
        source = source_of(features, offline=offline)
        inputs["features"] = {
            "source": features.source,
            "max_tokens": features.max_tokens,
            "setting": source.describe(setting),
        }
    return inputs


def _writer_inputs(name: str, params: Mapping[str, object]) -> dict[str, object]:
    judge = params.get("judge")
    if not isinstance(judge, str):
        raise InputError(
            f"model {name!r} asks a judge, and judge is {judge!r}; name a card: "
            f'params.{name} = {{ judge = "CARD" }}'
        )
    return writer_inputs(judge)
