"""Automatic interpretation: a judge labels features, scores labels, and sorts them into classes.

A label is written by a judge that reads a feature's strongest contexts, the firing token marked,
against random ones in which the feature does not fire. Its score is that of detection (as in Paulo
et al. 2024): shown the label and held-out contexts, activating and random ones mixed, no token
marked, a judge says in which the feature fires; the score is the balanced accuracy of what it says,
0.5 for a label that says nothing. A reply that cannot be parsed and a refusal are kept as such.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import seed_from
from mtmbench.core.types import Progress
from mtmbench.features.interpretation import (
    MARKS,
    Detection,
    FeatureLabel,
    Interpretation,
    ScoreStatus,
)
from mtmbench.features.labels import CLASSES, NO_CLASS, NO_LABEL, in_class
from mtmbench.features.sae.contexts import Context, FeatureContexts, RandomContext
from mtmbench.judges.asker import Asker, gather
from mtmbench.judges.base import Question
from mtmbench.judges.prompt import Template, load_template
from mtmbench.judges.replies import parse_active, parse_classes, parse_label
from mtmbench.labelling.context_text import marked, marks, numbered, unmarked


@dataclass(frozen=True)
class InterpretSpec:
    """How many contexts are shown, and by which prompts.

    Attributes:
        strongest: activating contexts shown for labelling, the strongest.
        random: random contexts shown for labelling.
        held_out: activating contexts that a label is scored on, and random ones, as many of each;
            none of them was shown for labelling. Activating ones are of the random sample; where
            that has too few, of the strongest that were not shown.
        min_held_out: with fewer of either kind there is no score.
        seed: of the choice among contexts and of their order.
        label_prompt: prompt file for labelling, a name or a path.
        detect_prompt: prompt file for scoring.
        class_prompt: prompt file for classes.
    """

    strongest: int = 12
    random: int = 6
    held_out: int = 10
    min_held_out: int = 5
    seed: int = 0
    label_prompt: str = "label"
    detect_prompt: str = "detect"
    class_prompt: str = "label_class"

    def __post_init__(self) -> None:
        for name, least in (("strongest", 1), ("random", 0), ("min_held_out", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, not {getattr(self, name)!r}")
        if self.held_out < self.min_held_out:
            raise InputError(
                f"held_out is {self.held_out}, less than min_held_out = {self.min_held_out}"
            )


async def interpret(
    asker: Asker,
    contexts: FeatureContexts,
    *,
    features: Sequence[int] | None = None,
    labels: Sequence[str] | None = None,
    spec: InterpretSpec | None = None,
    score: bool = True,
    classes: bool = False,
    progress: Progress | None = None,
) -> Interpretation:
    """Has a judge label features, score the labels and sort them, as asked for.

    Questions are of kind "label"; chat clients read ``messages``, others ``context``: "task" is
    "label" (with "active" and "others", lists of texts), "detect" (with "label" and "passages") or
    "class" (with "labels"), and "feature" the feature's number.

    Args:
        asker: puts the questions and keeps the answers; with the same ledger, work that was
            interrupted goes on where it stopped.
        contexts: contexts of all F features.
        features: which features, all by default.
        labels: F labels made elsewhere, to be scored or sorted instead of being written; marks in
            brackets that say there is none (:data:`MARKS`) count as none.
        spec: how many contexts, by which prompts.
        score: whether labels are scored.
        classes: whether labels are sorted into classes.
        progress: told how many of how many features are done.

    Raises:
        InputError: the features or labels are not of these contexts, or a prompt is not one.
        JudgeError: the client raised; what was answered before is kept.
    """
    spec = spec or InterpretSpec()
    chosen = range(contexts.n_features) if features is None else sorted(set(features))
    if len(chosen) and not 0 <= chosen[0] <= chosen[-1] < contexts.n_features:
        raise InputError(
            f"features {chosen[0]} to {chosen[-1]} were asked for; there are {contexts.n_features}"
        )
    if labels is not None and len(labels) != contexts.n_features:
        raise InputError(f"{len(labels)} labels for the contexts of {contexts.n_features} features")
    interpreter = _Interpreter(asker, contexts, spec)
    return await interpreter.interpret(chosen, labels, score, classes, progress)


@dataclass(eq=False)
class _Interpreter:
    asker: Asker
    contexts: FeatureContexts
    spec: InterpretSpec
    prompts: dict[str, dict[str, str]] = field(default_factory=dict)

    async def interpret(
        self,
        chosen: Sequence[int],
        given: Sequence[str] | None,
        score: bool,
        classes: bool,
        progress: Progress | None,
    ) -> Interpretation:
        label_prompt = None
        if given is None:
            label_prompt = self._template(
                "label", self.spec.label_prompt, ("open", "close", "active", "others"),
                {"context_characters": 40, "label_characters": 10},
            )  # fmt: skip
        detect_prompt = None
        if score:
            detect_prompt = self._template(
                "detect", self.spec.detect_prompt, ("label", "passages"), {"context_characters": 40}
            )
        done = 0

        async def one(feature: int) -> FeatureLabel:
            nonlocal done
            if label_prompt is None:
                assert given is not None
                found = _given(feature, given[feature])
            else:
                found = await self._label(feature, label_prompt)
            if detect_prompt is not None:
                detection = await self._detect(feature, found.label, detect_prompt)
                found = FeatureLabel(feature, found.label, found.status, detection)
            done += 1
            if progress is not None:
                progress(done, len(chosen))
            return found

        made = {label.feature: label for label in await gather([one(f) for f in chosen])}
        labels = tuple(
            made.get(feature)
            or (
                FeatureLabel(feature, None, "not asked") if given is None else _given(feature, text)
            )
            for feature, text in enumerate(given or [""] * self.contexts.n_features)
        )
        sorted_into = await self._classes(labels, set(made)) if classes else None
        return Interpretation(
            labels, sorted_into, self.asker.record(), self.prompts, self.asker.asked
        )

    async def _label(self, feature: int, prompt: Template) -> FeatureLabel:
        strongest = self.contexts.strongest[feature][: self.spec.strongest]
        if not strongest:
            return FeatureLabel(feature, None, "no contexts")
        silent, _ = self._silent(feature)
        limit = prompt.settings["context_characters"]
        opening, closing = marks(strongest)
        active = [marked(context, limit, opening, closing) for context in strongest]
        others = [unmarked(context, limit) for context in silent]
        question = Question(
            "label",
            {"task": "label", "feature": feature, "active": active, "others": others},
            (),
            prompt.messages(
                {
                    "open": opening, "close": closing, "active": numbered(active),
                    "others": numbered(others),
                }
            ),
        )  # fmt: skip
        answer = await self.asker.ask(question, f"label of feature {feature}")
        if answer.refused:
            return FeatureLabel(feature, None, "refused")
        label = parse_label(answer.readable, prompt.settings["label_characters"])
        if label is None:
            return FeatureLabel(feature, None, "unparsed")
        if label == NO_LABEL:
            return FeatureLabel(feature, None, "none")
        return FeatureLabel(feature, label, "ok")

    async def _detect(self, feature: int, label: str | None, prompt: Template) -> Detection:
        if label is None:
            return Detection("no label")
        active, silent = self._held_out(feature)
        if min(len(active), len(silent)) < self.spec.min_held_out:
            return Detection("too few contexts", len(active), 0, len(silent), 0)
        limit = prompt.settings["context_characters"]
        mixed: list[Context | RandomContext] = [*active, *silent]
        order = self._generator("order", feature).permutation(len(mixed)).tolist()
        passages = [unmarked(mixed[i], limit) for i in order]
        question = Question(
            "label",
            {"task": "detect", "feature": feature, "label": label, "passages": passages},
            (),
            prompt.messages({"label": label, "passages": numbered(passages)}),
        )
        answer = await self.asker.ask(question, f"score of feature {feature}")
        named = None if answer.refused else parse_active(answer.readable, len(mixed))
        if named is None:
            status: ScoreStatus = "refused" if answer.refused else "unparsed"
            return Detection(status, len(active), 0, len(silent), 0)
        hits = sum(order[i] < len(active) for i in named)
        return Detection("ok", len(active), hits, len(silent), len(named) - hits)

    async def _classes(self, labels: Sequence[FeatureLabel], chosen: set[int]) -> tuple[str, ...]:
        prompt = self._template(
            "class", self.spec.class_prompt, ("labels",), {"labels_per_question": 1}
        )
        # A class is one of the text alone, so equal labels are asked about once.
        texts = list(dict.fromkeys(found.shown for found in labels if found.feature in chosen))
        # A bracketed mark says itself what class it is of.
        texts = [text for text in texts if not text.startswith("(")]
        step = prompt.settings["labels_per_question"]

        async def some(first: int) -> dict[str, str]:
            part = texts[first : first + step]
            question = Question(
                "label",
                {"task": "class", "labels": part},
                (),
                prompt.messages({"labels": numbered(part)}),
            )
            answer = await self.asker.ask(question, f"classes of labels {first + 1} and on")
            found = None if answer.refused else parse_classes(answer.readable, len(part))
            if found is None:
                return dict.fromkeys(part, "refused" if answer.refused else "unparsed")
            return dict(zip(part, found, strict=True))

        sorted_into: dict[str, str] = {}
        for part in await gather([some(first) for first in range(0, len(texts), step)]):
            sorted_into.update(part)
        return tuple(
            sorted_into.get(found.shown) or _marked_class(found.shown)
            if found.feature in chosen
            else "not asked"
            for found in labels
        )

    def _silent(self, feature: int) -> tuple[list[RandomContext], list[RandomContext]]:
        """Random contexts without the feature: those for labelling and those held out."""
        silent = [c for c in self.contexts.random if feature not in c.features]
        order = self._generator("random contexts", feature).permutation(len(silent)).tolist()
        drawn = [silent[i] for i in order[: self.spec.random + self.spec.held_out]]
        return drawn[: self.spec.random], drawn[self.spec.random :]

    def _held_out(self, feature: int) -> tuple[list[Context], list[RandomContext]]:
        drawn: list[Context] = []
        for kept in (
            self.contexts.sampled[feature],
            self.contexts.strongest[feature][self.spec.strongest :],
        ):
            order = self._generator("held-out contexts", feature).permutation(len(kept)).tolist()
            drawn += [kept[i] for i in order[: self.spec.held_out - len(drawn)]]
        return drawn, self._silent(feature)[1]

    def _generator(self, what: str, feature: int) -> np.random.Generator:
        return np.random.default_rng(seed_from(what, self.spec.seed, feature))

    def _template(
        self, task: str, name: str, placeholders: Sequence[str], settings: Mapping[str, int]
    ) -> Template:
        template = load_template(name, {"fence", *placeholders}, settings)
        self.prompts[task] = {"name": template.name, "hash": template.hash}
        return template


def _given(feature: int, text: str) -> FeatureLabel:
    for status, mark in MARKS.items():
        if text == mark:
            return FeatureLabel(feature, None, status)
    return FeatureLabel(feature, text, "ok")


@functools.cache
def _marked_class(text: str) -> str:
    # From the narrowest on: formatting takes in punctuation and numbers.
    return next((name for name in reversed(CLASSES) if in_class([text], name)[0]), NO_CLASS)
