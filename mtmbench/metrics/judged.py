"""What metrics share that a judge answers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from mtmbench.core.errors import InputError
from mtmbench.core.judge_facts import AnswersBy
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import ItemView
from mtmbench.judges.asker import Asker
from mtmbench.judges.base import QuestionKind
from mtmbench.judges.identity import judge_identity
from mtmbench.judges.prompt import Template
from mtmbench.judges.registry import load_judge_card
from mtmbench.judges.topic_questions import (
    TopicAnswer,
    ask_about_topics,
    counted,
    prompt_record,
    topic_template,
)
from mtmbench.metrics.base import Metric, MetricValue
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.params import read_params, whole_number

_T = TypeVar("_T")

NO_JUDGE = "no judge card is named; set judge in the suite's metric_params"


class JudgedMetric(Metric):
    """A metric that a judge card answers; ``judge`` names it, the prompt is the metric's own.

    It reads what items say, so that words and features compare directly. It asks one question a
    topic, unless it says otherwise. ``least`` has the smallest value of each parameter that is a
    whole number.
    """

    needs: ClassVar[tuple[str, ...]] = ("judge",)
    item_views: ClassVar[tuple[ItemView | None, ...]] = ("own",)
    reads_labels: ClassVar[bool] = True
    kind: ClassVar[QuestionKind]
    least: ClassVar[Mapping[str, int]] = {}

    @classmethod
    def inputs(cls, params: Mapping[str, object]) -> dict[str, object]:
        """Returns the judge's card and the prompt's hash, where a judge is named."""
        name = cls.judge_of(params)
        if name is None:
            return {}
        facts = judge_identity(load_judge_card(name))
        return {"judge": facts, "prompt": cls.template(params).hash}

    @classmethod
    def template(cls, params: Mapping[str, object]) -> Template:  # noqa: ARG003
        """Returns the prompt that chat models are asked by."""
        return topic_template(cls.name)

    @classmethod
    def judge_of(cls, params: Mapping[str, object]) -> str | None:
        """Returns the name of the judge card that is asked, or None.

        Raises:
            InputError: ``judge`` is no name.
        """
        name = params.get("judge")
        if name is not None and not isinstance(name, str):
            raise InputError(f"judge of metric {cls.name!r} must be a card's name, not {name!r}")
        return name

    @classmethod
    def numbers(cls, params: Mapping[str, object]) -> dict[str, int]:
        """Returns the parameters that are whole numbers, by default where not given.

        Raises:
            InputError: one is none, or too small.
        """
        setting = {**cls.variants[0], **params}
        return {
            name: whole_number(cls.name, name, setting[name], at_least)
            for name, at_least in cls.least.items()
        }

    @classmethod
    def items_shown(cls, params: Mapping[str, object]) -> int:
        """Returns how many items a question shows at most, for estimates of what it costs."""
        return cls.numbers(params).get("top_n", 10)

    @classmethod
    def text_shown(cls, params: Mapping[str, object]) -> int:  # noqa: ARG003
        """Returns how many characters of documents a question shows at most, likewise."""
        return 0

    @classmethod
    def n_questions(cls, params: Mapping[str, object], n_topics: int) -> int:  # noqa: ARG003
        """Returns how many questions it asks about so many topics at most, likewise."""
        return n_topics

    def compute(
        self,
        result: TopicResult,
        context: MetricContext,
        *,
        view: ItemView | None = "own",
        **params: Any,
    ) -> MetricValue:
        """See :class:`mtmbench.metrics.base.Metric`."""
        setting = read_params(self.name, params, self.variants[0])
        setting |= self.numbers(setting)
        judge = self.judge_of(setting)
        if judge is None:
            return MetricValue.missing(NO_JUDGE)
        return self.judged(result, context, view, judge, setting)

    @abstractmethod
    def judged(
        self,
        result: TopicResult,
        context: MetricContext,
        view: ItemView | None,
        judge: str,
        setting: Mapping[str, Any],
    ) -> MetricValue:
        """Returns the value by a judge's answers.

        Args:
            result: the fitted model.
            context: who asks, corpus, what items say.
            view: whose items are shown.
            judge: the judge's card.
            setting: all parameters.
        """

    def ask(
        self,
        context: MetricContext,
        judge: str,
        topics: Sequence[Sequence[str]],
        read: Callable[[str, Sequence[str]], _T | None],
        least: int,
        read_proxy: Callable[[str, Sequence[str]], _T | None] | None = None,
        documents: Sequence[str] | None = None,
    ) -> tuple[list[TopicAnswer[_T]], dict[str, object]]:
        """Asks about every topic.

        Args:
            context: who asks.
            judge: the judge's card.
            topics: the items shown of each topic.
            read: parser of replies (:func:`~mtmbench.judges.topic_questions.ask_about_topics`).
            least: topics with fewer items are not asked about.
            read_proxy: parser of the replies of proxies, where it is another.
            documents: a document that is shown beside each.

        Returns:
            An answer a topic, and details for the record: how many of which status, the replies
            that gave no value as they came, the prompt, and the judge with what it took.
        """
        prompt = self.template({})

        async def job(asker: Asker) -> tuple[list[TopicAnswer[_T]], AnswersBy]:
            reader = read if asker.client.is_llm else read_proxy or read
            answers = await ask_about_topics(
                asker, topics, prompt, reader, kind=self.kind, least=least, documents=documents
            )
            return answers, asker.record()

        assert context.consult is not None
        answers, answered_by = context.consult(judge, job)
        unread = {
            str(k): answer.reply
            for k, answer in enumerate(answers)
            if answer.status in ("unparsed", "refused")
        }
        return answers, {
            "statuses": counted(answers),
            "unread": unread,
            "prompt": prompt_record(prompt),
            "answers_by": answered_by,
        }
