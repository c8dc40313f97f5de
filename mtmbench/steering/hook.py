"""The intervention: at a hook point, what an activation has along a direction is set to λ.

``a ← a − ⟨a, s⟩ s + λ s`` (eqs. 16–19), or ``a ← a + λ s`` in mode "add". Several directions at one
time are set together: the least change that gives each its λ, whatever their angles. Rows of a
batch may be steered each in its own way, or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.types import Float64Array
from mtmbench.features.sae.hooks import HookPoint, find_hook_point
from mtmbench.steering.vector import SteeringVector

if TYPE_CHECKING:
    import torch
    from torch.utils.hooks import RemovableHandle

    from mtmbench.features.sae.hook_reading import Passing

Mode = Literal["project", "add"]
Positions = Literal["generated", "last", "all"]
MODES: tuple[Mode, ...] = ("project", "add")
POSITIONS: tuple[Positions, ...] = ("generated", "last", "all")
_DEPENDENT = 1e-5


@dataclass(frozen=True)
class Push:
    """One direction and how far.

    Attributes:
        vector: the direction; λ counts in its ``scale``.
        strength: λ, absolute (:mod:`mtmbench.steering.units` turns other units into it).
    """

    vector: SteeringVector
    strength: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.strength):
            raise InputError(f"lambda must be finite, not {self.strength!r}")


Pushes = Sequence[Push]
"""What is done to one row of a batch; empty for nothing."""


@dataclass(eq=False)
class Steered:
    """What the hook did so far.

    Attributes:
        changes: of each forward pass with steered columns ‖a′ − a‖, (B, steered columns) f32.
    """

    changes: list[torch.Tensor] = field(default_factory=list)

    def mean_change(self) -> float:
        """Returns the mean of ‖a′ − a‖ over rows and steered columns; 0 where there are none."""
        import torch

        if not self.changes:
            return 0.0
        return float(torch.cat([part.flatten() for part in self.changes]).mean())


@contextmanager
def steering(
    model: torch.nn.Module,
    hook_point: str,
    rows: Sequence[Pushes],
    *,
    mode: Mode = "project",
    positions: Positions = "all",
    prompt_columns: int = 0,
) -> Iterator[Steered]:
    """Steers a model while the block lasts; its hooks are gone afterwards, also on an error.

    Columns of a batch are counted over what its cache holds, so that it makes no difference
    whether there is one. Contexts may be nested: at one hook point the inner one acts on what the
    outer one made.

    Args:
        model: a ``transformers`` model, with or without its head.
        hook_point: see :mod:`mtmbench.features.sae.hooks`.
        rows: for each row of the batches what is done to it; a single one is for all rows.
        mode: "project" sets the component along each direction to λ, "add" adds λ to it.
        positions: "generated" steers the columns behind the prompt; "last" the prompt's last one
            too, which the first new token is read from; "all" every column.
        prompt_columns: columns of the prompt, padding included; all rows' prompts end there.

    Raises:
        InputError: there is no such hook point, a vector is of another one or of another width,
            directions of a row are linearly dependent, or a batch has another number of rows.
        UnknownNameError: there is no such mode, or no such choice of positions.
    """
    for what, name, valid in (("mode", mode, MODES), ("positions", positions, POSITIONS)):
        if name not in valid:
            raise UnknownNameError(what, str(name), valid)
    base = getattr(model, "base_model", model)
    point = find_hook_point(base, hook_point)
    hook = _Hook(
        plan=_Plan.of(rows, hook_point, mode),
        first=max(
            0, {"generated": prompt_columns, "last": prompt_columns - 1, "all": 0}[positions]
        ),
    )
    handles = []
    try:
        handles.append(base.register_forward_pre_hook(hook.begin, with_kwargs=True))
        handles.append(_attach(base.get_submodule(point.module), point, hook))
        yield hook.steered
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True, eq=False)
class _Plan:
    """What is done to each row, as arrays; M directions at most.

    ``onto`` is the dual basis: a change of the M components by c changes the activation by
    ``c @ onto``. Rows with fewer directions are filled up with zeros, which change nothing.

    Attributes:
        directions: (R, M, H) f64, unit.
        onto: (R, M, H) f64.
        strengths: (R, M) f64.
        mode: "project" or "add".
    """

    directions: Float64Array
    onto: Float64Array
    strengths: Float64Array
    mode: Mode

    @classmethod
    def of(cls, rows: Sequence[Pushes], hook_point: str, mode: Mode) -> _Plan | None:
        """Returns the plan; None where no row is steered."""
        pushes = [push for row in rows for push in row]
        if not rows:
            raise InputError("there are no rows to steer; an empty row is one that is left alone")
        if not pushes:
            return None
        width = len(pushes[0].vector.direction)
        for push in pushes:
            place = push.vector.origin.hook_point
            if place != hook_point:
                raise InputError(f"a vector of hook point {place!r} cannot steer {hook_point!r}")
            if len(push.vector.direction) != width:
                raise InputError(
                    f"vectors of widths {width} and {len(push.vector.direction)} in one batch"
                )
        shape = (len(rows), max(map(len, rows)), width)
        directions, onto = np.zeros(shape), np.zeros(shape)
        strengths = np.zeros(shape[:2])
        for i, row in enumerate(rows):
            for j, push in enumerate(row):
                exact = push.vector.direction.astype(np.float64)
                directions[i, j] = exact / np.linalg.norm(exact)
                strengths[i, j] = push.strength * push.vector.scale
            here = directions[i, : len(row)]
            onto[i, : len(row)] = here if mode == "add" else _dual(here)
        return cls(directions, onto, strengths, mode)

    def tensors(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns directions (R, H, M), ``onto`` and strengths (R, 1, M), f32, on a device."""
        import torch

        arrays = (self.directions.swapaxes(1, 2), self.onto, self.strengths[:, None])
        return tuple(  # type: ignore[return-value]
            torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(like.device)
            for array in arrays
        )


@dataclass(eq=False)
class _Hook:
    """Follows the columns of a pass and changes those from ``first`` on."""

    plan: _Plan | None
    first: int
    steered: Steered = field(default_factory=Steered)
    past: int = 0
    on_device: dict[torch.device, tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = field(
        default_factory=dict
    )

    def begin(
        self, _module: torch.nn.Module, _inputs: tuple[object, ...], named: Mapping[str, Any]
    ) -> None:
        """Notes, before a pass, how many columns its cache holds."""
        cache = named.get("cache", named.get("past_key_values"))
        self.past = 0 if cache is None else int(cache.get_seq_length())

    def change(self, states: torch.Tensor) -> torch.Tensor:
        """Returns the activations (B, T, H) with the steered columns changed."""
        import torch

        start = max(0, self.first - self.past)
        if self.plan is None or start >= states.shape[1]:
            return states
        n_rows, _, width = self.plan.directions.shape
        if states.shape[2] != width:
            raise InputError(
                f"a direction of width {width} cannot steer activations of width {states.shape[2]}"
            )
        if n_rows not in (1, states.shape[0]):
            raise InputError(f"steering for {n_rows} rows met a batch of {states.shape[0]}")
        if states.device not in self.on_device:
            self.on_device[states.device] = self.plan.tensors(states)
        directions, onto, strengths = self.on_device[states.device]
        part = states[:, start:].to(torch.float32)
        if self.plan.mode == "project":
            strengths = strengths - part @ directions
        moved = strengths @ onto
        self.steered.changes.append(moved.norm(dim=2).expand(part.shape[:2]).detach())
        changed = (part + moved).to(states.dtype)
        return changed if start == 0 else torch.cat([states[:, :start], changed], dim=1)


def _attach(module: torch.nn.Module, point: HookPoint, hook: _Hook) -> RemovableHandle:
    def before(
        _module: torch.nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if inputs:
            return (hook.change(inputs[0]), *inputs[1:]), named
        return inputs, {**named, "hidden_states": hook.change(named["hidden_states"])}

    def after(_module: torch.nn.Module, _inputs: tuple[object, ...], output: Passing) -> Passing:
        if isinstance(output, (tuple, list)):
            return type(output)([hook.change(output[0]), *output[1:]])
        return hook.change(output)

    if point.side == "input":
        return module.register_forward_pre_hook(before, with_kwargs=True)
    return module.register_forward_hook(after)


def _dual(directions: Float64Array) -> Float64Array:
    """Returns (M, H) rows whose products with the directions are the unit matrix."""
    if len(directions) == 0:
        return directions
    gram = directions @ directions.T
    if np.linalg.eigvalsh(gram)[0] < _DEPENDENT:
        raise InputError(
            f"the {len(directions)} directions of a row are linearly dependent: no activation has "
            "a λ of its own along each"
        )
    return np.linalg.solve(gram, directions).astype(np.float64)
