"""Prompts gone on from by a topic: the same texts as the parts of steering make, in one call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, ItemSpace
from mtmbench.features.registry import register_features
from mtmbench.features.sae.hub import ModelFeatures
from mtmbench.features.sae.sae import save_sae
from mtmbench.features.sae.shipped import MiniLMFeatures, TinyLMFeatures
from mtmbench.steering import texts as module
from mtmbench.steering.generate import Job, Sampling, generate
from mtmbench.steering.hook import Push
from mtmbench.steering.language_model import CausalLM
from mtmbench.steering.texts import steer
from mtmbench.steering.units import read_reference, strength
from mtmbench.steering.vector import topic_vector

PROMPTS = ["w1 w2", "w30", "w1 w2"]


@pytest.fixture
def corpus() -> Corpus:
    generator = np.random.default_rng(0)
    texts = [" ".join(f"w{i}" for i in generator.integers(0, 50, size=9)) for _ in range(30)]
    return Corpus("toy", tuple(map(str, range(30))), tuple(texts))


@pytest.fixture
def source(tmp_path, tiny_model, sae):
    save_sae(sae, tmp_path / "sae")
    return ModelFeatures(str(tiny_model("llama")[0]), {"tiny": {"folder": str(tmp_path / "sae")}})


@pytest.fixture
def fitted(result, source):
    """The result of the fixtures, with the name under which this source reads the model."""
    described = {**result.items.source, **source.describe()}
    return replace(result, items=replace(result.items, source=described))


def long_way(lm, vector, corpus, prompts, level, unit, **sampling):
    """Steered and unsteered texts, each made on its own."""
    hook_point = vector.origin.hook_point
    reference = None if unit == "absolute" else read_reference(lm.backbone, corpus, hook_point)
    push = Push(vector, strength(level, unit, vector, reference).absolute)
    made = []
    for pushes in ((), (push,)):
        jobs = [Job(prompt, pushes=pushes) for prompt in prompts]
        made.append([text.text for text in generate(lm, jobs, Sampling(**sampling))])
    return made, push.strength


@pytest.mark.parametrize(
    ("unit", "method"),
    [("p99", "topic"), ("mean_norm", "topic_raw"), ("absolute", "topic")],
)
def test_the_texts_are_those_of_the_parts(fitted, source, corpus, sae, unit, method):
    sampling = {"max_tokens": 8, "temperature": 1.5, "top_p": 0.9, "seed": 3}
    frame = steer(
        fitted, 2, PROMPTS, 4.0, corpus=corpus, features=source, unit=unit, method=method,
        **sampling,
    )  # fmt: skip
    lm = CausalLM(source.backbone)
    vector = topic_vector(fitted, 2, sae, relative=method == "topic")
    (unsteered, steered), absolute = long_way(lm, vector, corpus, PROMPTS, 4.0, unit, **sampling)
    assert list(frame.columns) == ["prompt", "unsteered", "steered"]
    assert frame.to_dict("list") == {
        "prompt": PROMPTS, "unsteered": unsteered, "steered": steered,
    }  # fmt: skip
    assert unsteered != steered
    told = frame.attrs
    assert (told["lambda"], told["lambda_unit"], told["lambda_absolute"]) == (4.0, unit, absolute)
    assert (told["model"], told["topic"], told["method"]) == ("mlda", 2, method)
    assert told["hook_point"] == "blocks.1.hook_resid_post"
    assert told["backbone"] == source.backbone.name
    reference = told["lambda_reference"]
    assert (reference is None) == (unit == "absolute")
    assert reference is None or (reference["corpus"], reference["tokens"]) == ("toy", 270)


def test_one_prompt_and_a_registered_name(fitted, source, corpus):
    register_features("texts-test", lambda: source)
    by_name = steer(fitted, 0, "w5", corpus=corpus, features="texts-test", max_tokens=4)
    given = steer(fitted, 0, ["w5"], corpus=corpus, features=source, max_tokens=4)
    assert by_name.equals(given)
    assert list(by_name["prompt"]) == ["w5"]


def test_a_reference_is_read_once_for_all_topics(fitted, source, corpus, monkeypatch):
    read = []

    def counted(*args):
        read.append(args)
        return read_reference(*args)

    monkeypatch.setattr(module, "read_reference", counted)
    for topic, unit in ((0, "p99"), (1, "p99"), (0, "mean_norm")):
        steer(fitted, topic, "w5", corpus=corpus, features=source, unit=unit, max_tokens=2)
    assert len(read) == 1
    steer(fitted, 0, "w5", corpus=corpus.select(range(9)), features=source, max_tokens=2)
    assert len(read) == 2
    # The same texts under another name are told of by that name.
    other = replace(corpus, name="other")
    told = steer(fitted, 0, "w5", corpus=other, features=source, max_tokens=2).attrs
    assert told["lambda_reference"]["corpus"] == "other"


@pytest.fixture
def tinylm_result():
    """Two topics over three features of the small LM's, as a fit on them says where they are."""
    return over(TinyLMFeatures())


def over(source, **changes):
    items = ItemSpace(
        "features", ("5", "900", "77"), ("x", "y", "z"), {**source.describe(), **changes}
    )
    return TopicResult(
        "mlda", {}, {}, 0, np.full((4, 2), 0.5, np.float32),
        np.array([[0.7, 0.3, 0], [0, 0.1, 0.9]], np.float32), items, {"name": "toy"},
    )  # fmt: skip


def test_the_source_that_ships_is_found(tinylm_result):
    short = Corpus("short", ("a",), ("The president of the United States lives in a house.",))
    found = steer(tinylm_result, 1, "This morning,", 3.0, corpus=short, max_tokens=6)
    source = TinyLMFeatures()
    vector = topic_vector(tinylm_result, 1, source.folder("block1").sae)
    lm = CausalLM(source.backbone)
    expected, _ = long_way(lm, vector, short, ["This morning,"], 3.0, "p99", max_tokens=6)
    assert [[*found["unsteered"]], [*found["steered"]]] == expected
    assert found.attrs["backbone"] == "mtmbench/tinylm"


def test_without_a_corpus_the_unit_is_measured_on_the_one_that_ships(tinylm_result, monkeypatch):
    monkeypatch.setattr(module, "load_corpus", lambda name: Corpus(name, ("a",), ("A short one.",)))
    told = steer(tinylm_result, 0, "This", max_tokens=1).attrs["lambda_reference"]
    assert told["corpus"] == "lee"


def test_what_does_not_fit_is_named(fitted, source, corpus, result):
    words = replace(result, items=ItemSpace("words", result.items.ids, result.items.labels))
    with pytest.raises(InputError, match="'mlda' is over words, which have no directions"):
        steer(words, 0, "w1")
    with pytest.raises(InputError, match=r"no feature source that ships has backbone .* features="):
        steer(fitted, 0, "w1")
    with pytest.raises(InputError, match="no feature source that ships"):
        steer(over(TinyLMFeatures(), sae_hash="another"), 0, "This")
    with pytest.raises(InputError, match=r"'tinylm' has no SAE with hash .*; it has block1: "):
        steer(fitted, 0, "w1", features="tinylm")
    with pytest.raises(InputError, match=r"is an encoder .* it generates no text"):
        steer(over(MiniLMFeatures()), 0, "w1")
    with pytest.raises(InputError, match="topic 5 is out of range; 'mlda' has topics 0 to 4"):
        steer(fitted, 5, "w1", features=source, unit="absolute")
    with pytest.raises(InputError, match="topic 3 of 'mlda' is empty"):
        steer(fitted, 3, "w1", features=source, unit="absolute")
    with pytest.raises(InputError, match="there is no prompt"):
        steer(fitted, 0, [], features=source)
    with pytest.raises(InputError, match="max_tokens must be at least 1, not 0"):
        steer(fitted, 0, "w1", features=source, max_tokens=0)
    with pytest.raises(UnknownNameError, match="method 'raw'; did you mean 'topic_raw'"):
        steer(fitted, 0, "w1", features=source, method="raw")
    with pytest.raises(UnknownNameError, match="unit of lambda 'p9'; did you mean 'p99'"):
        steer(fitted, 0, "w1", features=source, unit="p9", corpus=corpus)
