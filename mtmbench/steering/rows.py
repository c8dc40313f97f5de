"""The steering experiment for one fitted model: text along its topics, beside the controls.

Each topic's λ is chosen on one half of the prompts, by the first judge, among those whose text
stays fluent; all that the table shows comes from the other half. Controls change activations by as
much as the topic does at the chosen λ, or at the weakest λ where none leaves the text fluent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.steering.axbench import mean_scores
from mtmbench.steering.controls import (
    Condition,
    control_vectors,
    difference_of_means,
    matched_conditions,
    named_in_prompt,
    no_steering,
)
from mtmbench.steering.evaluate import (
    BEATEN,
    choose_lambda,
    counts_as_steered,
    halves,
    table_row,
)
from mtmbench.steering.experiment import Experiment, Made, largest_topics
from mtmbench.steering.generate import Job, Sampling, generate
from mtmbench.steering.hook import Push
from mtmbench.steering.measures import Measures
from mtmbench.steering.prompts import load_prompts
from mtmbench.steering.table_rows import AspectMeans, ChosenRow, ConditionRow, ExperimentRow
from mtmbench.steering.units import (
    ReferenceActivations,
    Strength,
    expected_change,
    read_reference,
    strength,
)
from mtmbench.steering.vector import SteeringVector, topic_vector


def experiment_rows(experiment: Experiment) -> list[ExperimentRow]:
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
    vectors = {
        topic: topic_vector(experiment.result, topic, experiment.sae) for topic in rows.topics
    }
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
        self.hook_point = str(experiment.result.items.source.get("hook_point"))
        self.topics = largest_topics(experiment.result, self.spec.topics)
        self.measures = Measures(experiment)

    def rows(self) -> list[ExperimentRow]:
        """Returns the rows of every topic and judge."""
        tried = self._grid()
        chosen = {topic: self._choice(tried[topic]) for topic in self.topics}
        weakest = min(self.spec.lambdas, key=abs)
        controls = self._controls(
            {topic: weakest if level is None else level for topic, level in chosen.items()}
        )
        rows: list[ExperimentRow] = []
        for topic in self.topics:
            scored = {level: made[1] for level, made in sorted(tried[topic].items())}
            gains = self.measures.delta_l([*scored.values(), *controls[topic]])
            own = [made for level, made in scored.items() if level == chosen[topic]]
            ratings = self.measures.ratings([*own, *controls[topic]])
            for judge in self.experiment.judges:
                grid: list[ChosenRow] = [
                    {**self._row(made, judge, gains, ratings), "chosen": level == chosen[topic]}
                    for level, made in scored.items()
                ]
                others: list[ChosenRow] = [
                    {**self._row(made, judge, gains, ratings), "chosen": None}
                    for made in controls[topic]
                ]
                rows += _with_verdict(grid, others)
        return rows

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
            vector = topic_vector(self.experiment.result, topic, self.experiment.sae)
            for level in self.spec.lambdas:
                push, measured = self._push(vector, level)
                change = expected_change(push, self.reference, self.spec.mode)
                wanted.append((Condition("topic", topic, 0, push, change), level, measured))
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

    def _controls(self, levels: Mapping[int, float]) -> dict[int, list[Made]]:
        """Returns what each topic is held against, at its λ, on the second half."""
        asked: list[_Asked] = []
        experiment = self.experiment
        for topic in self.topics:
            like, _ = self._push(
                topic_vector(experiment.result, topic, experiment.sae), levels[topic]
            )
            asked.append(((no_steering(topic),), None, self.second))
            named = named_in_prompt(topic, self._fitting(topic, experiment.description(topic)))
            asked.append(((named,), None, self.second))
            raw = topic_vector(experiment.result, topic, experiment.sae, relative=False)
            vectors: dict[str, list[SteeringVector]] = {
                "topic_raw": [raw],
                **control_vectors(
                    experiment.result, topic, experiment.sae, frequency=experiment.frequency,
                    difference=self._difference(topic), n_drawn=self.spec.drawn,
                    seed=self.spec.seed,
                ),
            }  # fmt: skip
            matched = matched_conditions(topic, vectors, like, self.reference, self.spec.mode)
            for method in vectors:
                several = tuple(c for c in matched if c.method == method)
                if several:
                    asked.append((several, _matched_strength(several), self.second))
        found: dict[int, list[Made]] = {topic: [] for topic in self.topics}
        for made in self._make(asked):
            found[made.conditions[0].topic].append(made)
        return found

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
    ) -> ConditionRow:
        condition = made.conditions[0]
        row = table_row(
            corpus=self.experiment.corpus.name, model=self.experiment.name, topic=condition.topic,
            method=condition.method, strength=made.strength, judge=judge,
            rate=self.measures.win_rate(made, judge), scores=self.measures.scores(made),
            delta_l=gains.get(condition) if len(made.conditions) == 1 else None,
        )  # fmt: skip
        changes = [each.expected_change for each in made.conditions]
        return {
            **row,
            "directions": len(made.conditions) if condition.push is not None else 0,
            "expected_change": float(np.mean(changes)),
            **ratings.get(made, mean_scores(())),
        }


def _matched_strength(conditions: Sequence[Condition]) -> Strength:
    """λ of matched controls is their own; of several directions the mean is shown."""
    levels = [condition.push.strength for condition in conditions if condition.push is not None]
    return Strength(float(np.mean(levels)), "absolute")


def _with_verdict(grid: Sequence[ChosenRow], others: Sequence[ChosenRow]) -> list[ExperimentRow]:
    """Says of the chosen λ whether the topic counts as steered; the other rows say nothing."""
    ends = {row["method"]: row["hi"] for row in others if row["method"] in BEATEN}
    told: list[ExperimentRow] = []
    for row in grid:
        steered = counts_as_steered(row["win_rate"], ends) if row["chosen"] else None
        told.append({**row, "steered": steered})
    told += [{**row, "steered": None} for row in others]
    return told
