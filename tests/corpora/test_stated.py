"""Corpora of stated size, and that nothing is fetched for a plan."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from mtmbench.core.errors import InputError
from mtmbench.core.specs import CorpusSpec
from mtmbench.corpora.offline import is_cached, is_offline, offline
from mtmbench.corpora.paper import CARDS
from mtmbench.corpora.stated import StandIn, load_here, missing_note, stand_in


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data folder, no caches, no network."""
    monkeypatch.delenv("MTMBENCH_DATA", raising=False)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "sklearn"))

    def refused(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


@pytest.mark.parametrize("name", sorted(CARDS))
def test_a_corpus_that_is_not_here_has_its_stated_size(nowhere: None, name: str) -> None:
    stated = CARDS[name].stated
    corpus = load_here(CorpusSpec(name=name, max_documents=4000))
    assert isinstance(corpus, StandIn)
    assert len(corpus) == min(4000, stated.documents)
    assert corpus.n_labels == min(len(corpus), stated.labels)
    assert len(corpus.texts[0].split()) == round(stated.mean_words or 200)
    note = missing_note(corpus)
    assert note is not None
    assert f"{stated.documents:,} documents" in note
    assert stated.source in note


def test_what_is_here_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "one two"}) + "\n")
    corpus = load_here(CorpusSpec(name=str(tmp_path / "a.jsonl")))
    assert corpus.texts == ("one two",)
    assert missing_note(corpus) is None


def test_what_is_here_but_cannot_be_read_is_an_error_as_in_a_run(
    nowhere: None, tmp_path: Path
) -> None:
    (tmp_path / "ag_news").mkdir()
    (tmp_path / "ag_news" / "ag_news_test.jsonl.gz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"ag_news_test\.jsonl\.gz"):
        load_here(CorpusSpec(name="agnews"), tmp_path)
    with pytest.raises(InputError, match="agnews"):
        load_here(CorpusSpec(name="agnews", split="test"))


def test_the_librarys_cache_is_found_under_its_own_spelling(nowhere: None, tmp_path: Path) -> None:
    assert not is_cached("zli12321/Bills")
    (tmp_path / "datasets" / "zli12321___bills").mkdir(parents=True)
    (tmp_path / "datasets" / "some___my_data_set").mkdir()
    assert is_cached("zli12321/Bills")
    assert is_cached("some/MyDataSet")
    assert not is_cached("other/MyDataSet")


def test_a_corpus_that_nobody_states_is_an_error(nowhere: None) -> None:
    with pytest.raises(InputError, match="'some/dataset' are not on this machine, and no card"):
        load_here(CorpusSpec(name="some/dataset"))
    with pytest.raises(InputError, match=r"no-such\.jsonl"):
        load_here(CorpusSpec(name="no-such.jsonl"))


def test_offline_ends_where_it_ends() -> None:
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    with offline():
        assert is_offline()
        assert constants.is_offline_mode()
    assert not is_offline()
    assert before == constants.HF_HUB_OFFLINE


def test_a_stand_ins_size_is_its_identity() -> None:
    stated = CARDS["agnews"].stated
    one, same, other = (stand_in("agnews", stated, n) for n in (50, 50, 60))
    assert one.revision == same.revision != other.revision
