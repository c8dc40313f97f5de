"""What the answers of a judge took: calls, tokens and cost, by pair of models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mtmbench.boards.cells import BoardRecords
from mtmbench.core.cells import Competitor
from mtmbench.core.tables import ShownTable
from mtmbench.core.types import Record
from mtmbench.judges.budget import total_cost

KINDS = ("input", "cached", "output")
NOT_KNOWN = "not known"


def judge_spending(played: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns who was asked, and the cost of all of a judge's matches; empty for free judges.

    Args:
        played: payloads of the judge's matches.
    """
    paid = [match for match in played if match.get("usage")]
    if not paid:
        return {}
    asked = {
        name: paid[0][f"judge_{name}"]
        for name in ("model", "endpoint")
        if paid[0].get(f"judge_{name}") is not None
    }
    return {**asked, "cost": total_cost(match.get("cost") for match in paid)}


def spending_rows(board: BoardRecords, names: Mapping[Competitor, str]) -> list[dict[str, Any]]:
    """Returns a row per judge and pair, over all corpora and K; none for free judges.

    An answer that served two pairs, since both show the same, is counted with each.
    """
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for match in board.matches:
        if match.status == "ok" and match.payload.get("usage"):
            sides = sorted(names[Competitor.of(match.payload[side])] for side in "ab")
            groups.setdefault((str(match.payload["judge"]), sides[0], sides[1]), []).append(match)
    return [
        {
            "judge": judge,
            "a": a,
            "b": b,
            "calls": sum(int(match.payload["calls"]) for match in groups[judge, a, b]),
            "usage": _usage(groups[judge, a, b]),
            "cost": total_cost(match.payload.get("cost") for match in groups[judge, a, b]),
        }
        for judge, a, b in sorted(groups)
    ]


def total_spending(board: BoardRecords) -> dict[str, Any]:
    """Returns what all of a board's answers cost together, each counted once; empty for free ones.

    Those of matches, controls, refinements, summaries and metrics. ``shared`` of the ``answers``
    serve in several places, since the same was asked there.
    """
    told: list[Mapping[str, Any]] = [
        record.payload for record in (*board.matches, *board.nulls) if record.status == "ok"
    ]
    told += [r.payload.get("answers_by") or {} for r in board.shown if r.status == "ok"]
    told += [(r.payload.get("details") or {}).get("answers_by") or {} for r in board.metrics]
    asked = [by for by in told if by.get("usage")]
    if not asked:
        return {}
    places = Counter(mark for by in asked for mark in by.get("paid", ()))
    paid = {mark: cost for by in asked for mark, cost in by.get("paid", {}).items()}
    known = all(by.get("cost") is not None and by.get("paid") for by in asked)
    return {
        "answers": len(paid) if known else None,
        "shared": sum(n > 1 for n in places.values()) if known else None,
        "cost": total_cost(paid.values()) if known else None,
    }


def total_note(board: Mapping[str, Any]) -> list[str]:
    """Returns the sentence that says what a board cost; none where nothing was paid."""
    total = board.get("spent")
    if total is None:
        return []
    if total["cost"] is None:
        return ["What all answers cost together is not known: a judge's card has no prices."]
    return [
        f"All answers together, those of controls, summaries and metrics among them, cost "
        f"{cost_text(total['cost'])}: {total['answers']:,} answers, of which {total['shared']:,} "
        "serve in several places and are counted once."
    ]


def spending_table(board: Mapping[str, Any], judge: str) -> ShownTable | None:
    """Returns what a judge's answers took by pair, None where nothing is known of it."""
    rows = [row for row in board.get("spending", ()) if row["judge"] == judge]
    if not rows:
        return None
    kinds = [kind for kind in KINDS if any(kind in row["usage"] for row in rows)]
    return ShownTable(
        ["pair", "calls", *(f"{kind} tokens" for kind in kinds), "cost"],
        [
            [
                f"{row['a']}, {row['b']}",
                f"{row['calls']:,}",
                *(f"{row['usage'].get(kind, 0):,}" for kind in kinds),
                cost_text(row["cost"]),
            ]
            for row in rows
        ],
    )


def cost_text(cost: float | None) -> str:
    """Returns a cost for people; what is not known is said to be so."""
    return NOT_KNOWN if cost is None else f"{cost:,.4f}"


def _usage(matches: Sequence[Record]) -> dict[str, int]:
    usage: Counter[str] = Counter()
    for match in matches:
        usage.update(match.payload["usage"])
    return dict(sorted(usage.items()))
