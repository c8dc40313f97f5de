"""Text generated along topics: batched over topics and λ, every text on disk before it counts.

A text is a record of kind "generation" in a run store, under a hash of all that it depends on. Its
random numbers come from that hash, so that neither the batch it was made in nor what else was asked
for changes them, and a text that is in the store is not made again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version as package_version
from itertools import groupby

import numpy as np

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.records import GenerationRecord, Record, of_kind
from mtmbench.core.serialise import content_hash, seed_from
from mtmbench.core.steering_payloads import GenerationPayload, TextFacts
from mtmbench.core.store import RunInfo, RunStore
from mtmbench.core.types import Progress
from mtmbench.features.sae.token_batches import TokenIds
from mtmbench.steering.draw import draw
from mtmbench.steering.hook import MODES, POSITIONS, Mode, Positions, Push, Steered, steering
from mtmbench.steering.language_model import CausalLM

GENERATION_VERSION = 1
"""Raised whenever the same job may give another text."""


@dataclass(frozen=True)
class Sampling:
    """How text is generated.

    Attributes:
        max_tokens: new tokens at most; a text ends before where the model ends it.
        temperature: logits are divided by it; 0 takes the likeliest token.
        top_p: tokens are drawn from the likeliest that together have this probability.
        seed: of every draw.
        mode: see :func:`~mtmbench.steering.hook.steering`.
        positions: which positions are steered; see there.
    """

    max_tokens: int = 40
    temperature: float = 1.0
    top_p: float = 0.95
    seed: int = 0
    mode: Mode = "project"
    positions: Positions = "generated"

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise InputError(f"max_tokens must be at least 1, not {self.max_tokens!r}")
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise InputError(f"temperature must be 0 or above, not {self.temperature!r}")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p must lie above 0 and up to 1, not {self.top_p!r}")
        for what, name, valid in (
            ("mode", self.mode, MODES),
            ("positions", self.positions, POSITIONS),
        ):
            if name not in valid:
                raise UnknownNameError(what, str(name), valid)


@dataclass(frozen=True)
class Job:
    """One text to generate.

    Attributes:
        prompt: what the text goes on from.
        sample: number of the sample of this prompt, from 0.
        pushes: how it is steered; none for not at all.
        lead: what stands in front of the prompt, for the control that names the topic.
    """

    prompt: str
    sample: int = 0
    pushes: tuple[Push, ...] = ()
    lead: str = ""

    def describe(self) -> TextFacts:
        """Returns all of it that the text depends on."""
        return {
            "prompt": self.prompt,
            "sample": self.sample,
            "lead": self.lead,
            "pushes": [
                {"vector": push.vector.revision, "lambda": push.strength} for push in self.pushes
            ],
        }


@dataclass(frozen=True)
class Generation:
    """A text that was generated.

    Attributes:
        key: hash of all that it depends on.
        prompt: what it goes on from; not part of ``text``.
        text: the new text.
        ids: its tokens, the one that ends it left out.
        ended: whether the model ended it.
        mean_change: mean ‖a′ − a‖ over its steered positions; 0 where there are none.
    """

    key: str
    prompt: str
    text: str
    ids: tuple[int, ...]
    ended: bool
    mean_change: float


def generate(
    lm: CausalLM,
    jobs: Sequence[Job],
    sampling: Sampling,
    store: RunStore | None = None,
    *,
    batch_rows: int = 32,
    progress: Progress | None = None,
) -> list[Generation]:
    """Returns the text of every job, from the store or made now.

    Jobs of different topics, λ and prompts share batches. With a store every batch is durable once
    it is made, so that work killed halfway goes on where it stopped.

    Args:
        lm: the language model.
        jobs: what to generate; equal ones are one text.
        sampling: how.
        store: where the texts are kept; None keeps nothing.
        batch_rows: texts made at one time.
        progress: told how many of how many texts are there.

    Raises:
        InputError: a prompt has no tokens or too many, a vector is of another model, or pushes of
            one batch do not fit together.
    """
    if batch_rows < 1:
        raise InputError(f"batch_rows must be at least 1, not {batch_rows!r}")
    for push in {id(push.vector): push for job in jobs for push in job.pushes}.values():
        check_model(push, lm)
    keys = [generation_key(lm, job, sampling) for job in jobs]
    held = [] if store is None else of_kind(store.records(keys), "generation")
    found = {record.key: _from_payload(record.key, record.payload) for record in held}
    todo = {key: job for key, job in zip(keys, jobs, strict=True) if key not in found}
    starts = dict(zip(todo, _prompt_ids(lm, list(todo.values()), sampling), strict=True))
    # Prompts of a length share batches, so that little is padding; a place needs one hook.
    order = sorted(todo, key=lambda key: (_place(todo[key]), len(starts[key]), key))
    if progress is not None:
        progress(len(found), len(found) + len(todo))
    for batch in _batches(order, todo, batch_rows):
        made = sample_batch(
            lm, [starts[key] for key in batch], [todo[key].pushes for key in batch], sampling,
            [seed_from("generation", key) for key in batch],
        )  # fmt: skip
        for key, drawn in zip(batch, made, strict=True):
            found[key] = Generation(
                key, todo[key].prompt, _new_text(lm, starts[key], drawn.ids), drawn.ids,
                drawn.ended, drawn.mean_change,
            )  # fmt: skip
        if store is not None:
            store.add([(_record(lm, todo[key], sampling, found[key]), RunInfo()) for key in batch])
        if progress is not None:
            progress(len(found), len(set(keys)))
    return [found[key] for key in keys]


@dataclass(frozen=True)
class Drawn:
    """The new tokens of one row; see :class:`Generation`."""

    ids: tuple[int, ...]
    ended: bool
    mean_change: float


def sample_batch(
    lm: CausalLM,
    starts: Sequence[TokenIds],
    rows: Sequence[Sequence[Push]],
    sampling: Sampling,
    seeds: Sequence[int],
) -> list[Drawn]:
    """Draws the new tokens of some rows at one time.

    Args:
        lm: the language model.
        starts: tokens of each row's prompt, BOS in front where the model wants it.
        rows: how each row is steered, all at one hook point.
        sampling: how tokens are drawn.
        seeds: a seed for each row.
    """
    import torch

    uniforms = np.stack([np.random.default_rng(s).random(sampling.max_tokens) for s in seeds])
    ids, mask = lm.left_padded(starts)
    width = ids.shape[1]
    cache = lm.new_cache()
    new: list[list[int]] = [[] for _ in starts]
    ended = [False] * len(starts)
    with _steering(lm, rows, sampling, width) as steered:
        for step in range(sampling.max_tokens):
            logits = lm.logits(ids, mask, cache=cache, last=True)
            tokens = draw(logits, uniforms[:, step], sampling.temperature, sampling.top_p)
            for row, token in enumerate(tokens.tolist()):
                if not ended[row]:
                    ended[row] = token in lm.end_ids
                    if not ended[row]:
                        new[row].append(token)
            if all(ended):
                break
            ids = tokens[:, None]
            mask = torch.cat([mask, mask.new_ones((len(starts), 1))], dim=1)
    changes = None
    if steered.changes:
        changes = torch.cat(steered.changes, dim=1).double().cpu().numpy()
    # Columns of the prompt that the hook saw, and how many of them are a row's own.
    seen = {"generated": 0, "last": 1, "all": width}[sampling.positions]
    drawn = []
    for row, start in enumerate(starts):
        own = min(seen, len(start))
        n_read = len(new[row]) + ended[row] - 1
        change = 0.0
        if changes is not None and own + n_read > 0:
            change = float(changes[row, seen - own : seen + n_read].mean())
        drawn.append(Drawn(tuple(new[row]), ended[row], change))
    return drawn


def generation_key(lm: CausalLM, job: Job, sampling: Sampling) -> str:
    """Returns the hash of all that a text depends on."""
    return content_hash(
        "generation", GENERATION_VERSION, lm.backbone.describe(), asdict(sampling), job.describe()
    )


def check_model(push: Push, lm: CausalLM) -> None:
    """Checks that a direction is of a language model.

    Raises:
        InputError: it is of another one.
    """
    origin = push.vector.origin
    if origin.backbone_revision != lm.backbone.revision:
        raise InputError(
            f"a direction of {origin.backbone} (revision {origin.backbone_revision}) cannot steer "
            f"{lm.backbone.name} (revision {lm.backbone.revision})"
        )


def _steering(
    lm: CausalLM, rows: Sequence[Sequence[Push]], sampling: Sampling, width: int
) -> AbstractContextManager[Steered]:
    hook_point = next((push.vector.origin.hook_point for row in rows for push in row), None)
    if hook_point is None:
        return nullcontext(Steered())
    return steering(
        lm.model, hook_point, rows, mode=sampling.mode, positions=sampling.positions,
        prompt_columns=width,
    )  # fmt: skip


def _prompt_ids(lm: CausalLM, jobs: Sequence[Job], sampling: Sampling) -> list[TokenIds]:
    found = []
    for job, ids in zip(
        jobs, lm.backbone.tokenise([job.lead + job.prompt for job in jobs]), strict=True
    ):
        begun = lm.begun(ids)
        if len(begun) == 0:
            raise InputError(f"prompt {job.prompt!r} has no tokens")
        # The last new token is never read.
        if len(begun) + sampling.max_tokens - 1 > lm.n_positions:
            raise InputError(
                f"prompt {job.prompt!r} has {len(begun)} tokens; with {sampling.max_tokens} new "
                f"ones that is more than the {lm.n_positions} that {lm.backbone.name} reads"
            )
        found.append(begun)
    return found


def _batches(order: Sequence[str], jobs: Mapping[str, Job], rows: int) -> Iterator[list[str]]:
    for _, group in groupby(order, key=lambda key: _place(jobs[key])):
        keys = list(group)
        for first in range(0, len(keys), rows):
            yield keys[first : first + rows]


def _place(job: Job) -> str:
    return job.pushes[0].vector.origin.hook_point if job.pushes else ""


def _new_text(lm: CausalLM, start: TokenIds, new: Sequence[int]) -> str:
    # Decoded with its prompt: some tokenizers drop the space in front of a text's first word.
    whole = lm.backbone.decode(np.concatenate([start, np.array(new, np.int32)]))
    return whole[len(lm.backbone.decode(start)) :]


def _record(lm: CausalLM, job: Job, sampling: Sampling, made: Generation) -> GenerationRecord:
    payload: GenerationPayload = {
        **job.describe(),
        **lm.backbone.describe(),
        "sampling": asdict(sampling),
        "text": made.text,
        "ids": list(made.ids),
        "ended": made.ended,
        "mean_change": made.mean_change,
    }
    return Record("generation", made.key, "ok", payload, {"mtmbench": package_version("mtmbench")})


def _from_payload(key: str, payload: GenerationPayload) -> Generation:
    return Generation(
        key, payload["prompt"], payload["text"], tuple(payload["ids"]), payload["ended"],
        payload["mean_change"],
    )  # fmt: skip
