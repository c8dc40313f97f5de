"""Prompts: openings that steered and unsteered text go on from."""

from __future__ import annotations

from pathlib import Path

from mtmbench.core.errors import InputError
from mtmbench.core.files import lines_of

BUILT_IN = Path(__file__).with_name("prompts.txt")
"""A hundred openings that name no subject."""


def load_prompts(path: Path | None = None) -> tuple[str, ...]:
    """Reads prompts, one a line; blank lines and those that begin with ``#`` are none.

    Args:
        path: a text file; None for the built-in neutral set.

    Raises:
        InputError: the file cannot be read, holds no prompt, or one twice.
    """
    file = path or BUILT_IN
    try:
        lines = [line.strip() for line in lines_of(file.read_text(encoding="utf-8"))]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read prompts from {file}: {error}") from error
    prompts = [line for line in lines if line and not line.startswith("#")]
    if not prompts:
        raise InputError(f"{file} holds no prompt")
    seen: set[str] = set()
    for prompt in prompts:
        if prompt in seen:
            raise InputError(f"{file} holds the prompt {prompt!r} twice")
        seen.add(prompt)
    return tuple(prompts)
