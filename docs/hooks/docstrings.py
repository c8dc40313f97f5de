"""Docstrings and signatures as Markdown: Google style, with Sphinx's roles in it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import mtmbench

_ARGUMENT = re.compile(r"^ {4}(\w[\w, ]*): ((?:.*)(?:\n {8}.*)*)", re.M)
_ROLE = re.compile(r":\w+:`~?(?:[^`<]*\.)?([^`<>]+?)`")


def signature_text(value: Callable[..., Any]) -> str:
    """Returns a callable's parameters, a line each where they are many."""
    if value is mtmbench.load_corpus:
        value = inspect.unwrap(value)
    try:
        signature = inspect.signature(value)
    except ValueError:
        return ""
    text = re.sub(r"'([^']*)'", r"\1", str(signature)) if not inspect.isclass(value) else ""
    if inspect.isclass(value):
        text = f"({', '.join(p for p in signature.parameters if p not in ('args', 'kwargs'))})"
    if len(text) > 80:
        inner, _, returned = text[1:].rpartition(")")
        text = "(\n    " + re.sub(r", (?=\w+:|\*|/)", ",\n    ", inner) + ",\n)" + returned
    return text


def arguments(plugin: type) -> dict[str, str]:
    """Returns what docstrings of a class and its bases say under "Args:", by name."""
    found: dict[str, str] = {}
    for cls in reversed(plugin.__mro__):
        text = inspect.cleandoc(cls.__dict__.get("__doc__") or "")
        section = re.search(r"^Args:\n((?:(?:    .*)?\n?)+)", text, re.M)
        for entry in _ARGUMENT.finditer(section[1] if section else ""):
            for name in entry[1].split(", "):
                found[name] = _plain(entry[2])
    return found


def as_markdown(text: str) -> str:
    """Returns a Google-style docstring as Markdown."""
    lines: list[str] = []
    for block in re.split(r"\n(?=(?:Args|Returns|Raises|Attributes|Yields):\n)", text):
        heading = re.match(r"(Args|Returns|Raises|Attributes|Yields):\n", block)
        if heading is None:
            lines.append(_markdown(block) + "\n")
            continue
        body = inspect.cleandoc(block[heading.end() :])
        lines.append(f"**{heading[1]}**\n")
        if heading[1] in ("Returns", "Yields"):
            lines.append(_markdown(body) + "\n")
            continue
        for entry in re.split(r"\n(?=\S)", body):
            name, _, told = entry.partition(": ")
            lines.append(f"- `{name}`: {_plain(told)}")
        lines.append("")
    return "\n".join(lines)


def _markdown(text: str) -> str:
    return _ROLE.sub(r"`\1`", text).replace("``", "`")


def _plain(text: str) -> str:
    return " ".join(_markdown(text).split())
