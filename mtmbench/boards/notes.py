"""The sentences that stand beside a board's tables, so that nobody reads more into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtmbench.boards.cells import ALL
from mtmbench.boards.labels import label_notes
from mtmbench.boards.league_view import LeagueView
from mtmbench.boards.numbers import fixed, interval, percent, signed, within
from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.shown import shown_notes
from mtmbench.boards.spending import lacking_text, total_note
from mtmbench.boards.terms import SHOWN, k_text
from mtmbench.boards.view import BoardView
from mtmbench.core.specs import Representation
from mtmbench.judges.registry import reads_words
from mtmbench.metrics.registry import faults_of
from mtmbench.stats.elo import SEQUENTIAL_K

FAULTY = "⚠"
"""Marks a metric that something is known to be wrong with."""
STEERING_NOTE = "Text was steered by topics too, beside controls (mtmbench steer writes the table)."


def league_notes(league: LeagueView) -> list[str]:
    """Returns what else a league says: topics not found, sandwich widths, ties, lengths."""
    notes = []
    if league.short:
        listed = ", ".join(f"{name} {found}" for name, found in league.short.items())
        notes.append(f"Fewer topics than K were found, by seed (marked ‡): {listed}.")
    if league.by_sandwich:
        notes.append(
            f"Intervals are the sandwich estimator's over documents: {len(league.rows):,} models "
            "are too many for a bootstrap."
        )
    elif league.sandwich is not None:
        notes.append(
            f"Intervals by the sandwich estimator are {interval(*league.sandwich, fixed(2))} times "
            "as wide as these by the bootstrap."
        )
    if league.nu is not None:
        notes.append(
            f"Davidson's ν = {league.nu:.3f}: the odds of a tie against either win between equals."
        )
    adaptive = league.adaptive
    if adaptive is not None:
        notes.append(
            f"Adaptive schedule: {adaptive['comparisons']:,} comparisons of the "
            f"{adaptive['uniform']:,} that every pair on every document would be; "
            f"{adaptive['decided'] or 0} of {adaptive['neighbours']} neighbours are decided after "
            f"look {adaptive['look']} of at most {adaptive['looks']}"
            + ("." if adaptive["finished"] else "; the next look is not complete.")
        )
    if adaptive is not None and adaptive["level"] is not None:
        notes.append(
            "Ratings are fitted to the mean scores of pairs, all pairs weighing alike. Intervals "
            f"are of level {percent(1 - adaptive['level'], 2)}, this look's part of the error that "
            "all looks share, and hold whenever the schedule stops."
        )
    length = league.length
    if length is not None and length["per_doubling"] is None:
        notes.append(f"Lengths: {length['reason']}.")
    elif length is not None:
        ends = within(length["lo"], length["hi"], fixed(1))
        notes.append(
            f"Twice the length of what is shown is worth {length['per_doubling']:.1f} "
            f"Elo{ends} to this judge; adjusted ratings are those at equal lengths."
        )
    return notes


def wording_note(league: LeagueView) -> str:
    """Returns how far wording moves a proxy's ratings; empty where there is nothing to tell by."""
    wording = league.wording
    if wording is None:
        return ""
    order = sorted(wording.moved, key=lambda name: (wording.moved[name], name))
    least, most = (
        f"{signed(wording.moved[name], 0, plus=True)} ({name})" for name in (order[0], order[-1])
    )
    return (
        f"Models are shown by {SHOWN[wording.shown]}, each in wording of its own. Against the same "
        f"league by projected words, where all are worded alike, Elo moves by {least} to {most}; "
        f"the two intervals of {wording.apart} of {len(order)} models do not overlap."
    )


def interval_level(board: BoardTables) -> str:
    """Returns the level of a board's intervals with a space behind it; empty if it tells none."""
    levels = (table["confidence"] for table in board["win_rates"])
    level = next((level for level in levels if level is not None), None)
    return "" if level is None else f"{percent(level, 0)} "


def rating_notes(view: BoardView) -> list[str]:
    """Returns how to read the ratings of this board."""
    board = view.board
    if not board["ratings"]:
        return []
    davidson = any(table.get("nu") is not None for table in board["win_rates"])
    adaptive = any(table.get("adaptive") for table in board["win_rates"])
    level = interval_level(board).strip()
    told = f"Intervals ({level})" if level else "Intervals"
    drawn = "Intervals are over" if adaptive else f"{told} resample"
    notes = [
        "Each judge has a board of its own; ratings of different judges are not comparable.",
        "Two models' topics are shown for the same document, in both orders. The same winner in "
        f"both orders is a win, anything else a tie{_TIES[davidson]}",
        f"{drawn} documents, with all comparisons of a "
        "document together. They are conditional on the fits: each model plays with the fit of "
        "its first seed, and another seed may score otherwise.",
        "Rank is 1 + the number of models that are ahead by a difference whose interval excludes "
        "zero; models may share a rank.",
        f"Sequential Elo (K = {SEQUENTIAL_K:.0f}, in the order of documents, then pairs) depends "
        "on that order and is given for reference only.",
    ]
    if any("elo_by_seed" in row for row in board["ratings"]):
        notes.append(
            "Elo by seed: the fits of each seed played among themselves, those of the first first; "
            "s.d. is the standard deviation of these ratings, which no interval contains. Where "
            "not all models have a fit of a seed, its ratings are brought to the mean that those "
            "who have one had by the first."
        )
    if any(row["corpus"] == ALL for row in board["ratings"]):
        notes.append(
            "Pooled ratings count every judged document alike, so a corpus with more of them "
            "weighs more; documents are resampled within their corpus."
        )
    notes += representation_notes(board)
    named = label_notes(board.get("labels", ()))
    return [*notes, *named, *shown_notes(board.get("shown", ())), *total_note(board)]


def representation_notes(board: BoardTables) -> list[str]:
    """Returns what a reader must know of how topics are shown; nothing where by items alone."""
    played: dict[str, set[Representation]] = {}
    for row in board["ratings"]:
        played.setdefault(row["judge"], set()).add(row["representation"])
    notes = []
    if any("projected" in shown for shown in played.values()):
        refined = any(row["task"] == "refine" for row in board.get("shown", ()))
        crossed = any("projected" in judge for judge in board["judges"])
        notes.append(
            "Projected words: every topic is shown by the words that its documents use "
            "(class-based TF-IDF over θ), so that models over words and over features are worded "
            "alike. "
            + (
                "Beside a document stand words that are taken from the half of the documents that "
                "it is not in. "
                if crossed
                else "They are taken from all documents, the judged ones among them, and are not "
                "cross-fitted as labels from the corpus are. "
            )
            + "Tables of proxies begin with them."
            + (" Refinement drops top items and leaves these whole." if refined else "")
        )
    most = max(map(len, played.values()))
    clients = {judge["id"]: judge["client"] for judge in board["judges"]}
    alone = sorted(
        judge
        for judge, shown in played.items()
        if len(shown) < most and reads_words(clients[judge])
    )
    if alone:
        notes.append(
            f"{', '.join(alone)}: reads projected words however topics are shown, so it plays in "
            "one representation."
        )
    return notes


_TIES = {
    False: (
        ", and a tie counts as half a win for each. Elo (Bradley-Terry, 400·log10, mean 1500) "
        "therefore describes the expected score, not the probability of a win: 100 points ahead "
        "means 64 % of the points."
    ),
    True: (
        ". Ties have a parameter of their own (Davidson 1970). Elo (400·log10, mean 1500) "
        "describes the comparisons that have a winner: 100 points ahead means winning 64 % of them."
    ),
}


def fit_notes(view: BoardView) -> list[str]:
    """Returns how fits started and ended, as far as their records tell it."""
    started: set[str] = set()
    stopped: dict[str, list[str]] = {}
    leaves: dict[str, list[str]] = {}
    for row in view.fits():
        name = view.name(row)
        where = f"{row['corpus']}, {k_text(row['k'], row['k_spec'])}"
        told = [each or {} for each in row.get("cautions", ())]
        if any("start" in each for each in told):
            started.add(name)
        if unmet := sum("converged" in each for each in told):
            stopped.setdefault(where, []).append(f"{name} {unmet} of {len(told)}")
        if largest := [each["largest_cluster"] for each in told if "largest_cluster" in each]:
            shares = ", ".join(percent(share) for share in largest)
            leaves.setdefault(where, []).append(f"{name} {shares}")
    notes = []
    if started:
        notes.append(
            "Fits start from clusters of the documents, not from random topics: "
            f"{', '.join(sorted(started))}."
        )
    if stopped:
        notes.append(
            f"Fits that ran out of iterations before they converged: {_by_place(stopped)}."
        )
    if leaves:
        notes.append(
            "HDBSCAN by excess of mass put nearly all documents into one cluster, so leaves of its "
            f"tree stand instead; that cluster's share, by seed: {_by_place(leaves)}."
        )
    return notes


def _by_place(named: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{where}: {', '.join(named[where])}" for where in named)


CORRELATION_NOTE = (
    "Pearson correlation of matched topics' shares over the documents, summed and divided by the "
    "larger number of topics: 1 where two models sort the documents alike, 0 where they have "
    "nothing in common. Mean over the seeds that both models have, with half its interval."
)


def metric_notes(view: BoardView) -> list[str]:
    """Returns how to read the metrics of this board."""
    if not view.board["metrics"]:
        return []
    lacking = [
        f"Metric {row['metric']}: {lacking_text(row, row['decoding'])}"
        for row in view.board.get("metric_replies", ())
    ]
    names = sorted({row["metric"] for row in view.board["metrics"]})
    return [
        *lacking,
        "A value is the mean over seeds, ± the half-width of its t-interval over seeds (none for "
        "a single seed, for seeds that agree exactly, or for a metric over seeds). With two seeds "
        "these intervals are wide.",
        "Projected words are the words that a topic's documents use; on them, and on gold labels, "
        "all models compare. Values over a model's own items do not compare between words and SAE "
        "features, nor do perplexities.",
        "Bold: the best value whose interval overlaps with no other's.",
        *(f"{FAULTY} {name}: {faults}" for name in names if (faults := faults_of(name))),
    ]
