from __future__ import annotations

from collections import Counter

import pytest

from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus
from mtmbench.matches.schedule import sample_documents


def _corpus(n: int, word: str = "text") -> Corpus:
    return Corpus("c", tuple(map(str, range(n))), tuple(f"{word} {i}" for i in range(n)))


def test_sample_is_sorted_distinct_and_repeatable() -> None:
    corpus = _corpus(200)
    rows = sample_documents(corpus, 50, seed=3)
    assert rows == sorted(set(rows))
    assert len(rows) == 50
    assert rows == sample_documents(_corpus(200), 50, seed=3)
    assert rows != sample_documents(corpus, 50, seed=4)
    assert rows != sample_documents(_corpus(200, "other"), 50, seed=3)


@pytest.mark.parametrize("n", [5, 6, 100])
def test_all_documents_when_there_are_no_more(n: int) -> None:
    assert sample_documents(_corpus(5), n, seed=0) == [0, 1, 2, 3, 4]


def test_samples_are_nested() -> None:
    corpus = _corpus(300)
    assert set(sample_documents(corpus, 30, 1)) < set(sample_documents(corpus, 100, 1))


def test_every_row_is_equally_likely() -> None:
    drawn = Counter(row for seed in range(2000) for row in sample_documents(_corpus(10), 3, seed))
    # 600 expected each; six binomial standard deviations are 123.
    assert sum(drawn.values()) == 6000
    assert all(abs(drawn[row] - 600) < 123 for row in range(10))


def test_no_documents_is_an_error() -> None:
    with pytest.raises(InputError, match="at least 1, not 0"):
        sample_documents(_corpus(5), 0, seed=0)
