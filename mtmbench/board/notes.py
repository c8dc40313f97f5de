"""The sentences that stand beside a board's tables, so that nobody reads more into them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from mtmbench.board.cells import ALL
from mtmbench.board.shown import shown_notes
from mtmbench.board.spending import cost_text
from mtmbench.board.view import BoardView, LeagueView
from mtmbench.rating.elo import SEQUENTIAL_K

UNPARSED_LIMIT = 0.05


def judge_notes(judge: Mapping[str, Any]) -> list[str]:
    """Returns what a reader must know about who ruled."""
    notes = []
    if judge["is_llm"]:
        notes.append("A language model ruled.")
        if "model" in judge:
            where = urlsplit(judge.get("endpoint") or "").netloc
            notes.append(f"It is {judge['model']}{f', asked at {where}' if where else ''}.")
    else:
        notes.append("This judge is a proxy, not a language model.")
    if judge["encoder"]:
        notes.append(f"It compares texts by the encoder {judge['encoder']}.")
        if judge["shares_encoder_with"]:
            shared = ", ".join(judge["shares_encoder_with"])
            notes.append(
                "These models were fitted on that encoder's own representations, which may "
                f"favour them (marked †): {shared}."
            )
        else:
            notes.append("No model here was fitted on that encoder.")
    if judge["order_free"]:
        notes.append(
            "Its verdict cannot depend on the order of the options, so one call is recorded as "
            "both orders; first-slot and flip rates do not apply."
        )
    return notes


def judge_warnings(judge: Mapping[str, Any], leagues: list[LeagueView]) -> list[str]:
    """Returns warnings about removed comparisons, over 5 % for the judge or for one model."""
    warnings = []
    for name, what in (("unparsed_rate", "could not be parsed"), ("refused_rate", "were refusals")):
        rate = judge["audit"][name]["value"]
        if rate is not None and rate > UNPARSED_LIMIT:
            warnings.append(
                f"{percent(rate)} of this judge's answers {what}; the ratings rest on the others, "
                "which need not be a fair sample."
            )
    removed: dict[str, float] = {}
    for league in leagues:
        for name, row in zip(league.names, league.rows, strict=True):
            gone = row["unparsed"] + row["refused"]
            total = gone + row["wins"] + row["losses"] + row["ties"]
            if total and gone / total > UNPARSED_LIMIT:
                removed[name] = max(removed.get(name, 0.0), gone / total)
    if removed:
        listed = ", ".join(f"{name} {percent(removed[name])}" for name in sorted(removed))
        warnings.append(
            "In some table more than 5 % of these models' comparisons were removed, because an "
            f"answer was unparsed or refused (at most): {listed}."
        )
    return warnings


def audit_line(judge: Mapping[str, Any]) -> str:
    """Returns a judge's behaviour in one line."""
    audit = judge["audit"]
    parts = [f"{audit['documents']:,} comparisons", f"{judge['calls']:,} calls"]
    if audit["ruled"]:
        parts.append(f"{audit['ruled']:,} decided by rule")
    for name, label in (
        ("tie_rate", "ties"),
        ("first_slot_rate", "first slot preferred"),
        ("flip_rate", "verdict differs by order"),
        ("unparsed_rate", "unparsed"),
        ("refused_rate", "refused"),
    ):
        if audit[name]["value"] is not None:
            parts.append(f"{label} {percent(audit[name]['value'])}")
    if judge["usage"]:
        parts += [f"{tokens:,} {kind} tokens" for kind, tokens in sorted(judge["usage"].items())]
        parts.append(f"cost {cost_text(judge['cost'])}")
    return " · ".join(parts)


def rating_notes(view: BoardView) -> list[str]:
    """Returns how to read the ratings of this board."""
    board = view.board
    if not board["ratings"]:
        return []
    confidence = board["win_rates"][0]["confidence"] or 0.95
    notes = [
        "Each judge has a board of its own; ratings of different judges are not comparable.",
        "Two models' topics are shown for the same document, in both orders. The same winner in "
        "both orders is a win, anything else a tie, and a tie counts as half a win for each. Elo "
        "(Bradley-Terry, 400·log10, mean 1500) therefore describes the expected score, not the "
        "probability of a win: 100 points ahead means 64 % of the points.",
        f"Intervals ({percent(confidence, 0)}) resample documents, with all comparisons of a "
        "document together. They are conditional on the fits: each model plays with the fit of "
        "its first seed, and another seed may score otherwise.",
        "Rank is 1 + the number of models that are ahead by a difference whose interval excludes "
        "zero; models may share a rank.",
        f"Sequential Elo (K = {SEQUENTIAL_K:.0f}, in the order of documents, then pairs) depends "
        "on that order and is given for reference only.",
    ]
    if any(row["corpus"] == ALL for row in board["ratings"]):
        notes.append(
            "Pooled ratings count every judged document alike, so a corpus with more of them "
            "weighs more; documents are resampled within their corpus."
        )
    return [*notes, *shown_notes(board.get("shown", ()))]


def metric_notes(view: BoardView) -> list[str]:
    """Returns how to read the metrics of this board."""
    if not view.board["metrics"]:
        return []
    return [
        "A value is the mean over seeds, ± the half-width of its t-interval over seeds (none for "
        "a single seed, for seeds that agree exactly, or for a metric over seeds). With two seeds "
        "these intervals are wide.",
        "Projected words are the words that a topic's documents use; on them, and on gold labels, "
        "all models compare. Values over a model's own items do not compare between words and SAE "
        "features, nor do perplexities.",
        "Bold: the best value whose interval overlaps with no other's.",
    ]


def percent(share: float, digits: int = 1) -> str:
    """Returns a share as a percentage, with a space that does not break."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"
