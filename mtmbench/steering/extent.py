"""How much the steering of a suite will generate, read and ask, before any of it is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from mtmbench.core.cards import JudgeCard, Suite
from mtmbench.core.specs import SteeringSpec
from mtmbench.engine.estimate import (
    CHARACTERS_PER_TOKEN,
    ITEM_CHARACTERS,
    JudgeEstimate,
    estimate_of,
)
from mtmbench.engine.plan import Plan
from mtmbench.judges.registry import load_judge_card, traits_of
from mtmbench.steering.calibrate import ROUNDS
from mtmbench.steering.prompts import load_prompts
from mtmbench.steering.relevance import relevance_prompt
from mtmbench.steering.suite import steering_plan

_SINGLE = 3
"""Controls of one direction: the other formula, the difference of means, the best feature."""
_DRAWN = 2
"""Controls of ``drawn`` directions each: random ones, permuted weights; other topics are more."""
_RATINGS = 3
"""Of AxBench, for each text."""
_ITEMS = 10


@dataclass(frozen=True)
class SteeringExtent:
    """What the experiment of a suite takes, at most.

    Attributes:
        fits: fits whose topics steer.
        topics: topics that steer, over all fits.
        texts: texts that are generated, those of calibrations among them.
        generated: tokens of these texts.
        read: tokens read through the model with none generated: texts for their perplexity,
            documents for Δℓ.
        compared: pairs of texts that each judge sees.
        rated: texts that AxBench's rater sees.
    """

    fits: int
    topics: int
    texts: int
    generated: int
    read: int
    compared: int
    rated: int

    def told(self) -> str:
        """Returns it in words."""
        rated = f", {self.rated:,} rated by AxBench's prompts" if self.rated else ""
        return (
            f"{self.topics:,} topics of {self.fits} fits, {self.texts:,} texts of "
            f"{self.generated:,} tokens, {self.read:,} tokens read, {self.compared:,} pairs of "
            f"texts compared by each judge{rated}"
        )


def steering_extent(spec: SteeringSpec, n_topics: Sequence[int]) -> SteeringExtent:
    """Returns the extent of an experiment.

    Texts that topics share (those without steering) are generated once; all else once for each
    topic. A calibration is reckoned with all of its rounds, and Δℓ for every direction that is
    alone of its kind.

    Args:
        spec: the suite's steering.
        n_topics: K of each fit that steers.
    """
    prompts = min(spec.n_prompts, len(load_prompts(spec.prompts)))
    second = prompts - prompts // 2
    pilots = min(spec.pilot_prompts, prompts // 2)
    texts, compared, rated, measured = 0, 0, 0, 0
    topics = [min(spec.topics, k) for k in n_topics]
    for k, steered in zip(n_topics, topics, strict=True):
        directions = _SINGLE + _DRAWN * spec.drawn + min(spec.drawn, k - 1)
        grid = len(spec.lambdas) * prompts * spec.samples
        controls = (1 + directions) * second * spec.samples
        texts += steered * (grid + controls + ROUNDS * pilots * directions)
        # Unsteered texts are compared too, with other samples of the same prompts.
        compared += steered * (grid + controls + second * spec.samples)
        rated += steered * (controls + 2 * second * spec.samples)
        measured += steered * (len(spec.lambdas) + _SINGLE + 1)
    shared = (prompts + second) * spec.samples if texts else 0
    generated = (texts + shared) * spec.max_tokens
    documents = 2 * spec.documents * spec.document_tokens
    return SteeringExtent(
        len(n_topics), sum(topics), texts + shared, generated, generated + measured * documents,
        compared, rated if spec.axbench is not None else 0,
    )  # fmt: skip


def extent_of(suite: Suite, plan: Plan) -> SteeringExtent | None:
    """Returns what the steering of a planned suite takes; None without a table ``[steering]``."""
    if suite.steering is None:
        return None
    return steering_extent(suite.steering, [cell.k for cell in steering_plan(suite, plan).fits])


def steering_estimates(suite: Suite, extent: SteeringExtent) -> Iterator[JudgeEstimate]:
    """Yields what each judge of steered texts is asked."""
    spec = suite.steering
    assert spec is not None
    prompt = relevance_prompt()
    text = min(prompt.settings["text_characters"], spec.max_tokens * CHARACTERS_PER_TOKEN)
    topic = _ITEMS * ITEM_CHARACTERS
    fixed = len(prompt.system) + len(prompt.user) + topic + 2 * text
    for judge in spec.judges:
        card = load_judge_card(judge)
        orders = 1 if traits_of(card)["order_free"] else 2
        n = orders * extent.compared
        tokens = n * fixed // CHARACTERS_PER_TOKEN
        yield estimate_of(
            judge, card, "steered texts", extent.fits, extent.compared, n, partial(_same, tokens)
        )
    if spec.axbench is not None:
        n = _RATINGS * extent.rated
        yield estimate_of(
            spec.axbench, load_judge_card(spec.axbench), "AxBench", extent.fits, extent.rated, n,
            partial(_same, n * fixed // CHARACTERS_PER_TOKEN),
        )  # fmt: skip


def _same(tokens: int, card: JudgeCard) -> int:  # noqa: ARG001
    return tokens
