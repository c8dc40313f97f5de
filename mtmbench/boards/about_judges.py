"""What a board says of its judges: who ruled, how they behave and agree, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from mtmbench.boards.cells import ALL
from mtmbench.boards.league_view import LeagueView
from mtmbench.boards.numbers import DASH, estimate, fixed, interval, percent, shown
from mtmbench.boards.rows.judges import ControlRow, JudgeRow, ShareRow
from mtmbench.boards.spending import cost_text, lacking_text
from mtmbench.boards.terms import SHOWN, k_text, who_ruled
from mtmbench.boards.view import BoardView
from mtmbench.core.tables import ShownTable
from mtmbench.matches.controls import LEAST_SCORE

_UNPARSED_LIMIT = 0.05


def judge_notes(judge: JudgeRow) -> list[str]:
    """Returns what a reader must know about who ruled."""
    notes = []
    if judge["is_llm"]:
        notes.append("A language model ruled.")
        if "model" in judge:
            where = urlsplit(judge.get("endpoint") or "").netloc
            notes.append(f"It is {judge['model']}{f', asked at {where}' if where else ''}.")
    elif who_ruled(judge) == "people":
        notes.append("People ruled.")
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
