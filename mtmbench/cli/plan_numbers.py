"""What ``mtmbench plan`` says of GPU hours, disk and memory, and all of its numbers as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from mtmbench.cli.console import print_line, print_table

if TYPE_CHECKING:
    from mtmbench.engine.estimate import JudgeEstimate
    from mtmbench.engine.plan import Plan
    from mtmbench.engine.resources import Resources
    from mtmbench.steering.extent import SteeringExtent

_UNKNOWN = "not known"


def resources_of(
    plan: Plan,
    gpu: str | None,
    tokens_per_second: float | None,
    generated_per_second: float | None,
) -> Resources | None:
    """Returns what a plan's features take, or those of its steering where only these are read.

    None where neither are of a model of the hub or of a folder.
    """
    from mtmbench.engine.resources import resources

    steering = plan.suite.steering
    for features in (plan.suite.features, None if steering is None else steering.features):
        taken = None
        if features is not None:
            taken = resources(
                plan, features, gpu=gpu, tokens_per_second=tokens_per_second,
                generated_per_second=generated_per_second,
            )  # fmt: skip
        if taken is not None:
            return taken
    return None


def label_questions(plan: Plan, taken: Resources | None) -> list[JudgeEstimate]:
    """Returns what sorting the SAE's labels asks, where a setting drops classes by a judge's word.

    The suite does not say which judge; the first language model of its judging is assumed.
    """
    from mtmbench.judges.registry import load_judge_card, traits_of
    from mtmbench.labelling.extent import class_estimate

    spec, named = plan.suite.judging, plan.suite.features.params.get("settings", {})
    by_judge = any(
        isinstance(named.get(name), Mapping) and named[name].get("label_classes_by") == "judge"
        for name in plan.suite.features.all_settings
    )
    if not by_judge or spec is None or taken is None or taken.sae is None:
        return []
    models = [name for name in spec.judges if traits_of(load_judge_card(name))["is_llm"]]
    return [class_estimate(models[0], taken.sae.features)] if models else []


def print_resources(taken: Resources | None, extent: SteeringExtent | None) -> None:
    """Prints GPU hours by what they are for, disk and memory, and what all rests on."""
    if taken is None:
        if extent is not None:
            print_line(f"Steering, at most: {extent.told()}.", highlight=False)
        return
    rows = [
        (each.corpus, f"{each.documents:,}", f"{each.tokens:,}", _hours(each.hours),
         _bytes(each.disk))
        for each in taken.corpora
    ]  # fmt: skip
    rows.append(("all", "", f"{taken.tokens:,}", _hours(taken.hours), _bytes(taken.disk)))
    print_table(
        ("features of", "documents", "tokens, at most", "GPU hours", "disk"), rows,
        title=f"Features of {taken.backbone}",
    )  # fmt: skip
    if extent is not None:
        generating, reading = steering_hours(taken, extent)
        print_line(f"Steering, at most: {extent.told()}.", highlight=False)
        print_line(
            f"GPU hours of steering: {_hours(generating)} of generation, {_hours(reading)} of "
            "reading.",
            highlight=False,
        )
    memory = taken.memory
    if memory is not None:
        fits = "fits" if memory <= taken.gpu.memory * 1e9 else "does NOT fit"
        print_line(
            f"Memory on the GPU: about {_bytes(memory)}, which {fits} into the "
            f"{taken.gpu.memory:g} GB of {taken.gpu.name}.",
            highlight=False,
        )
    for sentence in taken.assumptions():
        print_line(sentence, highlight=False)


def steering_hours(taken: Resources, extent: SteeringExtent) -> tuple[float | None, float | None]:
    """Returns the GPU hours of generating and of reading texts."""
    return taken.hours_of_generating(extent.generated), taken.hours_of_reading(extent.read)


def plan_json(
    plan: Plan,
    asked: Sequence[JudgeEstimate],
    taken: Resources | None,
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
    if taken is not None:
        told["features"] = {
            "backbone": taken.backbone,
            "gpu": taken.gpu.name,
            "tokens_per_second": taken.reading,
            "generated_per_second": taken.generating,
            "corpora": [asdict(each) for each in taken.corpora],
            "tokens": taken.tokens,
            "hours": taken.hours,
            "disk": taken.disk,
            "memory": taken.memory,
            "assumed": list(taken.assumptions()),
        }
        if extent is not None:
            generating, reading = steering_hours(taken, extent)
            told["steering_hours"] = {"generating": generating, "reading": reading}
    return told


def cell_counts(plan: Plan) -> dict[str, dict[str, int]]:
    """Returns what a plan plays on each corpus; of matches those that judges would rule on."""
    return {
        name: {
            "documents": len(corpus),
            "labels": corpus.n_labels,
            "fits": sum(cell.corpus == name for cell in plan.fits),
            "metric values": sum(cell.fit.corpus == name for cell in plan.metrics),
            "matches": sum(len(cell.rows) for cell in plan.matches if cell.a.corpus == name),
        }
        for name, corpus in plan.corpora.items()
    }


def _hours(hours: float | None) -> str:
    return _UNKNOWN if hours is None else f"{hours:,.2f}"


def _bytes(size: float | None) -> str:
    return _UNKNOWN if size is None else f"{size / 1e9:,.1f} GB"
