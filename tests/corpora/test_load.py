"""The door: names, samples, lists of texts, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.specs import CorpusSpec
from mtmbench.core.types import Corpus
from mtmbench.corpora.load import load_corpus, load_spec
from mtmbench.corpora.registry import CORPORA


def test_a_list_of_texts_is_a_corpus() -> None:
    corpus = load_corpus(["one", "", "two", "one"])
    assert corpus.doc_ids == ("0", "2", "3")
    assert (corpus.n_empty, corpus.n_duplicates, corpus.labels) == (1, 1, None)
    with pytest.raises(InputError, match="holds no documents"):
        load_corpus([])
    with pytest.raises(InputError, match="text 1: column 'text' holds 3"):
        load_corpus(["one", 3])  # type: ignore[list-item]


@pytest.mark.parametrize("kind", ["dict", "DataFrame"])
def test_a_table_is_no_sequence_of_texts(kind: str) -> None:
    table: object = {"text": ["one"], "label": ["a"]}
    if kind == "DataFrame":
        import pandas as pd

        table = pd.DataFrame(table)
        assert load_corpus(table["text"]).texts == ("one",)
    with pytest.raises(InputError, match=f"a {kind} is no sequence of texts; give its column"):
        load_corpus(table)  # type: ignore[arg-type]


def test_an_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown corpus '20gn'; did you mean '20ng'"):
        load_corpus("20gn")


def test_a_sample_is_seeded_ordered_and_on_record() -> None:
    texts = [f"text {number}" for number in range(100)]
    first = load_corpus(texts, max_documents=30, sample_seed=1)
    again = load_corpus(texts, max_documents=30, sample_seed=1)
    other = load_corpus(texts, max_documents=30, sample_seed=2)
    assert len(first) == 30
    assert first.revision == again.revision != other.revision
    assert list(first.doc_ids) == sorted(first.doc_ids, key=int)
    assert first.source["sample"] == {"documents": 30, "of": 100, "seed": 1}
    whole = load_corpus(texts, max_documents=100)
    assert len(whole) == 100
    assert "sample" not in whole.source
    with pytest.raises(InputError, match="at least 1"):
        load_corpus(texts, max_documents=0)


def test_a_spec_of_a_suite_loads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("body,topic\nsome text,a\nmore text,b\n")
    spec = CorpusSpec(name=str(path), text="body", label="topic")
    assert load_spec(spec).revision == load_corpus(path, text="body", label="topic").revision


def test_columns_and_subsets_are_refused_where_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the registered corpus 'lee' has no columns"):
        load_corpus("lee", text="body")
    with pytest.raises(InputError, match="a sequence of texts has no subsets"):
        load_corpus(["one"], subset="x")
    (tmp_path / "one.txt").write_text("one")
    with pytest.raises(InputError, match="has no columns to choose"):
        load_corpus(tmp_path, label="topic")


def test_a_registered_loader_must_return_a_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    CORPORA.names()
    monkeypatch.setitem(CORPORA._targets, "odd", lambda data_dir, subset: ["texts"])
    monkeypatch.setitem(CORPORA._origins, "odd", "here")
    with pytest.raises(InputError, match=r"loader of corpus 'odd' \(here\) returned list"):
        load_corpus("odd")
    made = Corpus("made", ("0",), ("text",))
    monkeypatch.setitem(CORPORA._targets, "odd", lambda data_dir, subset: made)
    assert load_corpus("odd").revision == made.revision


def test_the_data_folder_must_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data_dir names .* which is not a folder"):
        load_corpus("bills", data_dir=tmp_path / "none")
    monkeypatch.setenv("MTMBENCH_DATA", str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"MTMBENCH_DATA names .* which is not a folder"):
        load_corpus("bills")
