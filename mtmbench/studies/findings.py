"""One plain sentence per corpus, model and metric: what the numbers bear, and no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mtmbench.boards.numbers import interval, signed
from mtmbench.core.tables import TableRow
from mtmbench.stats.paired import ALPHA
from mtmbench.studies.design import STUDY_METRICS, Design, Point


def findings(design: Design, rows: Sequence[TableRow]) -> list[dict[str, Any]]:
    """Returns a finding per corpus, model, series and metric, a corpus's first metric leading.

    All metrics of a study are better when higher. A difference is called one only where its
    p-value, corrected by Holm's method for every setting held against the baseline, is below 0.05.
    """
    groups: dict[tuple[str, str, str, str], list[TableRow]] = {}
    for row in rows:
        if row["setting"] is not None:
            key = (row["corpus"], row["model"], row["series"], row["metric"])
            groups.setdefault(key, []).append(row)
    leading: dict[tuple[str, str, str], str] = {}
    for corpus, model, series, metric in groups:
        leading.setdefault((corpus, model, series), metric)
    points = {point.name: point for point in design.points}
    titles = {metric.name: metric.title for metric in STUDY_METRICS}
    order = {metric.name: i for i, metric in enumerate(STUDY_METRICS)}
    return [
        {
            "corpus": key[0],
            "model": key[1],
            "series": key[2],
            "metric": key[3],
            "leads": leading[key[:3]] == key[3],
            "text": f"{_start(titles[key[3]])}: {_sentence(points, groups[key])}",
        }
        for key in sorted(groups, key=lambda key: (*key[:3], order[key[3]]))
    ]


def differs(row: TableRow) -> bool:
    """Whether a row's difference to the baseline lies beyond the spread over seeds."""
    return row["p_holm"] is not None and row["p_holm"] < ALPHA


def joined(names: Sequence[str]) -> str:
    """Returns "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _sentence(points: Mapping[str, Point], rows: Sequence[TableRow]) -> str:
    had = [row for row in rows if row["mean"] is not None]
    if not had:
        return f"no setting has a value ({rows[0]['reason']})."
    base = next(row for row in rows if points[row["setting"]].baseline)
    others = [row for row in had if row is not base]
    name = _name(points, base)
    if base["mean"] is None:
        verdict = f"{name} has no value ({base['reason']}), so nothing is compared"
    elif not others:
        verdict = f"{name} alone has a value, so nothing is compared"
    else:
        verdict = _verdict(points, name, others)
    missing = len(rows) - len(had)
    left = f"; {missing} of {len(rows)} settings have no value" if missing else ""
    highest = f"; {_highest(points, had, base)}" if len(had) > 1 else ""
    return f"{verdict}{highest}{left}."


def _verdict(points: Mapping[str, Point], name: str, others: Sequence[TableRow]) -> str:
    if all(row["difference"] == 0 and row["p"] is None for row in others):
        return f"every setting gives what {name} gives"
    if all(row["p"] is None for row in others):
        if max(row["n_paired"] for row in others) < 2:
            return f"one seed has no spread, so no difference from {name} is established"
        return f"all seeds agree, so there is no spread to hold differences from {name} against"
    higher = [row for row in others if differs(row) and row["difference"] > 0]
    lower = [row for row in others if differs(row) and row["difference"] < 0]
    alone = _alone(points, others)
    if not higher and not lower:
        return f"no difference beyond the spread over seeds from {name}{alone}"
    parts = [
        f"{_listed(points, found)} {'is' if len(found) == 1 else 'are'} {how} than {name}"
        for found, how in ((higher, "higher"), (lower, "lower"))
        if found
    ]
    none = "" if higher else "; none is higher"
    return f"beyond the spread over seeds, {', and '.join(parts)}{none}{alone}"


def _alone(points: Mapping[str, Point], others: Sequence[TableRow]) -> str:
    """Names what would differ if nothing else had been compared: unproven, but not ruled out."""
    told = []
    for sign, how in ((1, "higher"), (-1, "lower")):
        found = [
            row
            for row in others
            if row["p"] is not None
            and row["p"] < ALPHA
            and not differs(row)
            and sign * row["difference"] > 0
        ]
        if found:
            told.append(f"{_listed(points, found)} would be {how}")
    return f", though taken alone {' and '.join(told)}" if told else ""


def _highest(points: Mapping[str, Point], had: Sequence[TableRow], base: TableRow) -> str:
    # Of equal means the baseline, then the first, is named.
    best = max(had, key=lambda row: (row["mean"], row is base))
    of = f"the highest mean of the {len(had)} settings"
    if best is base:
        return f"{of} is the {points[base['setting']].role}'s own"
    place = f"{of} is at {points[best['setting']].label}, {signed(best['mean'])}"
    if best["difference"] is None:
        return place
    return f"{place}, by {_gap(best)}"


def _gap(row: TableRow) -> str:
    """Returns by how much a row differs from the baseline, and how sure that is."""
    size = f"{signed(row['difference'], plus=True)}"
    if row["difference_lo"] is None:
        return f"{size} without an interval"
    n = row["n_compared"]
    held = "" if n == 1 else f" after Holm's correction for {n} settings compared"
    return (
        f"{size} (95 % interval, paired over {row['n_paired']} seeds, "
        f"{interval(row['difference_lo'], row['difference_hi'], signed)}; "
        f"p {_p(row['p_holm'])}{held})"
    )


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _listed(points: Mapping[str, Point], rows: Sequence[TableRow]) -> str:
    """Lists labels; what all begin with ("quantile") is said once."""
    labels = [points[row["setting"]].label for row in rows]
    starts = {label.partition(" ")[0] for label in labels}
    if len(starts) == 1 and all(points[row["setting"]].x is not None for row in rows):
        labels = [labels[0], *(label.partition(" ")[2] for label in labels[1:])]
    return joined(labels)


def _name(points: Mapping[str, Point], base: TableRow) -> str:
    point = points[base["setting"]]
    label = "" if point.label == "default" else point.label
    value = "" if base["mean"] is None else signed(base["mean"])
    inside = ", ".join(part for part in (label, value) if part)
    return f"the {point.role} ({inside})" if inside else f"the {point.role}"


def _start(title: str) -> str:
    return title[0].upper() + title[1:]
