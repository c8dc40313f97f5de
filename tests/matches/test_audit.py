from __future__ import annotations

import pytest

from mtmbench.core.errors import InputError
from mtmbench.matches.audit import ORDER_FREE, audit
from mtmbench.stats.intervals import Rate


def test_counts_on_a_match_worked_by_hand() -> None:
    #   document  0 1 2 3 4 5 6 7 8 9
    forward = "a b a t a A T u r a".replace(" ", "")
    backward = "a b b t t A T a a u".replace(" ", "")
    seen = audit(forward, backward)
    assert (seen.n_documents, seen.n_ruled, seen.n_removed) == (10, 2, 3)
    # Decisive answers, forward: a b a a a (slots 1 2 1 1 1); backward: a b b a a (2 1 1 2 2).
    assert seen.position_bias.value == pytest.approx(6 / 10)
    assert seen.position_bias.n == 10
    # Answered in both orders: documents 0 to 4; 2 (a, b) and 4 (a, t) flip.
    assert (seen.flips.value, seen.flips.n) == (2 / 5, 5)
    # Parsed answers: 7 forward less u and r are 6, 7 backward; ties 1 and 2.
    assert (seen.ties.value, seen.ties.n) == (3 / 13, 13)
    assert (seen.unparsed.value, seen.unparsed.n) == (2 / 16, 16)
    assert (seen.refused.value, seen.refused.n) == (1 / 16, 16)


def test_an_order_free_judge_has_no_bias_and_no_flips() -> None:
    seen = audit("abtuA", "abtuA", order_free=True)
    assert seen.position_bias == seen.flips == Rate(None, None, None, 0, ORDER_FREE)
    assert (seen.ties.value, seen.ties.n) == (1 / 3, 3)
    assert (seen.unparsed.value, seen.unparsed.n) == (1 / 4, 4)
    assert seen.n_removed == 1


def test_nothing_asked_has_reasons() -> None:
    seen = audit("AT", "AT")
    assert seen.position_bias == Rate(None, None, None, 0, "no decisive answer")
    assert seen.unparsed == Rate(None, None, None, 0, "no answer")


def test_wrong_input_is_named() -> None:
    with pytest.raises(InputError, match="2 outcomes forward but 1 backward"):
        audit("ab", "a")
    with pytest.raises(InputError, match="'x' is no outcome"):
        audit("x", "x")
    with pytest.raises(InputError, match="a rule decides both orders"):
        audit("A", "a")
