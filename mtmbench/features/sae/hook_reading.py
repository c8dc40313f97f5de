"""Reading hook points while a model runs, and checking that they are what their names say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mtmbench.core.errors import InputError
from mtmbench.features.sae.hooks import HookPoint, hook_names, is_bert

if TYPE_CHECKING:
    import torch

    Passing = torch.Tensor | tuple[torch.Tensor, ...] | list[torch.Tensor]
    """What goes into or comes out of a module: the states, or several things that they lead."""

_SUMMANDS: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "hook_attn_out": ("pre", ("attn_out",), "mid"),
    "hook_resid_mid": ("pre", ("attn_out",), "mid"),
    "hook_mlp_out": ("mid", ("mlp_out",), "post"),
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


def check_sums(model: torch.nn.Module, names: Sequence[str], run: Callable[[], object]) -> None:
    """Checks that what attention and MLP are taken to add to the stream is what they add.

    Some blocks scale what their parts put out, or add it inside them, which no name tells.

    Args:
        model: as in :func:`~mtmbench.features.sae.hooks.find_hook_point`.
        names: hook names; only ``hook_attn_out``, ``hook_mlp_out`` and ``hook_resid_mid`` of
            blocks that are not BERT's kind are looked at.
        run: passes some tokens through the model.

    Raises:
        InputError: it is not; the message names the place and the way out.
    """
    import torch

    known = hook_names(model)
    for name in names:
        block, _, place = name.rpartition(".")
        if place not in _SUMMANDS or name not in known or f"{block}.hook_attn_out" not in known:
            continue
        if is_bert(model.get_submodule(known[f"{block}.hook_resid_post"].module)):
            continue
        before, added, after = _SUMMANDS[place]
        if f"{block}.hook_resid_mid" not in known:
            before, added, after = "pre", ("attn_out", "mlp_out"), "post"
        wanted = [
            f"hook_resid_{before}",
            *(f"hook_{part}" for part in added),
            f"hook_resid_{after}",
        ]
        with (
            torch.inference_mode(),
            reading(model, {part: known[f"{block}.{part}"] for part in wanted}) as seen,
        ):
            run()
        if len(seen) < len(wanted):
            continue  # Nothing passes the block, which is told when it is read.
        first, *parts, last = (at_least_f32(seen[part]) for part in wanted)
        rounding = 4 * torch.finfo(seen[wanted[-1]].dtype).eps * last.norm()
        limit = 0.02 * sum(part.norm() for part in parts) + rounding
        if any(part.shape != first.shape for part in (*parts, last)) or (
            (first + sum(parts) - last).norm() > limit
        ):
            raise InputError(
                f"what {' and '.join(added)} of {block} adds to the stream cannot be told in this "
                f"model, so there is no {name!r}; give the output of a module, such as "
                f'hook_point = "{known[name].module}"'
            )


def at_least_f32(values: torch.Tensor) -> torch.Tensor:
    """Returns values in f32, those in f64 as they are."""
    import torch

    return values if values.dtype == torch.float64 else values.to(torch.float32)


class _SeenAllError(Exception):
    """Ends a forward pass once every hook point has been read."""


def _first_input(inputs: Sequence[Passing], named: Mapping[str, Passing]) -> Passing:
    return inputs[0] if inputs else named["hidden_states"]
