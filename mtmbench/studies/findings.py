"""One plain sentence per corpus, model and metric: what the numbers bear, and no more."""

from __future__ import annotations

from collections.abc import Sequence

from mtmbench.boards.numbers import interval, shown, signed
from mtmbench.stats.paired import ALPHA
from mtmbench.studies.design import STUDY_METRICS, Design, Point
from mtmbench.studies.rows import Finding, StudyRow

_Told = tuple[Point, StudyRow]
"""A row with its setting."""


def findings(design: Design, rows: Sequence[StudyRow]) -> list[Finding]:
    """Returns a finding per corpus, model, series and metric, a corpus's first metric leading.

    All metrics of a study are better when higher. A difference is called one only where its
    p-value, corrected by Holm's method for every setting held against the baseline, is below 0.05.
    """
    points = {point.name: point for point in design.points}
    groups: dict[tuple[str, str, str, str], list[_Told]] = {}
    for row in rows:
        if row["setting"] is not None:
            point = points[row["setting"]]
            key = (row["corpus"], row["model"], point.series, row["metric"])
            groups.setdefault(key, []).append((point, row))
    leading: dict[tuple[str, str, str], str] = {}
    for corpus, model, series, metric in groups:
        leading.setdefault((corpus, model, series), metric)
    titles = {metric.name: metric.title for metric in STUDY_METRICS}
    order = {metric.name: i for i, metric in enumerate(STUDY_METRICS)}
    return [
        {
            "corpus": key[0],
            "model": key[1],
            "series": key[2],
            "metric": key[3],
            "leads": leading[key[:3]] == key[3],
            "text": f"{_start(titles[key[3]])}: {_sentence(groups[key])}",
        }
        for key in sorted(groups, key=lambda key: (*key[:3], order[key[3]]))
    ]


def differs(row: StudyRow) -> bool:
    """Whether a row's difference to the baseline lies beyond the spread over seeds."""
    return row["p_holm"] is not None and row["p_holm"] < ALPHA


def joined(names: Sequence[str]) -> str:
    """Returns "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _sentence(rows: Sequence[_Told]) -> str:
    had = [(point, row) for point, row in rows if row["mean"] is not None]
    if not had:
        return f"no setting has a value ({rows[0][1]['reason']})."
    base = next((point, row) for point, row in rows if point.baseline)
    others = [(point, row) for point, row in had if not point.baseline]
    name = _name(*base)
    if base[1]["mean"] is None:
        verdict = f"{name} has no value ({base[1]['reason']}), so nothing is compared"
    elif not others:
        verdict = f"{name} alone has a value, so nothing is compared"
    else:
        verdict = _verdict(name, others)
    missing = len(rows) - len(had)
    left = f"; {missing} of {len(rows)} settings have no value" if missing else ""
    highest = f"; {_highest(had)}" if len(had) > 1 else ""
    return f"{verdict}{highest}{left}."


def _verdict(name: str, others: Sequence[_Told]) -> str:
    rows = [row for _, row in others]
    if all(row["difference"] == 0 and row["p"] is None for row in rows):
        return f"every setting gives what {name} gives"
    if all(row["p"] is None for row in rows):
        if max(row["n_paired"] or 0 for row in rows) < 2:
            return f"one seed has no spread, so no difference from {name} is established"
        return f"all seeds agree, so there is no spread to hold differences from {name} against"
    higher = [point for point, row in others if differs(row) and _side(row) > 0]
    lower = [point for point, row in others if differs(row) and _side(row) < 0]
    alone = _alone(others)
    if not higher and not lower:
        return f"no difference beyond the spread over seeds from {name}{alone}"
    parts = [
        f"{_listed(found)} {'is' if len(found) == 1 else 'are'} {how} than {name}"
        for found, how in ((higher, "higher"), (lower, "lower"))
        if found
    ]
    none = "" if higher else "; none is higher"
    return f"beyond the spread over seeds, {', and '.join(parts)}{none}{alone}"


def _alone(others: Sequence[_Told]) -> str:
    """Names what would differ if nothing else had been compared: unproven, but not ruled out."""
    told = []
    for sign, how in ((1, "higher"), (-1, "lower")):
        found = [
            point
            for point, row in others
            if row["p"] is not None
            and row["p"] < ALPHA
            and not differs(row)
            and sign * _side(row) > 0
        ]
        if found:
            told.append(f"{_listed(found)} would be {how}")
    return f", though taken alone {' and '.join(told)}" if told else ""


def _side(row: StudyRow) -> float:
    """Returns the difference to the baseline, 0 where nothing is compared."""
    return row["difference"] or 0.0


def _highest(had: Sequence[_Told]) -> str:
    # Of equal means the baseline, then the first, is named.
    point, row = max(had, key=lambda told: (told[1]["mean"] or 0.0, told[0].baseline))
    of = f"the highest mean of the {len(had)} settings"
    if point.baseline:
        return f"{of} is the {point.role}'s own"
    place = f"{of} is at {point.label}, {shown(row['mean'], signed)}"
    gap = _gap(row)
    return place if gap is None else f"{place}, by {gap}"


def _gap(row: StudyRow) -> str | None:
    """Returns by how much a row differs from the baseline, and how sure that is."""
    if row["difference"] is None:
        return None
    size = signed(row["difference"], plus=True)
    if row["difference_lo"] is None or row["p_holm"] is None:
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


def _listed(points: Sequence[Point]) -> str:
    """Lists labels; what all begin with ("quantile") is said once."""
    labels = [point.label for point in points]
    starts = {label.partition(" ")[0] for label in labels}
    if len(starts) == 1 and all(point.x is not None for point in points):
        labels = [labels[0], *(label.partition(" ")[2] for label in labels[1:])]
    return joined(labels)


def _name(point: Point, row: StudyRow) -> str:
    label = "" if point.label == "default" else point.label
    value = "" if row["mean"] is None else signed(row["mean"])
    inside = ", ".join(part for part in (label, value) if part)
    return f"the {point.role} ({inside})" if inside else f"the {point.role}"


def _start(title: str) -> str:
    return title[0].upper() + title[1:]
