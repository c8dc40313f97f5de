"""Small random models, an SAE for them, and topics over its features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import ItemSpace
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.features.sae.sae import SAE

HOOK = "blocks.1.hook_resid_post"
N_FEATURES = 24


@pytest.fixture(autouse=True)
def _own_cache(own_cache: Path) -> None:
    """See ``support.models``."""


@pytest.fixture(scope="session")
def backbone(tiny_model: Callable[[str], tuple[Path, Any]]) -> HuggingFaceBackbone:
    return HuggingFaceBackbone(tiny_model("llama")[0], name="tiny")


@pytest.fixture(scope="session")
def sae() -> SAE:
    generator = np.random.default_rng(5)
    w_dec = generator.standard_normal((N_FEATURES, 16)).astype(np.float32)
    return SAE(
        architecture="topk",
        w_enc=np.ascontiguousarray(w_dec.T),
        b_enc=np.zeros(N_FEATURES, np.float32),
        w_dec=3 * w_dec,
        b_dec=np.zeros(16, np.float32),
        subtract_b_dec=True,
        k=4,
        threshold=None,
        metadata={"hook_name": HOOK},
    )


@pytest.fixture(scope="session")
def result(sae: SAE, backbone: HuggingFaceBackbone) -> TopicResult:
    """Five topics over 20 of the 24 features; topic 3 is empty."""
    generator = np.random.default_rng(6)
    topic_item = generator.dirichlet(np.full(20, 0.3), size=5).astype(np.float32)
    topic_item[3] = 0
    theta = generator.dirichlet(np.full(5, 0.3), size=60).astype(np.float32)
    source = {
        **backbone.describe(), "hook_point": HOOK, "sae": "tiny", "sae_hash": sae.revision,
    }  # fmt: skip
    ids = tuple(str(i) for i in range(4, 24))
    return TopicResult(
        model="mlda",
        params={},
        params_given={},
        seed=0,
        doc_topic=theta,
        topic_item=topic_item,
        items=ItemSpace("features", ids, tuple(f"feature {i}" for i in ids), source),
        corpus={"name": "toy", "revision": "0"},
    )
