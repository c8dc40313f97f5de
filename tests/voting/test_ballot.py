"""What voters are asked: every question once, blind, in an order of their own, with checks."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from mtmbench.core.errors import InputError
from mtmbench.judges.base import Option, Question, ShownTopic
from mtmbench.judges.clients.human_votes import option_key, vote_key
from mtmbench.judges.prompt import CUT_MARK
from mtmbench.voting.ballot import CHECK_EVERY, CHECK_TEXT, Ballot


def _question(number: int, a: str = "tax, cut", b: str = "ice, snow") -> Question:
    options = tuple(
        Option(name, (ShownTopic(1.0, (words,)),)) for name, words in (("lda", a), ("etm", b))
    )
    context = {"corpus": "c", "doc_id": str(number), "text": f"Document {number}. " * 40}
    return Question("match", context, options)


def _ballot(n: int = 220, seed: int = 0) -> Ballot:
    questions = [_question(i) for i in range(n)]
    return Ballot(questions, document_characters=100, seed=seed)


def test_every_voter_gets_every_question_once_and_always_in_one_order() -> None:
    ballot = _ballot()
    for voter in ("ann", "ben"):
        items = ballot.items(voter)
        real = [item for item in items if "check" not in item.vote]
        assert Counter(item.vote["doc_id"] for item in real) == Counter(map(str, range(220)))
        assert items == ballot.items(voter)
        assert len({item.key for item in items}) == len(items)
    first, second = ([i.vote["doc_id"] for i in ballot.items(v)] for v in ("ann", "ben"))
    assert first != second
    assert _ballot(seed=1).items("ann") != ballot.items("ann")


def test_sets_are_shown_in_random_order_and_the_vote_knows_which() -> None:
    items = [item for item in _ballot().items("ann") if "check" not in item.vote]
    firsts = Counter(item.sets[0] for item in items)
    assert set(firsts) == {("tax, cut",), ("ice, snow",)}
    assert 80 < firsts["tax, cut",] < 140  # 110 expected, 4 standard deviations
    options = {option.topics[0].description: option_key(option) for option in _question(0).options}
    assert all(item.vote["first"] == options[item.sets[0][0]] for item in items)


def test_checks_are_spread_and_look_like_questions() -> None:
    items = _ballot().items("ann")
    places = [place for place, item in enumerate(items) if "check" in item.vote]
    assert len(places) == 220 // (CHECK_EVERY - 1)
    assert {after - before for before, after in pairwise(places)} == {CHECK_EVERY}
    sides = Counter()
    for place in places:
        item = items[place]
        wanted = item.sets["AB".index(item.vote["check"])]
        assert wanted == (CHECK_TEXT,)
        sides[item.vote["check"]] += 1
        assert item.vote["check"] not in item.key
    assert set(sides) == {"A", "B"}
    lengths = {len(item.key) for item in items}
    assert lengths == {32}


def test_no_item_names_a_model() -> None:
    for item in _ballot(30).items("ann"):
        assert not any(name in str(item) for name in ("lda", "etm"))


def test_documents_are_cut_and_equal_questions_are_asked_once() -> None:
    again = Question("match", _question(0).context, _question(0).options[::-1])
    ballot = Ballot([_question(0), again, _question(0, "x", "y")], document_characters=100)
    assert len(ballot) == 2
    assert vote_key(again) == vote_key(_question(0))
    item = ballot.items("ann")[0]
    assert item.document.endswith(CUT_MARK)
    assert len(item.document) <= 100 + len(CUT_MARK)


def test_an_empty_ballot_is_refused() -> None:
    with pytest.raises(InputError, match="nothing to vote on"):
        Ballot([], document_characters=100)
