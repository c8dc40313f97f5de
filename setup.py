"""Maps the card folders beside the package into the wheel; see ``pyproject.toml`` for the rest.

``judges/`` and ``baselines/`` are data and must never be importable by these names, so the wheel
carries them, with every suite file, inside ``mtmbench._cards``. An editable install has no
``_cards`` and reads the folders themselves.
"""

import sys

from setuptools import find_packages, setup

EDITABLE = any("editable" in argument for argument in sys.argv)
CARDS = {
    "mtmbench._cards": "mtmbench/_cards",
    "mtmbench._cards.judges": "judges",
    "mtmbench._cards.baselines": "baselines",
    "mtmbench._cards.suites": "leaderboards",
}

setup(
    packages=find_packages(include=["mtmbench", "mtmbench.*"]),
)
