"""Does a judge keep the contract of :class:`~mtmbench.judges.base.JudgeClient`?"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping

from mtmbench.core.cards import JudgeCard
from mtmbench.core.specs import JudgingSpec
from mtmbench.judges.asker import Asker
from mtmbench.judges.base import Completion, JudgeClient, Option, Question
from mtmbench.judges.prompt import load_prompt
from mtmbench.judges.replies import DECISIONS, parse_verdict
from mtmbench.matches.match import MatchOutcome, Pair, Player, judge_pair
from mtmbench.matches.options import Projected, document_options
from mtmbench.testing.contract import ContractError, check_identity, made, require
from mtmbench.testing.planted import PLANTED_DOCUMENTS, planted_corpus, planted_result

_ROWS = list(range(0, PLANTED_DOCUMENTS, 10))
_MIRRORED = {"A": "B", "B": "A"}
_SHIFTS = (0, 4)
"""Two competitors: topics that are the themes, and topics of two half themes each."""


def check_judge(
    client: type[JudgeClient] | JudgeClient, *, decoding: Mapping[str, object] | None = None
) -> None:
    """Checks a judge: replies, what it sees, the order of options, repeatability.

    Asks 36 questions about twelve documents, and plays two matches unless it is a language model; a
    judge that costs money should be handed over with something that replays answers.

    Args:
        client: the judge, or its class, which is then made without arguments; it is closed at the
            end.
        decoding: decoding settings as on its card.

    Raises:
        ContractError: what is wrong, in one sentence.
    """
    judge: JudgeClient = made(client, JudgeClient)  # type: ignore[type-abstract]
    name = check_identity(judge)
    settings = dict(decoding or {})
    for flag in ("is_llm", "order_free"):
        require(isinstance(getattr(judge, flag), bool), f"{name}: {flag} must be True or False")
    require(
        inspect.iscoroutinefunction(judge.answer), f"{name}: answer must be an `async def` method"
    )
    # One loop for all questions and for closing: clients keep connections that belong to a loop.
    asyncio.run(_check_and_close(judge, settings, name))


async def _check_and_close(client: JudgeClient, decoding: Mapping[str, object], name: str) -> None:
    try:
        if not client.is_llm:
            await _check_matches(client, decoding, name)
        await _check_replies(client, decoding, name)
    finally:
        await client.close()


async def _check_replies(client: JudgeClient, decoding: Mapping[str, object], name: str) -> None:
    options = [_options(shift) for shift in _SHIFTS]
    client.prepare_documents(planted_corpus(), _ROWS)
    client.prepare(planted_corpus(), [*options[0], *options[1]], _ROWS)
    verdicts = []
    for row, first, second in zip(_ROWS, *options, strict=True):
        _check_sees(client, first, name)
        verdict = await _verdict(client, row, (first, second), decoding, name)
        repeated = await _verdict(client, row, (first, second), decoding, name)
        swapped = await _verdict(client, row, (second, first), decoding, name)
        require(
            client.is_llm or verdict == repeated,
            f"{name}: the same question and replicate get {verdict!r}, then {repeated!r}; a judge "
            "that is no language model must repeat itself",
        )
        require(
            not client.order_free or swapped == _MIRRORED.get(verdict, verdict),
            f"{name}: order_free is set, but swapping the options turns {verdict!r} into "
            f"{swapped!r}",
        )
        verdicts.append(verdict)
    require(
        any(verdict in DECISIONS for verdict in verdicts),
        f"{name}: none of {len(verdicts)} replies states a verdict; see mtmbench.judges.replies",
    )


def _check_sees(client: JudgeClient, option: Option, name: str) -> None:
    renamed = Option("another name", option.topics)
    try:
        equal = hash(client.sees(option)) == hash(client.sees(renamed))
    except TypeError as error:
        raise ContractError(f"{name}: sees must return something hashable: {error}") from error
    require(
        equal and client.sees(option) == client.sees(renamed),
        f"{name}: sees must be equal for equal topics, whatever their model is called",
    )


async def _verdict(
    client: JudgeClient,
    row: int,
    options: tuple[Option, Option],
    decoding: Mapping[str, object],
    name: str,
) -> str:
    corpus = planted_corpus()
    text = corpus.texts[row]
    context = {"corpus": corpus.name, "doc_id": corpus.doc_ids[row], "text": text}
    messages = load_prompt("match").messages(text, options) if client.is_llm else ()
    completion = await client.answer(Question("match", context, options, messages), decoding, 0)
    if not isinstance(completion, Completion) or not isinstance(completion.text, str):
        raise ContractError(f"{name}: answer must return a Completion, not {completion!r:.80}")
    require(
        all(isinstance(tokens, int) and tokens >= 0 for tokens in completion.usage.values()),
        f"{name}: usage must count tokens, not {dict(completion.usage)!r:.80}",
    )
    return "refused" if completion.refused else parse_verdict(completion.readable)


async def _check_matches(client: JudgeClient, decoding: Mapping[str, object], name: str) -> None:
    one_by_one = await _match(client, decoding, name, concurrency=1)
    at_once = await _match(client, decoding, name, concurrency=6)
    require(
        (one_by_one.forward, one_by_one.backward) == (at_once.forward, at_once.backward),
        f"{name}: the verdicts depend on how many questions are under way at one time",
    )


async def _match(
    client: JudgeClient, decoding: Mapping[str, object], name: str, *, concurrency: int
) -> MatchOutcome:
    whole, halves = (
        Player(name, planted_result(shift=shift), _projected(shift))
        for name, shift in zip(("whole", "halves"), _SHIFTS, strict=True)
    )
    asker = Asker(client, JudgeCard(client=name, decoding=decoding), None, concurrency=concurrency)
    try:
        return await judge_pair(asker, Pair(planted_corpus(), _ROWS, whole, halves))
    except Exception as error:
        raise ContractError(f"{name}: a match fails: {type(error).__name__}: {error}") from error


def _options(shift: int) -> list[Option]:
    return document_options(
        planted_result(shift=shift), _ROWS, "halves" if shift else "whole", spec=JudgingSpec(),
        representation="items", projected=_projected(shift),
    )  # fmt: skip


def _projected(shift: int) -> Projected:
    result = planted_result(shift=shift)
    weights = [
        [float(result.topic_item[k, i]) for i in row] for k, row in enumerate(result.top_items(10))
    ]
    words = (result.top_labels(10), weights)
    return Projected("0" * len(result.doc_topic), (words, words))
