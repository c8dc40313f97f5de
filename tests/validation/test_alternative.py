"""The alternative-annotator test against a plain version, scipy, and ProxAnn's published tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import false_discovery_control, ttest_1samp

from mtmbench.core.errors import InputError
from mtmbench.core.files import read_json_lines
from mtmbench.validation.alternative import (
    PENALTY,
    Duel,
    alternative_test,
    benjamini_yekutieli,
    duel,
)
from mtmbench.validation.proxann import read_proxann
from mtmbench.validation.published import published_rows
from mtmbench.validation.stored import OUTPUTS_FILE


def _random(seed: int, respondents: int = 4, n: int = 7) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    judge = generator.integers(1, 6, size=n).astype(float)
    return judge, generator.integers(1, 6, size=(respondents, n)).astype(float)


def test_duels_by_brute_force() -> None:
    for seed in range(10):
        judge, people = _random(seed)
        documents, topic = duel(judge, people), duel(judge, people, "topic")
        for i in range(4):
            others = [people[r] for r in range(4) if r != i]

            def near(score: float, d: int, others: list[np.ndarray] = others) -> float:
                return -float(np.sqrt(sum((score - o[d]) ** 2 for o in others) / 3))

            for d in range(7):
                ours, theirs = near(judge[d], d), near(people[i][d], d)
                assert documents.judge[i, d] == (ours >= theirs)
                assert documents.person[i, d] == (theirs >= ours)
            ours, theirs = (
                -np.mean([np.sqrt(np.mean((scores - o) ** 2)) for o in others])
                for scores in (judge, people[i])
            )
            assert topic.judge[i, 0] == (ours >= theirs)
            assert topic.person[i, 0] == (theirs >= ours)


def test_where_everyone_takes_part_the_advantage_is_the_plain_mean() -> None:
    duels = [duel(*_random(seed)) for seed in range(6)]
    found = alternative_test(duels, [""] * 6)
    assert found.advantage.value == pytest.approx(np.mean([one.judge for one in duels]))
    by_model = alternative_test(duels, ["a", "b", "a", "b", "a", "b"])
    assert by_model.advantage.value == pytest.approx(found.advantage.value)


def test_the_winning_rate_by_a_plain_version() -> None:
    # Two respondents a topic, so that a construction is one of 2^T; all of them by hand.
    duels = [duel(*_random(seed, respondents=2)) for seed in range(3)]
    rates = []
    for code in range(8):
        p_values = []
        for who in range(2):
            rows = [(code >> t & 1) ^ who for t in range(3)]
            gaps = np.concatenate(
                [one.person[r] - one.judge[r] for one, r in zip(duels, rows, strict=True)]
            )
            p_values.append(ttest_1samp(gaps, PENALTY, alternative="less").pvalue)
        rates.append(np.mean(false_discovery_control(p_values, method="by") <= 0.05))
    found = alternative_test(duels, [""] * 3, constructions=4000, resamples=2)
    assert found.winning_rate.value == pytest.approx(np.mean(rates), abs=0.03)
    assert 0 < np.mean(rates) < 1


def test_a_judge_that_always_or_never_wins() -> None:
    ones, zeros = np.ones((3, 5)), np.zeros((3, 5))
    assert alternative_test([Duel(ones, zeros)] * 4, [""] * 4).winning_rate.value == 1
    assert alternative_test([Duel(zeros, ones)] * 4, [""] * 4).winning_rate.value == 0


def test_only_as_many_pseudo_annotators_as_the_smallest_topic_has() -> None:
    one = Duel(np.ones((2, 1)), np.zeros((2, 1)))
    other = Duel(np.array([[1.0], [0.0], [0.0], [0.0]]), np.ones((4, 1)))
    found = alternative_test([one, other], ["", ""], constructions=4000, resamples=2)
    # A quarter of the second topic's respondents lose, on average, whoever is drawn.
    assert found.advantage.value == pytest.approx((1 + 0.25) / 2, abs=0.01)


def test_false_discoveries_are_scipys() -> None:
    generator = np.random.default_rng(3)
    p_values = generator.random((50, 6)) ** 4
    ours = benjamini_yekutieli(p_values)
    for row, found in zip(p_values, ours, strict=True):
        assert found.tolist() == (false_discovery_control(row, method="by") <= 0.05).tolist()
    assert ours.any()
    assert not ours.all()


def test_one_respondent_is_too_few() -> None:
    with pytest.raises(InputError, match="needs two respondents, not 1"):
        duel(np.ones(3), np.ones((1, 3)))


def test_the_published_advantages_come_out(shared_data: Path) -> None:
    topics = read_proxann(shared_data)
    answers: dict[tuple[str, str, str], list[list[float]]] = {}
    for output in read_json_lines(shared_data / "human_proxann2025" / OUTPUTS_FILE):
        for item in output["content"]:
            for task in ("fit", "rank"):
                if f"{task}_data" in item:
                    key = output["model"], task, item["id"]
                    answers.setdefault(key, []).append(item[f"{task}_data"][0])
    compared = 0
    for row in published_rows():
        statistic, _, where = row.statistic.partition(", ")
        if statistic != "advantage":
            continue
        judge = row.judge.partition(", ")[0]
        duels = [
            duel(
                np.mean(answers[judge, row.task, topic.id], axis=0),
                topic.fits if row.task == "fit" else topic.ranks,
                "document" if where.startswith("documents") else "topic",
            )
            for topic in topics
        ]
        groups = [topic.model if where.endswith("model") else "" for topic in topics]
        found = alternative_test(duels, groups, resamples=2).advantage
        # Rounded to two decimals, of ten random constructions.
        assert found.value == pytest.approx(row.value, abs=0.011), row
        compared += 1
    assert compared == 6 * 8
