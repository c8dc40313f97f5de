"""Runs a judge on human data and writes the judges' board (``mtmbench validate``)."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtmbench.boards.spending import lacking_replies
from mtmbench.core.cards import JudgeCard
from mtmbench.core.names import check_name
from mtmbench.core.serialise import content_hash
from mtmbench.core.types import Float64Array, Progress
from mtmbench.judges.asker import Asker, gather
from mtmbench.judges.base import Question
from mtmbench.judges.document_questions import (
    FIT_LEVELS,
    Asked,
    DocumentTask,
    document_questions,
    document_template,
    scores_by_topic,
)
from mtmbench.judges.panel import Panel
from mtmbench.judges.prompt import prompt_names
from mtmbench.judges.registry import load_judge_card, traits_of
from mtmbench.judges.replies import parse_hoyle_intruder, parse_level
from mtmbench.validation import proxann
from mtmbench.validation.board import write_judges_board
from mtmbench.validation.hoyle import (
    N_SHOWN,
    RATING_LEVELS,
    HoyleTopic,
    intrusion_tasks,
    read_hoyle,
)
from mtmbench.validation.proxann import (
    ProxannTopic,
    judged_documents,
    read_proxann,
    stored_coherence,
)
from mtmbench.validation.published import published_rows
from mtmbench.validation.questions import intrusion_questions, rating_questions
from mtmbench.validation.rows import PromptHashes, StoredJudge, ValidatedJudge
from mtmbench.validation.scores import (
    Figure,
    hoyle_coherence_rows,
    hoyle_rows,
    people_rows,
    proxann_coherence_rows,
    proxann_rows,
    unanswered_row,
)
from mtmbench.validation.stored import FIT_BOUNDS, write_stored_answers

_DRAWS = 4
"""Intrusion tasks a topic."""


@dataclass(frozen=True)
class Validation:
    """What a validation did.

    Attributes:
        files: the board's files.
        rows: all rows of the board.
        asked: questions put to the judge, the ones whose answer was kept not among them.
    """

    files: tuple[Path, ...]
    rows: tuple[Figure, ...]
    asked: int


@dataclass(frozen=True)
class _HumanData:
    proxann: Sequence[ProxannTopic]
    hoyle: Sequence[HoyleTopic]
    coherence: dict[str, dict[str, float]]

    def references(self) -> list[Figure]:
        return [
            *people_rows(self.proxann),
            *proxann_coherence_rows(self.proxann, self.coherence),
            *hoyle_coherence_rows(self.hoyle),
            *published_rows(),
        ]


def validate(
    judge: str,
    out: Path,
    *,
    data_dir: Path | None = None,
    stored: bool = False,
    concurrency: int = 8,
    budget: float | None = None,
    progress: Progress | None = None,
) -> Validation:
    """Runs a judge on ProxAnn's bills and the topics of Hoyle et al. (2021).

    The board in ``out`` keeps the rows of other judges. What a language model answers is kept in
    ``out/answers`` at once, so that a run that was killed goes on where it stopped.

    Args:
        judge: a judge card's name or path.
        out: the folder of the board.
        data_dir: the data folder; None reads ``MTMBENCH_DATA``.
        stored: also score the language models whose answers ProxAnn published.
        concurrency: questions under way at one time, at most.
        budget: what this judge's answers in ``out`` may cost altogether; None for no limit.
        progress: told how many of how many questions are answered.

    Raises:
        InputError: the data are not there, or the board in ``out`` is none.
        JudgeError: the judge failed on a question; what it answered before is kept.
    """
    card = load_judge_card(judge)
    data = _HumanData(read_proxann(data_dir), read_hoyle(data_dir), stored_coherence(data_dir))
    name = check_name(Path(judge).stem, "a judge")
    is_llm = traits_of(card)["is_llm"]
    answers = out / "answers" / f"{name}.sqlite" if is_llm else None
    with Panel(answers, budget=budget, concurrency=concurrency) as panel:
        interview = _Interview(panel.seat(name, card), progress)
        rows, revisions = panel.run(_validate(name, data, interview))
        judges: list[ValidatedJudge] = [
            {
                "judge": name, "is_llm": is_llm, **interview.asker.identity,
                **_prompts(interview.asker), "revisions": revisions,
                **lacking_replies([interview.asker.record()]),
            }
        ]  # fmt: skip
    if stored:
        more_rows, more_judges = _validate_stored(data, data_dir)
        rows += more_rows
        judges += more_judges
    files, all_rows = write_judges_board(out, rows, judges, data.references())
    return Validation(files, tuple(all_rows), interview.asker.asked)


class _Interview:
    """Puts questions to a judge; a language model's answers are kept, a proxy's made anew."""

    def __init__(
        self,
        asker: Asker,
        progress: Progress | None = None,
        *,
        fit_bounds: tuple[float, float] = (1, FIT_LEVELS),
    ) -> None:
        self.fit_bounds = fit_bounds
        self.asker = asker
        self._progress = progress
        self.revisions: set[str] = set()

    async def replies(self, asked: Sequence[Asked]) -> list[str | None]:
        """Returns the replies in order; None for a refusal."""
        answered = 0

        async def reply(item: Asked) -> str | None:
            nonlocal answered
            text = await self._reply(*item)
            answered += 1
            if self._progress is not None:
                self._progress(answered, len(asked))
            return text

        return await gather([reply(item) for item in asked])

    async def _reply(self, question: Question, what: str) -> str | None:
        answer = await self.asker.ask(question, what)
        if answer.model_revision:
            self.revisions.add(answer.model_revision)
        return None if answer.refused else answer.readable


async def _validate(
    name: str, data: _HumanData, interview: _Interview
) -> tuple[list[Figure], list[str]]:
    judged = judged_documents(data.proxann)
    interview.asker.client.prepare_documents(judged, range(len(judged)))
    answers, rows = await _proxann_answers(name, data.proxann, [interview])
    rows += proxann_rows(name, data.proxann, answers)
    ratings = await interview.replies(rating_questions(data.hoyle))
    levels = [_level(text, "RATING", RATING_LEVELS) for text in ratings]
    rated = {
        topic.id: level
        for topic, level in zip(data.hoyle, levels, strict=True)
        if level is not None
    }
    tasks = intrusion_tasks(data.hoyle, _DRAWS)
    texts = await interview.replies(intrusion_questions(tasks))
    places = [None if text is None else parse_hoyle_intruder(text, N_SHOWN + 1) for text in texts]
    found: dict[str, list[bool]] = {}
    for task, place in zip(tasks, places, strict=True):
        if place is not None:
            found.setdefault(task.topic, []).append(place == task.intruder)
    shares = {topic: float(np.mean(hits)) for topic, hits in found.items()}
    rows += hoyle_rows(name, data.hoyle, {"rating": rated, "intrusion": shares})
    for task_name, got in (("rating", levels), ("intrusion", places)):
        rows.append(unanswered_row(name, "hoyle", task_name, got.count(None), len(got)))
    return rows, sorted(interview.revisions)


def _validate_stored(
    data: _HumanData, data_dir: Path | None
) -> tuple[list[Figure], list[StoredJudge]]:
    rows: list[Figure] = []
    judges: list[StoredJudge] = []
    with tempfile.TemporaryDirectory() as folder, Panel() as panel:
        path = Path(folder) / "answers.jsonl"
        for judge, runs in write_stored_answers(data_dir, path).items():
            interviews = []
            for run in runs:
                params = {"path": str(path), "where": {"judge": judge, "run": run}}
                asker = panel.seat(f"{judge} {run}", JudgeCard(client="replay", params=params))
                interviews.append(_Interview(asker, fit_bounds=FIT_BOUNDS))
            answers, unanswered = panel.run(_proxann_answers(judge, data.proxann, interviews))
            rows += proxann_rows(judge, data.proxann, answers) + unanswered
            judges.append(
                {"judge": judge, "is_llm": True, "client": "replay", "runs": len(runs),
                 "source": "the outputs that ProxAnn published, mean over runs"}
            )  # fmt: skip
    return rows, judges


async def _proxann_answers(
    name: str, topics: Sequence[ProxannTopic], interviews: Sequence[_Interview]
) -> tuple[dict[str, dict[str, Float64Array]], list[Figure]]:
    """Returns the scores by task and topic, averaged over interviews, and what was unanswered.

    A topic with a reply that is no answer is left out of the task.
    """
    tasks: tuple[DocumentTask, ...] = ("fit", "rank")
    answers: dict[str, dict[str, Float64Array]] = {}
    rows = []
    for task in tasks:
        asked = document_questions(task, proxann.DATASET, topics, document_template(task))
        runs = [
            scores_by_topic(task, topics, await interview.replies(asked), interview.fit_bounds)
            for interview in interviews
        ]
        answers[task] = {}
        for topic, *found in zip(topics, *runs, strict=True):
            if not any(score is None for run in found for score in run):
                answers[task][topic.id] = np.array(found, dtype=np.float64).mean(axis=0)
        # A ranking is one reply for all documents of a topic.
        lost = sum(row.count(None) if task == "fit" else None in row for run in runs for row in run)
        rows.append(unanswered_row(name, proxann.DATASET, task, lost, len(asked) * len(runs)))
    return answers, rows


def _level(text: str | None, name: str, highest: float) -> float | None:
    return None if text is None else parse_level(text, name, highest)


def _prompts(asker: Asker) -> PromptHashes:
    if not asker.client.is_llm:
        return {}
    return {
        "prompts": {
            name: content_hash(path.read_text(encoding="utf-8"))
            for name, path in sorted(prompt_names().items())
            if name.startswith("validate_")
        }
    }
