"""The paper's eight: counts of the shared data against its own description, and clear errors."""

from __future__ import annotations

import codecs
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.corpora.hub import is_hub_id
from mtmbench.corpora.load import load_corpus
from mtmbench.corpora.newsgroups import load_newsgroups
from mtmbench.corpora.paper import CARDS

# Documents, empty ones dropped, labels: as SOURCES.md of the shared data states them.
EXPECTED = {
    "20ng": (18_846, 515, 20),
    "bills": (1_000, 0, 21),
    "wiki": (700, 0, 14),
    "yelp": (10_000, 0, 10),
    "agnews": (7_600, 0, 4),
    "goemotions": (54_263, 0, 28),
    "poemsum": (603, 0, 319),
    "writingprompts": (600, 0, 14),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_local_copies_match_their_description(shared_data: Path, name: str) -> None:
    corpus = load_corpus(name, data_dir=shared_data)
    documents, empty, labels = EXPECTED[name]
    assert len(corpus) + corpus.n_empty == documents
    assert corpus.n_empty == empty
    assert corpus.n_labels == labels
    assert corpus.name == name
    assert corpus.source["licence"] == CARDS[name].licence


@pytest.mark.slow
def test_several_emotions_are_no_label(shared_data: Path) -> None:
    corpus = load_corpus("goemotions", data_dir=shared_data)
    counts = corpus.source["labels"]
    assert corpus.labels is not None
    assert counts["several"] == sum(label is None for label in corpus.labels)
    assert counts["one"] + counts["several"] == len(corpus)
    assert "several" in corpus.source["note"]


def test_another_file_of_the_folder_is_a_subset(shared_data: Path) -> None:
    corpus = load_corpus("wiki", subset="proxann_wikipedia_docs", data_dir=shared_data)
    assert (len(corpus), corpus.labels) == (349, None)
    assert corpus.name == "wiki-proxann_wikipedia_docs"
    with pytest.raises(InputError, match=r"line \d+: id '.*' was already given in line \d+"):
        load_corpus("wiki", subset="wiki_structured_3class_sample", data_dir=shared_data)
    with pytest.raises(InputError, match="did you mean 'proxann_wikipedia_docs'"):
        load_corpus("wiki", subset="proxann_wikipedia", data_dir=shared_data)


def test_the_environment_names_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = CARDS["bills"]
    (tmp_path / card.folder).mkdir()
    path = tmp_path / card.folder / "bills_topicgpt_subset.jsonl"
    path.write_text(json.dumps({"id": "1", "text": "A bill.", "label": "Health"}))
    monkeypatch.setenv("MTMBENCH_DATA", str(tmp_path))
    assert load_corpus("bills").texts == ("A bill.",)


@pytest.mark.parametrize("name", sorted(set(EXPECTED) - {"20ng"}))
def test_offline_and_without_data_the_error_says_what_to_do(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MTMBENCH_DATA", raising=False)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    card = CARDS[name]
    assert card.hub is None or is_hub_id(card.hub)
    with pytest.raises(InputError, match=r"MTMBENCH_DATA is not set") as caught:
        load_corpus(name)
    assert f"{card.folder}/{card.file}" in str(caught.value)


def test_newsgroups_come_from_scikit_learns_cache(tmp_path: Path) -> None:
    """A cache in scikit-learn's own format is read through its own function."""
    from sklearn.utils import Bunch

    groups = ["alt.atheism", "sci.space"]

    def part(split: str) -> Bunch:
        texts = [f"From: someone\nSubject: {group}\n\nabout {group} in {split}" for group in groups]
        return Bunch(
            data=[*texts, "From: someone\n\n> quoted"],
            target=np.array([0, 1, 1]),
            target_names=groups,
            filenames=[f"x/20news-bydate-{split}/{groups[min(i, 1)]}/{i}" for i in range(3)],
        )

    cache = pickle.dumps({"train": part("train"), "test": part("test")})
    (tmp_path / "20news-bydate_py3.pkz").write_bytes(codecs.encode(cache, "zlib_codec"))
    corpus = load_newsgroups(tmp_path)
    assert corpus.texts == tuple(
        f"about {group} in {s}" for s in ("train", "test") for group in groups
    )
    assert corpus.doc_ids[0] == "train/alt.atheism/0"
    assert corpus.labels == ("alt.atheism", "sci.space") * 2
    assert corpus.split == ("train", "train", "test", "test")
    assert corpus.n_empty == 2


def test_newsgroups_that_cannot_be_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.delenv("MTMBENCH_DATA", raising=False)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    monkeypatch.setattr("sklearn.datasets._twenty_newsgroups._fetch_remote", fail)
    with pytest.raises(InputError, match=r"cannot download it: no network.*MTMBENCH_DATA"):
        load_corpus("20ng")
