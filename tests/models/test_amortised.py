"""The amortised θ: its KL part, the encoder's network, and its start at the topics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.planted import counts_to_views

from mtmbench.models.amortised import Encoder, logistic_normal_kl
from mtmbench.models.count_batches import CountBatch
from mtmbench.models.etm import _EmbeddedTopics
from mtmbench.models.evidence import held_out_bound
from mtmbench.models.reproducible import reproducible

pytestmark = pytest.mark.slow


def test_kl_is_that_of_normal_distributions():
    mean = torch.tensor([[0.3, -1.2, 0.0], [2.0, 0.1, -0.4]])
    log_variance = torch.tensor([[0.2, -0.7, 0.0], [1.1, 0.0, -2.0]])
    given = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    unit = torch.distributions.Normal(torch.zeros(2, 3), torch.ones(2, 3))
    expected = torch.distributions.kl_divergence(given, unit).sum(dim=1)
    torch.testing.assert_close(logistic_normal_kl(mean, log_variance), expected)


def test_the_encoder_is_a_dense_network_on_normalised_counts():
    with reproducible(0):
        encoder = Encoder(5, 3, hidden=4, dropout=0.0).eval()
    counts = np.array([[2, 0, 1, 0, 1], [0, 3, 0, 0, 0]])
    given = counts_to_views(counts, counts.sum(axis=1)).words
    mean, log_variance = encoder(CountBatch.of(given.matrix.tocsr(), given.n_tokens))
    shares = torch.from_numpy(counts / counts.sum(axis=1, keepdims=True))
    hidden = torch.relu(encoder.hidden(torch.relu(shares @ encoder.items + encoder.bias)))
    torch.testing.assert_close(mean, encoder.mean(hidden))
    torch.testing.assert_close(log_variance, encoder.log_variance(hidden))


def test_the_encoder_starts_at_the_topics():
    """Before any step, documents of one known topic each have it as their largest share."""
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(200, 0.1), 5)
    truth = rng.integers(5, size=100)
    matrix = np.array([rng.multinomial(60, topics[k]) for k in truth])
    counts = counts_to_views(matrix, matrix.sum(axis=1)).words
    with reproducible(0):
        encoder, decoder = Encoder(200, 5, 32, 0.0), _EmbeddedTopics(5, 200, 12, trained=True)
        logits = np.log(topics + 1e-4)
        decoder.start_at(np.ascontiguousarray((logits - logits.mean(axis=1, keepdims=True)).T))
        batch = CountBatch.of(counts.matrix, counts.n_tokens)
        before = held_out_bound(encoder, decoder, counts, np.arange(100))
        encoder.start_at(decoder, batch)
        after = held_out_bound(encoder, decoder, counts, np.arange(100))
        found = encoder.expect(batch).argmax(dim=1).detach().numpy()
    assert after > before + 1000
    assert (found == truth).mean() >= 0.98
