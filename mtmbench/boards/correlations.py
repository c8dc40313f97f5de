"""Records of ``doc_topic_correlation`` to rows: how alike two models sort the documents."""

from __future__ import annotations

from mtmbench.boards.cells import BoardRecords
from mtmbench.boards.rows.metrics import CorrelationRow
from mtmbench.core.competitors import Competitor, k_order
from mtmbench.core.serialise import rounded
from mtmbench.stats.intervals import mean_interval

METRIC = "doc_topic_correlation"

_Pair = tuple[str, int | str, Competitor, Competitor]


def correlation_rows(records: BoardRecords, confidence: float) -> list[CorrelationRow]:
    """Returns one row per corpus, K and pair of competitors, sorted; empty without the metric.

    A value is the mean over the seeds that both have; its ends are the t-interval of that mean.
    """
    found: dict[_Pair, dict[int | None, float]] = {}
    sizes: dict[_Pair, int] = {}
    values = [record.payload for record in records.metrics if record.payload["metric"] == METRIC]
    fitted = (Competitor.of(fit.payload) for fit in records.fits)
    named = {who.name: who for who in fitted}
    for payload in values:
        with_others = (payload.get("details") or {}).get("others", {})
        for name, value in with_others.items():
            first, second = sorted((Competitor.of(payload), named[name]))
            pair = payload["corpus"], payload["k_spec"], first, second
            found.setdefault(pair, {})[payload["seed"]] = value
            sizes[pair] = payload["k"]
    rows: list[CorrelationRow] = []
    for pair in sorted(found, key=lambda pair: (pair[0], k_order(pair[1]), *pair[2:])):
        corpus, k_spec, first, second = pair
        by_seed = found[pair]
        value, lo, hi = mean_interval(list(by_seed.values()), confidence)
        rows.append(
            {
                **first.identity(),
                "other": second.identity(),
                "corpus": corpus,
                "k": sizes[pair],
                "k_spec": k_spec,
                "value": rounded(value, 4),
                "lo": rounded(lo, 4),
                "hi": rounded(hi, 4),
                "n_seeds": len(by_seed),
            }
        )
    return rows
