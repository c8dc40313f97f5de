"""AxBench's three scores of steered text (Wu et al. 2025): concept, instruction, fluency, 0 to 2.

A chat model gives each score by a prompt of its own; a text's overall score is their harmonic
mean, which is 0 where one of them is. A reply that cannot be parsed, and a refusal, leave the text
without an overall score; they are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from mtmbench.core.cards import JudgeCard
from mtmbench.core.errors import InputError
from mtmbench.judges.asker import Asker, gather, run_async
from mtmbench.judges.base import JudgeClient, Question
from mtmbench.judges.prompt import Template, cut_at_sentence, load_template
from mtmbench.judges.replies import parse_axbench_rating

ASPECTS = ("concept", "instruction", "fluency")
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


@dataclass(frozen=True)
class Scores:
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
        judge: the judge and what its answers took, as JSON values.
        prompts: name and hash of each aspect's prompt.
    """

    scores: tuple[Scores, ...]
    judge: dict[str, Any]
    prompts: dict[str, dict[str, str]]

    def summary(self) -> dict[str, Any]:
        """Returns the mean of every aspect and overall, with how many texts each is a mean of."""
        means = mean_scores(self.scores)
        return {
            name: {"mean": mean, "n": len(_known(self.scores, name))}
            for name, mean in means.items()
        }


def mean_scores(scores: Sequence[Scores]) -> dict[str, float | None]:
    """Returns the mean of every aspect and overall over the texts that have it; None of none."""
    known = {name: _known(scores, name) for name in (*ASPECTS, "overall")}
    return {name: fmean(values) if values else None for name, values in known.items()}


def rate_texts(
    client: JudgeClient,
    card: JudgeCard,
    texts: Sequence[SteeredText],
    *,
    answers: Path,
    concurrency: int = 8,
) -> Ratings:
    """Has a chat model give each text the three scores.

    Args:
        client: the judge; closed at the end, in the loop that asked it.
        card: its card; ``decoding`` goes with every question.
        texts: what is rated.
        answers: file of answers (:class:`~mtmbench.judges.asker.Asker`); with the same file, work
            that was interrupted goes on where it stopped.
        concurrency: questions under way at one time, at most.

    Raises:
        InputError: the judge is no language model.
        JudgeError: the client raised; what was answered before is kept.
        StoreInUseError: another process holds the file of answers.
    """
    if not client.is_llm:
        raise InputError(f"judge {card.client!r} is no language model; AxBench's scores need one")
    templates = {
        aspect: load_template(
            f"axbench_{aspect}", {"fence", *_SHOWN[aspect]}, {"text_characters": 100}
        )
        for aspect in ASPECTS
    }

    async def play() -> Ratings:
        try:
            with Asker(client, card, answers, concurrency=concurrency) as asker:
                scores = await gather(
                    [_rate(asker, templates, number, text) for number, text in enumerate(texts)]
                )
                prompts = {
                    aspect: {"name": template.name, "hash": template.hash}
                    for aspect, template in templates.items()
                }
                return Ratings(tuple(scores), asker.record(), prompts)
        finally:
            await client.close()

    return run_async(play())


def _known(scores: Sequence[Scores], name: str) -> list[float]:
    return [value for value in (getattr(each, name) for each in scores) if value is not None]


async def _rate(
    asker: Asker, templates: dict[str, Template], number: int, text: SteeredText
) -> Scores:
    return Scores(
        *await gather([_ask(asker, aspect, templates[aspect], number, text) for aspect in ASPECTS])
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
    return None if answer.refused else parse_axbench_rating(answer.text)
