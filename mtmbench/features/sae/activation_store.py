"""The activation store: a corpus's SAE activations, in shards on disk.

A shard holds consecutive documents. What the shards are of (model, SAE, corpus, settings) and which
documents each holds is settled before the first is written; a shard is written whole or not at all,
so that a killed extraction goes on at the first one missing, and its bytes do not depend on who
made it; one that is found damaged is made anew. A threshold is compared with the value as it is
stored, in fp16.

:class:`ActivationStore` keeps every token's activations, one row a token: the document, and the
lists of features above zero (rising) and of their values; counts at any thresholds come from it
without a forward pass. :class:`CountStore` keeps only the counts at thresholds given beforehand,
for corpora whose activations would fill the disk.
"""

from __future__ import annotations

import itertools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import canonical_json, content_hash, write_atomically
from mtmbench.core.types import Float64Array, FloatArray, Int32Array, IntArray
from mtmbench.features.cache import (
    Arrays,
    locked,
    pack_matrix,
    read_arrays,
    unpack_matrix,
    write_arrays,
)
from mtmbench.features.sae.shards import DamagedShardError, Shard, read_shard, write_shard

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

STORE_VERSION = 1
SHARD_TOKENS = 65_536


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
        expected = self._tokens(number)
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
    def sums(self, thresholds: FloatArray) -> csr_matrix:
        """Sums a feature's activations over the tokens that :meth:`counts` counts.

        Args:
            thresholds: (F,).

        Returns:
            csr (D, F) f64, with the entries of the counts.

        Raises:
            InputError: a shard is missing or damaged, or only counts are kept.
        """

    @abstractmethod
    def _write(self, number: int, shard: Shard) -> None: ...

    def _count(self, number: int, shard: Shard, thresholds: FloatArray) -> csr_matrix:
        """(D_shard, F) int32 counts above thresholds."""
        ones = np.ones(len(shard.features), np.int32)
        return self._total(number, shard, thresholds, ones)

    def _sum(self, number: int, shard: Shard, thresholds: FloatArray) -> csr_matrix:
        """(D_shard, F) f64 sums of the activations above thresholds."""
        return self._total(number, shard, thresholds, shard.values.astype(np.float64))

    def _total(
        self, number: int, shard: Shard, thresholds: FloatArray, data: Float64Array | Int32Array
    ) -> csr_matrix:
        from scipy.sparse import coo_matrix

        first, last = self.shards[number]
        above = np.flatnonzero(shard.values.astype(np.float32) > thresholds[shard.features])
        documents, features = shard.entry_documents[above] - first, shard.features[above]
        data = data[above]
        matrix = coo_matrix((data, (documents, features)), shape=(last - first, self.n_features))
        summed: csr_matrix = matrix.tocsr()
        return summed

    def _mean(self, number: int, shard: Shard) -> csr_matrix:
        first, last = self.shards[number]
        # Activations are above zero.
        sums = self._sum(number, shard, np.zeros(self.n_features, np.float32))
        lengths = np.maximum(self.n_tokens[first:last], 1)
        sums.data /= np.repeat(lengths, np.diff(sums.indptr))
        return sums.astype(np.float32)

    def _tokens(self, number: int) -> IntArray:
        """Returns the document of each token that a shard holds."""
        first, last = self.shards[number]
        return np.repeat(np.arange(first, last), self.n_tokens[first:last])

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
        return read_shard(
            self._path(number), self.key, number, self._tokens(number), self.n_features
        )

    def counts(self, thresholds: Sequence[FloatArray]) -> list[csr_matrix]:
        """Counts firings above any thresholds; see :meth:`ShardStore.counts`."""
        found: list[list[csr_matrix]] = [[] for _ in thresholds]
        for number in range(len(self.shards)):
            shard = self.read(number)
            for level, limits in enumerate(thresholds):
                found[level].append(self._count(number, shard, limits))
        return [_stack(parts) for parts in found]

    def sums(self, thresholds: FloatArray) -> csr_matrix:
        """Returns sums above any thresholds; see :meth:`ShardStore.sums`."""
        numbers = range(len(self.shards))
        return _stack([self._sum(number, self.read(number), thresholds) for number in numbers])

    def mean_activation(self) -> csr_matrix:
        """Returns csr (D, F) f32; see :meth:`ShardStore.mean_activation`."""
        numbers = range(len(self.shards))
        return _stack([self._mean(number, self.read(number)) for number in numbers])

    def _write(self, number: int, shard: Shard) -> None:
        write_shard(self._path(number), self.key, number, shard)


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

    def sums(self, thresholds: FloatArray) -> csr_matrix:
        """Refuses; see :meth:`ShardStore.sums`."""
        del thresholds
        raise InputError(
            "keep = 'counts' does not keep sums of activations; keep activations, or set values "
            "to counts"
        )

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
