from __future__ import annotations

import pytest

from mtmbench.judges.parse import parse_verdict, verdict_line


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
        "VERDICT: a",
        "VERDICT: TIE",
        "Verdict: A",
        "VERDICT: A.",
        "VERDICT: A B",
        "VERDICT: A or B",
        "VERDICT:\nA",
        "**VERDICT: A**",
        "My VERDICT: A",
        "VERDICT: A\nI hope this helps.",
        '{"verdict": "a"}',
        '{"verdict": "A or B"}',
        '{"verdict": null}',
        '{"verdict": ["A"]}',
        '{"Verdict": "A"}',
        '{"verdict": "A", "confidence": 0.9}',
        '{"verdict": "A", "reason": 3}',
        '{"verdict": "A"',
        '{"verdict": "A"} {"verdict": "A"}',
        '["A"]',
        '"A"',
        "{}",
        '```json\n{"verdict": "A"}\n```',
        'Here it is: {"verdict": "A"}',
        "{" * 5000,
        '{"a":' * 100_000,
    ],
)
def test_anything_else_is_unparsed(reply: str) -> None:
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
    ],
)
def test_contradictions_are_unparsed(reply: str) -> None:
    assert parse_verdict(reply) == "unparsed"


def test_verdict_lines_parse_back() -> None:
    for verdict in ("A", "B", "tie"):
        assert parse_verdict(verdict_line(verdict)) == verdict
