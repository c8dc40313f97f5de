"""A chat model behind any endpoint that speaks OpenAI's chat-completions API.

The ``openai`` package does the talking and nothing else: how fast and how often is asked again is
settled here, one way for all endpoints. The key is read from the environment variable that the
card names, and is cut out of whatever an endpoint says before anybody sees it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from mtmbench.core.cards import EndpointSpec, JudgeCard, LimitSpec
from mtmbench.core.errors import InputError
from mtmbench.judges.base import Completion, JudgeClient, JudgeError, JudgeStoppedError, Question
from mtmbench.judges.clients.connections import Connections
from mtmbench.judges.limits import LONGEST_WAIT, backoff, limiter_of, retry_after
from mtmbench.judges.replies import response_format

if TYPE_CHECKING:
    from openai import AsyncOpenAI

LONGEST_REPLY = 100_000
"""Characters of a reply that are kept; nobody was asked for more."""

_RETRIED = frozenset({408, 409, 429})
_FILTERED = frozenset({"content_filter", "content_policy_violation"})
_CHARACTERS_PER_TOKEN = 4
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NO_KEY = "none"


class OpenAIJudge(JudgeClient):
    """Asks a chat model by HTTP, in the pace and with the patience of the card's limits.

    Timeouts, dropped connections, bodies that are no completion and the statuses 408, 409, 429 and
    from 500 up are tried again, ``limits.retries`` times, or as long as the endpoint asks for
    pauses. Any other status ends the work, since what is wrong with one question is wrong with
    all; so does an endpoint that answered nobody while a question ran out of retries.

    Args:
        model: the name by which the endpoint knows the model.
        endpoint: where it is asked.
        limits: how fast, how often and how long.
        revision: model or system fingerprint that every answer must come from.

    Raises:
        InputError: model or endpoint is missing or wrong, or the variable of the key is not set.
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
        answered, failures, paused = self._answered, 0, 0.0
        while True:
            await self._limiter.wait(estimated)
            found = await self._try(body)
            if isinstance(found, Completion):
                self._answered += 1
                actual = found.usage.get("input", 0) + found.usage.get("output", 0)
                self._limiter.took(estimated, actual or estimated)
                return found
            if not found.again or (found.pause or 0.0) > LONGEST_WAIT:
                raise JudgeStoppedError(f"{self.endpoint.base_url} says: {found.text}")
            if found.pause is None:
                failures += 1
                pause = backoff(failures)
            else:
                self._limiter.hold(found.pause)
                pause = found.pause * (1 + 0.1 * random.random()) + 0.05
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
        completion = _completion(body)
        come_from = completion.model_revision.split(", ")
        if self.revision is not None and self.revision not in come_from:
            raise JudgeStoppedError(
                f"{self.endpoint.base_url} answered from {completion.model_revision!r}, not from "
                f"{self.revision!r}, which the card pins"
            )
        return completion

    def connected(self) -> AsyncOpenAI:
        """Returns the package's client; its connections belong to the loop that runs."""
        return self._connected().client

    def shown(self, error: Exception) -> str:
        """Returns what an endpoint or a connection says was wrong, without the key."""
        status = getattr(error, "status_code", None)
        text = " ".join(str(getattr(error, "message", error)).split())
        if self._key != _NO_KEY:
            text = text.replace(self._key, "[key]")
        return text[:300] if status is None or str(status) in text else f"{status}: {text[:300]}"

    async def close(self) -> None:
        """Closes the connections of this loop."""
        if self._connections is not None and self._loop is asyncio.get_running_loop():
            await self._connections.close()
        self._connections = None

    def _connected(self) -> Connections:
        from openai import AsyncOpenAI

        loop = asyncio.get_running_loop()
        if self._connections is None or self._loop is not loop:
            self._connections = Connections(
                lambda: AsyncOpenAI(
                    api_key=self._key, base_url=self.endpoint.base_url, max_retries=0,
                    timeout=self.limits.timeout,
                )
            )  # fmt: skip
            self._loop = loop
        return self._connections

    async def _try(self, body: Mapping[str, object]) -> Completion | _Problem:
        from openai import APIConnectionError, APIStatusError

        try:
            return self.read(json.loads(await self._connected().post("/chat/completions", body)))
        except APIStatusError as error:
            if error.status_code == 400 and error.code in _FILTERED:
                return Completion(self.shown(error), refused=True)
            again = error.status_code in _RETRIED or error.status_code >= 500
            again = again and error.code != "insufficient_quota"
            return _Problem(self.shown(error), again, retry_after(error.response.headers))
        except APIConnectionError as error:
            return _Problem(self.shown(error), True)
        except (ValueError, RecursionError) as error:
            return _Problem(f"a body that is no chat completion ({self.shown(error)})", True)


@dataclass(frozen=True)
class _Problem:
    """Why there is no answer; whether to ask again, and after what pause if one was asked for."""

    text: str
    again: bool
    pause: float | None = None


def _completion(body: Any) -> Completion:
    try:
        choice = body["choices"][0]
        message = choice["message"]
        text, refusal = message.get("content"), message.get("refusal")
        usage = body.get("usage") or {}
        tokens = {
            "input": usage.get("prompt_tokens"),
            "output": usage.get("completion_tokens"),
            "cached": (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or None,
        }
        revision = [body.get("model"), body.get("system_fingerprint")]
        # Half a surrogate pair is valid JSON and cannot be written.
        said = str(refusal or text or "")[:LONGEST_REPLY].encode("utf-8", "replace").decode()
        return Completion(
            said,
            {kind: int(n) for kind, n in tokens.items() if n is not None},
            ", ".join(str(part) for part in revision if part),
            bool(refusal) or choice.get("finish_reason") == "content_filter",
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


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
