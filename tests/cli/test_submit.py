"""``mtmbench submit``: a contributor's run before a board, in order and not."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.boards import board_of_records
from support.commands import Call

from mtmbench.boards.write import write_board
from mtmbench.core.card_reading import read_card, suite_text
from mtmbench.core.cards import Suite
from mtmbench.publishing import merging, submission, traces

pytestmark = pytest.mark.usefixtures("played")

Line = dict[str, Any]
FILES = ("suite.toml", "records.jsonl", "board.json", "board.csv", "board.md", "index.html")


def is_about(line: Line, model: str) -> bool:
    payload = line["payload"]
    sides = [payload[side]["model"] for side in ("a", "b") if side in payload]
    return model in [payload.get("model"), *sides]


def lines(folder: Path) -> list[Line]:
    return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]


def save(folder: Path, found: list[Line]) -> None:
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in found)
    (folder / "records.jsonl").write_text(text, encoding="utf-8")


def pack(folder: Path) -> Path:
    """Packs a folder's records, and makes its board of them anew."""
    plain = folder / "records.jsonl"
    packed = plain.with_name("records.jsonl.gz")
    packed.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    plain.unlink()
    write_board(folder)
    return packed


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="session")
def _board(_played: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    suite = read_card(_played / "out" / "suite.toml", Suite)
    two = suite.model_copy(update={"models": suite.models[:2]})
    (folder / "suite.toml").write_text(suite_text(two))
    save(folder, [line for line in lines(_played / "out") if not is_about(line, "third")])
    write_board(folder)
    return folder


@pytest.fixture
def board(_board: Path) -> Path:
    """The board of a run of three models as it was before the third came; ``out`` is the run."""
    return Path(shutil.copytree(_board, "boards/tiny"))


@pytest.fixture
def submit(call: Call, played: list[str], board: Path) -> Callable[..., tuple[int, str, str]]:
    return lambda *more: call("submit", "out", str(board), *played[:2], *more)


Submit = Callable[..., tuple[int, str, str]]


def test_a_run_in_order_is_told_and_nothing_is_written(submit: Submit, board: Path) -> None:
    before = {name: (board / name).read_bytes() for name in FILES}
    code, out, err = submit("--json", "found.json")
    assert (code, err) == (0, "")
    new = Counter(line["kind"] for line in lines(Path("out")) if is_about(line, "third"))
    held = sum(not is_about(line, "third") for line in lines(Path("out")))
    told = ", ".join(f"{n} {kind}" for kind, n in sorted(new.items()))
    assert out.splitlines() == [
        f"new: {told}", "new model: third", f"held by the board already: {held}",
        "nothing is wrong",
    ]  # fmt: skip
    found = json.loads(Path("found.json").read_text())
    assert found["new"] == {
        "models": ["third"], "settings": [], "seeds": {}, "cells": dict(new),
    }  # fmt: skip
    assert (found["exit_code"], found["faults"], found["same"]) == (0, [], held)
    assert {name: (board / name).read_bytes() for name in FILES} == before


def test_a_merged_board_is_that_of_a_run_of_all_models(submit: Submit, board: Path) -> None:
    code, out, err = submit("--write")
    assert code == 0, out + err
    for name, text in board_of_records(Path("out")).items():
        assert (board / name).read_text(encoding="utf-8") == text, name
    for name in ("suite.toml", "records.jsonl"):
        assert (board / name).read_bytes() == (Path("out") / name).read_bytes(), name
    assert f"wrote {board / 'index.html'}" in out
    # Once more there is nothing new.
    code, out, _ = submit("--write")
    assert (code, out.splitlines()[0]) == (0, "new: nothing")
    assert "wrote" not in out


@pytest.mark.parametrize("which", ["board", "run", "both"])
def test_packed_records_merge_as_plain_ones_do(which: str, submit: Submit, board: Path) -> None:
    whole = Path("out/records.jsonl").read_bytes()
    if which != "board":
        pack(Path("out"))
    if which != "run":
        pack(board)
    code, out, err = submit("--write")
    assert code == 0, out + err
    files = contents(board)
    if which == "run":
        assert files["records.jsonl"] == whole
    else:
        assert gzip.decompress(files["records.jsonl.gz"]) == whole
        assert json.loads(files["board.json"])["records"] == "records.jsonl.gz"
    assert len({"records.jsonl", "records.jsonl.gz"} & files.keys()) == 1
    if which == "both":
        assert files["board.json"] == Path("out/board.json").read_bytes()
    # Once more there is nothing new, however the records are packed.
    if which != "run":
        pack_again(board)
    files = contents(board)
    code, out, _ = submit("--write")
    assert (code, out.splitlines()[0]) == (0, "new: nothing")
    assert "wrote" not in out
    assert contents(board) == files


def pack_again(folder: Path) -> None:
    path = folder / "records.jsonl.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1))


def test_packed_records_collide_as_plain_ones_do(submit: Submit, board: Path) -> None:
    pack(board)
    before = contents(board)
    found = lines(Path("out"))
    CHANGES["another value"][0](found)
    save(Path("out"), found)
    code, out, _ = submit("--write")
    assert code == 1
    assert re.search(CHANGES["another value"][1], out), out
    assert contents(board) == before


def test_packed_records_that_unpack_to_too_much_or_to_nothing_are_refused(
    submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = pack(Path("out"))
    whole = packed.read_bytes()
    for content, says in (
        (gzip.compress(b" " * 3_000_000 + b"\n"), "unpacks to more than 1 MB"),
        (gzip.compress((b" " * 1000 + b"\n") * 3_000), "unpacks to more than 1 MB"),
        (whole[:-20], "cannot read out/records.jsonl.gz"),
        (b"{}", "cannot read out/records.jsonl.gz"),
    ):
        monkeypatch.setenv("MTMBENCH_MAX_UNPACKED", "1" if says.startswith("unpacks") else "99")
        packed.write_bytes(content)
        code, out, err = submit()
        assert (code, out) == (2, "")
        assert says in err
        assert err.count("\n") == 1


def the(found: list[Line], kind: str, model: str) -> Line:
    return next(line for line in found if line["kind"] == kind and is_about(line, model))


def put(which: str, model: str, /, **changes: object) -> Callable[[list[Line]], object]:
    return lambda found: the(found, which, model)["payload"].update(changes)


def line_of(which: str, model: str, /, **changes: object) -> Callable[[list[Line]], object]:
    return lambda found: the(found, which, model).update(changes)


SECRET = "hf_" + "a1B2" * 8
CHANGES: dict[str, tuple[Callable[[list[Line]], object], str]] = {
    "no such field": (put("fit", "third", verdict=1), "schema: .*has verdict, which no type names"),
    "another type": (put("match", "third", calls="3"), "schema: .*match.calls is no .*int"),
    "no board's kind": (line_of("fit", "third", kind="steer"), "is of kind 'steer'"),
    "a later schema": (line_of("fit", "third", schema=9), "is of schema 9; .* reads up to 1"),
    "a key that is none": (line_of("fit", "third", key="../../x"), "a key is 32 hexadecimal"),
    "another key": (
        line_of("metric", "third", key="0" * 32),
        r"keys: .*no cell of the suite has .*\"third\"",
    ),
    "another cell's key": (put("fit", "third", model="drawn"), "its model is 'drawn', and its"),
    "other parameters": (put("fit", "third", params={"sharpness": 9.0}), "its params is"),
    "fields of others": (put("match", "third", nth_seed=1), "which has no nth_seed"),
    "verdicts": (put("match", "third", forward="a"), "forward outcomes are not one a document"),
    "no outcome": (put("match", "third", forward="?" * 8), "forward outcomes are not one"),
    "another corpus": (
        put("metric", "third", corpus_revision="f" * 32),
        "corpora: .*'tiny' in revision f{32}; the board has",
    ),
    "an unknown corpus": (
        lambda found: the(found, "metric", "third").update(
            key="0" * 32, payload={**the(found, "metric", "third")["payload"], "corpus": "other"}
        ),
        "corpora: .*'other', which the board has not",
    ),
    "another value": (
        put("metric", "drawn", value=0.123),
        "collisions: .*coverage of drawn on tiny, K = 5, seed 0: value is 0.123; the board holds",
    ),
    "another verdict": (put("match", "drawn-sharp", backward="tttttttt"), "backward is 'tttttttt'"),
    "an error": (line_of("fit", "third", status="error"), "limits: .*is an error record"),
    "not a number": (put("metric", "third", value=float("nan")), "value is nan; a missing value"),
    "infinite": (put("metric", "third", value=float("inf")), "value is inf; a missing value"),
    "a huge number": (put("match", "third", calls=2**70), "of 71 bits; it can have 64"),
    "a path": (put("fit", "third", no_words="/home/ann/texts"), "holds an absolute path: '/ho"),
    "a secret": (put("fit", "third", no_words=SECRET), "no_words looks like a token of Hugging"),
    "left out": (
        lambda found: found.remove(the(found, "metric", "third")),
        "complete: .*lacks records of cells of its suite: 1 metric; the first is coverage of third",
    ),
    "twice": (lambda found: found.append(found[0]), "keys: .*has the key of line 1"),
    "lines in a name": (put("fit", "third", **{"a\nb": 1}), "schema: .*has a b, which no"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_wrong_is_told_in_one_line(change: str, submit: Submit, board: Path) -> None:
    before = (board / "records.jsonl").read_bytes()
    found = lines(Path("out"))
    CHANGES[change][0](found)
    save(Path("out"), found)
    code, out, err = submit("--write")
    assert (code, err) == (1, "")
    told = [line for line in out.splitlines() if line.partition(":")[0] in submission_checks()]
    assert len(told) == len([line for line in out.splitlines() if "records.jsonl" in line])
    assert any(re.search(CHANGES[change][1], line) for line in told), out
    assert SECRET not in out
    assert out.splitlines()[-1] == "nothing was written"
    assert (board / "records.jsonl").read_bytes() == before


def submission_checks() -> set[str]:
    return {"schema", "keys", "corpora", "protocol", "collisions", "limits", "complete"}


RAW = {
    "not UTF-8": (b'{"schema": 1, "kind": "\xff"}', "schema: .*is not UTF-8"),
    "names twice": (b'{"schema": 1, "schema": 1}', "the name 'schema' stands twice"),
    "deep": (b"[" * 5000 + b"]" * 5000, "nested too deeply"),
    "long": (b'"' + b"x" * 2_100_000 + b'"', "limits: .*has more than 2,000,000 bytes"),
    "no JSON": (b"{'schema': 1}", "schema: .*is not JSON"),
    "no object": (b"[1]", "the record is no object"),
    "many digits": (b"1" * 5000, "more than 4300 digits"),
    "half a character": (b'{"schema": "\\ud800"}', "schema: .*record.schema is no"),
}


def test_lines_of_whatever_kind_are_told_each_in_one(submit: Submit) -> None:
    path = Path("out/records.jsonl")
    n = len(path.read_bytes().splitlines())
    path.write_bytes(path.read_bytes() + b"\n".join(raw for raw, _ in RAW.values()) + b"\n")
    code, out, err = submit()
    assert (code, err) == (1, "")
    for number, (_, says) in enumerate(RAW.values(), start=n + 1):
        told = [line for line in out.splitlines() if f"line {number}:" in line]
        assert told
        assert re.search(says, told[0]), told
        assert max(map(len, told)) < 400


def test_float_noise_is_told_apart_and_the_boards_value_stays(submit: Submit, board: Path) -> None:
    found = lines(Path("out"))
    value = the(found, "metric", "drawn")["payload"]["value"]
    the(found, "metric", "drawn")["payload"]["value"] = value + 3e-7
    the(found, "fit", "drawn")["payload"]["result"] = "0" * 32
    save(Path("out"), found)
    code, out, _ = submit("--write")
    assert code == 0, out
    (told,) = (line for line in out.splitlines() if "noise" in line)
    assert "float noise: 2; the largest difference is 3e-07, value of coverage of drawn" in told
    assert the(lines(board), "metric", "drawn")["payload"]["value"] == value


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"judging.documents": 7}, "judging.documents: is 7; the board's is 8"),
        ({"metrics": ["coverage", "npmi"]}, 'metrics: is ["coverage","npmi"]; the board\'s is'),
        ({"k": [6]}, "k: is [6]; the board's is [5]"),
        ({"seeds": [1]}, "seeds: of 'drawn' lack 0; the board's are 0"),
        ({"features.max_tokens": 64}, "features.max_tokens: is 64; the board's is not given"),
        ({"params.drawn.sharpness": 2.0}, 'params.drawn: is {"sharpness":2.0}; the board\'s is {}'),
    ],
)
def test_another_protocol_is_named_key_by_key(
    changes: dict[str, object], says: str, submit: Submit
) -> None:
    path = Path("out/suite.toml")
    path.write_text(suite_text(read_card(path, Suite, changes)))
    code, out, _ = submit()
    assert code == 1
    assert f"protocol: {says}" in out


def test_more_seeds_are_no_other_protocol(submit: Submit) -> None:
    path = Path("out/suite.toml")
    path.write_text(suite_text(read_card(path, Suite, {"seeds_per_model.third": [0, 1]})))
    code, out, _ = submit()
    assert code == 1  # they were not played
    assert "protocol" not in out
    assert "complete: records.jsonl: lacks records of cells of its suite: 1 fit, 1 metric" in out


def test_a_corpus_that_is_not_here_has_a_code_of_its_own(submit: Submit, board: Path) -> None:
    before = (board / "records.jsonl").read_bytes()
    Path("tiny.jsonl").rename("elsewhere.jsonl")
    code, out, _ = submit("--write")
    n = len(lines(Path("out")))
    assert code == 5
    assert f"not checked, as corpus tiny.jsonl is not here: {n} records (there is no file" in out
    assert (board / "records.jsonl").read_bytes() == before


def test_a_corpus_of_other_texts_than_the_boards_checks_nothing(submit: Submit) -> None:
    path = Path("tiny.jsonl")
    path.write_text(path.read_text().replace("team1", "team2"))
    code, out, _ = submit()
    assert code == 5
    assert re.search("not checked, as corpus tiny.jsonl is not here: .*its texts here are of", out)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("words.stop_words", "/etc/passwd"), ("models", ["../../x.toml"]), ("corpora", ["~/texts"]),
        ("models", ["C:\\cards\\x.toml"]), ("features.source", "file:///etc/passwd"),
    ],
)  # fmt: skip
def test_a_suite_that_leads_out_of_its_folder_is_not_even_read(
    key: str, value: object, submit: Submit
) -> None:
    import tomli_w

    from mtmbench.core.card_reading import set_dotted
    from mtmbench.core.files import parse_toml

    path = Path("out/suite.toml")
    data = parse_toml(path.read_text(), "suite.toml")
    set_dotted(data, key, value)
    path.write_text(tomli_w.dumps(data))
    code, out, err = submit()
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "paths in a suite for a board are relative" in err
    assert "root:" not in err


@pytest.mark.parametrize("file", ["suite.toml", "records.jsonl"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_links_and_pipes_are_not_followed(file: str, kind: str, submit: Submit) -> None:
    path = Path("out") / file
    path.unlink()
    if kind == "link":
        path.symlink_to("/etc/passwd")
    else:
        os.mkfifo(path)
    code, out, err = submit()
    assert (code, out) == (2, "")
    assert "is no plain file" in err


def test_a_suite_written_by_hand_is_left_to_hands(submit: Submit, board: Path) -> None:
    path = board / "suite.toml"
    path.write_text("# Ours.\n" + path.read_text())
    before = {name: (board / name).read_bytes() for name in FILES}
    code, _, err = submit("--write")
    assert code == 2
    assert '\nmodels = [\n    "drawn",\n    "drawn-sharp",\n    "third",\n]' in err
    assert {name: (board / name).read_bytes() for name in FILES} == before
    path.write_text(path.read_text().replace('"drawn-sharp",', '"drawn-sharp", "third",'))
    code, out, err = submit("--write")
    assert code == 0, out + err
    assert path.read_text().startswith("# Ours.\n")
    assert (board / "board.json").read_bytes() == Path("out/board.json").read_bytes()


@pytest.mark.parametrize("fails_at", [1, 3, 5])
@pytest.mark.parametrize("packed", [False, True])
def test_a_merge_that_fails_half_way_leaves_what_was_there(
    packed: bool, fails_at: int, submit: Submit, board: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if packed:
        pack(board)
    before = contents(board)
    write, calls = merging.write_atomically, []

    def failing(path: Path, content: bytes | str) -> None:
        if path.is_relative_to(board):
            calls.append(path)
            if len(calls) == fails_at:
                raise OSError(28, "No space left on device", str(path))
        write(path, content)

    monkeypatch.setattr(merging, "write_atomically", failing)
    code, _, err = submit("--write")
    assert (code, "No space left" in err) == (2, True)
    assert len(calls) >= fails_at
    assert contents(board) == before


def test_passages_of_a_corpus_that_may_not_be_shown_stay_away(
    submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (traces, submission):
        monkeypatch.setattr(module, "LONGEST_QUOTATION", 28)
    text = json.loads(Path("tiny.jsonl").read_text().splitlines()[3])["text"]
    for quoted, code in ((text, 1), (" ".join(text.split()[:28]), 0)):
        found = lines(Path("out"))
        the(found, "metric", "third")["payload"]["details"] = {"quoted": f"it says {quoted}"}
        save(Path("out"), found)
        ended, out, _ = submit()
        assert ended == code
        assert ("30 words in a row of corpus 'tiny'" in out) == bool(code)


def test_a_new_board_takes_all(submit: Submit, board: Path) -> None:
    for name in FILES[1:]:
        (board / name).unlink()
    code, out, _ = submit("--write")
    assert code == 0, out
    assert (board / "records.jsonl").read_bytes() == Path("out/records.jsonl").read_bytes()
