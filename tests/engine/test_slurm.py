"""Runs in jobs of submitit, played by its local executor: there is no Slurm where tests run."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support.killing import BOARD_FILES, PLUGIN, lay_out

from mtmbench.cli.options import ExecutorName, resolve_executor
from mtmbench.core.card_files import load_suite
from mtmbench.core.errors import InputError
from mtmbench.core.store import process_start, read_records
from mtmbench.engine.harness import run_suite
from mtmbench.engine.ray.pool import RayOptions
from mtmbench.engine.slurm.pool import SlurmOptions, _executor

pytest.importorskip("submitit", reason="submitit is not installed: pip install 'mtmbench[slurm]'")

LOCAL = SlurmOptions(cluster="local", patience=20.0)


class Watched:
    """Progress that knows the processes of this run's jobs, and may do something to the first."""

    def __init__(self, at: str = "", act: Any = None) -> None:
        self.at, self.act, self.said = at, act, list[str]()

    def phase(self, name: str, total: float) -> None:
        self.said.append(name)
        if name == self.at:
            self.act()

    def advance(self, units: float, what: str) -> None:
        self.said.append(what)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A corpus and a suite, and what a run in this process writes."""
    folder = tmp_path_factory.mktemp("slurm")
    lay_out(folder, "http://127.0.0.1:1/v1", documents=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MTMBENCH_CACHE", str(folder / "cache"))
        play("local", None, 0)
        yield folder


def play(out: str, executor: Any, workers: int, **more: Any) -> Any:
    suite = load_suite("suite.toml", {"judging.judges": ["scripted"]})
    return run_suite(
        suite, Path(out), plugins=[str(PLUGIN)], executor=executor, workers=workers, **more
    )


def jobs_of(folder: str, within: float = 60.0) -> list[int]:
    """Returns the processes of jobs that a run's store holds, once there are any."""
    import sqlite3
    from contextlib import closing

    end = time.monotonic() + within
    while time.monotonic() < end:
        if Path(folder, "store.sqlite").is_file():
            with closing(sqlite3.connect(f"{folder}/store.sqlite")) as db:
                if pids := [pid for (pid,) in db.execute("SELECT pid FROM workers")]:
                    return pids
        time.sleep(0.05)
    raise AssertionError("no job has begun")


@pytest.mark.slow
def test_jobs_write_the_bytes_of_a_local_run_also_if_one_is_killed(base: Path) -> None:
    killed: list[int] = []

    def kill() -> None:
        # Asked for at the start of a phase, when the only job is idle: the next task finds it gone.
        killed.extend(jobs_of("jobs"))
        os.kill(killed[0], signal.SIGKILL)

    progress = Watched("metrics", kill)
    outcome = play("jobs", LOCAL, 1, progress=progress)
    assert outcome.errors == ()
    assert outcome.played == 9
    for name in BOARD_FILES:
        assert Path("jobs", name).read_bytes() == Path("local", name).read_bytes()
    results = sorted(path.name for path in Path("local/results").iterdir())
    assert sorted(path.name for path in Path("jobs/results").iterdir()) == results
    for name in results:
        assert Path("jobs/results", name).read_bytes() == Path("local/results", name).read_bytes()
    assert len(killed) == 1
    assert any("its task is put back" in said for said in progress.said)
    # Nothing is left of the jobs, neither files nor processes.
    assert not Path("jobs/jobs").exists()
    assert not list(Path("jobs").glob(".seen-*"))
    assert process_start(killed[0]) is None


@pytest.mark.slow
def test_ctrl_c_cancels_jobs_and_the_same_command_goes_on(base: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play("cut", LOCAL, 1, progress=Watched("metrics", interrupt))
    assert not Path("cut/jobs").exists()
    assert len([r for r in read_records(Path("cut/records.jsonl")) if r.kind == "fit"]) == 3
    assert play("cut", None, 0).reused == 3
    assert Path("cut/board.json").read_bytes() == Path("local/board.json").read_bytes()


def test_a_job_ends_when_its_driver_is_gone(tmp_path: Path) -> None:
    from mtmbench.engine.slurm import worker

    gone = threading.Event()

    def leave(code: int) -> None:
        gone.set()
        raise SystemExit

    def watched() -> None:
        with contextlib.suppress(SystemExit):
            worker._watch(alive, 0.4)

    alive = tmp_path / "alive"
    alive.write_text("0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker.os, "_exit", leave)
        watch = threading.Thread(target=watched, daemon=True)
        watch.start()
        for beat in range(6):
            time.sleep(0.1)
            alive.write_text(str(beat + 1))
            assert not gone.is_set()
        assert gone.wait(5)
        # A watch that outlived the patch would end the process of the tests.
        watch.join(5)
        assert not watch.is_alive()


def test_a_requeued_job_ends_where_its_box_is_used(tmp_path: Path) -> None:
    from mtmbench.engine.slurm import worker

    (tmp_path / "begun").touch()
    # Nothing of the run is looked at: it would wait for a task that was taken out long ago.
    worker.work(None, tmp_path, tmp_path / "alive", {}, "", "", 0.0)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["begun"]


def test_parameters_reach_sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is handed to ``sbatch``, by a stand-in that only keeps the script."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, does in (("srun", ":"), ("sbatch", 'cat "$1" > kept; echo Submitted batch job 7')):
        (tools / name).write_text(f"#!/bin/sh\n{does}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    monkeypatch.chdir(tmp_path)
    options = SlurmOptions({"partition": "gpu", "mem_gb": 16, "slurm_account": "topics"})
    job = _executor(options, tmp_path / "submitit").submit(abs, -1)
    script = (tmp_path / "kept").read_text()
    for line in (
        "partition=gpu", "mem=16GB", "account=topics", "time=240", "cpus-per-task=1",
        "ntasks-per-node=1", "nodes=1", "job-name=mtmbench",
    ):  # fmt: skip
        assert f"#SBATCH --{line}\n" in script
    assert job.job_id == "7"


def test_options_are_submitits(base: Path) -> None:
    options = resolve_executor(
        ExecutorName.slurm, slurm=["partition=gpu", "timeout_min=60", "mem_gb=7.5", "cluster=local"]
    )
    assert options == SlurmOptions({"partition": "gpu", "timeout_min": 60, "mem_gb": 7.5}, "local")
    assert resolve_executor(ExecutorName.slurm) == SlurmOptions()
    assert isinstance(resolve_executor(ExecutorName.ray, "local"), RayOptions)
    for arguments, message in (
        ((ExecutorName.local, None, None, None, ["partition=x"]), "--slurm goes with --executor"),
        ((ExecutorName.slurm, None, None, None, ["partition"]), "--slurm takes KEY=VALUE, not"),
        ((ExecutorName.slurm, "here:1"), "--address, --actor-cores and --actor-gpus go with"),
        ((ExecutorName.slurm, None, None, None, ["cluster=pbs"]), "'slurm' or 'local', not 'pbs'"),
        ((ExecutorName.slurm, None, None, None, ["nodes=2"]), "nodes is 1: one job plays with"),
    ):
        with pytest.raises(InputError, match=message):
            resolve_executor(*arguments)
    wrong = SlurmOptions({"partion": "gpu"}, "local")
    with pytest.raises(InputError, match="unknown parameter 'partion'; did you mean 'partition'"):
        play("wrong", wrong, 1)
    with pytest.raises(InputError, match="there is no Slurm on this machine"):
        play("none", SlurmOptions(), 1)
