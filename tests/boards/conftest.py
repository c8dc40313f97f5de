"""Synthetic records: a whole board's worth, without fitting or judging anything."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from support.chromium import browser

from mtmbench.boards.cells import BoardRecords
from mtmbench.boards.rows.board import BoardTables
from mtmbench.boards.site.page import site_files
from mtmbench.core.cards import Suite
from mtmbench.core.records import Record
from mtmbench.core.serialise import content_hash

MODELS = ("lda", "etm", "bertopic", "mlda", "metm", "mbertopic")
FEATURE_MODELS = ("mlda", "metm", "mbertopic")
STRENGTH = {"lda": 0.0, "etm": -0.9, "bertopic": 0.5, "mlda": 0.35, "metm": -0.2, "mbertopic": 0.7}
METRICS: Sequence[tuple[str, str | None, Mapping[str, Any], bool]] = (
    ("npmi", "own", {"version": "exact", "top_n": 10}, True),
    ("npmi", "projected", {"version": "exact", "top_n": 10}, True),
    ("diversity", "projected", {"top_n": 10}, True),
    ("nmi", None, {"outliers": "cluster"}, True),
    ("perplexity", "own", {"held_out": 0.1, "seed": 0}, False),
)

Make = Callable[..., tuple[Suite, list[Record]]]

__all__ = ["browser", "make_records", "page_of"]


@pytest.fixture(scope="session")
def page_of() -> Callable[[BoardTables], str]:
    """A board's page, without what only records hold."""
    return lambda board: site_files(board, BoardRecords())["index.html"]


@pytest.fixture(scope="session")
def make_records() -> Make:
    """The function :func:`synthetic`."""
    return synthetic


def synthetic(
    *,
    corpora: Mapping[str, int] | None = None,
    k: Sequence[int | str] = (10,),
    ks: Mapping[str, int] | None = None,
    judges: Sequence[str] = ("embedding", "lexical"),
    seeds: Sequence[int] = (0, 1),
    settings: Sequence[str] = ("default", "paper"),
    models: Sequence[str] = MODELS,
    unparsed: float = 0.0,
    failing: Sequence[tuple[str, str]] = (),
    title: str = "A synthetic board",
    label: str = "word",
) -> tuple[Suite, list[Record]]:
    """Returns a suite and records of the shape that the harness writes.

    ``ks`` gives the K that "labels" stands for by corpus; ``failing`` names (corpus, model) pairs
    whose fits fail; ``unparsed`` is a share of the judge "chat"'s replies.
    """
    corpora = corpora or {"lee": 60, "wiki": 40}
    suite = Suite.model_validate(
        {
            "name": "synthetic", "title": title, "description": "Made up by the tests.",
            "corpora": list(corpora), "models": list(models), "k": list(k), "seeds": list(seeds),
            "metrics": sorted({name for name, *_ in METRICS}),
            "features": {"settings": list(settings)},
            "judging": {"judges": list(judges), "documents": 60, "bootstrap": 200},
        }
    )  # fmt: skip
    random = np.random.default_rng(5)
    records: list[Record] = []
    for corpus, k_spec in itertools.product(corpora, k):
        number = k_spec if isinstance(k_spec, int) else (ks or {})[corpus]
        where = {
            "corpus": corpus, "corpus_revision": content_hash(corpus), "k": number,
            "k_spec": k_spec,
        }  # fmt: skip
        players = [
            (model, setting)
            for model in models
            for setting in (settings if model in FEATURE_MODELS else (None,))
        ]
        for (model, setting), seed in itertools.product(players, seeds):
            fit = {**where, "model": model, "setting": setting, "seed": seed, "registry": model}
            failed = (corpus, model) in failing
            records.append(_fit(fit, corpora[corpus], failed, label))
            records += [_metric(fit, one, failed, random) for one in METRICS]
        for model, setting in players:
            stable = {**where, "model": model, "setting": setting, "seed": None}
            records.append(_stability(stable, (corpus, model) in failing, len(seeds), random))
        liking = {who: random.normal(0, 0.7, corpora[corpus]) for who in players}
        for judge, (a, b) in itertools.product(judges, itertools.combinations(players, 2)):
            failed = (corpus, a[0]) in failing or (corpus, b[0]) in failing
            lead = liking[a] - liking[b] + _strength(a) - _strength(b)
            records.append(_match(where, judge, a, b, lead, failed, unparsed, random))
    order = random.permutation(len(records))
    return suite, [records[i] for i in order]


def _strength(who: tuple[str, str | None]) -> float:
    return STRENGTH.get(who[0], 0.0) - (0.25 if who[1] == "paper" else 0.0)


def _record(kind: Any, status: Any, payload: Mapping[str, Any], *key: Any) -> Record:
    return Record(kind, content_hash(kind, *key), status, payload, {"mtmbench": "0.1.0"})


def _fit(fit: Mapping[str, Any], n_docs: int, failed: bool, label: str) -> Record:
    key = [fit[name] for name in ("corpus", "k_spec", "model", "setting", "seed")]
    if failed:
        return _record("fit", "error", {**fit, "reason": "InputError: too few documents"}, *key)
    features = fit["setting"] is not None
    source: dict[str, Any] = {"filters": {"min_df": 120}}
    if features:
        source = {
            "backbone": "sentence-transformers/all-MiniLM-L6-v2",
            "filters": {"dense on training text": 41, "in over 90 % of documents": 12},
        }
    found = fit["k"] - (2 if "bertopic" in fit["model"] else 0)
    needs = ["features"] if features else ["words"]
    payload = {
        **fit, "n_docs": n_docs, "n_empty": 0, "n_duplicates": 2, "n_topics": found,
        "params": {"n_topics": fit["k"]}, "params_given": {"n_topics": fit["k"]},
        "needs": [*needs, "embeddings"] if fit["model"] == "bertopic" else needs,
        "items": {"kind": "features" if features else "words", "n": 2000, "source": source},
        "info": {}, "result": content_hash(*key),
        "topics": [
            {
                "items": [f"{label} {t}.{i}" for i in range(10)],
                "words": [f"w{t}{i}" for i in range(10)],
                "share": round(1 / found, 6),
            }
            for t in range(found)
        ],
    }  # fmt: skip
    return _record("fit", "ok", payload, *key)


def _metric(
    fit: Mapping[str, Any],
    metric: tuple[str, str | None, Mapping[str, Any], bool],
    failed: bool,
    random: np.random.Generator,
) -> Record:
    name, view, params, higher = metric
    payload = {
        **{key: fit[key] for key in fit if key != "registry"}, "fits": ["f"], "metric": name,
        "version": 1, "higher_is_better": higher, "view": view, "params": params,
    }  # fmt: skip
    key = [fit[n] for n in ("corpus", "k_spec", "model", "setting", "seed")]
    key += [name, view, dict(params)]
    value = 0.1 + 0.1 * _strength((fit["model"], fit["setting"])) + random.normal(0, 0.01)
    if failed:
        return _record("metric", "error", {**payload, "reason": "a fit that it needs failed"}, *key)
    if name == "perplexity" and "bertopic" in fit["model"]:
        reason = "a clustering defines no likelihood"
        return _record("metric", "skipped", {**payload, "value": None, "reason": reason}, *key)
    return _record("metric", "ok", {**payload, "value": value, "reason": None}, *key)


def _stability(
    fit: Mapping[str, Any], failed: bool, n_seeds: int, random: np.random.Generator
) -> Record:
    payload = {
        **fit, "fits": [f"fit {i}" for i in range(n_seeds)], "metric": "stability", "version": 2,
        "higher_is_better": True, "view": "own", "params": {"top_n": 10},
    }  # fmt: skip
    key = [fit[n] for n in ("corpus", "k_spec", "model", "setting")]
    if failed:
        return _record("metric", "error", {**payload, "reason": "a fit that it needs failed"}, *key)
    value = float(random.uniform(0.3, 0.6))
    return _record("metric", "ok", {**payload, "value": value, "reason": None}, *key)


def _match(
    where: Mapping[str, Any],
    judge: str,
    a: tuple[str, str | None],
    b: tuple[str, str | None],
    lead: np.ndarray,
    failed: bool,
    unparsed: float,
    random: np.random.Generator,
) -> Record:
    chat = judge == "chat"
    payload: dict[str, Any] = {
        **where, "judge": judge, "judge_is_llm": chat, "order_free": not chat,
        "encoder": "all-MiniLM-L6-v2" if judge == "embedding" else None, "judge_client": judge,
        "judge_version": 1, "prompt": content_hash("prompt") if chat else None,
        "representation": "items", "a": {"model": a[0], "setting": a[1], "fit": f"{a}"},
        "b": {"model": b[0], "setting": b[1], "fit": f"{b}"}, "seed": {"a": 0, "b": 0},
        "documents": [f"{where['corpus']}-{i}" for i in range(len(lead))],
        "protocol": {"documents": 60, "max_topics": 2},
    }  # fmt: skip
    key = [where["corpus"], where["k_spec"], judge, list(a), list(b)]
    if failed:
        return _record("match", "error", {**payload, "reason": "a fit that it needs failed"}, *key)
    orders = []
    for bias in (0.4, -0.4) if chat else (0.0,):
        noisy = lead + bias + random.logistic(size=len(lead))
        chars = np.where(np.abs(noisy) < 0.25, "t", np.where(noisy > 0, "a", "b"))
        if chat:
            chars[random.random(len(lead)) < unparsed] = "u"
        orders.append("".join(chars))
    forward, backward = (*orders, *orders)[:2]
    return _record(
        "match", "ok",
        {
            **payload, "forward": forward, "backward": backward,
            "calls": len(lead) * len(orders), "judge_revisions": [f"{judge}-2024"] if chat else [],
            "usage": {"input": 900 * len(lead), "output": 20 * len(lead)} if chat else {},
        },
        *key,
    )  # fmt: skip
