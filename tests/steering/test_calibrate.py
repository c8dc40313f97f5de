"""The search for λ: where the change is known by hand, and in the texts of a small model."""

from __future__ import annotations

from statistics import fmean

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.steering.calibrate import ROUNDS, TOLERANCE, Search, Trial, calibrate
from mtmbench.steering.generate import Job, Sampling, generate
from mtmbench.steering.hook import Push
from mtmbench.steering.language_model import CausalLM
from mtmbench.steering.vector import Origin, SteeringVector, topic_vector


def vector(scale=1.0):
    return SteeringVector(np.eye(4, dtype=np.float32)[0], Origin("toy", "0", "here"), scale)


def measured(change):
    """Measures by a function of the level, and counts the pushes of each round."""
    rounds = []

    def measure(pushes):
        rounds.append(len(pushes))
        return [change(push.strength * push.vector.scale) for push in pushes]

    return measure, rounds


def test_where_the_slope_is_one_the_second_trial_is_right():
    measure, rounds = measured(lambda level: abs(level - 3))
    (found,) = calibrate([Search(vector(), 12.0, 3.0, 20.0)], measure)
    assert found.trials == (Trial(12.0, 9.0), Trial(23.0, 20.0))
    assert rounds == [1, 1]


def test_the_secant_finds_another_slope():
    measure, _ = measured(lambda level: 1.6 * level + 2)
    (found,) = calibrate([Search(vector(), 1.0, -1.25, 50.0)], measure)
    assert [trial.strength for trial in found.trials] == pytest.approx([1.0, 47.4, 30.0])
    assert found.best.change == pytest.approx(50.0)


def test_a_search_keeps_to_its_side_and_to_its_scale():
    measure, _ = measured(lambda level: abs(level - 3))
    below, scaled = calibrate(
        [Search(vector(), -5.0, 3.0, 20.0), Search(vector(2.0), 5.0, 3.0, 20.0)], measure
    )
    assert below.best.strength == pytest.approx(-17.0)
    assert scaled.best.strength == pytest.approx(11.5)


def test_a_change_below_the_least_ends_where_it_is_least():
    # No λ changes by less than 4, and beyond 3 the text would go the other way.
    measure, rounds = measured(lambda level: 4 + abs(level - 3))
    (found,) = calibrate([Search(vector(), 5.0, 3.0, 1.0)], measure)
    assert found.best == Trial(3.0, 4.0)
    assert len(rounds) == 2


def test_searches_end_on_their_own_and_all_after_four_rounds():
    noise = iter([30.0, 10.0, 30.0, 10.0])
    calls = []

    def measure(pushes):
        calls.append(len(pushes))
        return [20.0 if push.vector.scale == 2 else next(noise) for push in pushes]

    first, second = calibrate(
        [Search(vector(2.0), 1.0, 0.0, 20.0), Search(vector(), 1.0, 0.0, 20.0)], measure
    )
    assert len(first.trials) == 1
    assert calls == [2, *[1] * (len(second.trials) - 1)]
    assert len(second.trials) <= ROUNDS
    assert second.best.change == 30.0
    assert calibrate([], measure) == []


def test_a_change_is_above_zero():
    with pytest.raises(InputError, match=r"must be above 0, not 0\.0"):
        calibrate([Search(vector(), 1.0, 0.0, 0.0)], measured(abs)[0])


def test_texts_of_two_directions_change_by_as_much(backbone, result, sae):
    """In generated text, for a direction whose λ starts at a third of what it has to be.

    With 20 prompts the mean of their texts is rougher than what a search looks for.
    """
    lm = CausalLM(backbone)
    prompts = [f"w{i} w{i + 1}" for i in range(0, 160, 2)]

    def measure(pushes):
        jobs = [Job(prompt, pushes=(push,)) for push in pushes for prompt in prompts]
        texts = generate(lm, jobs, Sampling(max_tokens=10))
        n = len(prompts)
        return [fmean(t.mean_change for t in texts[i : i + n]) for i in range(0, len(texts), n)]

    one, other = (topic_vector(result, topic, sae) for topic in (1, 2))
    (target,) = measure([Push(one, 9.0)])
    (found,) = calibrate([Search(other, 3.0, 0.0, target)], measure)
    (again,) = measure([Push(other, found.best.strength)])
    assert again == pytest.approx(target, rel=TOLERANCE)
