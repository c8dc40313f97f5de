"""Where suites, model cards and judge cards are found: by path, or by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from mtmbench.core.card_reading import parse_card, set_dotted, suite_data
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.includes import FOR_ALL, read_suite_table
from mtmbench.core.names import check_path

PACKAGE = Path(__file__).parents[1]
"""The package's own folder; a wheel and a checkout carry its files under it."""

CardKind = Literal["judges", "baselines", "suites"]

_CARD_NAMES = {"judges": "judge card", "baselines": "model card", "suites": "suite"}


def card_folders(kind: CardKind) -> list[Path]:
    """Returns the folders that hold cards of a kind: the working directory's, then the installed.

    A wheel carries the cards in ``mtmbench._cards``; a checkout has them beside the package.
    """
    folder_name = "leaderboards" if kind == "suites" else kind
    packed = PACKAGE / "_cards" / kind
    installed = packed if packed.is_dir() else PACKAGE.parent / folder_name
    folders = [Path.cwd() / folder_name, installed]
    return [
        folder for i, folder in enumerate(folders) if folder.is_dir() and folder not in folders[:i]
    ]


def card_path(kind: CardKind, name: str) -> Path:
    """Finds a card by path or by name.

    Raises:
        UnknownNameError: no such card; the nearest name is given.
        InputError: a path was given and there is no such file.
    """
    given = Path(check_path(name, _CARD_NAMES[kind]))
    if kind == "suites" and given.is_dir() and (given / "suite.toml").is_file():
        return given / "suite.toml"
    if given.suffix == ".toml":
        if not given.is_file():
            raise InputError(f"there is no file {name}")
        return given
    available = card_names(kind)
    if name not in available:
        raise UnknownNameError(_CARD_NAMES[kind], name, available)
    return available[name]


def shadowed_card(kind: CardKind, name: str) -> Path | None:
    """Returns the installed card of a name that one of the working directory stands before."""
    if Path(name).suffix == ".toml":
        return None
    file = f"{name}/suite.toml" if kind == "suites" else f"{name}.toml"
    first, *others = [folder / file for folder in card_folders(kind) if (folder / file).is_file()]
    return next((other for other in others if not other.samefile(first)), None)


def card_names(kind: CardKind) -> dict[str, Path]:
    """Returns every card of a kind by name; the working directory's comes before the installed."""
    pattern = "*/suite.toml" if kind == "suites" else "*.toml"
    found: dict[str, Path] = {}
    for folder in card_folders(kind):
        for path in sorted(folder.glob(pattern)):
            found.setdefault(path.parent.name if kind == "suites" else path.stem, path)
    return found


def load_suite(name: str, overrides: Mapping[str, object] | None = None) -> Suite:
    """Loads a suite by name or path, with what it includes and with ``--set`` overrides.

    What is set for all corpora holds for all, and what is said of models, corpora and metrics that
    an override, or a file that includes others, takes out goes with them.
    """
    path = card_path("suites", name)
    table = read_suite_table(path, lambda other: card_path("suites", other))
    where = ", including ".join(map(str, (path, *table.files)))
    _set_all(table.data, overrides or {})
    suite = parse_card(table.data, Suite, where)
    return suite.of_what_is_left(parse_card({**table.data, **table.listed}, Suite, where))


def override_suite(suite: Suite, overrides: Mapping[str, object]) -> Suite:
    """Returns a suite with overrides, as :func:`load_suite` sets them.

    Raises:
        InputError: there is no such key, or the suite would be wrong with what is set.
    """
    data = suite_data(suite)
    _set_all(data, overrides)
    return parse_card(data, Suite, f"suite {suite.name!r}").of_what_is_left(suite)


def _set_all(data: dict[str, object], overrides: Mapping[str, object]) -> None:
    """Sets dotted keys of a suite's table."""
    # First, so that what an override says by corpus stands.
    first: dict[str, object] = {
        by_corpus: {} for field, by_corpus in FOR_ALL.items() if field in overrides
    }
    for key, value in {**first, **overrides}.items():
        set_dotted(data, key, value)
