"""The feature sources by name; nothing is imported until a name is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mtmbench.core.registry import Registry

if TYPE_CHECKING:
    from mtmbench.features.base import FeatureSource

FEATURES: Registry[Callable[..., FeatureSource]] = Registry("feature source", "mtmbench.features")

register_features = FEATURES.register
