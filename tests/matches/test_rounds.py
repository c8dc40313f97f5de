"""The order of matches: whoever stops halfway has compared everybody."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import pytest

from mtmbench.matches.schedule import in_rounds


def cells(n: int, leagues: int) -> list[Any]:
    return [
        SimpleNamespace(
            league=(f"league {league}",),
            a=SimpleNamespace(key=f"{league}.{i}"), b=SimpleNamespace(key=f"{league}.{j}"),
        )
        for league in range(leagues)
        for i, j in combinations(range(n), 2)
    ]  # fmt: skip


@pytest.mark.parametrize("n", range(2, 10))
@pytest.mark.parametrize("leagues", [1, 3])
def test_at_any_time_all_have_played_about_as_often(n: int, leagues: int) -> None:
    given = cells(n, leagues)
    ordered = in_rounds(given)
    assert sorted(map(id, ordered)) == sorted(map(id, given))
    played = Counter({side.key: 0 for cell in given for side in (cell.a, cell.b)})
    for cell in ordered:
        played.update([cell.a.key, cell.b.key])
        # A round apart, and one more where an odd number sits one out.
        assert max(played.values()) - min(played.values()) <= 1 + n % 2


def test_the_order_given_does_not_matter_for_who_meets_first() -> None:
    given = cells(6, 1)
    shuffled = random.Random(0).sample(given, len(given))
    first = [{cell.a.key, cell.b.key} for cell in in_rounds(shuffled)[:3]]
    assert len(set().union(*first)) == 6
