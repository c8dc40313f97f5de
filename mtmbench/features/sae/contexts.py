"""What a feature's label is made from and scored on: places in a reference text where it fires.

One Parquet file beside an SAE (``contexts.parquet``) holds them, written whole and checked against
its own hash when it is read.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mtmbench.core.errors import InputError
from mtmbench.core.files import parse_json
from mtmbench.core.serialise import canonical_json, content_hash, plain, write_atomically

CONTEXTS_FILE = "contexts.parquet"
"""Name of the file in an SAE's folder."""

_VERSION = 1
_COLUMNS = ("kind", "feature", "text", "start", "end", "value", "features")
_Row = tuple[str, int, str, int, int, float, list[int]]
_PART_ROWS = 16_384
_STRONGEST, _SAMPLED, _RANDOM = "strongest", "sampled", "random"


@dataclass(frozen=True, slots=True)
class Context:
    """A window of text around one token on which a feature fires.

    Attributes:
        text: the window, as the reference text has it.
        start: where the firing token begins in ``text``, in characters.
        end: where it ends; ``text[start:end]`` is the token, white space that belongs to it
            included.
        value: the feature's activation on it, above zero.
    """

    text: str
    start: int
    end: int
    value: float


@dataclass(frozen=True, slots=True)
class RandomContext:
    """A window of text drawn without regard to any feature.

    Attributes:
        text: the window, as the reference text has it.
        features: the features that fire (above zero) on any token of the window, rising.
    """

    text: str
    features: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class FeatureContexts:
    """The contexts of all F features of an SAE.

    Whoever makes them draws every window in the same way (so many tokens around a middle one, cut
    at the document's ends alone), so that its shape does not tell an activating one from a random
    one; and takes the contexts of one feature, strongest and sampled together, from distinct
    documents, at most one a document, so that what a label is scored on is not a neighbour of what
    it was made from. A window that stands twice among a feature's (texts repeat) is taken once, as
    a strongest one if it is among those. Lists become tuples.

    Attributes:
        strongest: for each feature its strongest contexts, strongest first: 12 or more where the
            text has as many; none for a feature that never fires.
        sampled: for each feature a uniform random sample of its other activating contexts, weak
            ones among them, in any order: 10 or more where there are as many.
        random: one pool for all features, from distinct documents: 200 or more, so that every
            feature but the densest finds 20 in which it does not fire.
        source: what they come from, as JSON values: the reference text, windows and seed; under
            "sae_hash" the SAE's revision, if it should be checked.

    Raises:
        InputError: the lists disagree in length, a token lies outside its window, a value is not
            above zero, strongest contexts are not in falling order, or a random context names
            features out of range or out of order.
    """

    strongest: Sequence[Sequence[Context]]
    sampled: Sequence[Sequence[Context]]
    random: Sequence[RandomContext]
    source: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.strongest) != len(self.sampled):
            raise InputError(
                f"strongest contexts of {len(self.strongest)} features, but sampled ones of "
                f"{len(self.sampled)}"
            )
        rows = [
            _feature(feature, *both)
            for feature, both in enumerate(zip(self.strongest, self.sampled, strict=True))
        ]
        object.__setattr__(self, _STRONGEST, tuple(strongest for strongest, _ in rows))
        object.__setattr__(self, _SAMPLED, tuple(sampled for _, sampled in rows))
        object.__setattr__(self, _RANDOM, tuple(self.random))
        object.__setattr__(self, "source", plain(self.source))
        for number, context in enumerate(self.random):
            _check_random(number, context, self.n_features)

    @property
    def n_features(self) -> int:
        """F, the number of features."""
        return len(self.strongest)

    @cached_property
    def revision(self) -> str:
        """Content hash of everything in it: 32 hex digits."""
        return content_hash(
            "contexts", _VERSION, self.n_features, self.source,
            [content_hash(*(part[name] for name in _COLUMNS)) for part in _parts(self)],
        )  # fmt: skip

    def save(self, path: Path) -> None:
        """Writes one Parquet file, whole or not at all; equal contexts give equal bytes.

        Raises:
            InputError: the file cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        head = {
            "version": _VERSION, "revision": self.revision, "n_features": self.n_features,
            "source": self.source,
        }  # fmt: skip
        types = {
            "kind": pa.string(), "feature": pa.int32(), "text": pa.string(), "start": pa.int32(),
            "end": pa.int32(), "value": pa.float64(), "features": pa.list_(pa.int32()),
        }  # fmt: skip
        schema = pa.schema(types, {"mtmbench": canonical_json(head)})
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(sink, schema, compression="zstd", write_statistics=False) as writer:
            for part in _parts(self):
                writer.write_table(pa.table(part, schema))
        try:
            write_atomically(path, sink.getvalue().to_pybytes())
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}") from error


def load_contexts(path: Path) -> FeatureContexts:
    """Reads what :meth:`FeatureContexts.save` wrote; a folder stands for its ``contexts.parquet``.

    Raises:
        InputError: there is no such file, it is no file of contexts, or it is damaged.
    """
    import pyarrow.parquet as pq

    path = path / CONTEXTS_FILE if path.is_dir() else path
    if not path.is_file():
        raise InputError(
            f"there is no {path}; labels are made from a feature's contexts, which "
            "`mtmbench features` collects from a reference text"
        )
    try:
        file = pq.ParquetFile(path)
        head: Any = parse_json((file.schema_arrow.metadata or {})[b"mtmbench"], "its head")
        version, names = head["version"], tuple(file.schema_arrow.names)
    except KeyError as error:
        raise InputError(f"{path} is a Parquet file, but not of contexts") from error
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the contexts in {path}: {error}") from error
    if version != _VERSION:
        raise InputError(f"{path} is of version {version}; this mtmbench reads {_VERSION}")
    if names != _COLUMNS:
        raise InputError(f"{path} has columns {', '.join(names)}, not {', '.join(_COLUMNS)}")
    try:
        rows = (
            row
            for batch in file.iter_batches(_PART_ROWS)
            for row in zip(*batch.to_pydict().values(), strict=True)
        )
        found = _from_rows(rows, int(head["n_features"]), head["source"])
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(f"{path} is damaged: {error}") from error
    if found.revision != head["revision"]:
        raise InputError(f"{path} is damaged: its content is not what its hash says; make it anew")
    return found


def _parts(contexts: FeatureContexts) -> Iterator[dict[str, list[object]]]:
    """All contexts as columns, some rows at a time; those of a kind stand together, by feature."""
    rows: Iterator[_Row] = itertools.chain(
        (
            (kind, feature, c.text, c.start, c.end, c.value, [])
            for kind in (_STRONGEST, _SAMPLED)
            for feature, row in enumerate(getattr(contexts, kind))
            for c in row
        ),
        ((_RANDOM, -1, c.text, 0, 0, 0.0, list(c.features)) for c in contexts.random),
    )
    while part := list(itertools.islice(rows, _PART_ROWS)):
        yield dict(zip(_COLUMNS, map(list, zip(*part, strict=True)), strict=True))


def _from_rows(
    rows: Iterable[_Row], n_features: int, source: Mapping[str, object]
) -> FeatureContexts:
    found: dict[str, list[list[Context]]] = {
        kind: [[] for _ in range(n_features)] for kind in (_STRONGEST, _SAMPLED)
    }
    random: list[RandomContext] = []
    for kind, feature, text, start, end, value, features in rows:
        if kind == _RANDOM:
            random.append(RandomContext(text, tuple(features)))
        else:
            found[kind][feature].append(Context(text, start, end, value))
    return FeatureContexts(found[_STRONGEST], found[_SAMPLED], random, source)


def _feature(
    feature: int, strongest: Sequence[Context], sampled: Sequence[Context]
) -> tuple[tuple[Context, ...], tuple[Context, ...]]:
    for context in (*strongest, *sampled):
        if not 0 <= context.start < context.end <= len(context.text):
            raise InputError(
                f"feature {feature}: a token from {context.start} to {context.end} in a window of "
                f"{len(context.text)} characters"
            )
        # Also refuses NaN.
        if not 0 < context.value < float("inf"):
            raise InputError(f"feature {feature}: a context with activation {context.value}")
    if any(a.value < b.value for a, b in itertools.pairwise(strongest)):
        raise InputError(f"feature {feature}: its strongest contexts are not in falling order")
    seen: set[str] = set()
    return _new(strongest, seen), _new(sampled, seen)


def _new(contexts: Sequence[Context], seen: set[str]) -> tuple[Context, ...]:
    """Returns the contexts whose window was not seen, and notes them as seen."""
    fresh = []
    for context in contexts:
        if context.text not in seen:
            seen.add(context.text)
            fresh.append(context)
    return tuple(fresh)


def _check_random(number: int, context: RandomContext, n_features: int) -> None:
    if not context.text.strip():
        raise InputError(f"random context {number} is empty")
    features = context.features
    if any(a >= b for a, b in itertools.pairwise(features)):
        raise InputError(f"random context {number}: its features are not rising")
    if features and not 0 <= features[0] <= features[-1] < n_features:
        raise InputError(
            f"random context {number} names features from {features[0]} to {features[-1]}; there "
            f"are {n_features}"
        )
