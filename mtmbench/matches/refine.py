"""Refinement: up to two odd items are dropped from the top ones, by a judge card, for every model.

What is dropped is not filled up: a refined topic shows fewer items. A topic whose reply is unparsed
or refused keeps all of its items, and records and board count it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mtmbench.core.topic_result import TopicResult
from mtmbench.judges.asker import Asker
from mtmbench.judges.prompt import Template
from mtmbench.judges.replies import MOST_ODD, parse_odd
from mtmbench.judges.topic_questions import TopicAnswer, ask_about_topics

Dropped = tuple[int, ...]
"""Columns of the items that a topic is shown without."""


async def odd_items(
    asker: Asker, result: TopicResult, top_items: int, prompt: Template
) -> list[TopicAnswer[Dropped]]:
    """Returns, per topic, the columns of the items to drop.

    A topic of no more items than may be dropped is not asked about.
    """
    top = result.top_items(top_items)
    answers = await ask_about_topics(
        asker,
        [[result.items.labels[i] for i in columns] for columns in top],
        prompt,
        lambda reply, items: parse_odd(reply, len(items)),
        kind="label",
        least=MOST_ODD + 1,
    )
    return [
        TopicAnswer(
            answer.status,
            None if answer.value is None else tuple(columns[i] for i in answer.value),
            answer.reply,
        )
        for answer, columns in zip(answers, top, strict=True)
    ]


def without(result: TopicResult, top_items: int, dropped: Sequence[Dropped]) -> TopicResult:
    """Returns the result as it is shown: each topic's ``top_items`` strongest less the dropped."""
    shown = np.zeros_like(result.item_weights)
    for k, (columns, odd) in enumerate(zip(result.top_items(top_items), dropped, strict=True)):
        kept = [i for i in columns if i not in odd]
        shown[k, kept] = result.item_weights[k, kept]
    return replace(result, shown_item=shown)
