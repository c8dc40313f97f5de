"""Filters: what each drops, what is recorded, and what happens when nothing is left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from mtmbench.core.errors import InputError
from mtmbench.core.types import Counts, EncoderParams
from mtmbench.features.filters import FeatureSetting, apply_filters
from mtmbench.features.sae.reference import paper_setting
from mtmbench.features.sae.sae_folder import setting_from

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
        (replace(OFF, max_density=0.01), "0125"),
        (replace(OFF, max_density=0.09), "01235"),
        # The mean density is 7/300, so that the multiple alone would keep all.
        (replace(OFF, max_density_multiple=4, max_density=0.05), "0125"),
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


def test_the_absolute_limit_on_density_is_recorded_and_needs_densities() -> None:
    setting = replace(OFF, max_density=0.05)
    filters = apply_filters(toy_counts(), DENSITY, setting).source["filters"]
    assert filters["max_density"] == {"limit": 0.05, "dropped": 1, "firings": 0.08}
    with pytest.raises(InputError, match=r"max_density is 0\.05, but no reference text"):
        apply_filters(toy_counts(), None, setting)


def test_a_setting_without_an_absolute_limit_is_on_record_as_before() -> None:
    assert "max_density" not in FeatureSetting().as_dict()
    setting = setting_from({"max_density": 0.01, "max_density_multiple": False}, OFF, "here")
    assert setting.as_dict() == {**OFF.as_dict(), "max_density": 0.01}
    assert setting_from(setting.as_dict(), FeatureSetting(), "here") == setting
    for wrong, message in (
        (1.5, r"max_density is 1\.5; it is a share of tokens, at most 1 \(max_density_multiple"),
        (0, r"max_density is 0\.0; it must be above 0, or false for off"),
    ):
        with pytest.raises(InputError, match=message):
            setting_from({"max_density": wrong}, OFF, "here")


@pytest.mark.parametrize(
    ("architecture", "limits"),
    [
        ("topk", {"max_density_multiple": 2.7}),
        ("jumprelu", {"max_density": 0.01}),
        ("standard", {"max_density": 0.01}),
    ],
)
def test_the_papers_limit_is_absolute_but_for_topk(architecture: str, limits: dict) -> None:
    setting = paper_setting(architecture)
    assert setting.density_limits == limits
    assert (setting.threshold_quantile, setting.max_doc_share) == (0.8, 0.9)


def test_nothing_left_names_the_filters() -> None:
    with pytest.raises(InputError, match=r"no SAE feature is left of 6.*max_doc_share=0\.1 drops"):
        apply_filters(toy_counts(), DENSITY, replace(OFF, max_doc_share=0.1))
    with pytest.raises(InputError, match=r"corpus of 1 document.*max_doc_share=0\.9 drops 4"):
        apply_filters(toy_counts().select_docs([0]), DENSITY, replace(OFF, max_doc_share=0.9))
    silent = replace(toy_counts(), matrix=csr_matrix((4, 6), dtype=np.int32))
    with pytest.raises(InputError, match="absent drops 6"):
        apply_filters(silent, DENSITY, OFF)
