"""Feature sources by name and as they are: which one is meant, and with what parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.planted_source import PlantedFeatures

import mtmbench as mb
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.features.registry import feature_source
from mtmbench.features.sae.shipped import MiniLMFeatures, TinyLMFeatures, shipped_source

CORPUS = mb.Corpus("toy", ("a", "b"), ("subject0 w1 w2", "subject1 w1 w2"))
FURTHER = {"raw": {"max_doc_share": False}}


def test_a_source_made_already_is_taken_as_the_named_one_with_its_params() -> None:
    made = mb.views(CORPUS, PlantedFeatures(settings=FURTHER), setting="raw").features
    named = mb.views(CORPUS, "planted", params={"settings": FURTHER}, setting="raw").features
    assert made is not None
    assert named is not None
    assert made.revision == named.revision
    np.testing.assert_array_equal(made.matrix.toarray(), named.matrix.toarray())
    with pytest.raises(UnknownNameError, match="feature setting 'raw'"):
        mb.views(CORPUS, "planted", setting="raw")
    assert mb.views(CORPUS, None).features is None


def test_what_is_no_source_is_named() -> None:
    source = PlantedFeatures()
    assert feature_source(source) is source
    with pytest.raises(InputError, match=r"params \['only'\] go with the name .* \('planted'\)"):
        mb.views(CORPUS, source, params={"only": ["a-small"]})
    with pytest.raises(UnknownNameError, match="feature source 'plantd'; did you mean 'planted'"):
        mb.views(CORPUS, "plantd")
    wrong: Any = PlantedFeatures
    with pytest.raises(InputError, match="must be a registered name or a FeatureSource, not <cl"):
        mb.views(CORPUS, wrong)


@pytest.mark.parametrize("kind", [TinyLMFeatures, MiniLMFeatures])
def test_the_shipped_source_is_found_by_backbone_and_sae(kind: Any) -> None:
    source = kind()
    for setting in source.settings():
        described = source.describe(setting)
        found = shipped_source(described)
        assert type(found) is kind
        assert found.folder_of(described["sae_hash"]).name == described["sae"]
        for part in ("backbone", "backbone_revision", "sae_hash"):
            assert shipped_source({**described, part: "another"}) is None
    assert shipped_source({}) is None
    with pytest.raises(InputError, match=r"has no SAE with hash 'none'; it has .*: [0-9a-f]{32}"):
        source.folder_of("none")
