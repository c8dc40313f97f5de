"""Prompts gone on from with and without a topic: all the parts of steering behind one function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, get_args

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.corpora.load import load_corpus
from mtmbench.features.base import FeatureSource
from mtmbench.features.registry import feature_source
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.features.sae.shipped import shipped_source
from mtmbench.steering.generate import Job, Sampling, generate
from mtmbench.steering.hook import Push
from mtmbench.steering.language_model import CausalLM, language_model
from mtmbench.steering.units import ReferenceActivations, Unit, read_reference
from mtmbench.steering.units import strength as measured
from mtmbench.steering.vector import check_over_features, topic_vector

if TYPE_CHECKING:
    import pandas as pd

Method = Literal["topic", "topic_raw"]

REFERENCE = "lee"
"""The corpus that λ's unit is measured on where none is given: it comes with the package."""


def steer(
    result: TopicResult,
    topic: int,
    prompts: str | Sequence[str],
    strength: float = 1.0,
    *,
    corpus: Corpus | None = None,
    features: str | FeatureSource | None = None,
    unit: Unit = "p99",
    method: Method = "topic_raw",
    max_tokens: int = 40,
    temperature: float = 1.0,
    top_p: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Goes on from prompts, once as the language model would and once steered by a topic.

    The topic is a direction in the model's activations: its features' decoder rows, weighted by
    the topic (eq. 16). While the model writes, what each new token's activation has along the
    direction is set to λ (eqs. 16-19). Whether that does more than chance directions do is for
    ``mtmbench steer`` to say, which holds the texts against controls.

    The same arguments give the same texts. Nothing is kept on disk.

    Args:
        result: topics over SAE features of a causal language model.
        topic: k, from 0; the column ``topic`` of :func:`mtmbench.topics`.
        prompts: one text or several.
        strength: λ, in ``unit``.
        corpus: the texts on which the unit is measured; None reads the corpus "lee", which comes
            with the package.
        features: the source that the result's features are of, or its registered name; None finds
            it among those that ship ("tinylm").
        unit: "p99", the 99th percentile of what the corpus's tokens have along the direction;
            "mean_norm", the mean length of their activations; or "absolute".
        method: "topic_raw" takes the topic's weights as they are (eq. 16), "topic" the weights less
            their mean over topics.
        max_tokens: new tokens at most; a text ends before where the model ends it.
        temperature: logits are divided by it; 0 takes the likeliest token.
        top_p: tokens are drawn from the likeliest that together have this probability.
        seed: of every draw.

    Returns:
        One row a prompt: ``prompt``, and the new text without it, ``unsteered`` and ``steered``.
        ``attrs`` say what was done: ``model``, ``topic``, ``method``, ``backbone``,
        ``hook_point``, ``lambda``, ``lambda_unit``, ``lambda_absolute`` (as the hook reads it) and
        ``lambda_reference`` (name, content hash and number of tokens of the texts that the unit
        was measured on; None for "absolute").

    Raises:
        InputError: the result is over words, the topic is out of range or empty, no source that
            ships has its features or ``features`` has not, the model generates no text, there is
            no prompt, or a prompt or a setting is wrong.
        UnknownNameError: there is no such source, unit or method.
    """
    import pandas as pd

    check_over_features(result)
    if method not in get_args(Method):
        raise UnknownNameError("method", str(method), get_args(Method))
    asked = [prompts] if isinstance(prompts, str) else list(prompts)
    if not asked:
        raise InputError("there is no prompt to go on from")
    sampling = Sampling(max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed)
    source, lm = language_model(_source(result, features))
    sae = source.folder_of(str(result.items.source.get("sae_hash"))).sae
    vector = topic_vector(result, int(topic), sae, relative=method == "topic")
    here = _loaded(lm.backbone)
    reference = None
    if unit in ("mean_norm", "p99"):
        texts = load_corpus(REFERENCE) if corpus is None else corpus
        reference = here.reference(texts, vector.origin.hook_point)
    level = measured(strength, unit, vector, reference)
    push = Push(vector, level.absolute)
    jobs = [Job(prompt, pushes=pushes) for pushes in ((), (push,)) for prompt in asked]
    new = [made.text for made in generate(here.lm, jobs, sampling)]
    frame = pd.DataFrame(
        {"prompt": asked, "unsteered": new[: len(asked)], "steered": new[len(asked) :]}
    )
    frame.attrs.update(
        model=result.model, topic=int(topic), method=method, backbone=vector.origin.backbone,
        hook_point=vector.origin.hook_point, **level.describe(),
    )  # fmt: skip
    return frame


def _source(result: TopicResult, features: str | FeatureSource | None) -> FeatureSource:
    if features is not None:
        return feature_source(features)
    source = result.items.source
    found = shipped_source(source)
    if found is None:
        raise InputError(
            f"no feature source that ships has backbone {source.get('backbone')!r} with SAE "
            f"{source.get('sae')!r}, which {result.model!r} was fitted on; give the source as "
            "features="
        )
    return found


@dataclass(frozen=True, eq=False)
class _Loaded:
    """A language model, and the activations of reference texts that were read in it."""

    lm: CausalLM
    references: dict[tuple[str, str, str], ReferenceActivations] = field(default_factory=dict)

    def reference(self, corpus: Corpus, hook_point: str) -> ReferenceActivations:
        key = corpus.name, corpus.revision, hook_point
        if key not in self.references:
            self.references[key] = read_reference(self.lm.backbone, corpus, hook_point)
        return self.references[key]


@lru_cache(maxsize=1)
def _loaded(backbone: HuggingFaceBackbone) -> _Loaded:
    # In a notebook the next topic or strength comes soon, and loading takes longer than writing.
    return _Loaded(CausalLM(backbone))
