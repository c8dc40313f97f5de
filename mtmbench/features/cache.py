"""The feature cache on disk: arrays under a content hash, written whole, checked when read."""

from __future__ import annotations

import fcntl
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mtmbench.core.arrays import checked_csr
from mtmbench.core.errors import InputError
from mtmbench.core.files import parse_json
from mtmbench.core.serialise import canonical_json, content_hash, write_atomically
from mtmbench.core.types import AnyArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Arrays = dict[str, AnyArray]


def cache_dir() -> Path:
    """Returns the folder of the cache: MTMBENCH_CACHE, else ``~/.cache/mtmbench``."""
    named = os.environ.get("MTMBENCH_CACHE")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "mtmbench"


def cached(kind: str, key: str, make: Callable[[], Arrays]) -> Arrays:
    """Returns the arrays stored under ``key``; makes and stores them if there are none.

    See :func:`cached_group`, of which this is the case of one key.
    """
    return cached_group(kind, key, key, lambda: {key: make()})


def cached_group(
    kind: str, group: str, key: str, make: Callable[[], Mapping[str, Arrays]]
) -> Arrays:
    """Returns the arrays stored under ``key``; if there are none, makes the whole group's.

    Only one process at a time makes what belongs to a group; the others wait and read it. A
    damaged file is reported by a warning and made anew; so is a folder that cannot be written to,
    where nothing is kept and each process makes what it needs.

    Args:
        kind: folder inside the cache, such as "extractions".
        group: name shared by all keys that ``make`` makes together.
        key: content hash of everything that the wanted arrays depend on.
        make: makes the arrays of the group by key, that of ``key`` among them.
    """
    folder = cache_dir() / kind
    found = read_arrays(folder / f"{key}.safetensors")
    if found is not None:
        return found
    with one_at_a_time(folder / f"{group}.lock"):
        found = read_arrays(folder / f"{key}.safetensors")
        if found is None:
            made = make()
            with kept_if_writable():
                for other, arrays in made.items():
                    write_arrays(folder / f"{other}.safetensors", arrays)
            found = made[key]
    return found


def read_arrays(path: Path) -> Arrays | None:
    """Reads what :func:`write_arrays` wrote; None if there is no file or it is damaged."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(str(path), framework="numpy") as file:
            head: Any = parse_json((file.metadata() or {})["mtmbench"], "its metadata")
            checksum = head["checksum"]
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, MemoryError) as error:
        warnings.warn(f"cache file {path} is damaged ({error}); made anew", stacklevel=2)
        return None
    if checksum != _checksum(arrays):
        warnings.warn(f"cache file {path} fails its checksum; made anew", stacklevel=2)
        return None
    return arrays


def write_arrays(path: Path, arrays: Mapping[str, AnyArray]) -> None:
    """Writes arrays with their checksum, whole or not at all.

    Raises:
        NotWritableError: the folder cannot be written to.
    """
    from safetensors.numpy import save

    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    metadata = {"mtmbench": canonical_json({"checksum": _checksum(contiguous)})}
    try:
        write_atomically(path, save(contiguous, metadata=metadata))
    except OSError as error:
        raise not_writable(path.parent, error.strerror) from error


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Holds a lock file, or tells that another process does where it is not to ``wait``.

    The lock goes with the process that holds it, so nothing is left to clean up after a kill.

    Raises:
        NotWritableError: the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("wb")
    except OSError as error:
        raise not_writable(path.parent, error.strerror) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


@contextmanager
def kept_if_writable() -> Iterator[None]:
    """Warns where a cache folder cannot be written to, and goes on without what was to be kept."""
    try:
        yield
    except NotWritableError as error:
        warnings.warn(f"{error}; until then what is made is not kept", stacklevel=3)


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Holds a lock file; where the folder cannot be written to, warns and holds none."""
    with ExitStack() as held:
        with kept_if_writable():
            held.enter_context(locked(path))
        yield


def pack_matrix(name: str, matrix: csr_matrix) -> Arrays:
    """Returns the three arrays of a csr matrix under names that begin with ``name``."""
    return {
        f"{name}.data": matrix.data,
        f"{name}.indices": matrix.indices.astype(np.int32),
        f"{name}.indptr": matrix.indptr.astype(np.int64),
    }


def unpack_matrix(arrays: Mapping[str, AnyArray], name: str, shape: tuple[int, int]) -> csr_matrix:
    """Returns the matrix that :func:`pack_matrix` took apart.

    Raises:
        InputError: the parts are those of no matrix of this shape.
    """
    parts = (arrays[f"{name}.data"], arrays[f"{name}.indices"], arrays[f"{name}.indptr"])
    return checked_csr(*parts, shape, f"the cached {name}")


class NotWritableError(InputError):
    """A cache folder cannot be written to."""


def not_writable(folder: Path, reason: str | None) -> NotWritableError:
    """Returns the error of a cache folder that cannot be written to."""
    return NotWritableError(
        f"the cache folder {folder} cannot be written to ({reason}); set MTMBENCH_CACHE to a "
        "folder that can"
    )


def _checksum(arrays: Mapping[str, AnyArray]) -> str:
    return content_hash(*(part for name in sorted(arrays) for part in (name, arrays[name])))
