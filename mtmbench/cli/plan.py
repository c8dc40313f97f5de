"""``mtmbench plan``: what a suite would play, what it would cost, and what it could find."""

from typing import TYPE_CHECKING, Annotated

import typer

from mtmbench.cli.asked import asked_by_run, print_asked
from mtmbench.cli.console import print_line, print_table
from mtmbench.cli.options import (
    DataOption,
    ModelsOption,
    PluginOption,
    SetOption,
    SuiteArgument,
    resolve_suite,
)
from mtmbench.core.errors import InputError

if TYPE_CHECKING:
    from mtmbench.engine.plan import Plan

_PAYS_BELOW = 0.8
"""An adaptive schedule pays where all documents know differences to within this share of the
resolution; above it, pairs stay open until the documents are used up."""


def plan(
    suite: SuiteArgument,
    overrides: SetOption = None,
    models: ModelsOption = None,
    data_dir: DataOption = None,
    plugin: PluginOption = None,
    power: Annotated[
        bool, typer.Option("--power", help="Also say how small an Elo difference would be found.")
    ] = False,
    tie_rate: Annotated[
        float, typer.Option(help="With --power: share of ties to expect; none is the worst case.")
    ] = 0.0,
) -> None:
    """Says what a suite would play: cells, matches, judge calls, tokens, cost. Plays nothing."""
    from mtmbench.engine.plan import make_plan

    made = make_plan(
        resolve_suite(suite, overrides, models),
        data_dir=data_dir,
        plugins=plugin or [],
        offline=True,
    )
    print_cells(made)
    print_corpora(made)
    print_asked(asked_by_run(made.suite))
    print_estimates(made)
    print_adaptive(made)
    if power:
        print_power(made, tie_rate)


def print_cells(plan: "Plan") -> None:
    """Prints how much a plan would play on each corpus."""
    rows = [
        (
            name,
            str(len(corpus)),
            str(corpus.n_labels),
            str(sum(cell.corpus == name for cell in plan.fits)),
            str(sum(cell.fit.corpus == name for cell in plan.metrics)),
            str(sum(len(cell.rows) for cell in plan.matches if cell.a.corpus == name)),
        )
        for name, corpus in plan.corpora.items()
    ]
    print_table(("corpus", "documents", "labels", "fits", "metric values", "matches"), rows)


def print_corpora(plan: "Plan") -> None:
    """Prints what of a plan's corpora is not as it lies there, and K that no corpus can fill."""
    from mtmbench.corpora.load import corpus_notes
    from mtmbench.metrics.alignment import LABEL_EACH, ungrouped

    for name, corpus in plan.corpora.items():
        for note in corpus_notes(corpus):
            print_line(note)
        if corpus.n_labels and (reason := ungrouped(corpus)) is not None:
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


def print_estimates(plan: "Plan") -> None:
    """Prints what a plan's judges would be asked, and what that would cost."""
    from mtmbench.boards.spending import cost_text
    from mtmbench.engine.estimate import ESTIMATED, estimates, total

    rows = list(estimates(plan))
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
