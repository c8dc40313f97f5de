"""What steering did to text: scores of a condition's texts, rows of the table, the choice of λ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from mtmbench.boards.steering_rows import MeasuredRow
from mtmbench.core.errors import InputError
from mtmbench.core.serialise import seed_from
from mtmbench.matches.match import fold
from mtmbench.steering.generate import Generation
from mtmbench.steering.language_model import CausalLM
from mtmbench.steering.likelihood import log_likelihoods, perplexity
from mtmbench.steering.relevance import TextPair
from mtmbench.steering.text_measures import Embed, distinct, repetition, semantic_drift
from mtmbench.steering.units import Strength
from mtmbench.steering.win_rate import WinRate, win_rate

MAX_PERPLEXITY_RATIO = 2.0
MIN_DISTINCT_RATIO = 0.8


@dataclass(frozen=True)
class TextScores:
    """Scores of steered texts, with those of the unsteered texts of the same prompts.

    Attributes:
        n: texts.
        perplexity: under the unsteered model, behind the prompt, tokens pooled; None where the
            texts have no tokens.
        perplexity_baseline: that of the unsteered texts.
        distinct_2: distinct-2 of the texts, the mean over directions where there are several; None
            where none has two tokens.
        distinct_2_baseline: that of the unsteered texts.
        repetition: mean share of repeated 4-grams within a text.
        drift: mean distance of a text's embedding from that of its unsteered counterpart.
        mean_change: mean ‖a′ − a‖ over the texts.
    """

    n: int
    perplexity: float | None
    perplexity_baseline: float | None
    distinct_2: float | None
    distinct_2_baseline: float | None
    repetition: float | None
    drift: float
    mean_change: float

    @property
    def fluent(self) -> bool:
        """Whether a λ may be chosen whose texts are these.

        Their perplexity is at most twice that of unsteered texts, and their distinct-2 at least
        0.8 times theirs.
        """
        perplexity = _ratio(self.perplexity, self.perplexity_baseline)
        variety = _ratio(self.distinct_2, self.distinct_2_baseline)
        return (
            perplexity is not None
            and variety is not None
            and perplexity <= MAX_PERPLEXITY_RATIO
            and variety >= MIN_DISTINCT_RATIO
        )


def score_texts(
    lm: CausalLM,
    steered: Sequence[Generation],
    unsteered: Sequence[Generation],
    embed: Embed | None = None,
    replicates: Sequence[int] | None = None,
) -> TextScores:
    """Scores texts against the unsteered ones of the same prompts.

    Args:
        lm: the language model, unsteered.
        steered: the texts.
        unsteered: a counterpart for each, of the same prompt.
        embed: texts → (N, E) embeddings; all-MiniLM-L6-v2 by default.
        replicates: number of each text's direction; None for one direction.

    Raises:
        InputError: there are no texts, or a pair is not of one prompt.
    """
    _check_pairs(steered, unsteered)
    texts, others = ([each.text for each in side] for side in (steered, unsteered))
    return TextScores(
        n=len(steered),
        perplexity=_generated_perplexity(lm, steered),
        perplexity_baseline=_generated_perplexity(lm, unsteered),
        distinct_2=_mean_distinct(texts, replicates),
        distinct_2_baseline=_mean_distinct(others, replicates),
        repetition=repetition(texts),
        drift=float(semantic_drift(texts, others, embed).mean()),
        mean_change=fmean(each.mean_change for each in steered),
    )


def text_pairs(
    steered: Sequence[Generation], unsteered: Sequence[Generation]
) -> tuple[list[TextPair], list[str]]:
    """Returns the pairs that a judge is shown, and the prompt of each.

    Raises:
        InputError: there are no texts, or a pair is not of one prompt.
    """
    _check_pairs(steered, unsteered)
    pairs = [
        TextPair(f"{one.key}/{other.key}/{i}", one.text, other.text)
        for i, (one, other) in enumerate(zip(steered, unsteered, strict=True))
    ]
    return pairs, [each.prompt for each in steered]


def relevance(
    forward: str,
    backward: str,
    prompts: Sequence[str],
    replicates: Sequence[int] | None = None,
) -> WinRate:
    """Returns the win rate of a condition with its interval.

    A control of several directions varies with its directions as well as with its prompts: its
    interval is the wider of the one over prompts and the one over directions.

    Args:
        forward: what a judge said of the pairs, the steered text first.
        backward: the same with it second.
        prompts: the prompt of each pair.
        replicates: the number of each pair's direction; None for one direction.
    """
    over_prompts = win_rate(forward, backward, prompts)
    if replicates is None or len(set(replicates)) < 2:
        return over_prompts
    named = [f"direction {replicate}" for replicate in replicates]
    over_directions = win_rate(forward, backward, named)
    wider = max(over_prompts, over_directions, key=_width)
    return replace(wider, by_direction=_by_direction(forward, backward, replicates))


def table_row(
    *,
    corpus: str,
    model: str,
    topic: int,
    method: str,
    strength: Strength | None,
    judge: str,
    rate: WinRate,
    scores: TextScores,
    delta_l: float | None,
) -> MeasuredRow:
    """Returns a row of the steering table, with what else is known beside it.

    Args:
        corpus: the topics' corpus.
        model: the topic model.
        topic: its topic.
        method: "topic", "topic_raw" or a control's name.
        strength: λ with its unit; None without steering.
        judge: the judge's card.
        rate: the relevance win rate.
        scores: the texts' scores.
        delta_l: Δℓ; None where it was not measured.
    """
    return {
        "corpus": corpus,
        "model": model,
        "topic": topic,
        "method": method,
        "lambda": None if strength is None else strength.value,
        "lambda_unit": None if strength is None else strength.unit,
        "judge": judge,
        "n": rate.n,
        "win_rate": rate.value,
        "lo": rate.lo,
        "hi": rate.hi,
        "perplexity": scores.perplexity,
        "perplexity_baseline": scores.perplexity_baseline,
        "delta_l": delta_l,
        "drift": scores.drift,
        "wilson_lo": rate.wilson_lo,
        "wilson_hi": rate.wilson_hi,
        "n_removed": rate.n_removed,
        "distinct_2": scores.distinct_2,
        "distinct_2_baseline": scores.distinct_2_baseline,
        "repetition": scores.repetition,
        "mean_change": scores.mean_change,
        "by_direction": list(rate.by_direction) or None,
    }


def halves(prompts: Sequence[str], seed: int = 0) -> tuple[list[str], list[str]]:
    """Splits prompts at random: λ is chosen on the first half and scored on the second.

    Raises:
        InputError: there are fewer than two.
    """
    if len(prompts) < 2:
        raise InputError(f"{len(prompts)} prompts cannot be split in two")
    order = np.random.default_rng(seed_from("halves", seed)).permutation(len(prompts))
    middle = len(prompts) // 2
    first, second = sorted(order[:middle].tolist()), sorted(order[middle:].tolist())
    return [prompts[i] for i in first], [prompts[i] for i in second]


def choose_lambda(tried: Mapping[float, tuple[WinRate, TextScores]]) -> float | None:
    """Returns the λ of highest win rate among those whose texts stay fluent, the weaker of equals.

    None where no λ leaves the text fluent (:attr:`TextScores.fluent`).
    """
    allowed = [
        (rate.value, -abs(level), level)
        for level, (rate, scores) in tried.items()
        if rate.value is not None and scores.fluent
    ]
    return max(allowed)[2] if allowed else None


def _generated_perplexity(lm: CausalLM, texts: Sequence[Generation]) -> float | None:
    """Returns the perplexity of generated tokens behind their prompts, under the unsteered model.

    What stood in front of a prompt to name the topic is not read.
    """
    distinct_texts = {each.key: each for each in texts}
    prompts = [each.prompt for each in distinct_texts.values()]
    starts = [lm.begun(ids) for ids in lm.backbone.tokenise(prompts)]
    new = [np.array(each.ids, np.int32) for each in distinct_texts.values()]
    found = dict(zip(distinct_texts, log_likelihoods(lm, starts, new), strict=True))
    return perplexity([found[each.key] for each in texts])


def _mean_distinct(texts: Sequence[str], replicates: Sequence[int] | None) -> float | None:
    """Directions share their prompts and unsteered texts, and distinct-n is of sets of one size."""
    groups: dict[int, list[str]] = {}
    for text, number in zip(texts, replicates or [0] * len(texts), strict=True):
        groups.setdefault(number, []).append(text)
    found = [value for value in map(distinct, groups.values()) if value is not None]
    return fmean(found) if found else None


def _check_pairs(steered: Sequence[Generation], unsteered: Sequence[Generation]) -> None:
    if not steered:
        raise InputError("there are no texts to score")
    if len(steered) != len(unsteered):
        raise InputError(f"{len(steered)} texts cannot be paired with {len(unsteered)}")
    for one, other in zip(steered, unsteered, strict=True):
        if one.prompt != other.prompt:
            raise InputError(f"a text of {one.prompt!r} is paired with one of {other.prompt!r}")


def _ratio(value: float | None, baseline: float | None) -> float | None:
    return None if value is None or not baseline else value / baseline


def _by_direction(forward: str, backward: str, replicates: Sequence[int]) -> tuple[float, ...]:
    """Returns the share that each direction won of its judged pairs; one without any has none."""
    scores: dict[int, list[float]] = {}
    for one, other, replicate in zip(forward, backward, replicates, strict=True):
        score = fold(one, other)
        if score is not None:
            scores.setdefault(replicate, []).append(score)
    return tuple(fmean(scores[replicate]) for replicate in sorted(scores))


def _width(rate: WinRate) -> float:
    return -1.0 if rate.lo is None or rate.hi is None else rate.hi - rate.lo
