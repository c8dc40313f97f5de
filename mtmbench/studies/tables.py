"""Records of a study to its rows: means over seeds, and differences to the baseline by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtmbench.core.records import (
    SCHEMA_VERSION,
    FitRecord,
    MetricRecord,
    StoredRecord,
    of_kind,
)
from mtmbench.core.serialise import rounded
from mtmbench.engine.plan import Plan
from mtmbench.stats.intervals import mean_interval
from mtmbench.stats.paired import NO_SPREAD, Paired, holm, paired_difference
from mtmbench.studies.design import STUDY_METRICS, Design, Point
from mtmbench.studies.rows import (
    BaselineDifference,
    FiringsColumn,
    FiringsRow,
    SettingRow,
    SettingStudy,
    StudyError,
    StudyRow,
)

_CONFIDENCE = 0.95
_DIGITS = 4

FIRINGS: Mapping[FiringsColumn, str] = {
    "features": "features",
    "features_kept": "kept",
    "firings_kept": "counts kept by the filters",
    "counts_per_token": "counts per token",
    "documents_empty": "documents without a count",
}
"""What is told of each setting's counts, by field, with its heading."""


def study_rows(
    design: Design, records: Sequence[StoredRecord], corpora: Sequence[str]
) -> list[StudyRow]:
    """Returns a row per corpus, metric, model and setting, in that order.

    ``mean``, ``lo`` and ``hi`` are over seeds. ``difference`` is to the baseline setting of the
    series, paired by seed, with its own t-interval; ``p_holm`` is its p-value corrected for all
    settings of the series that are held against that baseline. The reference model reads no
    features: its rows have no setting and no difference. What is missing has a reason.
    """
    values, reasons, models = _collect(records)
    rows: list[StudyRow] = []
    for corpus in corpora:
        for metric in STUDY_METRICS:
            for model, reads_features in models.items():
                key = (corpus, metric.name, model)
                if not any(known[:3] == key for known in (*values, *reasons)):
                    continue
                if reads_features:
                    rows += _model_rows(design, key, values, reasons)
                else:
                    rows.append(_row(key, None, values, reasons))
    return rows


def study_json(
    design: Design,
    plan: Plan,
    records: Sequence[StoredRecord],
    firings: Sequence[FiringsRow],
    reference: str | None,
) -> SettingStudy:
    """Returns the content of ``study.json``; equal records and firings give an equal one."""
    from mtmbench.studies.findings import findings

    suite = plan.suite
    rows = study_rows(design, records, list(plan.corpora))
    return {
        "schema": SCHEMA_VERSION,
        "study": design.name,
        "question": design.question,
        "varied": design.x_label,
        "source": suite.features.source,
        "max_tokens": suite.features.max_tokens,
        "models": [name for name in suite.models if name != reference],
        "reference": reference if reference in suite.models else None,
        "seeds": list(suite.seeds),
        "confidence": _CONFIDENCE,
        "corpora": [
            {
                "name": corpus.name,
                "revision": corpus.revision,
                "n_docs": len(corpus),
                "n_labels": corpus.n_labels,
                "k": next(cell.k for cell in plan.fits if cell.corpus == corpus.name),
            }
            for corpus in plan.corpora.values()
        ],
        "settings": [_setting(point) for point in design.points],
        "metrics": [
            {"name": metric.name, "view": metric.view, "title": metric.title}
            for metric in STUDY_METRICS
            if any(row["metric"] == metric.name for row in rows)
        ],
        "firings": firings,
        "rows": rows,
        "findings": findings(design, rows),
        "notes": [*design.notes, *_NOTES],
        "errors": study_errors(records),
        "versions": sorted({r.versions["mtmbench"] for r in records if "mtmbench" in r.versions}),
    }


_NOTES = (
    "Intervals are 95 % t-intervals over the seeds of a fit, on one set of documents each: they "
    "say nothing of other documents or corpora.",
    "A difference is paired by seed. It is called one only if its p-value, corrected by Holm's "
    "method for every setting of the table that is held against the baseline, is below 0.05; each "
    "corpus, model and metric is corrected by itself.",
    "The highest mean of several is picked because it is the highest, so it flatters its setting.",
)


def _setting(point: Point) -> SettingRow:
    return {
        "name": point.name,
        "label": point.label,
        "detail": point.detail,
        "x": point.x,
        "series": point.series,
        "role": point.role,
        "baseline": point.baseline,
        "values": dict(point.values),
    }


def study_errors(records: Sequence[StoredRecord]) -> list[StudyError]:
    """Returns every fit and value that failed, with its reason."""
    fits = [_error(fit, None) for fit in of_kind(records, "fit") if fit.status == "error"]
    values = [value for value in of_kind(records, "metric") if value.status == "error"]
    return [*fits, *(_error(value, value.payload["metric"]) for value in values)]


def _error(record: FitRecord | MetricRecord, metric: str | None) -> StudyError:
    payload = record.payload
    return {
        "kind": record.kind,
        "corpus": payload["corpus"],
        "model": payload["model"],
        "setting": payload["setting"],
        "seed": payload["seed"],
        "metric": metric,
        "reason": payload.get("reason"),
    }


_Key = tuple[str, str, str]
_Place = tuple[str, str, str, str | None]
_Values = dict[_Place, dict[int, float]]
_Reasons = dict[_Place, str]


def _collect(records: Sequence[StoredRecord]) -> tuple[_Values, _Reasons, dict[str, bool]]:
    values: _Values = {}
    reasons: _Reasons = {}
    models: dict[str, bool] = {}
    for record in of_kind(records, "metric"):
        payload = record.payload
        setting, seed, value = payload["setting"], payload["seed"], payload.get("value")
        place = (payload["corpus"], payload["metric"], payload["model"], setting)
        models.setdefault(payload["model"], setting is not None)
        if record.status == "ok" and value is not None and seed is not None:
            values.setdefault(place, {})[seed] = value
        else:
            what = "error: " if record.status == "error" else ""
            reasons[place] = f"{what}{payload.get('reason') or 'no value'}"
    # Models over features first, each in the order of its name.
    return values, reasons, dict(sorted(models.items(), key=lambda item: (not item[1], item[0])))


def _model_rows(design: Design, key: _Key, values: _Values, reasons: _Reasons) -> list[StudyRow]:
    rows = {point.name: _row(key, point, values, reasons) for point in design.points}
    for baseline in (point for point in design.points if point.baseline):
        others = [p for p in design.points if p.series == baseline.series and not p.baseline]
        base = values.get((*key, baseline.name), {})
        compared = [
            paired_difference(values.get((*key, point.name), {}), base, _CONFIDENCE)
            for point in others
        ]
        corrected = holm([found.p for found in compared])
        for point, found, p_holm in zip(others, compared, corrected, strict=True):
            rows[point.name] = {**rows[point.name], **_difference(found, p_holm, len(others))}
    return list(rows.values())


def _row(key: _Key, point: Point | None, values: _Values, reasons: _Reasons) -> StudyRow:
    corpus, metric, model = key
    place = (*key, None if point is None else point.name)
    found = values.get(place, {})
    mean = lo = hi = None
    if found:
        mean, lo, hi = mean_interval([found[seed] for seed in sorted(found)], _CONFIDENCE)
        if lo is not None and hi is not None and hi - lo < NO_SPREAD:
            lo = hi = None
    return {
        "corpus": corpus,
        "metric": metric,
        "model": model,
        "setting": None if point is None else point.name,
        "series": None if point is None else point.series,
        "x": None if point is None else point.x,
        "n_seeds": len(found),
        "mean": rounded(mean, _DIGITS),
        "lo": rounded(lo, _DIGITS),
        "hi": rounded(hi, _DIGITS),
        "difference": None,
        "difference_lo": None,
        "difference_hi": None,
        "p": None,
        "p_holm": None,
        "n_paired": None,
        "n_compared": None,
        "reason": _reason(found, lo, reasons.get(place)),
    }


def _reason(found: Mapping[int, float], lo: float | None, lost: str | None) -> str | None:
    if not found:
        return lost or "no value"
    if lost is not None:
        return f"some seeds without a value: {lost}"
    if lo is None:
        return "no interval: one seed" if len(found) == 1 else "no interval: all seeds agree"
    return None


def _difference(found: Paired, p_holm: float | None, n_compared: int) -> BaselineDifference:
    return {
        "difference": rounded(found.mean, _DIGITS),
        "difference_lo": rounded(found.lo, _DIGITS),
        "difference_hi": rounded(found.hi, _DIGITS),
        "p": rounded(found.p, 6),
        "p_holm": rounded(p_holm, 6),
        "n_paired": found.n,
        "n_compared": n_compared,
    }
