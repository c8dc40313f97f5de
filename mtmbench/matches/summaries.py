"""One-sentence summaries of topics: written by a judge card, or taken from documents by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.judge_facts import JudgeFacts
from mtmbench.core.serialise import canonical_json
from mtmbench.core.specs import JudgingSpec
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.judges.asker import Asker, gather
from mtmbench.judges.base import Question
from mtmbench.judges.identity import judge_identity
from mtmbench.judges.prompt import Template
from mtmbench.judges.registry import load_judge_card
from mtmbench.judges.replies import parse_extract, parse_summary
from mtmbench.judges.topic_questions import TopicAnswer, TopicStatus, ask_about_topics
from mtmbench.matches.match import MatchOutcome
from mtmbench.matches.options import top_topics


async def summarise(
    asker: Asker, result: TopicResult, top_items: int, prompt: Template
) -> list[TopicAnswer[str]]:
    """Returns a sentence for each topic, from its items; a topic without items has none."""
    limit = prompt.settings["summary_characters"]
    return await ask_about_topics(
        asker, result.top_labels(top_items), prompt,
        lambda reply, _: parse_summary(reply, limit), kind="summary",
    )  # fmt: skip


@dataclass(frozen=True)
class Extract:
    """A summary that was taken from documents, and their ids."""

    text: str
    documents: Sequence[str]


async def extract_summaries(
    asker: Asker, result: TopicResult, corpus: Corpus, rows: Sequence[int]
) -> list[TopicAnswer[Extract]]:
    """Returns a summary of each topic, taken from documents; one that none of them is on has none.

    The answers are not kept in a ledger: they cost nothing, and depend on more than a message.

    Args:
        asker: of a judge that ``extracts``.
        result: the topics.
        corpus: their corpus.
        rows: the documents that may be taken from.
    """
    asker.client.prepare_summaries(corpus, result.doc_topic)

    async def one(topic: int) -> TopicAnswer[Extract]:
        shares = result.doc_topic[rows, topic]
        strongest = np.argsort(-shares, kind="stable")
        ids = [corpus.doc_ids[rows[i]] for i in strongest if shares[i] > 0]
        if not ids:
            return TopicAnswer("empty")
        question = Question("summary", {"topic": topic, "documents": ids}, ())
        answer = await asker.ask(question, f"summary of topic {topic}")
        found = parse_extract(answer.readable)
        if found is None:
            return TopicAnswer("unparsed", reply=answer.text)
        return TopicAnswer("ok", Extract(*found)) if found[0] else TopicAnswer("empty")

    return await gather([one(topic) for topic in range(result.n_topics)])


def with_summaries(result: TopicResult, summaries: Sequence[str | None]) -> TopicResult:
    """Returns the result with these summaries; a missing one is empty."""
    return replace(result, summaries=tuple(summary or "" for summary in summaries))


def unshown_rows(
    result: TopicResult, rows: Sequence[int], statuses: Sequence[TopicStatus], spec: JudgingSpec
) -> dict[int, str]:
    """Returns the documents that show a topic whose summary is missing, and why.

    Args:
        result: the topics.
        rows: the documents judged.
        statuses: of each topic's summary; one without items ("empty") is shown as an empty topic.
        spec: which topics a document shows.

    Returns:
        Row to the outcome character of :mod:`mtmbench.matches.match`: "r" if a summary was refused,
        "u" if one was unparsed.
    """
    found = {}
    for row in rows:
        shown = top_topics(result.doc_topic[row], max_topics=spec.max_topics, share=spec.share)
        why = {statuses[k] for k in shown} & {"unparsed", "refused"}
        if why:
            found[row] = "u" if "unparsed" in why else "r"
    return found


def with_unshown(
    outcome: MatchOutcome, rows: Sequence[int], unshown: Mapping[int, str]
) -> MatchOutcome:
    """Returns the outcome over all ``rows``, of which those in ``unshown`` were not played.

    Their pair is removed, like one whose verdict could not be read.
    """
    played = iter(zip(outcome.forward, outcome.backward, outcome.replies, strict=True))
    whole = [
        (unshown[row], unshown[row], (None, None)) if row in unshown else next(played)
        for row in rows
    ]
    return replace(
        outcome,
        forward="".join(forward for forward, _, _ in whole),
        backward="".join(backward for _, backward, _ in whole),
        replies=tuple(replies for _, _, replies in whole),
    )


def check_summariser(spec: JudgingSpec) -> None:
    """Refuses a suite whose summaries would be judged by the model that wrote them.

    Raises:
        InputError: summariser and a judge (or a member of a jury) are one model and the suite does
            not say ``same_summariser = true``; or a summariser is named and no board shows
            summaries.
        UnknownNameError: there is no such card.
    """
    if spec.summariser is None:
        return
    if "summary" not in spec.representations:
        raise InputError(
            f"summariser {spec.summariser!r} is named, but representations are "
            f'{list(spec.representations)}; add "summary"'
        )
    for judge in _of_its_model(spec.summariser, spec):
        if not spec.same_summariser:
            raise InputError(
                f"judge {judge!r} would rule on summaries that its own model wrote (summariser "
                f"{spec.summariser!r}); name another, or set same_summariser = true"
            )


def check_writers(writers: Iterable[str], spec: JudgingSpec) -> None:
    """Refuses a suite whose topics would be judged by the model that wrote them.

    Args:
        writers: the judge cards that models ask.
        spec: the suite's judging.

    Raises:
        InputError: one of them and a judge (or a member of a jury) are one model.
        UnknownNameError: there is no such card.
    """
    for writer in writers:
        for judge in _of_its_model(writer, spec):
            raise InputError(
                f"judge {judge!r} would rule on topics that its own model wrote (a model asks "
                f"{writer!r}); name another"
            )


def _of_its_model(author: str, spec: JudgingSpec) -> list[str]:
    """Returns the judges of a suite behind whose cards is a model that is behind the author's."""
    own = _models(judge_identity(load_judge_card(author)))
    return [name for name in spec.judges if own & _models(judge_identity(load_judge_card(name)))]


def _models(facts: JudgeFacts) -> set[str]:
    """The models behind a card, those of a jury's members among them."""
    members = facts.get("members")
    if members:
        return {model for member in members.values() for model in _models(member)}
    model = facts.get("model") or facts["params"].get("model")
    return {canonical_json([facts["client"], model or facts["params"]])}
