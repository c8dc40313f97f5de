"""Hook points: names of SAE releases (TransformerLens style) mapped to a model's own modules.

``blocks.8.hook_resid_pre`` is what goes into block 8, ``blocks.8.hook_resid_post`` what comes out
of it (``hook_in`` and ``hook_out`` in TransformerLens 3), ``hook_attn_out`` and ``hook_mlp_out``
what attention and MLP add to the residual stream, ``hook_resid_mid`` the stream between them, and
``blocks.8.attn.hook_z`` the heads' outputs side by side, before their projection. The path of any
module is a hook point too, and means its output.

No architecture is known by its name. The blocks are the one list of modules beside the input
embeddings that is as long as the config says, so those of any decoder (and of BERT's kin) are
found; what is where inside a block is told from the names of its parts (``_LAYOUTS``), and where
these tell nothing, a block has its stream alone. That guess is held against what the model computes
by :func:`~mtmbench.features.sae.hook_reading.check_sums`.

BERT-like blocks normalise after adding: their ``hook_resid_post`` and ``hook_attn_out`` are behind
the LayerNorm, as in TransformerLens 3, and there is no ``hook_resid_mid``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mtmbench.core.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import torch

Side = Literal["input", "output"]


@dataclass(frozen=True)
class HookPoint:
    """A place in a model: what goes into a module, or what comes out of it.

    Attributes:
        module: path of the module in the model without its head.
        side: "input" or "output"; the first one where there are several.
    """

    module: str
    side: Side


@dataclass(frozen=True)
class Layout:
    """What the norms of a block do.

    Attributes:
        norms: names of all of the block's norms.
        after_attention: the norm that what attention adds comes out of; None for attention itself.
        after_mlp: likewise for the MLP.
        before_mlp: the module into which the stream between attention and MLP goes; "mlp" for the
            MLP itself, None where there is no such stream.
    """

    norms: tuple[str, ...]
    after_attention: str | None = None
    after_mlp: str | None = None
    before_mlp: str | None = None


def _pre(first: str, second: str) -> Layout:
    return Layout((first, second), before_mlp=second)


_LAYOUTS = {
    frozenset(layout.norms): layout
    for layout in (
        _pre("input_layernorm", "post_attention_layernorm"),  # Llama and most others
        _pre("input_layernorm", "pre_feedforward_layernorm"),
        _pre("attention_layernorm", "feedforward_layernorm"),
        _pre("operator_norm", "ffn_norm"),
        _pre("attn_norm", "mlp_norm"),
        _pre("norm_1", "norm_2"),
        _pre("ln_1", "ln_2"),  # GPT-2
        Layout(("input_layernorm",)),  # attention and MLP in parallel: Phi, Cohere, Falcon
        Layout(("ln_1",)),
        Layout(  # OLMo-2
            ("post_attention_layernorm", "post_feedforward_layernorm"),
            after_attention="post_attention_layernorm",
            after_mlp="post_feedforward_layernorm",
            before_mlp="mlp",
        ),
        Layout(  # Gemma 2 and 3
            (
                "input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                "post_feedforward_layernorm",
            ),
            after_attention="post_attention_layernorm",
            after_mlp="post_feedforward_layernorm",
            before_mlp="pre_feedforward_layernorm",
        ),
        Layout(
            (
                "input_layernorm", "post_attention_layernorm", "pre_mlp_layernorm",
                "post_mlp_layernorm",
            ),
            after_attention="post_attention_layernorm",
            after_mlp="post_mlp_layernorm",
            before_mlp="pre_mlp_layernorm",
        ),
        Layout(  # GLM-4
            (
                "input_layernorm", "post_self_attn_layernorm", "post_attention_layernorm",
                "post_mlp_layernorm",
            ),
            after_attention="post_self_attn_layernorm",
            after_mlp="post_mlp_layernorm",
            before_mlp="post_attention_layernorm",
        ),
    )
}  # fmt: skip
_ATTENTION = ("self_attn", "attn", "attention", "self_attention", "linear_attn")
_MLP = ("mlp", "feed_forward", "ffn", "block_sparse_moe", "moe")
_PROJECTIONS = ("o_proj", "c_proj", "out_proj", "dense")
_BERT = {
    "hook_attn_out": ("attention", "attention.output.LayerNorm"),
    "hook_mlp_out": ("output.dense", "output.LayerNorm"),
}
"""Place, and the norm that must be there for the block to be of BERT's kind."""
_WRAPPERS = ("model", "base_model", "transformer", "language_model", "text_model", "decoder")
"""What the path of a text model's module may begin with in a model with more around it."""


def find_hook_point(model: torch.nn.Module, name: str) -> HookPoint:
    """Finds what a hook name means in a model.

    Args:
        model: a ``transformers`` model without its head (``AutoModel``).
        name: a TransformerLens hook name, or the path of a module, with or without the prefix that
            it has in the model with a head (``model.layers.3``, ``transformer.h.3``), or in one
            that reads images too (``language_model.layers.3``).

    Raises:
        InputError: the model has no such place; the message, one line, says what it has.
    """
    modules = dict(model.named_modules())
    known = hook_names(model)
    if long_name(name) in known:
        return known[long_name(name)]
    for path in (name, name.partition(".")[2], _in_text_model(model, name)):
        if path and path in modules:
            return HookPoint(path, "output")
    kind = str(getattr(getattr(model, "config", None), "model_type", type(model).__name__))
    hint = did_you_mean(name, [*known, *filter(None, modules)])
    raise InputError(
        f"a {kind} model has no hook point {name!r}{hint if 'did you mean' in hint else ''}; "
        + _listing(model, known)
    )


def long_name(name: str) -> str:
    """Returns a hook name as all versions of TransformerLens have it."""
    block, _, place = name.rpartition(".")
    return f"{block}.{_LONG[place]}" if place in _LONG else name


_LONG = {"hook_in": "hook_resid_pre", "hook_out": "hook_resid_post"}


def hook_names(model: torch.nn.Module) -> dict[str, HookPoint]:
    """Returns TransformerLens's hook names for a model, none if its blocks cannot be told."""
    blocks = find_blocks(model)
    if blocks is None:
        return {}
    return {
        f"blocks.{i}.{name}": HookPoint(f"{blocks}.{i}" + (f".{inside}" if inside else ""), side)
        for i, block in enumerate(model.get_submodule(blocks).children())
        for name, (inside, side) in _places(block, _text_config(model)).items()
    }


def find_blocks(model: torch.nn.Module) -> str | None:
    """Returns the path of the list of blocks that a text goes through, None if it cannot be told.

    It is the one list that holds modules with parts of their own, lies in no other list, and has
    as many as the config has layers: in the whole model, or in the smallest part of it around the
    input embeddings that has such a list, so that those of a vision tower are not taken for it.
    """
    import torch

    config = _text_config(model)
    if getattr(config, "is_encoder_decoder", False):
        return None
    n_layers = getattr(config, "num_hidden_layers", None)
    lists = {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList)
    }
    candidates = [
        path
        for path, blocks in lists.items()
        if len(blocks) > 0
        and all(any(True for _ in block.children()) for block in blocks)
        and not any(path.startswith(f"{other}.") for other in lists)
    ]
    around = embeddings_path(model)
    found: list[str] = []
    while around and not found:
        around = around.rpartition(".")[0]
        found = [path for path in candidates if not around or path.startswith(f"{around}.")]
    found = [path for path in found or candidates if n_layers in (None, len(lists[path]))]
    return found[0] if len(found) == 1 else None


def embeddings_path(model: torch.nn.Module) -> str:
    """Returns the path of the input embeddings, empty where they cannot be told."""
    try:
        embeddings = model.get_input_embeddings()  # type: ignore[operator]
    except (AttributeError, NotImplementedError):
        return ""
    return next((path for path, module in model.named_modules() if module is embeddings), "")


def is_bert(block: torch.nn.Module) -> bool:
    """Whether a block is of BERT's kind, which normalises after adding."""
    paths = {path for path, _ in block.named_modules()}
    children = {name for name, _ in block.named_children()}
    return children == {"attention", "intermediate", "output"} and all(
        norm in paths and inside in paths for inside, norm in _BERT.values()
    )


def _places(block: torch.nn.Module, config: object) -> dict[str, tuple[str, Side]]:
    """Returns module path within a block, and side, by TransformerLens's hook name."""
    places: dict[str, tuple[str, Side]] = {
        "hook_resid_pre": ("", "input"),
        "hook_resid_post": ("", "output"),
    }
    if is_bert(block):
        places |= {name: (inside, "output") for name, (inside, _) in _BERT.items()}
        return places | {"attn.hook_z": ("attention.output.dense", "input")}
    children = [name for name, _ in block.named_children()]
    attention, mlp = (
        found[0] if len(found := [name for name in children if name in names]) == 1 else None
        for names in (_ATTENTION, _MLP)
    )
    if attention is not None and attention != "linear_attn":
        inside = [path for path, _ in getattr(block, attention).named_modules()]
        projections = [path for path in inside if path.rpartition(".")[2] in _PROJECTIONS]
        if len(projections) == 1:
            places["attn.hook_z"] = (f"{attention}.{projections[0]}", "input")
    norms = {name for name in children if "norm" in name or name.startswith("ln_")}
    # Gemma 4 adds a part for each layer to what attention and MLP add.
    layout = _LAYOUTS.get(frozenset(name for name in norms if "per_layer" not in name))
    if layout is None or attention is None or mlp is None:
        return places
    if children.index(layout.norms[0]) > children.index(attention) and "ln_1" in children:
        return places  # The first GPT normalises after adding, under GPT-2's names.
    places["hook_attn_out"] = (layout.after_attention or attention, "output")
    places["hook_mlp_out"] = (layout.after_mlp or mlp, "output")
    parallel = any(
        getattr(config, name, False) for name in ("use_parallel_residual", "parallel_attn")
    )
    if layout.before_mlp is not None and not parallel:
        places["hook_resid_mid"] = (
            mlp if layout.before_mlp == "mlp" else layout.before_mlp,
            "input",
        )
    return places


def _text_config(model: torch.nn.Module) -> object:
    config: Any = getattr(model, "config", None)
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def _in_text_model(model: torch.nn.Module, name: str) -> str | None:
    """Returns the path that a module's name, given as in the text model alone, has in the model."""
    blocks = find_blocks(model)
    if blocks is None:
        return None
    parts = name.split(".")
    while len(parts) > 1 and parts[0] in _WRAPPERS:
        parts = parts[1:]
    return ".".join([*blocks.split(".")[:-1], *parts])


def _listing(model: torch.nn.Module, known: Mapping[str, HookPoint]) -> str:
    blocks = find_blocks(model)
    if blocks is None:
        path = next((p for p, _ in model.named_modules() if p.endswith(".0")), "layers.0")
        return (
            "its blocks cannot be told from its modules; give the path of a module, such as "
            f'hook_point = "{path}"'
        )
    n_blocks = len(list(model.get_submodule(blocks).children()))
    places = [name.split(".", 2)[2] for name in known]
    each = [place for place in dict.fromkeys(places) if places.count(place) == n_blocks]
    return (
        f"it has blocks.0 to blocks.{n_blocks - 1}, each with {', '.join(each)}; or give the path "
        f'of a module, such as hook_point = "{blocks}.{n_blocks // 2}"'
    )
