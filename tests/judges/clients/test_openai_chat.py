"""The client against a server over TCP: what is tried again, what ends the work, what is hidden."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.chat_server import ChatServer, Drop, Fail, Garble, Say
from support.odd_text import ODD_TEXT

from mtmbench.core.cards import EndpointSpec, JudgeCard, LimitSpec
from mtmbench.core.errors import InputError
from mtmbench.judges import limits
from mtmbench.judges.asker import Asker, gather
from mtmbench.judges.base import Completion, JudgeError, JudgeStoppedError, Question
from mtmbench.judges.clients import openai_chat
from mtmbench.judges.clients.openai_chat import LONGEST_REPLY, OpenAIJudge
from mtmbench.judges.ledger import Ledger
from mtmbench.judges.ledger_file import Answer
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
    assert huge.cut
    assert huge.usage["output"] == 1_250_000
    assert half.text == "VERDICT: A ?"


def test_an_answer_without_usage_costs_what_is_not_known(server: ChatServer) -> None:
    server.then(Say("VERDICT: A", usage=False))
    (completion,) = ask(card_of(server), question())
    assert completion.usage == {}


def test_a_text_in_parts_is_joined(server: ChatServer) -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "VERDICT: B"}]},
        {"type": "text", "text": "So.\nVERD"},
        {"type": "text", "text": "ICT: A"},
    ]
    choice = {"finish_reason": "stop", "message": {"content": parts}}
    server.then(Garble(json.dumps({"model": "small-1", "choices": [choice]}).encode()))
    (completion,) = ask(card_of(server), question())
    assert completion.text == "So.\nVERDICT: A"


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


@pytest.mark.parametrize(
    ("said", "lack", "verdict"),
    [
        (Say("VERDICT: A", finish="length"), "cut", "unparsed"),
        (Say("VERDICT: A", finish="max_tokens"), "cut", "unparsed"),
        (Say("VERDICT: A", finish="MAX_TOKENS"), "cut", "unparsed"),
        (Say("", finish="length"), "cut", "unparsed"),
        (Say("VERDICT: A\n" + "x" * LONGEST_REPLY), "cut", "unparsed"),
        (Say("VERDICT: B\n" + " " * LONGEST_REPLY + "VERDICT: A"), "cut", "unparsed"),
        (Say(""), "empty", "unparsed"),
        (Say(" \n\t"), "empty", "unparsed"),
        (Say("VERDICT: A"), None, "A"),
        (Say("VERDICT: A", finish="error"), "cut", "unparsed"),
        (Say("VERDICT: A", finish="insufficient_system_resource"), "cut", "unparsed"),
        (Say("I think so."), None, "unparsed"),
        (Say(refusal="I will not.", finish="length"), None, "unparsed"),
    ],
)
def test_a_reply_that_broke_off_is_kept_and_never_read(
    server: ChatServer, tmp_path: Path, said: Say, lack: str | None, verdict: str
) -> None:
    server.then(said)
    card = card_of(server)

    async def play() -> tuple[Answer, Answer | None]:
        client = OpenAIJudge.from_card(card)
        with Ledger(tmp_path / "a.sqlite") as ledger:
            answer = await Asker(client, card, ledger).ask(question(), "a question")
            await client.close()
            return answer, ledger.get(answer.key)

    answer, kept = asyncio.run(play())
    assert kept == answer
    assert answer.text == (said.refusal or str(said.text))[:LONGEST_REPLY]
    assert (answer.lack, parse_verdict(answer.readable)) == (lack, verdict)
    assert answer.refused is bool(said.refusal)


@pytest.mark.parametrize(
    "text",
    [
        "VERDICT: TIE\nVERDICT: A",
        "verdict: a\nVERDICT: B",
        "**VERDICT: B**\n\nVERDICT: A",
        "<think>VERDICT: B is better. VERDICT: A",
        "<think>\nVERDICT: A",
    ],
)
def test_two_verdicts_and_open_reasoning_stay_unparsed_on_the_way(
    server: ChatServer, text: str
) -> None:
    server.then(Say(text))
    (completion,) = ask(card_of(server), question())
    assert parse_verdict(completion.readable) == "unparsed"


USAGE = b'{"prompt_tokens": 20, "completion_tokens": 4}'


def whole(usage: bytes) -> Garble:
    return Garble(
        b'{"model": "small-1", "choices": [{"finish_reason": "stop", "message": '
        b'{"content": "VERDICT: A"}}], "usage": ' + usage + b"}"
    )


@pytest.mark.parametrize(
    ("usage", "known"),
    [
        (USAGE, {"input": 20, "output": 4}),
        (b'{"prompt_tokens": 20.0, "completion_tokens": 4}', {"input": 20, "output": 4}),
        (b'{"prompt_tokens": "n/a", "completion_tokens": "n/a"}', {}),
        (b'{"prompt_tokens": 1e400, "completion_tokens": 4}', {"output": 4}),
        (b'{"prompt_tokens": Infinity, "completion_tokens": NaN}', {}),
        (b'{"prompt_tokens": -20, "completion_tokens": 4}', {"output": 4}),
        (b'{"prompt_tokens": 20.5, "completion_tokens": true}', {}),
        (b'{"prompt_tokens": 1' + b"0" * 5000 + b', "completion_tokens": 4}', {"output": 4}),
        (b'{"prompt_tokens": [20], "completion_tokens": {"n": 4}}', {}),
        (b'{"prompt_tokens": 20}', {"input": 20}),
        (b'{"prompt_tokens": 0, "completion_tokens": 0}', {}),
        (b'{"prompt_tokens": 20, "completion_tokens": 0}', {"input": 20}),
        (b'{"prompt_tokens": 0, "completion_tokens": 4}', {"output": 4}),
        (b"null", {}),
        (b'"n/a"', {}),
        (b"[1, 2]", {}),
        (USAGE[:-1] + b', "prompt_tokens_details": "n/a"}', {"input": 20, "output": 4}),
        (
            USAGE[:-1] + b', "prompt_tokens_details": {"cached_tokens": -7}}',
            {"input": 20, "output": 4},
        ),
    ],
)
def test_usage_that_cannot_be_costs_no_answer(
    server: ChatServer, usage: bytes, known: dict[str, int]
) -> None:
    server.then(whole(usage))
    (completion,) = ask(card_of(server), question())
    assert (completion.text, completion.usage) == ("VERDICT: A", known)
    assert len(server.completions) == 1


@pytest.mark.parametrize("value", ["0", "-5", "nan", "-inf", "Tue, 24 Nov 2020 11:00:00 GMT"])
def test_a_pause_of_nothing_is_a_failure(server: ChatServer, value: str) -> None:
    server.then(*[Fail(429, headers={"retry-after": value})] * 40)
    errors = ask(card_of(server), *[question(str(n)) for n in range(8)])
    assert all(isinstance(error, JudgeStoppedError) for error in errors)
    # Each was asked once and, by the card, three times more.
    assert len(server.completions) == 32


def test_pauses_of_next_to_nothing_grow_while_nobody_is_answered(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_chat, "LONGEST_WAIT", 3.0)
    monkeypatch.setattr(limits, "_FIRST_WAIT", 0.1)
    server.then(*[Fail(429, headers={"retry-after-ms": "1"})] * 400)
    start = time.monotonic()
    (error,) = ask(card_of(server), question())
    assert isinstance(error, JudgeStoppedError)
    assert time.monotonic() - start < 6
    # 0.1, 0.2, 0.4, 0.8 and 1.6 s and twice the jitter: not a thousand times in three seconds.
    assert len(server.completions) <= 8


def test_a_reply_has_a_time_as_a_whole(server: ChatServer) -> None:
    server.then(*[Garble(whole(USAGE).body, pause=0.05)] * 2)
    start = time.monotonic()
    (error,) = ask(card_of(server, limits=LimitSpec(retries=1, timeout=0.4)), question())
    assert isinstance(error, JudgeStoppedError)
    assert "no whole reply within 0.4 s" in str(error)
    assert time.monotonic() - start < 4


def test_a_reply_that_is_packed_is_unpacked(server: ChatServer) -> None:
    body = whole(USAGE).body
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    server.then(
        Garble(gzip.compress(body), {"content-encoding": "gzip"}),
        Garble(zlib.compress(body), {"content-encoding": "deflate"}),
        Garble(raw.compress(body) + raw.flush(), {"content-encoding": "deflate"}),
        # gzip's own tools fill up with zeros.
        Garble(gzip.compress(body) + bytes(512), {"content-encoding": "gzip"}),
    )
    for _ in range(4):
        (completion,) = ask(card_of(server), question())
        assert completion.text == "VERDICT: A"
    assert len(server.completions) == 4


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Garble(gzip.compress(b" " * (1 << 28), 9), {"content-encoding": "gzip"}), "than 16 MiB"),
        (Garble(b" " * ((1 << 24) + 1)), "a reply of more than 16 MiB"),
        (Garble(b"x", {"content-encoding": "br"}), "packed as 'br', which was not asked for"),
        (Garble(b"xyz", {"content-encoding": "gzip"}), "cannot be unpacked"),
        (Garble(gzip.compress(b"{}")[:-8], {"content-encoding": "gzip"}), "that was cut"),
        (Garble(gzip.compress(b"{}") * 2, {"content-encoding": "gzip"}), "behind its end"),
        (Garble(zlib.compress(b"{}") + b"x", {"content-encoding": "deflate"}), "behind its end"),
    ],
)
def test_a_reply_has_a_size(server: ChatServer, bad: Garble, message: str) -> None:
    server.then(bad)
    tracemalloc.start()
    (error,) = ask(card_of(server, limits=LimitSpec(retries=0, timeout=20)), question())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(error, JudgeStoppedError)
    assert message in str(error)
    assert peak < 100e6


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: ChatServer, status: int) -> None:
    with ChatServer() as other:
        place = f"{other.url}/chat/completions"
        server.then(Fail(status, headers={"location": place}))
        (error,) = ask(card_of(server), question("a secret document"))
        assert isinstance(error, JudgeStoppedError)
        assert f"{status}: it sends on to {place}, which is not followed" in str(error)
        assert "endpoint.base_url" in str(error)
        assert other.requests == []
    assert len(server.completions) == 1


def test_a_key_is_kept_nowhere_that_a_reply_repeats_it(server: ChatServer, tmp_path: Path) -> None:
    body = whole(USAGE).body.replace(b'"model"', f'"system_fingerprint": "{KEY}", "m"'.encode())
    echo = f"Your key {KEY} says\nVERDICT: A"
    server.then(
        Say(echo, model=f"small {KEY}"),
        Say(refusal=echo),
        Fail(400, code="content_filter", message=f"{KEY} filtered"),
        Garble(body),
        # Half of a key is half a secret too.
        Say("x" * (LONGEST_REPLY - 10) + KEY),
    )  # fmt: skip
    card = card_of(server)

    async def play() -> list[Answer]:
        client = OpenAIJudge.from_card(card)
        with Ledger(tmp_path / "a.sqlite") as ledger:
            asker = Asker(client, card, ledger)
            found = [await asker.ask(question(text), text) for text in "abcde"]
            await client.close()
            return found

    answers = asyncio.run(play())
    assert answers[0].text == "Your key [key] says\nVERDICT: A"
    assert answers[0].model_revision == "small [key], fp_local"
    assert answers[3].model_revision == "[key]"
    said = repr(answers)
    assert KEY not in said
    assert KEY[:10] not in said
    for file in tmp_path.iterdir():
        assert KEY[:10].encode() not in file.read_bytes()


def test_a_placeholder_of_a_key_hides_no_verdict(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_KEY", "A")
    server.then(Say("VERDICT: A"))
    assert ask(card_of(server), question())[0].text == "VERDICT: A"


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("https://judge.example/v1", False),
        ("http://localhost:8000/v1", False),
        ("http://LOCALHOST.:8000/v1", False),
        ("http://127.0.0.1:8000/v1", False),
        ("http://127.8.9.1/v1", False),
        ("http://[::1]:8000/v1", False),
        ("http://judge.example/v1", True),
        ("http://10.0.0.7/v1", True),
        ("http://0.0.0.0:8000/v1", False),
        ("http://[::]:8000/v1", False),
        ("http://[::ffff:127.0.0.1]/v1", False),
        ("http://[::ffff:10.0.0.7]/v1", True),
        ("http://localhost.example/v1", True),
        ("http://127.0.0.1.example/v1", True),
        ("HTTP://judge.example/v1", True),
    ],
)
def test_a_key_goes_to_other_machines_by_https_alone(url: str, seen: bool) -> None:
    def check(**changes: Any) -> None:
        endpoint = EndpointSpec(base_url=url, **{"api_key_env": "JUDGE_KEY", **changes})
        OpenAIJudge.check_card(JudgeCard(client="openai", model="m", endpoint=endpoint))

    if seen:
        with pytest.raises(InputError, match=r"unencrypted to .*endpoint\.insecure = true"):
            check()
    else:
        check()
    check(insecure=True)
    check(api_key_env=None)


def test_what_goes_to_this_machine_goes_past_proxies(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    server.then(Say("VERDICT: A"))
    card = card_of(server, limits=LimitSpec(retries=0, timeout=5))
    assert ask(card, question())[0].text == "VERDICT: A"


def test_one_answer_that_no_file_takes_leaves_its_neighbours(
    server: ChatServer, tmp_path: Path
) -> None:
    server.then(Say("VERDICT: A", model="\ud800"), Say("VERDICT: B", model=ODD_TEXT))
    card = card_of(server)

    async def play() -> list[Any]:
        client = OpenAIJudge.from_card(card)
        with Ledger(tmp_path / "a.sqlite") as ledger:
            asker = Asker(client, card, ledger)
            found = await gather([asker.ask(question(text), text) for text in "ab"])
            await client.close()
            return found

    assert sorted(answer.text for answer in asyncio.run(play())) == ["VERDICT: A", "VERDICT: B"]
