"""Shards of activations and their files: Parquet, a row a token, with a hash of what they hold.

A row has the document, and the lists of features above zero (rising) and of their values in fp16.
The hash is of the arrays; other readers have Parquet's page checksums.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash
from mtmbench.core.types import Int32Array, IntArray

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
        places = tokens[kept].astype(np.int64) * width + features[kept]
        # They come in long rising runs, a chunk each, which a merging sort takes as they are.
        order = kept[np.argsort(places, kind="stable")]
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


def write_shard(path: Path, store: str, number: int, shard: Shard) -> None:
    """Writes a shard, whole or not at all.

    Args:
        path: its file.
        store: the key of the store that it is of.
        number: its number there.
        shard: what it holds.

    Raises:
        InputError: the disk does not take it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    head = {"store": store, "shard": number, "checksum": shard.checksum}
    offsets = pa.array(shard.starts.astype(np.int32))
    table = pa.table(
        {
            "document": pa.array(shard.documents),
            "features": pa.ListArray.from_arrays(offsets, pa.array(shard.features)),
            "values": pa.ListArray.from_arrays(offsets, pa.array(shard.values)),
        }
    ).replace_schema_metadata({"mtmbench": json.dumps(head)})
    # Locks of some shared file systems do not reach over nodes: two may come here at once.
    partial = path.with_suffix(f".{platform.node()}-{os.getpid()}.partial")
    try:
        pq.write_table(
            table, partial, compression="zstd", compression_level=1,
            use_dictionary=["document"], write_statistics=False, write_page_checksum=True,
        )  # fmt: skip
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"cannot keep activations in {path.parent}: {error}") from error


def read_shard(path: Path, store: str, number: int, documents: IntArray, n_features: int) -> Shard:
    """Reads a shard and checks all that its store knows of it.

    Args:
        path: its file.
        store: the key of the store that it must be of.
        number: its number there.
        documents: the document of each of its tokens.
        n_features: F.

    Raises:
        DamagedShardError: it cannot be read, is another one, or is not what was written.
    """
    import pyarrow
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, page_checksum_verification=True).combine_chunks()
        said = json.loads((table.schema.metadata or {}).get(b"mtmbench", b"{}"))
        features, values = (table.column(name).combine_chunks() for name in ("features", "values"))
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
    if not isinstance(said, dict) or (said.get("store"), said.get("shard")) != (store, number):
        raise DamagedShardError(f"{path} is not shard {number} of this store; remove it")
    # Shards of earlier releases have no checksum; all that the store knows of them is checked.
    whole = (
        np.array_equal(shard.documents, documents)
        and np.array_equal(shard.starts, values.offsets.to_numpy())
        and len(shard.starts) == len(documents) + 1
        and len(shard.features) == len(shard.values)
        and shard.features.min(initial=0) >= 0
        and shard.features.max(initial=0) < n_features
        and bool((shard.values > 0).all())
    )
    if not whole or said.get("checksum", shard.checksum) != shard.checksum:
        raise DamagedShardError(
            f"cannot read the activations in {path}: they are not what was written"
        )
    return shard
