"""The proxy's answers on scales, from vectors whose cosines are known."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus
from mtmbench.judges.base import Option, Question, QuestionKind, ShownTopic
from mtmbench.judges.clients.embedding import EmbeddingJudge

ANGLES = {"tax, cut": 0, "near": 30, "far": 80, "against": 150, "up": 10, "down": -10, "side": 95}


def _embed(texts: Sequence[str]) -> NDArray[np.float64]:
    radians = np.deg2rad([ANGLES[text] for text in texts])
    return 3 * np.column_stack([np.cos(radians), np.sin(radians)])


def _ask(
    kind: QuestionKind,
    words: Sequence[Sequence[str]],
    *,
    version: int = 1,
    by_exemplars: bool = False,
    **context: object,
) -> str:
    options = tuple(Option("topic", (ShownTopic(1.0, tuple(topic)),)) for topic in words)
    question = Question(kind, {"corpus": "c", **context}, options)
    judge = EmbeddingJudge(version=version, exemplars=by_exemplars, embed=_embed)
    texts = ("near", "far", "against", "near")
    judge.prepare_documents(Corpus("c", tuple("0123"), texts), range(4))
    return asyncio.run(judge.answer(question, {}, 0)).text


def _value(reply: str) -> float:
    return float(reply.partition(": ")[2])


def test_a_fit_is_the_cosine_on_five_levels() -> None:
    fits = {text: _value(_ask("fit", [["tax", "cut"]], text=text)) for text in ("near", "against")}
    assert fits["near"] == pytest.approx(1 + 4 * np.cos(np.deg2rad(30)), abs=1e-6)
    assert fits["against"] == 1


def test_a_centred_fit_is_the_middle_of_the_scale_for_an_average_document() -> None:
    cosines = {text: np.cos(np.deg2rad(ANGLES[text])) for text in ("near", "far", "against")}
    mean = (2 * cosines["near"] + cosines["far"] + cosines["against"]) / 4
    for text, cosine in cosines.items():
        level = float(np.clip(3 + 4 * (cosine - mean), 1, 5))
        fit = _ask("fit", [["tax", "cut"]], text=text, version=2)
        assert _value(fit) == pytest.approx(level, abs=1e-6)
        # So does a document that nobody else is asked about.
    beside = np.clip(3 + 4 * (np.cos(np.deg2rad(10)) - mean), 1, 5)
    assert _value(_ask("fit", [["tax", "cut"]], text="up", version=2)) == pytest.approx(beside)


def test_centring_orders_documents_as_cosines_do_and_asks_nothing_else_of_words() -> None:
    texts = ["far", "side", "near", "against"]
    assert _ask("rank", [["tax", "cut"]], texts=texts, version=2) == "RANKING: 3, 1, 2, 4"
    for kind, words in (("rating", [["up", "near", "down"]]), ("intrusion", [["up"], ["side"]])):
        assert _ask(kind, words, version=2) == _ask(kind, words, version=1)  # type: ignore[arg-type]


def test_exemplars_stand_for_the_topic_by_the_mean_of_their_unit_vectors() -> None:
    examples = ["near", "far", "near"]
    angles = np.deg2rad([30, 80, 30])
    mean = np.array([np.cos(angles).mean(), np.sin(angles).mean()])
    cosine = mean @ [np.cos(np.deg2rad(10)), np.sin(np.deg2rad(10))] / np.linalg.norm(mean)
    told = {"text": "up", "exemplars": examples}
    fit = _value(_ask("fit", [["tax", "cut"]], by_exemplars=True, **told))
    assert fit == pytest.approx(1 + 4 * cosine, abs=1e-6)
    # Others read the description, and so does this one where there are none.
    described = _ask("fit", [["tax", "cut"]], text="up")
    assert _ask("fit", [["tax", "cut"]], **told) == described  # type: ignore[arg-type]
    assert _ask("fit", [["tax", "cut"]], by_exemplars=True, text="up") == described
    texts = ["tax, cut", "against", "far", "near"]
    rank = _ask("rank", [["tax", "cut"]], by_exemplars=True, texts=texts, exemplars=["far"])
    assert rank == "RANKING: 3, 4, 2, 1"


def test_a_ranking_is_by_cosine_ties_in_order() -> None:
    texts = ["far", "near", "against", "near"]
    assert _ask("rank", [["tax", "cut"]], texts=texts) == "RANKING: 2, 4, 1, 3"


def test_a_rating_is_the_mean_cosine_over_pairs_of_distinct_words() -> None:
    cosines = [np.cos(np.deg2rad(angle)) for angle in (20, 20, 40)]
    rating = _value(_ask("rating", [["up", "near", "down", "up"]]))
    assert rating == pytest.approx(1 + 2 * np.mean(cosines), abs=1e-6)
    assert _ask("rating", [["up"]]) == "RATING: 1.000000"


def test_an_intruder_is_the_farthest_from_the_others() -> None:
    assert _ask("intrusion", [["up"], ["down"], ["side"], ["near"]]) == "INTRUDER: 3"


def test_other_questions_are_refused() -> None:
    with pytest.raises(InputError, match="no question of kind 'label'"):
        _ask("label", [["up"]])
