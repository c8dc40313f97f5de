"""Steering vectors: a topic's direction in a model's activations, as a value with its origin.

Topic k of a model over SAE features has ``s_k = normalise(Σ_i β_ki w_i)``, w_i the features' unit
decoder rows (eq. 16). All such sums share a component; it is left out where weights are taken
relative to the mean topic, which is for who asks for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mtmbench.core.errors import InputError
from mtmbench.core.files import parse_json
from mtmbench.core.serialise import canonical_json, content_hash, write_atomically
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Float64Array, FloatArray
from mtmbench.features.sae.sae import SAE

_SCHEMA = 1
_UNIT_WITHIN = 1e-4


@dataclass(frozen=True)
class Origin:
    """Where a direction comes from.

    Attributes:
        backbone: name of the language model.
        backbone_revision: content hash of its weights and tokeniser.
        hook_point: where in it the direction lives.
        sae_hash: content hash of the SAE; "" for a direction that no SAE has a part in.
        model: the topic model; "" for none.
        result: content hash of its topics; "" for none.
        topic: index of the topic, or None.
        method: how it was made: "topic", "topic_raw", a control's name, or "sum".
        params: what else it depends on, as JSON values.
    """

    backbone: str
    backbone_revision: str
    hook_point: str
    sae_hash: str = ""
    model: str = ""
    result: str = ""
    topic: int | None = None
    method: str = "topic"
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SteeringVector:
    """A direction in the activations of a model at a hook point.

    Vectors of one model and hook point can be added and subtracted, and multiplied by numbers;
    the value of a vector is ``scale · direction``. The hook reads λ in units of the scale, which
    is 1 for every vector that does not come from arithmetic.

    Attributes:
        direction: (H,) f32, of length one.
        origin: where it comes from.
        scale: length of the value, above zero.
    """

    direction: FloatArray
    origin: Origin
    scale: float = 1.0

    def __post_init__(self) -> None:
        norm = float(np.linalg.norm(self.direction.astype(np.float64)))
        if self.direction.ndim != 1 or not math.isfinite(norm):
            raise InputError("a direction is one row of finite numbers")
        if abs(norm - 1) > _UNIT_WITHIN:
            raise InputError(f"a direction has length one; this one has {norm:.6g}")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise InputError(f"the scale of a vector must be finite and above 0, not {self.scale}")

    @classmethod
    def of(cls, value: ArrayLike, origin: Origin) -> SteeringVector:
        """Returns the direction of ``value`` with scale 1.

        Raises:
            InputError: its norm is zero or not finite.
        """
        return replace(_valued(value, origin), scale=1.0)

    @property
    def value(self) -> Float64Array:
        """(H,) ``scale · direction``."""
        return self.scale * self.direction.astype(np.float64)

    @property
    def revision(self) -> str:
        """Content hash of the value and of the place it is for; not of how it was made."""
        place = [self.origin.backbone_revision, self.origin.hook_point]
        return content_hash("steering vector", place, self.direction, self.scale)

    def cosine(self, other: SteeringVector) -> float:
        """Returns the cosine with another vector of the same model and hook point."""
        _check_same_space(self, other)
        return float(self.direction.astype(np.float64) @ other.direction.astype(np.float64))

    def __add__(self, other: SteeringVector) -> SteeringVector:
        return _sum([(1.0, self), (1.0, other)])

    def __sub__(self, other: SteeringVector) -> SteeringVector:
        return _sum([(1.0, self), (-1.0, other)])

    def __mul__(self, factor: float) -> SteeringVector:
        if isinstance(factor, SteeringVector):
            raise InputError("vectors are multiplied by numbers; cosine compares two of them")
        return _sum([(float(factor), self)])

    __rmul__ = __mul__

    def __neg__(self) -> SteeringVector:
        return _sum([(-1.0, self)])

    def save(self, path: Path) -> None:
        """Writes one safetensors file with the origin in its metadata. Whole or not at all."""
        from safetensors.numpy import save

        metadata = {"schema": _SCHEMA, "scale": self.scale, "origin": vars(self.origin)}
        tensors = {"direction": np.ascontiguousarray(self.direction)}
        write_atomically(path, save(tensors, metadata={"mtmbench": canonical_json(metadata)}))

    @classmethod
    def load(cls, path: Path) -> SteeringVector:
        """Reads what :meth:`save` wrote.

        Raises:
            InputError: the file is not a steering vector, is damaged or of a later schema.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="numpy") as file:
                metadata: Any = parse_json((file.metadata() or {})["mtmbench"], "its metadata")
                direction = file.get_tensor("direction")
            schema, scale = int(metadata["schema"]), float(metadata["scale"])
            origin = Origin(**metadata["origin"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is not a whole steering vector: {error}") from error
        if schema > _SCHEMA:
            raise InputError(f"{path} has schema {schema}; this mtmbench reads up to {_SCHEMA}")
        return cls(direction, origin, scale)


def topic_vector(
    result: TopicResult,
    topic: int,
    sae: SAE,
    *,
    relative: bool = False,
    n_items: int | None = None,
) -> SteeringVector:
    """Returns the direction of a topic, ``normalise(Σ_i β_ki w_i)``.

    Args:
        result: topics over features of ``sae``; its ``item_weights`` are the β.
        topic: k, from 0.
        sae: the SAE whose decoder rows are the w_i.
        relative: whether weights are taken minus their mean over topics (empty ones left out);
            the method is then "topic", otherwise "topic_raw".
        n_items: only the so many items of largest weight count; None for all.

    Raises:
        InputError: the topic is out of range or empty, the result is over other items, or the sum
            is zero.
    """
    weights = topic_weights(result, topic, relative=relative, n_items=n_items)
    params = {} if n_items is None else {"n_items": n_items}
    origin = replace(
        feature_origin(result, sae), topic=topic, method="topic" if relative else "topic_raw",
        params=params,
    )  # fmt: skip
    return SteeringVector.of(weights @ item_directions(result, sae), origin)


def topic_weights(
    result: TopicResult, topic: int, *, relative: bool = False, n_items: int | None = None
) -> Float64Array:
    """Returns the (V,) weights that a topic's direction is made with; see :func:`topic_vector`.

    Raises:
        InputError: the topic is out of range or empty, or ``n_items`` is below 1.
    """
    check_topic(result, topic)
    if n_items is not None and n_items < 1:
        raise InputError(f"n_items must be at least 1, not {n_items!r}")
    all_weights = result.item_weights.astype(np.float64)
    whole = all_weights.sum(axis=1) > 0
    if not whole[topic]:
        raise InputError(f"topic {topic} of {result.model!r} is empty; it has no direction")
    weights: Float64Array = all_weights[topic]
    if relative:
        weights = weights - all_weights[whole].mean(axis=0)
    if n_items is not None:
        kept = np.argsort(-weights, kind="stable")[:n_items]
        chosen = np.zeros_like(weights)
        chosen[kept] = np.maximum(weights[kept], 0)
        weights = chosen
    return weights


def item_directions(result: TopicResult, sae: SAE) -> FloatArray:
    """Returns the unit decoder rows of a result's items, (V, H).

    Raises:
        InputError: the items are not features of this SAE.
    """
    feature_origin(result, sae)
    rows = np.array([int(item) for item in result.items.ids])
    if rows.size and not 0 <= rows.min() <= rows.max() < sae.n_features:
        raise InputError(
            f"feature {rows.max()} of {result.model!r} is not one of the SAE's {sae.n_features}"
        )
    directions: FloatArray = sae.directions[rows]
    return directions


def feature_origin(result: TopicResult, sae: SAE) -> Origin:
    """Returns the origin of directions that are made of a result's features, topic left open.

    Raises:
        InputError: the result is over words, or over the features of another SAE.
    """
    check_over_features(result)
    source = result.items.source
    if source.get("sae_hash") != sae.revision:
        raise InputError(
            f"model {result.model!r} was fitted on features of SAE {source.get('sae')!r} with hash "
            f"{source.get('sae_hash')!r}; the SAE given has {sae.revision!r}"
        )
    return Origin(
        backbone=str(source["backbone"]),
        backbone_revision=str(source["backbone_revision"]),
        hook_point=str(source["hook_point"]),
        sae_hash=sae.revision,
        model=result.model,
        result=result.revision,
    )


def check_over_features(result: TopicResult) -> None:
    """Checks that a result's items have directions.

    Raises:
        InputError: they are words.
    """
    if result.items.kind != "features":
        raise InputError(
            f"model {result.model!r} is over {result.items.kind}, which have no directions; "
            "steering needs a model over SAE features"
        )


def check_topic(result: TopicResult, topic: int) -> None:
    """Checks a topic's index.

    Raises:
        InputError: it is no whole number, or out of range.
    """
    if not isinstance(topic, int | np.integer):
        raise InputError(f"a topic is named by its number from 0, not {topic!r}")
    if not 0 <= topic < result.n_topics:
        raise InputError(
            f"topic {topic} is out of range; {result.model!r} has topics 0 to {result.n_topics - 1}"
        )


def _sum(terms: Sequence[tuple[float, SteeringVector]]) -> SteeringVector:
    first = terms[0][1]
    for factor, vector in terms:
        if not isinstance(vector, SteeringVector):
            raise InputError(f"only a steering vector can be added to one, not {vector!r}")
        if not math.isfinite(factor):
            raise InputError(f"a vector was multiplied by {factor}; the factor must be finite")
        _check_same_space(first, vector)
    made_of = [[factor * vector.scale, vars(vector.origin)] for factor, vector in terms]
    origin = Origin(
        first.origin.backbone, first.origin.backbone_revision, first.origin.hook_point,
        method="sum", params={"terms": made_of},
    )  # fmt: skip
    return _valued(sum(factor * vector.value for factor, vector in terms), origin)


def _valued(value: ArrayLike, origin: Origin) -> SteeringVector:
    exact = np.asarray(value, np.float64)
    norm = float(np.linalg.norm(exact))
    if not (math.isfinite(norm) and norm > 0):
        of = "" if origin.topic is None else f" of topic {origin.topic}"
        raise InputError(f"the {origin.method} direction{of} has norm {norm:g}; it points nowhere")
    return SteeringVector((exact / norm).astype(np.float32), origin, norm)


def _check_same_space(first: SteeringVector, second: SteeringVector) -> None:
    for name in ("backbone_revision", "hook_point"):
        one, other = getattr(first.origin, name), getattr(second.origin, name)
        if one != other:
            raise InputError(
                f"vectors of different places: {name} {one!r} and {other!r}; they have nothing in "
                "common"
            )
