"""The loggers that ship, each with its own library, which writes to a folder of this machine."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mtmbench.boards.flat import flat_tables, numbers
from mtmbench.core.card_files import load_suite
from mtmbench.engine.harness import RunOutcome
from mtmbench.publishing.loggers import Loggers

pytestmark = [pytest.mark.second, pytest.mark.slow]

QUICK = Path(__file__).parents[2] / "leaderboards" / "quick"
BOARD: Any = json.loads((QUICK / "board.json").read_text())


def log(name: str) -> None:
    """Tells a logger of the committed board of quick, as a run does; a failure of it fails here."""

    def tell(text: str) -> None:
        raise AssertionError(text)

    with Loggers([name], load_suite("quick"), tell) as loggers:
        progress = loggers.beside(None)
        progress.phase("labels and summaries", 4.0)
        progress.advance(2.0, "two")
        progress.advance(2.0, "two more")
        loggers.played(RunOutcome(QUICK, 3, 0, (("a cell", "a reason"),)))


def test_wandb_has_the_board_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    wandb = pytest.importorskip("wandb")
    log("wandb")
    wandb.teardown()  # its service writes the file's end
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert first_run(file).host == "not told"
    summary, config, media = wandb_content(file)
    wanted = numbers(BOARD)
    assert {name: summary[name] for name in wanted} == pytest.approx(wanted)
    assert summary["errors"] == 1
    assert summary["progress/labels and summaries"] == 1
    assert config["suite"]["name"] == "quick"
    tables = flat_tables(BOARD)
    for name in ("ratings", "values"):
        told = json.loads((file.parent / "files" / media[name]).read_text())
        rows = [dict(zip(told["columns"], row, strict=True)) for row in told["data"]]
        assert rows == [
            {column: row.get(column) for column in told["columns"]} for row in tables[name]
        ]


def wandb_content(file: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """Reads summary, configuration and files of tables from what an offline run wrote."""
    from wandb.proto import wandb_internal_pb2

    summary: dict[str, Any] = {}
    config: dict[str, Any] = {}
    for data in leveldb_log(file.read_bytes(), start=7):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        for item in [*record.summary.update, *record.history.item]:
            summary[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
        for item in record.run.config.update:
            config[item.key] = json.loads(item.value_json)
    tables = {name: summary[f"{name}/path"] for name in ("ratings", "values")}
    return summary, config, tables


def first_run(file: Path) -> Any:
    """Returns what an offline run says of itself."""
    from wandb.proto import wandb_internal_pb2

    for data in leveldb_log(file.read_bytes(), start=7):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "run":
            return record.run
    raise AssertionError(f"{file} holds no run")


def leveldb_log(data: bytes, start: int) -> Iterator[bytes]:
    """Yields the records of a log as LevelDB writes it: in blocks of 32 KiB, each a header of 7."""
    place, parts = start, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last of its parts
            yield parts
            parts = b""


def test_mlflow_has_the_board_in_its_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/runs.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "topics")
    log("mlflow")
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("topics").experiment_id])
    assert (run.info.run_name, run.info.status) == ("quick", "FINISHED")
    held = run.data.metrics
    rating = BOARD["ratings"][0]
    place = "elo/embedding/all/K 10/items/bertopic"
    assert [held[place + end] for end in ("", "/lo", "/hi")] == [
        rating[name] for name in ("elo", "lo", "hi")
    ]
    # No two names became one.
    assert len(held) == len(numbers(BOARD)) + 2
    assert (held["errors"], held["progress/labels and summaries"]) == (1, 1)
    assert run.data.params["suite"] == "quick"
    assert not any(str(tmp_path) in str(tag) for tag in run.data.tags.values())
    for name, rows in flat_tables(BOARD).items():
        if name in ("ratings", "values"):
            told = mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/{name}.json")
            assert [dict(zip(told["columns"], row, strict=True)) for row in told["data"]] == rows


def test_trackio_has_the_board_in_its_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
    pytest.importorskip("trackio")
    log("trackio")
    with closing(sqlite3.connect(tmp_path / "mtmbench.db")) as db:
        lines = [json.loads(line) for (line,) in db.execute("SELECT metrics FROM metrics")]
    told = lines[-1]
    wanted = numbers(BOARD)
    assert {name: told[name] for name in wanted} == wanted
    assert told["errors"] == 1
    assert [line["progress/labels and summaries"] for line in lines[:-1]] == [0.5, 1]
    assert len(told["ratings"]["_value"]) == len(BOARD["ratings"])
