"""What a plan's features take, against arithmetic: several SAEs, corpora, steering's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtmbench.cli.plan_numbers import label_questions, plan_json, resources_of
from mtmbench.core.cards import Suite
from mtmbench.engine.plan import make_plan
from mtmbench.engine.resources import BYTES_PER_FIRING, resources
from mtmbench.features.sae.shapes import SHAPES
from mtmbench.steering.extent import extent_of

GEMMA, GPT2 = SHAPES["google/gemma-2-2b"], SHAPES["gpt2"]

SUITE = {
    "name": "several", "corpora": ["agnews", "poemsum", "bills"], "models": ["mlda"],
    "models_per_corpus": {"bills": ["lda"]}, "k": 5,
    "judging": {"judges": ["gpt-4.1"], "documents": 10},
    "features": {
        "source": "sae", "max_tokens": 50,
        "settings": ["default", "high"], "settings_per_corpus": {"poemsum": ["apart"]},
        "params": {
            "backbone": "google/gemma-2-2b",
            "saes": {
                "low": {"release": "r", "id": "layer_5/width_16k/average_l0_20"},
                "high": {"release": "r", "id": "layer_12/width_65k/average_l0_72"},
                "apart": {
                    "release": "r", "id": "layer_20/width_16k/average_l0_71", "context_size": 128,
                },
                "unused": {"release": "r", "id": "layer_25/width_16k/average_l0_55"},
            },
            "settings": {
                "high": {"sae": "high", "drop_label_classes": ["grammar"],
                         "label_classes_by": "judge"},
                "apart": {"sae": "apart"},
            },
        },
    },
    "steering": {
        "corpora": ["agnews"],
        "features": {
            "source": "sae", "max_tokens": 20,
            "params": {
                "backbone": "gpt2",
                "saes": {"own": {"release": "r", "id": "layer_7/width_32k/average_l0_40"}},
            },
        },
    },
}  # fmt: skip


def test_each_sae_each_corpus_and_steering_are_reckoned(tmp_path: Path) -> None:
    plan = make_plan(Suite.model_validate(SUITE), data_dir=tmp_path, offline=True)
    taken = resources_of(plan, None, 1000.0, 500.0)
    assert taken.played is not None
    assert taken.own is not None
    documents = {name: len(corpus) for name, corpus in plan.corpora.items()}
    # Texts of both are longer than what they are cut to: but for AG News's of about 53 tokens.
    assert {each.corpus: each.tokens for each in taken.played.corpora} == {
        name: 50 * documents[name] for name in ("agnews", "poemsum")
    }
    agnews, poemsum = taken.played.corpora
    together = 13 * GEMMA.block + 2304 * (16_384 + 65_536)
    apart = 21 * GEMMA.block + 2304 * 16_384
    for each, used, firings in ((agnews, together, 20 + 72), (poemsum, apart, 71)):
        assert each.disk == pytest.approx(each.tokens * firings * BYTES_PER_FIRING)
        assert each.hours == pytest.approx(each.tokens * used / GEMMA.parameters / 1000 / 3600)
    (own,) = taken.own.corpora
    assert (own.corpus, own.tokens) == ("agnews", 20 * documents["agnews"])
    used = 8 * GPT2.block + 768 * 32_768
    assert own.hours == pytest.approx(own.tokens * used / GPT2.parameters / 1000 / 3600)
    assert own.disk == pytest.approx(own.tokens * 40 * BYTES_PER_FIRING)
    assert taken.steering is taken.own
    (asked,) = label_questions(plan, taken)
    assert asked.n_subjects == 65_536
    told = plan_json(plan, [], taken, extent_of(plan.suite, plan))
    assert told["steering_features"]["backbone"] == "gpt2"  # type: ignore[index]
    assert told["features"]["disk"] == pytest.approx(agnews.disk + poemsum.disk)  # type: ignore


def test_memory_holds_the_encoders_of_all_saes_that_are_read(tmp_path: Path) -> None:
    def memory(**changed: object) -> float:
        features = {**SUITE["features"], **changed}  # type: ignore[dict-item]
        suite = Suite.model_validate({**SUITE, "features": features, "steering": None})
        found = resources(make_plan(suite, data_dir=tmp_path, offline=True))
        assert found is not None
        assert found.memory is not None
        return found.memory

    fewer = memory(settings_per_corpus={})
    assert memory() - fewer == 4 * 2304 * 16_384


def test_texts_are_read_twice_where_saes_cut_them_otherwise(tmp_path: Path) -> None:
    features = {**SUITE["features"], "settings": ["default", "apart"]}  # type: ignore[dict-item]
    suite = Suite.model_validate({**SUITE, "features": features, "steering": None})
    found = resources(make_plan(suite, data_dir=tmp_path, offline=True), tokens_per_second=1000.0)
    assert found is not None
    agnews = found.corpora[0]
    assert agnews.tokens == 2 * 50 * agnews.documents
    used = 34 * GEMMA.block + 2304 * (16_384 + 65_536 + 16_384)
    per_token = used / GEMMA.parameters / 1000 / 3600
    assert agnews.hours == pytest.approx(50 * agnews.documents * per_token)
