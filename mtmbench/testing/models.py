"""Does a topic model keep the contract of :class:`~mtmbench.models.base.TopicModel`?"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import get_args

import numpy as np
from sklearn.base import clone

from mtmbench.core.serialise import content_hash
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Counts, ItemKind, ViewName, Views
from mtmbench.models.base import TopicModel
from mtmbench.testing.contract import (
    ContractError,
    check_identity,
    expect_input_error,
    global_randomness,
    made,
    require,
    same_params,
    same_value,
)
from mtmbench.testing.planted import planted_views


def check_topic_model(model: type[TopicModel] | TopicModel, *, seed: int = 0) -> None:
    """Checks a topic model: parameters, views, determinism, result, transform, errors.

    Fits it twice on 120 documents with four planted topics: once with the views that ``needs``
    names, once with all.

    Args:
        model: a class, which is then made without arguments, or an instance with parameters for a
            corpus of this size.
        seed: the seed of the fits.

    Raises:
        ContractError: what is wrong, in one sentence.
    """
    # mypy takes an abstract base for no class that could be passed on.
    checked: TopicModel = made(model, TopicModel)  # type: ignore[type-abstract]
    name = check_identity(checked)
    needs = _check_needs(checked, name)
    _check_parameters(checked, name)
    views = planted_views()
    writer = views.writer if checked.asks else None
    only_needed = Views(
        views.corpus, **{view: getattr(views, view) for view in needs}, writer=writer
    )
    before, params = _revision(views), checked.get_params(deep=False)

    first = clone(checked)
    with global_randomness(1):
        result = _fit(first, only_needed, seed, name)
    require(same_params(first.get_params(deep=False), params), f"{name}: fit changes parameters")
    require(_revision(views) == before, f"{name}: fit changes the views that it is given")
    _check_result(result, first, only_needed, seed, name)
    with global_randomness(2):
        again = _fit(clone(checked), views, seed, name)
    require(
        again.revision == result.revision,
        f"{name}: two fits with seed {seed} differ; every random choice must come from `seed`, and "
        "nothing may be read from a view that `needs` does not name",
    )
    _check_transform(first, result, only_needed, name)
    _check_refusals(checked, views, name)


def _check_needs(model: TopicModel, name: str) -> tuple[ViewName, ...]:
    valid, needs = get_args(ViewName), model.needs
    require(
        isinstance(needs, tuple) and len(needs) > 0 and set(needs) <= set(valid),
        f"{name}: needs must be a tuple of {list(valid)}, not {needs!r}",
    )
    require(
        model.item_view in needs and model.item_view in get_args(ItemKind),
        f"{name}: item_view must be words or features and among needs {needs!r}, not "
        f"{model.item_view!r}",
    )
    return needs


def _check_parameters(model: TopicModel, name: str) -> None:
    params = model.get_params(deep=False)
    require("n_topics" in params, f"{name}: __init__ has no parameter n_topics")
    differing = sorted(vars(model).keys() ^ params.keys())
    require(
        not differing,
        f"{name}: __init__ must store its parameters under their own names and nothing else; "
        f"differing: {differing}",
    )
    try:
        copy = clone(model)
    except (RuntimeError, TypeError) as error:
        raise ContractError(f"{name}: scikit-learn cannot clone it: {error}") from error
    require(same_params(copy.get_params(deep=False), params), f"{name}: a clone differs")


def _fit(model: TopicModel, views: Views, seed: int, name: str) -> TopicResult:
    try:
        return model.fit(views, seed=seed)
    except Exception as error:
        raise ContractError(
            f"{name}: fit fails on {len(views.corpus)} documents with the views {model.needs}: "
            f"{type(error).__name__}: {error}"
        ) from error


def _check_result(result: object, model: TopicModel, views: Views, seed: int, name: str) -> None:
    if not isinstance(result, TopicResult):
        raise ContractError(f"{name}: fit returns {type(result).__name__}, not a TopicResult")
    counts: Counts = getattr(views, model.item_view)
    expected: dict[str, tuple[object, object]] = {
        "the result's model": (result.model, name),
        "the result's seed": (result.seed, seed),
        "the number of documents": (result.doc_topic.shape[0], len(views.corpus)),
        "the kind of the items": (result.items.kind, counts.kind),
        "the result's items": (result.items.ids, counts.item_ids),
        "the corpus revision": (result.corpus.get("revision"), views.corpus.revision),
        "the dtype of doc_topic": (result.doc_topic.dtype, np.dtype(np.float32)),
        "the dtype of topic_item": (result.topic_item.dtype, np.dtype(np.float32)),
    }
    for what, (found, right) in expected.items():
        require(found == right, f"{name}: {what} must be {right!r:.60}, not {found!r:.60}")
    require(
        result.n_topics <= model.n_topics,
        f"{name}: {result.n_topics} topics where {model.n_topics} were asked for",
    )
    params, defaults = model.get_params(deep=False), type(model)().get_params(deep=False)
    given = {key: value for key, value in params.items() if not same_value(value, defaults[key])}
    # "auto" and the like are recorded as resolved, so the values may differ; the names may not.
    require(
        result.params.keys() >= params.keys() and same_params(result.params_given, given),
        f"{name}: the result must record all of {sorted(params)} as params, and {given} as "
        "params_given (self._result does)",
    )
    require(bool(result.doc_topic.any()), f"{name}: no document has any topic")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.safetensors"
        try:
            result.save(path)
        except (TypeError, ValueError) as error:
            raise ContractError(f"{name}: the result cannot be saved: {error}") from error
        loaded = TopicResult.load(path)
    require(loaded.revision == result.revision, f"{name}: saving and loading changes the result")


def _check_transform(model: TopicModel, result: TopicResult, views: Views, name: str) -> None:
    for rows in (np.arange(len(views.corpus)), np.array([5]), np.arange(40, 60)):
        theta = np.asarray(model.transform(views.select_docs(rows)))
        shape = (len(rows), result.n_topics)
        require(
            theta.shape == shape, f"{name}: transform gives {theta.shape}, not (D, K) = {shape}"
        )
        sums = theta.sum(axis=1)
        valid = np.isfinite(theta).all() and (theta >= 0).all()
        require(
            bool(valid and ((np.abs(sums - 1) < 1e-3) | (sums == 0)).all()),
            f"{name}: rows of transform must be non-negative and sum to 1, or be all zero",
        )


def _check_refusals(model: TopicModel, views: Views, name: str) -> None:
    expect_input_error(
        lambda: clone(model).fit(Views(views.corpus), seed=0),
        f"{name}: fit without the views it needs must raise InputError (use views.require)",
    )
    expect_input_error(
        lambda: clone(model).set_params(n_topics=0).fit(views, seed=0),
        f"{name}: fit with n_topics=0 must raise InputError (use self._check_n_topics())",
    )
    expect_input_error(
        lambda: clone(model).transform(views), f"{name}: transform before fit must raise InputError"
    )


def _revision(views: Views) -> str:
    """Hashes the arrays themselves; ``Counts.revision`` remembers what it was."""
    parts: list[object] = [views.embeddings]
    for counts in (views.words, views.features):
        if counts is not None:
            parts += [counts.matrix, counts.n_tokens]
            parts += [x for x in (counts.directions, counts.activation) if x is not None]
    return content_hash(*parts)
