"""What tests of several rooms share: plugins by path, helpers by import."""

from pathlib import Path

SUPPORT = Path(__file__).parent
