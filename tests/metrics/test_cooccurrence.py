"""Window and document counts against a count window by window, and against gensim's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.metrics.cooccurrence import CountsReference, TextReference, Window, count_topics

Texts = list[list[str]]


def reference_of(texts: Texts) -> TextReference:
    vocabulary = sorted({word for text in texts for word in text})
    sequences = [np.array([vocabulary.index(w) for w in text], dtype=np.int32) for text in texts]
    return TextReference(vocabulary, sequences, "r")


def brute_force(texts: Texts, words: list[str], window: Window) -> tuple[np.ndarray, int]:
    size = max(map(len, texts)) if window == "document" else int(window)
    windows = [
        set(text[start : start + size])
        for text in texts
        if text
        for start in range(max(1, len(text) - size + 1))
    ]
    joint = [[sum(a in seen and b in seen for seen in windows) for b in words] for a in words]
    return np.array(joint), len(windows)


@pytest.mark.parametrize("window", [1, 2, 3, 7, 10, 110, "document"])
@pytest.mark.parametrize("seed", range(4))
def test_exact_counts_every_window_as_a_set(
    random_texts: Callable[..., Texts], window: Window, seed: int
) -> None:
    texts = random_texts(seed)
    words = sorted({word for text in texts for word in text})
    counts = count_topics([words], reference_of(texts), window, "exact")
    joint, n_windows = brute_force(texts, words, window)
    assert counts.n_windows == n_windows
    np.testing.assert_array_equal(counts.joint[0], joint)


@pytest.mark.parametrize("window", [1, 2, 3, 7, 10, 110])
@pytest.mark.parametrize("seed", range(4))
def test_gensim_version_repeats_gensims_bookkeeping(
    random_texts: Callable[..., Texts], window: int, seed: int
) -> None:
    from gensim.corpora import Dictionary
    from gensim.topic_coherence.text_analysis import WordOccurrenceAccumulator

    texts = random_texts(seed, longest=60)
    dictionary = Dictionary(texts)
    words = sorted(dictionary.token2id)
    theirs = WordOccurrenceAccumulator(set(dictionary.token2id.values()), dictionary)
    theirs.accumulate(texts, window)
    counts = count_topics([words], reference_of(texts), window, "gensim")
    assert counts.n_windows == theirs.num_docs
    joint = [[theirs[a, b] if a != b else theirs[a] for b in words] for a in words]
    np.testing.assert_array_equal(counts.joint[0], joint)


@pytest.mark.parametrize("window", [1, 2, 3, 7, "document"])
@pytest.mark.parametrize("seed", range(3))
def test_a_window_holds_an_ngram_that_lies_in_it_whole(
    random_texts: Callable[..., Texts], window: Window, seed: int
) -> None:
    texts = random_texts(seed, n_words=4)
    vocabulary = sorted({word for text in texts for word in text})
    reference = TextReference(
        vocabulary,
        [np.array([vocabulary.index(w) for w in text], dtype=np.int32) for text in texts],
        "r",
        str.split,
    )
    items = ["w0", "w1 w2", "w1 w1", "w2 w0 w1"]
    counts = count_topics([items], reference, window, "exact")
    size = max(map(len, texts)) if window == "document" else window
    windows = [
        text[start : start + size]
        for text in texts
        if text
        for start in range(max(1, len(text) - size + 1))
    ]
    holds = [
        {
            item
            for item in items
            if any(seen[i : i + len(item.split())] == item.split() for i in range(len(seen)))
        }
        for seen in windows
    ]
    known = [item for item in items if reference.find(item) is not None]
    joint = [[sum(a in seen and b in seen for seen in holds) for b in known] for a in known]
    assert counts.n_windows == len(windows)
    np.testing.assert_array_equal(counts.joint[0], joint)


def test_the_two_versions_differ_where_a_copy_stays_in_the_window() -> None:
    # "a" leaves with the first window while its second copy is still inside.
    texts = [["a", "b", "a", "c"]]
    exact = count_topics([["a", "b"]], reference_of(texts), 3, "exact")
    gensim = count_topics([["a", "b"]], reference_of(texts), 3, "gensim")
    assert exact.joint[0].tolist() == [[2, 2], [2, 2]]
    assert gensim.joint[0].tolist() == [[1, 1], [1, 2]]


def test_only_gensim_counts_empty_texts() -> None:
    texts = [["a", "b"], [], ["a"]]
    for window in (1, 10, "document"):
        exact = count_topics([["a", "b"]], reference_of(texts), window, "exact")
        gensim = count_topics([["a", "b"]], reference_of(texts), window, "gensim")
        assert gensim.n_windows == exact.n_windows + 1


def test_items_of_counts_are_counted_over_documents(features_of: Callable[..., object]) -> None:
    rng = np.random.default_rng(3)
    dense = rng.poisson(0.6, (40, 6)) * (rng.random((40, 1)) > 0.2)
    present = dense > 0
    reference = CountsReference(features_of(dense))
    counts = count_topics([["f4", "f0", "f2"], ["f5", "f1"]], reference, "document", "exact")
    for joint, columns in zip(counts.joint, ([4, 0, 2], [5, 1]), strict=True):
        both = [[(present[:, a] & present[:, b]).sum() for b in columns] for a in columns]
        np.testing.assert_array_equal(joint, both)
    assert counts.n_windows == present.any(axis=1).sum()
    assert count_topics([["f0"]], reference, "document", "gensim").n_windows == 40


def test_unknown_and_repeated_items() -> None:
    texts = [["a", "b"], ["b"]]
    counts = count_topics([["a", "x", "b", "a"], ["y"], []], reference_of(texts), 10, "exact")
    assert [len(joint) for joint in counts.joint] == [2, 0, 0]
    assert (counts.n_unknown, counts.n_listed, counts.unknown) == (2, 4, ("x", "y"))
    assert counts.joint[0].tolist() == [[1, 1], [1, 2]]


@pytest.mark.parametrize("window", [0, -3, 2.5, True, "doc"])
def test_a_wrong_window_is_named(window: Window) -> None:
    with pytest.raises(InputError, match=repr(window)):
        count_topics([["a"]], reference_of([["a"]]), window, "exact")


def test_a_wrong_version_is_named() -> None:
    with pytest.raises(InputError, match=r"exact, gensim.*'new'"):
        count_topics([["a"]], reference_of([["a"]]), 10, "new")


def test_counts_have_no_windows(features_of: Callable[..., object]) -> None:
    with pytest.raises(InputError, match="windows of 10"):
        count_topics([["f0"]], CountsReference(features_of([[1]])), 10, "exact")
