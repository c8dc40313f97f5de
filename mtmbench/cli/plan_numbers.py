"""What ``mtmbench plan`` says of GPU hours, disk and memory, and all of its numbers as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from mtmbench.cli.console import print_line, print_table
from mtmbench.core.errors import InputError

if TYPE_CHECKING:
    from mtmbench.engine.estimate import JudgeEstimate
    from mtmbench.engine.plan import Plan
    from mtmbench.engine.resources import Resources
    from mtmbench.steering.extent import SteeringExtent

_UNKNOWN = "not known"


@dataclass(frozen=True)
class FeatureResources:
    """What is read from models of the hub, or of folders; None where nothing is.

    Attributes:
        played: of the suite's features.
        own: of those that its steering has of its own.
    """

    played: Resources | None
    own: Resources | None

    @property
    def steering(self) -> Resources | None:
        """Of the model that is steered."""
        return self.own or self.played

    def hours(self, extent: SteeringExtent) -> tuple[float | None, float | None]:
        """Returns the GPU hours of generating and of reading texts."""
        lm = self.steering
        if lm is None:
            return None, None
        return lm.hours_of_generating(extent.generated), lm.hours_of_reading(extent.read)


def resources_of(
    plan: Plan,
    gpu: str | None,
    tokens_per_second: float | None,
    generated_per_second: float | None,
) -> FeatureResources:
    """Returns what a plan's features take, and those of its steering."""
    from mtmbench.engine.resources import resources
    from mtmbench.steering.suite import steering_plan

    reckoned = partial(
        resources, gpu=gpu, tokens_per_second=tokens_per_second,
        generated_per_second=generated_per_second,
    )  # fmt: skip
    steering, own = plan.suite.steering, None
    if steering is not None and steering.features is not None:
        # Why it cannot be planned is said of its extent.
        with suppress(InputError):
            own = reckoned(steering_plan(plan.suite, plan))
    return FeatureResources(reckoned(plan), own)


def label_questions(plan: Plan, taken: FeatureResources) -> list[JudgeEstimate]:
    """Returns what sorting SAEs' labels asks, where settings drop classes by a judge's word.

    The suite does not say which judge; the first language model of its judging is assumed.
    """
    from mtmbench.judges.registry import load_judge_card, traits_of
    from mtmbench.labelling.extent import class_estimate

    spec, named = plan.suite.judging, plan.suite.features.params.get("settings", {})
    if spec is None or taken.played is None:
        return []
    saes = taken.played.saes
    by_judge = {
        str(named[name].get("sae", next(iter(saes))))
        for name in plan.suite.features.all_settings
        if isinstance(named.get(name), Mapping) and named[name].get("label_classes_by") == "judge"
    }
    models = [name for name in spec.judges if traits_of(load_judge_card(name))["is_llm"]]
    return [
        class_estimate(models[0], sae.features)
        for name, sae in saes.items()
        if models and name in by_judge and sae is not None
    ]


def print_resources(taken: FeatureResources, extent: SteeringExtent | None) -> None:
    """Prints GPU hours by what they are for, disk and memory, and what all rests on."""
    for features, whose in ((taken.played, "Features"), (taken.own, "Features of steering")):
        if features is not None:
            _print_features(features, whose)
    if extent is not None:
        print_line(f"Steering, at most: {extent.told()}.", highlight=False)
        if taken.steering is not None:
            generating, reading = taken.hours(extent)
            print_line(
                f"GPU hours of steering: {_hours(generating)} of generation, {_hours(reading)} of "
                "reading.",
                highlight=False,
            )
    for features in (taken.played, taken.own):
        if features is not None:
            _print_memory(features)
            for sentence in features.assumptions():
                print_line(sentence, highlight=False)


def _print_features(taken: Resources, whose: str) -> None:
    rows = [
        (each.corpus, f"{each.documents:,}", f"{each.tokens:,}", _hours(each.hours),
         _bytes(each.disk))
        for each in taken.corpora
    ]  # fmt: skip
    rows.append(("all", "", f"{taken.tokens:,}", _hours(taken.hours), _bytes(taken.disk)))
    print_table(
        ("features of", "documents", "tokens, about", "GPU hours", "disk"), rows,
        title=f"{whose} of {taken.backbone}",
    )  # fmt: skip


def _print_memory(taken: Resources) -> None:
    memory = taken.memory
    if memory is not None:
        fits = "fits" if memory <= taken.gpu.memory * 1e9 else "does NOT fit"
        print_line(
            f"Memory on the GPU: about {_bytes(memory)}, which {fits} into the "
            f"{taken.gpu.memory:g} GB of {taken.gpu.name}.",
            highlight=False,
        )


def plan_json(
    plan: Plan,
    asked: Sequence[JudgeEstimate],
    taken: FeatureResources,
    extent: SteeringExtent | None,
) -> dict[str, object]:
    """Returns a plan's numbers as JSON values; hours are GPU hours, sizes bytes."""
    from mtmbench.corpora.stated import missing_note
    from mtmbench.engine.estimate import total

    told: dict[str, object] = {
        "suite": plan.suite.name,
        "corpora": {
            name: {**counts, "assumed": missing_note(plan.corpora[name])}
            for name, counts in cell_counts(plan).items()
        },
        "judges": [asdict(row) for row in asked],
        "total": asdict(total(asked)) if asked else None,
    }
    if extent is not None:
        told["steering"] = asdict(extent)
    for name, features in (("features", taken.played), ("steering_features", taken.own)):
        if features is not None:
            told[name] = {
                "backbone": features.backbone,
                "gpu": features.gpu.name,
                "tokens_per_second": features.reading,
                "generated_per_second": features.generating,
                "corpora": [asdict(each) for each in features.corpora],
                "tokens": features.tokens,
                "hours": features.hours,
                "disk": features.disk,
                "memory": features.memory,
                "assumed": list(features.assumptions()),
            }
    if extent is not None and taken.steering is not None:
        generating, reading = taken.hours(extent)
        told["steering_hours"] = {"generating": generating, "reading": reading}
    return told


def cell_counts(plan: Plan) -> dict[str, dict[str, int]]:
    """Returns what a plan plays on each corpus; of matches those that judges would rule on."""
    return {
        name: {
            "documents": len(corpus),
            "labels": corpus.n_labels,
            "fits": sum(cell.corpus == name for cell in plan.all_fits),
            "metric values": sum(cell.fit.corpus == name for cell in plan.metrics),
            "matches": sum(len(cell.rows) for cell in plan.matches if cell.a.corpus == name),
        }
        for name, corpus in plan.corpora.items()
    }


def _hours(hours: float | None) -> str:
    return _UNKNOWN if hours is None else f"{hours:,.2f}"


def _bytes(size: float | None) -> str:
    return _UNKNOWN if size is None else f"{size / 1e9:,.1f} GB"
