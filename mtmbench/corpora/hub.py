"""Hugging Face datasets: from the hub, from a local folder in its format, or saved to disk."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtmbench.core.errors import InputError, did_you_mean
from mtmbench.core.files import read_bytes, read_json, read_text, unpack_limit
from mtmbench.core.types import Corpus
from mtmbench.corpora.files import is_text_file, visible_files
from mtmbench.corpora.offline import is_cached, is_offline
from mtmbench.corpora.rows import Columns, SourceRow, build_corpus

if TYPE_CHECKING:
    from datasets import Dataset

_ClassCode = int | None | list["_ClassCode"]
"""The number of a class label, or a list of them; −1 and None for none."""

_MOST_PACKED = 1032
"""A byte of gzip unpacks to so many at most."""

_DATA_SUFFIXES = (
    ".parquet",
    ".jsonl",
    ".json",
    ".csv",
    ".tsv",
    ".arrow",
    ".jsonl.gz",
    ".json.gz",
    ".csv.gz",
    ".tsv.gz",
)
_BINARY_SUFFIXES = (".parquet", ".arrow")


def is_hub_id(source: str) -> bool:
    """Whether ``source`` has the form ``owner/name`` of a dataset on the hub."""
    return re.fullmatch(r"[\w.-]+/[\w.-]+", source) is not None


def is_data_file(path: Path) -> bool:
    """Whether ``path`` is named like a data file of a dataset in the hub's format."""
    return path.name.endswith(_DATA_SUFFIXES)


def is_saved_dataset(folder: Path) -> bool:
    """Whether ``folder`` was written by ``save_to_disk`` of a dataset or dataset dictionary."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def load_hub(
    source: str | Path,
    columns: Columns | Sequence[Columns],
    subset: str | None = None,
    name: str | None = None,
    *,
    splits: Sequence[str] = (),
) -> Corpus:
    """Loads a dataset by hub id or from a local folder; its splits become one corpus.

    Class labels become their names. Without a split column, the dataset's own splits are the
    corpus's; without an id column, ids are ``split/row``.

    Args:
        source: a hub id (``owner/name``) or a folder.
        columns: which column holds what; of several possibilities the first whose named columns
            are all there, or the first.
        subset: the dataset's configuration, where it has several.
        name: name of the corpus; by default the last part of ``source``.
        splits: the splits that are the corpus; all if none are named.

    Raises:
        InputError: it cannot be found or read (offline, for one), or a column is wrong.
    """
    loaded = _load(source, subset)
    where = str(source)
    for split in splits:
        if split not in loaded:
            raise InputError(f"{where} has no split {split!r}{did_you_mean(split, loaded)}")
    taken = {split: rows for split, rows in loaded.items() if not splits or split in splits}
    columns = columns if isinstance(columns, Columns) else _fitting(columns, taken)
    rows = [SourceRow(number, values) for number, values in enumerate(_values(taken, columns))]
    described: dict[str, object] = {"format": "huggingface", "subset": subset}
    if isinstance(source, Path):
        described["folder"] = source.name
    else:
        described |= {"hub": source, "hub_revision": _revision(taken)}
    default_id = columns.id or (
        "id" if all("id" in s.column_names for s in taken.values()) else None
    )
    try:
        return build_corpus(
            name or where.rstrip("/").rsplit("/", 1)[-1],
            rows,
            Columns(columns.text, columns.label, default_id or _ID, columns.split or _SPLIT),
            where=where,
            source={key: value for key, value in described.items() if value is not None},
            unit="row",
        )
    except InputError:
        # UTF-16 without a mark is valid UTF-8, with names of columns that nobody would find.
        if isinstance(source, Path):
            _check_encodings(source)
        raise


def _fitting(choices: Sequence[Columns], splits: Mapping[str, Dataset]) -> Columns:
    known = set.intersection(*(set(rows.column_names) for rows in splits.values()))
    return next((columns for columns in choices if known.issuperset(columns.named)), choices[0])


# Names for what the dataset's structure says rather than a column; no dataset has such columns.
_SPLIT = "(the dataset's split)"
_ID = "(split and row)"


def _load(source: str | Path, subset: str | None) -> dict[str, Dataset]:
    if isinstance(source, str) and is_offline() and not is_cached(source):
        raise InputError(f"hub dataset {source!r} is not on this machine")
    import datasets

    if isinstance(source, Path):
        _check_inside(source)
    # What the library logs of a failure is in the error as well, in one line.
    verbosity = datasets.logging.get_verbosity()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    try:
        if isinstance(source, Path) and is_saved_dataset(source):
            loaded = datasets.load_from_disk(str(source))
        else:
            loaded = datasets.load_dataset(str(source), name=subset, **_reading(source))
    # The library raises a different class for each way in which a dataset can be out of reach.
    except Exception as error:
        if isinstance(source, Path):
            _check_encodings(source)
        what = "folder" if isinstance(source, Path) else "hub dataset"
        raise InputError(f"cannot load {what} {str(source)!r}: {_cause(error)}") from error
    finally:
        datasets.logging.set_verbosity(verbosity)
    if isinstance(loaded, datasets.Dataset):
        return {str(loaded.split or "all"): loaded}
    return dict(loaded)


def _reading(source: str | Path) -> dict[str, Any]:
    """Returns what a folder is to be read with.

    In CSV files no word stands for a missing value: pandas would drop texts such as "None", "NA"
    and "null". Of a folder with ``.txt`` files, the data files alone are read; the library would
    read those of the more frequent suffix.
    """
    if isinstance(source, str):
        return {}
    files = visible_files(source)
    data = [path for path in files if is_data_file(path)]
    is_csv = bool(data) and all(
        path.name.removesuffix(".gz").endswith((".csv", ".tsv")) for path in data
    )
    reading: dict[str, Any] = {"keep_default_na": False} if is_csv else {}
    if any(is_text_file(path) for path in files) and not any(map(_configs, _cards(source))):
        from datasets.data_files import DataFilesDict, get_data_patterns

        found = DataFilesDict.from_patterns(get_data_patterns(str(source)), base_path=str(source))
        by_split = {
            split: kept
            for split, names in found.items()
            if (kept := [name for name in names if is_data_file(Path(name))])
        }
        # Where a text file alone is named like a split, the others are named like none.
        reading["data_files"] = by_split or [str(path) for path in data]
    return reading


def _check_encodings(folder: Path) -> None:
    """Raises the error of the first data file that is not UTF-8 text, which names its line."""
    if is_saved_dataset(folder):
        return
    for path in visible_files(folder):
        if is_data_file(path) and not path.name.endswith(_BINARY_SUFFIXES):
            read_text(path)


def _cause(error: BaseException) -> str:
    """Returns in one line what the library's error, which may only say that there was one, is of.

    An error about a missing network has its own words, and low-level causes that add none.
    """
    if type(error).__name__ == "DatasetGenerationError":
        while error.__cause__ is not None:
            error = error.__cause__
    return " ".join(f"{type(error).__name__}: {error}".split())


def _cards(folder: Path) -> list[Path]:
    return [
        path for name in ("README.md", ".huggingface.yaml") if (path := folder / name).is_file()
    ]


def _check_inside(folder: Path) -> None:
    """Refuses a folder whose own notes name files outside of it, and packed files without end.

    Raises:
        InputError: ``data_files`` of its card, or the files of a saved dataset, lie elsewhere.
    """
    for state in folder.rglob("state.json"):
        told = read_json(state)
        listed = told.get("_data_files") if isinstance(told, dict) else None
        for name in _strings(listed):
            _check_file(name, state)
    for card in _cards(folder):
        for config in _configs(card):
            for name in _strings([config.get("data_files"), config.get("data_dir")]):
                _check_file(name, card)
    for packed in folder.rglob("*.gz"):
        size = packed.stat().st_size
        if size * _MOST_PACKED > unpack_limit(size):
            read_bytes(packed)


def _configs(card: Path) -> list[Mapping[str, object]]:
    """Returns the configurations of a data-set card: YAML, in a README between two lines of ---."""
    import yaml

    text = read_bytes(card).decode("utf-8", "replace").replace("\r\n", "\n")
    if card.suffix == ".md":
        found = re.match(r"\ufeff?---[ \t]*\n(.*?)\n---[ \t]*(\n|$)", text, re.DOTALL)
        text = found[1] if found else ""
    try:
        told = yaml.safe_load(text)
        configs = told.get("configs") if isinstance(told, dict) else None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"{card}: its settings are not YAML: {type(error).__name__}") from error
    listed = configs if isinstance(configs, list) else [configs]
    return [config for config in listed if isinstance(config, Mapping)]


def _strings(value: object) -> Iterator[str]:
    """Yields every text in nested lists and mappings, names of splits among them."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, Mapping):
            waiting += inner.values()
        elif isinstance(inner, list | tuple):
            waiting += inner


def _check_file(name: str, where: Path) -> None:
    parts = re.split(r"[/\\]", name)
    if ".." in parts or name.startswith(("/", "\\", "~")) or "://" in name or "::" in name:
        raise InputError(
            f"{where} names {name!r:.80} as a file of its data; they lie in {where.parent} itself"
        )


def _values(splits: Mapping[str, Dataset], columns: Columns) -> Iterator[dict[str, object]]:
    for split, dataset in splits.items():
        chosen = columns.chosen(dataset.column_names)
        names = {column: _class_names(dataset.features[column]) for column in chosen}
        for number, record in enumerate(dataset.select_columns(chosen)):
            values = {
                column: value if (known_as := names[column]) is None else _named(value, known_as)
                for column, value in record.items()
            }
            yield {**values, _SPLIT: values.get("split") or split, _ID: f"{split}/{number}"}


def _class_names(feature: object) -> list[str] | None:
    inner = getattr(feature, "feature", feature)
    names = getattr(inner, "names", None)
    return list(names) if names else None


def _named(code: _ClassCode, names: list[str]) -> object:
    if isinstance(code, list):
        return [_named(item, names) for item in code]
    return None if code is None or code < 0 else names[code]


def _revision(splits: Mapping[str, Dataset]) -> str | None:
    for dataset in splits.values():
        for url in dataset.info.download_checksums or {}:
            found = re.search(r"@([0-9a-f]{40})/", url)
            if found:
                return found[1]
    return None
