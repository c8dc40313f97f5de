"""What a run's page tells of features: against counts in plain Python, and by whose leave."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import SUPPORT
from support.site import parts_of_run
from support.worded_source import first_letters

from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus
from mtmbench.engine.harness import run_suite
from mtmbench.engine.plan import make_plan
from mtmbench.engine.site_features import strongest_contexts
from mtmbench.engine.site_parts import write_site_parts
from mtmbench.features.base import Firings
from mtmbench.features.registry import source_of

PLUGINS = [str(SUPPORT / "fast_plugin.py"), str(SUPPORT / "worded_source.py")]
WORDS = ("apples", "bananas", "cherries", "dates", "elderberries", "figs", "grapes", "honey")


@pytest.fixture(autouse=True)
def _own_cache(own_cache: Path) -> None:
    """See ``support.models``."""


@pytest.mark.parametrize("valued", [True, False])
def test_contexts_are_the_strongest_of_distinct_documents(valued: bool) -> None:
    draw = np.random.default_rng(2)
    texts = tuple(" ".join(draw.choice(WORDS, 60)) for _ in range(30))
    corpus = Corpus("c", tuple(f"d{i}" for i in range(30)), (*texts[:-1], texts[0]))
    n = 4000
    documents = np.sort(draw.integers(0, 30, n))
    starts = draw.integers(0, 250, n)
    values = draw.integers(1, 40, n).astype(np.float32)  # with ties
    features = draw.integers(0, 7, n)
    ends = starts + draw.integers(0, 4, n)
    parts = [
        Firings(
            documents[at], starts[at], ends[at], features[at], 7, values[at] if valued else None
        )
        for at in (documents < 11, documents >= 11)
    ]
    found = strongest_contexts(corpus, parts, {1, 4})
    assert set(found) == {1, 4}
    for feature, contexts in found.items():
        ranked = sorted(
            (-values[i] if valued else 0.0, documents[i], starts[i], ends[i])
            for i in range(n)
            if features[i] == feature and ends[i] > starts[i]
        )
        expected: list[tuple[str, str]] = []
        for _, row, start, end in ranked:
            # Documents 0 and 29 hold the same text, so that one window may stand in both.
            if f"d{row}" not in [name for name, _ in expected]:
                expected.append((f"d{row}", corpus.texts[row][start:end]))
        told = [(name, token) for name, _, token, _ in contexts]
        assert len(told) == 5
        assert told == expected[:5]
        for name, before, token, behind in contexts:
            text = corpus.texts[corpus.doc_ids.index(name)]
            assert before + token + behind in text
            assert max(len(before), len(behind)) <= 90
            # Cut at white space: the window begins and ends with whole words.
            assert f" {before}{token}{behind} " in f" {text} "


def test_a_window_that_stands_twice_is_shown_once() -> None:
    corpus = Corpus("c", ("a", "b"), ("one  two\nthree",) * 2)
    firings = Firings(*(np.array(x) for x in ([0, 1], [5, 5], [8, 8], [3, 3])), n_features=9)
    assert strongest_contexts(corpus, [firings], [3]) == {3: [["a", "one ", "two", " three"]]}


@pytest.mark.slow
def test_a_run_tells_of_its_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(0)
    texts = [" ".join(rng.choices(WORDS[(i % 2) * 4 :][:4], k=12)) for i in range(40)]
    path = tmp_path / "fruit.jsonl"
    path.write_text(
        "".join(json.dumps({"id": f"d{i}", "text": t}) + "\n" for i, t in enumerate(texts))
    )
    data: dict[str, Any] = {
        "name": "fruit", "corpora": [str(path)], "models": ["drawn", "mlda"], "k": [4],
        "seeds": [0], "features": {"source": "worded", "params": {"scored": 5}},
    }  # fmt: skip
    suite = parse_card(data, Suite, "test suite")
    folder = tmp_path / "run"
    run_suite(suite, folder, plugins=PLUGINS, workers=0)
    told = parts_of_run(folder)
    assert "contexts" not in told
    ((of, content),) = told["features"]
    assert of["setting"] == "default"
    assert content["why"] == {
        "contexts": "texts of fruit are not shown: its licence is 'none stated'"
    }
    counts = [first_letters(text) for text in texts]
    n_tokens = sum(len(text) for text in texts)  # as the source counts them
    shown = {
        feature
        for _, part in told["documents"]
        for topic in part["models"]["mlda"]
        for feature, *_ in topic["features"]
    }
    assert set(content["features"]) == shown
    for number, feature in content["features"].items():
        letter = chr(97 + int(number))
        assert feature["d"] == pytest.approx(sum(c[letter] > 0 for c in counts) / 40, abs=1e-4)
        assert feature["t"] == pytest.approx(sum(c[letter] for c in counts) / n_tokens, abs=1e-6)
        if int(number) < 5:  # a judge scored its label, so the corpus gives it no other
            assert (feature["n"], feature["f"], feature["s"]) == (
                f"letter {letter}",
                "shipped",
                0.75,
            )
        else:
            assert (feature["f"], feature["o"]) == ("corpus", f"letter {letter}")
            assert "s" not in feature
            assert feature["n"] != feature["o"]
    write_site_parts(make_plan(suite, plugins=PLUGINS), folder, texts=True)
    ((_, contexts),) = parts_of_run(folder)["contexts"]
    assert set(contexts) == shown
    for number, places in contexts.items():
        assert len({name for name, *_ in places}) == len(places) == 5
        for name, before, token, behind in places:
            assert token.startswith(chr(97 + int(number)))
            assert before + token + behind in texts[int(name[1:])]

    # What fails in a source, whatever it raises, spoils no more than what it was asked for.
    source = type(source_of(suite.features))
    for method, asked, error, lost in (
        ("at_hand", "firings", InputError("it is damaged"), "contexts"),
        ("at_hand", "counts", ValueError("odd"), "density"),
        ("label_scores", "default", ImportError("no such module"), "score"),
    ):

        def fail(
            _: object,
            what: str,
            *args: object,
            wrong: str = asked,
            why: Exception = error,
            **_more: object,
        ) -> bool:
            if what == wrong:
                raise why
            return True

        with monkeypatch.context() as patch:
            patch.setattr(source, method, fail)
            write_site_parts(make_plan(suite, plugins=PLUGINS), folder, texts=True)
        told = parts_of_run(folder)
        ((_, content),) = told["features"]
        assert content["why"] == {lost: f"the features cannot be read: {error}"}
        assert all(("d" in each) == (lost != "density") for each in content["features"].values())
        assert ("contexts" in told) == (lost != "contexts")
        assert {"documents", "texts"} <= set(told)
