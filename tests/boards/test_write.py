"""``mtmbench board FOLDER`` rebuilds a board byte for byte from its records."""

from __future__ import annotations

import gc
import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w

from mtmbench.boards.tables import build_board
from mtmbench.boards.write import board_files, write_board
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError
from mtmbench.core.records import Record

Make = Callable[..., tuple[Suite, list[Record]]]
FILES = (
    "board.json", "board.csv", "board.md", "index.html",
    *(f"site/{kind}-{i}.js" for kind in ("topics",) for i in range(4)),
    *(f"site/{kind}-{i}.js" for kind in ("verdicts", "values") for i in range(2)),
)  # fmt: skip


def lay_out(folder: Path, suite: Suite, records: list[Record]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    data = suite.model_dump(mode="json", exclude_none=True)
    (folder / "suite.toml").write_text(tomli_w.dumps(data), encoding="utf-8")
    lines = "".join(record.to_json() + "\n" for record in records)
    (folder / "records.jsonl").write_text(lines, encoding="utf-8")
    return folder


def test_a_rebuilt_board_has_the_same_bytes(tmp_path: Path, make_records: Make) -> None:
    suite, records = make_records(models=("lda", "bertopic", "mlda"))
    folder = lay_out(tmp_path / "one", suite, records)
    written = write_board(folder)
    assert [path.relative_to(folder).as_posix() for path in written] == list(FILES)
    first = {name: (folder / name).read_bytes() for name in FILES}
    for name in FILES:
        (folder / name).unlink()
    write_board(folder)
    assert {name: (folder / name).read_bytes() for name in FILES} == first
    random.Random(0).shuffle(records)
    other = lay_out(tmp_path / "two", suite, records)
    write_board(other)
    assert {name: (other / name).read_bytes() for name in FILES} == first
    (folder / "site" / "topics-9.js").write_text("of a board with more corpora")
    write_board(folder)
    left = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert left == {*FILES, "suite.toml", "records.jsonl"}


def test_a_board_follows_from_packed_records_and_links_them(
    tmp_path: Path, make_records: Make
) -> None:
    folder = lay_out(tmp_path, *make_records(models=("lda", "bertopic", "mlda")))
    write_board(folder)
    plain = {name: (folder / name).read_text(encoding="utf-8") for name in FILES}
    records = folder / "records.jsonl"
    (folder / "records.jsonl.gz").write_bytes(gzip.compress(records.read_bytes()))
    records.unlink()
    write_board(folder)
    packed = {name: (folder / name).read_text(encoding="utf-8") for name in FILES}
    assert json.loads(packed["board.json"]) == {
        **json.loads(plain["board.json"]),
        "records": "records.jsonl.gz",
    }
    page = plain["index.html"].replace("records.jsonl", "records.jsonl.gz")
    page = page.replace("<code>grep", "<code>zgrep").replace('"grep":"grep"', '"grep":"zgrep"')
    assert packed["index.html"] == page
    assert all(packed[name] == plain[name] for name in ("board.csv", "board.md"))


@pytest.mark.parametrize("was", [True, False])
def test_the_search_for_garbage_is_as_before_once_a_board_is_written(
    tmp_path: Path, make_records: Make, was: bool
) -> None:
    folder = lay_out(tmp_path, *make_records(models=("lda", "etm"), corpora={"lee": 6}))
    before = gc.isenabled()
    (gc.enable if was else gc.disable)()
    try:
        write_board(folder)
        assert gc.isenabled() is was
        (folder / "records.jsonl").write_text("no record\n", encoding="utf-8")
        with pytest.raises(InputError):
            write_board(folder)
        assert gc.isenabled() is was
    finally:
        (gc.enable if before else gc.disable)()


def test_the_json_is_the_board_with_a_row_a_line(make_records: Make) -> None:
    board = build_board(*make_records(models=("lda", "mlda")))
    text = board_files(board)["board.json"]
    assert json.loads(text) == board
    row = json.dumps(board["ratings"][0], ensure_ascii=False)
    assert f"    {row},\n" in text


def test_a_damaged_line_is_named(tmp_path: Path, make_records: Make) -> None:
    suite, records = make_records(models=("lda",), corpora={"lee": 5})
    folder = lay_out(tmp_path, suite, records[:2])
    with (folder / "records.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"schema": 1, "kind": "fit"\n')
    with pytest.raises(InputError, match=r"records\.jsonl, line 3: not a record"):
        write_board(folder)
    assert not (folder / "board.json").exists()


def test_labels_with_odd_line_breaks_stay_in_their_line(tmp_path: Path, make_records: Make) -> None:
    suite, records = make_records(models=("mlda",), corpora={"lee": 5}, label="a\u2028b\x85c")
    folder = lay_out(tmp_path, suite, records)
    write_board(folder)
    board = json.loads((folder / "board.json").read_text(encoding="utf-8"))
    assert board["topics"][0]["topics"][0]["items"][0] == "a\u2028b\x85c 0.0"


def test_a_folder_without_records_or_suite_is_an_input_error(
    tmp_path: Path, make_records: Make
) -> None:
    with pytest.raises(InputError, match=r"suite\.toml"):
        write_board(tmp_path)
    suite, _ = make_records(models=("lda",), corpora={"lee": 5})
    lay_out(tmp_path, suite, [])
    (tmp_path / "records.jsonl").unlink()
    with pytest.raises(InputError, match=r"records\.jsonl"):
        write_board(tmp_path)
