"""The checks for plugin authors pass what is right and name what is wrong."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import FloatArray, ItemView, Views
from mtmbench.judges.base import Completion, JudgeClient, Option, Question
from mtmbench.judges.clients.lexical import LexicalJudge
from mtmbench.judges.clients.scripted import ScriptedJudge
from mtmbench.metrics.base import Metric, MetricValue
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.registry import METRICS
from mtmbench.models.base import TopicModel
from mtmbench.models.registry import MODELS
from mtmbench.testing import ContractError, check_judge, check_metric, check_topic_model
from mtmbench.testing.planted import THEMES, planted_corpus, planted_views


class Anchors(TopicModel):
    """Every topic is the words of some random documents: simple, and within the contract."""

    name = "anchors"

    def __init__(self, n_topics: int = 4, smoothing: float = 0.1) -> None:
        self.n_topics = n_topics
        self.smoothing = smoothing

    def fit(self, views: Views, *, seed: int) -> TopicResult:
        self._check_n_topics()
        words = views.require("words", self.name)
        rng = np.random.default_rng(seed)
        rows = rng.choice(len(views.corpus), size=self.n_topics, replace=False)
        topics = np.asarray(words.matrix[rows].todense(), dtype=float) + self.smoothing
        self.topic_item_ = topics / topics.sum(axis=1, keepdims=True)
        theta = self.transform(views)
        return self._result(views, words, seed=seed, doc_topic=theta, topic_item=self.topic_item_)

    def transform(self, views: Views) -> FloatArray:
        if not hasattr(self, "topic_item_"):
            raise InputError("not fitted")
        scores = views.require("words", self.name).matrix @ np.log(self.topic_item_.T)
        likelihood = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(likelihood / likelihood.sum(axis=1, keepdims=True), dtype=np.float32)


def test_the_planted_corpus_is_what_it_says() -> None:
    corpus = planted_corpus()
    assert corpus.labels is not None
    own = [
        np.mean([word in THEMES[str(label)].split() for word in text.split()])
        for text, label in zip(corpus.texts, corpus.labels, strict=True)
    ]
    # 85 % by choice, and a quarter of the other 15 % by chance.
    assert np.mean(own) == pytest.approx(0.85 + 0.15 / 4, abs=0.01)
    views = planted_views()
    assert views.words is not None
    assert views.words.matrix.sum() == 120 * 40
    assert planted_views().words is not views.words


@pytest.mark.parametrize("model", [Anchors, Anchors(3)])
def test_good_models_pass(model: Any) -> None:
    check_topic_model(model)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "lda", "etm", "bertopic", "dvae", "fastopic", "k_means", "mlda", "metm", "mbertopic",
        "mk_means", "nmf", "top2vec",
    ],
)  # fmt: skip
def test_every_built_in_model_keeps_the_contract(name: str) -> None:
    check_topic_model(MODELS.get(name)(n_topics=4))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "params"),
    [("prodlda", {"epochs": 5}), ("combinedtm", {"epochs": 5}), ("hdp", {"iterations": 20})],
)
def test_built_in_models_that_take_long_keep_it_in_few_steps(
    name: str, params: dict[str, int]
) -> None:
    check_topic_model(MODELS.get(name)(n_topics=4, **params))


class StoresMore(Anchors):
    def __init__(self, n_topics: int = 4) -> None:
        super().__init__(n_topics)
        self.rng = np.random.default_rng(0)


class ChangesParameters(Anchors):
    def fit(self, views: Views, *, seed: int) -> TopicResult:
        self.smoothing = 0.2
        return super().fit(views, seed=seed)


class NeedsArguments(Anchors):
    def __init__(self, n_topics: int) -> None:
        self.n_topics = n_topics


class GlobalRandomness(Anchors):
    def fit(self, views: Views, *, seed: int) -> TopicResult:
        return super().fit(views, seed=int(np.random.randint(1_000_000)))


class IgnoresSeedInResult(GlobalRandomness):
    def fit(self, views: Views, *, seed: int) -> TopicResult:
        result = Anchors.fit(self, views, seed=int(np.random.randint(1_000_000)))
        return replace(result, seed=seed)


class ReadsFeatures(Anchors):
    def fit(self, views: Views, *, seed: int) -> TopicResult:
        result = super().fit(views, seed=seed)
        if views.features is None:
            return result
        return replace(result, doc_topic=result.doc_topic[::-1])


class ChangesCounts(Anchors):
    def fit(self, views: Views, *, seed: int) -> TopicResult:
        result = super().fit(views, seed=seed)
        views.require("words", self.name).matrix.data[0] += 1
        return result


class WrongRows(Anchors):
    def transform(self, views: Views) -> FloatArray:
        return super().transform(views) * np.float32(0.5)


class WrongShape(Anchors):
    def transform(self, views: Views) -> FloatArray:
        theta = super().transform(views)
        return theta[0] if len(theta) == 1 else theta


class NoCheckOfViews(Anchors):
    def fit(self, views: Views, *, seed: int) -> TopicResult:
        if views.words is None:
            raise AttributeError("None has no matrix")
        return super().fit(views, seed=seed)


class NoCheckOfTopics(Anchors):
    def _check_n_topics(self) -> None:
        return


class TransformsUnfitted(Anchors):
    def transform(self, views: Views) -> FloatArray:
        if not hasattr(self, "topic_item_"):
            return np.ones((len(views.corpus), 1), dtype=np.float32)
        return super().transform(views)


class WrongParams(Anchors):
    def fit(self, views: Views, *, seed: int) -> TopicResult:
        return replace(super().fit(views, seed=seed), params={"n_topics": self.n_topics})


class WrongName(Anchors):
    def fit(self, views: Views, *, seed: int) -> TopicResult:
        return replace(super().fit(views, seed=seed), model="other")


class OddNeeds(Anchors):
    needs: ClassVar[Any] = ("word",)


class OddItems(Anchors):
    item_view = "features"


class Unsavable(Anchors):
    def fit(self, views: Views, *, seed: int) -> TopicResult:
        return replace(super().fit(views, seed=seed), info={"model": self})


class TooMany(Anchors):
    def fit(self, views: Views, *, seed: int) -> TopicResult:
        result = super().fit(views, seed=seed)
        twice = np.vstack([result.topic_item, result.topic_item])
        half = np.hstack([result.doc_topic, result.doc_topic]) / 2
        return replace(result, topic_item=twice, doc_topic=half)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (StoresMore, r"nothing else; differing: \['rng', 'smoothing'\]"),
        (ChangesParameters, "fit changes parameters"),
        (NeedsArguments, "cannot be made without arguments"),
        (GlobalRandomness, "the result's seed must be 0"),
        (IgnoresSeedInResult, "two fits with seed 0 differ"),
        (ReadsFeatures, "a view that `needs` does not name"),
        (ChangesCounts, "fit changes the views that it is given"),
        (WrongRows, "sum to 1, or be all zero"),
        (WrongShape, r"transform gives \(4,\), not \(D, K\) = \(1, 4\)"),
        (NoCheckOfViews, "must raise InputError .*, not AttributeError"),
        (NoCheckOfTopics, "n_topics=0 must raise InputError"),
        (TransformsUnfitted, "transform before fit must raise InputError"),
        (WrongParams, "must record all of .'n_topics', 'smoothing'. as params"),
        (WrongName, "the result's model must be 'anchors', not 'other'"),
        (OddNeeds, "needs must be a tuple of"),
        (OddItems, "item_view must be words or features and among needs"),
        (Unsavable, "the result cannot be saved"),
        (TooMany, "8 topics where 4 were asked for"),
        (LexicalJudge, "LexicalJudge is not a TopicModel"),
    ],
)
def test_broken_models_are_told_what_is_wrong(model: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_topic_model(model)


class Longest(JudgeClient):
    """Prefers the option whose topics have more letters."""

    name = "longest"

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        first, second = (sum(len(t.description) for t in o.topics) for o in question.options)
        verdict = "tie" if first == second else "A" if first > second else "B"
        return Completion(f"VERDICT: {verdict}", {"input": first + second})


def test_good_judges_pass() -> None:
    check_judge(Longest)
    check_judge(LexicalJudge())
    check_judge(ScriptedJudge(others=0.0, position_bias=0.4, failure_rate=0.2))


class Closing(Longest):
    closed = 0

    async def close(self) -> None:
        self.closed += 1


def test_a_judge_is_closed_once_also_after_a_fault() -> None:
    judge = Closing()
    check_judge(judge)
    assert judge.closed == 1

    class Wrong(Closing):
        order_free = True

        async def answer(self, question: Question, *rest: Any) -> Completion:
            return Completion("VERDICT: A")

    wrong = Wrong()
    with pytest.raises(ContractError, match="order_free"):
        check_judge(wrong)
    assert wrong.closed == 1

    class Failing(Closing):
        async def answer(self, question: Question, *rest: Any) -> Completion:
            raise RuntimeError("no endpoint")

    failing = Failing()
    with pytest.raises(ContractError, match=r"a match fails: .*no endpoint"):
        check_judge(failing)
    assert failing.closed == 1


class Chatty(Longest):
    async def answer(self, *args: Any) -> Completion:
        return Completion("I like the first one better.")


class Fickle(Longest):
    calls = 0

    async def answer(self, question: Question, *rest: Any) -> Completion:
        self.calls += 1
        return Completion(f"VERDICT: {'AB'[self.calls % 2]}")


class PlainText(Longest):
    async def answer(self, *args: Any) -> Any:
        return "VERDICT: A"


class Synchronous(Longest):
    def answer(self, *args: Any) -> Any:
        return Completion("VERDICT: A")


class SeesNames(Longest):
    def sees(self, option: Option) -> Hashable:
        return option.name


class Unhashable(Longest):
    def sees(self, option: Option) -> Any:
        return [topic.items for topic in option.topics]


class OddUsage(Longest):
    async def answer(self, *args: Any) -> Completion:
        return Completion("VERDICT: A", {"input": 1.5})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("judge", "message"),
    [
        (Chatty, "none of 12 replies states a verdict"),
        (Fickle, "a judge that is no language model must repeat itself|questions are under way"),
        (PlainText, "answer must return a Completion|a match fails"),
        (Synchronous, "must be an `async def` method"),
        (SeesNames, "whatever their model is called"),
        (Unhashable, "hashable"),
        (OddUsage, "usage must count tokens"),
        (ScriptedJudge, "a match fails: .*unknown competitor"),
        (Anchors, "Anchors is not a JudgeClient"),
    ],
)
def test_broken_judges_are_told_what_is_wrong(judge: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_judge(judge)


@pytest.mark.parametrize("name", METRICS.names())
def test_every_built_in_metric_keeps_the_contract(name: str) -> None:
    check_metric(METRICS.get(name))


class LargestShare(Metric):
    """Mean over documents of the largest θ."""

    name = "largest_share"

    def compute(
        self,
        result: TopicResult,
        context: MetricContext,
        *,
        view: ItemView | None = None,
        **params: Any,
    ) -> MetricValue:
        return MetricValue(float(result.doc_topic.max(axis=1).mean()))


def test_a_good_metric_passes() -> None:
    check_metric(LargestShare)


class Counting(LargestShare):
    calls = 0

    def compute(self, *args: Any, **kwargs: Any) -> MetricValue:
        type(self).calls += 1
        return MetricValue(float(self.calls))


class FirstTopic(LargestShare):
    def compute(self, result: TopicResult, *args: Any, **kwargs: Any) -> MetricValue:
        return MetricValue(float(result.topic_item[0, 0]))


class PeeksAtLabels(LargestShare):
    def compute(self, result: TopicResult, context: Any, **kwargs: Any) -> MetricValue:
        return MetricValue(float(context.corpus.n_labels))


class Bare(LargestShare):
    def compute(self, *args: Any, **kwargs: Any) -> Any:
        return 0.5


class NotANumber(LargestShare):
    def compute(self, *args: Any, **kwargs: Any) -> MetricValue:
        return MetricValue(float("nan"))


class OutsideItsBounds(LargestShare):
    bounds = (0.0, 0.1)


class TooFewTopics(LargestShare):
    def compute(self, *args: Any, **kwargs: Any) -> MetricValue:
        return MetricValue(0.5, (0.5,))


class OddDetails(LargestShare):
    def compute(self, *args: Any, **kwargs: Any) -> MetricValue:
        return MetricValue(0.5, details={"metric": self})


class Raises(LargestShare):
    def compute(self, *args: Any, **kwargs: Any) -> MetricValue:
        raise ZeroDivisionError("no topics")


class AlwaysMissing(LargestShare):
    def compute(self, *args: Any, **kwargs: Any) -> MetricValue:
        return MetricValue.missing("not today")


class ChangesResult(LargestShare):
    def compute(self, result: TopicResult, *args: Any, **kwargs: Any) -> MetricValue:
        result.doc_topic[:] = np.sort(result.doc_topic, axis=0)
        return MetricValue(1.0)


class OddNeed(LargestShare):
    needs = ("label",)


class OddView(LargestShare):
    item_views: ClassVar[Any] = ("words",)


class NoVariants(LargestShare):
    variants = ()


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (Counting, "two computations give 1.0 and 2.0"),
        (FirstTopic, "the order of the topics means nothing"),
        (PeeksAtLabels, r"0\.0 turns to 4\.0 when the context offers more"),
        (Bare, "compute returns float"),
        (NotANumber, "must be a finite float"),
        (OutsideItsBounds, r"lies outside bounds, 0\.0 to 0\.1"),
        (TooFewTopics, "per_topic has 1 values for 4 topics"),
        (OddDetails, "OddDetails has no JSON form"),
        (Raises, "compute raises ZeroDivisionError: no topics"),
        (AlwaysMissing, "offers all it needs: not today"),
        (ChangesResult, "compute changes the result"),
        (OddNeed, r"needs names \['label'\]"),
        (OddView, "item_views must be"),
        (NoVariants, "variants is empty"),
        (Longest, "Longest is not a Metric"),
    ],
)
def test_broken_metrics_are_told_what_is_wrong(metric: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_metric(metric)
