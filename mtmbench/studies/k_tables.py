"""Records of ``study k`` to its rows: means over seeds, and differences to the best K by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from mtmbench.core.records import SCHEMA_VERSION, FitRecord, StoredRecord, of_kind
from mtmbench.core.serialise import rounded
from mtmbench.engine.plan import Plan
from mtmbench.matches.match import fold
from mtmbench.metrics.registry import METRICS
from mtmbench.stats.intervals import mean_interval, pair_pseudo_values
from mtmbench.stats.paired import ALPHA, NO_SPREAD, holm, paired_difference
from mtmbench.studies.flows import pairwise_fits, topic_fates
from mtmbench.studies.k_design import JUDGE, MEASURES
from mtmbench.studies.k_rows import (
    FlowFacts,
    FlowStep,
    FlowTopic,
    KMeasureFacts,
    KRow,
    KStudyTables,
    TopicFlows,
)
from mtmbench.studies.tables import study_errors

_CONFIDENCE, _DIGITS = 0.95, 4
_LABEL_WORDS = 3

_Place = tuple[str, str, str, int]
"""Corpus, measure, model and K."""
_Values = dict[_Place, dict[int, float]]
_Reasons = dict[_Place, str]


def k_study_json(
    plan: Plan, records: Sequence[StoredRecord], flows: Mapping[tuple[str, str], FlowFacts]
) -> KStudyTables:
    """Returns the content of ``study.json``; equal records and flows give an equal one."""
    from mtmbench.studies.k_findings import k_findings

    suite = plan.suite
    judge = None if suite.judging is None else suite.judging.judges[0]
    measures = _measures(judge)
    rows = k_rows(plan, records, measures)
    return {
        "schema": SCHEMA_VERSION,
        "study": "k",
        "question": "How many topics?",
        "models": list(dict.fromkeys(fit.competitor.name for fit in plan.fits)),
        "ks": sorted({fit.k for fit in plan.fits}),
        "seeds": list(suite.seeds),
        "judge": judge,
        "confidence": _CONFIDENCE,
        "corpora": [
            {
                "name": corpus.name,
                "revision": corpus.revision,
                "n_docs": len(corpus),
                "n_labels": corpus.n_labels,
            }
            for corpus in plan.corpora.values()
        ],
        "measures": [m for m in measures if any(row["measure"] == m["name"] for row in rows)],
        "rows": rows,
        "findings": k_findings(measures, rows),
        "flows": _flows(plan, records, flows),
        "notes": _notes(judge),
        "errors": study_errors(records),
        "versions": sorted({r.versions["mtmbench"] for r in records if "mtmbench" in r.versions}),
    }


def k_rows(
    plan: Plan, records: Sequence[StoredRecord], measures: Sequence[KMeasureFacts]
) -> list[KRow]:
    """Returns a row per corpus, measure, model and K, in that order.

    The best K of a model has the best mean, the smallest such K of equals. Means are over the seeds
    that all its K have, where there are two or more of those. The others are held against it,
    paired by seed, and are "worse" where the difference is for the worse and its p, corrected by
    Holm's method for all of them, is below 0.05, else "like the best". Without a p, one seed or
    seeds that agree, nothing is worse.
    """
    values, reasons = _collect(plan, records)
    models = list(dict.fromkeys(fit.competitor.name for fit in plan.fits))
    rows: list[KRow] = []
    for corpus in plan.corpora:
        for measure in measures:
            for model in models:
                group = corpus, measure["name"], model
                ks = sorted({place[3] for place in (*values, *reasons) if place[:3] == group})
                rows += _model_rows(group, ks, measure, values, reasons)
    return rows


def _measures(judge: str | None) -> list[KMeasureFacts]:
    found: list[KMeasureFacts] = [
        {"name": m.name, "title": m.title, "higher_is_better": not m.lower} for m in MEASURES
    ]
    if judge is not None:
        title = f"share won against other K by {judge}"
        found.append({"name": JUDGE, "title": title, "higher_is_better": True})
    return found


def _collect(plan: Plan, records: Sequence[StoredRecord]) -> tuple[_Values, _Reasons]:
    """Returns each measure's values by seed; of stability they are pseudo-values over its pairs."""
    fits = {fit.key: fit for fit in plan.fits}
    values: _Values = {}
    reasons: _Reasons = {}
    for record in of_kind(records, "metric"):
        payload = record.payload
        fit, value = fits[payload["fits"][0]], payload.get("value")
        place = fit.corpus, payload["metric"], fit.competitor.name, fit.k
        if record.status != "ok" or value is None:
            what = "error: " if record.status == "error" else ""
            reasons[place] = f"{what}{payload.get('reason') or 'no value'}"
        elif payload["metric"] == "stability":
            seeds = [fits[key].seed for key in payload["fits"]]
            pairs = payload["details"]["overlaps"]
            told = pair_pseudo_values(pairs, len(seeds)) or [value]
            values[place] = dict(zip(seeds, told, strict=False))
        else:
            values.setdefault(place, {})[fit.seed] = value
    scores: dict[tuple[_Place, int], list[float]] = {}
    for match in of_kind(records, "match"):
        told_of = match.payload
        a, b = (fits[told_of[side]["fit"]] for side in ("a", "b"))
        places = [(fit.corpus, JUDGE, fit.competitor.name, fit.k) for fit in (a, b)]
        if match.status != "ok":
            for place in places:
                reasons[place] = f"a match has no outcome: {told_of.get('reason') or match.status}"
            continue
        for both in zip(told_of["forward"], told_of["backward"], strict=True):
            score = fold(*both)
            if score is not None:
                scores.setdefault((places[0], a.seed), []).append(score)
                scores.setdefault((places[1], b.seed), []).append(1 - score)
    for (place, seed), own in scores.items():
        values.setdefault(place, {})[seed] = fmean(own)
    return values, reasons


def _model_rows(
    group: tuple[str, str, str],
    ks: Sequence[int],
    measure: KMeasureFacts,
    values: _Values,
    reasons: _Reasons,
) -> list[KRow]:
    sign = 1 if measure["higher_is_better"] else -1
    had = {k: values[*group, k] for k in ks if values.get((*group, k))}
    own = _of_shared_seeds(had)
    best = max(own, key=lambda k: (sign * fmean(own[k].values()), -k), default=None)
    others = [k for k in own if k != best]
    compared = {k: paired_difference(own[k], own[best], _CONFIDENCE) for k in others if best}
    corrected = dict(zip(others, holm([compared[k].p for k in others]), strict=True))
    rows: list[KRow] = []
    for k in ks:
        lost = reasons.get((*group, k))
        row = _row(group, k, own.get(k, {}), lost)
        if not lost and k in own and len(own[k]) < len(had[k]):
            row["reason"] = "over the seeds that all K have"
        if k == best:
            row["standing"] = "best"
        elif k in compared:
            found, p = compared[k], corrected[k]
            # K that share too few seeds may differ by them: the best mean can be worse where both
            # have a value.
            worse = found.mean is not None and sign * found.mean < 0 and p is not None and p < ALPHA
            row = {
                **row,
                "standing": "worse" if worse else "like the best",
                "difference": rounded(found.mean, _DIGITS),
                "difference_lo": rounded(found.lo, _DIGITS),
                "difference_hi": rounded(found.hi, _DIGITS),
                "p": rounded(found.p, 6),
                "p_holm": rounded(p, 6),
                "n_paired": found.n,
                "n_compared": len(others),
            }
        rows.append(row)
    return rows


def _of_shared_seeds(values: Mapping[int, Mapping[int, float]]) -> dict[int, Mapping[int, float]]:
    """Returns each K's values under the seeds that all K have, or all if those are fewer than two.

    A seed that is bad for every K would else count against those alone that have a value under it.
    """
    shared = set.intersection(*map(set, values.values())) if values else set()
    if len(shared) < 2:
        return dict(values)
    return {k: {seed: own[seed] for seed in own if seed in shared} for k, own in values.items()}


def _row(group: tuple[str, str, str], k: int, found: Mapping[int, float], lost: str | None) -> KRow:
    corpus, measure, model = group
    mean = lo = hi = None
    reason = lost or "no value"
    if found:
        least, most = (0.0, 1.0) if measure == JUDGE else METRICS.get(measure).bounds
        mean, lo, hi = mean_interval([found[seed] for seed in sorted(found)], _CONFIDENCE)
        if lo is not None and hi is not None and hi - lo < NO_SPREAD:
            lo = hi = None
        lo, hi = (None if end is None else min(most, max(least, end)) for end in (lo, hi))
        reason = f"some seeds without a value: {lost}" if lost else ""
        if not lost and lo is None:
            one = (
                "no interval: fewer than three seeds"
                if measure == "stability"
                else ("no interval: one seed")
            )
            reason = one if len(found) == 1 else "no interval: all seeds agree"
    return {
        "corpus": corpus, "measure": measure, "model": model, "k": k, "n_seeds": len(found),
        "mean": rounded(mean, _DIGITS), "lo": rounded(lo, _DIGITS), "hi": rounded(hi, _DIGITS),
        "standing": None, "difference": None, "difference_lo": None, "difference_hi": None,
        "p": None, "p_holm": None, "n_paired": None, "n_compared": None, "reason": reason or None,
    }  # fmt: skip


def _flows(
    plan: Plan, records: Sequence[StoredRecord], flows: Mapping[tuple[str, str], FlowFacts]
) -> list[TopicFlows]:
    played = {record.key: record for record in of_kind(records, "fit") if record.status == "ok"}
    found: dict[tuple[str, str], tuple[int, list[FlowTopic], list[FlowStep]]] = {}
    for first, second in pairwise_fits(plan):
        name = first.corpus, first.competitor.name
        _, topics, steps = found.setdefault(name, (first.seed, [], []))
        for fit in (first, second):
            if fit.key in played and not any(topic["k"] == fit.k for topic in topics):
                topics += _topics(fit.k, played[fit.key])
        if (facts := flows.get((first.key, second.key))) is not None:
            fates, new = topic_fates(facts)
            steps.append({"k_from": first.k, "k_to": second.k, **facts, "fates": fates, "new": new})
    return [
        {"corpus": corpus, "model": model, "seed": seed, "topics": topics, "steps": steps}
        for (corpus, model), (seed, topics, steps) in found.items()
        if steps
    ]


def _topics(k: int, fit: FitRecord) -> list[FlowTopic]:
    """Returns the topics of a fit, called by their first words: their own, or their documents'."""
    words = fit.payload["items"]["kind"] == "words"
    return [
        {
            "k": k,
            "topic": number,
            "label": ", ".join((topic["items"] if words else topic["words"])[:_LABEL_WORDS])
            or "no words",
            "share": topic["share"],
        }
        for number, topic in enumerate(fit.payload["topics"])
    ]


def _notes(judge: str | None) -> list[str]:
    notes = [
        "Intervals are 95 % t-intervals over the seeds of a fit, on one set of documents: they say "
        "nothing of other documents. Of stability, a mean over pairs of seeds, they are over its "
        "jackknife pseudo-values, one a seed; ends are kept within what a measure can be.",
        "A K cannot be told from the best where the difference between the two, paired by seed, "
        "has a p of at least 0.05 after Holm's correction for all K that are held against the "
        "best; that is no proof that they are alike, and with few seeds little can be told. The "
        "best mean of several is picked because it is the best, so it flatters its K.",
        "Measures have slopes of their own: more topics can follow documents and labels more "
        "closely whatever they are worth, and are harder to find again. None of them says alone "
        "how many topics there are. Where K comes near the number of documents, topics are single "
        "documents, which every seed finds again.",
        "Topics are matched by where the mass of their documents goes, first seeds, each K to the "
        "next. A part of a topic is another one that holds a quarter of it or more, or half of "
        "which comes from it. Kept is a topic with one part, which holds half of it or more and is "
        "no other's; split, one with several that hold half of it together; merged, one that "
        "shares its one part with others; vanished, one whose parts hold less than half of it; "
        "new, one that is part of none.",
    ]
    if judge is not None:
        notes.insert(
            2,
            f"By {judge} each K of a model plays against each other K of it, the fits of a seed "
            "among themselves, on the same documents; the share won counts a tie as half, so the "
            "mean over K is a half. Topics are shown by the words of the documents of the other "
            "half of the corpus. A judge is shown at most two topics of a document: a larger K may "
            "win by describing it more closely, not by better topics.",
        )
    return notes
