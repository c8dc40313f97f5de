"""What ETM and mETM share: a logistic-normal θ, trained by the evidence bound with their topics.

Everything runs on one torch thread from a seed of its own, so that neither the caller's threads nor
its random state matter.
"""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

import torch

from mtmbench.core.errors import InputError, did_you_mean
from mtmbench.core.types import Counts, FloatArray, IntArray, Views
from mtmbench.models.amortised import Decoder, Encoder, infer
from mtmbench.models.base import TopicModel
from mtmbench.models.count_batches import document_batch, row_parts
from mtmbench.models.evidence import LEAST_STEPS, MOST_HELD_OUT, Split, Training, maximise_bound
from mtmbench.models.reproducible import reproducible

Start = Literal["clusters", "random"]
"""Where training starts: at topics that fit clusters of the documents, or at random ones."""

STEPS_FROM_TOPICS = 42
"""Steps that a fit makes at least where the encoder starts at the topics, too."""


class NeuralTopicModel(TopicModel):
    """Base of the models with an :class:`Encoder`; learned state: ``encoder_``, ``item_ids_``.

    Attributes:
        encoder_at_topics: whether the encoder starts at the topics, too, where these start at
            clusters; then a few steps of a falling rate do.
    """

    encoder_at_topics: ClassVar[bool] = False

    hidden: int
    dropout: float
    epochs: int | None
    batch_size: int
    learning_rate: float
    weight_decay: float
    start: Start

    def transform(self, views: Views) -> FloatArray:
        """Returns θ (D, K) = softmax(μ) by the fitted encoder; zero for documents without items.

        Raises:
            InputError: the model is not fitted, or the items differ from those of the fit.
        """
        counts = self._fitted_counts(views)
        with reproducible(0):
            return infer(self.encoder_, counts)

    def _fit_decoder(
        self, counts: Counts, split: Split, decoder: Decoder
    ) -> tuple[FloatArray, dict[str, object]]:
        """Trains ``decoder`` with a new encoder; returns θ (D, K) and what to record."""
        encoder = Encoder(counts.matrix.shape[1], self.n_topics, self.hidden, self.dropout)
        at_topics = self.encoder_at_topics and self.start == "clusters"
        if at_topics:
            encoder.start_at(decoder, document_batch(counts, _drawn(split.train, counts)))
        training = Training(
            self.epochs,
            self.batch_size,
            self.learning_rate,
            self.weight_decay,
            STEPS_FROM_TOPICS if at_topics else LEAST_STEPS,
            falling=at_topics,
        )
        info = maximise_bound(encoder, decoder, counts, training, split)
        self.encoder_, self.item_ids_ = encoder, counts.item_ids
        return infer(encoder, counts), info

    def _checked_counts(self, views: Views) -> Counts:
        if self.start not in get_args(Start):
            raise InputError(
                f"unknown start {self.start!r}{did_you_mean(self.start, get_args(Start))}"
            )
        self._check_n_topics()
        for name in ("hidden", "batch_size", "learning_rate"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above zero, not {getattr(self, name)!r}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must be in [0, 1), not {self.dropout!r}")
        if self.epochs is not None and self.epochs < 1:
            raise InputError(f"epochs must be at least 1 (or None), not {self.epochs!r}")
        return self._counts_to_fit(views)


def _drawn(rows: IntArray, counts: Counts) -> IntArray:
    """Draws as many of ``rows`` as make one part, at most 1,000, for corpora may be sorted."""
    size = min(MOST_HELD_OUT, len(next(row_parts(rows, counts))))
    return rows if size == len(rows) else rows[torch.randperm(len(rows)).numpy()[:size]]
