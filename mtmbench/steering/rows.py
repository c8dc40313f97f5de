"""The steering experiment for one fitted model: text along its topics, beside the controls.

Each topic's λ is chosen on one half of the prompts, by the first judge, among those whose text
stays fluent; all that the table shows comes from the other half. Controls change activations by as
much as the topic does at the chosen λ, or at the weakest λ where none leaves the text fluent: by as
much in generated text, for which their λ are calibrated on prompts of the first half.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from statistics import fmean
from typing import cast

import numpy as np

from mtmbench.boards.steering_rows import AspectMeans, ExperimentRow, SteeringRow
from mtmbench.core.errors import InputError
from mtmbench.core.steering_payloads import CalibrationIdentity, CalibrationPayload
from mtmbench.steering.axbench import mean_scores
from mtmbench.steering.calibrate import Calibration, Search, Trial, calibrate
from mtmbench.steering.controls import (
    Condition,
    control_vectors,
    difference_of_means,
    matched_conditions,
    named_in_prompt,
    no_steering,
)
from mtmbench.steering.evaluate import choose_lambda, halves, table_row
from mtmbench.steering.experiment import Experiment, Made, largest_topics
from mtmbench.steering.generate import Job, Sampling, generate
from mtmbench.steering.hook import Push
from mtmbench.steering.measures import STEERING_VERSION, Measures
from mtmbench.steering.prompts import load_prompts
from mtmbench.steering.units import (
    ReferenceActivations,
    Strength,
    expected_change,
    least_changing,
    read_reference,
    strength,
)
from mtmbench.steering.vector import SteeringVector, topic_vector
from mtmbench.steering.verdicts import steered, verdict_rows


def experiment_rows(experiment: Experiment) -> list[SteeringRow]:
    """Runs the experiment, or what the store lacks of it, and returns the rows of the table.

    Raises:
        InputError: there is no judge, no topic, or a λ, prompt or hook point that is wrong.
        JudgeError: a judge failed, or the budget is used up; what was made and paid is kept.
    """
    return _Rows(experiment).rows()


def unit_vectors(experiment: Experiment) -> dict[int, SteeringVector]:
    """Returns the direction of every topic that steers, as long as one λ in the table's unit.

    Added to the activations at the hook point, it is what λ = 1 with ``mode = "add"`` does.
    """
    rows = _Rows(experiment)
    vectors = {topic: rows.vector(topic) for topic in rows.topics}
    return {
        topic: strength(1.0, rows.spec.unit, vector, rows.reference).absolute * vector
        for topic, vector in vectors.items()
    }


_Asked = tuple[tuple[Condition, ...], Strength | None, Sequence[str]]
"""Conditions of one row, their λ, and the prompts that their texts go on from."""


class _Rows:
    def __init__(self, experiment: Experiment) -> None:
        if not experiment.judges:
            raise InputError("steering needs a judge")
        self.experiment = experiment
        self.spec = experiment.spec
        self.sampling = Sampling(
            max_tokens=self.spec.max_tokens, temperature=self.spec.temperature,
            top_p=self.spec.top_p, seed=self.spec.seed, mode=self.spec.mode,
            positions=self.spec.positions,
        )  # fmt: skip
        prompts = load_prompts(self.spec.prompts)[: self.spec.n_prompts]
        self.first, self.second = halves(prompts, self.spec.seed)
        self.relative = self.spec.direction == "topic"
        self.hook_point = str(experiment.result.items.source.get("hook_point"))
        self.topics = largest_topics(experiment.result, self.spec.topics)
        self.measures = Measures(experiment)

    def rows(self) -> list[SteeringRow]:
        """Returns the rows of every topic and judge."""
        tried = self._grid()
        chosen = {topic: self._choice(tried[topic]) for topic in self.topics}
        weakest = min(self.spec.lambdas, key=abs)
        controls = self._controls(
            {
                topic: tried[topic][weakest if level is None else level][0]
                for topic, level in chosen.items()
            }
        )
        rows: list[SteeringRow] = []
        for topic in self.topics:
            scored = {level: made[1] for level, made in sorted(tried[topic].items())}
            gains = self.measures.delta_l([*scored.values(), *controls[topic]])
            own = [made for level, made in scored.items() if level == chosen[topic]]
            ratings = self.measures.ratings([*own, *controls[topic]])
            for judge in self.experiment.judges:
                rows += [
                    self._row(made, judge, gains, ratings, level == chosen[topic])
                    for level, made in scored.items()
                ]
                rows += [self._row(made, judge, gains, ratings) for made in controls[topic]]
        above = steered(verdict_rows(rows))
        return [
            {**row, "steered": above.get((row["judge"], row["topic"]), False)}
            if row["chosen"]
            else row
            for row in rows
        ]

    def vector(self, topic: int, *, other: bool = False) -> SteeringVector:
        """Returns a topic's direction, by the suite's formula or by the other one."""
        return topic_vector(
            self.experiment.result, topic, self.experiment.sae, relative=self.relative != other
        )

    @cached_property
    def reference(self) -> ReferenceActivations:
        """Activations that units and matched changes are measured on."""
        return read_reference(
            self.experiment.lm.backbone, self.experiment.corpus, self.hook_point,
            n_tokens=self.spec.reference_tokens, seed=self.spec.seed,
        )  # fmt: skip

    def _push(self, vector: SteeringVector, level: float) -> tuple[Push, Strength]:
        measured = strength(level, self.spec.unit, vector, self.reference)
        return Push(vector, measured.absolute), measured

    def _grid(self) -> dict[int, dict[float, tuple[Made, Made]]]:
        """Returns each topic's texts at every λ, of the first and of the second half."""
        wanted = []
        for topic in self.topics:
            vector = self.vector(topic)
            for level in self.spec.lambdas:
                push, measured = self._push(vector, level)
                change = expected_change(push, self.reference, self.spec.mode)
                method = vector.origin.method
                wanted.append((Condition(method, topic, 0, push, change), level, measured))
        asked: list[_Asked] = [
            ((condition,), measured, half)
            for condition, _, measured in wanted
            for half in (self.first, self.second)
        ]
        made = self._make(asked)
        found: dict[int, dict[float, tuple[Made, Made]]] = {topic: {} for topic in self.topics}
        for i, (condition, level, _) in enumerate(wanted):
            found[condition.topic][level] = made[2 * i], made[2 * i + 1]
        return found

    def _choice(self, tried: Mapping[float, tuple[Made, Made]]) -> float | None:
        judge = next(iter(self.experiment.judges))
        return choose_lambda(
            {
                level: (self.measures.win_rate(made[0], judge), self.measures.scores(made[0]))
                for level, made in tried.items()
            }
        )

    def _controls(self, own: Mapping[int, Made]) -> dict[int, list[Made]]:
        """Returns what each topic is held against, on the second half.

        Args:
            own: the topic's texts of the first half, at the λ that is to be matched.
        """
        asked: list[_Asked] = []
        experiment = self.experiment
        started: list[Condition] = []
        for topic in self.topics:
            asked.append(((no_steering(topic),), None, self.second))
            named = named_in_prompt(topic, self._fitting(topic, experiment.description(topic)))
            asked.append(((named,), None, self.second))
            other = self.vector(topic, other=True)
            vectors: dict[str, list[SteeringVector]] = {
                other.origin.method: [other],
                **control_vectors(
                    experiment.result, topic, experiment.sae, frequency=experiment.frequency,
                    difference=self._difference(topic), relative=self.relative,
                    n_drawn=self.spec.drawn, seed=self.spec.seed,
                ),
            }  # fmt: skip
            like = own[topic].conditions[0].push
            assert like is not None
            started += matched_conditions(topic, vectors, like, self.reference, self.spec.mode)
        targets = {topic: fmean(t.mean_change for t in own[topic].texts) for topic in self.topics}
        groups: dict[tuple[int, str], list[Condition]] = {}
        for condition in self._calibrated(started, targets):
            groups.setdefault((condition.topic, condition.method), []).append(condition)
        for several in groups.values():
            asked.append((tuple(several), _matched_strength(several), self.second))
        found: dict[int, list[Made]] = {topic: [] for topic in self.topics}
        for made in self._make(asked):
            found[made.conditions[0].topic].append(made)
        return found

    def _calibrated(
        self, started: Sequence[Condition], targets: Mapping[int, float]
    ) -> list[Condition]:
        """Moves λ until texts of the pilot's prompts change by as much as the topic's, on record.

        Args:
            started: with the λ that is right over the reference text.
            targets: mean ‖a′ − a‖ of each topic's texts; where it is 0 no position was steered,
                and λ stays.
        """
        pilots = self.first[: self.spec.pilot_prompts]
        lm, mode = self.experiment.lm, self.spec.mode
        searches: dict[Condition, Search] = {}
        for condition in started:
            push, target = condition.push, targets[condition.topic]
            assert push is not None
            if target > 0:
                turn = least_changing(push.vector, self.reference, mode)
                searches[condition] = Search(push.vector, push.strength, turn, target)
        wanted: dict[Condition, CalibrationIdentity] = {
            condition: {
                "steering_version": STEERING_VERSION,
                **lm.backbone.describe(),
                "vector": search.vector.revision,
                "start": search.start,
                "turn": search.turn,
                "target": search.target,
                "sampling": asdict(self.sampling),
                "prompts": pilots,
            }
            for condition, search in searches.items()
        }

        def changes(pushes: Sequence[Push]) -> list[float]:
            jobs = [Job(prompt, pushes=(push,)) for push in pushes for prompt in pilots]
            texts = generate(
                lm, jobs, self.sampling, self.experiment.store, batch_rows=self.spec.batch_rows,
                progress=self.experiment.progress,
            )  # fmt: skip
            n = len(pilots)
            return [
                fmean(text.mean_change for text in texts[i : i + n])
                for i in range(0, len(texts), n)
            ]

        def search(missing: list[Condition]) -> Iterator[CalibrationPayload]:
            found = calibrate([searches[condition] for condition in missing], changes)
            for condition, each in zip(missing, found, strict=True):
                trials = [(trial.strength, trial.change) for trial in each.trials]
                yield {**wanted[condition], "trials": trials}

        held = self.experiment.store.memo("steer", wanted, search, tag="calibration")
        calibrated = []
        for condition in started:
            if condition in held:
                told = held[condition]
                best = Calibration(tuple(Trial(*t) for t in told["trials"]), told["target"]).best
                push = Push(searches[condition].vector, best.strength)
                condition = replace(
                    condition, push=push, target_change=told["target"], pilot_change=best.change,
                    expected_change=expected_change(push, self.reference, mode),
                )  # fmt: skip
            calibrated.append(condition)
        return calibrated

    def _fitting(self, topic: int, description: str) -> str:
        """Returns what stands for a topic, cut (with "…") where the model could not read it all.

        As it is cut it stands on the record of every text, in what leads to its prompt.
        """
        lm = self.experiment.lm
        room = lm.n_positions - self.sampling.max_tokens + 1

        def fits(text: str) -> bool:
            lead = named_in_prompt(topic, text).lead
            rows = lm.backbone.tokenise([lead + prompt for prompt in self.second])
            return max(len(lm.begun(ids)) for ids in rows) <= room

        if fits(description):
            return description
        low, high = 0, len(description)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(description[:middle] + "…") else (low, middle)
        cut = description[:low]
        return (cut[: cut.rfind(" ")] if " " in cut else cut).rstrip(" ,;") + "…"

    def _difference(self, topic: int) -> SteeringVector | None:
        """Of the documents that Δℓ is measured on, which is in this control's favour."""
        documents = self.measures.documents(topic)
        if documents is None:
            return None
        return difference_of_means(
            self.experiment.lm.backbone, self.experiment.corpus, documents, self.hook_point,
            topic=topic, max_tokens=self.spec.document_tokens,
        )  # fmt: skip

    def _make(self, asked: Sequence[_Asked]) -> list[Made]:
        """Generates all texts asked for at one time, so that they share batches."""
        n = self.spec.samples
        jobs: list[Job] = []
        ends = []
        for conditions, _, prompts in asked:
            for condition in conditions:
                pushes = () if condition.push is None else (condition.push,)
                # Unsteered text is held against another sample of the same prompt.
                first = n if condition.method == "none" else 0
                jobs += [
                    Job(prompt, first + sample, pushes, condition.lead)
                    for prompt in prompts
                    for sample in range(n)
                ]
            ends.append(len(jobs))
        plain = [Job(job.prompt, job.sample % n) for job in jobs]
        texts = generate(
            self.experiment.lm, [*jobs, *plain], self.sampling, self.experiment.store,
            batch_rows=self.spec.batch_rows, progress=self.experiment.progress,
        )  # fmt: skip
        made, start = [], 0
        for (conditions, measured, prompts), end in zip(asked, ends, strict=True):
            replicates = [c.replicate for c in conditions for _ in range(n * len(prompts))]
            mine, others = texts[start:end], texts[len(jobs) + start : len(jobs) + end]
            made.append(Made(conditions, measured, tuple(mine), tuple(others), tuple(replicates)))
            start = end
        return made

    def _row(
        self,
        made: Made,
        judge: str,
        gains: Mapping[Condition, float],
        ratings: Mapping[Made, AspectMeans],
        chosen: bool | None = None,
    ) -> SteeringRow:
        condition = made.conditions[0]
        row = table_row(
            corpus=self.experiment.corpus.name, model=self.experiment.name, topic=condition.topic,
            method=condition.method, strength=made.strength, judge=judge,
            rate=self.measures.win_rate(made, judge), scores=self.measures.scores(made),
            delta_l=gains.get(condition) if len(made.conditions) == 1 else None,
        )  # fmt: skip
        changes = [each.expected_change for each in made.conditions]
        pilots = [each.pilot_change for each in made.conditions if each.pilot_change is not None]
        told: ExperimentRow = {
            **row,
            "directions": len(made.conditions) if condition.push is not None else 0,
            "expected_change": float(np.mean(changes)),
            "target_change": condition.target_change,
            "pilot_change": fmean(pilots) if pilots else None,
            **ratings.get(made, mean_scores(())),
            "chosen": chosen,
            "steered": None,
        }
        return cast(SteeringRow, told)


def _matched_strength(conditions: Sequence[Condition]) -> Strength:
    """λ of matched controls is their own; of several directions the mean is shown."""
    levels = [condition.push.strength for condition in conditions if condition.push is not None]
    return Strength(float(np.mean(levels)), "absolute")
