"""What Python has: every public name, its signature and what its docstring says."""

from __future__ import annotations

import inspect
from functools import cached_property

from docstrings import as_markdown, signature_text

import mtmbench

_VALUES = ("Board", "Judgement", "Steering", "TopicResult")
"""Classes whose objects people are given: their members are listed too."""


def api_facts() -> str:
    """Returns every public name with its signature and docstring, and the members of values."""
    parts = []
    for name in mtmbench.__all__:
        value = getattr(mtmbench, name)
        if inspect.ismodule(value):
            continue
        kind = "class " if inspect.isclass(value) else ""
        parts.append(f"### {name}\n\n```text\n{kind}{name}{signature_text(value)}\n```\n")
        parts.append(as_markdown(inspect.getdoc(value) or ""))
        parts += _members(value) if name in _VALUES else []
    return "\n".join(parts)


def _members(value: type) -> list[str]:
    """Returns the public methods and properties of a class, as :func:`api_facts` has functions."""
    parts = []
    for name, member in vars(value).items():
        is_value = isinstance(member, property | cached_property)
        method = getattr(value, name)
        if name.startswith("_") or not (is_value or inspect.isroutine(method)):
            continue
        parts.append(f"#### {value.__name__}.{name}\n")
        if not is_value:
            signature = signature_text(method).replace("self, ", "", 1).replace("self", "", 1)
            parts.append(f"```text\n{name}{signature}\n```\n")
        parts.append(as_markdown(inspect.getdoc(member) or ""))
    return parts
