"""``mtmbench plan``: what a suite would play, what it would cost, and what it could find."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtmbench.cli.asked import asked_by_run, asked_by_steering, print_asked
from mtmbench.cli.console import print_line, print_table
from mtmbench.cli.options import (
    DataOption,
    JudgesOption,
    LimitOption,
    MetricsOption,
    ModelsOption,
    PluginOption,
    SetOption,
    SuiteArgument,
    resolve_suite,
)
from mtmbench.core.errors import InputError

if TYPE_CHECKING:
    from mtmbench.cli.plan_numbers import FeatureResources
    from mtmbench.core.cards import Suite
    from mtmbench.engine.estimate import JudgeEstimate
    from mtmbench.engine.plan import Plan
    from mtmbench.steering.extent import SteeringExtent

_PAYS_BELOW = 0.8
"""An adaptive schedule pays where all documents know differences to within this share of the
resolution; above it, pairs stay open until the documents are used up."""


def plan(
    suite: SuiteArgument,
    overrides: SetOption = None,
    models: ModelsOption = None,
    metrics: MetricsOption = None,
    judges: JudgesOption = None,
    limit: LimitOption = None,
    data_dir: DataOption = None,
    plugin: PluginOption = None,
    power: Annotated[
        bool, typer.Option("--power", help="Also say how small an Elo difference would be found.")
    ] = False,
    tie_rate: Annotated[
        float, typer.Option(help="With --power: share of ties to expect; none is the worst case.")
    ] = 0.0,
    gpu: Annotated[
        str | None,
        typer.Option(help="rtx4090, a100 or h100; by default the smallest that holds the model."),
    ] = None,
    tokens_per_second: Annotated[
        float | None,
        typer.Option(
            min=1, help="Tokens that the whole language model reads; by default by arithmetic."
        ),
    ] = None,
    generated_per_second: Annotated[
        float | None,
        typer.Option(min=1, help="Tokens that it generates, a batch's rows together; likewise."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write what is printed here too, as numbers.")
    ] = None,
) -> None:
    """Says what a suite would play: cells, judge calls, cost, GPU hours, disk. Plays nothing.

    It needs no network, no weights and no texts: what is not here is taken from cards and names.
    """
    from mtmbench.cli.plan_numbers import plan_json
    from mtmbench.core.serialise import canonical_json, write_atomically

    resolved = resolve_suite(suite, overrides, models, metrics=metrics, judges=judges, limit=limit)
    made, asked, taken, extent = print_plan(
        resolved, data_dir=data_dir, plugins=plugin or [], gpu=gpu,
        tokens_per_second=tokens_per_second, generated_per_second=generated_per_second,
    )  # fmt: skip
    if power:
        print_power(made, tie_rate)
    if json is not None:
        write_atomically(json, canonical_json(plan_json(made, asked, taken, extent)) + "\n")


def print_plan(
    suite: "Suite",
    *,
    data_dir: Path | None,
    plugins: Sequence[str],
    gpu: str | None = None,
    tokens_per_second: float | None = None,
    generated_per_second: float | None = None,
) -> "tuple[Plan, list[JudgeEstimate], FeatureResources, SteeringExtent | None]":
    """Prints what a suite would play and take; returns the plan and what it was reckoned from.

    Args:
        suite: what would be played.
        data_dir: folder of local corpora.
        plugins: files or modules that register more.
        gpu: the GPU that hours are of; by default the smallest that holds the model.
        tokens_per_second: tokens that the language model reads; by default by arithmetic.
        generated_per_second: tokens that it generates, likewise.
    """
    from mtmbench.cli.plan_numbers import label_questions, print_resources, resources_of
    from mtmbench.engine.estimate import estimates
    from mtmbench.engine.plan import make_plan
    from mtmbench.steering.extent import extent_of, steering_estimates

    made = make_plan(suite, data_dir=data_dir, plugins=plugins, offline=True)
    extent, unknown = None, ""
    try:
        extent = extent_of(made.suite, made)
    except InputError as error:
        unknown = f"What steering takes cannot be reckoned: {error}."
    taken = resources_of(made, gpu, tokens_per_second, generated_per_second)
    asked = [*estimates(made), *label_questions(made, taken)]
    if extent is not None:
        asked += steering_estimates(made.suite, extent)
    print_cells(made)
    print_tuning(suite, made)
    print_corpora(made)
    print_asked([*asked_by_run(made.suite), *asked_by_steering(made.suite)])
    print_estimates(asked)
    print_resources(taken, extent)
    if unknown:
        print_line(unknown, highlight=False)
    print_adaptive(made)
    return made, asked, taken, extent


def print_cells(plan: "Plan") -> None:
    """Prints how much a plan would play on each corpus."""
    from mtmbench.cli.plan_numbers import cell_counts

    columns = ("documents", "labels", "fits", "metric values", "matches")
    counted = cell_counts(plan)
    rows = [
        (name, *(str(counts[column]) for column in columns)) for name, counts in counted.items()
    ]
    if len(rows) > 1:
        sums = (sum(counts[column] for counts in counted.values()) for column in columns)
        rows.append(("all", *(str(each) if i != 1 else "" for i, each in enumerate(sums))))
    print_table(("corpus", *columns), rows)


def print_tuning(suite: "Suite", plan: "Plan") -> None:
    """Prints what is fitted before a plan is played, to tune its models."""
    from mtmbench.tuning.suite import most_fits

    if suite.tuning is None or not suite.tunes_first:
        return
    jobs, n_fits = most_fits(suite, plan.corpora)
    n_corpora, n_models = (len(dict.fromkeys(names)) for names in zip(*jobs, strict=True))
    print_line(
        f"Tuning comes first: {n_models} {'model' if n_models == 1 else 'models'} on {n_corpora} "
        f"{'corpus' if n_corpora == 1 else 'corpora'}, {suite.tuning.trials} trials each, at most "
        f"{n_fits:,} fits, on {suite.tuning.share:.0%} of the documents. What is counted above is "
        "of the others.",
        highlight=False,
    )


def print_corpora(plan: "Plan") -> None:
    """Prints what of a plan's corpora is not as it lies there, and K that no corpus can fill."""
    from mtmbench.corpora.load import corpus_notes
    from mtmbench.corpora.stated import missing_note
    from mtmbench.metrics.alignment import LABEL_EACH, ungrouped

    for name, corpus in plan.corpora.items():
        if (missing := missing_note(corpus)) is not None:
            print_line(missing, highlight=False)
        for note in corpus_notes(corpus):
            print_line(note)
        if missing is None and corpus.n_labels and (reason := ungrouped(corpus)) is not None:
            print_line(f"Warning: {reason}", highlight=False)
        for k, k_spec in sorted(
            {(fit.k, str(fit.k_spec)) for fit in plan.fits if fit.corpus == name}
        ):
            if k >= LABEL_EACH * len(corpus):
                origin = ", the number of its gold labels" if k_spec == "labels" else ""
                print_line(
                    f"Warning: K = {k:,} on corpus {name!r} of {len(corpus):,} documents{origin}: "
                    "about a topic a document; give a smaller number of topics",
                    highlight=False,
                )


def print_estimates(rows: "Sequence[JudgeEstimate]") -> None:
    """Prints what judges would be asked, what that would cost, and by whose prices."""
    from mtmbench.boards.spending import cost_text
    from mtmbench.engine.estimate import ESTIMATED, prices_by, total

    if not rows:
        return
    print_table(
        ("judge", "asked for", "fits or pairs", "topics or documents", "judge calls",
         "input tokens", "output tokens", "cost"),
        [
            (
                row.judge, row.asked, str(row.n_cells), str(row.n_subjects),
                f"at most {row.n_calls}", str(row.input_tokens), str(row.output_tokens),
                cost_text(row.cost) if row.is_llm else "none",
            )
            for row in [*rows, *([total(rows)] if len(rows) > 1 else [])]
        ],
    )  # fmt: skip
    print_line(ESTIMATED)
    for name, source in prices_by(rows).items():
        print_line(f"Prices of {name}: {source}.", highlight=False)


def print_adaptive(plan: "Plan") -> None:
    """Prints, for every league of an adaptive plan, its looks and whether they will pay."""
    from mtmbench.stats.adaptive import look_limits, spent_levels
    from mtmbench.stats.power import detectable_difference

    spec = plan.suite.judging
    if spec is None or spec.schedule != "adaptive":
        return
    last = spent_levels(1 - spec.confidence)[-1]
    for (corpus, k), (n_models, n_documents) in _leagues(plan).items():
        width = detectable_difference(n_documents, n_models, confidence=1 - last).half_width[0]
        pairs = n_models * (n_models - 1) // 2
        limits = look_limits(n_documents)
        verdict = (
            "adaptive will pay"
            if width <= _PAYS_BELOW * spec.resolution
            else "adaptive will NOT pay: ask for more documents or a coarser resolution"
        )
        print_line(
            f"{corpus}, K = {k}: from {pairs * limits[0]:,} to {pairs * n_documents:,} matches for "
            f"each judge, in looks at {', '.join(map(str, limits))} documents. All documents would "
            f"know a difference to within about {width:.0f} Elo, against a resolution of "
            f"{spec.resolution:g}: {verdict}.",
            highlight=False,
        )


def print_power(plan: "Plan", tie_rate: float) -> None:
    """Prints, for every league of a plan, the least Elo difference found with power .8.

    Raises:
        InputError: the suite plays no matches.
    """
    from mtmbench.stats.power import POWER, detectable_difference

    spec = plan.suite.judging
    if spec is None:
        raise InputError(f"suite {plan.suite.name!r} plays no matches, so it detects no difference")
    rows = []
    for (corpus, k), (n_models, n_documents) in _leagues(plan).items():
        stated = detectable_difference(
            n_documents, n_models, tie_rate=tie_rate, confidence=spec.confidence
        )
        rows.append(
            (corpus, k, str(n_models), str(n_documents),
             f"{stated.independent:.0f}", f"{stated.ordered:.0f}")
        )  # fmt: skip
    print_table(
        ("corpus", "K", "models", "documents", "independent", "ordered"), rows,
        title="Detectable Elo difference",
    )  # fmt: skip
    print_line(
        f"A difference of this size is found with probability {POWER:g} at {spec.confidence:.0%} "
        f"confidence, {tie_rate:.0%} of the comparisons being ties. Independent: as if the "
        "comparisons of a document were; ordered: as if each document put all models in one order. "
        "Judges lie between the two.",
        highlight=False,
    )


def _leagues(plan: "Plan") -> dict[tuple[str, str], tuple[int, int]]:
    """Returns models and documents by corpus and K, of first seeds.

    Summaries that are taken from documents are judged on others, a sample of its own.
    """
    players: dict[tuple[str, str], set[str]] = {}
    documents: dict[tuple[str, str], set[int]] = {}
    for cell in plan.matches:
        if cell.kind == "match" and not cell.nth_seed:
            extracted = any(rewrite.extraction is not None for rewrite in cell.rewrites)
            sample = cell.a.corpus + (", summaries" if extracted else "")
            place = sample, str(cell.a.k_spec)
            players.setdefault(place, set()).update((cell.a.key, cell.b.key))
            documents.setdefault(place, set()).update(cell.rows)
    return {place: (len(players[place]), len(documents[place])) for place in players}
