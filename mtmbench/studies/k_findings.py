"""One plain sentence per corpus, model and measure of K, and one of all measures together.

No K is called the best that others cannot be told from: those are named with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from mtmbench.boards.numbers import Form, signed, within
from mtmbench.studies.findings import joined
from mtmbench.studies.k_rows import KFinding, KMeasureFacts, KRow


def k_findings(measures: Sequence[KMeasureFacts], rows: Sequence[KRow]) -> list[KFinding]:
    """Returns, for each corpus and model, what the measures say together, then each by itself."""
    found: list[KFinding] = []
    for corpus, model in dict.fromkeys((row["corpus"], row["model"]) for row in rows):
        told = [
            (measure, own)
            for measure in measures
            if (
                own := [
                    row
                    for row in rows
                    if (row["corpus"], row["model"], row["measure"])
                    == (corpus, model, measure["name"])
                ]
            )
        ]
        texts: list[tuple[str | None, str]] = [(None, _together(told))]
        texts += [(measure["name"], measure_sentence(measure, own)) for measure, own in told]
        found += [
            {"corpus": corpus, "model": model, "measure": name, "text": text}
            for name, text in texts
            if text
        ]
    return found


def measure_sentence(measure: KMeasureFacts, rows: Sequence[KRow]) -> str:
    """Returns which K are best by a measure, and which cannot be told from the best."""
    title = _start(measure["title"])
    had = [row for row in rows if row["mean"] is not None]
    if not had:
        return f"{title}: no K has a value ({rows[0]['reason']})."
    best = next(row for row in had if row["standing"] == "best")
    how = "highest" if measure["higher_is_better"] else "lowest"
    number = number_form(measure["name"])
    ends = within(best["lo"], best["hi"], number)
    seeds = best["n_seeds"]
    start = f"{title} is {how} at K = {best['k']}, {number(best['mean'] or 0.0)}{ends}"
    missing = [row for row in rows if row["mean"] is None]
    left = f"; {_ks(missing)} {_has(missing)} no value ({missing[0]['reason']})" if missing else ""
    if len(had) == 1:
        return f"{start}, the only K with a value{left}."
    alike = [row for row in had if row["standing"] == "like the best"]
    worse = [row for row in had if row["standing"] == "worse"]
    other = "higher" if how == "lowest" else "lower"
    if all(row["p"] is None for row in had):
        return f"{start}; {_no_spread(had, seeds)}, so no K can be told from another{left}."
    parts = [f"{_ks(alike)} cannot be told from it with {_n(seeds)}"] if alike else []
    if worse:
        parts.append(f"{_ks(worse)} {'is' if len(worse) == 1 else 'are'} {other}")
    return f"{start}; {'; '.join(parts)}{left}."


def number_form(measure: str) -> Form:
    """Returns how a measure's numbers are written: perplexities without decimals."""
    return partial(signed, digits=0 if measure == "perplexity" else 3)


def among_the_best(rows: Sequence[KRow]) -> list[int]:
    """Returns the K that are best by a measure or cannot be told from the best."""
    return [row["k"] for row in rows if row["standing"] in ("best", "like the best")]


def _together(told: Sequence[tuple[KMeasureFacts, Sequence[KRow]]]) -> str:
    """Returns which K no measure rules out, or that the measures disagree; empty for one alone."""
    sets = {m["title"]: among_the_best(rows) for m, rows in told if among_the_best(rows)}
    if len(sets) < 2:
        return ""
    ks = sorted({k for own in sets.values() for k in own})
    every = [k for k in ks if all(k in own for own in sets.values())]
    silent = [
        m["title"]
        for m, rows in told
        if among_the_best(rows) and not any(row["standing"] == "worse" for row in rows)
    ]
    tells = [title for title in sets if title not in silent]
    if not tells:
        return f"No K can be told from another by any of the {len(sets)} measures."
    if not every:
        which = "; ".join(f"{title}: K = {joined(list(map(str, sets[title])))}" for title in tells)
        return f"The measures disagree: no K is among the best by all of them. Best by {which}."
    verb = "is" if len(every) == 1 else "are"
    text = (
        f"K = {joined(list(map(str, every)))} {verb} best, or cannot be told from the best, by all "
        f"{len(sets)} measures"
    )
    quiet = f" ({joined(silent)} {'tells' if len(silent) == 1 else 'tell'} no K apart)"
    return f"{text}{quiet if silent else ''}."


def _no_spread(rows: Sequence[KRow], seeds: int) -> str:
    if seeds == 1 and all(row["n_seeds"] == 1 for row in rows):
        few = rows[0]["measure"] == "stability"
        return "fewer than three seeds have no interval of it" if few else "one seed has no spread"
    return "all seeds agree, which is no spread"


def _ks(rows: Sequence[KRow]) -> str:
    return f"K = {joined([str(row['k']) for row in rows])}"


def _has(rows: Sequence[KRow]) -> str:
    return "has" if len(rows) == 1 else "have"


def _n(seeds: int) -> str:
    return f"{seeds} seed{'' if seeds == 1 else 's'}"


def _start(title: str) -> str:
    return title[0].upper() + title[1:]
