"""Hook points: names of SAE releases (TransformerLens style) mapped to a model's own modules.

``blocks.8.hook_resid_pre`` is what goes into block 8, ``blocks.8.hook_resid_post`` what comes out
of it, ``hook_attn_out`` and ``hook_mlp_out`` what attention and MLP add to the residual stream,
``hook_resid_mid`` the stream between them, and ``blocks.8.attn.hook_z`` the heads' outputs side by
side, before their projection. The path of any module is a hook point too, and means its output.

BERT-like blocks normalise after adding: their ``hook_resid_post`` and ``hook_attn_out`` are behind
the LayerNorm, as in TransformerLens 3, and there is no ``hook_resid_mid``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mtmbench.core.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import torch

    Passing = torch.Tensor | tuple[torch.Tensor, ...] | list[torch.Tensor]
    """What goes into or comes out of a module: the states, or several things that they lead."""

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
class Family:
    """Where the blocks of an architecture are and what is where inside one.

    Attributes:
        blocks: path of the list of blocks.
        places: module path within the block, and side, by TransformerLens's hook name.
    """

    blocks: str
    places: Mapping[str, tuple[str, Side]]


def _places(attention: str, mlp: str, z: str, middle: str | None) -> dict[str, tuple[str, Side]]:
    places: dict[str, tuple[str, Side]] = {
        "hook_resid_pre": ("", "input"),
        "hook_attn_out": (attention, "output"),
        "hook_mlp_out": (mlp, "output"),
        "hook_resid_post": ("", "output"),
        "attn.hook_z": (z, "input"),
    }
    if middle is not None:
        places["hook_resid_mid"] = (middle, "input")
    return places


_GPT2 = Family("h", _places("attn", "mlp", "attn.c_proj", "ln_2"))
_LLAMA = Family(
    "layers", _places("self_attn", "mlp", "self_attn.o_proj", "post_attention_layernorm")
)
_GEMMA2 = Family(
    "layers",
    _places(
        "post_attention_layernorm",
        "post_feedforward_layernorm",
        "self_attn.o_proj",
        "pre_feedforward_layernorm",
    ),
)
_NEOX = Family("layers", _places("attention", "mlp", "attention.dense", None))
_NEOX_SEQUENTIAL = Family(
    "layers", _places("attention", "mlp", "attention.dense", "post_attention_layernorm")
)
_BERT = Family(
    "encoder.layer",
    _places("attention", "output.dense", "attention.output.dense", None),
)

FAMILIES: Mapping[str, Family] = {
    "gpt2": _GPT2,
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "gemma": _LLAMA,
    "gemma2": _GEMMA2,
    "gemma3_text": _GEMMA2,
    "gpt_neox": _NEOX,
    "bert": _BERT,
    "roberta": _BERT,
}
"""By ``config.model_type``; other models are read by the paths of their modules."""


def find_hook_point(model: torch.nn.Module, name: str) -> HookPoint:
    """Finds what a hook name means in a model.

    Args:
        model: a ``transformers`` model without its head (``AutoModel``).
        name: a TransformerLens hook name, or the path of a module, with or without the prefix that
            it has in the model with a head (``model.layers.3``, ``transformer.h.3``).

    Raises:
        InputError: the model has no such place; the message lists what it has.
    """
    modules = dict(model.named_modules())
    known = hook_names(model)
    if name in known:
        return known[name]
    for path in (name, name.partition(".")[2]):
        if path and path in modules:
            return HookPoint(path, "output")
    kind = str(getattr(getattr(model, "config", None), "model_type", type(model).__name__))
    hint = did_you_mean(name, [*known, *modules])
    raise InputError(
        f"a {kind} model has no hook point {name!r}{hint}; it has {_listing(known, modules)}"
    )


def hook_names(model: torch.nn.Module) -> dict[str, HookPoint]:
    """Returns TransformerLens's hook names for a model, none if its family is not known."""
    family = _family(model)
    if family is None:
        return {}
    n_blocks = len(list(model.get_submodule(family.blocks).children()))
    return {
        f"blocks.{i}.{name}": HookPoint(
            f"{family.blocks}.{i}" + (f".{inside}" if inside else ""), side
        )
        for i in range(n_blocks)
        for name, (inside, side) in family.places.items()
    }


@contextmanager
def reading(
    model: torch.nn.Module, points: Mapping[str, HookPoint]
) -> Iterator[dict[str, torch.Tensor]]:
    """Collects what passes the hook points while the model runs, and ends its run at the last.

    Use it around one forward pass; modules behind the last hook point are not computed::

        with reading(model, points) as seen:
            model(input_ids=ids)

    Yields:
        A dictionary that holds one tensor for each name once the pass is over.
    """
    seen: dict[str, torch.Tensor] = {}

    def note(name: str, value: Passing) -> None:
        seen[name] = value[0] if isinstance(value, (tuple, list)) else value
        if len(seen) == len(points):
            raise _SeenAllError

    def after(name: str) -> Callable[[torch.nn.Module, tuple[Passing, ...], Passing], None]:
        return lambda _module, _inputs, output: note(name, output)

    def before(
        name: str,
    ) -> Callable[[torch.nn.Module, tuple[Passing, ...], dict[str, Passing]], None]:
        return lambda _module, inputs, named: note(name, _first_input(inputs, named))

    handles = []
    for name, point in points.items():
        module = model.get_submodule(point.module)
        handles.append(
            module.register_forward_pre_hook(before(name), with_kwargs=True)
            if point.side == "input"
            else module.register_forward_hook(after(name))
        )
    try:
        yield seen
    except _SeenAllError:
        pass
    finally:
        for handle in handles:
            handle.remove()


class _SeenAllError(Exception):
    """Ends a forward pass once every hook point has been read."""


def _first_input(inputs: Sequence[Passing], named: Mapping[str, Passing]) -> Passing:
    return inputs[0] if inputs else named["hidden_states"]


def _family(model: torch.nn.Module) -> Family | None:
    config = getattr(model, "config", None)
    family = FAMILIES.get(str(getattr(config, "model_type", "")))
    if family is _NEOX and config is not None and not config.use_parallel_residual:
        return _NEOX_SEQUENTIAL
    return family


def _listing(known: Mapping[str, HookPoint], modules: Mapping[str, object]) -> str:
    if known:
        numbers = sorted({int(name.split(".")[1]) for name in known})
        places = dict.fromkeys(name.split(".", 2)[2] for name in known)
        return f"blocks.{numbers[0]} to blocks.{numbers[-1]}, each with {', '.join(places)}"
    return ", ".join(name for name in modules if name.count(".") <= 1 and name)
