"""Sentence encoders by name: MiniLM, or any model in sentence-transformers' own format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.files import read_json
from mtmbench.core.serialise import content_hash
from mtmbench.core.specs import DEFAULT_ENCODER
from mtmbench.core.types import FloatArray, Progress
from mtmbench.corpora.offline import is_offline
from mtmbench.features.cache import cache_dir
from mtmbench.features.embedding_rows import EmbeddingRows, embed_once
from mtmbench.features.sae.hugging_face import mapped
from mtmbench.features.sae.minilm import EMBEDDING_GRID, MINILM_MODEL
from mtmbench.features.sae.pretrained import loading, model_folder

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

ENCODERS_VERSION = 1
"""Raised whenever the same text may have another embedding of the same encoder."""

_READ = ("*.json", "*.txt", "*.model", "*.safetensors")
"""What a hub name is downloaded of, and what the revision is a hash of."""
_BATCH_TEXTS = 32


def is_default(encoder: str) -> bool:
    """Whether a name is MiniLM's, which ships and needs no sentence-transformers."""
    return encoder.lower() in ("minilm", DEFAULT_ENCODER.lower(), MINILM_MODEL.lower())


def shown_encoder(encoder: str) -> str:
    """Returns what boards call an encoder: a hub id as it is, of a folder its name."""
    if is_default(encoder):
        return DEFAULT_ENCODER
    return Path(encoder).resolve().name if Path(encoder).is_dir() else encoder


def encoder_identity(encoder: str) -> dict[str, object]:
    """Returns, as JSON values, all that the embeddings of an encoder other than MiniLM depend on.

    Within :func:`mtmbench.corpora.offline.offline` nothing is fetched for it, and of a hub id that
    is not here nothing but the name is known.

    Raises:
        UnknownNameError: it is neither a folder nor a hub id.
        InputError: it is not to be had, or is no encoder of sentence-transformers.
    """
    told: dict[str, object] = {"encoder": shown_encoder(encoder), "version": ENCODERS_VERSION}
    if is_offline() and not Path(encoder).is_dir():
        return told
    found = sentence_encoder(encoder)
    hub = {} if Path(encoder).is_dir() else {"revision": found.folder.name}
    return {**told, **hub, "hash": found.revision}


def encoder_in_keys(encoder: str) -> dict[str, object]:
    """Returns what keys say of an encoder: its content, and nothing of the one that is the default.

    Raises:
        InputError: see :func:`encoder_identity`.
    """
    return {} if is_default(encoder) else encoder_identity(encoder)


@cache
def sentence_encoder(source: str) -> SentenceEncoder:
    """Returns this process's encoder of a folder or hub id."""
    return SentenceEncoder(source)


class SentenceEncoder:
    """An encoder in sentence-transformers' format, run in f64 on this machine's processor.

    Texts are cut to what the model reads, pooled and projected as its folder says. Embeddings have
    length one and are rounded as MiniLM's are (:func:`mtmbench.features.embeddings.embed_texts`).

    Args:
        source: a folder, or the id ``owner/name`` of a model on the Hugging Face hub. No code of
            its own is run, and weights are read from ``.safetensors`` alone.

    Raises:
        UnknownNameError: it is neither a folder nor a hub id.
    """

    def __init__(self, source: str) -> None:
        if not Path(source).is_dir() and source.count("/") != 1:
            raise UnknownNameError(
                "embedding model (a folder of sentence-transformers, or a hub id owner/name)",
                source, [DEFAULT_ENCODER, "minilm"],
            )  # fmt: skip
        self.source = source

    @cached_property
    def folder(self) -> Path:
        """Where it lies; a hub id is downloaded when first needed.

        Raises:
            InputError: it is not to be had, or holds no encoder of sentence-transformers.
        """
        folder = model_folder(self.source, _READ)
        modules = folder / "modules.json"
        if not modules.is_file():
            raise InputError(
                f"{folder} is no encoder of sentence-transformers: it has no modules.json, which "
                "says how token states become one embedding"
            )
        for module in _modules(modules):
            if not str(module.get("type")).startswith("sentence_transformers."):
                raise InputError(
                    f"{modules} names {module.get('type')!r:.80}; modules of sentence_transformers "
                    "alone are loaded"
                )
        return folder

    @property
    def revision(self) -> str:
        """Content hash of weights, tokenizer and configuration; nothing is loaded for it."""
        files = sorted(
            path
            for pattern in _READ
            for path in self.folder.rglob(pattern)
            if not any(part.startswith(".") for part in path.relative_to(self.folder).parts)
        )
        if not any(path.suffix == ".safetensors" for path in files):
            raise InputError(f"{self.folder} holds no weights (.safetensors)")
        stats = ((path, path.stat()) for path in files)
        return _hash_of(
            self.folder, tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in stats)
        )

    def embed(
        self, texts: Sequence[str], *, keep: bool = True, progress: Progress | None = None
    ) -> FloatArray:
        """Returns the (N, E) f32 embeddings of texts.

        Args:
            texts: distinct texts.
            keep: whether to look in the cache first, and to leave there what was not.
            progress: told how many texts are done.
        """
        keys = [content_hash(text) for text in texts]
        name = f"encoder-{ENCODERS_VERSION}-{self.revision}.sqlite"
        rows = EmbeddingRows(cache_dir() / "embeddings" / name, self.size)
        return embed_once(keys, texts, self._make, rows if keep else None, progress)

    @property
    def size(self) -> int:
        """E, entries of an embedding."""
        return self._model_and_size[1]

    def _make(self, keys: Sequence[str], texts: Sequence[str]) -> Iterator[dict[str, FloatArray]]:
        """Yields embeddings by key, batch by batch of texts of like lengths."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for first in range(0, len(order), _BATCH_TEXTS):
            some = order[first : first + _BATCH_TEXTS]
            made = self._encode([texts[i] for i in some])
            yield {keys[i]: row for i, row in zip(some, made, strict=True)}

    def _encode(self, texts: list[str]) -> FloatArray:
        model, _ = self._model_and_size
        with loading(f"the embeddings of {self.source}"):
            rows = model.encode(
                texts, batch_size=len(texts), show_progress_bar=False, convert_to_numpy=True
            )
        vectors = np.asarray(rows, np.float64)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = vectors / np.where(lengths > 0, lengths, 1.0)
        return (np.round(unit / EMBEDDING_GRID) * EMBEDDING_GRID + 0).astype(np.float32)

    @cached_property
    def _model_and_size(self) -> tuple[SentenceTransformer, int]:
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        with loading(f"encoder {self.source}"):
            from sentence_transformers import SentenceTransformer

            model = SentenceTransformer(
                str(self.folder), device="cpu", local_files_only=True, trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            ).double().eval()  # fmt: skip
            return model, len(model.encode("", show_progress_bar=False))


def _modules(path: Path) -> list[Mapping[str, object]]:
    found = read_json(path)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InputError(f"{path} is no list of modules")
    return found


@lru_cache(maxsize=64)
def _hash_of(folder: Path, files: tuple[tuple[Path, int, int], ...]) -> str:
    """Returns the hash of files, given with size and time of change, read once a process."""
    return content_hash(
        *(
            part
            for path, size, _ in files
            for part in (path.relative_to(folder).as_posix(), mapped(path, size))
        )
    )
