"""``study features``: do the labels of a document's top features match the document?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtmbench.boards.markdown import MarkdownPage
from mtmbench.core.card_reading import parse_card, set_dotted
from mtmbench.core.errors import InputError
from mtmbench.core.names import check_name
from mtmbench.core.records import SCHEMA_VERSION
from mtmbench.core.specs import FeatureSpec
from mtmbench.core.tables import rounded_row, table_json, write_files
from mtmbench.core.types import Corpus
from mtmbench.features.base import LocatingSource
from mtmbench.judges.ledger import LEDGER
from mtmbench.stats.intervals import N_BOOTSTRAP, resampled_share
from mtmbench.studies.marks import (
    CONTEXTS_SHOWN,
    MARK_VALUES,
    Case,
    Marks,
    judge_cases,
    marked_context,
    marks_csv,
    read_marks,
    write_cases,
)
from mtmbench.studies.rows import CaseRow, ContextRow, FeatureStudyTables, YesShare

if TYPE_CHECKING:
    from mtmbench.features.corpus_labels import CorpusLabels

_N_FEATURES = 5
_MAX_TOKENS = 512
_TO_MARK = "features.csv"


@dataclass(frozen=True)
class FeatureStudy:
    """What :func:`run_feature_study` left behind: its ``features.json`` and the files written."""

    folder: Path
    study: FeatureStudyTables
    files: tuple[Path, ...]


def run_feature_study(
    corpus: str,
    *,
    documents: int = 50,
    source: str = "minilm",
    setting: str = "default",
    seed: int = 0,
    judge: str | None = None,
    marks: Path | None = None,
    out: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    data_dir: Path | None = None,
    plugins: Sequence[str] = (),
    budget: float | None = None,
) -> FeatureStudy:
    """Lists the top features of sampled documents, and how many of their labels match.

    Without marks or a judge, ``features.csv`` is there to be marked by a person. With a judge every
    answer is kept in ``answers.sqlite``, so that the same call goes on where it stopped.

    Args:
        corpus: a name, file or folder.
        documents: how many are sampled.
        source: a feature source that knows where features fire.
        setting: one of its settings.
        seed: of the sample and of the bootstrap.
        judge: a judge card that marks.
        marks: ``features.csv`` with its column ``matches`` filled in.
        out: the study's folder, by default ``runs/studies/features-CORPUS``.
        overrides: dotted keys below ``features`` (``features.params.saes``, …) and their values.
        data_dir: folder of local corpora.
        plugins: files or modules that register more.
        budget: what the judge's answers about this study may cost altogether.

    Raises:
        InputError: a name is not known, both marks and a judge are given, the source cannot say
            where features fire, or the marks are of other cases.
    """
    from mtmbench.core.plugins import load_plugins
    from mtmbench.corpora.load import load_corpus
    from mtmbench.features.corpus_labels import label_plan

    if judge is not None and marks is not None:
        raise InputError("give marks or a judge, not both: they would be of one study")
    load_plugins(plugins)
    spec = _spec(source, overrides or {})
    origin = _source(spec)
    loaded = load_corpus(corpus, data_dir=data_dir)
    plan = label_plan(origin, spec.labels, setting=setting, max_tokens=spec.max_tokens)
    labels = None if plan is None else plan.make(loaded)
    cases, n_documents = _feature_cases(loaded, origin, spec, setting, documents, seed, labels)
    named = check_name(f"features-{loaded.name}", "a study's folder")
    folder = out or Path("runs") / "studies" / named
    to_mark = folder / _TO_MARK
    if marks is None or marks.resolve() != to_mark.resolve():
        write_cases(to_mark, marks_csv(cases))
    found: Marks | None = None
    if marks is not None:
        found = read_marks(marks, cases)
    elif judge is not None:
        found = judge_cases(judge, loaded.name, cases, folder / LEDGER, budget)
    described = origin.describe(setting)
    if plan is not None:
        described["labels"] = plan.described
    study = _study(loaded, spec, described, setting, seed, n_documents, cases, found)
    files = write_files(folder, _pages(study, to_mark))
    return FeatureStudy(folder, study, (to_mark, *files))


def _spec(source: str, overrides: Mapping[str, object]) -> FeatureSpec:
    features: dict[str, object] = {"source": source, "max_tokens": _MAX_TOKENS}
    for key, value in overrides.items():
        if not key.startswith("features."):
            raise InputError(f"--set {key}: this study has keys below features alone")
        set_dotted({"features": features}, key, value)
    return parse_card(features, FeatureSpec, "study 'features'")


def _source(spec: FeatureSpec) -> LocatingSource:
    from mtmbench.features.registry import FEATURES

    source = FEATURES.get(spec.source)(**spec.params)
    if not isinstance(source, LocatingSource):
        raise InputError(
            f"feature source {spec.source!r} does not say where in a document its features fire "
            "(it is no LocatingSource), so there are no contexts to show"
        )
    return source


def _study(
    corpus: Corpus,
    spec: FeatureSpec,
    described: Mapping[str, object],
    setting: str,
    seed: int,
    n_documents: int,
    cases: Sequence[Case],
    found: Marks | None,
) -> FeatureStudyTables:
    values = [None if found is None else found.values[i] for i in range(len(cases))]
    share = share_of_yes(
        [
            (case.row, value == "yes")
            for case, value in zip(cases, values, strict=True)
            if value in ("yes", "no")
        ],
        seed=seed,
    )
    tally = Counter("not marked" if value is None else value for value in values)
    return {
        "schema": SCHEMA_VERSION,
        "study": "features",
        "corpus": corpus.name,
        "corpus_revision": corpus.revision,
        "source": spec.source,
        "setting": setting,
        "described": described,
        "max_tokens": spec.max_tokens,
        "seed": seed,
        "documents": n_documents,
        "documents_without_features": n_documents - len({case.row for case in cases}),
        "marked_by": None if found is None else found.marked_by,
        "marks": {name: tally.get(name, 0) for name in (*MARK_VALUES, "not marked")},
        "share": rounded_row(share, 4),
        "finding": _finding(corpus.name, n_documents, len(cases), found, tally, share),
        "cases": [_case_row(case, value) for case, value in zip(cases, values, strict=True)],
    }


def _finding(
    corpus: str,
    n_documents: int,
    n_cases: int,
    found: Marks | None,
    tally: Mapping[str, int],
    share: YesShare,
) -> str:
    what = f"the {n_cases} labels of the top features of {n_documents} documents of {corpus}"
    if found is None:
        return f"None of {what} is marked yet."
    by = "a person" if found.marked_by["kind"] == "person" else f"judge {found.marked_by['card']}"
    left = [
        f"{tally[name]} {name}"
        for name in (*MARK_VALUES, "not marked")
        if name not in ("yes", "no") and tally.get(name)
    ]
    rest = f" Left out of that: {', '.join(left)}." if left else ""
    value, lo, hi, reason = share["value"], share["lo"], share["hi"], share["reason"]
    if value is None:
        return f"Of {what}, none is marked yes or no by {by}.{rest}"
    interval = (
        f" ({reason})"
        if lo is None or hi is None
        else f" (95 % interval over documents {100 * lo:.1f} to {100 * hi:.1f} %)"
    )
    how = f"; {reason}" if reason is not None and lo is not None else ""
    return (
        f"Of {what}, {share['yes']} of {share['n']} marked yes or no by {by} match: "
        f"{100 * value:.1f} %{interval}{how}.{rest}"
    )


def _case_row(case: Case, value: str | None) -> CaseRow:
    return {
        "doc_id": case.doc_id,
        "rank": case.rank,
        "feature": case.feature,
        "label": case.label,
        "count": case.count,
        "matches": value,
        "contexts": [
            {"before": c.before, "token": c.token, "after": c.after, "value": round(c.value, 4)}
            for c in case.contexts
        ],
    }


def _pages(study: FeatureStudyTables, to_mark: Path) -> dict[str, str]:
    page = MarkdownPage(f"Study: features of {study['corpus']}")
    page.text(study["finding"])
    if study["marked_by"] is None:
        page.raw(
            f"To mark them, write yes, no or unsure into the column `matches` of `{to_mark.name}` "
            f"and give the file by `--marks`; or name a judge card by `--judge`."
        )
    page.text(
        "A document's features are ranked by how often they count in it times the log of documents "
        "over document frequency. The strongest token is between ⟦ and ⟧."
    )
    by_document: dict[str, list[CaseRow]] = {}
    for case in study["cases"]:
        by_document.setdefault(case["doc_id"], []).append(case)
    for doc_id, cases in by_document.items():
        rows = [
            [case["label"], case["count"], _strongest(case["contexts"]), case["matches"]]
            for case in cases
        ]
        page.heading(doc_id)
        page.table(["label", "count", "strongest context", "matches"], rows)
    return {"features.json": table_json(study), "features.md": str(page)}


def _strongest(contexts: Sequence[ContextRow]) -> str | None:
    if not contexts:
        return None
    first = contexts[0]
    return marked_context(first["before"], first["token"], first["after"])


def share_of_yes(
    marked: Sequence[tuple[int, bool]], *, seed: int, n_bootstrap: int = N_BOOTSTRAP
) -> YesShare:
    """Returns the share of yes with an interval that resamples whole documents.

    Args:
        marked: (document, whether yes) of everything marked.
        seed: seed of the bootstrap.
        n_bootstrap: number of resamples.
    """
    documents, index = np.unique([document for document, _ in marked], return_inverse=True)
    yes = np.bincount(index, weights=[value for _, value in marked], minlength=len(documents))
    total = np.bincount(index, minlength=len(documents))
    rate = resampled_share(yes, total, seed=seed, n_bootstrap=n_bootstrap)
    reason = "nothing is marked yes or no" if rate.value is None else rate.reason
    return {
        "value": rate.value, "lo": rate.lo, "hi": rate.hi, "yes": int(yes.sum()), "n": rate.n,
        "n_documents": len(documents), "reason": reason,
    }  # fmt: skip


def _feature_cases(
    corpus: Corpus,
    source: LocatingSource,
    spec: FeatureSpec,
    setting: str,
    documents: int,
    seed: int,
    labels: CorpusLabels | None,
) -> tuple[list[Case], int]:
    """Returns the cases of sampled documents in their order, and how many documents there are.

    A document's features are ranked by their count times the log of documents over document
    frequency; a document without features is sampled like any other and gives no case. Of labels
    from the corpus a document is held against those that other documents gave.
    """
    from mtmbench.matches.schedule import sample_documents

    rows = sample_documents(corpus, documents, seed)
    found = source.top_activations(
        corpus, rows, setting=setting, max_tokens=spec.max_tokens, n_features=_N_FEATURES,
        n_contexts=CONTEXTS_SHOWN,
    )  # fmt: skip
    cases = [
        Case(
            row, corpus.doc_ids[row], corpus.texts[row], rank, top.feature,
            (labels and labels.beside(row, top.feature)) or top.label, top.count, top.contexts,
        )
        for row, features in zip(rows, found, strict=True)
        for rank, top in enumerate(features, start=1)
    ]  # fmt: skip
    return cases, len(rows)
