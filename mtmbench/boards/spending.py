"""What the answers of a judge took: calls, tokens and cost, by pair of models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from mtmbench.boards.cells import BoardRecords
from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.rows.spending import (
    JudgeSpending,
    LackingReplies,
    MetricReplies,
    SpendingRow,
    SpentTotal,
)
from mtmbench.core.competitors import Competitor
from mtmbench.core.judge_facts import AnswersBy
from mtmbench.core.match_payloads import MatchPayload, OutcomeValues
from mtmbench.core.tables import ShownTable
from mtmbench.judges.budget import limit_setting, total_cost

_KINDS = ("input", "cached", "output")
_NOT_KNOWN = "not known"


def judge_spending(played: Sequence[MatchPayload]) -> JudgeSpending:
    """Returns who was asked, and the cost of all of a judge's matches; empty for free judges.

    Args:
        played: payloads of the judge's matches.
    """
    paid = [match for match in played if match.get("usage")]
    if not paid:
        return {}
    first = paid[0]
    found: JudgeSpending = {}
    if "judge_model" in first:
        found["model"] = first["judge_model"]
    if "judge_endpoint" in first:
        found["endpoint"] = first["judge_endpoint"]
    found["cost"] = total_cost(match.get("cost") for match in paid)
    return found


def spending_rows(board: BoardRecords, names: Mapping[Competitor, str]) -> list[SpendingRow]:
    """Returns a row per judge and pair, over all corpora and K; none for free judges.

    An answer that served two pairs, since both show the same, is counted with each.
    """
    groups: dict[tuple[str, str, str], list[MatchPayload]] = {}
    columns = board.columns
    shown = [names[who] for who in columns.players]
    for match, *sides in zip(board.matches, columns.a.tolist(), columns.b.tolist(), strict=True):
        payload = match.payload
        if match.status == "ok" and payload.get("usage"):
            a, b = sorted(shown[side] for side in sides)
            groups.setdefault((payload["judge"], a, b), []).append(payload)
    return [
        {
            "judge": judge,
            "a": a,
            "b": b,
            "calls": sum(match["calls"] for match in matches),
            "usage": dict(sorted(total_usage(matches).items())),
            "cost": total_cost(match.get("cost") for match in matches),
        }
        for (judge, a, b), matches in sorted(groups.items())
    ]


def lacking_replies(told: Iterable[OutcomeValues | AnswersBy]) -> LackingReplies:
    """Returns how many replies broke off and how many were empty; nothing where there are none."""
    listed = list(told)
    cut = sum(each.get("cut", 0) for each in listed)
    empty = sum(each.get("empty", 0) for each in listed)
    found: LackingReplies = {}
    if cut:
        found["cut"] = cut
    if empty:
        found["empty"] = empty
    return found


def metric_replies(board: BoardRecords) -> list[MetricReplies]:
    """Returns a row a metric of whose replies some broke off or were empty."""
    asked: dict[str, list[AnswersBy]] = {}
    for metric in board.metrics:
        by: AnswersBy | None = metric.payload.get("details", {}).get("answers_by")
        if by is not None:
            asked.setdefault(metric.payload["metric"], []).append(by)
    return [
        {"metric": metric, "decoding": told[0]["card"]["decoding"], **lacking}
        for metric, told in sorted(asked.items())
        if (lacking := lacking_replies(told))
    ]


def lacking_text(lacking: LackingReplies, decoding: Mapping[str, object]) -> str:
    """Returns what a reader must know of replies that broke off or were empty; "" without any.

    Args:
        lacking: how many there are.
        decoding: the settings of whoever was asked, of which one bounds a reply.
    """
    parts = [
        f"{n:,} {'was' if n == 1 else 'were'} {what}"
        for n, what in (
            (lacking.get("cut", 0), "cut at the token limit"),
            (lacking.get("empty", 0), "empty"),
        )
        if n
    ]
    if not parts:
        return ""
    return (
        f"Of the replies that could not be read, {' and '.join(parts)}; set decoding."
        f"{limit_setting(decoding)} higher, since a model that reasons spends tokens on that first."
    )


def total_spending(board: BoardRecords) -> SpentTotal | None:
    """Returns what all of a board's answers cost together, each counted once; None for free ones.

    Those of models, matches, controls, refinements, summaries and metrics. ``shared`` of the
    ``answers`` serve in several places, since the same was asked there.
    """
    asked = [by for by in _asked(board) if by["usage"]]
    if not asked:
        return None
    told = [marks for by in asked if (marks := by.get("paid"))]
    places = Counter(mark for marks in told for mark in marks)
    paid = {mark: cost for marks in told for mark, cost in marks.items()}
    known = all(by.get("cost") is not None and by.get("paid") for by in asked)
    return {
        "answers": len(paid) if known else None,
        "shared": sum(n > 1 for n in places.values()) if known else None,
        "cost": total_cost(paid.values()) if known else None,
    }


def total_note(board: BoardTables) -> list[str]:
    """Returns the sentence that says what a board cost; none where nothing was paid."""
    total = board.get("spent")
    if total is None:
        return []
    if total["cost"] is None:
        return [
            "What all answers cost together is not known: a judge's card has no prices, or an "
            "endpoint did not say what an answer took."
        ]
    return [
        f"All answers together, those of controls, summaries and metrics among them, cost "
        f"{cost_text(total['cost'])}: {total['answers']:,} answers, of which {total['shared']:,} "
        "serve in several places and are counted once."
    ]


def spending_table(board: BoardTables, judge: str) -> ShownTable | None:
    """Returns what a judge's answers took by pair, None where nothing is known of it."""
    rows = [row for row in board.get("spending", ()) if row["judge"] == judge]
    if not rows:
        return None
    kinds = [kind for kind in _KINDS if any(kind in row["usage"] for row in rows)]
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
    return _NOT_KNOWN if cost is None else f"{cost:,.4f}"


def _asked(board: BoardRecords) -> Iterator[AnswersBy | MatchPayload]:
    """Yields what says, of all that judges were asked, what it took."""
    yield from (m.payload for m in (*board.matches, *board.later, *board.nulls) if m.status == "ok")
    yield from (r.payload["answers_by"] for r in board.shown if r.status == "ok")
    for fit in (*board.fits, *board.reordered):
        by_task = fit.payload.get("info", {}).get("answers_by", {})
        yield from cast("Mapping[str, AnswersBy]", by_task).values()
    for metric in board.metrics:
        by: AnswersBy | None = metric.payload.get("details", {}).get("answers_by")
        if by is not None:
            yield by


def total_usage(matches: Iterable[MatchPayload]) -> dict[str, int]:
    """Returns how many tokens of each kind the answers of matches took together."""
    usage: dict[str, int] = {}
    for match in matches:
        for kind, tokens in match.get("usage", {}).items():
            usage[kind] = usage.get(kind, 0) + tokens
    return usage
