"""Readers of θ, β and names that are told by their names: in a mapping, an npz, or a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.files import read_npz
from mtmbench.core.types import AnyArray
from mtmbench.models.import_draft import Draft
from mtmbench.models.import_tables import (
    ARRAY_SUFFIXES,
    NAME_SUFFIXES,
    Table,
    name_of,
    names_of,
    read_names,
    read_table,
)

THETA_NAMES = ("doc_topic", "theta", "document_topic")
BETA_NAMES = ("topic_item", "beta", "topic_word", "phi")
ITEM_NAMES = ("items", "vocab", "vocabulary", "words")
DOC_ID_NAMES = ("doc_ids", "ids")
OUTLIER_NAMES = ("outlier", "outliers")

_Part = TypeVar("_Part")


def read_named_arrays(
    source: Path | Mapping[str, object],
    n_documents: int,
    trust: bool = False,
    *,
    needs_theta: bool = True,
) -> Draft:
    """Reads θ, β, item names and, where there are any, document ids and outliers, by their names.

    ``source`` is a mapping, an npz file, a folder of files with the accepted names, or the θ file
    in such a folder; ``n_documents`` is how many the corpus has.

    Raises:
        InputError: a part is missing, there twice, or cannot be read.
    """
    parts: Mapping[str, object]
    if isinstance(source, Mapping):
        parts, where = source, "the mapping"
    elif source.suffix == ".npz":
        parts, where = read_npz(source, trust), str(source)
    else:
        folder = source if source.is_dir() else source.parent
        if folder != source and source.stem not in (*THETA_NAMES, *BETA_NAMES):
            raise InputError(
                f"{source}: a file of theta is called one of {', '.join(THETA_NAMES)}, with the "
                f"other parts beside it"
            )
        parts, where = _folder_parts(folder), str(folder)
    theta, beta = (
        as_table(_one_of(parts, names, where, required=needed))
        for names, needed in ((THETA_NAMES, needs_theta), (BETA_NAMES, True))
    )
    items = _one_of(parts, ITEM_NAMES, where)
    doc_ids = _one_of(parts, DOC_ID_NAMES, where)
    outlier = _one_of(parts, OUTLIER_NAMES, where)
    return Draft(
        theta.values,
        beta.values,
        beta.columns if items is None else names_of(items, f"the item names of {where}"),
        theta.ids_of(n_documents)
        if doc_ids is None
        else names_of(doc_ids, f"the document ids of {where}"),
        None if outlier is None else as_table(outlier).values,
    )


def read_theta(path: Path, trust: bool = False) -> Table:
    """Reads θ alone, with the ids of its rows where the file has them.

    Args:
        path: npy, csv (ids in its first column), or npz: an array called as θ is, or one alone,
            and perhaps document ids.
        trust: objects may be unpickled.

    Raises:
        InputError: the file cannot be read, or holds several arrays none of which is called θ.
    """
    if path.suffix in ARRAY_SUFFIXES:
        return read_table(path)
    arrays = read_npz(path, trust)
    ids = next((arrays.pop(name) for name in DOC_ID_NAMES if name in arrays), None)
    found = [name for name in THETA_NAMES if name in arrays] or list(arrays)
    if len(found) != 1:
        held = ", ".join(map(repr, sorted(arrays))) or "none"
        raise InputError(
            f"{path} must be an npy, a csv, or an npz with an array 'theta'; its arrays: {held}"
        )
    return Table(arrays[found[0]], rows=None if ids is None else tuple(map(name_of, ids)))


def has_theta(folder: Path) -> bool:
    """Whether a folder has a file that is named as θ is in ``npz`` and ``csv``."""
    return any(
        (folder / f"{name}{suffix}").is_file() for name in THETA_NAMES for suffix in ARRAY_SUFFIXES
    )


def item_names_in(folder: Path) -> tuple[str, ...] | None:
    """Returns the item names that lie in a folder under one of their names; None if none do.

    Raises:
        InputError: there are two of them, or they cannot be read.
    """
    found = _one_of(_folder_parts(folder, (ITEM_NAMES,)), ITEM_NAMES, str(folder))
    return None if found is None else names_of(found, "the item names")


def as_table(value: object) -> Table:
    """Returns an array, a sparse matrix or a frame with the names of its rows and columns."""
    if isinstance(value, Table):
        return value
    if hasattr(value, "columns") and hasattr(value, "index"):  # a frame of pandas or the like
        return Table(np.asarray(value), _axis_names(value.columns), _axis_names(value.index))
    # numpy would wrap a sparse matrix as one object; it is made dense where it is checked.
    if hasattr(value, "toarray"):
        return Table(cast(AnyArray, value))
    try:
        return Table(np.asarray(value))
    except ValueError as error:
        raise InputError(f"not an array of numbers: {error}") from error


def _folder_parts(
    folder: Path,
    wanted: Sequence[Sequence[str]] = (
        THETA_NAMES, BETA_NAMES, ITEM_NAMES, DOC_ID_NAMES, OUTLIER_NAMES,
    ),
) -> dict[str, Table | tuple[str, ...]]:  # fmt: skip
    """Returns the parts found in a folder by their names; a name twice is an error later."""
    parts: dict[str, Table | tuple[str, ...]] = {}
    for names in wanted:
        are_names = names in (ITEM_NAMES, DOC_ID_NAMES)
        for name in names:
            for suffix in NAME_SUFFIXES if are_names else ARRAY_SUFFIXES:
                path = folder / f"{name}{suffix}"
                if path.is_file() and name in parts:
                    raise InputError(f"{folder} has {name!r} in two files; keep one")
                if path.is_file():
                    parts[name] = read_names(path) if are_names else read_table(path)
    return parts


def _one_of(
    parts: Mapping[str, _Part], names: Sequence[str], where: str, required: bool = False
) -> _Part | None:
    found = [name for name in names if name in parts]
    if len(found) > 1:
        raise InputError(f"{where} has {' and '.join(found)}, which mean the same; keep one")
    if not found and required:
        raise InputError(
            f"{where} has none of {', '.join(names)}; it has {sorted(map(str, parts)) or 'nothing'}"
        )
    return parts[found[0]] if found else None


def _axis_names(axis: Iterable[object]) -> tuple[str, ...] | None:
    """Returns the names of a frame's rows or columns; running numbers are none."""
    names = tuple(map(name_of, axis))
    return None if names == tuple(map(str, range(len(names)))) else names
