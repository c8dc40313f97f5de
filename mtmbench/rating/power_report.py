"""What ``mtmbench plan --power`` prints: the differences that a suite's matches can detect."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from mtmbench.errors import InputError
from mtmbench.plan import Plan
from mtmbench.rating.power import POWER, detectable_difference


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
    leagues: dict[tuple[str, str], set[str]] = {}
    sizes: dict[str, int] = {}
    for cell in plan.matches:
        if cell.kind == "match":
            place = cell.a.corpus, str(cell.a.k_spec)
            leagues.setdefault(place, set()).update((cell.a.key, cell.b.key))
            sizes[cell.a.corpus] = len(cell.rows)
    for (corpus, k), players in leagues.items():
        stated = detectable_difference(
            sizes[corpus], len(players), tie_rate=tie_rate, confidence=spec.confidence
        )
        table.add_row(
            corpus, k, str(len(players)), str(sizes[corpus]),
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
