"""A flowchart in Mermaid's notation as an SVG, for pages that load no script.

It knows what docs/architecture.md uses: lines of names joined by ``-->`` and ``&``, drawn from the
top down, each name in the row after the last of those that point to it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import pairwise, product

FENCE = re.compile(r"^```mermaid\nflowchart TB\n(.*?)^```$", re.M | re.S)

_WIDTH, _ROW, _BOX, _HEIGHT = 760, 62, 104, 30


def draw(flowchart: str) -> str:
    """Returns the SVG of a flowchart's lines.

    Raises:
        ValueError: the arrows go in a circle.
    """
    arrows: set[tuple[str, str]] = set()
    for line in flowchart.split("\n"):
        groups = [[name.strip() for name in part.split("&")] for part in line.split("-->")]
        for first, second in pairwise(groups):
            arrows.update(product(first, second))
    rows: dict[int, list[str]] = defaultdict(list)
    for name, row in _rows(arrows).items():
        rows[row].append(name)
    place = {
        name: ((i + 0.5) * _WIDTH / len(names), row * _ROW + _HEIGHT / 2 + 4)
        for row, names in rows.items()
        for i, name in enumerate(names)
    }
    height = len(rows) * _ROW
    parts = [f'<svg class="flowchart" viewBox="0 0 {_WIDTH} {height}" role="img">']
    parts.append("<title>A flowchart, from the top down</title>")
    for first, second in sorted(arrows):
        (x1, y1), (x2, y2) = place[first], place[second]
        parts.append(
            f'<line x1="{x1:g}" y1="{y1 + _HEIGHT / 2:g}" x2="{x2:g}" y2="{y2 - _HEIGHT / 2:g}"/>'
        )
    for name, (x, y) in place.items():
        parts.append(
            f'<rect x="{x - _BOX / 2:g}" y="{y - _HEIGHT / 2:g}" width="{_BOX}" '
            f'height="{_HEIGHT}" rx="5"/><text x="{x:g}" y="{y + 5:g}">{name}</text>'
        )
    return "".join([*parts, "</svg>"])


def _rows(arrows: set[tuple[str, str]]) -> dict[str, int]:
    """Returns the row of every name: one more than the last of those that point to it."""
    names = list(dict.fromkeys(name for arrow in sorted(arrows) for name in arrow))
    row = dict.fromkeys(names, 0)
    for _ in names:
        for first, second in arrows:
            row[second] = max(row[second], row[first] + 1)
    if max(row.values(), default=0) >= len(names):
        raise ValueError("the arrows of the flowchart go in a circle")
    return row
