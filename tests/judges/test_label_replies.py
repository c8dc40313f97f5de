"""The grammars of replies about labels: what is an answer, and that nothing else is."""

from __future__ import annotations

import pytest

from mtmbench.judges.label_replies import NO_LABEL, parse_active, parse_classes, parse_label


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("LABEL: ice hockey", "ice hockey"),
        ("They share it.\nLABEL:   ice\t hockey  \n\n", "ice hockey"),
        ('LABEL: "ice hockey"', "ice hockey"),
        ("LABEL: “ice hockey”", "ice hockey"),
        ("LABEL: the word “of”", "the word “of”"),
        ('{"label": "ice hockey", "reason": "they share it"}', "ice hockey"),
        ("LABEL: same\nLABEL: same", "same"),
        ("LABEL: (none)", NO_LABEL),
        ("LABEL: " + "x" * 20, "x" * 20),
    ],
)
def test_labels(reply: str, label: str) -> None:
    assert parse_label(reply, 20) == label


@pytest.mark.parametrize(
    "reply",
    [
        "", "ice hockey", "LABEL:", "LABEL:   ", "label: ice", "**LABEL:** ice",
        "LABEL: " + "x" * 21, "LABEL: ice\nThat is all.", "LABEL: ice\nLABEL: fire",
        "LABEL: (dead)", "LABEL: (stop words) a", '{"label": ""}', '{"label": 3}',
        '{"label": "a", "more": 1}', '{"label": "a", "label": "b"}', '{"label": "a"',
        "My LABEL: ice", 'LABEL: ""', "LABEL: ...",
    ],
)  # fmt: skip
def test_what_is_no_label(reply: str) -> None:
    assert parse_label(reply, 20) is None


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        ("ACTIVE: 2, 5", {1, 4}),
        ("ACTIVE: 5,2", {1, 4}),
        ("Well.\nACTIVE: 1", {0}),
        ("ACTIVE: none", set()),
        ('{"active": [6, 1]}', {5, 0}),
        ('{"active": [], "reason": "no"}', set()),
    ],
)
def test_active(reply: str, named: set[int]) -> None:
    assert parse_active(reply, 6) == named


@pytest.mark.parametrize(
    "reply",
    [
        "", "2, 5", "ACTIVE:", "ACTIVE: 0", "ACTIVE: 7", "ACTIVE: 2, 2", "ACTIVE: 2 5",
        "ACTIVE: 2,",
        "ACTIVE: all", "ACTIVE: 1\nACTIVE: 2", "ACTIVE: 1\nI think.", '{"active": "none"}',
        '{"active": [true]}', '{"active": [1.0]}', '{"active": [7]}', "ACTIVE: " + "9" * 6000,
        "ACTIVE: none, 2",
    ],
)  # fmt: skip
def test_what_names_nothing(reply: str) -> None:
    assert parse_active(reply, 6) is None


def test_classes() -> None:
    assert parse_classes("1: none\n2: stop words", 2) == ["none", "stop words"]
    assert parse_classes("These are:\n\n 1:grammar\n2: numbers \n", 2) == ["grammar", "numbers"]


@pytest.mark.parametrize(
    "reply",
    [
        "", "1: none", "1: none\n2: none\n3: none", "2: none\n1: none", "1: none\n2: sports",
        "1: none\n2: Grammar", "1: none\n2: none\nDone.", "1: none\n1: none", "1. none\n2. none",
    ],
)  # fmt: skip
def test_what_is_no_list_of_classes(reply: str) -> None:
    assert parse_classes(reply, 2) is None
