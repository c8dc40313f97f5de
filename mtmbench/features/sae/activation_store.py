"""The activation store: a corpus's SAE activations, in shards on disk.

A shard holds consecutive documents. What the shards are of (model, SAE, corpus, settings) and which
documents each holds is settled before the first is written; a shard is written whole or not at all,
so that a killed extraction goes on at the first one missing, and its bytes do not depend on who
made it. It carries a hash of what it holds (and Parquet's page checksums, for other readers); one
that is found damaged is made anew. Values are in fp16, and a threshold is compared with the value
as it is stored.

:class:`ActivationStore` keeps every token's activations, one row a token: the document, and the
lists of features above zero (rising) and of their values; counts at any thresholds come from it
without a forward pass. :class:`CountStore` keeps only the counts at thresholds given beforehand,
for corpora whose activations would fill the disk.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtmbench.core.arrays import checked_csr
from mtmbench.core.errors import InputError
from mtmbench.core.serialise import canonical_json, content_hash, write_atomically
from mtmbench.core.types import AnyArray, Float64Array, FloatArray, Int32Array, IntArray
from mtmbench.features.cache import Arrays, locked, read_arrays, write_arrays

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

STORE_VERSION = 1
SHARD_TOKENS = 65_536
_LARGEST_HALF = 65504.0


class DamagedShardError(InputError):
    """A shard cannot be read, or does not hold what was written."""


@dataclass(frozen=True, eq=False)
class Shard:
    """The activations of N consecutive tokens of whole documents.

    Attributes:
        documents: (N,) int32, the token's document, counted from the corpus's first; rising.
        starts: (N + 1,) int64, where each token's entries begin in ``features`` and ``values``.
        features: (n,) int32, rising within a token.
        values: (n,) float16, above zero.
    """

    documents: Int32Array
    starts: IntArray
    features: Int32Array
    values: NDArray[np.float16]

    @classmethod
    def of(
        cls, documents: Int32Array, tokens: Int32Array, features: Int32Array, values: ArrayLike
    ) -> Shard:
        """Makes a shard of entries in any order.

        Args:
            documents: (N,) document of each token, rising.
            tokens: (n,) token of each entry, an index into ``documents``.
            features: (n,) feature of each entry; none twice in a token.
            values: (n,) activation of each entry, above zero; beyond fp16's range it is clipped,
                and one that fp16 rounds to zero is left out.
        """
        with np.errstate(over="ignore", under="ignore"):
            half = np.minimum(np.asarray(values, np.float32), _LARGEST_HALF).astype(np.float16)
        kept = np.flatnonzero(half > 0)
        width = int(features.max(initial=0)) + 1
        order = kept[np.argsort(tokens[kept].astype(np.int64) * width + features[kept])]
        counts = np.bincount(tokens[order], minlength=len(documents))
        return cls(
            np.ascontiguousarray(documents, np.int32),
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            np.ascontiguousarray(features[order], np.int32),
            half[order],
        )

    @property
    def checksum(self) -> str:
        """Content hash of all four arrays."""
        return content_hash(self.documents, self.starts, self.features, self.values)

    @property
    def entry_documents(self) -> Int32Array:
        """(n,) document of each entry."""
        return np.repeat(self.documents, np.diff(self.starts))


class ShardStore(ABC):
    """Shards of one corpus, one model and one SAE, in a folder of their own.

    Args:
        folder: where the shards lie or will lie.
        identity: all that the activations depend on, as JSON values: model, SAE, corpus, hook
            point, cuts. Another store's folder is refused.
        n_features: F.
        n_tokens: (D,) tokens of each document.
        shard_tokens: documents are put together until a shard has about so many tokens.

    Raises:
        InputError: the folder holds a store of something else, or no store can be made there.

    Attributes:
        remake: makes a shard anew that is found damaged; None where nothing can, so that a damaged
            one is refused.
    """

    _suffix: str
    remake: Callable[[int], None] | None = None

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, object],
        n_features: int,
        n_tokens: IntArray,
        shard_tokens: int = SHARD_TOKENS,
    ) -> None:
        self.folder = folder
        self.n_features = n_features
        self.n_tokens = np.asarray(n_tokens, np.int64)
        self.shards = document_runs(self.n_tokens, shard_tokens)
        """First document of each shard and the one behind its last."""
        manifest = {
            "version": STORE_VERSION,
            "identity": dict(identity),
            "n_features": n_features,
            "n_tokens": content_hash(self.n_tokens),
            "shards": [list(bounds) for bounds in self.shards],
        }
        self.key = content_hash(canonical_json(manifest))
        self._check(manifest)

    def has(self, number: int) -> bool:
        """Tells whether a shard is there."""
        return self._path(number).exists()

    def missing(self) -> list[int]:
        """Returns the numbers of the shards that are not there yet."""
        return [number for number in range(len(self.shards)) if not self.has(number)]

    @contextmanager
    def claimed(self, number: int, *, wait: bool) -> Iterator[bool]:
        """Keeps other processes from making a shard; tells whether they now are kept from it.

        Without ``wait`` they are not if one of them has claimed it already.
        """
        with locked(self.folder / f"shard-{number:05d}.lock", wait=wait) as mine:
            yield mine

    def write(self, number: int, shard: Shard) -> None:
        """Writes a shard, whole or not at all.

        Raises:
            InputError: its documents or features are not those of shard ``number``.
        """
        first, last = self.shards[number]
        expected = np.repeat(np.arange(first, last), self.n_tokens[first:last])
        if not np.array_equal(shard.documents, expected):
            raise InputError(
                f"shard {number} holds the {len(expected)} tokens of documents {first} to "
                f"{last - 1}; {len(shard.documents)} other tokens were given"
            )
        if len(shard.features) and int(shard.features.max()) >= self.n_features:
            raise InputError(
                f"feature {int(shard.features.max())} came; the store has {self.n_features}"
            )
        self._write(number, shard)

    def drop(self, number: int) -> None:
        """Removes a shard that is damaged, so that it is missing."""
        self._path(number).unlink(missing_ok=True)

    def is_whole(self, number: int) -> bool:
        """Tells whether a shard is there and holds what was written."""
        try:
            self._read(number)
        except DamagedShardError:
            return False
        return True

    def _whole(self, number: int) -> Any:
        """Returns what a shard holds; one that is damaged is made anew, and that is said."""
        try:
            return self._read(number)
        except DamagedShardError as error:
            if self.remake is None or not self.has(number):
                raise
            warnings.warn(f"{error}; it is made anew", stacklevel=3)
            self.remake(number)
        return self._read(number)

    @abstractmethod
    def _read(self, number: int) -> Any: ...

    @abstractmethod
    def counts(self, thresholds: Sequence[FloatArray]) -> list[csr_matrix]:
        """Counts, for each document, the tokens on which a feature is above its threshold.

        Args:
            thresholds: (F,) each; a firing counts if its value is strictly greater.

        Returns:
            One csr (D, F) int32 for each vector of thresholds (eq. 5's ``c_di``).

        Raises:
            InputError: a shard is missing or damaged.
        """

    @abstractmethod
    def mean_activation(self) -> csr_matrix:
        """Returns csr (D, F) f32: each feature's activation, averaged over a document's tokens.

        Raises:
            InputError: a shard is missing or damaged.
        """

    @abstractmethod
    def _write(self, number: int, shard: Shard) -> None: ...

    def _count(self, number: int, shard: Shard, thresholds: FloatArray | None) -> csr_matrix:
        """(D_shard, F) int32 counts above thresholds, or f64 sums of activations."""
        from scipy.sparse import coo_matrix

        first, last = self.shards[number]
        documents, features = shard.entry_documents - first, shard.features
        data: Float64Array | Int32Array = shard.values.astype(np.float64)
        if thresholds is not None:
            above = np.flatnonzero(shard.values.astype(np.float32) > thresholds[features])
            documents, features = documents[above], features[above]
            data = np.ones(len(above), np.int32)
        matrix = coo_matrix((data, (documents, features)), shape=(last - first, self.n_features))
        summed: csr_matrix = matrix.tocsr()
        return summed

    def _mean(self, number: int, shard: Shard) -> csr_matrix:
        first, last = self.shards[number]
        sums = self._count(number, shard, None)
        lengths = np.maximum(self.n_tokens[first:last], 1)
        sums.data /= np.repeat(lengths, np.diff(sums.indptr))
        return sums.astype(np.float32)

    def _path(self, number: int) -> Path:
        return self.folder / f"shard-{number:05d}.{self._suffix}"

    def _check(self, manifest: Mapping[str, object]) -> None:
        path = self.folder / "manifest.json"
        text = canonical_json(manifest)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.read_text(encoding="utf-8") != text:
                raise InputError(
                    f"{self.folder} holds the activations of another corpus, model, SAE or "
                    "setting; give another folder"
                )
            if not path.exists():
                write_atomically(path, text)
        except OSError as error:
            raise InputError(f"cannot keep activations in {self.folder}: {error}") from error


class ActivationStore(ShardStore):
    """Keeps every token's activations; see :class:`ShardStore`."""

    _suffix = "parquet"

    def read(self, number: int) -> Shard:
        """Reads a shard; one that is damaged is made anew where that can be done.

        Raises:
            InputError: it is not there, or damaged or of another store.
        """
        shard: Shard = self._whole(number)
        return shard

    def _read(self, number: int) -> Shard:
        import pyarrow
        import pyarrow.parquet as pq

        path = self._path(number)
        try:
            table = pq.read_table(path, page_checksum_verification=True).combine_chunks()
            said = json.loads((table.schema.metadata or {}).get(b"mtmbench", b"{}"))
            features, values = (
                table.column(name).combine_chunks() for name in ("features", "values")
            )
            shard = Shard(
                table.column("document").to_numpy().astype(np.int32),
                features.offsets.to_numpy().astype(np.int64),
                features.values.to_numpy(),
                values.values.to_numpy(),
            )
        except (
            OSError, ValueError, KeyError, AttributeError, RecursionError, pyarrow.ArrowException,
        ) as error:  # fmt: skip
            raise DamagedShardError(f"cannot read the activations in {path}: {error}") from error
        if not isinstance(said, dict) or (said.get("store"), said.get("shard")) != (
            self.key,
            number,
        ):
            raise DamagedShardError(f"{path} is not shard {number} of this store; remove it")
        # Shards of earlier releases have no checksum; all that the store knows of them is checked.
        first, last = self.shards[number]
        expected = np.repeat(np.arange(first, last), self.n_tokens[first:last])
        whole = (
            np.array_equal(shard.documents, expected)
            and np.array_equal(shard.starts, values.offsets.to_numpy())
            and len(shard.starts) == len(expected) + 1
            and len(shard.features) == len(shard.values)
            and shard.features.min(initial=0) >= 0
            and shard.features.max(initial=0) < self.n_features
            and bool((shard.values > 0).all())
        )
        if not whole or said.get("checksum", shard.checksum) != shard.checksum:
            raise DamagedShardError(
                f"cannot read the activations in {path}: they are not what was written"
            )
        return shard

    def counts(self, thresholds: Sequence[FloatArray]) -> list[csr_matrix]:
        """Counts firings above any thresholds; see :meth:`ShardStore.counts`."""
        found: list[list[csr_matrix]] = [[] for _ in thresholds]
        for number in range(len(self.shards)):
            shard = self.read(number)
            for level, limits in enumerate(thresholds):
                found[level].append(self._count(number, shard, limits))
        return [_stack(parts) for parts in found]

    def mean_activation(self) -> csr_matrix:
        """Returns csr (D, F) f32; see :meth:`ShardStore.mean_activation`."""
        numbers = range(len(self.shards))
        return _stack([self._mean(number, self.read(number)) for number in numbers])

    def _write(self, number: int, shard: Shard) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        head = {"store": self.key, "shard": number, "checksum": shard.checksum}
        offsets = pa.array(shard.starts.astype(np.int32))
        table = pa.table(
            {
                "document": pa.array(shard.documents),
                "features": pa.ListArray.from_arrays(offsets, pa.array(shard.features)),
                "values": pa.ListArray.from_arrays(offsets, pa.array(shard.values)),
            }
        ).replace_schema_metadata({"mtmbench": json.dumps(head)})
        # Locks of some shared file systems do not reach over nodes: two may come here at once.
        partial = self._path(number).with_suffix(f".{platform.node()}-{os.getpid()}.partial")
        try:
            pq.write_table(
                table, partial, compression="zstd", compression_level=1,
                use_dictionary=["document"], write_statistics=False, write_page_checksum=True,
            )  # fmt: skip
            partial.replace(self._path(number))
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise InputError(f"cannot keep activations in {self.folder}: {error}") from error


class CountStore(ShardStore):
    """Keeps counts at some thresholds and mean activations only; see :class:`ShardStore`.

    Args:
        thresholds: (L, F), the thresholds at which it counts.
    """

    _suffix = "safetensors"

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, object],
        n_features: int,
        n_tokens: IntArray,
        thresholds: FloatArray,
        shard_tokens: int = SHARD_TOKENS,
    ) -> None:
        self.thresholds = np.asarray(thresholds, np.float32)
        whole = {**identity, "thresholds": content_hash(self.thresholds)}
        super().__init__(folder, whole, n_features, n_tokens, shard_tokens)

    def counts(self, thresholds: Sequence[FloatArray]) -> list[csr_matrix]:
        """Returns the counts at thresholds that it keeps; see :meth:`ShardStore.counts`."""
        found = []
        for limits in thresholds:
            levels = np.flatnonzero((self.thresholds == limits).all(axis=1))
            if not len(levels):
                raise InputError(
                    f"{self.folder} keeps counts at {len(self.thresholds)} vectors of thresholds, "
                    "and not at the one asked for; only a store of activations has them all"
                )
            found.append(self._stacked(f"counts{levels[0]}"))
        return found

    def mean_activation(self) -> csr_matrix:
        """Returns csr (D, F) f32; see :meth:`ShardStore.mean_activation`."""
        return self._stacked("activation")

    def _write(self, number: int, shard: Shard) -> None:
        arrays: Arrays = {}
        parts = {f"counts{i}": self._count(number, shard, t) for i, t in enumerate(self.thresholds)}
        for name, matrix in {**parts, "activation": self._mean(number, shard)}.items():
            arrays.update(pack_matrix(name, matrix))
        arrays["store"] = np.frombuffer(f"{self.key} {number}".encode(), np.uint8)
        write_arrays(self._path(number), arrays)

    def _stacked(self, name: str) -> csr_matrix:
        parts = []
        for number, (first, last) in enumerate(self.shards):
            arrays: Arrays = self._whole(number)
            parts.append(unpack_matrix(arrays, name, (last - first, self.n_features)))
        return _stack(parts)

    def _read(self, number: int) -> Arrays:
        path = self._path(number)
        arrays = read_arrays(path)
        if arrays is None:
            raise DamagedShardError(f"cannot read the counts in {path}; remove it to make it anew")
        if arrays["store"].tobytes() != f"{self.key} {number}".encode():
            raise DamagedShardError(f"{path} is not shard {number} of this store; remove it")
        return arrays


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


def document_runs(n_tokens: IntArray, limit: int) -> list[tuple[int, int]]:
    """Cuts documents into runs of about ``limit`` tokens, at least one document each.

    Returns:
        First document of each run and the one behind its last.
    """
    bounds = [0]
    total = 0
    for row, n in enumerate(np.asarray(n_tokens).tolist()):
        if row > bounds[-1] and total + n > limit:
            bounds.append(row)
            total = 0
        total += n
    bounds.append(len(n_tokens))
    return list(itertools.pairwise(bounds))


def _stack(parts: Sequence[csr_matrix]) -> csr_matrix:
    from scipy.sparse import vstack

    stacked: csr_matrix = vstack(parts, format="csr")
    return stacked
