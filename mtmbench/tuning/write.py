"""What tuning leaves: a model card that suites take, and a table of every trial."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import fmean

from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import ModelCard
from mtmbench.core.serialise import content_hash, write_atomically
from mtmbench.core.tables import columns_of, csv_text, rounded_row
from mtmbench.core.tuning import TunedFacts
from mtmbench.models.registry import card_of
from mtmbench.tuning.scorer import Layout
from mtmbench.tuning.trials import TrialRow
from mtmbench.tuning.tune import Tuned

_SUMMARISED = {
    "metric", "k", "documents", "trials", "settings", "pruned", "failed", "default_value",
    "best_value", "gain", "gain_lo", "gain_hi", "gain_seen", "luck", "expected_luck",
    "default_topics", "best_topics",
}  # fmt: skip
"""What a summary has of what is on record."""


def write_tuned(tuned: Tuned, layout: Layout, folder: Path) -> list[Path]:
    """Writes ``MODEL-tuned.toml`` and ``trials.csv``; returns their paths."""
    card, trials = folder / f"{card_of(tuned.shown)}-tuned.toml", folder / "trials.csv"
    write_atomically(card, card_text(tuned, layout))
    write_atomically(trials, trials_text(tuned))
    return [card, trials]


def write_summary(tuned: Sequence[Tuned], layout: Layout, folder: Path) -> Path:
    """Writes ``tuning.csv``, a row for each model on each corpus; returns its path."""
    rows = [_summary(each, facts_of(each, layout)) for each in tuned]
    path = folder / "tuning.csv"
    write_atomically(path, csv_text(columns_of(rows), rows))
    return path


def _summary(tuned: Tuned, facts: TunedFacts) -> dict[str, object]:
    told = facts.model_dump(include=_SUMMARISED)
    found = "; ".join(f"{name} = {value}" for name, value in tuned.best.params.items())
    return rounded_row({"corpus": facts.corpus, "model": tuned.shown, **told, "found": found}, 6)


def card_text(tuned: Tuned, layout: Layout) -> str:
    """Returns the tuned card as TOML: the card that was tuned, with what was found."""
    import tomli_w

    given = layout.suite.params_of(tuned.shown, tuned.corpus)
    params = {**tuned.card.params_for(tuned.corpus), **given, **tuned.best.params}
    card = ModelCard(
        model=tuned.card.model,
        description=tuned.card.description,
        reference=tuned.card.reference,
        params=params,
        tuned=facts_of(tuned, layout),
    )
    data = card.model_dump(mode="json", exclude_none=True)
    data = {key: value for key, value in data.items() if value not in ({}, "")}
    parse_card(data, ModelCard, "the tuned card")
    return tomli_w.dumps(data)


def facts_of(tuned: Tuned, layout: Layout) -> TunedFacts:
    """Returns what is on record of a tuned card."""
    corpus, spec = layout.corpus(tuned.corpus), layout.corpus_spec(tuned.corpus)
    fit, value, gain = tuned.cells.fit, tuned.cells.value, tuned.gain
    states = [row.state for row in tuned.trials]
    return TunedFacts(
        metric=value.metric,
        view=value.view,
        higher_is_better=value.higher_is_better,
        corpus=corpus.name,
        corpus_revision=corpus.revision,
        part=spec.part,
        tuning_share=spec.tuning_share if spec.part else None,
        split_seed=spec.tuning_seed if spec.part else None,
        documents=len(corpus),
        documents_hash=content_hash(list(corpus.doc_ids)),
        k=fit.k,
        setting=fit.setting,
        trials=len(tuned.trials),
        settings=tuned.settings,
        pruned=states.count("pruned"),
        failed=states.count("failed"),
        seeds=tuned.seeds,
        fresh_seeds=tuned.fresh_seeds,
        best_value=tuned.best_value,
        default_value=tuned.default_value,
        best_topics=tuned.best_topics,
        default_topics=tuned.default_topics,
        gain=gain.gain,
        gain_lo=gain.lo,
        gain_hi=gain.hi,
        gain_seen=gain.seen,
        luck=gain.luck,
        expected_luck=gain.expected_luck,
        finding=tuned.finding,
        versions={
            "mtmbench": version("mtmbench"),
            "optuna": version("optuna"),
            "python": platform.python_version(),
        },
    )


def trials_text(tuned: Tuned) -> str:
    """Returns every trial as CSV, the defaults first, and what fresh seeds gave the best."""
    rows = [_row(row, tuned) for row in (tuned.defaults, *tuned.trials)]
    return csv_text(columns_of(rows), rows)


def _row(row: TrialRow, tuned: Tuned) -> dict[str, object]:
    values = dict(zip(tuned.seeds, row.values, strict=False))
    told: dict[str, object] = {
        "trial": "defaults" if row is tuned.defaults else row.number,
        "state": row.state,
        "best": row is tuned.best,
        **{f"params.{name}": row.params.get(name) for name in _searched(tuned)},
        "value": fmean(row.values) if row.values else None,
        **{f"seed {seed}": values.get(seed) for seed in tuned.seeds},
        "topics": row.topics,
        "seconds": round(row.seconds, 3),
        "reason": row.reason,
    }
    fresh = (
        tuned.fresh_defaults
        if row is tuned.defaults
        else tuned.fresh_best
        if row is tuned.best
        else ()
    )
    given = dict(zip(tuned.fresh_seeds, fresh, strict=False))
    return {**told, **{f"fresh seed {seed}": given.get(seed) for seed in tuned.fresh_seeds}}


def _searched(tuned: Tuned) -> list[str]:
    return sorted({name for row in tuned.trials for name in row.params})
