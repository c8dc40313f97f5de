"""The sentences that stand beside a board's tables, so that nobody reads more into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from mtmbench.boards.cells import ALL
from mtmbench.boards.labels import label_notes
from mtmbench.boards.numbers import DASH, estimate, fixed, interval, percent, shown, signed, within
from mtmbench.boards.rows import BoardTables, ControlRow, JudgeRow, ShareRow
from mtmbench.boards.shown import shown_notes
from mtmbench.boards.spending import cost_text, lacking_text, total_note
from mtmbench.boards.view import SHOWN, BoardView, LeagueView, k_text
from mtmbench.core.cards import Representation
from mtmbench.core.tables import ShownTable
from mtmbench.judges.registry import reads_words
from mtmbench.matches.controls import LEAST_SCORE
from mtmbench.stats.elo import SEQUENTIAL_K

_UNPARSED_LIMIT = 0.05

STEERING_NOTE = "Text was steered by topics too, beside controls (mtmbench steer writes the table)."


def judge_notes(judge: JudgeRow) -> list[str]:
    """Returns what a reader must know about who ruled."""
    notes = []
    if judge["is_llm"]:
        notes.append("A language model ruled.")
        if "model" in judge:
            where = urlsplit(judge.get("endpoint") or "").netloc
            notes.append(f"It is {judge['model']}{f', asked at {where}' if where else ''}.")
    else:
        notes.append("This judge is a proxy, not a language model.")
    if (judge["version"] or 1) > 1 or "version" in judge["params"]:
        notes.append(f"It ruled as version {judge['version']} of {judge['client']}.")
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
    if "wordless" in judge:
        notes.append(
            f"Of {judge['worded']:,} options by projected words {judge['wordless']:,} had none: no "
            "word is in enough documents of the half that they are taken from."
        )
    if judge["order_free"]:
        notes.append(
            "Its verdict cannot depend on the order of the options, so one call is recorded as "
            "both orders; first-slot and flip rates do not apply."
        )
    return notes


def judge_warnings(
    judge: JudgeRow, leagues: Sequence[LeagueView], controls: Sequence[ControlRow]
) -> list[str]:
    """Returns warnings: an unreliable judge; over 5 % of answers removed; replies without text."""
    warnings = []
    if judge["reliable"] is False:
        warnings.append(
            f"Unreliable{_failed_by(controls)}: this judge does not prefer a document's own topics "
            f"to those of another document by a folded score whose lower bound exceeds "
            f"{LEAST_SCORE:.2f}. Its ratings should not be used."
        )
    audit = judge["audit"]
    for share, what in (
        (audit["unparsed_rate"], "could not be parsed"),
        (audit["refused_rate"], "were refusals"),
    ):
        rate = share["value"]
        if rate is not None and rate > _UNPARSED_LIMIT:
            warnings.append(
                f"{percent(rate)} of this judge's answers {what}; the ratings rest on the others, "
                "which need not be a fair sample."
            )
    if lacking := lacking_text(judge, judge["params"]):
        warnings.append(lacking)
    removed: dict[str, float] = {}
    for league in leagues:
        for name, row in zip(league.names, league.rows, strict=True):
            gone = row["unparsed"] + row["refused"]
            total = gone + row["wins"] + row["losses"] + row["ties"]
            if total and gone / total > _UNPARSED_LIMIT:
                removed[name] = max(removed.get(name, 0.0), gone / total)
    if removed:
        listed = ", ".join(f"{name} {percent(removed[name])}" for name in sorted(removed))
        warnings.append(
            "In some table more than 5 % of these models' comparisons were removed, because an "
            f"answer was unparsed or refused (at most): {listed}."
        )
    return warnings


def _failed_by(controls: Sequence[ControlRow]) -> str:
    """Returns how topics were shown where the judge failed; empty where in one way alone."""
    tested = [row for row in controls if row["control"] == "other_topic" and row["model"] is None]
    if len({row["representation"] for row in tested}) < 2:
        return ""
    failed = {SHOWN[row["representation"]]: None for row in tested if row["passed"] is False}
    return f" where topics are shown by {', '.join(failed)}"


def control_table(view: BoardView, controls: Sequence[ControlRow]) -> ShownTable:
    """Returns a judge's null controls, pooled and then by model."""
    header = ["control", "corpus", "model", "value", "interval", "answers or documents"]
    several = len({row["representation"] for row in controls}) > 1
    rows = []
    for row in controls:
        shown = _CONTROLS[row["control"]]
        if several or row["representation"] != "items":
            shown += f", {SHOWN[row['representation']]}"
        verdict = {True: " (passed)", False: " (FAILED)", None: ""}[row["passed"]]
        value = row["reason"] or DASH if row["value"] is None else percent(row["value"])
        where = who = "all"
        if row["model"] is not None:
            where = f"{row['corpus']}, {k_text(row['k'], row['k_spec'])}"
            who = view.name({"model": row["model"], "setting": row["setting"]})
        rows.append(
            [
                shown,
                where,
                who,
                value + verdict,
                interval(row["lo"], row["hi"], percent) or DASH,
                f"{row['n']:,}",
            ]
        )
    return ShownTable(header, rows)


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


CONTROL_NOTE = (
    "Null controls, with intervals over documents. First slot: raw share among decisive answers, "
    "50 % without bias. Against its refit: a model's score against its own fit under another seed, "
    "over the documents put to the judge; it says how far a seed moves a score. Own topics: the "
    "score of a document's topics against those of a document with another top topic; the lower "
    f"bound must exceed {LEAST_SCORE:.2f}. Asked again: share of answers that stay the same."
)
_CONTROLS = {
    "first_slot": "first slot",
    "refit": "against its refit",
    "other_topic": "own topics against another document's",
    "repeat": "asked again",
}


def audit_line(judge: JudgeRow) -> str:
    """Returns a judge's behaviour in one line."""
    audit = judge["audit"]
    parts = [f"{audit['documents']:,} comparisons", f"{judge['calls']:,} calls"]
    if audit["ruled"]:
        parts.append(f"{audit['ruled']:,} decided by rule")
    for share, label in (
        (audit["tie_rate"], "ties"),
        (audit["first_slot_rate"], "first slot preferred"),
        (audit["flip_rate"], "verdict differs by order"),
        (audit["unparsed_rate"], "unparsed"),
        (audit["refused_rate"], "refused"),
    ):
        if share["value"] is not None:
            parts.append(f"{label} {percent(share['value'])}")
    if judge["usage"]:
        parts += [f"{tokens:,} {kind} tokens" for kind, tokens in sorted(judge["usage"].items())]
        parts.append(f"cost {cost_text(judge['cost'])}")
    return " · ".join(parts)


def agreement_tables(view: BoardView) -> tuple[ShownTable, ShownTable, list[str]]:
    """Returns how judges behave, how far they agree, and where pairs of them differ most."""
    rows, apart = [], []
    several = len({row["representation"] for row in view.board["agreement"]}) > 1
    for row in view.board["agreement"]:
        corpus = "all corpora" if row["corpus"] == ALL else row["corpus"]
        where = f"{corpus}, {k_text(row['k'], row['k_spec'])}"
        if several or row["representation"] != "items":
            where += f", {SHOWN[row['representation']]}"
        who = ", ".join(row["judges"])
        rows.append(
            [
                who, where, f"{row['n_items']:,}",
                estimate(row.get("kappa"), row.get("kappa_lo"), row.get("kappa_hi"), fixed(3)),
                estimate(row["alpha"], row["alpha_lo"], row["alpha_hi"], fixed(3)),
                shown(row.get("opposed"), percent),
                shown(row.get("kendall_tau"), fixed(3)), shown(row.get("spearman"), fixed(3)),
            ]
        )  # fmt: skip
        if row.get("pairs"):
            listed = "; ".join(
                f"{view.name(pair['a'])} against {view.name(pair['b'])} "
                f"({pair['difference']:+.2f} by {row['judges'][0]})"
                for pair in row["pairs"]
            )
            opposed = "; ".join(
                f"{'' if row['corpus'] != ALL else one['corpus'] + ' '}{one['document']} "
                f"({one['opposed']} of {one['n']})"
                for one in row["documents"]
            )
            apart.append(
                f"{who}, {where}: {listed}. Most opposite winners on the documents {opposed}."
                if opposed
                else f"{who}, {where}: {listed}."
            )
    behaviour = [
        [
            judge["id"],
            _share(judge["audit"]["first_slot_rate"]),
            _share(judge["audit"]["flip_rate"]),
            _share(judge["audit"]["tie_rate"]),
            _share(next((r for r in controls if r["control"] == "repeat"), None)),
        ]
        for judge, controls in ((entry.judge, entry.controls) for entry in view.judges())
    ]
    return (
        ShownTable(
            ["judge", "first slot", "verdict differs by order", "ties", "same when asked again"],
            behaviour,
        ),
        ShownTable(
            ["judges", "where", "items", "Cohen's kappa", "Krippendorff's alpha",
             "opposite winners", "Kendall's tau of Elo", "Spearman's rho"],
            rows,
        ),
        apart,
    )  # fmt: skip


AGREEMENT_NOTE = (
    "An item is one document and pair of models; its categories are a win of either or a tie, both "
    "orders folded. Intervals resample documents. Kappa and alpha are 0 at chance and 1 at perfect "
    "agreement; judges may agree on every ranking and yet not on single items."
)


def _share(rate: ShareRow | ControlRow | None) -> str:
    return DASH if rate is None else estimate(rate["value"], rate["lo"], rate["hi"], percent)


def rating_notes(view: BoardView) -> list[str]:
    """Returns how to read the ratings of this board."""
    board = view.board
    if not board["ratings"]:
        return []
    davidson = any(table.get("nu") is not None for table in board["win_rates"])
    adaptive = any(table.get("adaptive") for table in board["win_rates"])
    level = percent(board["win_rates"][0]["confidence"] or 0.95, 0)
    drawn = "Intervals are over" if adaptive else f"Intervals ({level}) resample"
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
    return [
        *lacking,
        "A value is the mean over seeds, ± the half-width of its t-interval over seeds (none for "
        "a single seed, for seeds that agree exactly, or for a metric over seeds). With two seeds "
        "these intervals are wide.",
        "Projected words are the words that a topic's documents use; on them, and on gold labels, "
        "all models compare. Values over a model's own items do not compare between words and SAE "
        "features, nor do perplexities.",
        "Bold: the best value whose interval overlaps with no other's.",
    ]
