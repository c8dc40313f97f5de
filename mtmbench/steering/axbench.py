"""AxBench's three scores of steered text (Wu et al. 2025): concept, instruction, fluency, 0 to 2.

A chat model gives each score by a prompt of its own; a text's overall score is their harmonic
mean, which is 0 where one of them is. A reply that cannot be parsed, and a refusal, leave the text
without an overall score; they are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypedDict

from mtmbench.boards.steering_rows import AspectMeans
from mtmbench.core.errors import InputError
from mtmbench.core.judge_facts import AnswersBy, PromptFacts
from mtmbench.judges.asker import Asker, gather
from mtmbench.judges.base import Question
from mtmbench.judges.prompt import Template, cut_at_sentence, load_template
from mtmbench.judges.replies import parse_axbench_rating
from mtmbench.judges.topic_questions import prompt_record

_ASPECTS = ("concept", "instruction", "fluency")
_SHOWN = {
    "concept": ("topic", "text"),
    "instruction": ("opening", "text"),
    "fluency": ("text",),
}


@dataclass(frozen=True)
class SteeredText:
    """A text to be rated: the topic's description, the opening, and what was written after it."""

    topic: str
    opening: str
    text: str


class MeanScore(TypedDict):
    """A mean, and how many texts it is of; None of none."""

    mean: float | None
    n: int


@dataclass(frozen=True)
class AspectScores:
    """Scores of one text, 0 to 2; None where the reply was no rating."""

    concept: int | None
    instruction: int | None
    fluency: int | None

    @property
    def overall(self) -> float | None:
        """Harmonic mean of the three; None where one is missing."""
        parts = [self.concept, self.instruction, self.fluency]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return 0.0 if 0 in known else len(known) / sum(1 / part for part in known)


@dataclass(frozen=True)
class Ratings:
    """Scores of all texts.

    Attributes:
        scores: of each text.
        judge: the judge and what its answers took.
        prompts: name and hash of each aspect's prompt.
    """

    scores: tuple[AspectScores, ...]
    judge: AnswersBy
    prompts: dict[str, PromptFacts]

    def summary(self) -> dict[str, MeanScore]:
        """Returns the mean of every aspect and overall, with how many texts each is a mean of."""
        known = {name: _known(self.scores, name) for name in (*_ASPECTS, "overall")}
        return {name: {"mean": _mean(values), "n": len(values)} for name, values in known.items()}


def mean_scores(scores: Sequence[AspectScores]) -> AspectMeans:
    """Returns the mean of every aspect and overall over the texts that have it; None of none."""
    return {
        "concept": _mean(_known(scores, "concept")),
        "instruction": _mean(_known(scores, "instruction")),
        "fluency": _mean(_known(scores, "fluency")),
        "overall": _mean(_known(scores, "overall")),
    }


async def rate_texts(asker: Asker, texts: Sequence[SteeredText]) -> Ratings:
    """Has a chat model give each text the three scores.

    Args:
        asker: puts the questions and keeps the answers.
        texts: what is rated.

    Raises:
        InputError: the judge is no language model.
        JudgeError: the client raised; what was answered before is kept.
    """
    if not asker.client.is_llm:
        raise InputError(
            f"judge {asker.card.client!r} is no language model; AxBench's scores need one"
        )
    templates = {
        aspect: load_template(
            f"axbench_{aspect}", {"fence", *_SHOWN[aspect]}, {"text_characters": 100}
        )
        for aspect in _ASPECTS
    }
    scores = await gather(
        [_rate(asker, templates, number, text) for number, text in enumerate(texts)]
    )
    prompts = {aspect: prompt_record(template) for aspect, template in templates.items()}
    return Ratings(tuple(scores), asker.record(), prompts)


def _known(scores: Sequence[AspectScores], name: str) -> list[float]:
    return [value for value in (getattr(each, name) for each in scores) if value is not None]


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


async def _rate(
    asker: Asker, templates: dict[str, Template], number: int, text: SteeredText
) -> AspectScores:
    return AspectScores(
        *await gather([_ask(asker, aspect, templates[aspect], number, text) for aspect in _ASPECTS])
    )


async def _ask(
    asker: Asker, aspect: str, template: Template, number: int, text: SteeredText
) -> int | None:
    limit = template.settings["text_characters"]
    known = {
        "topic": text.topic,
        "opening": text.opening,
        "text": cut_at_sentence(text.text, limit),
    }
    values = {name: known[name] for name in _SHOWN[aspect]}
    question = Question("rating", {"task": aspect, **known}, (), template.messages(values))
    answer = await asker.ask(question, f"{aspect} of text {number}")
    return None if answer.refused else parse_axbench_rating(answer.readable)
