"""What the tests of the voting page share."""

from support.chromium import browser

__all__ = ["browser"]
