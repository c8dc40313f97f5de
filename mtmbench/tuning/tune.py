"""One model is tuned on one corpus: the defaults, the trials, and both again under fresh seeds."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from mtmbench.core.cards import ModelCard, shown_name
from mtmbench.core.errors import InputError
from mtmbench.core.serialise import canonical_json, content_hash
from mtmbench.core.tuning import TuningSpec
from mtmbench.metrics.registry import METRICS
from mtmbench.models.registry import load_model_card
from mtmbench.tuning.gain import Gain, finding, gain_of
from mtmbench.tuning.scorer import Ask, Cells, Layout
from mtmbench.tuning.space import search_of
from mtmbench.tuning.trials import Score, TrialRow, Trials, topics_of

Steps = Generator[list[Ask], list[list[Score]], "Tuned"]
"""A tuning asks for scores, is sent them, and returns what it came to."""


@dataclass(frozen=True)
class Tuned:
    """What tuning a model on a corpus came to.

    Attributes:
        corpus: name of the corpus.
        model: the model, as the suite names it.
        card: its card.
        cells: a fit of the defaults and its value: corpus, K, setting, version of the metric.
        defaults: the row of the defaults, which are no trial: number −1.
        trials: the trials in order.
        best: the row that is best under the seeds of tuning; the defaults' if no trial is better.
        fresh_defaults: the defaults' values under fresh seeds.
        fresh_best: the best's; the same where the defaults are best.
        default_topics: how many topics were found with the defaults, over fresh seeds.
        best_topics: with the best parameters.
        seeds: those of tuning.
        fresh_seeds: those that tuning had not seen.
        gain: the figures.
        finding: them in a sentence.
    """

    corpus: str
    model: str
    card: ModelCard
    cells: Cells
    defaults: TrialRow
    trials: tuple[TrialRow, ...]
    best: TrialRow
    fresh_defaults: tuple[float, ...]
    fresh_best: tuple[float, ...]
    default_topics: float
    best_topics: float
    seeds: tuple[int, ...]
    fresh_seeds: tuple[int, ...]
    gain: Gain
    finding: str

    @property
    def shown(self) -> str:
        """The model's name on boards."""
        return shown_name(self.model)

    @property
    def default_value(self) -> float:
        """Mean of the defaults under fresh seeds."""
        return fmean(self.fresh_defaults)

    @property
    def best_value(self) -> float:
        """Mean of the best under fresh seeds."""
        return fmean(self.fresh_best)

    @property
    def settings(self) -> int:
        """How many different settings had a value."""
        return len({canonical_json(row.params) for row in self.trials if row.values})


def tuning_steps(
    corpus: str, model: str, layout: Layout, folder: Path, told: Callable[[int, str], None]
) -> Steps:
    """Tunes a model, asking for scores on the way.

    Args:
        corpus: name of the corpus.
        model: the model, as the suite names it.
        layout: what is tuned, and how.
        folder: where Optuna keeps its trials.
        told: told of every so many trials that have ended.

    Raises:
        InputError: the model has nothing to search, or its defaults have no value.
    """
    spec, shown = layout.spec, shown_name(model)
    card = load_model_card(model)
    search = search_of(model, card, layout.suite.params_of(shown, corpus))
    seeds = tuple(range(spec.seed, spec.seed + spec.seeds))
    fresh = tuple(range(seeds[-1] + 1, seeds[-1] + 1 + spec.fresh_seeds))
    by_default = Ask(corpus, model, {}, seeds)
    _, cells = layout.cells(by_default)
    higher = METRICS.get(spec.metric).higher_is_better
    identity = content_hash(
        [each.value.key for each in cells], spec.seed, spec.at_once, spec.least_topics,
        {name: allowed if isinstance(allowed, tuple) else allowed.model_dump()
         for name, allowed in search.items()},
    )  # fmt: skip
    trials = Trials(folder / "trials.log", identity, search, maximise=higher, seed=spec.seed)
    (scores,) = yield [by_default]
    told(len(trials.ended()), f"{shown} on {corpus}: the defaults")
    default_row = TrialRow(
        -1, {}, "complete", _all_there(scores, "its defaults", corpus, shown, spec),
        sum(score.seconds for score in scores), None, topics_of(scores),
    )  # fmt: skip
    least = spec.least_topics * (default_row.topics or 0.0)
    while (left := spec.trials - len(trials.ended())) > 0:
        n = min(left, spec.at_once)
        yield from _draw(trials, n, corpus, model, seeds, least)
        told(n, f"{shown} on {corpus}: {spec.trials - left + n} of {spec.trials} trials")
    rows = trials.ended()[: spec.trials]
    best = default_row
    for row in rows:
        better = fmean(row.values) - fmean(best.values) if row.state == "complete" else 0.0
        best = row if (better > 0) == higher and better else best
    fresh_scores = yield [
        Ask(corpus, model, params, fresh)
        for params in ({}, *([best.params] if best.params else []))
    ]
    fresh_defaults = _all_there(fresh_scores[0], "its defaults", corpus, shown, spec)
    fresh_best = _all_there(fresh_scores[-1], "its best parameters", corpus, shown, spec)
    n_settings = len({canonical_json(row.params) for row in rows if row.values})
    gain = gain_of(
        default_row.values, best.values, fresh_defaults, fresh_best,
        settings=n_settings, higher_is_better=higher, is_default=best is default_row,
    )  # fmt: skip
    sentence = finding(
        gain, f"{shown} on {corpus} (K = {cells[0].fit.k})", spec.metric,
        is_default=best is default_row, settings=n_settings,
    )  # fmt: skip
    return Tuned(
        corpus, model, card, cells[0], default_row, tuple(rows), best, fresh_defaults, fresh_best,
        topics_of(fresh_scores[0]) or 0.0, topics_of(fresh_scores[-1]) or 0.0, seeds, fresh, gain,
        sentence,
    )  # fmt: skip


def _draw(
    trials: Trials, n: int, corpus: str, model: str, seeds: Sequence[int], least: float
) -> Generator[list[Ask], list[list[Score]], None]:
    """Draws trials and scores them seed by seed, for as long as they are worth it."""
    drawn = trials.draw(n)
    going = list(drawn)
    for seed in seeds:
        scores = yield [Ask(corpus, model, trials.params(each), (seed,)) for each in going]
        going = [
            each
            for each, (score,) in zip(going, scores, strict=True)
            if trials.goes_on(each, _of_enough(score, least))
        ]
        if not going:
            break
    trials.end(drawn, len(seeds))


def _of_enough(score: Score, least: float) -> Score:
    """Returns a score, or none where too few topics were found for it to be compared."""
    if score.topics is None or score.topics >= least:
        return score
    reason = f"{score.topics} topics were found, fewer than {least:.3g}"
    return Score(None, reason, score.seconds, score.topics)


def _all_there(
    scores: Sequence[Score], whose: str, corpus: str, model: str, spec: TuningSpec
) -> tuple[float, ...]:
    """Returns the values of scores, of which none may be missing."""
    values = []
    for score in scores:
        if score.value is None:
            raise InputError(
                f"model {model!r} on {corpus!r} has no {spec.metric} with {whose}, so that nothing "
                f"can be compared with it: {score.reason}"
            )
        values.append(score.value)
    return tuple(values)
