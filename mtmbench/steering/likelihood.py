"""How likely texts are under a language model, steered or not: perplexity and Δℓ.

``Δℓ_k(λ)`` is the mean per-token log-likelihood of the documents of highest θ_k minus that of
random ones with θ_k < 1/K, under the steered model, minus the same under the unsteered one. It is
above zero where steering makes the topic's documents likelier than others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import seed_from
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, Float64Array
from mtmbench.features.sae.token_batches import TokenIds, length_batches
from mtmbench.stats.intervals import welch
from mtmbench.steering.generate import check_model
from mtmbench.steering.hook import Mode, Pushes, steering
from mtmbench.steering.language_model import CausalLM
from mtmbench.steering.vector import check_topic

LIKELIHOOD_BATCH_TOKENS = 1024
DOCUMENT_TOKENS = 256
CONTRAST_DOCUMENTS = 50


class NoContrastError(InputError):
    """Every document, or none, has a share of a topic, so there is nothing to compare."""


@dataclass(frozen=True)
class Likelihood:
    """How likely a text is.

    Attributes:
        total: log-likelihood, natural.
        n_tokens: tokens that were predicted.
    """

    total: float
    n_tokens: int


@dataclass(frozen=True)
class TopicDocuments:
    """Rows of a corpus that are about a topic, and rows that are not."""

    on: tuple[int, ...]
    off: tuple[int, ...]


@dataclass(frozen=True)
class DeltaL:
    """Δℓ of one topic at one λ.

    Attributes:
        value: Δℓ in nats a token; a document counts once, however long it is.
        lo: lower end of Welch's interval over documents; None with one document on a side.
        hi: upper end.
    """

    value: float
    lo: float | None
    hi: float | None


def log_likelihoods(
    lm: CausalLM,
    starts: Sequence[TokenIds],
    texts: Sequence[TokenIds],
    *,
    row: Pushes = (),
    mode: Mode = "project",
    batch_tokens: int = LIKELIHOOD_BATCH_TOKENS,
) -> list[Likelihood]:
    """Returns the log-likelihood of each text behind its start, teacher-forced.

    Args:
        lm: the language model.
        starts: tokens that are read but not counted, at least one each.
        texts: tokens that are counted; none gives a likelihood of no tokens.
        row: how the model is steered, at all positions; unsteered by default.
        mode: see :func:`~mtmbench.steering.hook.steering`.
        batch_tokens: padded tokens of one forward pass.

    Raises:
        InputError: a start is empty, or start and text are longer than the model reads.
    """
    wholes = [np.concatenate(pair) for pair in zip(starts, texts, strict=True)]
    for start, whole in zip(starts, wholes, strict=True):
        if len(start) == 0:
            raise InputError("a text needs a token in front of it to be predicted from")
        if len(whole) > lm.n_positions:
            raise InputError(
                f"a text of {len(whole)} tokens; {lm.backbone.name} reads {lm.n_positions}"
            )
    for push in row:
        check_model(push, lm)
    found: dict[int, Likelihood] = {}
    for batch in length_batches([len(whole) for whole in wholes], batch_tokens):
        each = _token_log_likelihoods(lm, [wholes[i] for i in batch], row, mode)
        for i, values in zip(batch, each, strict=True):
            counted = values[len(starts[i]) - 1 :]
            found[i] = Likelihood(float(counted.sum()), len(counted))
    return [found[i] for i in range(len(wholes))]


def perplexity(likelihoods: Sequence[Likelihood]) -> float | None:
    """Returns exp of the mean negative log-likelihood of all tokens; None where there is none."""
    n_tokens = sum(each.n_tokens for each in likelihoods)
    if n_tokens == 0:
        return None
    return math.exp(-math.fsum(each.total for each in likelihoods) / n_tokens)


def topic_documents(
    result: TopicResult,
    topic: int,
    *,
    n: int = CONTRAST_DOCUMENTS,
    seed: int = 0,
) -> TopicDocuments:
    """Returns the documents of highest θ_k, and random ones with θ_k < 1/K.

    Args:
        result: the topics.
        topic: k.
        n: how many of each, as far as there are so many.
        seed: of the random ones.

    Raises:
        InputError: the topic is out of range.
        NoContrastError: there is no document of one of the two.
    """
    check_topic(result, topic)
    shares = result.doc_topic[:, topic]
    ranked = np.argsort(-shares, kind="stable").tolist()
    on = [i for i in ranked if shares[i] > 0][:n]
    others = sorted(i for i in set(ranked) - set(on) if shares[i] < 1 / result.n_topics)
    order = np.random.default_rng(seed_from("off topic", seed, topic)).permutation(len(others))
    off = sorted(others[i] for i in order[:n].tolist())
    if not on or not off:
        raise NoContrastError(
            f"topic {topic} of {result.model!r} has {len(on)} documents of its own and {len(off)} "
            f"others with a share below 1/{result.n_topics}; both are needed"
        )
    return TopicDocuments(tuple(on), tuple(off))


def delta_l(
    lm: CausalLM,
    corpus: Corpus,
    documents: TopicDocuments,
    rows: Sequence[Pushes],
    *,
    mode: Mode = "project",
    max_tokens: int = DOCUMENT_TOKENS,
    confidence: float = 0.95,
) -> list[DeltaL]:
    """Returns Δℓ for several ways of steering; the unsteered model reads the documents once.

    Args:
        lm: the language model.
        corpus: the documents' corpus.
        documents: which are on the topic and which are not.
        rows: ways of steering, such as one for each λ.
        mode: see :func:`~mtmbench.steering.hook.steering`.
        max_tokens: documents are cut to this many tokens, and to what the model reads.
        confidence: level of the intervals.

    Raises:
        InputError: no document of one of the two sides has a token to predict.
    """
    plain = {}
    sides = {"on": documents.on, "off": documents.off}
    read = {
        side: _begun([corpus.texts[i] for i in indices], lm, max_tokens)
        for side, indices in sides.items()
    }
    for side, (starts, texts) in read.items():
        if not texts:
            raise InputError(f"no {side}-topic document of {corpus.name!r} has a token to predict")
        plain[side] = _per_token(log_likelihoods(lm, starts, texts))
    found = []
    for row in rows:
        gains = {
            side: [
                steered - unsteered
                for steered, unsteered in zip(
                    _per_token(log_likelihoods(lm, *read[side], row=row, mode=mode)),
                    plain[side],
                    strict=True,
                )
            ]
            for side in sides
        }
        found.append(DeltaL(*welch(gains["on"], gains["off"], confidence)))
    return found


def _token_log_likelihoods(
    lm: CausalLM, wholes: Sequence[TokenIds], row: Pushes, mode: Mode
) -> list[Float64Array]:
    """Returns, for each sequence, the log-likelihood of every token but the first."""
    ids, mask = lm.left_padded(wholes)
    if row:
        place = row[0].vector.origin.hook_point
        with steering(lm.model, place, [row], mode=mode, positions="all"):
            logits = lm.logits(ids, mask)
    else:
        logits = lm.logits(ids, mask)
    logits = logits[:, :-1]
    chosen = logits.gather(2, ids[:, 1:, None])[:, :, 0] - logits.logsumexp(dim=2)
    values = chosen.double().cpu().numpy()
    width = values.shape[1]
    return [values[i, width - len(whole) + 1 :] for i, whole in enumerate(wholes)]


def _begun(
    texts: Sequence[str], lm: CausalLM, max_tokens: int
) -> tuple[list[TokenIds], list[TokenIds]]:
    """Returns starts and counted tokens of the texts that have any to predict."""
    starts, counted = [], []
    for ids in lm.backbone.tokenise(texts):
        whole = lm.begun(ids[: min(max_tokens, lm.backbone.max_chunk_tokens)])
        if len(whole) > 1:
            starts.append(whole[:1])
            counted.append(whole[1:])
    return starts, counted


def _per_token(likelihoods: Sequence[Likelihood]) -> list[float]:
    return [each.total / each.n_tokens for each in likelihoods]
