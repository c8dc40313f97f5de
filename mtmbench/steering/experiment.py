"""What the steering experiment works on, and what it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtmbench.core.specs import SteeringSpec
from mtmbench.core.store import RunStore
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, IntArray, Progress
from mtmbench.features.sae.sae import SAE
from mtmbench.judges.asker import Asker
from mtmbench.judges.panel import Panel
from mtmbench.steering.controls import Condition
from mtmbench.steering.generate import Generation
from mtmbench.steering.language_model import CausalLM
from mtmbench.steering.relevance import describe_topic
from mtmbench.steering.text_measures import Embed
from mtmbench.steering.units import Strength


@dataclass(frozen=True, eq=False)
class Experiment:
    """All that the experiment needs.

    Attributes:
        name: the model's name in the table.
        lm: the language model that the features are read from.
        corpus: the topics' corpus.
        result: the topics, over features of ``sae``.
        sae: the SAE.
        frequency: (V,) occurrences of each item in the corpus.
        panel: whose judges are asked.
        judges: those that compare texts, by name; the first chooses λ.
        spec: what is played.
        store: where texts and rows are kept.
        descriptions: what stands for each topic before judges and in the control that names it;
            None for the topics' summaries or items.
        rater: the language model that gives texts AxBench's scores; None for no such scores.
        embed: texts → embeddings, for the drift; all-MiniLM-L6-v2 by default.
        progress: told how many of how many texts are there.
    """

    name: str
    lm: CausalLM
    corpus: Corpus
    result: TopicResult
    sae: SAE
    frequency: IntArray
    panel: Panel
    judges: Mapping[str, Asker]
    spec: SteeringSpec
    store: RunStore
    descriptions: Sequence[str] | None = None
    rater: Asker | None = None
    embed: Embed | None = None
    progress: Progress | None = None

    def description(self, topic: int) -> str:
        """Returns what stands for a topic."""
        if self.descriptions is not None:
            return self.descriptions[topic]
        return describe_topic(self.result, topic)


@dataclass(frozen=True, eq=False)
class Made:
    """A condition's texts, each with the unsteered text of the same prompt.

    Attributes:
        conditions: the condition, or the several directions of a control.
        strength: λ with its unit; None without a direction.
        texts: the texts of all of them.
        plain: their unsteered counterparts.
        replicates: number of the direction of each text.
    """

    conditions: tuple[Condition, ...]
    strength: Strength | None
    texts: tuple[Generation, ...]
    plain: tuple[Generation, ...]
    replicates: tuple[int, ...]


def largest_topics(result: TopicResult, n: int) -> list[int]:
    """Returns the ``n`` topics of largest mean share, largest first; empty ones are left out."""
    whole = result.item_weights.sum(axis=1) > 0
    return [int(k) for k in np.argsort(-result.shares, kind="stable") if whole[k]][:n]
