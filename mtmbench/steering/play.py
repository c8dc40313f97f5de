"""The steering experiment for one fitted model: text along its topics, beside the controls.

Each topic's λ is chosen on one half of the prompts, by the first judge, among those whose text
stays fluent; all that the table shows comes from the other half. Controls change activations by as
much as the topic does at the chosen λ, or at the weakest λ where none leaves the text fluent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache, cached_property
from importlib.metadata import version as package_version
from itertools import islice
from typing import Any

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash
from mtmbench.core.store import RunInfo
from mtmbench.core.types import Record
from mtmbench.judges.asker import card_identity
from mtmbench.judges.prompt import load_template
from mtmbench.steering.axbench import ASPECTS, SteeredText, mean_scores
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
    TextScores,
    choose_lambda,
    counts_as_steered,
    halves,
    relevance,
    score_texts,
    table_row,
    text_pairs,
)
from mtmbench.steering.experiment import Bench, Made, largest_topics
from mtmbench.steering.generate import Job, Sampling, generate
from mtmbench.steering.hook import Push
from mtmbench.steering.likelihood import (
    NoContrastError,
    TopicDocuments,
    delta_l,
    topic_documents,
)
from mtmbench.steering.prompts import load_prompts
from mtmbench.steering.relevance import (
    PLACEHOLDERS,
    PROMPT,
    SETTINGS,
    compare_texts,
)
from mtmbench.steering.units import Reference, Strength, expected_change, read_reference, strength
from mtmbench.steering.vector import SteeringVector, topic_vector
from mtmbench.steering.win_rate import WinRate

STEERING_VERSION = 1
"""Raised whenever the same texts may give another row."""


def play_steering(bench: Bench) -> list[dict[str, Any]]:
    """Plays the experiment, or what the store lacks of it, and returns the rows of the table.

    Raises:
        InputError: there is no judge, no topic, or a λ, prompt or hook point that is wrong.
    """
    return _Play(bench).rows()


_Asked = tuple[tuple[Condition, ...], Strength | None, Sequence[str]]
"""Conditions of one row, their λ, and the prompts that their texts go on from."""


class _Play:
    def __init__(self, bench: Bench) -> None:
        if not bench.judges:
            raise InputError("steering needs a judge")
        self.bench = bench
        self.spec = bench.spec
        self.sampling = Sampling(
            max_tokens=self.spec.max_tokens, temperature=self.spec.temperature,
            top_p=self.spec.top_p, seed=self.spec.seed, mode=self.spec.mode,
            positions=self.spec.positions,
        )  # fmt: skip
        prompts = load_prompts(self.spec.prompts)[: self.spec.n_prompts]
        self.first, self.second = halves(prompts, self.spec.seed)
        self.hook_point = str(bench.result.items.source.get("hook_point"))
        self.topics = largest_topics(bench.result, self.spec.topics)
        self.scores = cache(self._scores)
        self.held: dict[str, Mapping[str, Any]] = {
            record.key: record.payload for record in bench.store.records() if record.kind == "steer"
        }

    def rows(self) -> list[dict[str, Any]]:
        """Returns the rows of every topic and judge."""
        tried = self._grid()
        chosen = {topic: self._choice(tried[topic]) for topic in self.topics}
        weakest = min(self.spec.lambdas, key=abs)
        controls = self._controls(
            {topic: weakest if level is None else level for topic, level in chosen.items()}
        )
        rows = []
        for topic in self.topics:
            scored = {level: made[1] for level, made in sorted(tried[topic].items())}
            gains = self._delta_l([*scored.values(), *controls[topic]])
            own = [made for level, made in scored.items() if level == chosen[topic]]
            ratings = self._ratings([*own, *controls[topic]])
            for judge in self.bench.judges:
                grid = [
                    {**self._row(made, judge, gains, ratings), "chosen": level == chosen[topic]}
                    for level, made in scored.items()
                ]
                others = [
                    {**self._row(made, judge, gains, ratings), "chosen": None}
                    for made in controls[topic]
                ]
                rows += _with_verdict(grid, others)
        return rows

    @cached_property
    def reference(self) -> Reference:
        """Activations that units and matched changes are measured on."""
        return read_reference(
            self.bench.lm.backbone, self.bench.corpus, self.hook_point,
            n_tokens=self.spec.reference_tokens, seed=self.spec.seed,
        )  # fmt: skip

    def _push(self, vector: SteeringVector, level: float) -> tuple[Push, Strength]:
        measured = strength(level, self.spec.unit, vector, self.reference)
        return Push(vector, measured.absolute), measured

    def _grid(self) -> dict[int, dict[float, tuple[Made, Made]]]:
        """Returns each topic's texts at every λ, of the first and of the second half."""
        wanted = []
        for topic in self.topics:
            vector = topic_vector(self.bench.result, topic, self.bench.sae)
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
        judge = next(iter(self.bench.judges))
        return choose_lambda(
            {
                level: (self._rate(made[0], judge), self.scores(made[0]))
                for level, made in tried.items()
            }
        )

    def _controls(self, levels: Mapping[int, float]) -> dict[int, list[Made]]:
        """Returns what each topic is held against, at its λ, on the second half."""
        asked: list[_Asked] = []
        bench = self.bench
        for topic in self.topics:
            like, _ = self._push(topic_vector(bench.result, topic, bench.sae), levels[topic])
            asked.append(((no_steering(topic),), None, self.second))
            named = named_in_prompt(topic, bench.description(topic))
            asked.append(((named,), None, self.second))
            vectors: dict[str, list[SteeringVector]] = {
                "topic_raw": [topic_vector(bench.result, topic, bench.sae, relative=False)],
                **control_vectors(
                    bench.result, topic, bench.sae, frequency=bench.frequency,
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

    def _documents(self, topic: int) -> TopicDocuments | None:
        """None where every document, or none, has a share of the topic."""
        try:
            return topic_documents(
                self.bench.result, topic, n=self.spec.documents, seed=self.spec.seed
            )
        except NoContrastError:
            return None

    def _difference(self, topic: int) -> SteeringVector | None:
        """Of the documents that Δℓ is measured on, which is in this control's favour."""
        documents = self._documents(topic)
        if documents is None:
            return None
        return difference_of_means(
            self.bench.lm.backbone, self.bench.corpus, documents, self.hook_point,
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
            self.bench.lm, [*jobs, *plain], self.sampling, self.bench.store,
            batch_rows=self.spec.batch_rows, progress=self.bench.progress,
        )  # fmt: skip
        made, start = [], 0
        for (conditions, measured, prompts), end in zip(asked, ends, strict=True):
            replicates = [c.replicate for c in conditions for _ in range(n * len(prompts))]
            mine, others = texts[start:end], texts[len(jobs) + start : len(jobs) + end]
            made.append(Made(conditions, measured, tuple(mine), tuple(others), tuple(replicates)))
            start = end
        return made

    def _scores(self, made: Made) -> TextScores:
        """Returns the scores of texts from their record, which is made once."""
        bench = self.bench
        identity = {
            "steering_version": STEERING_VERSION,
            **bench.lm.backbone.describe(),
            "texts": [each.key for each in made.texts],
            "plain": [each.key for each in made.plain],
            "replicates": made.replicates,
        }
        key = content_hash("text scores", identity)
        if key not in self.held:
            found = score_texts(bench.lm, made.texts, made.plain, bench.embed, made.replicates)
            self._keep(key, {**identity, "scores": asdict(found)})
        return TextScores(**self.held[key]["scores"])

    def _delta_l(self, several: Sequence[Made]) -> dict[Condition, float]:
        """Returns Δℓ of a topic's single directions, from their records or measured now.

        The several directions of a control would take as many passes each, and have none.
        """
        bench, spec = self.bench, self.spec
        pushes: dict[Condition, Push] = {}
        for made in several:
            condition = made.conditions[0]
            if len(made.conditions) == 1 and condition.push is not None:
                pushes[condition] = condition.push
        documents = self._documents(several[0].conditions[0].topic)
        if documents is None:
            return {}
        place = {
            "steering_version": STEERING_VERSION,
            **bench.lm.backbone.describe(),
            "corpus": bench.corpus.revision,
            "on": documents.on,
            "off": documents.off,
            "mode": spec.mode,
            "max_tokens": spec.document_tokens,
        }
        keys = {
            condition: content_hash("delta_l", place, push.vector.revision, push.strength)
            for condition, push in pushes.items()
        }
        missing = [condition for condition, key in keys.items() if key not in self.held]
        if missing:
            found = delta_l(
                bench.lm, bench.corpus, documents, [[pushes[c]] for c in missing], mode=spec.mode,
                max_tokens=spec.document_tokens,
            )  # fmt: skip
            for condition, each in zip(missing, found, strict=True):
                told = {**place, "condition": condition.describe(), **asdict(each)}
                self._keep(keys[condition], told)
        return {condition: float(self.held[key]["value"]) for condition, key in keys.items()}

    def _rate(self, made: Made, judge: str) -> WinRate:
        """Returns the win rate from the judge's record of these texts, which is made once."""
        card, client = self.bench.judges[judge]
        topic = made.conditions[0].topic
        pairs, prompts = text_pairs(made.texts, made.plain)
        described = self.bench.description(topic)
        identity = {
            "judge": judge,
            **card_identity(card, client),
            "prompt": load_template(PROMPT, PLACEHOLDERS, SETTINGS).hash if client.is_llm else None,
            "steering_version": STEERING_VERSION,
            "corpus": self.bench.corpus.revision,
            "result": self.bench.result.revision,
            "topic": topic,
            "description": described,
            "texts": [each.key for each in made.texts],
            "plain": [each.key for each in made.plain],
        }
        key = content_hash("steer", identity)
        if key not in self.held:
            outcome = compare_texts(
                client, card, self.bench.corpus, self.bench.result, topic, pairs,
                description=described,
            )  # fmt: skip
            told = {
                **identity,
                "conditions": [condition.describe() for condition in made.conditions],
                "strength": None if made.strength is None else made.strength.describe(),
                "forward": outcome.forward,
                "backward": outcome.backward,
                "calls": outcome.calls,
                "usage": outcome.usage,
                "judge_revisions": outcome.revisions,
            }
            self._keep(key, told)
        said = self.held[key]
        return relevance(
            said["forward"], said["backward"], prompts, made.replicates, seed=self.spec.seed
        )

    def _keep(self, key: str, payload: Mapping[str, Any]) -> None:
        record = Record("steer", key, "ok", payload, {"mtmbench": package_version("mtmbench")})
        self.bench.store.add([(record, RunInfo())])
        self.held[key] = payload

    def _ratings(self, several: Sequence[Made]) -> dict[Made, dict[str, float | None]]:
        """Returns the mean AxBench scores of the texts of each, where there is a rater."""
        if self.bench.rate is None:
            return {}
        texts = [
            SteeredText(self.bench.description(made.conditions[0].topic), each.prompt, each.text)
            for made in several
            for each in made.texts
        ]
        scores = iter(self.bench.rate(texts).scores)
        return {made: mean_scores(list(islice(scores, len(made.texts)))) for made in several}

    def _row(
        self,
        made: Made,
        judge: str,
        gains: Mapping[Condition, float],
        ratings: Mapping[Made, Mapping[str, float | None]],
    ) -> dict[str, Any]:
        condition = made.conditions[0]
        row = table_row(
            corpus=self.bench.corpus.name, model=self.bench.name, topic=condition.topic,
            method=condition.method,
            strength=None if made.strength is None else made.strength.describe(),
            judge=judge, rate=self._rate(made, judge), scores=self.scores(made),
            delta_l=gains.get(condition) if len(made.conditions) == 1 else None,
        )  # fmt: skip
        changes = [each.expected_change for each in made.conditions]
        return {
            **row,
            "directions": len(made.conditions) if condition.push is not None else 0,
            "expected_change": float(np.mean(changes)),
            **ratings.get(made, dict.fromkeys((*ASPECTS, "overall"))),
        }


def _matched_strength(conditions: Sequence[Condition]) -> Strength:
    """λ of matched controls is their own; of several directions the mean is shown."""
    levels = [condition.push.strength for condition in conditions if condition.push is not None]
    return Strength(float(np.mean(levels)), "absolute")


def _with_verdict(
    grid: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Says of the chosen λ whether the topic counts as steered; the other rows say nothing."""
    ends = {row["method"]: row["hi"] for row in others if row["method"] in BEATEN}
    told = []
    for row in grid:
        steered = counts_as_steered(row["win_rate"], ends) if row["chosen"] else None
        told.append({**row, "steered": steered})
    return [*told, *({**row, "steered": None} for row in others)]
