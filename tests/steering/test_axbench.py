"""AxBench's scores from a chat model with known answers; what a kill leaves."""

from __future__ import annotations

import pytest
from support.judged import asked

from mtmbench.core.cards import JudgeCard
from mtmbench.core.errors import InputError
from mtmbench.judges.base import Completion, JudgeClient
from mtmbench.judges.clients.embedding import EmbeddingJudge
from mtmbench.steering.axbench import AspectScores, SteeredText, rate_texts

CARD = JudgeCard(client="rater")
TEXTS = [
    SteeredText("hockey", "One day,", "the puck is on the ice."),
    SteeredText("hockey", "One day,", "it rained."),
    SteeredText("hockey", "One day,", "puck puck puck puck"),
    SteeredText("hockey", "One day,", "refuse"),
]


class Rater(JudgeClient):
    name = "rater"
    is_llm = True

    def __init__(self, fail_after=None):
        self.asked, self.closed, self.fail_after = [], 0, fail_after

    async def answer(self, question, params, replicate):
        if self.fail_after is not None and len(self.asked) >= self.fail_after:
            raise RuntimeError("no more")
        self.asked.append(question)
        task, text = question.context["task"], question.context["text"]
        if text == "refuse":
            return Completion("I will not.", refused=task == "concept")
        score = {
            "concept": 2 if "puck" in text else 0,
            "instruction": 1,
            "fluency": 0 if text.count("puck") > 2 else 2,
        }[task]
        return Completion(f"Because.\nRATING: {score}", {"output": 3}, "rater 1")

    async def close(self):
        self.closed += 1


def rated(judge, folder, texts, **options):
    return asked(
        judge, lambda asker: rate_texts(asker, texts), CARD, answers=folder / "a.sqlite", **options
    )


def test_scores_and_their_means(tmp_path):
    judge = Rater()
    found = rated(judge, tmp_path, TEXTS)
    assert found.scores == (
        AspectScores(2, 1, 2), AspectScores(0, 1, 2), AspectScores(2, 1, 0),
        AspectScores(None, None, None),
    )  # fmt: skip
    assert [each.overall for each in found.scores] == [pytest.approx(1.5), 0, 0, None]
    assert found.summary() == {
        "concept": {"mean": pytest.approx(4 / 3), "n": 3},
        "instruction": {"mean": 1, "n": 3},
        "fluency": {"mean": pytest.approx(4 / 3), "n": 3},
        "overall": {"mean": pytest.approx(0.5), "n": 3},
    }
    assert judge.closed == 1
    assert found.judge["usage"] == {"output": 27}
    assert set(found.prompts) == {"concept", "instruction", "fluency"}


def test_each_aspect_shows_what_it_is_about(tmp_path):
    judge = Rater()
    rated(judge, tmp_path, TEXTS[:1])
    shown = {q.context["task"]: q.messages[1]["content"] for q in judge.asked}
    for aspect, parts in {
        "concept": (True, False), "instruction": (False, True), "fluency": (False, False),
    }.items():  # fmt: skip
        assert ("hockey" in shown[aspect], "One day," in shown[aspect]) == parts
        assert "the puck is on the ice." in shown[aspect]


def test_answers_are_kept(tmp_path):
    dying = Rater(fail_after=5)
    with pytest.raises(RuntimeError, match=r"judge 'rater' failed on the .* of text"):
        rated(dying, tmp_path, TEXTS, concurrency=1)
    assert dying.closed == 1
    judge = Rater()
    found = rated(judge, tmp_path, TEXTS)
    assert len(judge.asked) == 12 - 5
    assert found.scores[0] == AspectScores(2, 1, 2)


def test_a_proxy_gives_no_such_scores(tmp_path):
    with pytest.raises(InputError, match="judge 'embedding' is no language model"):
        asked(EmbeddingJudge(), lambda asker: rate_texts(asker, TEXTS))
