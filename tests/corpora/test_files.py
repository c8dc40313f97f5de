"""Local files: what is read, and that every fault names file and line."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.odd_text import ODD_TEXT

from mtmbench.core.errors import InputError
from mtmbench.corpora.load import corpus_notes, load_corpus

ROWS = [
    {"id": "a", "text": "the cat sat", "label": "cats", "split": "train", "n": 1},
    {"id": "b", "text": "", "label": "cats", "split": "train", "n": 2},
    {"id": "c", "text": "dogs, and\nmore dogs", "label": "dogs", "split": "test", "n": 3},
    {"id": "d", "text": "the cat sat", "label": None, "split": "test", "n": 4},
]


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    content = "\n".join(json.dumps(row) for row in rows) + "\n"
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return path


def write_csv(path: Path, rows: list[dict[str, Any]], delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(params=["c.jsonl", "c.jsonl.gz", "c.csv", "c.tsv", "c.parquet"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / str(request.param)
    if "jsonl" in path.name:
        return write_jsonl(path, ROWS)
    if path.suffix == ".parquet":
        pd.DataFrame(ROWS).to_parquet(path)
        return path
    return write_csv(path, ROWS, "\t" if path.suffix == ".tsv" else ",")


def test_every_table_format_gives_the_same_corpus(table: Path) -> None:
    corpus = load_corpus(table)
    assert corpus.name == "c"
    assert corpus.doc_ids == ("a", "c", "d")
    assert corpus.texts == ("the cat sat", "dogs, and\nmore dogs", "the cat sat")
    assert corpus.labels == ("cats", "dogs", None)
    assert corpus.split == ("train", "test", "test")
    assert (corpus.n_empty, corpus.n_duplicates) == (1, 1)
    assert corpus.source["file"] == table.name
    assert corpus.source["labels"] == {"one": 2, "none": 1, "several": 0}


def test_revision_is_of_the_content_not_of_the_format(tmp_path: Path) -> None:
    from_json = load_corpus(write_jsonl(tmp_path / "c.jsonl", ROWS))
    from_csv = load_corpus(write_csv(tmp_path / "c.csv", ROWS))
    changed = [{**ROWS[0], "text": "the cat sits"}, *ROWS[1:]]
    other = load_corpus(write_jsonl(tmp_path / "d.jsonl", changed))
    assert from_json.revision == from_csv.revision
    assert from_json.revision != other.revision


def test_columns_are_taken_by_name_and_numbers_become_labels(table: Path) -> None:
    corpus = load_corpus(table, text="text", label="n", id="id")
    assert corpus.labels == ("1", "3", "4")
    assert corpus.source["columns"]["label"] == "n"


@pytest.mark.parametrize("wrong", ["text", "label", "split", "id"])
def test_a_wrong_column_names_the_nearest(table: Path, wrong: str) -> None:
    misspelt = f"{wrong}s"
    with pytest.raises(
        InputError, match=f"no column '{misspelt}'; did you mean '{wrong}'"
    ) as caught:
        load_corpus(table, **{wrong: misspelt})
    assert table.name in str(caught.value)


def test_without_an_id_column_ids_are_row_numbers_of_the_source(tmp_path: Path) -> None:
    rows = [{"text": row["text"]} for row in ROWS]
    assert load_corpus(write_jsonl(tmp_path / "c.jsonl", rows)).doc_ids == ("0", "2", "3")


def test_label_lists_count_only_with_exactly_one_value(tmp_path: Path) -> None:
    rows = [
        {"text": "one", "label": ["joy"]},
        {"text": "two", "label": ["joy", "fear"]},
        {"text": "none", "label": []},
    ]
    corpus = load_corpus(write_jsonl(tmp_path / "c.jsonl", rows))
    assert corpus.labels == ("joy", None, None)
    assert corpus.source["labels"] == {"one": 1, "none": 1, "several": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"text": "fine"}\n{"text": "cut', r"c\.jsonl, line 2: not JSON"),
        (b'{"text": "fine"}\n\n["a list"]\n', r"c\.jsonl, line 3: .* is not a JSON object"),
        (b'{"text": "fine"}\n{"text": "caf\xe9"}\n', r"c\.jsonl, line 2: not UTF-8 \(byte 0xe9\)"),
        (b'{"text": "fine"}\n{"text": 7}\n', r"c\.jsonl, line 2: column 'text' holds 7"),
        (b'{"text": "fine"}\n{"txt": "x"}\n', r"line 2: no column 'text'; did you mean 'txt'"),
        (b'{"text": "fine"}\n{"text": "\\ud800"}\n', r"c\.jsonl, line 2: .* not valid Unicode"),
        (
            b'{"id": 1, "text": "x"}\n{"id": 1, "text": "y"}\n',
            r"line 2: id '1' was already given in line 1",
        ),
        (b'{"id": null, "text": "x"}\n', r"line 1: column 'id' is empty"),
        (b'{"text": "x", "label": {"a": 1}}\n', r"line 1: column 'label' holds"),
        (b"", r"c\.jsonl holds no documents"),
        (b'{"text": " "}\n{"text": null}\n', r"c\.jsonl: all 2 documents are empty"),
    ],
)
def test_faulty_jsonl_names_file_and_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_corpus(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\nfine,a\nfine,a,b\n", r"c\.csv, line 3: 3 cells for 2 columns"),
        ('text,label\n"two\nlines",a\nfine\n', r"c\.csv, line 4: 1 cells for 2 columns"),
        ('text,label\nfine,a\n"never closed,a\n', r"c\.csv, line 3: not valid CSV"),
        ("text,text\nfine,a\n", r"c\.csv, line 1: two columns have the same name"),
        ("", r"c\.csv is empty"),
        ("text,label\n", r"c\.csv holds no documents"),
    ],
)
def test_faulty_csv_names_file_and_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "c.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        load_corpus(path)


def test_csv_takes_long_cells_unicode_line_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    long = "word " * 60_000
    path.write_text(f"text\r\n{long}\r\nparagraph\u2028separator\r\n", encoding="utf-8-sig")
    limit = csv.field_size_limit()
    assert load_corpus(path).texts == (long, "paragraph\u2028separator")
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("name", "header", "message"),
    [
        (
            "c.csv",
            "id;text;label",
            "line 1: its cells are separated by semicolons; a .csv has commas",
        ),
        ("c.csv", "id\ttext\tlabel", "separated by tabs"),
        ("c.csv", "id|text|label", "separated by bars"),
        ("c.tsv", "id,text,label", "separated by commas"),
        ("c.csv", '"id";"text";"label"', "separated by semicolons"),
        # Commas within a header of semicolons make columns of their own.
        (
            "c.csv",
            "id;text;label (a, b)",
            "no column 'text'; its cells are separated by semicolons",
        ),
    ],
)
def test_another_separator_is_named(tmp_path: Path, name: str, header: str, message: str) -> None:
    path = tmp_path / name
    mark = next(mark for mark in ";\t|," if mark in header)
    path.write_text(
        f"{header}\n" + mark.join(("0", "cow, barn" if "," in header else "cow", "farm"))
    )
    with pytest.raises(InputError, match=message):
        load_corpus(path)


def test_a_semicolon_may_stand_in_a_column_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text('"a;b"\ncow; barn\nsea\n')
    assert load_corpus(path, text="a;b").texts == ("cow; barn", "sea")


def test_quotation_marks_of_a_tsv_without_quoting_are_text(tmp_path: Path) -> None:
    path = tmp_path / "c.tsv"
    lines = ['"Cows" give milk\tfarm', '"Ships sail\tsea', 'so they "do"\tsea', 'boats"\tsea']
    path.write_text("text\tlabel\n" + "\n".join(lines) + "\n")
    corpus = load_corpus(path)
    assert corpus.texts == ('"Cows" give milk', '"Ships sail', 'so they "do"', 'boats"')
    assert corpus.labels == ("farm", "sea", "sea", "sea")
    # Read as quoted, these two lines would be one document, without any error.
    path.write_text('text\tlabel\n"Ships sail\tsea\nto sea"\tsea\n')
    assert load_corpus(path).texts == ('"Ships sail', 'to sea"')


def test_quoted_cells_of_a_tsv_are_read_as_a_csv_writer_wrote_them(tmp_path: Path) -> None:
    rows = [{"text": 'so they "do"', "label": "a"}, {"text": "tab\there\nand line", "label": "b"}]
    corpus = load_corpus(write_csv(tmp_path / "c.tsv", rows, "\t"))
    assert corpus.texts == ('so they "do"', "tab\there\nand line")
    (tmp_path / "d.tsv").write_text('text\tlabel\n"cut\toff\tx\n')
    with pytest.raises(
        InputError, match=r"d\.tsv, line 2: not valid CSV.*ends with one, and those"
    ):
        load_corpus(tmp_path / "d.tsv")


@pytest.mark.parametrize("missing", ["nan", "NaN", "<NA>", "", float("nan"), None])
@pytest.mark.parametrize("name", ["c.jsonl", "c.csv", "c.parquet"])
def test_what_is_not_a_number_is_no_label(tmp_path: Path, name: str, missing: Any) -> None:
    rows = [{"text": "cow", "label": "farm"}, {"text": "boat", "label": missing}]
    path = tmp_path / name
    if name == "c.jsonl":
        write_jsonl(path, rows)
    elif name == "c.csv":
        write_csv(path, rows)
    else:
        pd.DataFrame(rows).to_parquet(path)
    corpus = load_corpus(path)
    assert corpus.labels == ("farm", None)
    assert corpus.n_labels == 1
    assert corpus.source["labels"] == {"one": 1, "none": 1, "several": 0}


@pytest.mark.parametrize("label", ["nano", "none", "Nanny", "null", "na"])
def test_labels_that_only_look_like_it_are_labels(tmp_path: Path, label: str) -> None:
    corpus = load_corpus(write_jsonl(tmp_path / "c.jsonl", [{"text": "cow", "label": label}]))
    assert corpus.labels == (label,)


@pytest.mark.parametrize("name", ["c.jsonl.gz", "c.parquet"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x1f\x8b and then nothing of use")
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        load_corpus(path)


@pytest.mark.parametrize("source", ["./none.csv", "none.jsonl"])
def test_missing_files_and_unknown_formats(tmp_path: Path, source: str) -> None:
    with pytest.raises(InputError, match="there is no file or folder"):
        load_corpus(source)
    odd = tmp_path / "notes.docx"
    odd.write_text("x")
    with pytest.raises(InputError, match=r"unknown format; a corpus file ends in \.jsonl"):
        load_corpus(odd)
    with pytest.raises(InputError, match="holds no corpus"):
        load_corpus(tmp_path)


def test_text_folder_labels_by_sub_folder(tmp_path: Path) -> None:
    for name, text in {
        "b/2.txt": "two",
        "a/1.txt": "one",
        "a/empty.txt": "\n",
        "loose.txt": "three",
        "notes.md": "not a document",
    }.items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    corpus = load_corpus(tmp_path / "folder")
    assert corpus.doc_ids == ("a/1", "b/2", "loose")
    assert corpus.texts == ("one", "two", "three")
    assert corpus.labels == ("a", "b", None)
    assert corpus.n_empty == 1
    (tmp_path / "folder" / "b" / "bad.txt").write_bytes(b"fine\nna\xefve\n")
    with pytest.raises(InputError, match=r"bad\.txt, line 2: not UTF-8"):
        load_corpus(tmp_path / "folder")


@pytest.mark.parametrize("labels", [True, False])
def test_sub_folders_named_as_partitions_are_no_labels(tmp_path: Path, labels: bool) -> None:
    inner = ("neg/", "pos/") if labels else ("", "")
    names = [f"{split}/{inner[i]}{i}.txt" for split in ("Test", "train") for i in range(2)]
    corpus = load_corpus(write_files(tmp_path / "acl", *names, "about.txt"))
    assert corpus.split == ("Test", "Test", "", "train", "train")
    assert corpus.labels == (("neg", "pos", None, "neg", "pos") if labels else None)
    mixed = load_corpus(write_files(tmp_path / "mixed", "test/a/0.txt", "review/a/0.txt"))
    assert (mixed.labels, mixed.split) == (("review", "test"), None)


def test_suffixes_are_of_any_case(tmp_path: Path) -> None:
    assert load_corpus(write_files(tmp_path / "docs", "A.TXT", "b.txt")).doc_ids == ("A", "b")
    (tmp_path / "x.TSV").write_text("text\tlabel\none, two\ta\n")
    corpus = load_corpus(tmp_path / "x.TSV")
    assert (corpus.name, corpus.texts, corpus.labels) == ("x", ("one, two",), ("a",))
    (tmp_path / "y.CSV.GZ").write_bytes(gzip.compress(b"text,label\none,a\n"))
    assert load_corpus(tmp_path / "y.CSV.GZ").texts == ("one",)


def test_spaces_around_the_names_of_columns_are_no_part_of_them(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("id, text , label\nx, one, a\ny, two, b\n")
    assert load_corpus(tmp_path / "c.csv").labels == ("a", "b")


def test_an_accented_label_is_one_label_in_both_its_forms(tmp_path: Path) -> None:
    corpus = load_corpus(
        write_files(tmp_path / "docs", "e\u0301te\u0301/1.txt", "\u00e9t\u00e9/2.txt")
    )
    assert corpus.labels == ("\u00e9t\u00e9",) * 2
    assert len(set(corpus.doc_ids)) == 2


def write_files(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"title of {path.stem}\n\nbody of {path.stem}\n")
    return folder


TEXTS = ("farm/0.txt", "farm/1.txt", "sea/0.txt", "sea/1.txt")


@pytest.mark.parametrize("beside", ["metadata.json", "labels.csv", "sea/notes.jsonl", "x.tsv"])
def test_texts_beside_a_data_file_are_documents_as_without_it(tmp_path: Path, beside: str) -> None:
    plain = load_corpus(write_files(tmp_path / "plain", *TEXTS), name="texts")
    beside_it = load_corpus(write_files(tmp_path / "beside", *TEXTS, beside), name="texts")
    assert beside_it.doc_ids == ("farm/0", "farm/1", "sea/0", "sea/1")
    assert beside_it.labels == ("farm", "farm", "sea", "sea")
    assert beside_it.revision == plain.revision
    assert beside_it.source["not_read"] == [beside]
    assert corpus_notes(plain) == []
    assert corpus_notes(beside_it) == [
        f"corpus texts: its documents are the .txt files; not read: {beside}"
    ]


TABLE = "text,label\n" + "".join(f"document {i},{'ab'[i % 2]}\n" for i in range(5))


@pytest.mark.parametrize(
    "notes",
    [
        ("stopwords.txt",), ("stopwords.txt", "vocab.txt"),
        ("stop_words.txt", "requirements.txt", "labels.txt", "classes.txt"),
        ("notes.txt", "vocabulary.txt", "README.txt"),
    ],
)  # fmt: skip
def test_a_table_beside_lists_and_notes_is_the_corpus(
    tmp_path: Path, notes: tuple[str, ...]
) -> None:
    (tmp_path / "data.csv").write_text(TABLE)
    plain = load_corpus(tmp_path, name="table")
    corpus = load_corpus(write_files(tmp_path, *notes), name="table")
    assert corpus.labels == ("a", "b", "a", "b", "a")
    assert corpus.revision == plain.revision


def test_splits_beside_lists_and_notes_are_the_corpus(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}.csv").write_text(TABLE)
    plain = load_corpus(tmp_path, name="table")
    write_files(tmp_path, "stopwords.txt", "vocab.txt", "notes.txt")
    corpus = load_corpus(tmp_path, name="table")
    assert (len(corpus), corpus.revision) == (10, plain.revision)


def test_a_table_of_as_many_texts_as_there_are_files_is_asked_about(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(TABLE)
    write_files(tmp_path, "one.txt", "two.txt")
    with pytest.raises(InputError, match=r"2 \.txt files .*data files such as data\.csv; move"):
        load_corpus(tmp_path)
    write_files(tmp_path, *(f"{i}.txt" for i in range(9)))
    assert load_corpus(tmp_path).source["not_read"] == ["data.csv"]


@pytest.mark.parametrize(
    "names", [("0.txt", "metadata.csv"), ("a/0.txt", "a/1.txt", "b/2.txt", "train.csv")]
)
def test_which_files_are_the_corpus_is_asked_where_it_cannot_be_told(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    with pytest.raises(InputError, match=rf"0\.txt, and 1 data files such as {names[-1]}; move"):
        load_corpus(write_files(tmp_path / "folder", *names))


def test_hidden_files_and_folders_are_neither_documents_nor_labels(tmp_path: Path) -> None:
    hidden = (
        ".ipynb_checkpoints/0-checkpoint.txt", "farm/.cache/9.txt", "farm/.3.txt", "._0.txt",
        "__MACOSX/farm/._0.txt", "__MACOSX/farm/0.txt", ".git/objects/a.csv", "sea/.x.json",
    )  # fmt: skip
    corpus = load_corpus(write_files(tmp_path / ".mine" / "texts", *TEXTS, *hidden))
    assert corpus.doc_ids == ("farm/0", "farm/1", "sea/0", "sea/1")
    assert corpus.n_labels == 2
    assert "not_read" not in corpus.source
    with pytest.raises(InputError, match="holds no corpus"):
        load_corpus(write_files(tmp_path / "only hidden", *hidden))


@pytest.mark.parametrize("name", ["c.jsonl", "c.jsonl.gz", "c.csv", "c.tsv", "texts"])
def test_odd_characters_are_read_back(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    rows = [
        {"id": "a", "text": ODD_TEXT, "label": ODD_TEXT},
        {"id": "b", "text": "t", "label": "l"},
    ]
    if name == "texts":
        for row in rows:
            file = path / row["label"] / f"{row['id']}.txt"
            file.parent.mkdir(parents=True)
            file.write_text(row["text"], encoding="utf-8")
        rows.reverse()
    elif "jsonl" in name:
        data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    else:
        write_csv(path, rows, "\t" if path.suffix == ".tsv" else ",")
    corpus = load_corpus(path)
    assert corpus.texts == tuple(row["text"] for row in rows)
    assert corpus.labels == tuple(row["label"] for row in rows)


TOKENS = [["牛", "在", "牧场"], ["The", "cow", ""], [], ["new_york", " barn "]]


def test_lists_of_words_are_texts_that_are_tokenised(tmp_path: Path) -> None:
    rows = [{"tokens": words, "label": str(i % 2)} for i, words in enumerate(TOKENS)]
    frame = pd.DataFrame(rows)
    frame.to_parquet(tmp_path / "p.parquet")
    frame.rename(columns={"tokens": "words"}).to_parquet(tmp_path / "w.parquet")
    listed = [
        load_corpus(write_jsonl(tmp_path / "t.jsonl", rows)),
        load_corpus(write_jsonl(tmp_path / "t.jsonl.gz", rows)),
        load_corpus(tmp_path / "p.parquet"),
        load_corpus(tmp_path / "w.parquet", text="words"),
        load_corpus(TOKENS),
        load_corpus([tuple(words) for words in TOKENS]),
    ]
    for corpus in listed:
        assert corpus.texts == ("牛 在 牧场", "The cow", "new_york barn")
        assert corpus.pretokenised
        assert corpus.n_empty == 1
        assert corpus.doc_ids == ("0", "1", "3")
    assert listed[0].labels == listed[2].labels == ("0", "1", "1")
    assert load_corpus(TOKENS).revision != load_corpus(["牛 在 牧场", "The cow"]).revision


@pytest.mark.parametrize("column", ["tokens", "text", "words"])
def test_cells_that_are_lists_of_words_are_tokens(tmp_path: Path, column: str) -> None:
    """As pandas writes a column of lists, and as JSON does; both are what the lists are."""
    frame = pd.DataFrame({column: TOKENS, "label": ["0", "1", "0", "1"]})
    asked = {"text": column} if column == "words" else {}
    whole = load_corpus(TOKENS)
    frame.to_csv(tmp_path / "pandas.csv", index=False)
    frame[column] = [json.dumps(words, ensure_ascii=False) for words in frame[column]]
    frame.to_csv(tmp_path / "json.tsv", index=False, sep="\t")
    for name in ("pandas.csv", "json.tsv"):
        corpus = load_corpus(tmp_path / name, **asked)
        assert (corpus.texts, corpus.pretokenised) == (whole.texts, True)
        assert (corpus.n_empty, corpus.labels) == (1, ("0", "1", "1"))


def test_a_cell_in_brackets_is_a_text_where_others_are_none(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('text\n"[""a"", ""b""]"\n[1] a note\n[\'a\' \'b\']\n')
    corpus = load_corpus(path)
    assert corpus.texts == ('["a", "b"]', "[1] a note", "['a' 'b']")
    assert not corpus.pretokenised
    path.write_text("tokens\n['a']\n['b']\nc d\n")
    with pytest.raises(InputError, match=r"line 4: column 'tokens' holds 'c d'; most other lines"):
        load_corpus(path)
    path.write_text("tokens\n\"['new york', 'a']\"\n")
    with pytest.raises(InputError, match="the word 'new york' with a space in it"):
        load_corpus(path)


def test_a_text_goes_before_its_tokens(tmp_path: Path) -> None:
    rows = [{"text": "The cow.", "tokens": ["The", "cow", "."]}]
    path = write_jsonl(tmp_path / "both.jsonl", rows)
    assert load_corpus(path).texts == ("The cow.",)
    assert not load_corpus(path).pretokenised
    assert load_corpus(path, text="tokens").texts == ("The cow .",)
    pd.DataFrame(rows).to_parquet(tmp_path / "both.parquet")
    assert load_corpus(tmp_path / "both.parquet").texts == ("The cow.",)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["a"], ["new york"]], "line 2: column 'tokens' holds the word 'new york' with a space"),
        ([["a"], ["b", 3]], "line 2: column 'tokens' holds 3, which is not text"),
        ([["a"], "b c"], "line 2: column 'tokens' holds 'b c'; other documents hold lists"),
        ([[], [""]], "all 2 documents are empty"),
        (["a b", "c"], "no column 'text'"),
    ],
)
def test_wrong_lists_of_words_are_named(tmp_path: Path, rows: list[Any], message: str) -> None:
    path = write_jsonl(tmp_path / "t.jsonl", [{"tokens": row} for row in rows])
    with pytest.raises(InputError, match=message):
        load_corpus(path)


def test_quotation_marks_of_texts_join_no_lines_of_a_tsv(tmp_path: Path) -> None:
    path = tmp_path / "said.tsv"
    path.write_text(
        'text\tlabel\n"Ships sail\tsea\nhe said ""hi"" twice\tfarm\nboats"\tsea\ncows\tfarm\n'
    )
    corpus = load_corpus(path)
    assert corpus.texts == ('"Ships sail', 'he said ""hi"" twice', 'boats"', "cows")
    assert corpus.labels == ("sea", "farm", "sea", "farm")
    path.write_text('text\tlabel\n"Ships\nsail ""home"""\tsea\ncows\tfarm\n')
    assert load_corpus(path).texts == ('Ships\nsail "home"', "cows")
