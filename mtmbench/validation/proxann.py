"""What people said of the topics of bills in ProxAnn (Hoyle, Calvo-Bartolomé et al., 2025).

A respondent saw one topic (its words and documents that exemplify it), named it, said of each of
seven other documents how well it fits (1 to 5), and ranked them with an eighth, a review of
sponges that fits nothing. Who failed the attention checks is dropped, by the authors' "loose" rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtmbench.core.errors import InputError
from mtmbench.core.files import read_json_lines, read_json_object
from mtmbench.core.types import Corpus
from mtmbench.judges.document_questions import TopicDocuments
from mtmbench.validation.folder import human_folder

PROXANN_FOLDER = "human_proxann2025"
DATASET = "proxann-bills"
_N_WORDS = 15
"""Topic words that people saw."""
FITS_FROM = 4
"""A mean answer that rounds to this or more says that the document fits."""

_Read = Mapping[str, Any]
"""An object of the authors' files: a response, or what was configured of a topic."""

_ANNOTATIONS = "bills_annotations_deidentified.jsonl.gz"
_CONFIGURATIONS = ("config_bills_part1.json.gz", "config_bills_part2.json.gz")
_COHERENCE = "all_cohrs_bills.csv"
_MODEL = re.compile(r"/(mallet|ctm|bertopic)(?:/.*)?/(\d+)\Z")
_MIN_RESPONDENTS = 2
_QUICK_SECONDS = 300.0
_QUICK_QUANTILE = 0.05


@dataclass(frozen=True)
class ProxannTopic(TopicDocuments):
    """One topic with its documents and what people said of them.

    Its id is "bills-labeled/MODEL/TOPIC", as in the authors' files; its words are as many as people
    saw.

    Attributes:
        model: the topic model.
        assigned: (N,) whether the model assigns the document to the topic.
        fits: (R, N) answers of R respondents, 1 to 5.
        ranks: (R, N) their ranks, the best highest: 8 minus the place among eight, at least 1.
    """

    model: str
    assigned: NDArray[np.bool_]
    fits: NDArray[np.float64]
    ranks: NDArray[np.float64]


def read_proxann(data_dir: Path | None) -> list[ProxannTopic]:
    """Returns the topics of bills that at least two attentive respondents judged, sorted by id.

    Raises:
        InputError: the data are not there, or are not what they should be.
    """
    folder = human_folder(PROXANN_FOLDER, data_dir)
    configured: dict[str, _Read] = {}
    for name in _CONFIGURATIONS:
        for model, topics in read_json_object(folder / name).items():
            configured |= {f"{model}/{number}": topic for number, topic in topics.items()}
    responses = list(read_json_lines(folder / _ANNOTATIONS))
    kept: dict[str, list[_Read]] = {}
    try:
        for response in attentive(responses, configured):
            kept.setdefault(response["id"], []).append(response)
        topics = [
            _topic(key, configured[key], group)
            for key, group in kept.items()
            if len(group) >= _MIN_RESPONDENTS
        ]
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise InputError(f"{folder} is not laid out as ProxAnn's data: {error!r}") from error
    return sorted(topics, key=lambda topic: topic.id)


def judged_documents(topics: Sequence[ProxannTopic]) -> Corpus:
    """Returns the documents that people judged, each once, as one corpus."""
    texts = tuple(dict.fromkeys(text for topic in topics for text in topic.documents))
    return Corpus(DATASET, tuple(map(str, range(len(texts)))), texts)


def attentive(responses: Sequence[_Read], configured: Mapping[str, _Read]) -> Iterator[_Read]:
    """Yields the responses that ProxAnn keeps: at most one of the lighter checks failed.

    The sponges among the best six, the wrong answer to the fit check and a category that is copied
    from the topic's words weigh two; too quick an answer, the wrong purpose, a failed familiarity
    check and a practice ranking that is far off weigh one. Too quick is below 300 seconds, or
    below the 5 % quantile if that is less.

    Args:
        responses: all responses, as read.
        configured: the topics' configurations by id, for their words.
    """
    # The authors' code leaves two more rows out of the quantile than it means to.
    durations = [float(response["Duration (in seconds)"]) for response in responses[2:]]
    quick = min(float(np.quantile(durations, _QUICK_QUANTILE)), _QUICK_SECONDS)
    for response in responses:
        words = " ".join(configured[response["id"]]["topic_words"])
        if failed_checks(response, words, quick) <= 1:
            yield response


def failed_checks(response: _Read, words: str, quick: float) -> int:
    """Returns the weight of the attention checks that a response failed; see :func:`attentive`."""
    practice = [int(response[f"practice_rank_{i}"]) for i in range(4)]
    heavy = (
        response["rank_99"] not in ("7", "8"),
        not response["11_loop_fit_a"].startswith("2"),
        response["cluster_label"] in words,
    )
    light = (
        float(response["Duration (in seconds)"]) < quick,
        "single category" not in response["practice_purpose"],
        not response["11_loop_familiarity"].startswith("I am not familiar"),
        practice[0] not in (1, 2) or practice[3] != 4,
    )
    return 2 * sum(heavy) + sum(light)


def stored_coherence(data_dir: Path | None) -> dict[str, dict[str, float]]:
    """Returns the coherence of the topics as ProxAnn stored it: "npmi" and "c_v", by topic id."""
    import pandas

    path = human_folder(PROXANN_FOLDER, data_dir) / _COHERENCE
    try:
        frame = pandas.read_csv(path, index_col="id")
        return {
            name: {str(topic): float(value) for topic, value in frame[column].items()}
            for name, column in (("npmi", "npmi"), ("c_v", "cv"))
        }
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def _topic(key: str, topic: _Read, responses: Sequence[_Read]) -> ProxannTopic:
    found = _MODEL.search(key)
    if found is None:
        raise ValueError(f"{key} names no topic model")
    documents = topic["eval_docs"]
    columns = range(len(documents))
    places = [[int(response[f"rank_{i}"]) for i in columns] for response in responses]
    return ProxannTopic(
        id=f"bills-labeled/{found[1]}/{found[2]}",
        model=found[1],
        words=tuple(topic["topic_words"][:_N_WORDS]),
        exemplars=tuple(document["text"] for document in topic["exemplar_docs"]),
        documents=tuple(document["text"] for document in documents),
        assigned=np.array([bool(document["assigned_to_k"]) for document in documents]),
        fits=np.array(
            [[_level(response[f"{i + 1}_loop_fit_a"]) for i in columns] for response in responses],
            dtype=np.float64,
        ),
        ranks=np.maximum(1.0, len(documents) + 1.0 - np.array(places, dtype=np.float64)),
    )


def _level(answer: str) -> int:
    return int(answer.split("-")[0])
