"""Suites and cards: what is read, where it is found, and that a slip is named with its remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmbench.core.card_files import card_names, card_path, load_suite, override_suite
from mtmbench.core.card_reading import parse_card, parse_overrides, read_card, suite_text
from mtmbench.core.cards import JudgeCard, ModelCard, Suite
from mtmbench.core.errors import InputError, MtmbenchError, UnknownNameError
from mtmbench.features.registry import FEATURES
from mtmbench.judges.registry import load_judge_card
from mtmbench.metrics.registry import METRICS
from mtmbench.models.registry import MODELS, load_model_card

SUITE = """
name = "mine"
corpora = ["lee", { name = "my.csv", text = "body", max_documents = 50 }]
models = ["lda"]

[judging]
judges = ["lexical"]
"""


METRICS_ALONE = ("tuned", "untuned")
"""Shipped suites without a judge."""


@pytest.fixture
def suite_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(SUITE)
    return path


def test_a_suite_is_read_with_its_defaults(suite_file: Path) -> None:
    suite = load_suite(str(suite_file))
    assert [corpus.name for corpus in suite.corpora] == ["lee", "my.csv"]
    assert suite.corpora[1].text == "body"
    assert suite.corpora[1].max_documents == 50
    assert (suite.k, suite.seeds, suite.metrics) == ((20,), (0,), ())
    assert suite.judging is not None
    assert (suite.judging.max_topics, suite.judging.share) == (2, 0.75)
    assert suite.words.min_df == 2


def test_what_is_named_twice_is_played_once() -> None:
    suite = Suite.model_validate(
        {
            "name": "twice", "corpora": ["lee"], "models": ["lda"],
            "metrics": ["npmi", "diversity", "npmi"],
            "judging": {"representations": ["items", "projected", "items"]},
        }
    )  # fmt: skip
    assert suite.metrics == ("npmi", "diversity")
    assert suite.judging is not None
    assert suite.judging.representations == ("items", "projected")


def test_seeds_may_differ_by_model() -> None:
    suite = parse_card(
        {"name": "s", "corpora": ["lee"], "models": ["lda", "etm"],
         "seeds": [0, 1], "seeds_per_model": {"lda": [0, 1, 2]}},
        Suite, "here",
    )  # fmt: skip
    assert suite.seeds_of("lda") == (0, 1, 2)
    assert suite.seeds_of("etm") == (0, 1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('model = ["lda"]', "unknown key 'model'; did you mean 'models'"),
        ("[judging]\njudge = ['lexical']", r"unknown key 'judging\.judge'; did you mean 'judges'"),
        (
            "[[corpora]]\nname = 'x'\ntxt = 'y'",
            r"unknown key 'corpora\.0\.txt'; did you mean 'text'",
        ),
        ("k = [0]", r"k\.0.*greater than or equal to 1"),
        ('k = ["label"]', r"k\.0"),
        ("[words]\nmax_df = 2.0", r"words\.max_df: .*less than or equal to 1, not 2\.0"),
        ("models = []", "models: .*at least 1 item"),
        ('name = "unclosed', "is not valid TOML"),
    ],
)
def test_a_slip_names_file_key_and_remedy(tmp_path: Path, line: str, message: str) -> None:
    plain = {"name": "name = 's'", "corpora": "corpora = ['lee']", "models": "models = ['lda']"}
    for key in plain:
        if line.startswith((f"{key} =", f"[[{key}")):
            plain[key] = ""
    path = tmp_path / "slip.toml"
    path.write_text("\n".join([*plain.values(), line]))
    with pytest.raises(InputError, match=message) as caught:
        read_card(path, Suite)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [{}, {"words.min_df": 7, "corpora": ["lee"]}, {"models": ["etm"], "k": [3, 5]}],
)
def test_a_suite_in_memory_takes_overrides_as_its_file_does(
    suite_file: Path, overrides: dict[str, object]
) -> None:
    suite_file.write_text(
        'k_per_corpus = { lee = [9] }\nmodels_per_corpus = { lee = ["nmf", "lda"] }\n'
        f"params = {{ nmf = {{ max_iter = 9 }} }}\n{SUITE}"
    )
    given = load_suite(str(suite_file))
    assert override_suite(given, overrides) == load_suite(str(suite_file), overrides)


def test_what_a_suite_in_memory_cannot_be_is_said(suite_file: Path) -> None:
    with pytest.raises(InputError, match=r"suite 'mine': .*modles"):
        override_suite(load_suite(str(suite_file)), {"modles": ["lda"]})
    with pytest.raises(InputError, match=r"override k\.x: 'k' is not a table"):
        override_suite(load_suite(str(suite_file), {"k": [5]}), {"k.x": 1})
    numpys = load_suite(str(suite_file)).model_copy(update={"params": {"lda": {"a": np.int64(1)}}})
    with pytest.raises(InputError, match=r"suite 'mine' cannot be written as a file: .*int64"):
        override_suite(numpys, {})


def test_overrides_are_dotted_keys(suite_file: Path) -> None:
    changed = load_suite(str(suite_file), {"judging.documents": 7, "words.min_df": 1, "k": [5, 9]})
    assert changed.judging is not None
    assert (changed.judging.documents, changed.words.min_df, changed.k) == (7, 1, (5, 9))
    with pytest.raises(InputError, match=r"judging\.document'; did you mean 'documents'"):
        load_suite(str(suite_file), {"judging.document": 7})
    with pytest.raises(InputError, match="'name' is not a table"):
        load_suite(str(suite_file), {"name.first": 1})


def test_a_card_is_found_by_path_then_here_then_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suite_file: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert card_path("suites", str(suite_file)) == suite_file
    installed = card_path("suites", "quick")
    assert installed.is_file()
    assert not installed.is_relative_to(tmp_path)
    here = tmp_path / "leaderboards" / "quick"
    here.mkdir(parents=True)
    (here / "suite.toml").write_text(SUITE)
    assert card_path("suites", "quick") == here / "suite.toml"
    assert card_path("suites", str(here)) == here / "suite.toml"
    assert load_suite("quick").name == "mine"
    assert set(card_names("suites")) > {"quick"}


def test_what_cannot_be_found_gives_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown suite 'quik'; did you mean 'quick'"):
        load_suite("quik")
    with pytest.raises(UnknownNameError, match="unknown judge 'lexicl'; did you mean 'lexical'"):
        load_judge_card("lexicl")
    with pytest.raises(UnknownNameError, match="unknown model 'ldaa'; did you mean"):
        load_model_card("ldaa")
    with pytest.raises(InputError, match=r"there is no file .*none\.toml"):
        load_suite(str(tmp_path / "none.toml"))


def test_cards_refer_to_what_is_registered(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_text('model = "ldda"')
    with pytest.raises(UnknownNameError, match="unknown model 'ldda'; did you mean 'lda'"):
        load_model_card(str(path))
    path.write_text('client = "lexicla"')
    with pytest.raises(UnknownNameError, match="unknown judge client 'lexicla'; did you mean"):
        load_judge_card(str(path))


def test_a_registered_name_without_a_card_is_a_card_without_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in ("models", "judges"):
        monkeypatch.setattr(f"mtmbench.{room}.registry.card_names", lambda kind: {})
    assert load_model_card("lda") == ModelCard(model="lda")
    assert load_judge_card("lexical") == JudgeCard(client="lexical")


def test_parameters_of_a_corpus_override_the_cards() -> None:
    card = ModelCard(model="lda", params={"beta": 0.01, "alpha": 5}, corpus={"lee": {"beta": 0.1}})
    assert card.params_for("lee") == {"beta": 0.1, "alpha": 5}
    assert card.params_for("20ng") == {"beta": 0.01, "alpha": 5}


@pytest.mark.parametrize("name", sorted(card_names("suites")))
def test_every_shipped_suite_names_what_exists(name: str) -> None:
    suite = load_suite(name)
    assert suite.name == name
    for model in suite.models:
        assert load_model_card(model).model in MODELS
    assert set(suite.metrics) <= set(METRICS)
    assert suite.features.source in FEATURES
    ruled = [part for part in (suite.judging, suite.steering) if part is not None]
    assert bool(ruled) == (name not in METRICS_ALONE)
    for judge in (judge for part in ruled for judge in part.judges):
        load_judge_card(judge)
    if suite.steering is not None and suite.steering.features is not None:
        assert suite.steering.features.source in FEATURES


@pytest.mark.parametrize("name", sorted(card_names("baselines")))
def test_every_shipped_model_card_fits_its_model(name: str) -> None:
    card = load_model_card(name)
    defaults = MODELS.get(card.model)().get_params(deep=False)
    given = [card.params, *card.corpus.values()]
    assert {key for params in given for key in params} <= set(defaults)
    assert set(card.search) <= set(defaults)


@pytest.mark.parametrize("name", sorted(card_names("judges")))
def test_every_shipped_judge_card_makes_its_client(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mtmbench.judges.registry import JUDGES

    card = load_judge_card(name)
    members = [load_judge_card(member) for member in card.params.get("members", ())]
    for one in (card, *members):
        if one.endpoint is not None and one.endpoint.api_key_env is not None:
            monkeypatch.setenv(one.endpoint.api_key_env, "a key")
    client = JUDGES.get(card.client).from_card(card)
    assert client.name == card.client


ENDPOINT = {"base_url": "http://h/v1", "api_key_env": "KEY"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"modell": "m"}, "unknown key 'modell'; did you mean 'model'"),
        ({"endpoint": {**ENDPOINT, "api_key": "sk"}}, "'endpoint.api_key'; did you mean 'api_key_"),
        ({"endpoint": {}}, "endpoint.base_url: Field required"),
        (
            {"prices": {"input": 1, "ouput": 2, "output": 2}},
            "'prices.ouput'; did you mean 'output'",
        ),
        ({"prices": {"input": -1, "output": 2}}, "prices.input: "),
        ({"limits": {"concurency": 2}}, "'limits.concurency'; did you mean 'concurrency'"),
    ],
)
def test_slips_in_a_judge_card_are_named(more: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_card({"client": "openai", **more}, JudgeCard, "here")
    assert message in str(caught.value)


def test_what_tells_matches_of_two_cards_apart() -> None:
    plain = JudgeCard(client="embedding", params={"tie_below": 0.01})
    # As before there were endpoints: keys of existing records hold.
    assert plain.identity() == {
        "client": "embedding", "description": "", "prompt": "match",
        "params": {"tie_below": 0.01}, "decoding": {},
    }  # fmt: skip
    chat = parse_card({"client": "openai", "model": "m", "endpoint": ENDPOINT}, JudgeCard, "here")
    told = {**chat.identity()}
    assert (told["model"], told["endpoint"], told["structured"]) == ("m", "http://h/v1", False)
    for same in ({"prices": {"input": 1, "output": 2}}, {"limits": {"concurrency": 3}},
                 {"endpoint": {**ENDPOINT, "api_key_env": "OTHER"}}):  # fmt: skip
        other = JudgeCard.model_validate({**chat.model_dump(), **same})
        assert other.identity() == told
    for another in ({"model": "n"}, {"revision": "r"}, {"endpoint": {"base_url": "http://i/v1"}},
                    {"endpoint": {**ENDPOINT, "structured": True}}):  # fmt: skip
        other = JudgeCard.model_validate({**chat.model_dump(), **another})
        assert other.identity() != told


def test_stop_words_are_a_choice_a_list_a_file_or_a_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mtmbench.core.serialise import content_hash
    from mtmbench.core.specs import WordSpec

    plain = {"min_df": 2, "max_df": 0.5, "stop_words": True, "max_vocabulary": None}
    # Keys of what was played before hash these fields.
    assert content_hash(WordSpec().model_dump()) == content_hash(plain)
    for english in (True, "english", "English", "en"):
        assert WordSpec(stop_words=english).model_dump() == plain
    assert WordSpec(stop_words=False).model_dump() == {**plain, "stop_words": False}
    (tmp_path / "mine.txt").write_text("\ufeffder\n\n die \r\n", encoding="utf-8")
    (tmp_path / "mine.json").write_text('["der", "die"]')
    (tmp_path / "wrong.json").write_text('{"der": 1}')
    monkeypatch.chdir(tmp_path)
    for given in (["der", "die"], "mine.txt", "./mine.json", str(tmp_path / "mine.txt")):
        spec = WordSpec(stop_words=given)
        assert spec.stop_words == ("der", "die")
        assert WordSpec.model_validate(spec.model_dump()) == spec
    assert WordSpec(stop_words="de") == WordSpec(stop_words="German")
    assert WordSpec(stop_words="de").stop_words == "german"
    for wrong, message in (
        ("germna", "did you mean 'german'"),
        ("none.txt", "there is no file none.txt"),
        ("wrong.json", "must hold a JSON list of words"),
        ([1], "valid string"),
        ("the of and " * 30, "is no file .*several words are a list"),
        (3, "stop_words"),
    ):
        with pytest.raises(ValueError, match=message):
            WordSpec(stop_words=wrong)


def test_a_value_on_the_command_line_is_a_text_only_where_it_is_no_toml() -> None:
    told = parse_overrides(["a=ldas", "b=[1, 2", "c=2020-13-45", "d=1_0", 'e="1"'])
    assert told == {"a": "ldas", "b": "[1, 2", "c": "2020-13-45", "d": 10, "e": "1"}
    with pytest.raises(InputError, match=r"--set k: a whole number of more than 4300 digits"):
        parse_overrides(["k=" + "9" * 5000])
    for deep in ("[" * 3000 + "]" * 3000, "[" * 3000):
        with pytest.raises(InputError, match=r"--set k\.x: nested too deeply"):
            parse_overrides([f"k.x={deep}"])


@pytest.mark.parametrize("seeds", [{"seeds": [-1]}, {"seeds_per_model": {"lda": [0, -1]}}])
def test_a_seed_is_not_negative(seeds: dict[str, object]) -> None:
    suite = {"name": "s", "corpora": ["lee"], "models": ["lda"], **seeds}
    with pytest.raises(InputError, match="greater than or equal to 0, not -1"):
        parse_card(suite, Suite, "here")


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., Path]:
    """Writes suite files, texts by path, into a folder; returns the last one's path."""

    def write(**texts: str) -> Path:
        for name, text in texts.items():
            path = tmp_path / f"{name.replace('__', '/')}.toml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return path

    return write


def test_a_suite_holds_what_it_includes_unless_it_sets_it_anew(
    files: Callable[..., Path],
) -> None:
    path = files(
        shared__judging="seeds = [7]\n[judging]\njudges = ['lexical']\ndocuments = 30\n",
        base="include = ['shared/judging.toml']\nname = 'base'\ntitle = 'Base'\n"
        "corpora = ['lee', 'gensim-wiki']\nmodels = ['lda', 'etm']\nmetrics = ['npmi', 'purity']\n"
        "k = { lee = 5, default = 10 }\nseeds_per_model.etm = [3]\n"
        "params.lda = { alpha = 1.0, beta = 0.1 }\nmetric_params.npmi = { window = 20 }\n",
        later="seeds = [8]\n[judging]\nnulls = true\n",
        mine="include = ['base.toml', 'later.toml']\nname = 'mine'\nmodels = ['lda', 'mlda']\n"
        "metrics = ['purity']\nparams.lda = { beta = 0.2 }\nk = { default = 12 }\n",
    )
    told = {
        "name": "mine", "title": "Base", "corpora": ["lee", "gensim-wiki"],
        "models": ["lda", "mlda"], "metrics": ["purity"], "k": {"lee": 5, "default": 12},
        "params": {"lda": {"alpha": 1.0, "beta": 0.2}}, "seeds": [8],
        "judging": {"judges": ["lexical"], "documents": 30, "nulls": True},
    }  # fmt: skip
    suite = load_suite(str(path))
    assert suite == parse_card(told, Suite, "written out")
    # What a run writes is the whole, which stands by itself.
    written = path.with_name("written.toml")
    written.write_text(suite_text(suite))
    assert read_card(written, Suite) == suite
    with pytest.raises(InputError, match=r"mine\.toml includes other suites.*--out"):
        read_card(path, Suite)
    assert load_suite(str(path), {"judging.documents": 5}).judging != suite.judging


def test_a_suite_is_included_by_name_and_what_is_set_for_all_holds_for_all(
    files: Callable[..., Path],
) -> None:
    base = load_suite("paper")
    suite = load_suite(
        str(files(mine="include = ['paper']\nname = 'mine'\nmodels = ['lda']\nk = [5]\n"))
    )
    assert (suite.corpora, suite.words, suite.judging) == (base.corpora, base.words, base.judging)
    assert (suite.models, suite.k, suite.k_per_corpus) == (("lda",), (5,), {})
    assert base.k_per_corpus
    # As --models and --set have it.
    overrides = {"name": "mine", "models": ["lda"], "k": [5]}
    assert suite == load_suite("paper", overrides)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            {"a": "include = ['b.toml']", "b": "include = ['a.toml']"},
            r"in a circle: \S*b\.toml → \S*a\.toml → \S*b\.toml",
        ),
        ({"a": "include = 'quick'\nname = 'a'"}, r"include is 'quick'; a list of suites"),
        ({"a": "include = ['quik']\nname = 'a'"}, "unknown suite 'quik'; did you mean 'quick'"),
        ({"a": "include = ['none.toml']"}, r"there is no file \S*none\.toml"),
        ({"a": "include = ['quick']"}, r"a\.toml, including \S*suite\.toml: name: Field required"),
        ({"b": "modls = []", "a": "include = ['b.toml']"}, r"b\.toml: .*'modls'; did you mean"),
    ],
)
def test_an_include_that_cannot_be_is_named(
    files: Callable[..., Path], texts: dict[str, str], message: str
) -> None:
    with pytest.raises(MtmbenchError, match=message):
        load_suite(str(files(**texts)))


def test_a_limited_suite_says_so(suite_file: Path) -> None:
    suite = load_suite(str(suite_file))
    limited = suite.limited(20)
    assert [spec.max_documents for spec in limited.corpora] == [20, 20]
    assert [spec.max_documents for spec in suite.limited(1000).corpora] == [1000, 50]
    assert (limited.name, limited.title) == (
        "mine-limit-20", "mine, limited to 20 documents a corpus",
    )  # fmt: skip
    assert limited.judging == suite.judging


def test_metrics_that_are_taken_out_take_their_parameters_along(suite_file: Path) -> None:
    suite_file.write_text(
        SUITE.replace(
            "[judging]", "metrics = ['npmi', 'nmi']\nmetric_params.npmi.window = 9\n[judging]"
        )
    )
    assert load_suite(str(suite_file)).metric_params == {"npmi": {"window": 9}}
    assert load_suite(str(suite_file), {"metrics": ["nmi"]}).metric_params == {}


def test_what_is_left_of_a_tuned_suite_keeps_its_documents_and_the_metric_s_parameters(
    suite_file: Path,
) -> None:
    suite_file.write_text(
        'name = "tuned"\ncorpora = ["bills"]\nmodels = ["lda", "nmf"]\nmetrics = ["rating"]\n'
        'metric_params.rating.judge = "gemini"\n'
        'tuning = { metric = "rating", models = ["lda"], share = 0.25 }\n'
    )
    path = str(suite_file)
    untuned = load_suite(path, {"models": ["nmf"]})
    assert untuned.tuning is None
    assert untuned.corpora == load_suite(path).on_part("scored").corpora
    others = load_suite(path, {"metrics": ["npmi"]})
    assert others.metric_params == {"rating": {"judge": "gemini"}}
    assert others.corpora == load_suite(path).corpora
