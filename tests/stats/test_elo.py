"""Sequential Elo against evalica's golden values and a hand-played game."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from mtmbench.stats.elo import SEQUENTIAL_K, sequential_elo


@pytest.mark.parametrize("case", ["simple", "food"])
def test_evalica_elo(shared_data: Path, case: str) -> None:
    with (shared_data / "battles" / f"evalica_{case}.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = sorted({row["left"] for row in rows} | {row["right"] for row in rows})
    points = {"left": 1.0, "tie": 0.5, "right": 0.0}
    rating = sequential_elo(
        len(names),
        [(names.index(r["left"]), names.index(r["right"]), points[r["winner"]]) for r in rows],
        k=4.0,
        initial=1000.0,
    )
    with (shared_data / "battles" / f"evalica_{case}-golden.csv").open() as file:
        golden = {
            row["item"]: float(row["score"])
            for row in csv.DictReader(file)
            if row["algorithm"] == "elo"
        }
    assert dict(zip(names, rating, strict=True)) == pytest.approx(golden, abs=1e-9)


def test_one_game_by_hand() -> None:
    rating = sequential_elo(3, [(0, 1, 1.0), (1, 2, 0.5)])
    after_first = 1500 - SEQUENTIAL_K / 2
    gain = SEQUENTIAL_K * (0.5 - 1 / (1 + 10 ** ((1500 - after_first) / 400)))
    assert rating == pytest.approx([1500 + SEQUENTIAL_K / 2, after_first + gain, 1500 - gain])
