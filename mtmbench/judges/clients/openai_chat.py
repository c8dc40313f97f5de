"""A chat model behind any endpoint that speaks OpenAI's chat-completions API.

The ``openai`` package does the talking and nothing else: how fast and how often is asked again is
settled here, one way for all endpoints. The key is read from the environment variable that the
card names, and is cut out of whatever an endpoint says before anybody sees it or it is kept. What a
reply says of the tokens that it took is checked apart from its text: a count that cannot be is not
known, and the text stands.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import math
import os
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeGuard
from urllib.parse import urlsplit

from mtmbench.core.cards import EndpointSpec, JudgeCard, LimitSpec
from mtmbench.core.errors import InputError
from mtmbench.judges.base import Completion, JudgeClient, JudgeError, JudgeStoppedError, Question
from mtmbench.judges.clients.bounded_http import bounded_client
from mtmbench.judges.clients.connections import Connections
from mtmbench.judges.limits import LONGEST_WAIT, backoff, limiter_of, retry_after
from mtmbench.judges.replies import response_format

if TYPE_CHECKING:
    from openai import AsyncOpenAI

LONGEST_REPLY = 100_000
"""Characters of a reply that are kept; nobody was asked for more."""

_CUT = frozenset(
    {
        "length", "max_tokens", "max_output_tokens", "model_length",
        "insufficient_system_resource", "error",
    }
)  # fmt: skip
"""Why a model stopped that had more to say, by endpoints of several makes."""

_MOST_TOKENS = 100_000_000
"""More than any model reads or writes for one answer."""
_LONGEST_NUMBER = 100
"""Digits of a whole number that are read; Python refuses 4,301."""

_LONGEST_NAME = 1000
"""Characters of a model's name or fingerprint that are kept."""

_LEAST_SECRET = 8
"""A shorter key is a placeholder: nothing is hidden by it, and it may well be a word of a reply."""

_RETRIED = frozenset({408, 409, 429})
_GIVEN_UP = frozenset({504, 524})
"""What a gateway says that did not wait for the model's answer."""
_UNSENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout"})
"""Errors after which nothing was sent; by name, as there are two HTTP libraries that bring them."""
_FILTERED = frozenset({"content_filter", "content_policy_violation"})
_CHARACTERS_PER_TOKEN = 4
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NO_KEY = "none"


class OpenAIJudge(JudgeClient):
    """Asks a chat model by HTTP, in the pace and with the patience of the card's limits.

    Timeouts, dropped connections, bodies that are no completion and the statuses 408, 409, 429 and
    from 500 up are tried again, ``limits.retries`` times, or as long as the endpoint asks for
    pauses; so are replies that are not there as a whole after ``limits.timeout`` seconds, and ones
    longer than any completion. Any other status ends the work, since what is wrong with one
    question is wrong with all, redirects among them: a question goes where the card says and
    nowhere else. So does an endpoint that answered nobody while a question ran out of retries.

    Args:
        model: the name by which the endpoint knows the model.
        endpoint: where it is asked.
        limits: how fast, how often and how long.
        revision: model or system fingerprint that every answer must come from.

    Raises:
        InputError: model or endpoint is missing or wrong, the variable of the key is not set, or
            the key would go unencrypted to another machine without ``endpoint.insecure``.
    """

    name: ClassVar[str] = "openai"
    version: ClassVar[int] = 1
    is_llm: ClassVar[bool] = True

    def __init__(
        self,
        model: str | None = None,
        endpoint: EndpointSpec | None = None,
        limits: LimitSpec | None = None,
        revision: str | None = None,
    ) -> None:
        if not model:
            raise InputError("a judge of client 'openai' needs `model`, the endpoint's name of it")
        if endpoint is None:
            raise InputError("a judge of client 'openai' needs `endpoint.base_url`")
        self.model = model
        self.endpoint = endpoint
        self.limits = limits or LimitSpec()
        self.revision = revision
        _check_url(endpoint.base_url)
        self._key = _read_key(endpoint.api_key_env)
        _check_secrecy(endpoint)
        self._limiter = limiter_of(endpoint.base_url, self.limits)
        self._connections: Connections | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answered = 0

    @classmethod
    def from_card(cls, card: JudgeCard) -> OpenAIJudge:
        """Makes the judge of a card."""
        if card.params:
            raise InputError(
                f"client 'openai' takes no params, but the card has {', '.join(card.params)}; "
                "settings of the model stand under decoding"
            )
        return cls(card.model, card.endpoint, card.limits, card.revision)

    @classmethod
    def check_card(cls, card: JudgeCard) -> None:
        """Says what the card lacks, or that the variable of its key is not set."""
        cls.from_card(card)

    async def answer(
        self,
        question: Question,
        params: Mapping[str, object],
        replicate: int,  # noqa: ARG002
    ) -> Completion:
        """Asks one question; see the class for what is tried again and what ends the work.

        Raises:
            JudgeStoppedError: nothing more must be asked.
            JudgeError: this question had no answer, though others had.
        """
        body = self.body(question, params)
        estimated = sum(len(m["content"]) for m in question.messages) // _CHARACTERS_PER_TOKEN
        answered, failures, fruitless, paused = self._answered, 0, 0, 0.0
        while True:
            await self._limiter.wait(estimated)
            before = self._answered
            try:
                found = await self._try(body)
            except JudgeStoppedError:  # an answer, of another revision
                await self._lose(question)
                raise
            if isinstance(found, Completion):
                self._answered += 1
                actual = found.usage.get("input", 0) + found.usage.get("output", 0)
                self._limiter.took(estimated, actual or estimated)
                return found
            if found.charged:
                await self._lose(question)
            if not found.again or (found.pause or 0.0) > LONGEST_WAIT:
                raise JudgeStoppedError(f"{self.endpoint.base_url} says: {found.text}")
            if found.pause is None:
                failures += 1
                pause = backoff(failures)
            else:
                # One that answers nobody between the pauses it asks for is asked ever less often.
                fruitless = fruitless + 1 if self._answered == before else 0
                asked_for = max(found.pause, backoff(fruitless) if fruitless else 0.0)
                self._limiter.hold(asked_for)
                pause = asked_for * (1 + 0.1 * random.random()) + 0.05
            paused += pause
            if failures > self.limits.retries or paused > LONGEST_WAIT:
                break
            await asyncio.sleep(pause)
        text = f"{self.endpoint.base_url} gave no answer, last: {found.text}"
        raise (JudgeStoppedError if self._answered == answered else JudgeError)(text)

    def body(self, question: Question, params: Mapping[str, object]) -> dict[str, object]:
        """Returns the request's body; ``params`` go into it as they stand."""
        asked = {"model": self.model, "messages": [dict(m) for m in question.messages], **params}
        form = response_format(question.kind) if self.endpoint.structured else None
        return asked if form is None else {**asked, "response_format": form}

    def read(self, body: Any) -> Completion:
        """Returns what a chat completion says.

        Raises:
            ValueError: it is no chat completion.
            JudgeStoppedError: it does not come from the revision that the card pins.
        """
        completion = self._completion(body)
        come_from = completion.model_revision.split(", ")
        if self.revision is not None and self.revision not in come_from:
            raise JudgeStoppedError(
                f"{self.endpoint.base_url} answered from {completion.model_revision!r}, not from "
                f"{self.revision!r}, which the card pins"
            )
        return completion

    def _completion(self, body: Any) -> Completion:
        try:
            choice = body["choices"][0]
            message = choice["message"]
            refusal = message.get("refusal")
            said = self.kept(str(refusal or _text_of(message.get("content"))))
            finish = str(choice.get("finish_reason") or "").lower()
            refused = bool(refusal) or finish == "content_filter"
            return Completion(
                said[:LONGEST_REPLY],
                _usage(body, said),
                ", ".join(
                    self.kept(str(part))[:_LONGEST_NAME]
                    for part in (body.get("model"), body.get("system_fingerprint"))
                    if part
                ),
                refused,
                cut=not refused and (finish in _CUT or len(said) > LONGEST_REPLY),
            )
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error

    def connected(self) -> AsyncOpenAI:
        """Returns the package's client; its connections belong to the loop that runs."""
        return self._connected().client

    def shown(self, error: Exception) -> str:
        """Returns what an endpoint or a connection says was wrong, without the key."""
        status = getattr(error, "status_code", None)
        text = str(getattr(error, "message", error))
        if status is not None and 300 <= status < 400:
            response = getattr(error, "response", None)
            place = "" if response is None else response.headers.get("location", "")
            text = (
                f"{status}: it sends on to {place or 'nowhere'}, which is not followed; if that is "
                "where to ask, set endpoint.base_url"
            )
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        if self._key != _NO_KEY:
            text = text.replace(self._key, "[key]")
        return text[:300] if status is None or str(status) in text else f"{status}: {text[:300]}"

    def kept(self, text: str) -> str:
        """Returns what may be kept of what an endpoint says: not the key."""
        if len(self._key) >= _LEAST_SECRET:
            text = text.replace(self._key, "[key]")
        # Half a surrogate pair is valid JSON and cannot be written.
        return text.encode("utf-8", "replace").decode()

    async def close(self) -> None:
        """Closes the connections of this loop."""
        if self._connections is not None and self._loop is asyncio.get_running_loop():
            await self._connections.close()
        self._connections = None

    def _connected(self) -> Connections:
        from openai import AsyncOpenAI

        # What goes unencrypted to this machine must not go to a proxy instead.
        url = urlsplit(self.endpoint.base_url)
        direct = url.scheme == "http" and _is_this_machine(url.hostname)
        loop = asyncio.get_running_loop()
        if self._connections is None or self._loop is not loop:
            self._connections = Connections(
                lambda: AsyncOpenAI(
                    api_key=self._key, base_url=self.endpoint.base_url, max_retries=0,
                    timeout=self.limits.timeout,
                    http_client=bounded_client(self.limits.timeout, direct=direct),
                )
            )  # fmt: skip
            self._loop = loop
        return self._connections

    async def _lose(self, question: Question) -> None:
        if self._tell_lost is not None:
            await self._tell_lost(question)

    async def _try(self, body: Mapping[str, object]) -> Completion | _Problem:
        from openai import APIConnectionError, APIStatusError

        try:
            return self.read(read_json(await self._connected().post("/chat/completions", body)))
        except APIStatusError as error:
            if error.status_code == 400 and error.code in _FILTERED:
                return Completion(self.kept(self.shown(error)), refused=True)
            again = error.status_code in _RETRIED or error.status_code >= 500
            again = again and error.code != "insufficient_quota"
            pause, charged = retry_after(error.response.headers), error.status_code in _GIVEN_UP
            return _Problem(self.shown(error), again, pause, charged)
        except APIConnectionError as error:
            sent = type(error.__cause__).__name__ not in _UNSENT
            return _Problem(self.shown(error), True, charged=sent)
        except (ValueError, RecursionError) as error:
            text = f"a body that is no chat completion ({self.shown(error)})"
            return _Problem(text, True, charged=True)


@dataclass(frozen=True)
class _Problem:
    """Why there is no answer.

    Attributes:
        text: what was wrong.
        again: whether to ask again.
        pause: after how many seconds, if the endpoint says.
        charged: the model may have answered, and the answer have been lost on its way.
    """

    text: str
    again: bool
    pause: float | None = None
    charged: bool = False


def read_json(text: str) -> Any:
    """Returns what JSON text holds; a number that is too long to be read is infinite.

    Raises:
        ValueError: it is no JSON.
    """

    def whole(digits: str) -> float:
        return int(digits) if len(digits) <= _LONGEST_NUMBER else math.inf

    return json.loads(text, parse_int=whole)


def _text_of(content: object) -> str:
    """Returns a message's text, which some endpoints send in parts; reasoning is no text."""
    if not isinstance(content, list):
        return str(content or "")
    parts = [part for part in content if isinstance(part, Mapping) and part.get("type") == "text"]
    return "".join(str(part.get("text") or "") for part in parts)


def _usage(body: Mapping[str, Any], said: str) -> dict[str, int]:
    """Returns the tokens that a reply says it took, as far as that can be.

    A question of no tokens cannot be, nor a text of none.
    """
    usage = body.get("usage")
    if not isinstance(usage, Mapping):
        return {}
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    counts = {
        "input": usage.get("prompt_tokens"),
        "output": usage.get("completion_tokens"),
        "cached": cached or None,
    }
    least = {"input": 1, "output": 1 if said else 0}
    return {kind: int(n) for kind, n in counts.items() if _is_count(n, least.get(kind, 0))}


def _is_count(n: object, least: int) -> TypeGuard[float]:
    return (
        isinstance(n, int | float)
        and not isinstance(n, bool)
        and least <= n <= _MOST_TOKENS
        and n == int(n)
    )


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname)
        plain = parts.username is None and parts.password is None and not parts.query
    except ValueError:
        right = plain = False
    if not (right and plain):
        # Not shown: what is wrong with it may be a secret in it.
        raise InputError(
            "endpoint.base_url must be like 'https://api.openai.com/v1', without user, password "
            "or query; the key comes from the variable that endpoint.api_key_env names"
        )


def _check_secrecy(endpoint: EndpointSpec) -> None:
    url = urlsplit(endpoint.base_url)
    unseen = url.scheme == "https" or _is_this_machine(url.hostname)
    if endpoint.api_key_env is not None and not unseen and not endpoint.insecure:
        raise InputError(
            f"the key would go unencrypted to {url.hostname}: endpoint.base_url must begin with "
            "https://, or, if everybody on the way may read the key, set endpoint.insecure = true"
        )


def _is_this_machine(host: str | None) -> bool:
    name = (host or "").rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    # What is unspecified, as a server says that listens everywhere, connects to this machine.
    return address.is_loopback or address.is_unspecified


def _read_key(variable: str | None) -> str:
    if variable is None:
        return _NO_KEY
    if not _VARIABLE.fullmatch(variable):
        raise InputError(
            "endpoint.api_key_env must be the name of an environment variable, not a key"
        )
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InputError(f"the environment variable {variable} is not set; it must hold the key")
    return key
