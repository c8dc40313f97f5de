"""What λ is measured in: activations of a reference text, read once at the hook point."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.serialise import content_hash
from mtmbench.core.types import Corpus, Float64Array, FloatArray
from mtmbench.features.sae.backbone import Backbone
from mtmbench.features.sae.reference import draw_reference
from mtmbench.steering.hook import MODES, Mode, Push
from mtmbench.steering.vector import SteeringVector

Unit = Literal["absolute", "mean_norm", "p99"]
UNITS: tuple[Unit, ...] = ("absolute", "mean_norm", "p99")
UNIT_TOKENS = 10_000


@dataclass(frozen=True, eq=False)
class ReferenceActivations:
    """Activations of reference texts at a hook point.

    Attributes:
        corpus: name of the texts.
        texts: content hash of those that were read.
        backbone_revision: of the language model.
        hook_point: where in it.
        activations: (N, H) f32, of N tokens, specials left out.
    """

    corpus: str
    texts: str
    backbone_revision: str
    hook_point: str
    activations: FloatArray

    @cached_property
    def mean_norm(self) -> float:
        """Mean length of an activation."""
        return float(np.linalg.norm(self.activations, axis=1).mean(dtype=np.float64))

    def projections(self, vector: SteeringVector) -> Float64Array:
        """Returns (N,) ⟨a, s⟩ of the tokens, s the vector's direction.

        Raises:
            InputError: the vector is of another place.
        """
        for name in ("backbone_revision", "hook_point"):
            here, there = getattr(self, name), getattr(vector.origin, name)
            if here != there:
                raise InputError(
                    f"the reference was read at {name} {here!r}; the vector is of {there!r}"
                )
        return self.activations.astype(np.float64) @ vector.direction.astype(np.float64)

    def describe(self) -> dict[str, object]:
        """Returns, as JSON values, which texts were read."""
        n_tokens = len(self.activations)
        return {"corpus": self.corpus, "texts": self.texts, "tokens": n_tokens}


@dataclass(frozen=True)
class Strength:
    """λ as it was given and as it is used.

    Attributes:
        value: λ in its unit.
        unit: "absolute"; "mean_norm", the mean length of an activation; or "p99", the 99th
            percentile of activations' projections on the direction itself.
        unit_value: the unit's length.
        reference: the texts that the unit was measured on; None for "absolute".
    """

    value: float
    unit: Unit
    unit_value: float = 1.0
    reference: Mapping[str, object] | None = None

    @property
    def absolute(self) -> float:
        """λ as the hook reads it."""
        return self.value * self.unit_value

    def describe(self) -> dict[str, object]:
        """Returns the record of it, as JSON values."""
        return {
            "lambda": self.value,
            "lambda_unit": self.unit,
            "lambda_absolute": self.absolute,
            "lambda_reference": self.reference,
        }


def read_reference(
    backbone: Backbone,
    corpus: Corpus,
    hook_point: str,
    *,
    n_tokens: int = UNIT_TOKENS,
    seed: int = 0,
) -> ReferenceActivations:
    """Reads the activations of documents drawn at random, until they have ``n_tokens`` or all.

    Raises:
        InputError: the number is not positive, the hook point does not exist, or there are no
            tokens.
    """
    drawn = draw_reference(corpus, backbone, n_tokens, seed)
    chunks = backbone.chunks(drawn.texts)
    if not chunks:
        raise InputError(f"corpus {corpus.name!r} has no tokens to read")
    parts = [
        batch.values[hook_point].cpu().numpy()
        for batch in backbone.activations(chunks, [hook_point])
    ]
    return ReferenceActivations(
        corpus.name, content_hash(list(drawn.texts)), backbone.revision, hook_point,
        np.concatenate(parts),
    )  # fmt: skip


def strength(
    value: float, unit: Unit, vector: SteeringVector, reference: ReferenceActivations | None = None
) -> Strength:
    """Returns λ with its unit measured.

    Args:
        value: λ in the unit.
        unit: one of :data:`UNITS`.
        vector: the direction that it is for.
        reference: needed for every unit but "absolute".

    Raises:
        InputError: λ is not finite, the reference is missing, or the 99th percentile is not above
            zero.
        UnknownNameError: there is no such unit.
    """
    if unit not in UNITS:
        raise UnknownNameError("unit of lambda", str(unit), UNITS)
    if not math.isfinite(value):
        raise InputError(f"lambda must be finite, not {value!r}")
    if unit == "absolute":
        return Strength(value, unit)
    if reference is None:
        raise InputError(f"lambda in units of {unit} needs reference texts")
    projections = reference.projections(vector)
    if unit == "mean_norm":
        return Strength(value, unit, reference.mean_norm, reference.describe())
    percentile = float(np.quantile(projections, 0.99))
    if percentile <= 0:
        raise InputError(
            f"the 99th percentile of projections on the direction is {percentile:.4g}; a unit must "
            "be above 0, so give lambda as absolute or in mean_norm"
        )
    return Strength(value, unit, percentile, reference.describe())


def expected_change(push: Push, reference: ReferenceActivations, mode: Mode = "project") -> float:
    """Returns the mean ‖a′ − a‖ that a push makes over the reference's tokens."""
    return _change(push.strength * push.vector.scale, reference.projections(push.vector), mode)


def least_changing(
    vector: SteeringVector, reference: ReferenceActivations, mode: Mode = "project"
) -> float:
    """Returns the level along a direction, in length, that changes the reference least.

    In mode "project" that is the median projection, in mode "add" none.
    """
    return 0.0 if mode == "add" else float(np.median(reference.projections(vector)))


def matched_push(
    vector: SteeringVector, like: Push, reference: ReferenceActivations, mode: Mode = "project"
) -> Push:
    """Returns a push along another direction that changes activations as much as ``like`` does.

    Mean ‖a′ − a‖ over the reference's tokens is made equal, by a λ on the same side of the median
    projection. In mode "project" no λ changes less than the median projection does; it is taken
    where ``like`` changes less than that, and :func:`expected_change` says how much more it is.

    Raises:
        InputError: a vector is of another place than the reference.
    """
    from scipy.optimize import brentq

    if mode not in MODES:
        raise UnknownNameError("mode", str(mode), MODES)
    target = expected_change(like, reference, mode)
    if mode == "add":
        return Push(vector, math.copysign(target, like.strength) / vector.scale)
    projections = reference.projections(vector)
    middle, mean = least_changing(vector, reference), float(projections.mean())
    above = like.strength * like.vector.scale >= least_changing(like.vector, reference)
    if _change(middle, projections, mode) >= target:
        return Push(vector, middle / vector.scale)
    # A change is at least |λ − mean|, so the end of the bracket changes enough.
    end = mean + target if above else mean - target

    def excess(level: float) -> float:
        return _change(level, projections, mode) - target

    level = end if excess(end) <= 0 else float(brentq(excess, middle, end, xtol=1e-9))
    return Push(vector, level / vector.scale)


def _change(level: float, projections: Float64Array, mode: Mode) -> float:
    return abs(level) if mode == "add" else float(np.abs(level - projections).mean())
