"""Likelihoods against the model's own loss; Δℓ against a plain loop."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import ttest_ind

from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus
from mtmbench.steering.hook import Push, steering
from mtmbench.steering.language_model import CausalLM
from mtmbench.steering.likelihood import (
    Likelihood,
    TopicDocuments,
    delta_l,
    log_likelihoods,
    perplexity,
    topic_documents,
)
from mtmbench.steering.vector import Origin, SteeringVector

HOOK = "blocks.1.hook_resid_post"


@pytest.fixture
def lm(backbone):
    return CausalLM(backbone)


@pytest.fixture
def corpus():
    generator = np.random.default_rng(3)
    texts = tuple(
        " ".join(f"w{i}" for i in generator.integers(0, 50, size=n))
        for n in generator.integers(1, 50, size=12)
    )
    return Corpus("toy", tuple(f"d{i}" for i in range(12)), texts)


@pytest.fixture
def push(lm):
    numbers = np.random.default_rng(0).standard_normal(16)
    return Push(SteeringVector.of(numbers, Origin("tiny", lm.backbone.revision, HOOK)), 8.0)


def by_loss(lm, ids, n_start):
    """Sum of log-likelihoods from the model's own cross-entropy."""
    labels = torch.tensor([ids])
    labels[0, :n_start] = -100
    with torch.inference_mode():
        loss = lm.model(input_ids=torch.tensor([ids]), labels=labels).loss
    return -float(loss) * (len(ids) - n_start)


def test_likelihoods_are_the_models_own_loss(lm, push):
    generator = np.random.default_rng(1)
    starts = [generator.integers(0, 50, size=n).astype(np.int32) for n in (1, 4, 2, 3)]
    texts = [generator.integers(0, 50, size=n).astype(np.int32) for n in (5, 1, 20, 0)]
    for row in ([], [push]):
        found = log_likelihoods(lm, starts, texts, row=row, batch_tokens=30)
        for start, text, each in list(zip(starts, texts, found, strict=True))[:3]:
            ids = [*start.tolist(), *text.tolist()]
            with steering(lm.model, HOOK, [row]):
                expected = by_loss(lm, ids, len(start))
            assert each.n_tokens == len(text)
            assert each.total == pytest.approx(expected, rel=1e-4)
        assert found[3] == Likelihood(0.0, 0)


def test_perplexity_pools_tokens():
    parts = [Likelihood(math.log(1 / 8), 1), Likelihood(3 * math.log(1 / 2), 3)]
    assert perplexity(parts) == pytest.approx((8 * 2**3) ** 0.25)
    assert perplexity([Likelihood(0.0, 0)]) is None


def test_delta_l_by_a_plain_loop(lm, corpus, push):
    documents = TopicDocuments((0, 3, 5, 7), (1, 2, 4))
    rows = [[push], [Push(push.vector, -8.0)], []]
    found = delta_l(lm, corpus, documents, rows, max_tokens=20)
    gains = []
    for row in rows:
        sides = []
        for side in (documents.on, documents.off):
            differences = []
            for i in side:
                ids = [50, *(int(word[1:]) for word in corpus.texts[i].split()[:20])]
                plain = by_loss(lm, ids, 1)
                with steering(lm.model, HOOK, [row]):
                    steered = by_loss(lm, ids, 1)
                differences.append((steered - plain) / (len(ids) - 1))
            sides.append(differences)
        gains.append(sides)
    for each, (on, off) in zip(found[:2], gains[:2], strict=True):
        assert each.value == pytest.approx(np.mean(on) - np.mean(off), rel=1e-3, abs=1e-4)
        welch = ttest_ind(on, off, equal_var=False).confidence_interval(0.95)
        assert (each.lo, each.hi) == pytest.approx((welch.low, welch.high), rel=1e-3, abs=1e-4)
    assert (found[2].value, found[2].lo) == (0.0, 0.0)


def test_documents_of_a_topic(result):
    shares = result.doc_topic[:, 2]
    found = topic_documents(result, 2, n=10)
    assert set(found.on) == set(np.argsort(-shares)[:10])
    assert len(found.off) == 10
    assert max(shares[i] for i in found.off) < 1 / 5
    assert not set(found.on) & set(found.off)
    assert found == topic_documents(result, 2, n=10)
    assert found.off != topic_documents(result, 2, n=10, seed=1).off
    few = topic_documents(result, 2, n=55)
    assert len(few.on) == 55
    assert set(few.off) == set(range(60)) - set(few.on)


def test_errors_name_the_value(lm, corpus, result, push):
    long = np.zeros(33, np.int32)
    with pytest.raises(InputError, match="a text of 33 tokens; tiny reads 32"):
        log_likelihoods(lm, [long[:1]], [long[1:]])
    with pytest.raises(InputError, match="needs a token in front"):
        log_likelihoods(lm, [long[:0]], [long[:3]])
    with pytest.raises(InputError, match="topic 9 is out of range"):
        topic_documents(result, 9)
    flat = replace(result, doc_topic=np.full((60, 5), 0.2, np.float32))
    with pytest.raises(InputError, match="60 documents of its own and 0 others"):
        topic_documents(flat, 2, n=60)
    other = Push(SteeringVector.of(np.ones(16), Origin("other", "else", HOOK)), 1.0)
    with pytest.raises(InputError, match="of other"):
        log_likelihoods(lm, [long[:1]], [long[:3]], row=[other])
