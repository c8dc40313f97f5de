"""Trials: seed and history say what is drawn, hopeless ones stop, and a kill changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pytest

from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import ModelCard
from mtmbench.core.errors import InputError
from mtmbench.core.tuning import Choice, SearchRange
from mtmbench.tuning.space import spread
from mtmbench.tuning.trials import SPARED_TRIALS, SPREAD_TRIALS, Score, TrialRow, Trials

SEARCH = {
    "level": SearchRange(low=0.0, high=6.0),
    "size": SearchRange(low=8, high=64, log=True),
    "kind": ("a", "b", True, 2),
}


def opened(file: Path, seed: int = 0, *, maximise: bool = True) -> Trials:
    return Trials(file, "id", SEARCH, maximise=maximise, seed=seed)


def loss(params: Mapping[str, Choice], seed: int) -> float:
    return (float(params["level"]) - 3.0) ** 2 + 0.01 * seed


def play(trials: Trials, n: int, *, at_once: int = 1, sign: float = -1.0) -> list[TrialRow]:
    """Plays until ``n`` have ended, each under three seeds."""
    while (left := n - len(trials.ended())) > 0:
        drawn = trials.draw(min(left, at_once))
        going = list(drawn)
        for seed in range(3):
            scores = {each: Score(sign * loss(trials.params(each), seed)) for each in going}
            going = [each for each in going if trials.goes_on(each, scores[each])]
        trials.end(drawn, 3)
    return trials.ended()


def test_the_seed_says_what_is_drawn_and_it_lies_in_the_space(tmp_path: Path) -> None:
    first, again, other = (
        play(opened(tmp_path / name, seed), 14) for name, seed in (("1", 0), ("2", 0), ("3", 1))
    )
    assert first == again
    assert first != other
    for row in first:
        assert 0 <= float(row.params["level"]) <= 6
        assert row.params["size"] in range(8, 65)
        assert row.params["kind"] in SEARCH["kind"]  # type: ignore[operator]


def test_the_first_are_spread_over_every_parameter(tmp_path: Path) -> None:
    rows = play(opened(tmp_path / "log"), SPREAD_TRIALS)
    told = [spread(SEARCH, nth, SPREAD_TRIALS, 0) for nth in range(SPREAD_TRIALS)]
    assert [row.params for row in rows] == told
    parts = sorted(int(float(each["level"]) / (6 / SPREAD_TRIALS)) for each in told)
    assert parts == list(range(SPREAD_TRIALS))
    assert Counter(str(each["kind"]) for each in told) == dict.fromkeys(("a", "b", "True", "2"), 2)
    # Each eighth of log 8 to log 64 is a factor of 2^(3/8), met once, but for rounding.
    for nth, size in enumerate(sorted(int(each["size"]) for each in told)):
        assert 8 * 2 ** (3 * nth / 8) - 0.5 <= size <= 8 * 2 ** (3 * (nth + 1) / 8) + 0.5
    steps = {
        "tenths": SearchRange(low=0.1, high=0.5, step=0.1),
        "twos": SearchRange(low=2, high=9, step=2),
    }
    met = [spread(steps, nth, 20, 0) for nth in range(20)]
    assert {round(float(each["tenths"]), 9) for each in met} == {0.1, 0.2, 0.3, 0.4, 0.5}
    assert Counter(each["twos"] for each in met) == dict.fromkeys((2, 4, 6, 8), 5)


def test_steps_stay_within_their_bounds() -> None:
    steps = {"share": SearchRange(low=0.1, high=0.3, step=0.1)}
    assert {spread(steps, nth, 6, 0)["share"] for nth in range(6)} == {0.1, 0.2, 0.3}


def test_what_is_worse_than_the_median_of_complete_ones_stops_after_a_seed(
    tmp_path: Path,
) -> None:
    rows = play(opened(tmp_path / "log"), 16)
    complete = [loss(row.params, 0) for row in rows[:SPARED_TRIALS]]
    assert [row.state for row in rows[:SPARED_TRIALS]] == ["complete"] * SPARED_TRIALS
    states = set()
    for row in rows[SPARED_TRIALS:]:
        own, ordered = loss(row.params, 0), sorted(complete)
        middle = len(ordered) // 2
        median = (ordered[middle] + ordered[~middle]) / 2
        assert row.state == ("pruned" if own > median else "complete")
        assert len(row.values) == (1 if own > median else 3)
        states.add(row.state)
        if row.state == "complete":
            complete.append(own)
    assert states == {"pruned", "complete"}


def test_lower_is_better_where_it_is(tmp_path: Path) -> None:
    up = play(opened(tmp_path / "up"), 12)
    down = play(opened(tmp_path / "down", maximise=False), 12, sign=1.0)
    assert [row.params for row in up] == [row.params for row in down]
    assert [row.state for row in up] == [row.state for row in down]


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_kill_and_a_larger_number_go_on_as_if_nothing_had_been(
    tmp_path: Path, at_once: int
) -> None:
    whole = play(opened(tmp_path / "whole"), 16, at_once=at_once)
    play(opened(tmp_path / "killed"), 8, at_once=at_once)
    killed = opened(tmp_path / "killed")
    # Under way when it is killed: drawn, and one seed in.
    drawn = killed.draw(at_once)
    killed.goes_on(drawn[0], Score(-9.0))
    with (tmp_path / "killed").open("a") as log:
        log.write('{"op_code":')
    assert play(opened(tmp_path / "killed"), 16, at_once=at_once) == whole


def test_no_setting_is_tried_twice_while_there_are_others(tmp_path: Path) -> None:
    choices = {"level": (0.0, 1.0, 2.0, 3.0), "kind": ("a", "b", "c")}
    trials = Trials(tmp_path / "log", "id", choices, maximise=True, seed=0)
    tried = [(row.params["level"], row.params["kind"]) for row in play(trials, 12)]
    assert sorted(tried, key=str) == sorted(product((0.0, 1.0, 2.0, 3.0), "abc"), key=str)
    assert len(play(trials, 13)) == 13


def test_a_failure_is_a_trial_with_its_reason(tmp_path: Path) -> None:
    trials = opened(tmp_path / "log")
    (drawn,) = trials.draw(1)
    assert not trials.goes_on(drawn, Score(None, "it broke", 1.5))
    trials.end([drawn], 3)
    (row,) = opened(tmp_path / "log").ended()
    assert (row.state, row.values, row.reason, row.seconds) == ("failed", (), "it broke", 1.5)


def test_a_file_that_is_no_journal_is_named(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("no journal\n{}\n")
    with pytest.raises(InputError, match="log is no journal of Optuna's"):
        opened(tmp_path / "log")


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"low": 2, "high": 1}, "low is 2 and high 1; low must be below high"),
        ({"low": 0.0, "high": 1.0, "log": True}, "log = true goes with a low above 0"),
        ({"low": 1, "high": 9, "log": True, "step": 2}, "without step"),
        ({"low": 1, "high": 9, "step": 0.5}, "takes a whole step, not 0.5"),
        ([], "at least 1 item"),
        ([[1, 2]], "search.alpha"),
    ],
)
def test_what_no_search_is(search: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_card({"model": "lda", "search": {"alpha": search}}, ModelCard, "card")
