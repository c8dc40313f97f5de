"""Sizes of language models and SAEs that need not be here, for plans: from names and configs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mtmbench.core.files import read_json_object
from mtmbench.features.sae.hub import SAEEntry

_UNGATED = ("gpt2", "gpt_neo", "gpt_neox", "gptj", "opt", "phi", "bloom", "falcon")
"""Families whose MLP has two matrices; most others have three."""


@dataclass(frozen=True)
class ModelShape:
    """What a decoder's config says of its size.

    Attributes:
        name: as a suite names it.
        layers: number of blocks.
        hidden: H, width of the residual stream.
        intermediate: width of the MLP.
        query: width of all query heads together.
        key: width of all key heads together; values have as much.
        vocabulary: number of token embeddings.
        gated: whether the MLP has a third matrix, the gate.
    """

    name: str
    layers: int
    hidden: int
    intermediate: int
    query: int
    key: int
    vocabulary: int
    gated: bool

    @property
    def block(self) -> int:
        """Weights of one block; norms and biases, under a thousandth of it, are left out."""
        attention = 2 * self.hidden * (self.query + self.key)
        return attention + (3 if self.gated else 2) * self.hidden * self.intermediate

    @property
    def parameters(self) -> int:
        """Weights of all blocks and of the embeddings, which the head shares."""
        return self.layers * self.block + self.vocabulary * self.hidden


SHAPES: Mapping[str, ModelShape] = {
    shape.name: shape
    for shape in (
        ModelShape("google/gemma-2-2b", 26, 2304, 9216, 8 * 256, 4 * 256, 256_000, gated=True),
        ModelShape("google/gemma-2-9b", 42, 3584, 14_336, 16 * 256, 8 * 256, 256_000, gated=True),
        ModelShape("gpt2", 12, 768, 3072, 768, 768, 50_257, gated=False),
    )
}
"""Known by name; any other is read from the config in its folder."""


@dataclass(frozen=True)
class SAEShape:
    """What is known of an SAE's size before it is here.

    Attributes:
        features: F.
        firings: features that fire on a token, in the mean.
        layer: block behind which it reads.
        said_by: whence both numbers are.
    """

    features: int
    firings: float
    layer: int
    said_by: str


def model_shape(backbone: str) -> ModelShape | None:
    """Returns the size of a model by its hub name, or by the config in its folder.

    None where neither says it.
    """
    if backbone in SHAPES:
        return SHAPES[backbone]
    path = Path(backbone) / "config.json"
    if not path.is_file():
        return None
    told = read_json_object(path)
    inner = told.get("text_config")
    return _from_config(backbone, inner if isinstance(inner, dict) else told)


def sae_shape(given: SAEEntry) -> SAEShape | None:
    """Returns the size of an SAE by its folder's config, else by its id as Gemma Scope's are named.

    None where neither says it.
    """
    path = Path(given.get("folder", "")) / "cfg.json"
    if "folder" in given and path.is_file():
        told = read_json_object(path)
        metadata = told.get("metadata")
        hook = given.get("hook_point") or told.get("hook_name")
        if hook is None and isinstance(metadata, dict):
            hook = metadata.get("hook_name")
        block = re.search(r"blocks\.(\d+)\.", str(hook))
        width, k = told.get("d_sae"), told.get("k")
        if isinstance(width, int) and isinstance(k, int) and block:
            return SAEShape(width, k, int(block[1]), f"{path}")
    named = re.fullmatch(r"layer_(\d+)/width_(\d+)k/average_l0_(\d+)", given.get("id", ""))
    if named is None:
        return None
    layer, width, l0 = map(int, named.groups())
    # Gemma Scope's widths are powers of two: "16k" is 2 ** 14.
    return SAEShape(2 ** round((width * 1000 - 1).bit_length()), l0, layer, f"its id {given['id']}")


def _from_config(name: str, told: Mapping[str, object]) -> ModelShape | None:
    hidden, layers = (
        _number(told, "hidden_size", "n_embd"),
        _number(told, "num_hidden_layers", "n_layer"),
    )
    heads = _number(told, "num_attention_heads", "n_head")
    vocabulary = _number(told, "vocab_size")
    if hidden is None or layers is None or heads is None or vocabulary is None:
        return None
    width = _number(told, "head_dim") or hidden // heads
    inner = _number(told, "intermediate_size", "n_inner") or 4 * hidden
    keys = _number(told, "num_key_value_heads") or heads
    gated = told.get("model_type") not in _UNGATED
    return ModelShape(name, layers, hidden, inner, heads * width, keys * width, vocabulary, gated)


def _number(told: Mapping[str, object], *names: str) -> int | None:
    return next((value for name in names if isinstance(value := told.get(name), int)), None)
