"""Filters: what each drops, what is recorded, and what happens when nothing is left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from mtmbench.core.errors import InputError
from mtmbench.core.types import Counts, EncoderParams
from mtmbench.features.filters import FeatureSetting, apply_filters

OFF = FeatureSetting(0.0, None, None, ())
DENSITY = np.array([0.01, 0.01, 0.01, 0.09, 0.01, 0.01], np.float32)
LABELS = ("hockey", "(stop words) the", "theorem, lemma", "Dylan", "absent", "budget")
MATRIX = np.array([[2, 9, 1, 1, 0, 0], [0, 8, 0, 3, 0, 5], [0, 7, 0, 0, 0, 0], [1, 6, 0, 0, 0, 7]])


def toy_counts() -> Counts:
    rng = np.random.default_rng(0)
    matrix = csr_matrix(MATRIX.astype(np.int32))
    return Counts(
        "features", matrix, np.full(4, 30), tuple("012345"), LABELS, {"sae": "toy"},
        directions=rng.normal(size=(6, 3)).astype(np.float32),
        encoder=EncoderParams(
            rng.normal(size=(3, 6)).astype(np.float32), np.arange(6, dtype=np.float32),
            np.zeros(3, np.float32),
        ),
        activation=(matrix / 30).astype(np.float32).tocsr(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "kept"),
    [
        (OFF, "01235"),
        (replace(OFF, max_doc_share=0.9), "0235"),
        (replace(OFF, max_doc_share=0.5), "0235"),
        (replace(OFF, max_doc_share=0.49), "2"),
        (replace(OFF, max_density_multiple=2.7), "0125"),
        (replace(OFF, drop_label_classes=("stop words", "mathematics")), "035"),
        (FeatureSetting(0.8, 0.9, 2.7, ("stop words", "mathematics")), "05"),
    ],
)
def test_each_filter_drops_what_it_should(setting: FeatureSetting, kept: str) -> None:
    counts = apply_filters(toy_counts(), DENSITY, setting)
    columns = [int(c) for c in kept]
    assert "".join(counts.item_ids) == kept
    assert counts.item_labels == tuple(LABELS[c] for c in columns)
    np.testing.assert_array_equal(counts.matrix.toarray(), MATRIX[:, columns])
    whole = toy_counts()
    assert counts.directions is not None
    assert whole.directions is not None
    np.testing.assert_array_equal(counts.directions, whole.directions[columns])
    assert counts.encoder is not None
    assert counts.encoder.bias.tolist() == columns
    assert counts.activation is not None
    np.testing.assert_allclose(counts.activation.toarray(), MATRIX[:, columns] / 30, rtol=1e-6)


def test_the_effect_is_recorded() -> None:
    setting = FeatureSetting(0.8, 0.9, 2.7, ("stop words", "mathematics"))
    filters = apply_filters(toy_counts(), DENSITY, setting).source["filters"]
    assert filters == {
        "items": 6,
        "absent": {"dropped": 1, "firings": 0.0},
        "max_doc_share": {"limit": 0.9, "dropped": 1, "firings": 0.6},
        "max_density_multiple": {"limit": 2.7, "dropped": 1, "firings": 0.08},
        "label_classes": {
            "classes": {"mathematics": 1, "stop words": 1}, "dropped": 2, "firings": 0.62,
        },
        "kept": 2,
        "firings_kept": 0.3,
    }  # fmt: skip


def test_nothing_left_names_the_filters() -> None:
    with pytest.raises(InputError, match=r"no SAE feature is left of 6.*max_doc_share=0\.1 drops"):
        apply_filters(toy_counts(), DENSITY, replace(OFF, max_doc_share=0.1))
    with pytest.raises(InputError, match=r"corpus of 1 document.*max_doc_share=0\.9 drops 4"):
        apply_filters(toy_counts().select_docs([0]), DENSITY, replace(OFF, max_doc_share=0.9))
    silent = replace(toy_counts(), matrix=csr_matrix((4, 6), dtype=np.int32))
    with pytest.raises(InputError, match="absent drops 6"):
        apply_filters(silent, DENSITY, OFF)
