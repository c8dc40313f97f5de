"""Files that lie, names that are paths, disks that fail: one line of an error, and exit code 2."""

from __future__ import annotations

import errno
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from support.commands import Call

SUITE = 'name = "mine"\ncorpora = ["lee"]\nmodels = ["lda"]\n'


def refused(told: tuple[int, str, str], *parts: str) -> None:
    """One line on the terminal, which says what was wrong."""
    code, _, err = told
    assert code == 2, err
    (line,) = err.splitlines()
    assert line.startswith("mtmbench: ")
    assert len(line) < 700
    for part in parts:
        assert part in line


@pytest.mark.parametrize(
    ("suite", "said"),
    [
        (SUITE + "[params.lda]\nalpha = nan\n", ("params.lda.alpha is nan", "finite")),
        (SUITE + "[params.lda]\nalpha = -inf\n", ("params.lda.alpha is -inf",)),
        (SUITE + "[params.lda]\neta = [[inf]]\n", ("params.lda.eta is inf",)),
        (SUITE + "[params.lda]\nalpha = 2020-01-01\n", ("params.lda.alpha is 2020-01-01, a date",)),
        (SUITE + f"seeds = [{'7' * 5000}]\n", ("whole number of more than 4300 digits",)),
        (SUITE + f"seeds = [0x{'f' * 5000}]\n", ("seeds is a whole number of 20000 bits",)),
        (SUITE + f"k = {'[' * 5000}{']' * 5000}\n", ("nested too deeply",)),
        (SUITE + f"k = {'[' * 300}{']' * 300}\n", ("nested too deeply",)),
        (SUITE + "params.lda." + "a." * 3000 + "b = 1\n", ("nested too deeply",)),
        (SUITE + "k = [1000000000]\n", ("1000000000", "less than or equal to 1000000")),
        (SUITE.replace('"mine"', '"../../mine"'), ("a suite cannot be called", "not a path")),
        (SUITE.replace('"mine"', '"/tmp/mine"'), ("a suite cannot be called", "not a path")),
        (SUITE.replace('"mine"', f'"{"x" * 300}"'), ("it has 300 bytes",)),
        (SUITE.replace('"mine"', '"a\\u001b[31mb"'), ("a suite cannot be called",)),
        (SUITE.replace('"mine"', '"a\\u0000b"'), ("a suite cannot be called",)),
        (SUITE.replace('"mine"', '".."'), ("begins or ends with a dot",)),
        (SUITE.replace('"mine"', '"NUL.txt"'), ("device",)),
        (SUITE.replace('"lee"', f'"{"x" * 300}"'), ("corpus", "is no path")),
        (SUITE.replace('"lee"', '"a\\u0000b"'), ("corpus", "is no path")),
        (SUITE.replace('"lda"', f'"{"x" * 300}.toml"'), ("model card", "is no path")),
        (SUITE.replace('"lda"', '"a/lda.toml", "lda.toml"'), ("both stand on the board as 'lda'",)),
        (SUITE + f'[judging]\njudges = ["{"x" * 300}.toml"]\n', ("judge card", "is no path")),
    ],
)  # fmt: skip
def test_a_suite_that_cannot_be_is_an_error_of_one_line(
    call: Call, tmp_path: Path, suite: str, said: tuple[str, ...]
) -> None:
    Path("mine.toml").write_text(suite, encoding="utf-8")
    refused(call("plan", "mine.toml"), *said)


def test_more_topics_than_memory_are_refused_before_any_is_fitted(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 100, "SC_PAGE_SIZE": 4096}.__getitem__)
    Path("mine.toml").write_text(SUITE + "k = [500]\n")
    refused(call("plan", "mine.toml"), "k = 500", "300 documents", "do not fit into memory")
    Path("mine.toml").write_text(SUITE + "k = [100]\n")
    assert call("plan", "mine.toml")[0] == 0


@pytest.mark.parametrize(
    "name", ["../../x", "/tmp/x", "x" * 300, "a\x1b[31m", "a/b", "", ".", "..", "con", "a\nb"]
)
def test_names_of_imports_are_no_paths(call: Call, tmp_path: Path, name: str) -> None:
    np.savez("mine.npz", theta=np.ones((300, 1)), beta=np.ones((1, 1)), items=np.array(["word"]))
    refused(
        call("import", "mine.npz", "--corpus", "lee", "--name", name), "a model cannot be called"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.npz"]


def test_cards_ask_for_no_pickles(call: Call) -> None:
    theta, beta = np.ones((300, 1)), np.ones((1, 1))
    np.savez("mine.npz", theta=theta, beta=beta, items=np.array(["police"], dtype=object))
    Path("suite.toml").write_text(SUITE.replace('"lda"', '"mine.toml"'))
    for asked in ("trust = true", 'format = "gensim"'):
        Path("mine.toml").write_text(f'model = "external"\n[params]\npath = "mine.npz"\n{asked}\n')
        refused(call("plan", "suite.toml"), "pickles", "mtmbench import FILE --trust")
    Path("mine.toml").write_text('model = "external"\n[params]\npath = "mine.npz"\n')
    setting = ("--set", "params.mine.trust=true")
    refused(call("plan", "suite.toml", *setting), "no suite or card can ask for that")
    import_it = ("import", "mine.npz", "--corpus", "lee", "--name", "mine")
    refused(call(*import_it, "--format", "gensim"), "gensim's files are pickles", "--trust")
    refused(call(*import_it), "pickled Python object", "--trust")
    assert call(*import_it, "--trust")[0] == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("[" * 500 + "]" * 500, "nested too deeply"),
        (f"[[{'7' * 5000}]]", "more than 4300 digits"),
        ('{"a": 1}', "must hold a JSON list of topics"),
        ('[["a"]', "cannot read topics.json: not JSON: Expecting"),
    ],
)
def test_topics_that_cannot_be_read(call: Call, content: str, said: str) -> None:
    Path("topics.json").write_text(content)
    refused(call("score", "topics.json", "--corpus", "lee"), "topics.json", said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"text": ' + "[" * 100_000, "line 2: nested too deeply"),
        ('{"text": "x", "more": ' + "[" * 400 + "]" * 400 + "}", "line 2: nested too deeply"),
        ('{"text": "x", "id": ' + "7" * 5000 + "}", "line 2: a whole number of more than 4300"),
    ],
)
def test_corpora_that_cannot_be_read(call: Call, content: str, said: str) -> None:
    Path("topics.json").write_text('[["a", "b"]]')
    Path("c.jsonl").write_text('{"text": "a b"}\n' + content + "\n")
    refused(call("score", "topics.json", "--corpus", "c.jsonl"), said)


@pytest.mark.parametrize("form", ["c.jsonl.gz", "c.parquet"])
def test_what_a_file_may_unpack_to_is_limited_and_the_limit_can_be_raised(
    call: Call, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    # Raised by the option in this very process.
    monkeypatch.setenv("MTMBENCH_MAX_UNPACKED", "512")
    texts = ["cow barn " * 50_000] * 5
    if form.endswith(".gz"):
        rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        Path(form).write_bytes(gzip.compress(rows.encode()))
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"text": texts}), form)
    Path("topics.json").write_text('[["cow", "barn"]]')
    command = ("score", "topics.json", "--corpus", form)
    refused(
        call("--max-unpacked", "1", *command), form, "unpacks to more than 1 MB", "--max-unpacked"
    )
    assert call("--max-unpacked", "3", *command)[0] == 0
    monkeypatch.setenv("MTMBENCH_MAX_UNPACKED", "lots")
    refused(call(*command), "MTMBENCH_MAX_UNPACKED is 'lots'")


def test_a_full_disk_is_an_error_of_one_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    np.savez("mine.npz", theta=np.ones((300, 1)), beta=np.ones((1, 1)), items=np.array(["police"]))
    monkeypatch.setattr(os, "fsync", full)
    told = call("import", "mine.npz", "--corpus", "lee", "--name", "mine")
    refused(told, "imported/mine.safetensors: No space left on device")
    assert list(Path("imported").iterdir()) == []


def test_files_end_where_the_system_ends_them(tmp_path: Path) -> None:
    script = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "from mtmbench.cli.app import main\n"
        "main()\n"
    )
    theta = np.random.default_rng(0).dirichlet(np.ones(20), size=300)
    np.savez(tmp_path / "mine.npz", theta=theta, beta=np.ones((20, 1)), items=np.array(["police"]))
    command = ("import", "mine.npz", "--corpus", "lee", "--name", "mine", "--normalise")
    done = subprocess.run(
        [sys.executable, "-c", script, *command], cwd=tmp_path, capture_output=True, text=True
    )
    refused((done.returncode, done.stdout, done.stderr), "mine.safetensors: File too large")


def test_a_folder_that_cannot_be_made_is_an_error_of_one_line(call: Call) -> None:
    Path("mine.toml").write_text(SUITE)
    Path("taken").write_text("a file")
    for out in ("taken", "taken/below"):
        refused(call("run", "mine.toml", "--out", out), "cannot keep records in taken")


def test_what_strangers_wrote_reaches_no_terminal_raw(call: Call) -> None:
    odd = "\x1b]0;owned\x07\x1b[31m\x9b1m\r"
    Path("c.jsonl").write_text(
        json.dumps({"text": "a b", "id": odd}) * 1
        + "\n"
        + json.dumps({"text": "a b", "id": odd})
        + "\n"
    )
    Path("topics.json").write_text('[["a", "b"]]')
    refused(call("score", "topics.json", "--corpus", "c.jsonl"), "was already given in line 1")
    Path("rows.csv").write_text(f'a,b,outcome\n"{odd[:-1]}x",y,a\ny,"{odd[:-1]}x",a\n')
    code, out, err = call("rate", "rows.csv")
    assert code == 0, err
    assert "\\u001b[31m\\u009b1mx" in out
    assert not set(out + err) & set("\x1b\x07\x9b\r")
