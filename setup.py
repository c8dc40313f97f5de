"""Puts the card folders beside the package into the wheel; see ``pyproject.toml`` for the rest.

``judges/`` and ``baselines/`` are data and must never be importable by these names, so the wheel
carries them, with every suite file, inside ``mtmbench._cards``. An editable install has no
``_cards`` and reads the folders themselves.
"""

from setuptools import find_packages, setup
from setuptools.command.editable_wheel import editable_wheel

PACKAGES = find_packages(include=["mtmbench", "mtmbench.*"])
CARDS = {
    "mtmbench._cards.judges": "judges",
    "mtmbench._cards.baselines": "baselines",
    "mtmbench._cards.suites": "leaderboards",
}


class EditableWithoutCards(editable_wheel):
    """Maps the package alone: a checkout's cards are read where they lie, and stay editable."""

    def initialize_options(self) -> None:
        """Sets the command's options before it runs."""
        super().initialize_options()
        self.distribution.packages = PACKAGES
        self.distribution.package_dir = {"mtmbench": "mtmbench"}


setup(
    packages=[*PACKAGES, *CARDS],
    package_dir=dict(CARDS),
    include_package_data=False,
    package_data={
        "mtmbench": ["**/*"],
        "mtmbench._cards.judges": ["**/*"],
        "mtmbench._cards.baselines": ["**/*"],
        "mtmbench._cards.suites": ["*/suite.toml"],
    },
    exclude_package_data={"": ["__pycache__/*", "*.py[co]"]},
    cmdclass={"editable_wheel": EditableWithoutCards},
)
