"""Pages from templates: self-contained, without scripts, fonts or anything from a network.

Templates extend ``page.html.j2``, which brings the style, and take their tables and charts from
``kit.html.j2``.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

_SHARED = Path(__file__).parent / "templates"


def render_template(template: Path, **values: Any) -> str:
    """Returns the page that a template makes of values; all text is escaped.

    Args:
        template: the file; beside its own folder it sees the templates that all pages share.
        values: what the template names; a name that is missing is an error.
    """
    text: str = _environment(template.parent).get_template(template.name).render(**values)
    return text.rstrip("\n") + "\n"


@lru_cache
def _environment(folder: Path) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader([folder, _SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
