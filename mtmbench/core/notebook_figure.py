"""A figure that a notebook shows by itself. The one module that imports matplotlib as it loads."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure

_DPI = 120
_PIXELS_PER_INCH = 96
"""Of a page, which is what a notebook gives widths in."""


class NotebookFigure(Figure):
    """A figure without pyplot, which would have to be imported for a notebook to show it."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        file = BytesIO()
        # Without the version of matplotlib, the same figure is the same bytes for longer.
        self.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
        width, height = self.get_size_inches()
        size = {"width": width, "height": height}
        return file.getvalue(), {k: round(_PIXELS_PER_INCH * v) for k, v in size.items()}
