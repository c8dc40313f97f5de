"""Filters by what a judge said: the score of a label, and its class; off, nothing changes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from mtmbench.core.errors import InputError
from mtmbench.core.types import BoolArray, Counts
from mtmbench.features.filters import FeatureSetting, apply_filters
from mtmbench.features.interpretation import Detection, FeatureLabel, Interpretation
from mtmbench.features.label_files import write_classes, write_scores
from mtmbench.features.labels import CLASSES
from mtmbench.features.sae.sae_folder import SAEFolder, load_sae_folder, setting_from
from mtmbench.features.sae.shipped import MINILM_SAES

OFF = FeatureSetting(0.0, None, None, ())
SCORES = np.array([0.9, 0.7, np.nan, 0.69, 0.2], np.float32)
MATRIX = np.array([[4, 2, 1, 1, 0], [0, 8, 1, 3, 0]])


def counts() -> Counts:
    labels = ("hockey", "the word of", "theorem", "(dead)", "rivers")
    matrix = csr_matrix(MATRIX.astype(np.int32))
    return Counts("features", matrix, np.full(2, 30), tuple("01234"), labels, {})


def test_features_below_the_score_are_dropped_and_unscored_ones_are_not() -> None:
    setting = replace(OFF, min_label_score=0.7)
    found = apply_filters(counts(), None, setting, label_scores=SCORES)
    # Feature 1 is at the limit, 2 has no score, 4 is below and absent anyway.
    assert found.item_ids == ("0", "1", "2")
    assert found.source["filters"]["min_label_score"] == {
        "limit": 0.7, "unscored": 1, "dropped": 2, "firings": 0.2,
    }  # fmt: skip
    assert found.source["filters"]["kept"] == 3


def test_it_counts_by_itself_beside_other_filters() -> None:
    setting = replace(OFF, min_label_score=0.95, drop_label_classes=("mathematics",))
    with pytest.raises(InputError, match=r"label_classes drops 1, min_label_score=0\.95 drops 4"):
        apply_filters(counts(), None, setting, label_scores=SCORES)
    kept = apply_filters(counts(), None, replace(setting, min_label_score=0.3), label_scores=SCORES)
    assert kept.item_ids == ("0", "1", "3")
    assert kept.source["filters"]["label_classes"]["dropped"] == 1


def judged_classes() -> dict[str, BoolArray]:
    masks = {name: np.zeros(5, np.bool_) for name in CLASSES}
    masks["stop words"][1] = True
    return masks


def test_classes_may_be_a_judges() -> None:
    by_words = replace(OFF, drop_label_classes=("stop words", "mathematics"))
    found = apply_filters(counts(), None, by_words, label_classes=judged_classes())
    # "the word of" is half stop words; "theorem" is of mathematics.
    assert found.item_ids == ("0", "3")
    assert "by" not in found.source["filters"]["label_classes"]
    by_judge = replace(by_words, label_classes_by="judge")
    found = apply_filters(counts(), None, by_judge, label_classes=judged_classes())
    assert found.item_ids == ("0", "2", "3")
    assert found.source["filters"]["label_classes"] == {
        "classes": {"mathematics": 0, "stop words": 1}, "dropped": 1, "firings": 0.5, "by": "judge",
    }  # fmt: skip


def test_what_is_not_there_cannot_be_filtered_by() -> None:
    with pytest.raises(InputError, match=r"min_label_score is 0\.5, but the SAE's labels have no"):
        apply_filters(counts(), None, replace(OFF, min_label_score=0.5))
    setting = replace(OFF, drop_label_classes=("grammar",), label_classes_by="judge")
    with pytest.raises(InputError, match="no judge has sorted the SAE's labels"):
        apply_filters(counts(), None, setting, label_scores=SCORES)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"min_label_score": 1.5}, r"here: min_label_score is 1\.5; scores end at 1"),
        ({"min_label_score": -1}, r"here: min_label_score is -1\.0; it must be above 0"),
        ({"label_classes_by": "wrds"}, "here: label_classes_by is 'wrds'; it is words or judge"),
        ({"min_label_scor": 0.5}, "did you mean 'min_label_score'"),
    ],
)
def test_wrong_settings_are_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        setting_from(given, OFF, "here")


def test_settings_that_ask_no_judge_are_on_record_as_before() -> None:
    before = {"threshold_quantile", "max_doc_share", "max_density_multiple", "drop_label_classes"}
    assert set(FeatureSetting().as_dict()) == before
    setting = setting_from({"min_label_score": 0.6, "label_classes_by": "judge"}, OFF, "here")
    assert setting.as_dict() == {
        **OFF.as_dict(), "min_label_score": 0.6, "label_classes_by": "judge",
    }  # fmt: skip
    assert setting_from(setting.as_dict(), FeatureSetting(), "here") == setting
    assert setting_from({"min_label_score": False}, setting, "here").min_label_score is None


def interpretation(labels: tuple[str, ...]) -> Interpretation:
    """Scores 0.75 for every third feature, classes for every second, of given labels."""
    found = tuple(
        FeatureLabel(i, label, "ok", Detection("ok", 4, 2, 4, 0) if i % 3 == 0 else None)
        for i, label in enumerate(labels)
    )
    classes = tuple("grammar" if i % 2 == 0 else "none" for i in range(len(labels)))
    return Interpretation(found, classes, {}, {}, 0)


def test_a_folders_hash_changes_only_under_settings_that_read_the_judge(tmp_path: Path) -> None:
    plain = load_sae_folder(MINILM_SAES.path())
    assert plain.label_scores is None
    assert plain.label_classes is None
    copy = tmp_path / plain.name
    shutil.copytree(MINILM_SAES.path(), copy)
    assert plain.labels is not None
    write_scores(copy, interpretation(plain.labels))
    write_classes(copy, interpretation(plain.labels))
    scored = load_sae_folder(copy)
    assert scored.label_scores is not None
    expected = [0.75 if i % 3 == 0 else np.nan for i in range(len(plain.labels))]
    np.testing.assert_array_equal(scored.label_scores, expected)
    assert scored.label_classes is not None
    assert np.flatnonzero(scored.label_classes["grammar"])[:3].tolist() == [0, 2, 4]
    assert scored.revision == plain.revision
    default = plain.setting("default")
    assert plain.revision_under(default) == scored.revision_under(default) == plain.revision
    by_score = replace(default, min_label_score=0.6)
    by_class = replace(default, label_classes_by="judge")
    revisions = {scored.revision_under(setting) for setting in (default, by_score, by_class)}
    assert len(revisions) == 3
    others = replace(scored, label_scores=np.zeros_like(scored.label_scores))
    assert others.revision_under(by_score) not in revisions
    assert others.revision_under(by_class) in revisions
    assert isinstance(plain, SAEFolder)
    for setting in (by_score, by_class):
        with pytest.raises(InputError, match="`mtmbench label"):
            plain.revision_under(setting)


def test_a_folder_with_scores_of_other_labels_is_not_read(tmp_path: Path) -> None:
    copy = tmp_path / "token"
    shutil.copytree(MINILM_SAES.path(), copy)
    labels = json.loads((copy / "labels.json").read_text())
    write_scores(copy, interpretation(("another", *labels[1:])))
    with pytest.raises(InputError, match=r"label_scores\.json is of other labels than"):
        load_sae_folder(copy)
