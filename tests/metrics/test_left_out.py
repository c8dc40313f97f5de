"""What a value leaves out, as it is recorded and as it is told."""

from __future__ import annotations

from mtmbench.metrics.left_out import (
    LeftOut,
    improbable_items,
    topics_without_value,
    unknown_items,
)


def test_counts_of_seeds_are_added_up_and_words_named_once() -> None:
    first = {**unknown_items(2, 20, ["the", "of"]), **topics_without_value(1, 4)}
    second = {**unknown_items(25, 20, ["of", *"abcdef"]), **topics_without_value(0, 4)}
    left = LeftOut.of([first, second])
    assert (left.items, left.of_items, left.topics, left.of_topics) == (27, 40, 1, 8)
    assert (
        left.text() == "27 of 40 words unknown (the, of, a, b, c, …); 1 of 8 topics without value"
    )
    # Both topics list the one word.
    assert LeftOut.of([unknown_items(2, 20, ["the"])]).text() == "2 of 20 words unknown (the)"
    assert LeftOut.of([unknown_items(5, 20, "abcde")]).text() == (
        "5 of 20 words unknown (a, b, c, d, e)"
    )
    assert LeftOut.of([unknown_items(9, 20, "abcdef")]).text() == (
        "9 of 20 words unknown (a, b, c, d, e, …)"
    )


def test_where_nothing_is_left_out_there_is_nothing_to_tell() -> None:
    none = {**unknown_items(0, 20, []), **topics_without_value(0, 4)}
    assert (LeftOut.of([none]).items, LeftOut.of([none]).topics) == (0, 0)
    assert LeftOut.of([none]).text() is None
    kept = LeftOut.of([none, {**none, "reference_keeps": "stop words kept"}])
    assert kept.text() == "counted with stop words kept"


def test_what_records_do_not_say_is_not_told() -> None:
    # As records of the first releases are.
    old = {"n_out_of_vocabulary": 3, "n_topics_without_value": 1}
    for details in ([old], [], [{}], [old, unknown_items(1, 10, ["a"])]):
        left = LeftOut.of(details)
        assert (left.items, left.topics, left.text()) == (None, None, None)


def test_occurrences_without_probability_are_told_where_there_are_any() -> None:
    seeds = [improbable_items(19, 1483), improbable_items(0, 1000)]
    assert LeftOut.of(seeds).text() == "19 of 2,483 held-out occurrences without probability"
    assert LeftOut.of(seeds[1:]).text() is None
