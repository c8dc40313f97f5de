from __future__ import annotations

from collections import Counter

import pytest

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash
from mtmbench.core.types import Corpus
from mtmbench.matches.schedule import draw_documents, sample_documents, summary_halves


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


def test_halves_are_those_of_the_stated_hash_and_copies_stay_together() -> None:
    texts = ("a", "b", "a", "c", "d", "e", "e", "f")
    ids = tuple(f"id{i}" for i in range(8))
    # By hand: the six distinct texts by the hash of the first id that has each.
    ranked = sorted(
        {"a": "id0", "b": "id1", "c": "id3", "d": "id4", "e": "id5", "f": "id7"}.items(),
        key=lambda pair: content_hash("summary half", pair[1]),
    )
    chosen = {text for text, _ in ranked[:3]}
    sources, judged = summary_halves(Corpus("c", ids, texts))
    assert sources == [row for row in range(8) if texts[row] in chosen]
    assert judged == [row for row in range(8) if texts[row] not in chosen]


@pytest.mark.parametrize("n", [1, 2, 7, 200])
def test_halves_are_equal_and_of_ids_alone(n: int) -> None:
    sources, judged = summary_halves(_corpus(n))
    assert sorted(sources + judged) == list(range(n))
    assert len(sources) == n // 2
    assert summary_halves(_corpus(n, "other")) == (sources, judged)


def test_a_sample_among_some_rows_is_the_whole_sample_without_the_others() -> None:
    corpus = _corpus(60)
    some = range(0, 60, 2)
    whole = [row for row in draw_documents(corpus, 60, 3) if row in some]
    assert draw_documents(corpus, 99, 3, some) == whole
    assert draw_documents(corpus, 7, 3, some) == whole[:7]
    assert sample_documents(corpus, 7, 3, some) == sorted(whole[:7])


def test_no_documents_is_an_error() -> None:
    with pytest.raises(InputError, match="at least 1, not 0"):
        sample_documents(_corpus(5), 0, seed=0)
