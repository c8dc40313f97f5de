"""How a suite shows topics: cells that refine or summarise those of one fit, and what they leave.

A fit is refined first and then summarised, so that a summary is of the items that a board shows.
What is made of documents, projected words and summaries taken from them, is no item and is not
refined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtmbench.core.cards import JudgeCard
from mtmbench.core.cells import LabelCell, RewriteCell, labels_of
from mtmbench.core.errors import InputError
from mtmbench.core.files import read_json_object
from mtmbench.core.judge_facts import AnswersBy
from mtmbench.core.match_payloads import (
    ExtractionFacts,
    RefineLimits,
    RewriteTask,
    RewriteValues,
    RewrittenTopic,
)
from mtmbench.core.serialise import canonical_json, content_hash, write_atomically
from mtmbench.core.specs import JudgingSpec, RefineSpec, Representation
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.judges.asker import Asker
from mtmbench.judges.identity import judge_identity
from mtmbench.judges.panel import Panel
from mtmbench.judges.registry import JUDGES, load_judge_card, traits_of
from mtmbench.judges.replies import MOST_ODD
from mtmbench.judges.topic_questions import (
    TopicAnswer,
    TopicStatus,
    counted,
    prompt_record,
    topic_template,
)
from mtmbench.matches.refine import Dropped, odd_items, without
from mtmbench.matches.schedule import HALVES, summary_halves
from mtmbench.matches.summaries import (
    Extract,
    check_summariser,
    extract_summaries,
    summarise,
    with_summaries,
)

if TYPE_CHECKING:
    from mtmbench.core.cells import FitCell


@dataclass(frozen=True)
class Rewrites:
    """What a cell left behind: a value a topic and its status.

    Attributes:
        values: columns dropped, or a summary; None without one.
        statuses: "ok", or why there is no value.
    """

    values: tuple[Any, ...]
    statuses: tuple[TopicStatus, ...]


def representations_of(spec: JudgingSpec, card: JudgeCard) -> Sequence[Representation]:
    """Returns the suite's representations in which a judge plays.

    One that reads projected words however topics are shown would rule alike in each: it plays by
    these, else by items, which need no rewriting, else in the first.
    """
    if not JUDGES.get(card.client).reads_words:
        return spec.representations
    preferred: Sequence[Representation] = ("projected", "items")
    known = tuple(each for each in preferred if each in spec.representations)
    return (known or spec.representations)[:1]


def rewrite_cells(
    spec: JudgingSpec | None,
    players: Sequence[FitCell],
    refits: Sequence[FitCell],
    corpora: Mapping[str, Corpus],
    labels: Sequence[LabelCell] = (),
) -> list[RewriteCell]:
    """Lays out the cells that refine and summarise the fits that play; none without the options.

    Nothing is refined or summarised that no judge would be shown.

    Args:
        spec: the suite's judging.
        players: the fits that play.
        refits: those that play in controls alone; they are summarised where that costs nothing.
        corpora: the corpora by name.
        labels: what items are called where a judge reads them, those from the whole corpus.

    Raises:
        InputError: judge and summariser are the same model (:func:`check_summariser`); a judge or
            refiner can only take summaries from documents; or a refiner is named and nothing that
            it refines is shown.
        UnknownNameError: there is no such card.
    """
    if spec is None:
        return []
    for name in (*spec.judges, spec.refiner):
        if name is not None and _extracts(name):
            raise InputError(
                f"{name!r} takes summaries from documents and answers no question; name it as "
                "summariser, and others as judges and refiner"
            )
    if spec.refiner is None and spec.summariser is None:
        return []
    check_summariser(spec)
    extracted = spec.summariser is not None and _extracts(spec.summariser)
    refined: dict[str, RewriteCell] = {}
    of_documents = {"projected", *(["summary"] if extracted else [])}
    if spec.refiner is not None and of_documents.issuperset(spec.representations):
        raise InputError(
            f"refiner {spec.refiner!r} is named, but representations are "
            f'{list(spec.representations)}, which show no items; add "items"'
        )
    cards = [load_judge_card(name) for name in spec.judges]
    seen = {each for card in cards for each in representations_of(spec, card)}
    summarised = "summary" in seen
    if spec.refiner is not None and ("items" in seen or (summarised and not extracted)):
        make = _maker("refine", spec.refiner, spec.top_items, labels, spec.refine)
        refined = {fit.key: make(fit, None) for fit in players}
    cells = list(refined.values())
    if spec.summariser is not None and summarised and extracted:
        fits = [*players, *refits]
        cells += _extractions(spec.summariser, spec.top_items, fits, corpora)
    elif spec.summariser is not None and summarised:
        make = _maker("summary", spec.summariser, spec.top_items, labels)
        cells += [make(fit, refined.get(fit.key)) for fit in players]
    return cells


def cells_behind(
    cells: Sequence[RewriteCell], representation: Representation, fits: Sequence[FitCell]
) -> tuple[RewriteCell, ...]:
    """Returns those of ``cells`` that stand between these fits and what a judge is shown."""
    keys = {fit.key for fit in fits}
    own = [cell for cell in cells if cell.fit.key in keys]
    if representation == "items":
        return tuple(cell for cell in own if cell.task == "refine")
    if representation == "projected":
        return ()
    summaries = [cell for cell in own if cell.task == "summary"]
    refined = {cell.refined.key for cell in summaries if cell.refined is not None}
    return tuple(cell for cell in own if cell.task == "summary" or cell.key in refined)


def rewrite_topics(
    cell: RewriteCell, result: TopicResult, corpus: Corpus, folder: Path, panel: Panel
) -> RewriteValues:
    """Has a judge refine or summarise the topics of a fit, and keeps the outcome in ``folder``.

    Args:
        cell: what to do.
        result: the fit, as its cell ``refined`` shows it.
        corpus: its corpus, from which summaries may be taken.
        folder: the run's folder.
        panel: whom to ask.

    Returns:
        The values of the cell's record: every topic, replies that gave no value as they came, and
        the judge with what its answers took.
    """
    prompt = topic_template(cell.template)

    async def job(asker: Asker) -> tuple[Sequence[TopicAnswer[Dropped | str | Extract]], AnswersBy]:
        answers: Sequence[TopicAnswer[Dropped | str | Extract]]
        if cell.task == "refine":
            drop = MOST_ODD if cell.limits is None else cell.limits["drop"]
            answers = await odd_items(asker, result, cell.items_asked, prompt, drop)
        elif cell.extraction is not None:
            answers = await extract_summaries(asker, result, corpus, summary_halves(corpus)[0])
        else:
            answers = await summarise(asker, result, cell.top_items, prompt)
        return answers, asker.record()

    answers, judge = panel.consult(cell.judge, job, cell.card)
    topics: list[RewrittenTopic] = []
    for answer in answers:
        value = answer.value.text if isinstance(answer.value, Extract) else answer.value
        told = [result.items.labels[i] for i in value] if isinstance(value, tuple) else value
        topics.append({"status": answer.status, "value": told})
        if isinstance(answer.value, Extract):
            topics[-1]["documents"] = answer.value.documents
        if answer.status != "ok":
            topics[-1]["reply"] = answer.reply
    kept = [a.value.text if isinstance(a.value, Extract) else a.value for a in answers]
    _write(rewrites_path(folder, cell.key), kept, [answer.status for answer in answers])
    return {"topics": topics, "statuses": counted(answers), "answers_by": judge}


def show(result: TopicResult, cells: Sequence[RewriteCell], folder: Path) -> TopicResult:
    """Returns a fit's result as ``cells`` show it, refined before it is summarised."""
    for cell in sorted(cells, key=lambda cell: cell.task):
        shown = read_rewrites(folder, cell.key)
        if cell.task == "refine":
            dropped = [tuple(value or ()) for value in shown.values]
            result = without(result, cell.items_asked, dropped, cell.top_items)
        else:
            result = with_summaries(result, shown.values)
    return result


def read_rewrites(folder: Path, key: str) -> Rewrites:
    """Reads what a cell left behind.

    Raises:
        InputError: the file is missing or damaged; the message names it.
    """
    path = rewrites_path(folder, key)
    try:
        data = read_json_object(path)
        if "hash" in data and data["hash"] != content_hash(data["values"], data["statuses"]):
            raise ValueError("what it holds is not what was written")
        return Rewrites(tuple(data["values"]), tuple(data["statuses"]))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a whole file of rewritten topics: {error}") from error


def rewrites_path(folder: Path, key: str) -> Path:
    """Returns where the outcome of a cell lies."""
    return folder / "shown" / f"{key}.json"


def _write(path: Path, values: Sequence[object], statuses: Sequence[TopicStatus]) -> None:
    data = {"values": values, "statuses": statuses, "hash": content_hash(values, statuses)}
    write_atomically(path, canonical_json(data) + "\n")


def _maker(
    task: RewriteTask,
    name: str,
    top_items: int,
    labels: Sequence[LabelCell],
    refine: RefineSpec | None = None,
) -> Callable[[FitCell, RewriteCell | None], RewriteCell]:
    card = load_judge_card(name)
    facts = judge_identity(card)
    limits: RefineLimits | None = None
    if refine is not None:
        limits = {"show": refine.show, "drop": refine.drop}

    def make(fit: FitCell, refined: RewriteCell | None) -> RewriteCell:
        called = labels_of(labels, fit)
        cell = RewriteCell(
            "", task, name, card, facts, None, top_items, fit, refined, labels=called,
            limits=limits,
        )  # fmt: skip
        prompt = prompt_record(topic_template(cell.template))
        key = content_hash(
            "shown", task, facts, prompt["hash"], top_items, fit.key,
            None if refined is None else refined.key,
            *([called.key] if called else []), *([limits] if limits else []),
        )  # fmt: skip
        return replace(cell, key=key, prompt=prompt)

    return make


def _extracts(name: str) -> bool:
    return JUDGES.get(load_judge_card(name).client).extracts


def _extractions(
    name: str, top_items: int, fits: Sequence[FitCell], corpora: Mapping[str, Corpus]
) -> list[RewriteCell]:
    """Returns the cells of summaries that are taken from one half of each corpus."""
    card = load_judge_card(name)
    facts = judge_identity(card)
    encoder = traits_of(card)["encoder"]
    halves: dict[str, ExtractionFacts] = {}
    for corpus in {fit.corpus for fit in fits}:
        sources, judged = map(len, summary_halves(corpora[corpus]))
        halves[corpus] = {
            "is_llm": False, "rule": HALVES, "n_sources": sources, "n_judged": judged,
        }  # fmt: skip
        if encoder is not None:
            halves[corpus]["encoder"] = encoder
    return [
        RewriteCell(
            content_hash("shown", "summary", facts, HALVES, top_items, fit.key),
            "summary", name, card, facts, None, top_items, fit, extraction=halves[fit.corpus],
        )
        for fit in fits
    ]  # fmt: skip
