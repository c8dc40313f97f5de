"""What people said of 300 topics in Hoyle et al. (2021): ratings of 1 to 3, and intrusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.files import read_json_lines
from mtmbench.core.serialise import seed_from
from mtmbench.validation.folder import human_folder

_FOLDER = "human_hoyle2021"
_FILE = "topics_with_human_scores.jsonl.gz"
RATED_WORDS = 10
"""Topic words that a judge is shown for a rating."""
RATING_LEVELS = 3
N_SHOWN = 5
"""Topic words beside the intruder."""
_COHERENCE = {
    "npmi": "c_npmi_10_full",
    "c_v": "c_v_full",
    "uci": "c_uci_full",
    "u_mass": "u_mass_full",
}


@dataclass(frozen=True)
class HoyleTopic:
    """One topic and what people said of it.

    Attributes:
        dataset: "wikitext" or "nytimes".
        model: the topic model.
        index: the topic's number in it.
        words: its top words, strongest first.
        rating: mean of the ratings, 1 to 3.
        intrusion: share of the people who found the intruder.
        coherence: stored scores by name ("npmi", "c_v", …).
    """

    dataset: str
    model: str
    index: int
    words: tuple[str, ...]
    rating: float
    intrusion: float
    coherence: dict[str, float]

    @property
    def id(self) -> str:
        """The topic's name: dataset, model and number."""
        return f"{self.dataset}/{self.model}/{self.index}"


@dataclass(frozen=True)
class IntrusionTask:
    """Words of a topic with one that belongs to another.

    Attributes:
        topic: the topic's id.
        draw: which of the topic's tasks it is.
        words: the words in the order shown.
        intruder: the intruder's place among them, from 0.
    """

    topic: str
    draw: int
    words: tuple[str, ...]
    intruder: int


def read_hoyle(data_dir: Path | None) -> list[HoyleTopic]:
    """Returns the topics in the file's order.

    Raises:
        InputError: the data are not there, or are not what they should be.
    """
    path = human_folder(_FOLDER, data_dir) / _FILE
    rows = list(read_json_lines(path))
    try:
        return [
            HoyleTopic(
                row["dataset"], row["model"], int(row["topic_idx"]), tuple(row["words"]),
                float(np.mean(row["ratings_scores_raw"])),
                float(np.mean(row["intrusion_scores_raw"])),
                {name: float(row[stored]) for name, stored in _COHERENCE.items()},
            )
            for row in rows
        ]  # fmt: skip
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path} is not laid out as Hoyle's topics: {error!r}") from error


def intrusion_tasks(topics: Sequence[HoyleTopic], draws: int, seed: int = 0) -> list[IntrusionTask]:
    """Draws intrusion tasks: five of a topic's first ten words and one of another topic's first.

    The intruder is one of the ten first words of another topic of the same model and data set,
    and none of the topic's own twenty. The words that people were shown are not stored, so these
    are other draws of the same task.

    Args:
        topics: the topics; an intruder is taken from among them.
        draws: tasks a topic.
        seed: seed of the draws; those of a topic do not depend on the other topics' draws.

    Raises:
        InputError: no other topic has a word that could be the intruder.
    """
    tasks = []
    for topic in topics:
        strangers = sorted(
            {
                word
                for other in topics
                if (other.dataset, other.model) == (topic.dataset, topic.model)
                for word in other.words[:RATED_WORDS]
            }
            - set(topic.words)
        )
        if not strangers:
            raise InputError(f"no topic beside {topic.id} has a word that could be an intruder")
        for draw in range(draws):
            generator = np.random.default_rng(seed_from("intrusion", seed, topic.id, draw))
            own = generator.choice(len(topic.words[:RATED_WORDS]), N_SHOWN, replace=False)
            words = [topic.words[i] for i in own]
            place = int(generator.integers(N_SHOWN + 1))
            words.insert(place, strangers[int(generator.integers(len(strangers)))])
            tasks.append(IntrusionTask(topic.id, draw, tuple(words), place))
    return tasks
