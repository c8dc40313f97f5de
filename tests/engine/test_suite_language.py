"""What a suite may say by corpus and by model: K, models, settings, parameters, seeds."""

from __future__ import annotations

import json
import random
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import SUPPORT

from mtmbench.boards.write import write_board
from mtmbench.core.card_files import load_suite
from mtmbench.core.card_reading import parse_card, read_card
from mtmbench.core.cards import Suite
from mtmbench.core.competitors import k_order
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.specs import WordSpec
from mtmbench.core.store import read_records
from mtmbench.corpora.load import load_corpus
from mtmbench.engine.harness import run_suite
from mtmbench.engine.plan import Plan, make_plan
from mtmbench.engine.results import recorded_result
from mtmbench.engine.topic_numbers import numbers_of_topics
from mtmbench.features.views import make_views
from mtmbench.models.mbertopic import MBERTopic, document_vectors

PLUGINS = [str(SUPPORT / "fast_plugin.py"), str(SUPPORT / "planted_source.py")]
WORDS = ("bread", "soup", "oven", "butter", "orbit", "rocket", "moon", "goal", "team", "ball")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Corpora of 30 and 60 documents."""
    rng = random.Random(0)
    paths = {}
    for name, size in (("small", 30), ("large", 60)):
        texts = [f"subject{i % 3} {' '.join(rng.choices(WORDS, k=20))}" for i in range(size)]
        rows = [{"id": f"{name}{i}", "text": text} for i, text in enumerate(texts)]
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        paths[name] = str(path)
    return paths


def suite_of(files: Mapping[str, str], **changes: Any) -> Suite:
    data: dict[str, Any] = {
        "name": "tiny", "corpora": list(files.values()), "models": ["drawn"], "k": 5,
        "words": {"max_df": 1.0},
    }  # fmt: skip
    return parse_card({**data, **changes}, Suite, "here")


def planned(files: Mapping[str, str], **changes: Any) -> Plan:
    return make_plan(suite_of(files, **changes), plugins=PLUGINS)


def ks(plan: Plan) -> set[tuple[str, int, int | str]]:
    return {(fit.corpus, fit.k, fit.k_spec) for fit in plan.fits}


def test_k_by_corpus_gives_the_cells_that_the_number_alone_would(files: dict[str, str]) -> None:
    plan = planned(files, k={"small": 3, "default": 5})
    assert ks(plan) == {("small", 3, 3), ("large", 5, 5)}
    alone = planned({"small": files["small"]}, k=3).keys()
    alone |= planned({"large": files["large"]}, k=[5]).keys()
    assert plan.keys() == alone


def test_k_of_a_corpus_may_be_several_and_no_default_is_needed_where_all_are_named(
    files: dict[str, str],
) -> None:
    plan = planned(files, k={"small": [3, 4], "large": 5})
    assert ks(plan) == {("small", 3, 3), ("small", 4, 4), ("large", 5, 5)}
    with pytest.raises(InputError, match="k says nothing of corpus 'large'; name it there, or"):
        planned(files, k={"small": 3})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"k": {"smal": 3, "default": 5}}, "unknown corpus in k 'smal'; did you mean 'small'"),
        ({"models_per_corpus": {"smal": ["drawn"]}}, "in models_per_corpus 'smal'; did you mean"),
        ({"params_per_corpus": {"lrge": {}}}, "in params_per_corpus 'lrge'; did you mean 'large'"),
        ({"features": {"settings_per_corpus": {"smal": ["default"]}}},
         "in features.settings_per_corpus 'smal'; did you mean 'small'"),
        ({"steering": {"corpora": ["smal"]}}, "in steering.corpora 'smal'; did you mean 'small'"),
        ({"steering": {"models": ["drwn"]}}, "model in steering.models 'drwn'; did you mean"),
        ({"params": {"drawm": {}}}, "unknown model in params 'drawm'; did you mean 'drawn'"),
        ({"seeds_per_model": {"drawm": [1]}}, "in seeds_per_model 'drawm'; did you mean 'drawn'"),
        ({"params_per_corpus": {"small": {"drawm": {}}}},
         "in params_per_corpus.small 'drawm'; did you mean 'drawn'"),
    ],
)  # fmt: skip
def test_names_that_the_suite_does_not_have_are_named(
    files: dict[str, str], changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UnknownNameError, match=said):
        planned(files, **changes)


@pytest.mark.parametrize(
    ("k", "said"),
    [
        ({"small": 0}, r"k_per_corpus\.small\.0.*greater than or equal to 1"),
        ({"small": "label", "default": 5}, r"k_per_corpus\.small\.0"),
        ({"small": [], "default": 5}, r"k_per_corpus\.small: .*at least 1 item"),
        ({}, "at least 1 item is needed"),
        ([], "at least 1 item is needed"),
    ],
)
def test_a_k_that_is_none_is_named(files: dict[str, str], k: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        suite_of(files, k=k)


def test_k_is_capped_by_documents_and_says_from_what(files: dict[str, str]) -> None:
    plan = planned(files, k=5, documents_per_topic=10)
    assert ks(plan) == {("small", 3, "min(5, documents / 10)"), ("large", 5, 5)}
    free = {fit.key for fit in planned(files, k=5).fits if fit.corpus == "large"}
    assert free < plan.keys()
    assert {fit.params["n_topics"] for fit in plan.fits if fit.corpus == "small"} == {3}


def test_a_cap_leaves_two_topics_and_each_number_once() -> None:
    def asked(k: Any, documents: int, labels: int = 0) -> list[tuple[int, int | str]]:
        suite = suite_of({"c": "c"}, k=k, documents_per_topic=10)
        return numbers_of_topics(suite, "c", documents, labels)

    assert asked(50, 19) == [(2, "min(50, documents / 10)")]
    assert asked([10, 50, 100], 349) == [(10, 10), (34, "min(50, documents / 10)")]
    assert asked([50, 20], 200) == [(20, 20)]
    assert asked("labels", 240, 30) == [(24, "min(labels, documents / 10)")]
    assert asked("labels", 400, 30) == [(30, "labels")]
    mixed: list[int | str] = [100, "min(50, documents / 10)", "labels", 10]
    assert sorted(mixed, key=k_order) == ["labels", 10, "min(50, documents / 10)", 100]


def test_capped_and_uncapped_corpora_are_pooled_by_what_was_asked() -> None:
    rule = "min(5, documents / 10)"
    several = suite_of({"c": "c"}, k=[5, 10], documents_per_topic=10)
    assert several.pooled_ks([5, rule, 10]) == {5: rule, rule: rule, 10: 10}
    assert suite_of({"c": "c"}, k=[5, 10]).pooled_ks([5, 10]) == {5: 5, 10: 10}
    assert suite_of({"c": "c"}, k="labels").pooled_ks(["labels"]) == {"labels": "labels"}
    one = suite_of({"c": "c"}, k=5, documents_per_topic=10)
    assert one.pooled_ks([5, rule]) == {5: "by corpus", rule: "by corpus"}
    assert suite_of({"c": "c"}, k={"c": [5, 6]}).pooled_ks([5, 6]) == {5: 5, 6: 6}


def test_k_is_not_by_corpus_where_all_have_the_same() -> None:
    """No corpus is capped, all are, or the table by corpus names none that is played otherwise."""
    rule = "min(5, documents / 10)"
    for k_spec in (5, rule):
        assert suite_of({"c": "c"}, k=5, documents_per_topic=10).pooled_ks([k_spec]) == {
            k_spec: k_spec
        }
    assert suite_of({"c": "c"}, k={"c": 5, "default": 5}).pooled_ks([5, 5]) == {5: 5}


def test_models_parameters_and_seeds_by_corpus_and_model(files: dict[str, str]) -> None:
    plan = planned(
        files,
        models=["drawn", "drawn-sharp"],
        models_per_corpus={"small": ["drawn-sharp"]},
        seeds_per_model={"drawn-sharp": [0, 1]},
        params={"drawn-sharp": {"sharpness": 2.0, "pause": 0.0}},
        params_per_corpus={"small": {"drawn-sharp": {"sharpness": 3.0}}},
    )
    found = {(fit.corpus, fit.model, fit.seed, fit.params.get("sharpness")) for fit in plan.fits}
    assert found == {
        ("small", "drawn-sharp", 0, 3.0), ("small", "drawn-sharp", 1, 3.0),
        ("large", "drawn-sharp", 0, 2.0), ("large", "drawn-sharp", 1, 2.0),
        ("large", "drawn", 0, None),
    }  # fmt: skip
    with pytest.raises(UnknownNameError, match="unknown parameter of model 'drawn' 'sharpnes'"):
        planned(files, params_per_corpus={"large": {"drawn": {"sharpnes": 1.0}}})


def test_a_suites_parameters_go_over_those_of_a_card(tmp_path: Path, files: dict[str, str]) -> None:
    card = tmp_path / "mine.toml"
    card.write_text(
        'model = "drawn"\nparams = { sharpness = 2.0 }\n'
        "[corpus.small]\nsharpness = 3.0\n[corpus.large]\nsharpness = 4.0\n"
    )
    told = {"small": {"mine": {"sharpness": 5.0}}}
    plan = planned(files, models=[str(card)], params_per_corpus=told)
    assert {(fit.corpus, fit.params["sharpness"]) for fit in plan.fits} == {
        ("small", 5.0), ("large", 4.0),
    }  # fmt: skip


def test_settings_by_corpus(files: dict[str, str]) -> None:
    settings = {"first": {}, "second": {"threshold_quantile": 0.5}}
    features = {
        "source": "planted", "params": {"settings": settings}, "settings": ["first"],
        "settings_per_corpus": {"large": ["first", "second"]}, "labels": "shipped",
    }  # fmt: skip
    plan = planned(files, models=["mk_means"], features=features)
    assert {(fit.corpus, fit.setting) for fit in plan.fits} == {
        ("small", "first"), ("large", "first"), ("large", "second"),
    }  # fmt: skip
    assert plan.suite.features.all_settings == ("first", "second")


def test_counting_outliers_is_in_the_key_only_where_it_is_asked_for(files: dict[str, str]) -> None:
    def keys(**params: object) -> set[str]:
        return planned(files, models=["bertopic"], params={"bertopic": params}).keys()

    assert keys() == keys(count_outliers=False)
    assert not keys() & keys(count_outliers=True)


@pytest.mark.slow
def test_a_suite_file_has_mbertopic_embed_documents_by_activations(tmp_path: Path) -> None:
    """From the file to the record: the fit is that of the model on the source's own views."""
    about = {"food": "bread soup oven butter kitchen", "space": "orbit rocket moon planet star"}
    rng = random.Random(1)
    texts = [
        " ".join(rng.choices(words.split(), k=8)) for words in about.values() for _ in range(15)
    ]
    corpus = tmp_path / "two.jsonl"
    corpus.write_text(
        "".join(json.dumps({"id": str(i), "text": t}) + "\n" for i, t in enumerate(texts))
    )
    params = "n_neighbors = 5\nmin_cluster_size = 3\n"
    card = tmp_path / "by-activations.toml"
    card.write_text(f'model = "mbertopic"\n[params]\nembedding = "activations"\n{params}')
    suite_file = tmp_path / "suite.toml"
    suite_file.write_text(
        f'name = "two"\ncorpora = ["{corpus}"]\nmodels = ["mbertopic", "{card}"]\nk = 4\n'
        f'[features]\nsource = "minilm"\nlabels = "shipped"\n[params.mbertopic]\n{params}'
    )
    run = tmp_path / "run"
    plan = make_plan(load_suite(str(suite_file)))
    assert run_suite(plan.suite, run, workers=0, plan=plan).errors == ()
    views = make_views(load_corpus(corpus), words=WordSpec(), source="minilm", labels="shipped")
    theta = {}
    for fit in plan.fits:
        model = MBERTopic(4, fit.params.get("embedding", "counts"), 3, n_neighbors=5)
        theta[fit.model] = recorded_result(run, fit.key).doc_topic
        np.testing.assert_array_equal(theta[fit.model], model.fit(views, seed=0).doc_topic)
    assert theta.keys() == {"mbertopic", "by-activations"}
    of_counts, of_activations = (
        document_vectors(views.features, by) for by in ("counts", "activations")
    )
    assert np.abs(of_counts - of_activations).max() > 0.1
    held = [r.payload for r in read_records(run / "records.jsonl") if r.kind == "fit"]
    assert {p["model"]: p["params_given"].get("embedding") for p in held} == {
        "mbertopic": None, "by-activations": "activations",
    }  # fmt: skip


def test_corpora_with_a_k_each_are_pooled_and_the_board_says_so(
    tmp_path: Path, files: dict[str, str]
) -> None:
    suite = suite_of(
        files,
        models=["drawn", "drawn-sharp"],
        k={"small": 4, "default": 5},
        documents_per_topic=10,
        params={"drawn-sharp": {"sharpness": 5.0}},
        metrics=["diversity"],
        judging={"judges": ["lexical", "scripted"], "documents": 20, "bootstrap": 100},
    )
    run = tmp_path / "run"
    assert run_suite(suite, run, plugins=PLUGINS, workers=0).errors == ()
    assert read_card(run / "suite.toml", Suite) == suite
    board = json.loads((run / "board.json").read_text())
    assert {(row["corpus"], row["k"], row["k_spec"]) for row in board["ratings"]} == {
        ("all", None, "by corpus"), ("large", 5, 5), ("small", 3, "min(4, documents / 10)"),
    }  # fmt: skip
    assert {(row["corpus"], row["k_spec"]) for row in board["agreement"]} == {
        ("all", "by corpus"), ("large", 5), ("small", "min(4, documents / 10)"),
    }  # fmt: skip
    pooled = [row for row in board["agreement"] if row["corpus"] == "all"]
    apart = [row for row in board["agreement"] if row["corpus"] != "all"]
    assert pooled[0]["n_items"] == sum(row["n_items"] for row in apart)
    page = (run / "board.md").read_text()
    assert "All corpora, pooled · K by corpus" in page
    assert "small · K = 3 = min(4, documents / 10)" in page
    before = (run / "board.json").read_bytes()
    write_board(run)
    assert (run / "board.json").read_bytes() == before


def test_what_the_page_of_suites_says_is_a_suite(files: dict[str, str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "suites.md").read_text(encoding="utf-8")
    (block,) = (
        part for part in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "_topic" in part
    )
    suite = suite_of({}, **tomllib.loads(block))
    assert (suite.k_of("agnews"), suite.k_of("wiki")) == ((50,), (100,))
    assert numbers_of_topics(suite, "wiki", 349, 0) == [(34, "min(100, documents / 10)")]
    assert suite.models_of("wiki") == ("lda", "mlda")
    assert suite.judging is not None
    assert suite.judging.refine is not None
    assert (suite.judging.refine.show, suite.judging.refine.drop) == (12, 2)


def test_what_is_taken_out_on_the_command_line_takes_its_tables_along(
    tmp_path: Path, files: dict[str, str]
) -> None:
    path = tmp_path / "suite.toml"
    path.write_text(
        f'name = "tiny"\ncorpora = {json.dumps(list(files.values()))}\n'
        'models = ["drawn", "drawn-sharp"]\nk = { small = 3, default = 5 }\n'
        '[models_per_corpus]\nlarge = ["drawn"]\n[seeds_per_model]\ndrawn-sharp = [0, 1]\n'
        "[params.drawn-sharp]\nsharpness = 2.0\n[params_per_corpus.small.drawn]\nsharpness = 3.0\n"
        "[words]\nmax_df = 1.0\n"
    )

    def played(**overrides: object) -> set[tuple[str, str, int, int]]:
        plan = make_plan(load_suite(str(path), overrides), plugins=PLUGINS)
        return {(fit.corpus, fit.model, fit.k, fit.seed) for fit in plan.fits}

    assert played(models=["drawn"]) == {("small", "drawn", 3, 0), ("large", "drawn", 5, 0)}
    assert played(corpora=[files["large"]]) == {("large", "drawn", 5, 0)}
    assert {k for _, _, k, _ in played(k=4)} == {4}
    with pytest.raises(UnknownNameError, match="model in params 'drawn-shap'"):
        played(**{"models": ["drawn"], "params.drawn-shap.sharpness": 1.0})


def test_a_corpus_that_is_a_subset_is_taken_out_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "suite.toml"
    path.write_text(
        'name = "tiny"\ncorpora = ["lee", {name = "bills", subset = "few"}, '
        '{name = "some/hub", subset = "en"}]\nmodels = ["lda"]\n'
        "k = { bills-few = 3, hub = 4, default = 5 }\n"
    )
    for taken, left in (
        ("lee", {}), ({"name": "bills", "subset": "few"}, {"bills-few": (3,)}),
        ("bills", {}), ({"name": "some/hub", "subset": "en"}, {"hub": (4,)}),
    ):  # fmt: skip
        assert load_suite(str(path), {"corpora": [taken]}).k_per_corpus == left


def test_what_an_override_says_by_corpus_stands_beside_what_it_says_for_all() -> None:
    by_corpus = {"models_per_corpus.20ng": ["mlda"], "k": 7, "k_per_corpus.20ng": [9]}
    suite = load_suite("paper", {"models": ["lda"], **by_corpus})
    assert suite.models_of("20ng") == ("mlda",)
    assert suite.models_of("bills") == ("lda",)
    assert (suite.k_of("20ng"), suite.k_of("agnews")) == ((9,), (7,))


def test_steering_goes_with_the_models_and_corpora_that_are_taken_out() -> None:
    of_poems = load_suite("paper", {"corpora": ["poemsum"]}).steering
    assert of_poems is not None
    assert of_poems.corpora == ("poemsum",)
    of_mlda = load_suite("paper", {"models": ["lda", "mlda"]}).steering
    assert of_mlda is not None
    assert of_mlda.models == ("mlda",)
    assert load_suite("paper", {"models": ["lda", "etm"]}).steering is None
    assert load_suite("paper", {"corpora": ["agnews"]}).steering is None


def test_models_that_only_steer_may_have_parameters(files: dict[str, str]) -> None:
    steering = {"models": ["mlda"], "features": {"source": "tinylm"}}
    plan = planned(files, params={"mlda": {"alpha": 2.0}}, steering=steering)
    assert {fit.model for fit in plan.fits}.isdisjoint({"mlda"})
