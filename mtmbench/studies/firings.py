"""What each feature setting leaves to count, kept in the study's folder so that it is made once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.files import parse_json
from mtmbench.core.serialise import canonical_json, content_hash, rounded, write_atomically
from mtmbench.core.types import Corpus, Counts
from mtmbench.engine.plan import Plan
from mtmbench.features.views import make_views
from mtmbench.studies.design import Design
from mtmbench.studies.rows import FiringFacts, FiringsRow

_FILE = "firings.json"


def count_firings(plan: Plan, design: Design, folder: Path) -> list[FiringsRow]:
    """Returns a row per corpus and setting: what is left to count.

    ``features_kept`` of ``features`` pass the filters (and fire in the corpus at all), with
    ``firings_kept`` of the counts at the setting's threshold; ``counts_per_token`` is what is left
    per token; ``documents_empty`` is how many documents are left without any count. The rows lie
    in ``firings.json`` under hashes of all they depend on, so a second call makes none.
    """
    path = folder / _FILE
    known = _read(path)
    rows: list[FiringsRow] = []
    for corpus in plan.corpora.values():
        for point in design.points:
            key = _key(plan, corpus, point.name)
            if key not in known:
                try:
                    known[key] = _facts(_counts(plan, corpus, point.name))
                except InputError as error:
                    # Not kept: a later call may fare better, as the fits do.
                    rows.append(_row(corpus, point.name, _nothing(str(error))))
                    continue
                write_atomically(path, canonical_json(known) + "\n")
            rows.append(_row(corpus, point.name, known[key]))
    return rows


def _counts(plan: Plan, corpus: Corpus, setting: str) -> Counts:
    features = plan.suite.features
    views = make_views(
        corpus, words=plan.suite.words, source=features.source, setting=setting,
        max_tokens=features.max_tokens, params=features.params,
        labels="shipped",
    )  # fmt: skip
    counts: Counts = views.require("features", "the study")
    return counts


def _facts(counts: Counts) -> FiringFacts:
    items, kept = counts.filters.get("items"), counts.filters.get("firings_kept")
    total = int(counts.matrix.sum())
    n_tokens = int(counts.n_tokens.sum())
    return {
        "features": items if isinstance(items, int) else counts.matrix.shape[1],
        "features_kept": int(counts.matrix.shape[1]),
        "firings_kept": rounded(kept, 4) if isinstance(kept, float) else None,
        "counts_per_token": rounded(total / n_tokens if n_tokens else 0.0, 4),
        "documents": int(counts.matrix.shape[0]),
        "documents_empty": int((np.asarray(counts.matrix.sum(axis=1)).ravel() == 0).sum()),
        "reason": None,
    }


def _nothing(reason: str) -> FiringFacts:
    return {
        "features": None, "features_kept": None, "firings_kept": None, "counts_per_token": None,
        "documents": None, "documents_empty": None, "reason": reason,
    }  # fmt: skip


def _row(corpus: Corpus, setting: str, facts: FiringFacts) -> FiringsRow:
    # In the order of the facts, whatever order a file holds them in.
    return {
        "corpus": corpus.name,
        "setting": setting,
        "features": facts["features"],
        "features_kept": facts["features_kept"],
        "firings_kept": facts["firings_kept"],
        "counts_per_token": facts["counts_per_token"],
        "documents": facts["documents"],
        "documents_empty": facts["documents_empty"],
        "reason": facts["reason"],
    }


def _key(plan: Plan, corpus: Corpus, setting: str) -> str:
    features = plan.suite.features
    from mtmbench.features.registry import FEATURES

    source = FEATURES.get(features.source)(**features.params)
    described = source.describe(setting)
    return content_hash(corpus.revision, features.source, features.max_tokens, setting, described)


def _read(path: Path) -> dict[str, FiringFacts]:
    try:
        known: Any = parse_json(path.read_text(encoding="utf-8"), "what it holds")
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); remove it") from error
    return cast("dict[str, FiringFacts]", known)
