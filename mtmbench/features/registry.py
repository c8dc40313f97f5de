"""The feature sources by name; nothing is imported until a name is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mtmbench.core.errors import InputError
from mtmbench.core.registry import Registry

if TYPE_CHECKING:
    from mtmbench.core.specs import FeatureSpec
    from mtmbench.features.base import FeatureSource

FEATURES: Registry[Callable[..., FeatureSource]] = Registry("feature source", "mtmbench.features")

register_features = FEATURES.register


def source_of(features: FeatureSpec, *, offline: bool = False) -> FeatureSource:
    """Returns the feature source of a suite, or with ``offline`` what stands for it in plans."""
    source = feature_source(features.source, features.params)
    return source.outline() if offline else source


def feature_source(
    features: str | FeatureSource, params: Mapping[str, Any] | None = None
) -> FeatureSource:
    """Returns a feature source by its registered name, or the one that is given.

    Args:
        features: the name, or a source.
        params: arguments of the source that is named.

    Raises:
        InputError: there are parameters for a source that was made already, or what is given is no
            source.
        UnknownNameError: no feature source has this name.
    """
    from mtmbench.features.base import FeatureSource

    if isinstance(features, str):
        return FEATURES.get(features)(**(params or {}))
    if not isinstance(features, FeatureSource):
        raise InputError(f"features must be a registered name or a FeatureSource, not {features!r}")
    if params:
        raise InputError(
            f"params {sorted(params)} go with the name of a feature source; this one "
            f"({features.name!r}) was made already"
        )
    return features
