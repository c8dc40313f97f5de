"""Suites that include others: one table of what the files say together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mtmbench.core.card_reading import INCLUDE, read_toml
from mtmbench.core.errors import InputError

FOR_ALL = {
    "models": "models_per_corpus",
    "k": "k_per_corpus",
    "features.settings": "features.settings_per_corpus",
}
"""Fields of a suite, and what says the same by corpus: whoever sets the former sets it for all."""

_LISTED = ("models", "corpora", "metrics")


@dataclass
class SuiteTable:
    """What a suite file says, with all that it includes.

    Attributes:
        data: the table, as of one file.
        listed: models, corpora and metrics of any of the files, those that ``data`` has no more
            among them.
        files: the files that were included, in order.
    """

    data: dict[str, object]
    listed: dict[str, list[object]] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)

    def put(self, other: SuiteTable) -> None:
        """Sets what ``other`` says over what stands here: tables by key, all else anew."""
        for whole, by_corpus in FOR_ALL.items():
            if _dotted(other.data, whole) is not None:
                *parents, last = by_corpus.split(".")
                table = _dotted(self.data, ".".join(parents)) if parents else self.data
                if isinstance(table, dict):
                    table.pop(last, None)
        self.data = _merged(self.data, other.data)
        for name, more in other.listed.items():
            self.listed[name] = [*self.listed.get(name, []), *more]
        self.files += other.files


def read_suite_table(path: Path, find: Callable[[str], Path]) -> SuiteTable:
    """Reads a suite file and, under it, what it includes.

    ``include`` lists suites by name, or by path from the folder of the file that includes them. A
    later one is set over an earlier one, and the file's own fields over all. A name is of one file:
    none is taken from what is included.

    Args:
        path: the file.
        find: returns the file of a suite by its name or path.

    Raises:
        InputError: a file cannot be read, ``include`` is no list of names, or files include each
            other in a circle; the message names the files.
        UnknownNameError: there is no suite of a name.
    """
    return _read(path, find, ())


def _read(path: Path, find: Callable[[str], Path], above: tuple[Path, ...]) -> SuiteTable:
    if path.resolve() in [file.resolve() for file in above]:
        raise InputError(
            f"suites include each other in a circle: {' → '.join(map(str, (*above, path)))}"
        )
    own = SuiteTable(read_toml(path))
    names = own.data.pop(INCLUDE, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"{path}: include is {names!r:.60}; a list of suites is expected, by name or path"
        )
    for name in _LISTED:
        if isinstance(said := own.data.get(name), list):
            own.listed[name] = list(said)
    if isinstance(by_corpus := own.data.get("models_per_corpus"), Mapping):
        more = [model for models in by_corpus.values() for model in models]
        own.listed["models"] = [*own.listed.get("models", []), *more]
    found = SuiteTable({})
    for name in names:
        file = find(_from(path.parent, name))
        included = _read(file, find, (*above, path))
        included.data.pop("name", None)
        found.put(included)
        found.files.append(file)
    found.put(own)
    return found


def _from(folder: Path, name: str) -> str:
    given = Path(name).expanduser()
    is_path = given.suffix == ".toml" or len(given.parts) > 1
    return str(folder / given) if is_path else name


def _dotted(table: Mapping[str, object], key: str) -> object:
    found: object = table
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _merged(base: dict[str, object], over: Mapping[str, object]) -> dict[str, object]:
    merged = dict(base)
    for key, value in over.items():
        held = merged.get(key)
        both = isinstance(held, dict) and isinstance(value, dict)
        merged[key] = _merged(held, value) if both else value  # type: ignore[arg-type]
    return merged
