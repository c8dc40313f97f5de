"""Would somebody who uses a topic sort documents as the model does? ProxAnn (Hoyle et al. 2025)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, ClassVar

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.judge_facts import AnswersBy
from mtmbench.core.serialise import seed_from
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, FloatArray, IntArray, ItemView
from mtmbench.judges.asker import Asker, gather
from mtmbench.judges.base import judged_mark
from mtmbench.judges.document_questions import (
    DocumentTask,
    TopicDocuments,
    document_questions,
    document_template,
    scores_by_topic,
)
from mtmbench.judges.ledger_file import Answer
from mtmbench.judges.prompt import Template
from mtmbench.judges.topic_questions import prompt_record
from mtmbench.metrics.base import MetricValue, People
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.judged import JudgedMetric
from mtmbench.metrics.left_out import topics_without_value
from mtmbench.stats.correlation import kendall_tau, mean_over_topics

_DEFAULTS: Mapping[str, object] = {
    "judge": "embedding-exemplars", "task": "fit", "n_topics": 20, "n_documents": 7,
    "n_exemplars": 7, "top_n": 15, "seed": 0,
}  # fmt: skip


@dataclass(frozen=True)
class _Drawn:
    """A topic that is asked about: its number, rows of its exemplars and of what is judged."""

    topic: int
    words: tuple[str, ...]
    exemplars: IntArray
    judged: IntArray


class ProxAnn(JudgedMetric):
    """Mean over topics of Kendall's τ-b between θ and a judge's scores of documents.

    From a topic's ``top_n`` items and the ``n_exemplars`` documents of largest θ the judge finds
    the category that they share, and says of each of ``n_documents`` others how well it fits it, 1
    to 5 (``task = "fit"``), or ranks them (``task = "rank"``). The documents are spread evenly over
    θ (:func:`spread_documents`). At most ``n_topics`` topics are asked about; which, and which of
    equal documents, ``seed`` says.

    Topics without a τ take no part in the mean and are counted: those that no document or no item
    is of, those with a reply that gave no answer, and those whose θ, or whose scores, are the same
    for all documents. Details hold the bootstrap interval over topics, and for ranks their mean
    NDCG, 0 for the worst order and 1 for the best. Source: Hoyle, Calvo-Bartolomé, Boyd-Graber and
    Resnik 2025 (arXiv:2507.00828); they compare documents in pairs, and draw exemplars among those
    of large θ.
    """

    name = "proxann"
    bounds = (-1.0, 1.0)
    needs = ("judge", "theta")
    people = People(("embedding-exemplars", "embedding"), ("fit", "rank"))
    variants: ClassVar[tuple[Mapping[str, object], ...]] = (
        _DEFAULTS,
        {**_DEFAULTS, "task": "rank"},
    )
    least: ClassVar[Mapping[str, int]] = {
        "n_topics": 1, "n_documents": 2, "n_exemplars": 1, "top_n": 1, "seed": 0,
    }  # fmt: skip

    @classmethod
    def template(cls, params: Mapping[str, object]) -> Template:
        """See :class:`mtmbench.metrics.judged.JudgedMetric`."""
        return document_template(_task(params))

    @classmethod
    def text_shown(cls, params: Mapping[str, object]) -> int:
        """See :class:`mtmbench.metrics.judged.JudgedMetric`."""
        numbers, settings = cls.numbers(params), cls.template(params).settings
        documents = numbers["n_documents"] if _task(params) == "rank" else 1
        exemplars = numbers["n_exemplars"] * settings["exemplar_characters"]
        return exemplars + documents * settings["document_characters"]

    @classmethod
    def n_questions(cls, params: Mapping[str, object], n_topics: int) -> int:
        """See :class:`mtmbench.metrics.judged.JudgedMetric`."""
        numbers = cls.numbers(params)
        asked = min(n_topics, numbers["n_topics"])
        return asked if _task(params) == "rank" else asked * numbers["n_documents"]

    def judged(
        self,
        result: TopicResult,
        context: MetricContext,
        view: ItemView | None,
        judge: str,
        setting: Mapping[str, Any],
    ) -> MetricValue:
        """See :class:`mtmbench.metrics.judged.JudgedMetric`; topics not asked about have none."""
        task, numbers = _task(setting), self.numbers(setting)
        n_needed = numbers["n_exemplars"] + numbers["n_documents"]
        n_different = len(set(context.corpus.texts))
        if n_different < n_needed:
            return MetricValue.missing(
                f"{n_needed} different documents are needed and the corpus has {n_different}"
            )
        words = context.top_labels(result, view, numbers["top_n"])
        drawn = _draw(result.doc_topic, context.corpus, words, numbers)
        asked = [one for one in drawn if one.words and len(one.exemplars)]
        if not asked:
            return MetricValue.missing("no topic has items and documents")
        scores, details = _ask(context, judge, task, asked)
        details["prompt"] = prompt_record(self.template(setting))
        tau: dict[int, float] = {}
        ndcg: list[float] = []
        for one, given in zip(asked, scores, strict=True):
            weights = result.doc_topic[one.judged, one.topic]
            known = [score for score in given if score is not None]
            found = kendall_tau(weights, known) if len(known) == len(given) else float("nan")
            if np.isfinite(found):
                tau[one.topic] = found
                ndcg.append(_ndcg(weights, known))
        mean = mean_over_topics([*tau.values()], seed=numbers["seed"]).within(-1, 1)
        details |= {"lo": mean.lo, "hi": mean.hi, "n": mean.n, "asked": [d.topic for d in drawn]}
        details |= topics_without_value(len(drawn) - len(tau), len(drawn))
        if mean.value is None:
            return MetricValue.missing("no topic has an answer for each document", **details)
        if task == "rank":
            details["ndcg"] = fmean(ndcg)
        per_topic = tuple(tau.get(k) for k in range(result.n_topics))
        return MetricValue(mean.value, per_topic, details=details)


def spread_documents(
    weights: FloatArray, order: IntArray, n_exemplars: int, n_documents: int
) -> tuple[IntArray, IntArray]:
    """Returns the rows of a topic's exemplars and of the documents that are judged, as ProxAnn.

    Exemplars are those of largest weight, none without any. Of the others, those are judged whose
    weights are nearest to ``max, …, 0`` in equal steps, each once, the largest first.

    Args:
        weights: (D,) θ of the topic.
        order: the rows that may be taken; of equal ones the first is.
        n_exemplars: exemplars, at most.
        n_documents: documents to judge.
    """
    strongest = order[np.argsort(-weights[order], kind="stable")]
    n = min(n_exemplars, int((weights[order] > 0).sum()))
    exemplars, rest = strongest[:n], strongest[n:]
    left = weights[rest].astype(np.float64)
    judged = []
    for target in np.linspace(left.max(), 0, n_documents):
        judged.append(int(np.abs(left - target).argmin()))
        left[judged[-1]] = np.inf
    return exemplars, rest[judged]


def _draw(
    theta: FloatArray, corpus: Corpus, words: Sequence[Sequence[str]], numbers: Mapping[str, int]
) -> list[_Drawn]:
    """Draws topics by their items, so that the draw does not depend on their order."""
    seed = numbers["seed"]
    first: dict[str, int] = {}
    for row, text in enumerate(corpus.texts):
        first.setdefault(text, row)
    order = np.random.default_rng(seed_from("proxann", seed)).permutation([*first.values()])
    topics = sorted(range(len(words)), key=lambda k: seed_from("proxann", seed, words[k]))
    return [
        _Drawn(
            k, tuple(words[k]),
            *spread_documents(theta[:, k], order, numbers["n_exemplars"], numbers["n_documents"]),
        )
        for k in sorted(topics[: numbers["n_topics"]])
    ]  # fmt: skip


def _ask(
    context: MetricContext, judge: str, task: DocumentTask, drawn: Sequence[_Drawn]
) -> tuple[list[tuple[float | None, ...]], dict[str, object]]:
    """Returns a score for each document of each topic, and details for the record."""
    corpus = context.corpus
    topics = [
        TopicDocuments(
            str(one.topic), one.words, tuple(corpus.texts[row] for row in one.exemplars),
            tuple(corpus.texts[row] for row in one.judged),
        )
        for one in drawn
    ]  # fmt: skip
    rows = sorted({int(row) for one in drawn for row in one.judged})

    async def job(asker: Asker) -> tuple[list[Answer], AnswersBy]:
        asker.client.prepare_documents(corpus, rows)
        prompt = document_template(task) if asker.client.is_llm else None
        mark = judged_mark(corpus, rows)
        asked = document_questions(task, corpus.name, topics, prompt, mark)
        answers = await gather([asker.ask(*question) for question in asked])
        return answers, asker.record()

    assert context.consult is not None
    answers, answered_by = context.consult(judge, job)
    replies = [None if answer.refused else answer.readable for answer in answers]
    scores = scores_by_topic(task, topics, replies)
    given = [score for row in scores for score in (row if task == "fit" else row[:1])]
    statuses = [
        "refused" if reply is None else "unparsed" if score is None else "ok"
        for reply, score in zip(replies, given, strict=True)
    ]
    unread = {
        str(i): answer.text
        for i, (answer, status) in enumerate(zip(answers, statuses, strict=True))
        if status != "ok"
    }
    counted = dict(sorted(Counter(statuses).items()))
    return scores, {"statuses": counted, "unread": unread, "answers_by": answered_by}


def _ndcg(weights: FloatArray, scores: Sequence[float]) -> float:
    """Returns NDCG of the order by weight with scores as gains, 0 for the worst order."""
    from sklearn.metrics import ndcg_score

    worst = float(ndcg_score([scores], [-np.asarray(scores)]))
    return (float(ndcg_score([scores], [weights])) - worst) / (1 - worst)


def _task(params: Mapping[str, object]) -> DocumentTask:
    task = params.get("task", _DEFAULTS["task"])
    if task not in ("fit", "rank"):
        raise InputError(f'task of metric \'proxann\' must be "fit" or "rank", not {task!r}')
    return task
