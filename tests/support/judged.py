"""Small corpora, results and options that the tests of judging share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import pytest

from mtmbench.core.cards import JudgeCard
from mtmbench.core.specs import JudgingSpec
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, ItemSpace
from mtmbench.judges.base import JudgeClient, Option, ShownTopic
from mtmbench.judges.panel import Consultation, Panel
from mtmbench.matches.match import MatchOutcome, Pair, judge_pair

T = TypeVar("T")

MakeResult = Callable[..., TopicResult]
MakeOption = Callable[..., Option]


def asked(
    client: JudgeClient, job: Consultation[T], card: JudgeCard | None = None, **options: Any
) -> T:
    """What a job returns that asks a judge as everywhere, through a panel."""
    with Panel(**options) as panel:
        return panel.run(job(panel.seat("judge", card or JudgeCard(client=client.name), client)))


def judged(
    client: JudgeClient, pair: Pair, card: JudgeCard | None = None, **options: Any
) -> MatchOutcome:
    """What a judge says of a pair."""
    return asked(client, lambda asker: judge_pair(asker, pair), card, **options)


@pytest.fixture
def spec() -> JudgingSpec:
    return JudgingSpec()


@pytest.fixture
def corpus() -> Corpus:
    texts = (
        "The team won the hockey game in overtime.",
        "The senate passed the budget bill after a long debate.",
        "Fresh snow closed the mountain road to the ski resort.",
        "The orchestra played a symphony in the old concert hall.",
    )
    return Corpus("toy", tuple(f"d{i}" for i in range(len(texts))), texts)


@pytest.fixture
def make_result(corpus: Corpus) -> MakeResult:
    def make(
        doc_topic: Sequence[Sequence[float]],
        labels: Sequence[Sequence[str]],
        *,
        of: Corpus | None = None,
        summaries: Sequence[str] | None = None,
    ) -> TopicResult:
        """Topic k's items are ``labels[k]``, strongest first."""
        about = of or corpus
        words = list(dict.fromkeys(label for row in labels for label in row)) or ["unused"]
        topic_item = np.zeros((len(labels), len(words)), dtype=np.float32)
        for k, row in enumerate(labels):
            for rank, label in enumerate(row):
                topic_item[k, words.index(label)] = len(row) - rank
        sums = topic_item.sum(axis=1, keepdims=True)
        return TopicResult(
            model="hand",
            params={},
            params_given={},
            seed=0,
            doc_topic=np.asarray(doc_topic, dtype=np.float32),
            topic_item=np.divide(topic_item, sums, out=np.zeros_like(topic_item), where=sums > 0),
            items=ItemSpace("words", tuple(words), tuple(words)),
            corpus={"name": about.name, "revision": about.revision},
            summaries=None if summaries is None else tuple(summaries),
        )

    return make


@pytest.fixture
def make_option() -> MakeOption:
    def make(name: str, *topics: tuple[float, Sequence[str]]) -> Option:
        """Topics are (share, words); the words are items and projected words alike."""
        return Option(
            name,
            tuple(
                ShownTopic(
                    share, tuple(words), words=tuple(words),
                    word_weights=tuple(float(len(words) - i) for i in range(len(words))),
                )
                for share, words in topics
            ),
        )  # fmt: skip

    return make
