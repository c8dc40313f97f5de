"""What a run's page tells of the SAE features of its topics: names, scores, densities, contexts.

Only what is at hand is told: no text is read through a language model for a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np

from mtmbench.boards.site.parts import Part
from mtmbench.core.cells import FitCell, labels_of
from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, Counts
from mtmbench.corpora.licences import why_not_shown
from mtmbench.engine.labels import read_labels
from mtmbench.engine.plan import Plan
from mtmbench.engine.results import result_path
from mtmbench.engine.workspace import Workspace
from mtmbench.features.base import FeatureSource, Firings, FiringSource
from mtmbench.features.registry import source_of

TOP_FEATURES = 10
"""Of each topic; of no other feature anything is told."""

_CONTEXTS = 5
"""Of a feature, each from another document, the strongest first."""

_AROUND = 90
"""Characters of a context before and behind the token, cut at white space."""


class ToldFeature(TypedDict):
    """A feature: its name, where that is from, the SAE's own where it is another, its score.

    The score is that of the SAE's own label; ``d`` and ``t`` are the shares of documents and of
    tokens on which the feature fires.
    """

    n: str
    f: str
    o: NotRequired[str]
    s: NotRequired[float]
    d: NotRequired[float]
    t: NotRequired[float]


@dataclass
class _Group:
    """The features that topics show on one corpus under one setting, by number."""

    labels: dict[int, str] = field(default_factory=dict)
    own: dict[int, str] = field(default_factory=dict)
    own_from: str = "elsewhere"
    from_corpus: frozenset[int] = frozenset()


def feature_parts(
    plan: Plan, folder: Path, workspace: Workspace, *, texts: bool = False
) -> Iterator[Part]:
    """Yields what is known of the features of topics, a part per corpus and setting.

    Contexts have parts of their own, and are there only where the corpus's texts may be shown.

    Args:
        plan: the run's plan.
        folder: its folder.
        workspace: where its results are.
        texts: show contexts of every corpus, whatever its licence.
    """
    groups = _groups(plan, folder, workspace)
    source = source_of(plan.suite.features) if groups else None
    for (corpus_name, setting), group in groups.items():
        assert source is not None
        of = {"corpus": corpus_name, "setting": setting}
        corpus = plan.corpora[corpus_name]
        told = {number: _named(group, number) for number in sorted(group.labels)}
        where: dict[str, Any] = {
            "setting": setting, "max_tokens": plan.suite.features.max_tokens,
        }  # fmt: skip
        why: dict[str, str] = {}
        contexts: Mapping[int, list[list[str]]] = {}
        with _told_why(why, "score"):
            _add_scores(told, group, source, setting)
        with _told_why(why, "density"):
            if source.at_hand("counts", corpus, **where):
                _add_densities(told, source.counts(corpus, **where))
            else:
                why["density"] = _absent("how often it fires", corpus)
        with _told_why(why, "contexts"):
            shown = None if texts else why_not_shown(corpus)
            if shown is not None:
                why["contexts"] = shown
            elif not isinstance(source, FiringSource):
                why["contexts"] = f"feature source {source.name} does not say where it fires"
            elif not source.at_hand("firings", corpus, **where):
                why["contexts"] = _absent("where it fires", corpus)
            else:
                contexts = strongest_contexts(corpus, source.firings(corpus, **where), told)
        by_number = {str(number): feature for number, feature in told.items()}
        yield Part("features", of, {"features": by_number, "why": why})
        if contexts:
            yield Part("contexts", of, {str(n): places for n, places in contexts.items()})


@contextmanager
def _told_why(why: dict[str, str], what: str) -> Iterator[None]:
    """Puts into ``why`` what keeps ``what`` from being told: a source is anybody's code."""
    try:
        yield
    except Exception as error:
        why[what] = f"the features cannot be read: {str(error) or repr(error)}"


def strongest_contexts(
    corpus: Corpus, firings: Iterable[Firings], features: Iterable[int]
) -> dict[int, list[list[str]]]:
    """Returns where features fire most strongly: id of the document, before, token, behind.

    At most one context a document, and none whose window stands there already. Where the source
    does not tell how strongly a feature fires, the first documents come first.
    """
    wanted = np.array(sorted(features), np.int64)
    found: dict[int, list[tuple[float, int, int, int]]] = {int(i): [] for i in wanted}
    for part in firings:
        hit = np.flatnonzero(np.isin(part.features, wanted) & (part.ends > part.starts))
        values = np.zeros(len(hit)) if part.values is None else part.values[hit].astype(np.float64)
        order = np.lexsort(
            (part.starts[hit], part.documents[hit], -values, part.features[hit])
        )  # fmt: skip
        hit, values = hit[order], values[order]
        # The strongest place of each feature in each document, and of those more than are shown.
        pairs = part.features[hit] * len(corpus) + part.documents[hit]
        first = np.sort(np.unique(pairs, return_index=True)[1])
        hit, values = hit[first], values[first]
        begins = np.searchsorted(part.features[hit], part.features[hit])
        kept = np.flatnonzero(np.arange(len(hit)) - begins < 3 * _CONTEXTS)
        for at, value in zip(hit[kept].tolist(), values[kept].tolist(), strict=True):
            found[int(part.features[at])].append(
                (-value, int(part.documents[at]), int(part.starts[at]), int(part.ends[at]))
            )
    return {
        feature: list(_windows(corpus, sorted(places)))
        for feature, places in found.items()
        if places
    }


def _windows(corpus: Corpus, places: Iterable[tuple[float, int, int, int]]) -> Iterator[list[str]]:
    documents: set[int] = set()
    windows: set[tuple[str, ...]] = set()
    for _, row, start, end in places:
        window = _window(corpus.texts[row], start, end)
        if row in documents or window in windows:
            continue
        documents.add(row)
        windows.add(window)
        yield [corpus.doc_ids[row], *window]
        if len(documents) == _CONTEXTS:
            return


def _window(text: str, start: int, end: int) -> tuple[str, str, str]:
    low, high = max(0, start - _AROUND), min(len(text), end + _AROUND)
    before, behind = text[low:start], text[end:high]
    if low and (cut := re.search(r"\s", before)):
        before = before[cut.end() :]
    if high < len(text) and (cut := re.search(r"\s\S*\Z", behind)):
        behind = behind[: cut.start()]
    before, token, behind = (
        re.sub(r"\s+", " ", part) for part in (before, text[start:end], behind)
    )
    return before, token, behind


def _groups(plan: Plan, folder: Path, workspace: Workspace) -> dict[tuple[str, str], _Group]:
    groups: dict[tuple[str, str], _Group] = {}
    for fit in plan.fits:
        if fit.setting is None or not result_path(folder, fit.key).is_file():
            continue
        result = workspace.result(fit.key)
        if result.items.kind == "features":
            group = groups.setdefault((fit.corpus, fit.setting), _Group())
            _add_names(group, result, plan, fit, folder)
    return groups


def _add_names(group: _Group, result: TopicResult, plan: Plan, fit: FitCell, folder: Path) -> None:
    items = result.items
    numbers = {i: int(items.ids[i]) for row in result.top_items(TOP_FEATURES) for i in row}
    own = {number: items.labels[i] for i, number in numbers.items()}
    group.own.update(own)
    source = items.source.get("labels")
    if isinstance(source, Mapping):
        group.own_from = str(source.get("source") or "elsewhere")
    over: Mapping[int, str] = {}
    if (cell := labels_of(plan.labels, fit)) is not None:
        with suppress(InputError):  # where labels failed, those that the fit came with stand
            over = read_labels(folder, cell.made).whole
    group.labels.update({number: over.get(number, label) for number, label in own.items()})
    group.from_corpus |= own.keys() & over.keys()


def _named(group: _Group, number: int) -> ToldFeature:
    label, own = group.labels[number], group.own[number]
    if number not in group.from_corpus:
        return {"n": label, "f": group.own_from}
    told: ToldFeature = {"n": label, "f": "corpus"}
    if own != label:
        told["o"] = own
    return told


def _add_scores(
    told: Mapping[int, ToldFeature], group: _Group, source: FeatureSource, setting: str
) -> None:
    """Adds what a judge scored: the SAE's own label, which need not be the one that is shown."""
    scores = source.label_scores(setting)
    if scores is None:
        return
    for number, feature in told.items():
        if number < len(scores) and not np.isnan(scores[number]):
            feature["s"] = round(float(scores[number]), 3)
            if number in group.from_corpus:
                feature["o"] = group.own[number]


def _add_densities(told: Mapping[int, ToldFeature], counts: Counts) -> None:
    columns = {int(item): i for i, item in enumerate(counts.item_ids)}
    documents = np.bincount(
        counts.matrix.indices[counts.matrix.data > 0], minlength=counts.matrix.shape[1]
    ) / max(1, counts.matrix.shape[0])
    tokens = np.asarray(counts.matrix.sum(axis=0)).ravel() / max(1, int(counts.n_tokens.sum()))
    for number, feature in told.items():
        if number in columns:
            feature["d"] = round(float(documents[columns[number]]), 4)
            feature["t"] = round(float(tokens[columns[number]]), 6)


def _absent(what: str, corpus: Corpus) -> str:
    return (
        f"{what} in {corpus.name} was not at hand where this page was made: its activations were "
        "not in the cache"
    )
