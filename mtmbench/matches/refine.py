"""Refinement: a few odd items are dropped from the top ones, by a judge card, for every model.

Where a suite says how many items the refiner is shown and may drop, as in the paper 12 and 2, the
strongest of those left are shown. Where it does not, up to two are dropped of those shown, and a
refined topic shows fewer items. A topic whose reply is unparsed or refused loses none, and records
and board count it.
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
    asker: Asker, result: TopicResult, show: int, prompt: Template, drop: int = MOST_ODD
) -> list[TopicAnswer[Dropped]]:
    """Returns, per topic, the columns of the items to drop, at most ``drop`` of the first ``show``.

    A topic of no more items than may be dropped is not asked about.
    """
    top = result.top_items(show)
    answers = await ask_about_topics(
        asker,
        [[result.items.labels[i] for i in columns] for columns in top],
        prompt,
        lambda reply, items: parse_odd(reply, len(items), drop),
        kind="label",
        least=drop + 1,
        task="refine",
        more={"drop": str(drop)},
    )
    return [
        TopicAnswer(
            answer.status,
            None if answer.value is None else tuple(columns[i] for i in answer.value),
            answer.reply,
        )
        for answer, columns in zip(answers, top, strict=True)
    ]


def without(
    result: TopicResult, show: int, dropped: Sequence[Dropped], top_items: int | None = None
) -> TopicResult:
    """Returns the result as it is shown.

    Args:
        result: the result.
        show: how many of each topic's strongest items the refiner was shown.
        dropped: what it dropped, a topic each.
        top_items: how many of those left are shown, the strongest; all of them if None.
    """
    shown = np.zeros_like(result.item_weights)
    for k, (columns, odd) in enumerate(zip(result.top_items(show), dropped, strict=True)):
        kept = [i for i in columns if i not in odd][:top_items]
        shown[k, kept] = result.item_weights[k, kept]
    return replace(result, shown_item=shown)
