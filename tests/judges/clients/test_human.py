"""From votes to verdicts: majorities, orders, careless voters; votes on disk and as CSV."""

from __future__ import annotations

import asyncio
import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from support.odd_text import ODD_TEXT

from mtmbench.core.errors import InputError, StoreInUseError
from mtmbench.judges.base import Option, Question, ShownTopic
from mtmbench.judges.clients.human import HumanJudge, careless_voters
from mtmbench.judges.clients.human_votes import (
    Vote,
    VoteFile,
    option_key,
    read_votes,
    vote_key,
    votes_csv,
    votes_from_csv,
)
from mtmbench.judges.registry import load_judge_card

OPTIONS = tuple(Option(n, (ShownTopic(1.0, (word,)),)) for n, word in (("a", "tax"), ("b", "ice")))
QUESTION = Question("match", {"corpus": "c", "doc_id": "7", "text": "t"}, OPTIONS)
SWAPPED = replace(QUESTION, options=OPTIONS[::-1])


def _vote(
    voter: str, verdict: str, *, swapped: bool = False, check: str = "", key: str = ""
) -> Vote:
    first = option_key(OPTIONS[1 if swapped else 0])
    return Vote(voter, key or vote_key(QUESTION), "c", "7", first, verdict, check)  # type: ignore[arg-type]


def _judge(tmp_path: Path, *votes: Vote, **params: float) -> HumanJudge:
    with VoteFile(tmp_path / "votes.jsonl") as file:
        file.add(votes)
    return HumanJudge(str(tmp_path / "votes.jsonl"), **params)  # type: ignore[arg-type]


def _ask(judge: HumanJudge, question: Question = QUESTION) -> str:
    return asyncio.run(judge.answer(question, {}, 0)).text


def test_a_vote_is_for_what_was_shown_not_for_where(tmp_path: Path) -> None:
    judge = _judge(tmp_path, _vote("ann", "A"))
    assert _ask(judge) == "VERDICT: A"
    assert _ask(judge, SWAPPED) == "VERDICT: B"
    other = _judge(tmp_path / "other", _vote("ann", "A", swapped=True))
    assert _ask(other) == "VERDICT: B"


@pytest.mark.parametrize(
    ("verdicts", "ruled"),
    [("AAB", "A"), ("ABB", "B"), ("AB", "tie"), ("ATT", "tie"), ("AAT", "A"), ("ABT", "tie")],
)
def test_the_majority_rules_and_without_one_it_is_a_tie(
    verdicts: str, ruled: str, tmp_path: Path
) -> None:
    votes = [
        _vote(f"voter {i}", "tie" if verdict == "T" else verdict)
        for i, verdict in enumerate(verdicts)
    ]
    assert _ask(_judge(tmp_path, *votes)) == f"VERDICT: {ruled}"


def test_a_later_vote_of_the_same_voter_replaces_the_first(tmp_path: Path) -> None:
    judge = _judge(tmp_path, _vote("ann", "A"), _vote("ben", "B"), _vote("ann", "B"))
    assert _ask(judge) == "VERDICT: B"


def test_too_few_votes_are_no_answer(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 of 2 votes on document '7' are in"):
        _ask(_judge(tmp_path, _vote("ann", "A"), min_votes=2))
    with pytest.raises(InputError, match="0 of 1 votes"):
        _ask(HumanJudge(str(tmp_path / "none.jsonl")))


def test_careless_voters_do_not_count(tmp_path: Path) -> None:
    checks = [
        _vote("careless", "A", check=wanted, key=f"check {i}") for i, wanted in enumerate("ABAA")
    ]
    more = _vote("careless", "B", check="A", key="check 4")
    votes = [_vote("careless", "A"), _vote("ann", "B"), *checks]
    # One failed of four is allowed, two of five are not.
    assert careless_voters(votes, 0.25) == set()
    assert careless_voters([*votes, more], 0.25) == {"careless"}
    assert _ask(_judge(tmp_path, *votes)) == "VERDICT: tie"
    assert _ask(_judge(tmp_path, more)) == "VERDICT: B"
    # A tie is no right answer to a check.
    assert careless_voters([_vote("x", "tie", check="A")], 0.25) == {"x"}


def test_a_vote_is_on_disk_at_once_and_a_cut_line_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl"
    with VoteFile(path) as file:
        file.add([_vote("ann", "A")])
        assert list(read_votes(path).values()) == [_vote("ann", "A")]
        with pytest.raises(StoreInUseError, match="being collected"), VoteFile(path):
            pass
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    with VoteFile(path) as file:
        assert list(file.votes.values()) == [_vote("ann", "A")]
        file.add([_vote("ben", "tie")])
    assert set(read_votes(path)) == {("ann", vote_key(QUESTION)), ("ben", vote_key(QUESTION))}


def test_votes_survive_csv(tmp_path: Path) -> None:
    votes = [_vote('ben, "the" =1+1', "tie"), _vote("ann", "B", check="A", key="check")]
    path = tmp_path / "votes.csv"
    path.write_text(votes_csv(votes), encoding="utf-8")
    assert votes_from_csv(path) == sorted(votes, key=lambda vote: vote.voter)


def test_no_id_of_a_vote_is_a_formula_in_its_csv(tmp_path: Path) -> None:
    vote = replace(_vote("ann", "A"), corpus="@home", doc_id="=1+1")
    text = votes_csv([vote])
    assert ",'@home,'=1+1," in text
    path = tmp_path / "votes.csv"
    path.write_text(text, encoding="utf-8")
    assert votes_from_csv(path) == [vote]


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ("ann,k,c,7,f,C,", "line 2: a verdict is one of A, B, tie, not 'C'"),
        ("ann,k,c,7,f,A,tie", "asks for A or B, not 'tie'"),
        (",k,c,7,f,A,", "begins with a letter or digit, not ''"),
        ("=1+1,k,c,7,f,A,", "begins with a letter or digit"),
        ("ann,k,c", "line 2 is no vote"),
    ],
)
def test_rows_that_are_no_votes_are_named(row: str, wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text(f"voter,key,corpus,doc_id,first,verdict,check\n{row}\n", encoding="utf-8")
    with pytest.raises(InputError, match=wrong):
        votes_from_csv(path)


def test_the_card_and_wrong_parameters() -> None:
    judge = HumanJudge(**load_judge_card("human").params)
    assert (judge.is_llm, judge.order_free, judge.min_votes) == (False, True, 1)
    with pytest.raises(InputError, match="max_failed must lie between 0 and 1, not 2"):
        HumanJudge(max_failed=2)
    with pytest.raises(InputError, match="min_votes must be at least 1, not 0"):
        HumanJudge(min_votes=0)


def test_votes_on_documents_with_odd_ids_are_read_back(tmp_path: Path) -> None:
    votes = [
        replace(_vote("ann", "A", key="k1"), doc_id=ODD_TEXT, corpus="a\rb"),
        replace(_vote("ann", "B", key="k2"), doc_id="8"),
    ]
    with VoteFile(tmp_path / "votes.jsonl") as file:
        file.add(votes)
    assert list(read_votes(tmp_path / "votes.jsonl").values()) == votes
    table = tmp_path / "votes.csv"
    table.write_text(votes_csv(votes), encoding="utf-8", newline="")
    assert votes_from_csv(table) == votes


def test_votes_that_a_full_disk_takes_in_part_are_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "votes.jsonl"
    with VoteFile(path) as file:
        file.add([_vote("ann", "A")])
        whole = path.read_bytes()

        def full(descriptor: int) -> NoReturn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(InputError, match=r"cannot keep votes in .*: No space left"):
                file.add([_vote("ben", "B")])
        assert path.read_bytes() == whole
        assert [voter for voter, _ in file.votes] == ["ann"]
        file.add([_vote("cas", "B")])
    assert [voter for voter, _ in read_votes(path)] == ["ann", "cas"]
