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
    "wiki": (349, 0, 0),
    "dbpedia": (700, 0, 14),
    # The local 10,000 less those of three stars, counted by hand.
    "yelp_polarity": (8_939, 0, 2),
    "yelp": (10_000, 0, 10),
    "agnews": (7_600, 0, 4),
    "goemotions": (54_263, 0, 28),
    "poemsum": (603, 0, 319),
    "writingprompts": (600, 0, 14),
}


def write_rows(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


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
    corpus = load_corpus("bills", subset="proxann_bills_docs", data_dir=shared_data)
    assert (len(corpus), corpus.labels) == (307, None)
    assert corpus.name == "bills-proxann_bills_docs"
    with pytest.raises(InputError, match=r"line \d+: id '.*' was already given in line \d+"):
        load_corpus("wiki", subset="wiki_structured_3class_sample", data_dir=shared_data)
    with pytest.raises(InputError, match="did you mean 'proxann_wikipedia_docs'"):
        load_corpus("wiki", subset="proxann_wikipedia", data_dir=shared_data)


@pytest.mark.slow
def test_what_was_wiki_is_dbpedia_and_its_local_subset(shared_data: Path) -> None:
    corpus = load_corpus("dbpedia", data_dir=shared_data)
    before = load_corpus("wiki", subset="dbpedia14_sample", data_dir=shared_data)
    assert corpus.revision == before.revision


def test_a_data_folder_with_the_former_wiki_alone_says_what_became_of_it(tmp_path: Path) -> None:
    write_rows(tmp_path / "wikipedia" / "dbpedia14_sample.jsonl", [{"id": "1", "text": "A town."}])
    with pytest.raises(InputError, match=r"until now 'wiki' was DBpedia's abstracts.*'dbpedia'"):
        load_corpus("wiki", data_dir=tmp_path)
    assert len(load_corpus("dbpedia", data_dir=tmp_path)) == 1


def test_stars_become_polarity_and_three_are_left_out(tmp_path: Path) -> None:
    stars = [1.0, 2.0, 3.0, 4.0, 5.0, 3.0]
    rows = [
        {"id": str(i), "text": f"Review {i}.", "label": "Bars", "stars": s, "split": "dev"}
        for i, s in enumerate(stars)
    ]
    write_rows(tmp_path / "yelp" / "yelp_augpe_dev_test.jsonl", rows)
    corpus = load_corpus("yelp_polarity", data_dir=tmp_path)
    assert corpus.doc_ids == ("0", "1", "3", "4")
    assert corpus.labels == ("negative", "negative", "positive", "positive")
    assert load_corpus("yelp", data_dir=tmp_path).labels == ("Bars",) * 6


def test_a_copy_of_the_hubs_folder_goes_before_the_local_file(tmp_path: Path) -> None:
    """In the hub's own formats: Parquet with class labels, and JSON lines by split."""
    import datasets

    write_rows(tmp_path / "yelp" / "yelp_augpe_dev_test.jsonl", [{"text": "No.", "stars": 1}])
    copied = tmp_path / "fancyzhx" / "yelp_polarity" / "plain_text"
    copied.mkdir(parents=True)
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["1", "2"])}
    )
    for split, labels in (("train", [0, 1, 1]), ("test", [1, 0])):
        texts = [f"{split} {i}" for i in range(len(labels))]
        rows = datasets.Dataset.from_dict({"text": texts, "label": labels}, features=features)
        rows.to_parquet(copied / f"{split}-00000-of-00001.parquet")
    corpus = load_corpus("yelp_polarity", data_dir=tmp_path)
    assert corpus.labels == ("negative", "positive", "positive", "positive", "negative")
    assert corpus.split == ("train", "train", "train", "test", "test")
    assert corpus.name == "yelp_polarity"
    assert "560,000" in corpus.source["note"]


@pytest.mark.parametrize("label", ["topic", "supercategory"])
def test_wiki_is_the_training_split_of_the_hubs_folder(tmp_path: Path, label: str) -> None:
    folder = tmp_path / "zli12321" / "Wiki"
    rows = [{"text": f"Article {i}.", label: "Music", "subcategory": "Anime"} for i in range(3)]
    write_rows(folder / "wiki_train_data.jsonl", rows)
    write_rows(folder / "wiki_test_data.jsonl", [{"text": "Held out.", label: "Anime"}])
    corpus = load_corpus("wiki", data_dir=tmp_path)
    assert corpus.texts == ("Article 0.", "Article 1.", "Article 2.")
    assert corpus.labels == ("Music",) * 3
    (folder / "wiki_train_data.jsonl").unlink()
    with pytest.raises(InputError, match="Wiki has no split 'train'; valid: test"):
        load_corpus("wiki", data_dir=tmp_path)


def test_columns_and_labels_that_a_card_does_not_expect_are_named(tmp_path: Path) -> None:
    rows = [{"text": "Article.", "kind": "Music"}]
    write_rows(tmp_path / "zli12321" / "Wiki" / "train.jsonl", rows)
    with pytest.raises(InputError, match="no column 'supercategory'; valid: kind, text"):
        load_corpus("wiki", data_dir=tmp_path)
    folder = tmp_path / "fancyzhx" / "yelp_polarity"
    write_rows(folder / "train.jsonl", [{"text": "Fine.", "label": 0}, {"text": "x", "label": 1}])
    with pytest.raises(InputError, match="a label is '0'; expected 1, 2"):
        load_corpus("yelp_polarity", data_dir=tmp_path)


def test_stated_sizes_are_the_local_files_where_these_are_the_whole(shared_data: Path) -> None:
    for name in ("20ng", "goemotions"):
        corpus, stated = load_corpus(name, data_dir=shared_data), CARDS[name].stated
        words = sum(len(text.split()) for text in corpus.texts) / len(corpus)
        assert (len(corpus), corpus.n_labels) == (stated.documents, stated.labels)
        assert words == pytest.approx(stated.mean_words, abs=0.06)
    assert all(card.stated.source for card in CARDS.values())


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
