"""What ``mtmbench plan`` prints of schedules: detectable differences, and whether adaptive pays."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from mtmbench.core.errors import InputError
from mtmbench.run.plan import Plan
from mtmbench.stats.adaptive import look_limits, spent_levels
from mtmbench.stats.power import POWER, detectable_difference

PAYS_BELOW = 0.8
"""An adaptive schedule pays where all documents know differences to within this share of the
resolution; above it, pairs stay open until the documents are used up."""


def print_power(plan: Plan, tie_rate: float) -> None:
    """Prints, for every league of a plan, the least Elo difference found with power .8.

    Raises:
        InputError: the suite plays no matches.
    """
    spec = plan.suite.judging
    if spec is None:
        raise InputError(f"suite {plan.suite.name!r} plays no matches, so it detects no difference")
    table = Table(title="Detectable Elo difference", title_justify="left")
    for column in ("corpus", "K", "models", "documents", "independent", "ordered"):
        table.add_column(column, overflow="fold")
    for (corpus, k), (n_models, n_documents) in _leagues(plan).items():
        stated = detectable_difference(
            n_documents, n_models, tie_rate=tie_rate, confidence=spec.confidence
        )
        table.add_row(
            corpus, k, str(n_models), str(n_documents),
            f"{stated.independent:.0f}", f"{stated.ordered:.0f}",
        )  # fmt: skip
    console = Console()
    console.print(table)
    console.print(
        f"A difference of this size is found with probability {POWER:g} at {spec.confidence:.0%} "
        f"confidence, {tie_rate:.0%} of the comparisons being ties. Independent: as if the "
        "comparisons of a document were; ordered: as if each document put all models in one order. "
        "Judges lie between the two.",
        highlight=False,
    )


def print_adaptive(plan: Plan) -> None:
    """Prints, for every league of an adaptive plan, its looks and whether they will pay."""
    spec = plan.suite.judging
    if spec is None or spec.schedule != "adaptive":
        return
    console = Console()
    last = spent_levels(1 - spec.confidence)[-1]
    for (corpus, k), (n_models, n_documents) in _leagues(plan).items():
        width = detectable_difference(n_documents, n_models, confidence=1 - last).half_width[0]
        pairs = n_models * (n_models - 1) // 2
        limits = look_limits(n_documents)
        verdict = (
            "adaptive will pay"
            if width <= PAYS_BELOW * spec.resolution
            else "adaptive will NOT pay: ask for more documents or a coarser resolution"
        )
        console.print(
            f"{corpus}, K = {k}: from {pairs * limits[0]:,} to {pairs * n_documents:,} matches for "
            f"each judge, in looks at {', '.join(map(str, limits))} documents. All documents would "
            f"know a difference to within about {width:.0f} Elo, against a resolution of "
            f"{spec.resolution:g}: {verdict}.",
            highlight=False,
        )


def _leagues(plan: Plan) -> dict[tuple[str, str], tuple[int, int]]:
    """Returns models and documents by corpus and K."""
    players: dict[tuple[str, str], set[str]] = {}
    documents: dict[tuple[str, str], set[int]] = {}
    for cell in plan.matches:
        if cell.kind == "match":
            place = cell.a.corpus, str(cell.a.k_spec)
            players.setdefault(place, set()).update((cell.a.key, cell.b.key))
            documents.setdefault(place, set()).update(cell.rows)
    return {place: (len(players[place]), len(documents[place])) for place in players}
