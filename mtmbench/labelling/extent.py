"""What a judge is asked to sort an SAE's labels into classes, before anything is asked."""

from __future__ import annotations

from mtmbench.engine.estimate import CHARACTERS_PER_TOKEN, JudgeEstimate, estimate_of
from mtmbench.judges.prompt import load_template
from mtmbench.judges.registry import load_judge_card
from mtmbench.labelling.autointerp import InterpretSpec

_LABEL_CHARACTERS = 60
"""Of one label with its number; a judge's own have at most 90."""
_LINE_TOKENS = 5
"""Of the reply's line for a label."""


def class_estimate(judge: str, n_features: int) -> JudgeEstimate:
    """Returns what ``mtmbench label --classes`` asks, at most: equal labels are asked about once.

    Args:
        judge: a judge card.
        n_features: F.
    """
    prompt = load_template(
        InterpretSpec().class_prompt, {"fence", "labels"}, {"labels_per_question": 1}
    )
    step = prompt.settings["labels_per_question"]
    n_calls = -(-n_features // step)
    characters = n_calls * (len(prompt.system) + len(prompt.user)) + n_features * _LABEL_CHARACTERS
    return estimate_of(
        judge, load_judge_card(judge), "classes of features", 1, n_features, n_calls,
        lambda _: characters // CHARACTERS_PER_TOKEN, answer_tokens=step * _LINE_TOKENS,
    )  # fmt: skip
