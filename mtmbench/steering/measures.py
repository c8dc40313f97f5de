"""What is measured of a condition's texts: from their records, or now, and then recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cache
from itertools import islice

from mtmbench.boards.steering_rows import AspectMeans
from mtmbench.core.steering_payloads import (
    ComparisonIdentity,
    ComparisonPayload,
    DeltaLIdentity,
    DeltaLPayload,
    DeltaLPlace,
    TextScoresIdentity,
    TextScoresPayload,
)
from mtmbench.steering.axbench import SteeredText, mean_scores, rate_texts
from mtmbench.steering.controls import Condition
from mtmbench.steering.evaluate import TextScores, relevance, score_texts, text_pairs
from mtmbench.steering.experiment import Experiment, Made
from mtmbench.steering.hook import Push
from mtmbench.steering.likelihood import (
    NoContrastError,
    TopicDocuments,
    delta_l,
    topic_documents,
)
from mtmbench.steering.relevance import compare_texts, relevance_prompt
from mtmbench.steering.win_rate import WinRate

STEERING_VERSION = 1
"""Raised whenever the same texts may give other records: comparisons, scores, Δℓ, calibrations.

What is made of records anew, such as which topics count as steered, has the table's schema."""


class Measures:
    """The measures of one experiment."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.spec = experiment.spec
        self.scores = cache(self._scores)

    def documents(self, topic: int) -> TopicDocuments | None:
        """Returns documents of a topic and others; None where all or none have a share of it."""
        try:
            return topic_documents(
                self.experiment.result, topic, n=self.spec.documents, seed=self.spec.seed
            )
        except NoContrastError:
            return None

    def delta_l(self, several: Sequence[Made]) -> dict[Condition, float]:
        """Returns Δℓ of a topic's single directions, from their records or measured now.

        The several directions of a control would take as many passes each, and have none.
        """
        experiment, spec = self.experiment, self.spec
        pushes: dict[Condition, Push] = {}
        for made in several:
            condition = made.conditions[0]
            if len(made.conditions) == 1 and condition.push is not None:
                pushes[condition] = condition.push
        documents = self.documents(several[0].conditions[0].topic)
        if documents is None:
            return {}
        place: DeltaLPlace = {
            "steering_version": STEERING_VERSION,
            **experiment.lm.backbone.describe(),
            "corpus": experiment.corpus.revision,
            "on": documents.on,
            "off": documents.off,
            "mode": spec.mode,
            "max_tokens": spec.document_tokens,
        }
        wanted: dict[Condition, DeltaLIdentity] = {
            condition: {**place, "vector": push.vector.revision, "strength": push.strength}
            for condition, push in pushes.items()
        }

        def measure(missing: list[Condition]) -> Iterator[DeltaLPayload]:
            found = delta_l(
                experiment.lm, experiment.corpus, documents, [[pushes[c]] for c in missing],
                mode=spec.mode, max_tokens=spec.document_tokens,
            )  # fmt: skip
            for condition, each in zip(missing, found, strict=True):
                yield {
                    **wanted[condition], "condition": condition.describe(), "value": each.value,
                    "lo": each.lo, "hi": each.hi,
                }  # fmt: skip

        held = experiment.store.memo("steer", wanted, measure, tag="delta_l")
        return {condition: payload["value"] for condition, payload in held.items()}

    def win_rate(self, made: Made, judge: str) -> WinRate:
        """Returns the win rate from the judge's record of these texts, which is made once."""
        experiment, asker = self.experiment, self.experiment.judges[judge]
        topic = made.conditions[0].topic
        pairs, prompts = text_pairs(made.texts, made.plain)
        described = experiment.description(topic)
        llm = asker.client.is_llm
        identity: ComparisonIdentity = {
            "judge": judge,
            **asker.identity,
            "prompt": relevance_prompt().hash if llm else None,
            "steering_version": STEERING_VERSION,
            "corpus": experiment.corpus.revision,
            "result": experiment.result.revision,
            "topic": topic,
            "description": described,
            "texts": [each.key for each in made.texts],
            "plain": [each.key for each in made.plain],
        }

        def compare(_: list[Made]) -> Iterator[ComparisonPayload]:
            outcome = experiment.panel.run(
                compare_texts(
                    asker, experiment.corpus, experiment.result, topic, pairs,
                    description=described,
                )
            )  # fmt: skip
            yield {
                **identity,
                "conditions": [condition.describe() for condition in made.conditions],
                "strength": None if made.strength is None else made.strength.describe(),
                **outcome.values(),
            }

        said = experiment.store.memo("steer", {made: identity}, compare, tag="steer")[made]
        return relevance(said["forward"], said["backward"], prompts, made.replicates)

    def ratings(self, several: Sequence[Made]) -> dict[Made, AspectMeans]:
        """Returns the mean AxBench scores of the texts of each, where there is a rater."""
        rater = self.experiment.rater
        if rater is None:
            return {}
        texts = [
            SteeredText(
                self.experiment.description(made.conditions[0].topic), each.prompt, each.text
            )
            for made in several
            for each in made.texts
        ]
        scores = iter(self.experiment.panel.run(rate_texts(rater, texts)).scores)
        return {made: mean_scores(list(islice(scores, len(made.texts)))) for made in several}

    def _scores(self, made: Made) -> TextScores:
        """Returns the scores of texts from their record, which is made once."""
        experiment = self.experiment
        identity: TextScoresIdentity = {
            "steering_version": STEERING_VERSION,
            **experiment.lm.backbone.describe(),
            "texts": [each.key for each in made.texts],
            "plain": [each.key for each in made.plain],
            "replicates": made.replicates,
        }

        def score(_: list[Made]) -> Iterator[TextScoresPayload]:
            found = score_texts(
                experiment.lm, made.texts, made.plain, experiment.embed, made.replicates
            )
            yield {**identity, "scores": asdict(found)}

        held = experiment.store.memo("steer", {made: identity}, score, tag="text scores")
        return TextScores(**held[made]["scores"])
