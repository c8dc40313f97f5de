"""The grammars of replies: what each takes for an answer, and that nothing else is one."""

from __future__ import annotations

import time

import pytest

from mtmbench.features.labels import NO_LABEL
from mtmbench.judges.replies import (
    parse_active,
    parse_axbench_rating,
    parse_classes,
    parse_hoyle_intruder,
    parse_intruder,
    parse_label,
    parse_level,
    parse_match,
    parse_odd,
    parse_ranking,
    parse_rating,
    parse_summary,
    parse_topic_label,
    parse_verdict,
    verdict_line,
)


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ('{"verdict": "A"}', "A"),
        ('  {"verdict":"B"}\n', "B"),
        ('{"verdict": "tie"}', "tie"),
        ('{"reason": "It names the subject.", "verdict": "A"}', "A"),
        ('{\n  "verdict": "B",\n  "reason": "ice hockey"\n}', "B"),
        ('{"verdict": "\\u0041"}', "A"),
        ("VERDICT: A", "A"),
        ("VERDICT:B", "B"),
        ("VERDICT:\ttie", "tie"),
        ("A is about hockey, and B is not.\n\nVERDICT: A\n\n", "A"),
        ("The verdict is clear.\r\nVERDICT: B\r\n", "B"),
        ("VERDICT: A\nOn reflection I stay with it.\nVERDICT: A", "A"),
        # Any case.
        ("verdict: a", "A"),
        ("Verdict: Tie", "tie"),
        ("VERDICT: TIE\nVERDICT: tie", "tie"),
        ('{"Verdict": "b"}', "B"),
        # Marks of Markdown, and other ends.
        ("**VERDICT: A**", "A"),
        ("**VERDICT:** A", "A"),
        ("**VERDICT**: **B**", "B"),
        ("### VERDICT: *tie*", "tie"),
        ("- VERDICT: `A`", "A"),
        ("> __VERDICT: B__", "B"),
        ("VERDICT: A.", "A"),
        ("**VERDICT: A.**", "A"),
        ("**VERDICT: A**.", "A"),
        ("VERDICT: [A]", "A"),
        ('VERDICT: "B"', "B"),
        ("VERDICT：A", "A"),
        ("VERDICT: A\u200b", "A"),
        ("VERDICT: A<|im_end|>", "A"),
        ("VERDICT: B</s>\n", "B"),
        # JSON in a fence, after other text, with more keys.
        ('```json\n{"verdict": "A"}\n```', "A"),
        ('```\n{"verdict": "A"}\n```', "A"),
        ('```json\n{"verdict": "A"}', "A"),
        ('Both are near.\n\n```JSON\n{\n  "verdict": "tie"\n}\n```', "tie"),
        ('Both are near.\n{"verdict": "A"}', "A"),
        ('{"verdict": "A", "confidence": 0.9}', "A"),
        ('{"scores": {"A": 2, "B": 1}, "verdict": "A", "reason": 3}', "A"),
        ('{"a": 1}\n{"verdict": "A"}', "A"),
        # Reasoning says nothing.
        ("<think>Maybe VERDICT: B</think>\nVERDICT: A", "A"),
        ('<think>{"verdict": "B"}</think>{"verdict": "A"}', "A"),
        ("<Thinking>\nVERDICT: B\n</Thinking>\n\n**VERDICT: A**", "A"),
        ("Maybe VERDICT: B, or not.\n</think>\nVERDICT: A", "A"),
        ("<think>a <think>VERDICT: B</think> b</think>VERDICT: A", "A"),
        # What is no other verdict.
        ("My verdict: a better set of topics is B's.\nVERDICT: B", "B"),
        ("verdict: a better set\nVERDICT: B", "B"),
        ("verdict: a - good\nVERDICT: B", "B"),
        ("The verdict is a close one.\nVERDICT: B", "B"),
        ("The verdict is the set that names hockey.\nVERDICT: B", "B"),
        ("The verdict is not A.\nVERDICT: B", "B"),
        ("My verdict:\nB names hockey, which A does too.\nVERDICT: A", "A"),
        ("Now for the verdict. B names hockey.\nVERDICT: A", "A"),
        ("A verdict - B names hockey, A the rink.\nVERDICT: A", "A"),
        ("Verdict: both are near.\nVERDICT: A", "A"),
        ("Their verdicts: B, B, A.\nVERDICT: A", "A"),
        ("The verdict is: A\nVERDICT: A", "A"),
        ("## Verdict\n\n**A**\n\nVERDICT: A", "A"),
        ("\\boxed{A} it is; the verdict is thus set A.\nVERDICT: A", "A"),
    ],
)
def test_what_is_a_verdict(reply: str, verdict: str) -> None:
    assert parse_verdict(reply) == verdict


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "   \n",
        "A",
        "tie",
        "The answer is A.",
        "VERDICT: C",
        "VERDICT: a better one",
        "VERDICT: TIED",
        "Verdict - A",
        "VERDICT: A..",
        "VERDICT: A!",
        "VERDICT: [A",
        "VERDICT: [A or B]",
        "[[A]]",
        "VERDICT: A B",
        "VERDICT: A or B",
        "VERDICT:\nA",
        "**My VERDICT: A**",
        "**VERDICT: A or B**",
        "My VERDICT: A",
        "VERDICT: A\nI hope this helps.",
        "VERDICT: A<|im_end|>\nuser",
        '{"verdict": "A or B"}',
        '{"verdict": null}',
        '{"verdict": ["A"]}',
        '{"answer": {"verdict": "A"}}',
        '{"verdict": {"A": 1}}',
        '{"verdict": "A"',
        '{"verdict": "A"} {"verdict": "A"}',
        '["A"]',
        '"A"',
        "{}",
        '```json\n{"verdict": "A"}\n```\nI hope this helps.',
        '```python\n{"verdict": "A"}\n```',
        '{"verdict": "A"}\n\nExplanation: because.',
        "<think>VERDICT: A</think>",
        "<think>It is near.\nVERDICT: A",
        "VERDICT: A\n<think>But what if",
        "<think>a</think>VERDICT: B</think>VERDICT: A",
        'Here it is: {"verdict": "A"}',
        "{" * 5000,
        '{"a":' * 100_000,
    ],
)
def test_what_is_no_verdict(reply: str) -> None:
    assert parse_verdict(reply) == "unparsed"


@pytest.mark.parametrize(
    "reply",
    [
        "VERDICT: B\nNo, wait.\nVERDICT: A",
        "At first my verdict: B.\nVERDICT: A",
        "VERDICT: tie\nVERDICT: B",
        '{"verdict": "A"}\nVERDICT: B',
        'I would say {"verdict": "B"}.\nVERDICT: A',
        '{"verdict": "A", "verdict": "B"}',
        '{"verdict": "A", "verdict": "A"}',
        '{"verdict": "A", "reason": "VERDICT: B"}',
        '{"verdict": "A", "Verdict": "B"}',
        "VERDICT: TIE\nVERDICT: A",
        "verdict: b\nVERDICT: A",
        "My verdict: b.\nVERDICT: A",
        "**VERDICT: B**\nNo.\nVERDICT: A",
        "**VERDICT:** B, at first.\nVERDICT: A",
        'At first "Verdict": "tie".\nVERDICT: A',
        "VERDICT: B\n<think>No.</think>\nVERDICT: A",
        '```json\n{"verdict": "A"}\n```\nVERDICT: B',
        'VERDICT: B\n```json\n{"verdict": "A"}\n```',
        "VERDICT: [B]\nVERDICT: A",
        "verdict: b is better overall.\n\nVERDICT: A",
        "verdict: b\twins\nVERDICT: A",
        "The verdict is: B\nVERDICT: A",
        "The verdict is a tie.\nVERDICT: A",
        "My verdict was option B, at first.\nVERDICT: A",
        "The verdict goes to B.\nVERDICT: A",
        "VERDICT is B\nVERDICT: A",
        "VERDICT = B\nVERDICT: A",
        "VERDICT B\nVERDICT: A",
        "VERDICT - b\nVERDICT: A",
        "| VERDICT | B |\nVERDICT: A",
        "<verdict>B</verdict>\nVERDICT: A",
        "VERDICT 1: B\nVERDICT: A",
        "Verdict (at first): B\nVERDICT: A",
        "VERDICT: Set B\nVERDICT: A",
        "VERDICT: option B\nVERDICT: A",
        "VERDICT: the model B\nVERDICT: A",
        "VERDICT: \\boxed{B}\nVERDICT: A",
        "VERDICT: $\\boxed{\\text{B}}$\nVERDICT: A",
        "VERDICT: <B>\nVERDICT: A",
        "VERDICT: [**B**]\nVERDICT: A",
        "VERDICT: [[B]]\nVERDICT: A",
        "VERDICT: __B__ at first\nVERDICT: A",
        "VERDICT:\nB\n\nVERDICT: A",
        "VERDICT:\rset B\rVERDICT: A",
        "## Verdict\n\n**B**\n\nVERDICT: A",
        "VERDICT: draw\nVERDICT: A",
        "VERDICT: neither\nVERDICT: A",
        "VERDICT: C\nVERDICT: A",
        "ＶＥＲＤＩＣＴ： Ｂ\nVERDICT: A",
        "{'verdict': 'B'}\nVERDICT: A",
        'First {"verdict": "Set B"}.\nVERDICT: A',
        'First {"verdict": "\\u0042"}.\nVERDICT: A',
        '{"verdict": "B"}\n{"verdict": "A"}',
    ],
)
def test_contradictory_verdicts_are_unparsed(reply: str) -> None:
    assert parse_verdict(reply) == "unparsed"


@pytest.mark.parametrize(
    "reply",
    [
        '{"rating": 1}\n{"rating": 3}',
        'First draft:\n{"rating": 1}\nOn reflection:\n{"rating": 3}',
        '```json\n{"rating": 1}\n```\nOn reflection:\n```json\n{"rating": 3}\n```',
        '{"rating": 1}\nRATING: 3',
        'RATING: 1\n{"rating": 3}',
        'I would say {"rating": 1}.\nRATING: 3',
        'At first {"rating": 3, "rating": 1}.\nRATING: 3',
        '{"rating": true}\nRATING: 1',
        "Rating: 1\nRATING: 2",
        "RATING: 1 (poor)\nRATING: 2",
        "RATING: 2.5\nRATING: 2",
        "**Rating:** [1]\nRATING: 2",
    ],
)
def test_contradictory_ratings_are_unparsed(reply: str) -> None:
    assert parse_rating(reply) is None


@pytest.mark.parametrize(
    ("reply", "rating"),
    [
        ('RATING: 3\n{"rating": 3}', 3),
        ('{"rating": 3}\nRATING: 3', 3),
        ('{"rating": 3}\n{"rating": 3}', 3),
        ("Rating: 3, I think.\nRATING: 3", 3),
        ("Ratings: 1 to 3 are allowed.\nRATING: 3", 3),
        ('{"ratings": 1, "of": {"rating": 1}}\nRATING: 3', 3),
    ],
)
def test_what_agrees_or_is_no_rating_leaves_one_readable(reply: str, rating: int) -> None:
    assert parse_rating(reply) == rating


def test_no_grammar_reads_one_of_two_answers() -> None:
    assert parse_intruder('{"intruder": 1}\n{"intruder": 2}', 6) is None
    assert parse_intruder("Intruder: 1\nINTRUDER: 2", 6) is None
    assert parse_odd('{"odd": [1]}\n{"odd": [2]}', 6) is None
    assert parse_odd("Odd: none\nODD: 2", 6) is None
    assert parse_active('{"active": [1, 2]}\n{"active": [3]}', 6) is None
    assert parse_active("Active: 1, 2 and more\nACTIVE: 3", 6) is None
    assert parse_active('ACTIVE: 1, 2\n{"active": [1, 2]}', 6) == {0, 1}
    assert parse_label('{"label": "cats"}\n{"label": "dogs"}', 50) is None
    assert parse_label("Label: cats\nLABEL: dogs", 50) is None
    assert parse_label('LABEL: "cats"\n{"label": "cats"}', 50) == "cats"
    assert parse_summary('{"summary": "x"}\n{"summary": "y"}', 50) is None
    assert parse_topic_label('{"label": "x"}\nLABEL: y', 50) is None
    assert parse_match('{"match": "no"}\n{"match": "yes"}') == "unparsed"
    assert parse_match("MATCH: no, because\nMATCH: yes") == "unparsed"
    assert parse_match('MATCH: yes\n{"match": "Yes"}') == "yes"
    assert parse_level("Fit: 1\nFIT: 3", "FIT", 5) is None
    assert parse_level("FIT: 3.0\nFIT: 3", "FIT", 5) == 3
    assert parse_axbench_rating("Rating: " + "1" * 5000 + "\nRATING: 2") is None


def test_verdict_lines_parse_back() -> None:
    for verdict in ("A", "B", "tie"):
        assert parse_verdict(verdict_line(verdict)) == verdict


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
        ("**LABEL:** ice", "ice"),
        ("**LABEL: ice hockey**", "ice hockey"),
        ("LABEL: *ice*", "ice"),
        ("LABEL: snake_case_", "snake_case_"),
        ("<think>LABEL: fire</think>LABEL: ice", "ice"),
        ('{"label": "a", "more": 1}', "a"),
        ('```json\n{"label": "ice"}\n```', "ice"),
    ],
)
def test_labels(reply: str, label: str) -> None:
    assert parse_label(reply, 20) == label


@pytest.mark.parametrize(
    "reply",
    [
        "", "ice hockey", "LABEL:", "LABEL:   ", "label: ice", "**My LABEL:** ice",
        "LABEL: " + "x" * 21, "LABEL: ice\nThat is all.", "LABEL: ice\nLABEL: fire",
        "LABEL: (dead)", "LABEL: (stop words) a", '{"label": ""}', '{"label": 3}',
        '{"more": {"label": "a"}}', '{"label": "a", "label": "b"}', '{"label": "a"',
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RATING: 2", 2),
        ("They share a subject.\n\n RATING:3 ", 3),
        ('{"rating": 1, "reason": "RATING: 3"}', 1),
        ("RATING: 4", None),
        ("RATING: 0", None),
        ("RATING: 2.5", None),
        ("RATING: 2 or 3", None),
        ("RATING: 2\nRATING: 3", None),
        ("RATING: 3\nI hope this helps.", None),
        ('{"rating": true}', None),
        ('{"rating": "2"}', None),
        ('{"rating": 2, "rating": 3}', None),
        ("2", None),
        ("rating: 2", None),
        ("", None),
    ],
)
def test_rating(text: str, expected: int | None) -> None:
    assert parse_rating(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("INTRUDER: 6", 5),
        ("It is the fourth.\nINTRUDER: 1", 0),
        ('{"intruder": 2}', 1),
        ("INTRUDER: 7", None),
        ("INTRUDER: 0", None),
        ("INTRUDER: soup", None),
        ("INTRUDER: 2\nINTRUDER: 3", None),
    ],
)
def test_intruder(text: str, expected: int | None) -> None:
    assert parse_intruder(text, 6) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ODD: none", ()),
        ("ODD: 9, 4", (3, 8)),
        ("ODD: 4", (3,)),
        ('{"odd": [2]}', (1,)),
        ('{"odd": []}', ()),
        ("ODD: 1, 2, 3", None),
        ("ODD: 2, 2", None),
        ("ODD: 11", None),
        ("ODD: 0", None),
        ("ODD:", None),
        ("ODD: soup", None),
        ("ODD: none\nODD: 1", None),
        ('{"odd": [true]}', None),
    ],
)
def test_odd(text: str, expected: tuple[int, ...] | None) -> None:
    assert parse_odd(text, 10) == expected


def test_as_many_odd_items_as_a_suite_allows() -> None:
    assert parse_odd("ODD: 5, 1, 3", 12, 3) == (0, 2, 4)
    assert parse_odd("ODD: 5, 1", 12, 1) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SUMMARY: Texts  about cooking.", "Texts about cooking."),
        ('Well.\nSUMMARY: "Texts about cooking."', "Texts about cooking."),
        ('{"summary": "Cooking,\\nat home."}', "Cooking, at home."),
        ("SUMMARY: one\nSUMMARY: two", None),
        ("SUMMARY: " + "x" * 41, None),
        ("SUMMARY: (none)", None),
        ("SUMMARY: ...", None),
        ("SUMMARY:", None),
        ("Texts about cooking.", None),
    ],
)
def test_summary_and_label(text: str, expected: str | None) -> None:
    assert parse_summary(text, 40) == expected
    label = text.replace("SUMMARY", "LABEL").replace("summary", "label")
    assert parse_topic_label(label, 40) == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("MATCH: yes", "yes"),
        ("It is about tax.\n\nMATCH: no\n", "no"),
        ('{"match": "unsure", "reason": "too short"}', "unsure"),
        ("MATCH: yes\nMATCH: no", "unparsed"),
        ("MATCH: yes\nthat is all", "unparsed"),
        ("match: yes", "yes"),
        ("**MATCH: Yes.**", "yes"),
        ("match: yesterday", "unparsed"),
        ("yes", "unparsed"),
        ('{"match": "maybe"}', "unparsed"),
        ('{"match": ["yes"]}', "unparsed"),
        ('{"match": "yes", "label": "x"}', "yes"),
        ('{"match": "yes", "Match": "no"}', "unparsed"),
        ("{", "unparsed"),
        ("", "unparsed"),
    ],
)
def test_does_a_label_match(reply: str, expected: str) -> None:
    assert parse_match(reply) == expected


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("FIT: 4", 4.0),
        ("Taxes.\n\nFIT: 2.25\n", 2.25),
        ("FIT: 3 as I said.\nFIT: 3", 3.0),
        ("FIT: 6", None),
        ("FIT: 0", None),
        ("FIT: 0.5", None),
        ("FIT: four", None),
        ("fit: 4", None),
        ("FIT: 4 of 5", None),
        ("FIT: 4\nThat is all.", None),
        ("FIT: 2\nor rather\nFIT: 4", None),
        ("", None),
    ],
)
def test_levels(text: str, level: float | None) -> None:
    assert parse_level(text, "FIT", 5) == level


def test_a_weighted_level_may_lie_below_the_lowest() -> None:
    assert parse_level("FIT: 0.5", "FIT", 5, lowest=0) == 0.5
    assert parse_level("FIT: -0.5", "FIT", 5, lowest=0) is None


def test_rankings_name_every_document_once() -> None:
    # Document 3 is the best and gets the highest rank.
    assert parse_ranking("because\nRANKING: 3, 1,2", 3) == (2, 1, 3)
    for wrong in ("RANKING: 3, 1", "RANKING: 1, 1, 2", "RANKING: 0, 1, 2", "RANKING: 4, 1, 2"):
        assert parse_ranking(wrong, 3) is None


def test_hoyle_intruders_are_places() -> None:
    assert parse_hoyle_intruder("INTRUDER: 6", 6) == 5
    for wrong in ("INTRUDER: 7", "INTRUDER: 0", "INTRUDER: word", "6"):
        assert parse_hoyle_intruder(wrong, 6) is None


@pytest.mark.parametrize(
    ("reply", "rating"),
    [
        ("RATING: 2", 2), ("It is.\nRATING:  0 \n", 0), ("RATING: 1\nRATING: 1", 1),
        ("", None), ("2", None), ("RATING: 3", None), ("RATING: 1.5", None),
        ("rating: 0, I thought\nRATING: 2", None), ("RATING: 2\nThat is all.", None),
        ("**RATING:** 2", 2), ("RATING: 2.", 2), ("RATING: 2.5", None),
        ("<think>RATING: 0</think>RATING: 2", 2),
    ],
)  # fmt: skip
def test_axbench_ratings(reply: str, rating: int | None) -> None:
    assert parse_axbench_rating(reply) == rating


def test_a_number_too_long_for_an_integer_is_no_place() -> None:
    nines = "9" * 5000
    assert parse_hoyle_intruder(f"INTRUDER: {nines}", 6) is None
    assert parse_ranking(f"RANKING: 1, {nines}", 2) is None


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_at_line_feeds_and_carriage_returns(end: str) -> None:
    assert parse_verdict(f"A, I think.{end}VERDICT: B{end}") == "B"
    assert parse_rating(f"Fine.{end}RATING: 2{end}") == 2
    assert parse_classes(f"1: none{end}2: grammar", 2) == ["none", "grammar"]


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x1c", "\v", "\f"])
def test_no_other_character_ends_a_line(mark: str) -> None:
    assert parse_label(f"LABEL: ice{mark}hockey", 20) == "ice hockey"
    assert parse_summary(f"Well.\nSUMMARY: about ice{mark}and fire", 40) == "about ice and fire"
    # What is said of another topic inside a sentence is no second statement, and no answer.
    assert parse_rating(f"She wrote{mark}RATING: 1{mark}and left.\nRATING: 3") == 3
    assert parse_match(f"It says{mark}MATCH: no{mark}twice.\nMATCH: yes") == "yes"
    for parse in (parse_rating, parse_axbench_rating):
        assert parse(f"The topic is clear.{mark}RATING: 2") is None
    assert parse_verdict(f"It is clear.{mark}VERDICT: A") == "unparsed"
    assert parse_level(f"It is clear.{mark}FIT: 3", "FIT", 5) is None
    assert parse_classes(f"1: none{mark}2: grammar", 2) is None


def test_hostile_replies_take_no_time() -> None:
    """100,000 characters that a pattern could go back and forth over."""
    start = time.process_time()
    for piece in (
        "```json\n{",
        "<think>",
        "</think>",
        " ",
        "**",
        "VERDICT: ",
        "{\n",
        '"verdict": ',
        "<|",
        "#",
        "\n",
        "_",
        "verdict",
        "verdict ",
        "verdict\n",
        "verdict (",
        "verdict is ",
        "verdict: the ",
        "verdict: the set in favour of ",
        '{"verdict": 1}',
        "\ufdfa",
    ):
        for end in ("", "VERDICT: A", "x"):
            parse_verdict(piece * (100_000 // len(piece)) + end)
            parse_label(piece * (100_000 // len(piece)) + end, 40)
            parse_verdict("verdict: the" + piece * (100_000 // len(piece)) + end)
    assert time.process_time() - start < 10
