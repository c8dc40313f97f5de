"""Contexts: what is checked, what is kept on disk, and that nothing damaged is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.features.sae.contexts import (
    CONTEXTS_FILE,
    Context,
    FeatureContexts,
    RandomContext,
    load_contexts,
)
from mtmbench.labelling.context_text import ELLIPSIS, marked, marks, numbered, unmarked

STRONG = Context("a game of hockey, lost", 10, 16, 2.5)
SECOND = Context("the hockey team", 4, 10, 2.0)
WEAK = Context("pucks\nand sticks “here”", 0, 5, 0.125)


def contexts(**changes: Any) -> FeatureContexts:
    given: dict[str, Any] = {
        "strongest": [[STRONG, SECOND], []],
        "sampled": [[replace(WEAK, value=float(np.float32(0.1)))], []],
        "random": [RandomContext("a text", (1,)), RandomContext("another", ())],
        "source": {"reference": "toy", "seed": np.int64(3)},
        **changes,
    }
    return FeatureContexts(**given)


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    made = contexts()
    made.save(tmp_path / CONTEXTS_FILE)
    for path in (tmp_path, tmp_path / CONTEXTS_FILE):
        found = load_contexts(path)
        assert (found.strongest, found.sampled) == (made.strongest, made.sampled)
        assert (found.random, found.source) == (made.random, {"reference": "toy", "seed": 3})
        assert found.revision == made.revision
        assert found.n_features == 2
    first = (tmp_path / CONTEXTS_FILE).read_bytes()
    contexts().save(tmp_path / CONTEXTS_FILE)
    assert (tmp_path / CONTEXTS_FILE).read_bytes() == first


def test_an_empty_one_is_read_too(tmp_path: Path) -> None:
    FeatureContexts([[], []], [[], []], []).save(tmp_path / "none.parquet")
    found = load_contexts(tmp_path / "none.parquet")
    assert found.strongest == ((), ())
    assert found.random == ()


def test_the_revision_is_that_of_everything() -> None:
    revisions = {
        contexts().revision,
        contexts(source={}).revision,
        contexts(sampled=[[], []]).revision,
        contexts(sampled=[[], [WEAK]]).revision,
        contexts(random=[]).revision,
        contexts(random=[RandomContext("a text", ()), RandomContext("another", ())]).revision,
    }
    assert len(revisions) == 6


def test_a_window_that_stands_twice_is_taken_once() -> None:
    again = replace(STRONG, start=0, end=1, value=1.0)
    made = contexts(strongest=[[STRONG, again], [STRONG]], sampled=[[WEAK, STRONG, WEAK], []])
    assert made.strongest == ((STRONG,), (STRONG,))
    assert made.sampled == ((WEAK,), ())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampled": [[]]}, "strongest contexts of 2 features, but sampled ones of 1"),
        ({"sampled": [[], [replace(WEAK, end=99)]]}, "feature 1: a token from 0 to 99 in a window"),
        ({"sampled": [[], [replace(WEAK, end=0)]]}, "a token from 0 to 0"),
        ({"sampled": [[replace(WEAK, value=0.0)], []]}, "feature 0: a context with activation 0"),
        ({"sampled": [[replace(WEAK, value=float("nan"))], []]}, "activation nan"),
        ({"strongest": [[WEAK, STRONG], []]}, "feature 0: its strongest contexts are not in fall"),
        ({"random": [RandomContext("x", (2,))]}, "random context 0 names features from 2 to 2"),
        ({"random": [RandomContext("x", (1, 0))]}, "its features are not rising"),
        ({"random": [RandomContext(" ", ())]}, "random context 0 is empty"),
    ],
)
def test_wrong_contexts_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        contexts(**changes)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pytest.raises(InputError, match=r"there is no .*contexts\.parquet.*mtmbench features"):
        load_contexts(tmp_path)
    path = tmp_path / CONTEXTS_FILE
    path.write_text("no parquet")
    with pytest.raises(InputError, match="cannot read the contexts"):
        load_contexts(path)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(InputError, match="but not of contexts"):
        load_contexts(path)
    contexts().save(path)
    table = pq.read_table(path)
    texts = [text.replace("hockey", "cricket") for text in table.column("text").to_pylist()]
    changed = table.set_column(2, "text", pa.array(texts))
    pq.write_table(changed, path)
    with pytest.raises(InputError, match="not what its hash says"):
        load_contexts(path)
    pq.write_table(table.slice(1), path)
    with pytest.raises(InputError, match="not what its hash says"):
        load_contexts(path)
    pq.write_table(table.drop_columns(["value"]), path)
    with pytest.raises(InputError, match="has columns"):
        load_contexts(path)


@pytest.mark.parametrize(
    ("text", "token", "shown"),
    [
        ("a game of hockey, lost", "hockey", "a game of <hockey>, lost"),
        ("a game of hockey", " hockey", "a game of <hockey>"),
        ("one\n two", "\n", r"one<\n> two"),
        ("one two", " ", "one< >two"),
        ("pucks\n\nand", "pucks\n", "<pucks> and"),
    ],
)
def test_the_token_is_marked_without_its_white_space(text: str, token: str, shown: str) -> None:
    start = text.index(token)
    assert marked(Context(text, start, start + len(token), 1.0), 100, "<", ">") == shown


def test_long_windows_are_cut_around_the_token_at_whole_words() -> None:
    words = [f"word{n:03d}" for n in range(100)]
    text = " ".join(words)
    for at in (0, 1, 50, 98, 99):
        context = Context(text, start := text.index(words[at]), start + 7, 1.0)
        shown = marked(context, 80, "<", ">")
        bare = shown.replace("<", "").replace(">", "").replace(ELLIPSIS, "")
        assert f"<{words[at]}>" in shown
        assert 55 <= len(bare) <= 80
        assert set(bare.split()) <= set(words)
        assert bare.strip() in text
        assert (shown[0] == ELLIPSIS, shown[-1] == ELLIPSIS) == (at > 1, at < 98)
        assert unmarked(context, 80) == shown.replace("<", "").replace(">", "")
    middle = unmarked(RandomContext(text, ()), 80)
    assert middle[0] == middle[-1] == ELLIPSIS
    assert "word050" in middle
    assert unmarked(RandomContext("short\n text", ()), 80) == "short text"
    # Without white space near, words are cut.
    assert len(marked(Context("x" * 500, 200, 203, 1.0), 100, "<", ">")) >= 90


def test_marks_are_not_in_the_texts() -> None:
    plainly = [Context("a", 0, 1, 1.0)]
    assert marks(plainly) == ("⟦", "⟧")
    assert marks([Context("⟧ <<", 0, 1, 1.0)]) == ("«", "»")
    everything = [Context("⟦ >> « ⟪ <0: :1>", 0, 1, 1.0)]
    assert marks(everything) == ("<2:", ":2>")
    assert numbered(["a", "b"]) == "1. a\n2. b"
    assert numbered([]) == "(no passage)"
