"""OCTIS folders: its order of documents, its partitions, and what is no document of its format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.odd_text import ODD_TEXT

from mtmbench.core.errors import InputError
from mtmbench.corpora.load import corpus_notes, load_corpus


def octis_folder(folder: Path, corpus: str, vocabulary: str = "cat\ndog\nfish\n") -> Path:
    folder.mkdir()
    (folder / "vocabulary.txt").write_text(vocabulary)
    (folder / "corpus.tsv").write_text(corpus)
    return folder


def test_octis_folder_in_its_own_format(tmp_path: Path) -> None:
    folder = octis_folder(tmp_path / "pets", "cat dog\ttrain\t1\nfish fish bird\ttest\t2\n")
    corpus = load_corpus(folder)
    assert corpus.name == "pets"
    assert corpus.pretokenised
    assert corpus.texts == ("cat dog", "fish fish bird")
    assert (corpus.split, corpus.labels) == (("train", "test"), ("1", "2"))
    assert corpus.source["vocabulary"] == 3
    assert corpus.source["tokens_out_of_vocabulary"] == 1


def test_octis_folder_with_text_alone_and_with_faults(tmp_path: Path) -> None:
    bare = load_corpus(octis_folder(tmp_path / "bare", "cat\ndog\n"))
    assert (bare.labels, bare.split) == (None, None)
    with pytest.raises(InputError, match=r"corpus\.tsv, line 2: 4 columns"):
        load_corpus(octis_folder(tmp_path / "wide", "cat\ttrain\t1\ncat\ttrain\t1\tx\n"))
    with pytest.raises(InputError, match=r"vocabulary\.txt is empty"):
        load_corpus(octis_folder(tmp_path / "none", "cat\n", vocabulary=""))


# (text, partition, label) in the order of the file; OCTIS's Dataset has train, then val, then test.
UNSORTED = (
    ("cat", "test", "a"), ("dog", "train", "b"), ("fish", "val", "c"), ("cat dog", "train", "d"),
    ("fish cat", "dev", "e"), ("dog fish", "test", "f"), ("", "train", "g"), ("cat", "val", "h"),
)  # fmt: skip


@pytest.mark.parametrize("file", ["corpus.tsv", "corpus.jsonl"])
def test_documents_are_in_the_order_of_octis(tmp_path: Path, file: str) -> None:
    folder = octis_folder(tmp_path / "pets", "")
    (folder / "corpus.tsv").unlink()
    keys = ("text", "split", "label")
    rows = [dict(zip(keys, row, strict=True)) for row in UNSORTED]
    lines = ["\t".join(row) if file.endswith("tsv") else json.dumps(rows[i])
             for i, row in enumerate(UNSORTED)]  # fmt: skip
    (folder / file).write_text("\n".join(lines) + "\n")
    corpus = load_corpus(folder)
    assert corpus.labels == ("b", "d", "c", "h", "a", "f")
    assert corpus.split == ("train", "train", "val", "val", "test", "test")
    # Ids are the rows of the file, so that a list of ids made from it finds the documents.
    assert corpus.doc_ids == ("1", "3", "2", "7", "0", "5")
    assert corpus.n_empty == 1
    assert corpus.source["splits_dropped"] == {"dev": 1}
    first, second = corpus_notes(corpus)
    assert first.endswith("other partitions are dropped: dev 1")
    assert second.endswith("the order train, val, test, as OCTIS has it, not the file's")


def test_a_folder_in_that_order_has_the_revision_of_its_rows(tmp_path: Path) -> None:
    rows = [("cat", "train", "a"), ("dog", "val", "b"), ("fish", "test", "c")]
    octis = load_corpus(
        octis_folder(tmp_path / "pets", "".join("\t".join(row) + "\n" for row in rows))
    )
    table = tmp_path / "pets.jsonl"
    keys = ("text", "split", "label")
    table.write_text("".join(json.dumps(dict(zip(keys, row, strict=True))) + "\n" for row in rows))
    plain = load_corpus(table)
    assert (octis.doc_ids, octis.texts, octis.labels, octis.split) == (
        plain.doc_ids, plain.texts, plain.labels, plain.split,
    )  # fmt: skip
    assert corpus_notes(octis) == []


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ("0\tcat dog\n1\tfish\n", r"line 1: the first column holds numbers \(0, 1\), an index"),
        ("7\tcat\ttrain\n3\tfish\ttest\n5\tdog\ttest\n", r"numbers \(7, 3, 5\), an index"),
        ("\t0\t1\n0\tcat\ttrain\n1\tfish\ttest\n", r"leave the index out \(pandas: index=False"),
        ("0\tcat\ttrain\ta\n1\tfish\ttest\tb\n", r"line 1: 4 columns.*leave out the index"),
        ("text\tpartition\tlabel\ncat\ttrain\ta\ndog\ttest\tb\n", r"line 1: .* is a header"),
        ("0\t1\t2\ncat\ttrain\ta\ndog\ttest\tb\n", r"'0 \| 1 \| 2' is a header.*remove the line"),
        ("cat\tsplit\ncat\ttrain\ndog\ttest\n", r"'cat \| split' is a header"),
        ("document\ncat\ndog\n", r"line 1: 'document' is a header"),
        ("d1\tcat dog\nd2\tfish\n", r"no document is of partition train, val, test; .*'cat dog'"),
        ("cat\tpets\ndog\tpets\n", r"its partitions are 'pets'; OCTIS's columns are \(document"),
        (
            "cat\ttrain\ta\ndog\nfish\ttest\tb\n",
            r"line 2: no partition.*\(document, partition, label",
        ),
        ("mouse\ttrain\nbird\ttest\n", r"line 1: no token of any document is in vocabulary.txt"),
        ("mouse bird\nbird\n", r"begin with mouse, bird, bird; the first column must be"),
    ],
)
def test_what_is_not_octis_format_is_an_error_with_the_remedy(
    tmp_path: Path, corpus: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_corpus(octis_folder(tmp_path / "pets", corpus))


def test_quotation_marks_of_pandas_are_none_of_the_tokens(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame([['cat " dog', "train", "a"], ["fish", "test", "b"], ["cat", "val", "b"]])
    written = frame.to_csv(sep="\t", index=False, header=False)
    assert written.startswith('"cat "" dog"\t')
    corpus = load_corpus(octis_folder(tmp_path / "pets", written))
    assert corpus.texts == ('cat " dog', "cat", "fish")
    lone = load_corpus(octis_folder(tmp_path / "lone", '" cat\ttrain\ta\ndog "\ttest\tb\n'))
    assert lone.texts == ('" cat', 'dog "')


def test_the_older_form_is_refused(tmp_path: Path) -> None:
    for name in ("corpus.txt", "vocabulary.txt", "labels.txt"):
        (tmp_path / name).write_text("cat dog\n")
    with pytest.raises(InputError, match=r"holds corpus\.txt beside .*; write corpus\.tsv instead"):
        load_corpus(tmp_path)


def test_numbers_and_odd_partitions_may_be_documents(tmp_path: Path) -> None:
    years = octis_folder(tmp_path / "years", "1999\n2001\n", vocabulary="1999\n2001\n")
    assert load_corpus(years).texts == ("1999", "2001")
    first = octis_folder(tmp_path / "first", "cat fish\tdev\ta\ndog\ttrain\tb\n")
    assert load_corpus(first).texts == ("dog",)


@pytest.mark.parametrize(("name", "documents"), [("BBC_News", 2225), ("M10", 8355)])
def test_octis_folders_of_the_shared_data(shared_data: Path, name: str, documents: int) -> None:
    folder = shared_data / "octis" / name
    corpus = load_corpus(folder)
    metadata = json.loads((folder / "metadata.json").read_text())
    assert len(corpus) == documents == metadata["total_documents"]
    assert corpus.pretokenised
    assert corpus.n_labels == metadata["total_labels"]
    assert corpus.source["vocabulary"] == metadata["vocabulary_length"]
    assert corpus.source["tokens_out_of_vocabulary"] == 0
    words = sum(len(text.split(" ")) for text in corpus.texts) / documents
    assert words == pytest.approx(metadata["words_document_mean"], abs=0.01)


def test_an_octis_document_may_hold_odd_characters(tmp_path: Path) -> None:
    (tmp_path / "vocabulary.txt").write_text("one\n")
    (tmp_path / "corpus.tsv").write_text(f"{ODD_TEXT}\ttrain\tl\r\nb\ttest\tm\n", encoding="utf-8")
    corpus = load_corpus(tmp_path)
    assert corpus.texts == (ODD_TEXT, "b")
    assert corpus.labels == ("l", "m")
