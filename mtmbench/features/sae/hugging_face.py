"""Backbones of Hugging Face: a saved encoder or decoder is run, and read at hook points."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.serialise import content_hash
from mtmbench.core.steering_payloads import BackboneFacts
from mtmbench.core.types import IntArray
from mtmbench.features.sae.backbone import BATCH_TOKENS, ActivationBatch, Backbone
from mtmbench.features.sae.hook_reading import at_least_f32, check_sums, reading
from mtmbench.features.sae.hooks import HookPoint, find_hook_point
from mtmbench.features.sae.pretrained import (
    DTYPES,
    ModelConfig,
    load_model,
    load_tokenizer,
    model_folder,
)
from mtmbench.features.sae.token_batches import TokenIds, length_batches

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_CHECKED_TOKENS = 8


class HuggingFaceBackbone(Backbone):
    """A Hugging Face encoder or decoder; hook points are those of ``mtmbench.features.sae.hooks``.

    What lies behind the last hook point is not computed. An encoder's chunks stand between the
    specials of its tokenizer, a decoder's behind its BOS token or nothing.

    Args:
        source: a local folder in Hugging Face's format, or a hub name.
        name: the public name for records; ``source`` itself if not given.
        max_chunk_tokens: longest chunk; the model's positions less the specials if not given, 2,048
            for a model that could read any number.
        prepend_bos: whether a decoder's chunk begins with BOS (or EOS where there is no BOS), as
            the SAE was trained; encoders do not look at it.
        dtype: "float32", "float64", "bfloat16" or "float16", of weights and forward pass. By
            "float64" activations agree to 1e-12 between processors, so that hardly a decision about
            them differs; it takes twice the time of "float32".
        device: a torch device, such as "cpu" or "cuda"; the weights are read straight onto it.
    """

    def __init__(
        self,
        source: str | Path,
        *,
        name: str | None = None,
        max_chunk_tokens: int | None = None,
        prepend_bos: bool = True,
        dtype: str = "float32",
        device: str = "cpu",
    ) -> None:
        if dtype not in DTYPES:
            raise UnknownNameError("dtype", dtype, DTYPES)
        self.source = source
        self.name = name or str(source)
        self.dtype, self.device = dtype, device
        self._limit = max_chunk_tokens
        self._checked: set[str] = set()
        self._prepend_bos = prepend_bos

    @property
    def hidden_size(self) -> int:
        """H, width of the residual stream."""
        return self._config.hidden_size

    @property
    def max_chunk_tokens(self) -> int:
        """Longest chunk it can read, specials not counted."""
        if self._limit is not None:
            return self._limit
        return self._config.positions - self.n_specials

    @property
    def n_specials(self) -> int:
        """Tokens put around each chunk."""
        return sum(map(len, self._specials))

    @property
    def family(self) -> str:
        """The ``model_type`` of the model's config."""
        return self._config.family

    @cached_property
    def folder(self) -> Path:
        """Where the model lies; a hub name is downloaded when first needed."""
        return model_folder(self.source)

    @cached_property
    def revision(self) -> str:
        """Content hash of the weight and tokeniser files; nothing is loaded for it."""
        files = sorted(
            path
            for path in self.folder.iterdir()
            if path.name in {"config.json", "tokenizer.json", "vocab.txt"}
            or path.suffix == ".safetensors"
        )
        stats = [path.stat() for path in files]
        return _revision(
            tuple(
                (path, stat.st_size, stat.st_mtime_ns)
                for path, stat in zip(files, stats, strict=True)
            )
        )

    def tokenise(self, texts: Sequence[str]) -> list[TokenIds]:
        """Returns the token ids of each text, without specials and without a limit."""
        if not texts:
            return []
        encoded = self.tokenizer(
            list(texts), add_special_tokens=False, return_attention_mask=False,
            return_token_type_ids=False, verbose=False,
        )  # fmt: skip
        return [np.array(ids, np.int32) for ids in encoded["input_ids"]]

    def decode(self, ids: TokenIds) -> str:
        """Returns the text of tokens."""
        return str(self.tokenizer.decode(ids.tolist()))

    def spans(self, texts: Sequence[str]) -> list[IntArray]:
        """Returns where each token of each text stands in it; see :meth:`Backbone.spans`."""
        encoded = self.tokenizer(
            list(texts), add_special_tokens=False, return_attention_mask=False,
            return_token_type_ids=False, return_offsets_mapping=True, verbose=False,
        )  # fmt: skip
        return [
            np.array([_trimmed(text, *span) for span in spans], np.int64).reshape(-1, 2)
            for text, spans in zip(texts, encoded["offset_mapping"], strict=True)
        ]

    def describe(self) -> BackboneFacts:
        """Returns name, content hash, precision, specials around each chunk, kind of device."""
        first, last = (tokens.tolist() for tokens in self._specials)
        said: BackboneFacts = {
            **super().describe(), "precision": self.dtype, "specials": [first, last],
        }  # fmt: skip
        kind = self.device.partition(":")[0]
        # A GPU rounds otherwise; which of several it is does not matter.
        return said if kind == "cpu" else {**said, "device": kind}

    def activations(
        self,
        chunks: Sequence[TokenIds],
        hook_points: Sequence[str],
        batch_tokens: int = BATCH_TOKENS,
    ) -> Iterator[ActivationBatch]:
        """Runs chunks through the model; see :meth:`Backbone.activations`."""
        points = {name: find_hook_point(self.model, name) for name in hook_points}
        lengths = [len(chunk) for chunk in chunks]
        for i, length in enumerate(lengths):
            if not 1 <= length <= self.max_chunk_tokens:
                raise InputError(
                    f"chunk {i} has {length} tokens; {self.name} reads 1 to {self.max_chunk_tokens}"
                )
        if chunks:
            self._check_sums(hook_points, min(chunks, key=len))
        before = len(self._specials[0])
        for batch in length_batches(lengths, batch_tokens, self.n_specials):
            states = self._forward([chunks[i] for i in batch], points)
            kept = [lengths[i] for i in batch]
            yield ActivationBatch(
                chunks=tuple(batch),
                lengths=tuple(kept),
                values={
                    hook_point: _unpadded(states[hook_point], kept, before)
                    for hook_point in hook_points
                },
            )

    def padded(self, chunks: Sequence[TokenIds]) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns token ids and attention mask (B, longest + specials), specials put around."""
        import torch

        first, last = self._specials
        longest = max(len(chunk) for chunk in chunks) + len(first) + len(last)
        padding = self.tokenizer.pad_token_id or 0
        ids = torch.full((len(chunks), longest), padding, dtype=torch.long)
        mask = torch.zeros((len(chunks), longest), dtype=torch.long)
        for row, chunk in enumerate(chunks):
            whole = torch.from_numpy(np.concatenate([first, chunk, last]).astype(np.int64))
            ids[row, : len(whole)] = whole
            mask[row, : len(whole)] = 1
        return ids, mask

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The model's tokeniser."""
        return load_tokenizer(self.folder, self.name)

    @cached_property
    def model(self) -> PreTrainedModel:
        """The model without its head, in evaluation mode."""
        return load_model(self.folder, self.name, dtype=self.dtype, device=self.device)

    @cached_property
    def _config(self) -> ModelConfig:
        return ModelConfig(self.folder, self.name)

    def _forward(
        self, chunks: Sequence[TokenIds], points: Mapping[str, HookPoint]
    ) -> dict[str, torch.Tensor]:
        import torch

        ids, mask = (tensor.to(self.device) for tensor in self.padded(chunks))
        with torch.inference_mode(), reading(self.model, points) as seen:
            self.model(input_ids=ids, attention_mask=mask)
        for name in points:
            shape = tuple(getattr(seen.get(name), "shape", ()))
            if len(shape) != 3 or shape[:2] != tuple(ids.shape):
                raise InputError(
                    f"hook point {name!r} of {self.name} has no vector for each token of a text; "
                    + ("nothing passes it" if name not in seen else f"its shape is {shape}")
                    + f" for {ids.shape[0]} texts of {ids.shape[1]} tokens"
                )
        return seen

    def _check_sums(self, hook_points: Sequence[str], chunk: TokenIds) -> None:
        """Checks, once each, that hook points inside a block are what their names say."""
        names = [name for name in hook_points if name not in self._checked]
        ids, mask = (tensor.to(self.device) for tensor in self.padded([chunk[:_CHECKED_TOKENS]]))
        check_sums(self.model, names, lambda: self.model(input_ids=ids, attention_mask=mask))
        self._checked.update(names)

    @cached_property
    def _specials(self) -> tuple[TokenIds, TokenIds]:
        """What stands in front of a chunk, and behind it."""
        tokenizer = self.tokenizer
        if tokenizer.cls_token_id is not None and tokenizer.sep_token_id is not None:
            first, last = [tokenizer.cls_token_id], [tokenizer.sep_token_id]
        elif not self._prepend_bos:
            first, last = [], []
        else:
            bos = tokenizer.bos_token_id
            bos = tokenizer.eos_token_id if bos is None else bos
            if bos is None:
                raise InputError(
                    f"the tokeniser of {self.name} has neither BOS nor EOS to begin a chunk with; "
                    "set prepend_bos to false"
                )
            first, last = [bos], []
        return np.array(first, np.int32), np.array(last, np.int32)


@lru_cache(maxsize=64)
def _revision(files: tuple[tuple[Path, int, int], ...]) -> str:
    """Content hash of files, given with size and time of change, read once a process.

    The weights of a model of 9 B parameters are 18 GB, which must not lie in memory for it.
    """
    return content_hash(
        *(part for path, size, _ in files for part in (path.name, mapped(path, size)))
    )


def mapped(path: Path, size: int) -> bytes | mmap.mmap:
    """Returns the bytes of a file of ``size``, of which few are in memory at a time."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    token = text[start:end]
    bare = token.strip()
    if not bare:
        return start, end
    start += token.index(bare)
    return start, start + len(bare)


def _unpadded(states: torch.Tensor, lengths: Sequence[int], before: int) -> torch.Tensor:
    """(sum of lengths, H) without specials and padding."""
    import torch

    rows = [states[row, before : before + length] for row, length in enumerate(lengths)]
    return at_least_f32(torch.cat(rows))
