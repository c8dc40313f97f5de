"""The topics of a run, for people to read: which fit, its topics, and all that is known of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.fit_payloads import FitPayload, MetricPayload
from mtmbench.core.records import FitRecord, StoredRecord, of_kind
from mtmbench.core.specs import CorpusSpec
from mtmbench.core.store import read_records, records_file, stream_run
from mtmbench.core.types import Corpus
from mtmbench.corpora.licences import why_not_shown
from mtmbench.engine.results import recorded_result, result_path

_CHARACTERS = 160
"""Of a document's beginning."""


@dataclass(frozen=True)
class Choice:
    """Which fits are meant; what is None is not said.

    Attributes:
        model, corpus: what they are called on the board.
        setting: of features.
        k: the number of topics, or as the suite asks for it ("labels").
        seed: None takes the lowest of those under which there is a fit.
    """

    model: str | None = None
    corpus: str | None = None
    setting: str | None = None
    k: str | None = None
    seed: int | None = None


class RunTopic(NamedTuple):
    """A topic as a run's records tell of it, with the items as matches show them."""

    number: int
    share: float
    items: Sequence[str]
    words: Sequence[str]
    summary: str | None


@dataclass(frozen=True)
class RunFit:
    """A fit of a run and its topics.

    Attributes:
        key: of its record and result.
        payload: what its record says.
        topics: in order.
        values: values of metrics that have one a topic.
    """

    key: str
    payload: FitPayload
    topics: Sequence[RunTopic]
    values: Sequence[MetricPayload] = ()

    def title(self) -> str:
        """Returns which fit it is, in words."""
        told, setting = self.payload, self.payload["setting"]
        model = told["model"] if setting is None else f"{told['model']}, {setting}"
        return f"{model} · corpus {told['corpus']} · K = {told['k']} · seed {told['seed']}"


@dataclass(frozen=True)
class TopicDocuments:
    """The documents of largest share in a topic.

    Attributes:
        weights: of the topic's top items, in their order.
        documents: id, share and beginning of each; None for what may not be shown.
        why: why no text is shown, if none is.
    """

    weights: Sequence[float] = ()
    documents: Sequence[tuple[str, float, str | None]] = field(default_factory=list)
    why: str | None = None


def run_fits(folder: Path, choice: Choice) -> list[RunFit]:
    """Returns the fits of a run that are meant, by corpus, K, model and setting.

    Args:
        folder: a run's, or a board's: records are enough.
        choice: which.

    Raises:
        InputError: the folder holds no records, or none of the fits that are meant succeeded.
        UnknownNameError: there is no fit of a name; the nearest is given.
    """
    records = _records(folder)
    played = of_kind(records, "fit")
    if not played:
        raise InputError(f"{folder} holds no fit yet")
    fits = _chosen(played, choice)
    labels = {key: r for r in of_kind(records, "labels") for key in r.payload["fits"]}
    summaries = {
        key: r
        for r in of_kind(records, "shown")
        if r.payload["task"] == "summary"
        for key in r.payload["fits"]
    }
    values: dict[str, list[MetricPayload]] = {}
    for value in of_kind(records, "metric"):
        if value.payload.get("per_topic"):
            for key in value.payload["fits"]:
                values.setdefault(key, []).append(value.payload)
    told = []
    for fit in fits:
        named, summed = labels.get(fit.key), summaries.get(fit.key)
        items = [topic["items"] for topic in fit.payload["topics"]]
        if named is not None and "topics" in named.payload:
            items = list(named.payload["topics"])
        sentences: list[object] = [None] * len(items)
        if summed is not None and "topics" in summed.payload:
            sentences = [topic["value"] for topic in summed.payload["topics"]]
        topics = [
            RunTopic(
                k, topic["share"], shown, topic["words"], text if isinstance(text, str) else None
            )
            for k, (topic, shown, text) in enumerate(
                zip(fit.payload["topics"], items, sentences, strict=True)
            )
        ]
        told.append(RunFit(fit.key, fit.payload, topics, values.get(fit.key, ())))
    return told


def one_fit(folder: Path, choice: Choice) -> RunFit:
    """Returns the fit that is meant, where only K and the setting may be left open.

    The smallest K is taken, and the first setting by name.

    Raises:
        InputError: several models or corpora are meant, or as :func:`run_fits` does.
        UnknownNameError: there is no fit of a name.
    """
    fits = run_fits(folder, choice)
    for name in ("corpus", "model"):
        found = sorted({value for fit in fits for value in _said(fit.payload)[name]})
        if len(found) > 1:
            raise InputError(f"which {name}? --{name} takes one of {', '.join(found)}")
    return fits[0]


def topic_documents(
    folder: Path, fit: RunFit, topic: int, n: int, *, data_dir: Path | None, texts: bool
) -> TopicDocuments:
    """Returns the documents of largest share in a topic, with their beginnings.

    Args:
        folder: the run's.
        fit: one of its fits.
        topic: the topic's number.
        n: documents at most.
        data_dir: folder of local corpora.
        texts: show texts of every corpus, whatever its licence.

    Raises:
        InputError: the fit's result is damaged, or the corpus cannot be loaded.
    """
    from mtmbench.corpora.load import load_spec

    if not result_path(folder, fit.key).is_file():
        return TopicDocuments(why="the fit's result is not in this folder, but in the run's own")
    result = recorded_result(folder, fit.key)
    columns = result.top_items(len(fit.topics[topic].items))[topic]
    weights = [float(result.item_weights[topic, column]) for column in columns]
    name, shares = fit.payload["corpus"], result.doc_topic[:, topic]
    suite = read_card(folder / "suite.toml", Suite)
    likely_first = sorted(suite.corpora, key=lambda spec: not _may_be(spec, name))
    corpora = (load_spec(spec, data_dir) for spec in likely_first)
    corpus = next((corpus for corpus in corpora if corpus.name == name), None)
    if corpus is None or corpus.revision != fit.payload["corpus_revision"]:
        return TopicDocuments(weights, why=f"corpus {name!r} is another one now than was fitted")
    rows = [int(row) for row in np.argsort(-shares, kind="stable")[:n] if shares[row]]
    why = None if texts else why_not_shown(corpus)
    documents = [
        (corpus.doc_ids[row], float(shares[row]), _beginning(corpus, row) if why is None else None)
        for row in rows
    ]
    return TopicDocuments(weights, documents, why)


def _may_be(spec: CorpusSpec, name: str) -> bool:
    """Whether a corpus may be called so; files and hub ids are called by the end of their names."""
    path = Path(spec.name)
    return name in (spec.called, path.name, path.stem)


def _records(folder: Path) -> list[StoredRecord]:
    exported = records_file(folder)
    if exported.is_file():  # which has the board's records alone
        return read_records(exported)
    if not (folder / "store.sqlite").is_file():
        raise InputError(f"{folder} holds no run: it has neither records nor a store")
    return list(stream_run(folder))


def _chosen(fits: Iterable[FitRecord], choice: Choice) -> list[FitRecord]:
    # Fits of documents in other orders are there for one metric; they are nobody's topics.
    left = [fit for fit in fits if not fit.payload.get("order")]
    for name, wanted in vars(choice).items():
        if wanted is not None:
            called = "K" if name == "k" else name
            found = set().union(*(_said(fit.payload)[name] for fit in left))
            if str(wanted) not in found:
                raise UnknownNameError(called, str(wanted), found)
            left = [fit for fit in left if str(wanted) in _said(fit.payload)[name]]
    if left and all(fit.status != "ok" for fit in left):
        raise InputError(f"the fit failed: {left[0].payload.get('reason')}")
    first: dict[tuple[str, int, str, str, str], FitRecord] = {}
    for fit in sorted(left, key=lambda fit: fit.payload["seed"]):
        if fit.status == "ok":
            told = fit.payload
            place = (told["corpus"], told["k"], str(told["k_spec"]), told["model"],
                     told["setting"] or "")  # fmt: skip
            first.setdefault(place, fit)
    return [first[place] for place in sorted(first)]


def _said(told: FitPayload) -> dict[str, set[str]]:
    """Returns by what each field of a :class:`Choice` means a fit."""
    return {
        "model": {told["model"]},
        "corpus": {told["corpus"]},
        "setting": set() if told["setting"] is None else {told["setting"]},
        "k": {str(told["k"]), str(told["k_spec"])},
        "seed": {str(told["seed"])},
    }


def _beginning(corpus: Corpus, row: int) -> str:
    text = " ".join(corpus.texts[row].split())
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]} …"
