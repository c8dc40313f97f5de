"""A chat model in this process, by transformers: no server, no key, nothing sent anywhere."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.serialise import content_hash, seed_from
from mtmbench.features.sae.pretrained import DTYPES, FETCHED, model_folder
from mtmbench.judges.base import Completion, JudgeClient, Question
from mtmbench.judges.chat_tokens import ChatTokens, SystemRole
from mtmbench.judges.clients.decode import Decoding, continue_prompts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

READ = (*FETCHED, "*.jinja")
"""What a hub name is downloaded of, and what the revision is a hash of."""

_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class _Asked:
    """A question that waits for its turn, and where its answer goes."""

    ids: list[int]
    decoding: Decoding
    seed: int
    reply: asyncio.Future[Completion]


class TransformersJudge(JudgeClient):
    """Asks a chat model that this process has loaded.

    The chat template is the tokenizer's own, applied so that no document can write control tokens
    (:mod:`mtmbench.judges.chat_tokens`). Decoding is the card's alone; what the model's
    ``generation_config.json`` says of sampling or penalties is left aside. Settings of decoding are
    ``max_tokens`` (256), ``temperature`` (0, which is greedy), ``top_p`` (1) and ``seed`` (0). A
    sampled reply depends on the seed, the conversation and the replicate, not on what was asked
    before it.

    Args:
        model: a folder in Hugging Face's format, or a hub name.
        dtype: "float32", "bfloat16" or "float16", of weights and forward pass.
        device: a torch device, such as "cpu" or "cuda".
        system: "user" puts the system message in front of the user's, for templates that know none.
        template: further values for the chat template, such as ``{enable_thinking = false}``.
        batch_size: questions that go through the model together. In a batch the last bits of the
            probabilities depend on what else is in it, so that only 1 gives the same replies
            however the work was split or taken up again.
    """

    name: ClassVar[str] = "transformers"
    version: ClassVar[int] = 1
    is_llm: ClassVar[bool] = True
    free: ClassVar[bool] = True

    def __init__(
        self,
        model: str = "",
        dtype: str = "float32",
        device: str = "cpu",
        system: SystemRole = "system",
        template: Mapping[str, object] | None = None,
        batch_size: int = 1,
    ) -> None:
        if not model:
            raise InputError("client 'transformers': params name no model (a folder or a hub name)")
        if dtype not in DTYPES:
            raise UnknownNameError("dtype", dtype, DTYPES)
        if system not in ("system", "user"):
            raise InputError(f"system must be 'system' or 'user', not {system!r}")
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1, not {batch_size!r}")
        self.model = model
        self.dtype, self.device = dtype, device
        self.system = system
        self.template = dict(template or {})
        self.batch_size = batch_size
        self._waiting: list[_Asked] = []
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=1)

    @cached_property
    def folder(self) -> Path:
        """Where the model lies; a hub name is downloaded when first needed."""
        return model_folder(self.model, READ)

    @cached_property
    def revision(self) -> str:
        """Content hash of the files of weights, tokenizer, template and configuration."""
        names = sorted({path.name for pattern in READ for path in self.folder.glob(pattern)})
        if not any(name.endswith(".safetensors") for name in names):
            raise InputError(f"{self.folder} holds no weights (model*.safetensors)")
        return content_hash(*(part for n in names for part in (n, _file_hash(self.folder / n))))

    async def answer(
        self, question: Question, params: Mapping[str, object], replicate: int
    ) -> Completion:
        """Asks the model; questions asked while it is at work wait for it together.

        Raises:
            InputError: the question has no messages, a setting of decoding is wrong, or the
                conversation is longer than the model can read.
        """
        if not question.messages:
            raise InputError(f"a {question.kind} question without messages cannot be put to a chat")
        decoding = Decoding.of(params)
        messages = [dict(message) for message in question.messages]
        loop = asyncio.get_running_loop()
        ids = await loop.run_in_executor(self._pool, self._encode, messages, decoding)
        seed = seed_from("transformers judge", decoding.seed, replicate, messages)
        asked = _Asked(ids, decoding, seed, loop.create_future())
        with self._lock:
            self._waiting.append(asked)
        await loop.run_in_executor(self._pool, self._answer_some)
        return await asked.reply

    async def close(self) -> None:
        """Lets go of the worker thread."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _encode(self, messages: Sequence[Mapping[str, str]], decoding: Decoding) -> list[int]:
        loaded = _load(self.folder, self.dtype, self.device)
        ids = self._tokens.encode(messages)
        positions = getattr(loaded.model.config, "max_position_embeddings", None)
        if positions is not None and len(ids) + decoding.max_tokens > positions:
            raise InputError(
                f"a conversation of {len(ids)} tokens and a reply of up to {decoding.max_tokens} "
                f"are more than the {positions} that {self.model} reads"
            )
        return ids

    def _answer_some(self) -> None:
        """Answers the first of those who wait and, with it, others of the same decoding."""
        with self._lock:
            if not self._waiting:
                return
            decoding = self._waiting[0].decoding
            batch = [one for one in self._waiting if one.decoding == decoding][: self.batch_size]
            self._waiting = [one for one in self._waiting if one not in batch]
        try:
            replies = self._replies(batch, decoding)
        except Exception as error:
            for one in batch:
                _settle(one.reply, error)
            return
        for one, reply in zip(batch, replies, strict=True):
            _settle(one.reply, reply)

    def _replies(self, batch: Sequence[_Asked], decoding: Decoding) -> list[Completion]:
        loaded = _load(self.folder, self.dtype, self.device)
        produced = continue_prompts(
            loaded.model, [one.ids for one in batch], decoding, [one.seed for one in batch],
            stop_ids=loaded.stop_ids, padding=loaded.padding,
        )  # fmt: skip
        return [
            Completion(
                str(loaded.tokenizer.decode(ids, skip_special_tokens=True)),
                {"input": len(one.ids), "output": len(ids)},
                self.revision,
                cut=not ids or ids[-1] not in loaded.stop_ids,
            )
            for one, ids in zip(batch, produced, strict=True)
        ]

    @cached_property
    def _tokens(self) -> ChatTokens:
        tokenizer = _load(self.folder, self.dtype, self.device).tokenizer
        return ChatTokens(tokenizer, self.template, self.system)


@dataclass(frozen=True)
class _Loaded:
    model: Any
    tokenizer: PreTrainedTokenizerBase
    stop_ids: tuple[int, ...]
    padding: int


# One model stays in memory between clients: a worker plays league after league, value after value.
@lru_cache(maxsize=1)
def _load(folder: Path, dtype: str, device: str) -> _Loaded:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    stops = model.generation_config.eos_token_id
    stops = [stops] if isinstance(stops, int) else list(stops or ())
    found = {int(stop) for stop in (*stops, tokenizer.eos_token_id) if stop is not None}
    if not found:
        raise InputError(f"{folder} names no token that ends a reply (eos_token_id)")
    padding = tokenizer.pad_token_id
    return _Loaded(
        model.to(device).eval(), tokenizer, tuple(sorted(found)),
        min(found) if padding is None else int(padding),
    )  # fmt: skip


def _settle(future: asyncio.Future[Completion], outcome: Completion | Exception) -> None:
    """Hands an outcome to the loop that waits for it; one that was given up is left."""

    def hand_over() -> None:
        if future.done():
            return
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    future.get_loop().call_soon_threadsafe(hand_over)


def _file_hash(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
