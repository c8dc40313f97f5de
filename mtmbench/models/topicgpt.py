"""TopicGPT-style topics: a judge writes them from documents and says which each document has.

Pham, Hoyle, Sun, Resnik and Iyyer 2024, "TopicGPT: A Prompt-based Topic Modeling Framework"
(NAACL; arXiv:2311.01449).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Float64Array, FloatArray, IntArray, ItemKind, ViewName, Views
from mtmbench.core.written import Assignment, Replies, WrittenTopic
from mtmbench.models.base import TopicModel, normalise_rows
from mtmbench.models.clusters import class_tfidf


class TopicGPT(TopicModel):
    """Topics in words, written, merged and assigned by a judge.

    1. The judge reads a sample of the documents, one after the other, and names each one's topics:
       those that it wrote before, or new ones.
    2. Shown the whole list, it says which are the same. A group goes under the name of its most
       frequent topic; topics of fewer than ``least_share`` of the sample are dropped, and beyond
       ``n_topics`` the rarest.
    3. It assigns every document to topics, each with a quotation. A quotation that is not in the
       document counts for nothing.

    θ is alike over a document's topics; without any it is an outlier with a row of zeros.
    ``topic_item`` is class-based TF-IDF of the words by θ, ``summaries`` are the written names and
    descriptions. Topics that no document has are left out: ``info`` has "asked" and "found".

    The paper offers only pairs of topics with near embeddings for merging, and asks again where an
    assignment is malformed; here the judge sees the list once, and no reply is asked for twice.
    Prompts are this project's own (``judges/prompts/topic_*.md``). Answers are the ledger's: fits
    that differ in K alone share those of the first two steps' questions.

    Args:
        n_topics: most topics.
        judge: name of the judge card that is asked; what asks it comes with the views.
        sample: documents from which topics are written.
        least_share: share of the sample that a topic needs.

    After ``fit``: ``topics_``, what documents were assigned to, and ``quotes_``, for each document
    the quotations by column of θ.
    """

    name: ClassVar[str] = "topicgpt"
    version: ClassVar[int] = 2
    needs: ClassVar[tuple[ViewName, ...]] = ("words",)
    item_view: ClassVar[ItemKind] = "words"
    asks: ClassVar[bool] = True

    topics_: tuple[WrittenTopic, ...]
    item_ids_: tuple[str, ...]

    def __init__(
        self,
        n_topics: int = 20,
        judge: str | None = None,
        sample: int = 100,
        least_share: float = 0.02,
    ) -> None:
        self.n_topics = n_topics
        self.judge = judge
        self.sample = sample
        self.least_share = least_share

    @classmethod
    def questions(cls, params: Mapping[str, object], n_docs: int) -> dict[str, int]:
        """See :class:`~mtmbench.models.base.TopicModel`."""
        sample = params["sample"]
        assert isinstance(sample, int)
        return {"topic_write": min(sample, n_docs), "topic_merge": 1, "topic_assign": n_docs}

    def fit(self, views: Views, *, seed: int) -> TopicResult:
        """Has topics written, merged and assigned.

        Raises:
            InputError: a parameter is wrong, the view or a judge is missing, no document has any
                word, or no topic was written or assigned; the message says what was replied.
            JudgeError: the judge failed, or the budget is used up; what was answered is kept.
        """
        self._check_parameters()
        counts = self._counts_to_fit(views)
        writer = views.require_writer(self.name)
        texts = views.corpus.texts
        rows = np.random.default_rng(seed).permutation(len(texts))[: self.sample]
        written = writer.write([texts[row] for row in rows])
        naming: dict[WrittenTopic, set[int]] = {}
        for row, topics in enumerate(written.values):
            for topic in topics or ():
                naming.setdefault(topic, set()).add(row)
        if not naming:
            raise InputError(
                f"model {self.name!r}: the judge wrote no topic for {len(rows)} documents "
                f"(replies: {_told(written)})"
            )
        merged = writer.merge(list(naming))
        grouped = _grouped(naming, merged.values[0] or ())
        least = self.least_share * len(rows)
        kept = [topic for topic, n in grouped.most_common() if n >= least][: self.n_topics]
        if not kept:
            raise InputError(
                f"model {self.name!r}: none of {len(grouped)} topics is in {least:g} documents of "
                f"the sample; lower least_share (now {self.least_share:g})"
            )
        self.topics_, self.item_ids_ = tuple(kept), counts.item_ids
        assigned = writer.assign(texts, self.topics_)
        whole = _theta(assigned.values, len(kept))
        self._columns: IntArray = np.flatnonzero(whole.any(axis=0))
        if not len(self._columns):
            raise InputError(
                f"model {self.name!r}: the judge assigned no document (replies: {_told(assigned)})"
            )
        theta = whole[:, self._columns]
        column = {int(topic): k for k, topic in enumerate(self._columns)}
        self.quotes_ = tuple(
            {column[one.topic]: one.quote for one in given or ()} for given in assigned.values
        )
        replies = {"topic_write": written, "topic_merge": merged, "topic_assign": assigned}
        result = self._result(
            views,
            counts,
            seed=seed,
            doc_topic=normalise_rows(theta),
            topic_item=normalise_rows(class_tfidf(np.asarray((counts.matrix.T @ theta).T))),
            outlier=theta.sum(axis=1) == 0,
            info={
                "asked": self.n_topics,
                "found": len(self._columns),
                "written": len(naming),
                "merged": len(naming) - len(grouped),
                "dropped": len(grouped) - len(kept),
                "names": [kept[topic].name for topic in self._columns],
                "replies": {task: dict(one.statuses) for task, one in replies.items()},
                "answers_by": {task: one.answers_by for task, one in replies.items()},
            },
        )
        return replace(result, summaries=tuple(kept[topic].text for topic in self._columns))

    def transform(self, views: Views) -> FloatArray:
        """Returns θ (D, K) by asking the judge about the documents; zero for one without a topic.

        Raises:
            InputError: the model is not fitted, the items differ from those of the fit, or a judge
                is missing.
            JudgeError: the judge failed, or the budget is used up.
        """
        self._fitted_counts(views)
        assigned = views.require_writer(self.name).assign(views.corpus.texts, self.topics_)
        return normalise_rows(_theta(assigned.values, len(self.topics_))[:, self._columns])

    def _check_parameters(self) -> None:
        self._check_n_topics()
        if self.sample < 1:
            raise InputError(f"sample must be at least 1, not {self.sample!r}")
        if not 0 <= self.least_share <= 1:
            raise InputError(f"least_share must be from 0 to 1, not {self.least_share!r}")


def _grouped(
    naming: Mapping[WrittenTopic, set[int]], groups: Sequence[Sequence[int]]
) -> Counter[WrittenTopic]:
    """Returns in how many documents each group is, under its commonest topic.

    A document that named several topics of a group counts once.
    """
    topics, left = list(naming), dict(naming)
    for group in groups:
        members = [topics[number] for number in group]
        together = set[int]().union(*(left.pop(topic) for topic in members))
        left[max(members, key=lambda topic: len(naming[topic]))] = together
    return Counter({topic: len(documents) for topic, documents in left.items()})


def _theta(values: Sequence[Sequence[Assignment] | None], n_topics: int) -> Float64Array:
    """Returns (D, K): alike over the topics of each document."""
    theta = np.zeros((len(values), n_topics))
    for row, given in enumerate(values):
        for one in given or ():
            theta[row, one.topic] = 1 / len(given or ())
    return theta


def _told(replies: Replies[object]) -> str:
    return ", ".join(f"{n} {status}" for status, n in replies.statuses.items())
