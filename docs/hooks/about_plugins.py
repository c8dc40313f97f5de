"""What tables of models, metrics and judges share: names, and parameters with their defaults."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from docstrings import arguments
from markdown_tables import code, table, value_text

from mtmbench.core.registry import Registry

_NOT_IN_CARDS = ("embed", "tokenise")
"""Functions that Python alone can give."""


def own_names(registry: Registry[Any]) -> list[str]:
    """Returns what mtmbench itself registers; plugins, and families, have pages of their own."""
    return [
        name
        for name in registry.names()
        if registry.origin(name).startswith("mtmbench.") and ":" not in name
    ]


def parameter_table(plugin: type, given: Mapping[str, object]) -> str:
    """Returns a table of what ``__init__`` takes; a card's values stand before the defaults."""
    told = arguments(plugin)
    rows = []
    for name, parameter in inspect.signature(plugin).parameters.items():
        if name in _NOT_IN_CARDS:
            continue
        if name in given:
            default = f"{value_text(given[name])}, by the card"
        elif parameter.default is parameter.empty:
            default = "must be given"
        else:
            default = value_text(parameter.default)
        rows.append((code(name), default, told.get(name, "")))
    if not rows:
        return ""
    return table(("parameter", "default", "what it is"), rows)
