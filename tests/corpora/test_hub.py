"""Hugging Face datasets: local folders in the hub's format, saved datasets, and being offline."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from mtmbench.core.errors import InputError
from mtmbench.corpora.hub import is_hub_id
from mtmbench.corpora.load import load_corpus


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def dataset(texts: list[str], labels: list[Any]) -> Any:
    import datasets

    label = datasets.ClassLabel(names=["cats", "dogs"])
    multi = isinstance(labels[0], list)
    features = {
        "text": datasets.Value("string"),
        "label": datasets.Sequence(label) if multi else label,
    }
    return datasets.Dataset.from_dict(
        {"text": texts, "label": labels}, features=datasets.Features(features)
    )


def splits() -> Any:
    import datasets

    return datasets.DatasetDict(
        {"train": dataset(["tom", "", "rex"], [0, 1, 1]), "test": dataset(["tom"], [-1])}
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", ["parquet", "saved"])
def test_a_folder_with_splits_and_class_labels(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "pets"
    if how == "saved":
        splits().save_to_disk(str(folder))
    else:
        for name, part in splits().items():
            part.to_parquet(str(folder / "data" / f"{name}-00000-of-00001.parquet"))
        (folder / "README.md").write_text("# pets\n")
        (folder / "LICENSE.txt").write_text("free")
    corpus = load_corpus(folder)
    assert corpus.name == "pets"
    assert corpus.texts == ("tom", "rex", "tom")
    assert corpus.labels == ("cats", "dogs", None)
    assert corpus.split == ("train", "train", "test")
    assert corpus.doc_ids == ("train/0", "train/2", "test/0")
    assert (corpus.n_empty, corpus.n_duplicates) == (1, 1)
    assert corpus.source["format"] == "huggingface"


@pytest.mark.parametrize("beside", [[], ["stopwords.txt"], ["train.txt"]])
def test_a_text_file_named_like_a_split_hides_no_data_file(
    tmp_path: Path, beside: list[str]
) -> None:
    for name, text in (("a", "cow"), ("b", "sheep")):
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{text},farm\n")
    for name in beside:
        (tmp_path / name).write_text("moo")
    corpus = load_corpus(tmp_path)
    assert (corpus.texts, corpus.labels) == (("cow", "sheep"), ("farm", "farm"))
    assert corpus.split == ("train", "train")


def test_a_folder_of_json_with_ids_and_own_columns(tmp_path: Path) -> None:
    folder = tmp_path / "pets"
    folder.mkdir()
    rows = [{"id": f"x{i}", "body": f"text {i}", "kind": "k"} for i in range(3)]
    (folder / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    corpus = load_corpus(folder, text="body", label="kind")
    assert corpus.doc_ids == ("x0", "x1", "x2")
    assert corpus.labels == ("k", "k", "k")
    with pytest.raises(InputError, match="no column 'bod'; did you mean 'body'"):
        load_corpus(folder, text="bod")


def test_a_dataset_of_tokens_is_tokenised(tmp_path: Path) -> None:
    import datasets

    rows = {"tokens": [["牛", "和", "羊"], [], ["a", "", "cow"]], "ner_tags": [[0, 1, 0], [], [1]]}
    datasets.Dataset.from_dict(rows).save_to_disk(str(tmp_path / "ner"))
    corpus = load_corpus(tmp_path / "ner")
    assert corpus.texts == ("牛 和 羊", "a cow")
    assert (corpus.pretokenised, corpus.n_empty) == (True, 1)
    assert corpus.source["columns"]["text"] == "tokens"


def test_a_single_saved_split_and_several_labels(tmp_path: Path) -> None:
    dataset(["a", "b", "c"], [[0], [0, 1], []]).save_to_disk(str(tmp_path / "one"))
    corpus = load_corpus(tmp_path / "one")
    assert corpus.labels == ("cats", None, None)
    assert corpus.source["labels"] == {"one": 1, "none": 1, "several": 1}
    with pytest.raises(InputError, match="has no subsets"):
        load_corpus(tmp_path / "one", subset="x")


def test_a_broken_folder_is_a_clear_error(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "train.parquet").write_bytes(b"not parquet")
    with pytest.raises(InputError, match=r"cannot load folder .*broken"):
        load_corpus(folder)


def test_a_folder_that_is_not_utf_8_names_file_and_line(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.csv").write_text("text,label\ncow,farm\n")
    (folder / "b.csv").write_bytes(b"text,label\nfine,a\ncaf\xe9,b\n")
    with pytest.raises(InputError, match=r"b\.csv, line 3: not UTF-8 \(byte 0xe9\)"):
        load_corpus(folder)
    (folder / "b.csv").write_bytes("text,label\ncafé,b\n".encode("utf-16"))
    with pytest.raises(InputError, match=r"b\.csv is UTF-16LE, not UTF-8"):
        load_corpus(folder)
    (folder / "a.csv").unlink()
    (folder / "b.csv").write_bytes("text,label\ncow,b\n".encode("utf-16-be"))
    with pytest.raises(InputError, match=r"b\.csv is UTF-16BE, not UTF-8"):
        load_corpus(folder)
    (folder / "b.csv").write_text("id;text;label\n0;cow;b\n")
    with pytest.raises(InputError, match="its cells are separated by semicolons"):
        load_corpus(folder)


def test_a_folder_with_a_fault_keeps_its_cause_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.csv").write_text("text,label\ncow,farm\ncow,farm,more\n")
    with pytest.raises(
        InputError, match=r"cannot load folder .*Expected 2 fields in line 3"
    ) as caught:
        load_corpus(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["data/a.csv", "a.parquet"])
def test_other_columns_are_listed_where_there_is_no_text(tmp_path: Path, name: str) -> None:
    import pandas as pd

    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    frame = pd.DataFrame({"body": ["cow"], "label": ["farm"], "when": [1]})
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    with pytest.raises(
        InputError, match=r"no column 'text'; valid: body, label, when \(text = … or --text"
    ):
        load_corpus(path.parent if path.suffix == ".csv" else path)


def test_hidden_files_of_a_dataset_are_not_read(tmp_path: Path) -> None:
    folder = tmp_path / ".mine" / "data"
    for name in ("train.csv", ".ipynb_checkpoints/train.csv", "x/.y/test.csv", "._train.csv"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"text\n{name}\n")
    assert load_corpus(folder).texts == ("train.csv",)


def test_a_hub_id_offline_is_a_clear_error() -> None:
    with pytest.raises(InputError, match="cannot load hub dataset 'nobody/nothing'"):
        load_corpus("nobody/nothing")


@pytest.mark.parametrize(
    ("source", "expected"),
    [("fancyzhx/ag_news", True), ("lee", False), ("a/b/c", False), ("a b/c", False)],
)
def test_hub_ids(source: str, expected: bool) -> None:
    assert is_hub_id(source) is expected


def card(data_files: object) -> str:
    config = f"- config_name: default\n  data_files: {json.dumps(data_files)}\n"
    return f"---\nconfigs:\n{config}---\n# pets\n"


@pytest.mark.parametrize(
    "data_files",
    [
        "../secret.jsonl",
        "/etc/hostname.jsonl",
        "data/../../secret.jsonl",
        "~/secret.jsonl",
        "..\\\\secret.jsonl",
        "https://example.org/x.jsonl",
        "zip://x.jsonl::../a.zip",
        ["pets.jsonl", "../secret.jsonl"],
        {"train": "../secret.jsonl"},
        [{"split": "train", "path": ["pets.jsonl", "../*.jsonl"]}],
    ],
)
@pytest.mark.parametrize("name", ["README.md", ".huggingface.yaml"])
def test_a_card_names_no_file_outside_its_folder(
    tmp_path: Path, data_files: object, name: str
) -> None:
    folder = tmp_path / "pets"
    folder.mkdir()
    (folder / "pets.jsonl").write_text('{"text": "tom"}\n')
    (tmp_path / "secret.jsonl").write_text('{"text": "a secret"}\n')
    text = card(data_files)
    (folder / name).write_text(text if name == "README.md" else text.split("---\n")[1])
    with pytest.raises(InputError, match=f"{name} names .* as a file of its data; they lie in"):
        load_corpus(folder)


@pytest.mark.slow
def test_a_card_that_names_its_own_files_is_followed(tmp_path: Path) -> None:
    (tmp_path / "pets.jsonl").write_text('{"text": "tom"}\n')
    (tmp_path / "other.jsonl").write_text('{"text": "rex"}\n')
    (tmp_path / "README.md").write_text(card([{"split": "train", "path": "pets.jsonl"}]))
    assert load_corpus(tmp_path).texts == ("tom",)


@pytest.mark.slow
def test_a_saved_dataset_names_no_file_outside_its_folder(tmp_path: Path) -> None:
    dataset(["tom", "rex"], [0, 1]).save_to_disk(str(tmp_path / "pets"))
    state = tmp_path / "pets" / "state.json"
    told = json.loads(state.read_text())
    told["_data_files"] = [{"filename": "../elsewhere/data-00000-of-00001.arrow"}]
    state.write_text(json.dumps(told))
    with pytest.raises(InputError, match="as a file of its data; they lie in"):
        load_corpus(tmp_path / "pets")


def test_a_packed_file_of_a_folder_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTMBENCH_MAX_UNPACKED", "1")
    (tmp_path / "pets.jsonl.gz").write_bytes(gzip.compress(b"\0" * 2_000_000))
    with pytest.raises(InputError, match=r"pets.jsonl.gz has .* unpacks to more than 1 MB"):
        load_corpus(tmp_path)


def test_words_that_pandas_takes_for_missing_are_texts_of_csv_folders(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\nNone,a\nNA,nan\nnull,\n,a\n")
    corpus = load_corpus(tmp_path)
    assert corpus.texts == ("None", "NA", "null")
    assert corpus.labels == ("a", None, None)
    assert corpus.n_empty == 1
