"""Metric records to rows: the mean over seeds with its interval, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence

from mtmbench.boards.cells import BoardRecords
from mtmbench.boards.rows.metrics import LeftOutNumbers, MetricFacts, MetricRow
from mtmbench.core.competitors import Competitor, k_order
from mtmbench.core.records import MetricRecord
from mtmbench.core.serialise import canonical_json, rounded
from mtmbench.metrics.left_out import LeftOut
from mtmbench.stats.intervals import mean_interval

_Group = tuple[str, int | str, Competitor, str, str, str]


def metric_rows(records: BoardRecords, confidence: float = 0.95) -> list[MetricRow]:
    """Returns one row per competitor, corpus, K, metric, view and parameters, sorted.

    A value is the mean over seeds; its ends are the t-interval of that mean over seeds. A metric
    over seeds or orders (stability) has one value, no interval, and counts the fits it rests on.
    """
    groups: dict[_Group, list[MetricRecord]] = {}
    for record in records.metrics:
        payload = record.payload
        key = (
            payload["corpus"], payload["k_spec"], Competitor.of(payload), payload["metric"],
            payload["view"] or "", canonical_json(payload["params"]),
        )  # fmt: skip
        groups.setdefault(key, []).append(record)
    order = sorted(groups, key=lambda key: (key[0], k_order(key[1]), *key[2:]))
    return [_row(key, groups[key], confidence) for key in order]


def metric_versions(records: BoardRecords) -> dict[str, MetricFacts]:
    """Returns version and direction of every metric on the board."""
    found: dict[str, MetricFacts] = {
        record.payload["metric"]: {
            "version": record.payload["version"],
            "higher_is_better": record.payload["higher_is_better"],
        }
        for record in records.metrics
    }
    return {name: found[name] for name in sorted(found)}


def _row(key: _Group, records: Sequence[MetricRecord], confidence: float) -> MetricRow:
    corpus, k_spec, who, metric, view, _ = key
    had = [r for r in records if r.status == "ok" and r.payload.get("value") is not None]
    lost = [r for r in records if r not in had]
    over_seeds = any(r.payload["seed"] is None for r in records)
    value = lo = hi = None
    reasons = _reasons(lost, of_several=bool(had))
    if had:
        values = [found for r in had if (found := r.payload.get("value")) is not None]
        value, lo, hi = mean_interval(values, confidence)
        if lo is None:
            details = had[0].payload.get("details") or {}
            over = f"{details['orders']} orders of one seed" if "orders" in details else "seeds"
            reasons.append(_no_interval(len(had), over if over_seeds else None))
    n_seeds = len(had[0].payload["fits"]) if over_seeds and had else len(had)
    return {
        **who.identity(),
        "corpus": corpus,
        "k": records[0].payload["k"],
        "k_spec": k_spec,
        "metric": metric,
        "view": view or None,
        "params": dict(records[0].payload["params"]),
        "value": rounded(value, 4),
        "lo": rounded(lo, 4),
        "hi": rounded(hi, 4),
        "n_seeds": n_seeds,
        "reason": "; ".join(reasons) or None,
        **_left_out(records),
    }


def _left_out(records: Sequence[MetricRecord]) -> LeftOutNumbers:
    left = LeftOut.of(record.payload.get("details") or {} for record in records)
    found: LeftOutNumbers = {}
    if left.items is not None:
        found["n_out_of_vocabulary"] = left.items
    if left.topics is not None:
        found["n_topics_without_value"] = left.topics
    if note := left.text():
        found["note"] = note
    return found


def _no_interval(n: int, over: str | None) -> str:
    """Says why; ``over`` is what one value is over, None for values of a seed each."""
    if over is not None:
        return f"no interval: one value over all {over}"
    return "no interval: one seed" if n == 1 else "no interval: all seeds give the same value"


def _reasons(lost: Sequence[MetricRecord], *, of_several: bool) -> list[str]:
    found: dict[str, list[str]] = {}
    for record in lost:
        what = "error: " if record.status == "error" else ""
        reason = f"{what}{record.payload.get('reason') or 'no value'}"
        found.setdefault(reason, []).append(str(record.payload["seed"]))
    if not of_several:
        return sorted(found)
    return [f"seed {', '.join(sorted(found[reason]))}: {reason}" for reason in sorted(found)]
