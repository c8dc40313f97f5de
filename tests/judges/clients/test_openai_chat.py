"""The client against a server over TCP: what is tried again, what ends the work, what is hidden."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.chat_server import ChatServer, Drop, Fail, Garble, Say

from mtmbench.core.cards import EndpointSpec, JudgeCard, LimitSpec
from mtmbench.core.errors import InputError
from mtmbench.judges import limits
from mtmbench.judges.asker import Asker
from mtmbench.judges.base import Completion, JudgeError, JudgeStoppedError, Question
from mtmbench.judges.clients.openai_chat import LONGEST_REPLY, OpenAIJudge
from mtmbench.judges.ledger import Ledger
from mtmbench.judges.replies import parse_verdict

KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_FIRST_WAIT", 0.002)
    monkeypatch.setenv("JUDGE_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


def card_of(server: ChatServer, **changes: Any) -> JudgeCard:
    values: dict[str, Any] = {
        "client": "openai", "model": "small-1",
        "endpoint": EndpointSpec(base_url=server.url, api_key_env="JUDGE_KEY"),
        "limits": LimitSpec(retries=3, timeout=5),
        "decoding": {"temperature": 0, "max_completion_tokens": 50},
    }  # fmt: skip
    return JudgeCard(**{**values, **changes})


def question(text: str = "which?", kind: Any = "match") -> Question:
    messages = ({"role": "system", "content": "You judge."}, {"role": "user", "content": text})
    return Question(kind, {}, (), messages)


def ask(card: JudgeCard, *questions: Question) -> list[Any]:
    async def play() -> list[Any]:
        client = OpenAIJudge.from_card(card)
        try:
            jobs = [client.answer(q, card.decoding, 0) for q in questions]
            return await asyncio.gather(*jobs, return_exceptions=True)
        finally:
            await client.close()

    return asyncio.run(play())


def test_a_question_goes_out_and_an_answer_comes_back(server: ChatServer) -> None:
    server.then(Say("So it is.\nVERDICT: B", cached=2))
    (completion,) = ask(card_of(server), question("which?" * 20))
    assert completion == Completion(
        "So it is.\nVERDICT: B", {"input": 32, "output": 5, "cached": 2}, "small-1, fp_local"
    )
    (request,) = server.completions
    assert request.body == {
        "model": "small-1", "temperature": 0, "max_completion_tokens": 50,
        "messages": [
            {"role": "system", "content": "You judge."},
            {"role": "user", "content": "which?" * 20},
        ],
    }  # fmt: skip
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_verdicts_are_asked_for_by_schema_where_the_endpoint_takes_one(server: ChatServer) -> None:
    endpoint = EndpointSpec(base_url=server.url, structured=True)
    match, label = ask(card_of(server, endpoint=endpoint), question(), question(kind="label"))
    assert set(json.loads(match.text)) == {"reason", "verdict"}
    assert parse_verdict(match.text) in ("A", "B", "tie")
    asked = {request.body.get("response_format") is not None for request in server.completions}
    assert asked == {True, False}
    schema = next(
        r.body["response_format"]["json_schema"]["schema"]
        for r in server.completions if "response_format" in r.body
    )  # fmt: skip
    assert schema["required"] == list(schema["properties"]) == ["reason", "verdict"]
    assert "VERDICT" in label.text
    # A card without a key sends none of ours.
    assert KEY not in json.dumps([dict(r.headers) for r in server.completions])


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_what_may_pass_is_tried_again(server: ChatServer, status: int) -> None:
    server.then(Fail(status), Fail(status), Say("VERDICT: A"))
    (completion,) = ask(card_of(server), question())
    assert completion.text == "VERDICT: A"
    assert len(server.completions) == 3


@pytest.mark.parametrize("bad", [Drop(), Drop(halfway=True), Garble(), Garble(b"{}"),
                                 Garble(b"[" * 100_000), Garble(b'{"choices": [{}]}')])  # fmt: skip
def test_lost_connections_and_broken_bodies_too(server: ChatServer, bad: Any) -> None:
    server.then(bad, Say("VERDICT: A"))
    (completion,) = ask(card_of(server), question())
    assert completion.text == "VERDICT: A"
    assert len(server.completions) == 2


def test_a_slow_answer_is_given_up_and_asked_for_again(server: ChatServer) -> None:
    server.then(Say("too late", delay=5), Say("VERDICT: A"))
    start = time.monotonic()
    (completion,) = ask(card_of(server, limits=LimitSpec(timeout=0.5)), question())
    assert completion.text == "VERDICT: A"
    assert time.monotonic() - start < 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_cannot_pass_is_not_tried_again(server: ChatServer, status: int) -> None:
    server.then(Fail(status, message="wrong in principle"))
    (error,) = ask(card_of(server), question())
    assert isinstance(error, JudgeStoppedError)
    assert f"{status}" in str(error)
    assert "wrong in principle" in str(error)
    assert len(server.completions) == 1


def test_a_used_up_quota_is_no_rate_limit(server: ChatServer) -> None:
    server.then(Fail(429, code="insufficient_quota", message="pay first"))
    (error,) = ask(card_of(server), question())
    assert isinstance(error, JudgeStoppedError)
    assert len(server.completions) == 1


def test_retries_are_bounded_and_a_dead_endpoint_ends_the_work(server: ChatServer) -> None:
    server.then(*[Fail(503, message="down")] * 4)
    (error,) = ask(card_of(server), question())
    assert isinstance(error, JudgeStoppedError)
    assert "gave no answer, last: " in str(error)
    assert len(server.completions) == 4


def test_one_question_without_an_answer_is_that_question_s_own(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_FIRST_WAIT", 0.5)  # the good one is asked in between
    card = card_of(server, limits=LimitSpec(retries=1, timeout=5))

    async def play() -> Any:
        client = OpenAIJudge.from_card(card)
        server.then(Fail(500), Say("VERDICT: A"), Fail(500))
        bad = asyncio.ensure_future(client.answer(question("bad"), card.decoding, 0))
        while not server.completions:
            await asyncio.sleep(0.001)
        good = await client.answer(question("good"), card.decoding, 0)
        try:
            return good, await asyncio.gather(bad, return_exceptions=True)
        finally:
            await client.close()

    good, (bad,) = asyncio.run(play())
    assert good.text == "VERDICT: A"
    assert type(bad) is JudgeError


def test_retry_after_is_honoured_by_all(server: ChatServer) -> None:
    server.then(Fail(429, headers={"retry-after-ms": "400"}))
    start = time.monotonic()

    async def play() -> list[Completion]:
        card = card_of(server)
        client = OpenAIJudge.from_card(card)
        first = asyncio.ensure_future(client.answer(question("0"), card.decoding, 0))
        while not server.completions:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.1)
        rest = [client.answer(question(str(n)), card.decoding, 0) for n in (1, 2)]
        try:
            return list(await asyncio.gather(first, *rest))
        finally:
            await client.close()

    assert len(asyncio.run(play())) == 3
    first, *rest = [request.at for request in server.completions]
    assert len(rest) == 3
    assert min(rest) - first >= 0.35
    assert time.monotonic() - start < 10


def test_too_long_a_pause_is_not_waited_for(server: ChatServer) -> None:
    server.then(Fail(429, headers={"retry-after": "86400"}, message="come back tomorrow"))
    (error,) = ask(card_of(server), question())
    assert isinstance(error, JudgeStoppedError)
    assert "come back tomorrow" in str(error)


@pytest.mark.slow
def test_a_server_with_a_rate_limit_is_served_in_its_pace() -> None:
    with ChatServer(rate=(5, 0.3)) as server:
        card = card_of(server, limits=LimitSpec(concurrency=20, retries=1, timeout=5))
        answers = ask(card, *[question(str(n)) for n in range(20)])
        assert all(isinstance(answer, Completion) for answer in answers), answers
        assert set(server.paid.values()) == {1}


@pytest.mark.parametrize(
    ("said", "refused", "text"),
    [
        (Say(refusal="I will not."), True, "I will not."),
        (Say("half a", finish="content_filter"), True, "half a"),
        (Say("VERDICT: A", finish="length"), False, "VERDICT: A"),
        (Say(""), False, ""),
        (Fail(400, code="content_filter", message="filtered"), True, "filtered"),
    ],
)
def test_refusals_and_odd_answers_are_told_apart(
    server: ChatServer, said: Any, refused: bool, text: str
) -> None:
    server.then(said)
    (completion,) = ask(card_of(server), question())
    assert completion.refused is refused
    assert text in completion.text
    assert len(server.completions) == 1


def test_a_huge_answer_is_cut_and_half_a_character_mended(server: ChatServer) -> None:
    server.then(Say("x" * 5_000_000), Say("VERDICT: A \ud800"))
    card = card_of(server)
    (huge,), (half,) = ask(card, question()), ask(card, question())
    assert huge.text == "x" * LONGEST_REPLY
    assert huge.usage["output"] == 1_250_000
    assert half.text == "VERDICT: A ?"


def test_an_answer_without_usage_costs_what_is_not_known(server: ChatServer) -> None:
    server.then(Say("VERDICT: A", usage=False))
    (completion,) = ask(card_of(server), question())
    assert completion.usage == {}


def test_a_pinned_revision_must_answer(server: ChatServer) -> None:
    for pinned in ("small-1-2026", "fp_local"):
        server.then(Say("VERDICT: A", model="small-1-2026"))
        assert ask(card_of(server, revision=pinned), question())[0].text == "VERDICT: A"
    server.then(Say("VERDICT: A", model="small-1-2027"))
    (error,) = ask(card_of(server, revision="small-1-2026"), question())
    assert isinstance(error, JudgeStoppedError)
    assert "from 'small-1-2027, fp_local', not from 'small-1-2026'" in str(error)


def test_the_key_is_nowhere_to_be_seen(server: ChatServer, tmp_path: Path) -> None:
    server.then(Say(), Fail(401, message=f"the key {KEY} is not mine"))
    card = card_of(server)

    async def play() -> list[Any]:
        client = OpenAIJudge.from_card(card)
        with Ledger(tmp_path / "a.sqlite") as ledger:
            asker = Asker(client, card, ledger, concurrency=1)
            jobs = [asker.ask(question(text), "text") for text in "abc"]
            found = await asyncio.gather(*jobs, return_exceptions=True)
            await client.close()
            return [*found, asker.record(), client.name]

    found = asyncio.run(play())
    errors = [error for error in found if isinstance(error, JudgeStoppedError)]
    assert len(errors) == 2
    import traceback

    shown = "".join("".join(traceback.format_exception(error)) for error in errors)
    assert "the key [key] is not mine" in shown
    assert KEY not in shown + repr(found) + card.model_dump_json()
    for file in tmp_path.iterdir():
        assert KEY.encode() not in file.read_bytes()
    assert len(server.completions) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": None}, "needs `model`"),
        ({"endpoint": None}, r"needs `endpoint\.base_url`"),
        ({"endpoint": {"base_url": "api.openai.com"}}, "must be like 'https"),
        ({"endpoint": {"base_url": f"https://me:{KEY}@h/v1"}}, "must be like 'https"),
        ({"endpoint": {"base_url": "http://h", "api_key_env": KEY}}, "not a key"),
        ({"endpoint": {"base_url": "http://h", "api_key_env": "NOT_SET"}}, "NOT_SET is not set"),
        ({"params": {"temperature": 0}}, "takes no params, but the card has temperature"),
    ],
)
def test_what_a_card_lacks_is_said(
    server: ChatServer, changes: dict[str, Any], message: str
) -> None:
    card = JudgeCard.model_validate({**card_of(server).model_dump(), **changes})
    with pytest.raises(InputError, match=message) as caught:
        OpenAIJudge.check_card(card)
    assert KEY not in str(caught.value)


def test_every_loop_gets_connections_of_its_own(server: ChatServer) -> None:
    card = card_of(server)
    client = OpenAIJudge.from_card(card)
    for text in ("one", "two"):
        assert asyncio.run(client.answer(question(text), card.decoding, 0)).text
    asyncio.run(client.close())
