"""Runs on a local Ray cluster of two nodes: the bytes of a local run, whatever dies on the way."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import SUPPORT

from mtmbench.cli.app import main
from mtmbench.core.card_reading import parse_card
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError
from mtmbench.core.store import RunStore, read_records
from mtmbench.engine.harness import run_suite
from mtmbench.engine.ray.actor import TaskActor
from mtmbench.engine.ray.cluster import RayCluster
from mtmbench.engine.ray.pool import MAX_DEATHS, ExecutorError, RayOptions, RayPool
from mtmbench.engine.workers import WORKER_VARIABLES, Task, Underway

pytestmark = pytest.mark.slow

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'mtmbench[ray]'")

PLUGINS = [
    str(SUPPORT / "fast_plugin.py"),
    str(SUPPORT / "ray_plugin.py"),
]
BOARD_FILES = ("records.jsonl", "board.json", "board.csv", "board.md", "index.html")
SEEDS = list(range(6))
SMALL = 80 * 1024 * 1024


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one core; a lost node is noticed within two seconds."""
    from ray.cluster_utils import Cluster

    quick = {
        "health_check_initial_delay_ms": 1000,
        "health_check_period_ms": 500,
        "health_check_failure_threshold": 3,
    }
    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": SMALL}
    made = Cluster(initialize_head=True, head_node_args={**head, "_system_config": quick})
    add_node(made)
    yield made
    made.shutdown()


def add_node(cluster: Any) -> Any:
    return cluster.add_node(num_cpus=1, object_store_memory=SMALL)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A corpus, and a cache of its own."""
    base = tmp_path_factory.mktemp("ray")
    rng = random.Random(0)
    subjects = (
        ("match", "team", "goal", "season", "player", "coach", "league", "score", "final"),
        ("bread", "soup", "oven", "butter", "flavour", "kitchen", "recipe", "salt", "meal"),
    )
    with (base / "tiny.jsonl").open("w") as file:
        for i in range(60):
            text = " ".join(rng.choices(subjects[i % 2], k=30))
            file.write(json.dumps({"id": f"d{i}", "text": text, "label": str(i % 2)}) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTMBENCH_CACHE", str(base / "cache"))
        yield base


@pytest.fixture
def folder(base: Path) -> Path:
    """The corpus's folder with no orders for the model, an open gate and an empty diary."""
    order(base)
    (base / "gate").touch()
    (base / "diary.jsonl").unlink(missing_ok=True)
    return base


@pytest.fixture(scope="module")
def expected(base: Path) -> dict[str, bytes]:
    """What a run in this process writes."""
    order(base)
    outcome = run(suite_of(base), base / "local", workers=0)
    assert not outcome.errors
    return outcome_bytes(base / "local")


def order(folder: Path, **orders: Any) -> None:
    (folder / "orders.json").write_text(json.dumps(orders))


def suite_of(folder: Path, **changes: Any) -> Suite:
    data: dict[str, Any] = {
        "name": "tiny",
        "corpora": [str(folder / "tiny.jsonl")],
        "models": ["witnessed", "drawn"],
        "k": [5],
        "seeds": SEEDS,
        "metrics": ["diversity", "nmi"],
        "params": {"witnessed": {"folder": str(folder)}, "drawn": {"sharpness": 5.0}},
        "judging": {"judges": ["scripted"], "documents": 40},
    }
    told = {**data, **changes}
    told["params"] = {
        name: told["params"][name] for name in told["params"] if name in told["models"]
    }
    return parse_card(told, Suite, "test suite")


def run(suite: Suite, out: Path, cluster: Any = None, **settings: Any) -> Any:
    options = None if cluster is None else RayOptions(cluster.address)
    given = {"executor": options, "plugins": PLUGINS, **settings}
    return run_suite(suite, out, **given)


def outcome_bytes(folder: Path) -> dict[str, bytes]:
    results = sorted((folder / "results").iterdir())
    return {path.name: path.read_bytes() for path in (*(folder / n for n in BOARD_FILES), *results)}


def cache_bytes(folder: Path) -> dict[str, bytes]:
    """What a cache holds besides its locks."""
    kept = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


@contextmanager
def killing_a_node(cluster: Any, folder: Path) -> Iterator[list[dict[str, Any]]]:
    """Kills a node when each is in the middle of something that waits at the gate; opens it then.

    Yields what the node was doing, once it is killed.
    """
    killed: list[dict[str, Any]] = []

    def kill() -> None:
        wait_for(lambda: len({line["node"] for line in underway(folder)}) == 2)
        node = next(iter(cluster.worker_nodes))
        killed.extend(line for line in underway(folder) if line["node"] == node.node_id)
        cluster.remove_node(node, allow_graceful=False)
        wait_for(lambda: not any(alive(line["pid"]) for line in killed))
        (folder / "gate").touch()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        killer.join()
        add_node(cluster)


def diary(folder: Path, what: str) -> list[dict[str, Any]]:
    path = folder / "diary.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for line in map(json.loads, lines) if line["what"] == what]


def wait_for(condition: Callable[[], bool], timeout: float = 180.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come about")
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Heard:
    """Progress that keeps what it is told beside the units."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def phase(self, name: str, total: float) -> None:
        pass

    def advance(self, units: float, what: str) -> None:
        if units == 0:
            self.notices.append(what)


def test_two_nodes_give_the_bytes_of_a_local_run(
    cluster: Any, folder: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    outcome = run(suite_of(folder), tmp_path / "out", cluster)
    assert not outcome.errors
    assert outcome_bytes(tmp_path / "out") == expected
    begun = diary(folder, "begin")
    assert sorted(line["of"] for line in begun) == SEEDS
    assert all(line["variables"] == WORKER_VARIABLES for line in begun)
    assert not ray.is_initialized()
    assert not [*tmp_path.glob("**/.seen-*"), *folder.glob("**/.seen-*")]


def test_a_node_killed_halfway_loses_and_doubles_nothing(
    cluster: Any, folder: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    (folder / "gate").unlink()
    order(folder, waiting=SEEDS[2:])
    heard = Heard()
    with killing_a_node(cluster, folder) as killed:
        outcome = run(suite_of(folder), tmp_path / "out", cluster, progress=heard)
    assert not outcome.errors
    assert outcome_bytes(tmp_path / "out") == expected
    assert len(killed) == 1
    begun = sorted(line["of"] for line in diary(folder, "begin"))
    assert begun == sorted([*SEEDS, killed[0]["of"]])
    assert sorted(line["of"] for line in diary(folder, "end")) == SEEDS
    assert any("its task is put back" in notice for notice in heard.notices)


def test_nodes_share_shards_and_a_node_killed_loses_none(
    cluster: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(1)
    long = tmp_path / "long.jsonl"
    with long.open("w") as file:
        for _ in range(60):
            words = ["".join(rng.choices("abcdefghij", k=4)) for _ in range(1100)]
            file.write(json.dumps({"text": " ".join(words)}) + "\n")
    suite = suite_of(
        folder, corpora=[str(long)], models=["featured"], params={}, seeds=[0],
        metrics=["diversity"], judging=None, words={"min_df": 1},
        features={"source": "letters", "params": {"folder": str(folder)}},
    )  # fmt: skip
    monkeypatch.setenv("MTMBENCH_CACHE", str(tmp_path / "local-cache"))
    assert not run(suite, tmp_path / "local", workers=0).errors
    shards = sorted(line["of"] for line in diary(folder, "end"))
    assert len(shards) > 3
    (folder / "diary.jsonl").unlink()
    (folder / "gate").unlink()
    order(folder, shards_wait=True)
    monkeypatch.setenv("MTMBENCH_CACHE", str(tmp_path / "ray-cache"))
    heard = Heard()
    with killing_a_node(cluster, folder) as killed:
        outcome = run(suite, tmp_path / "out", cluster, progress=heard)
    assert not outcome.errors
    assert sorted(line["of"] for line in diary(folder, "end")) == shards
    begun = sorted(line["of"] for line in diary(folder, "begin"))
    assert begun == sorted([*shards, *(line["of"] for line in killed)])
    assert len(killed) == 1
    assert outcome_bytes(tmp_path / "out") == outcome_bytes(tmp_path / "local")
    cached = cache_bytes(tmp_path / "ray-cache")
    assert sum(name.endswith(".parquet") for name in cached) == len(shards)
    assert cached == cache_bytes(tmp_path / "local-cache")
    assert not any("locks" in notice for notice in heard.notices)


def test_an_actor_that_dies_once_is_replaced(
    cluster: Any, folder: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    order(folder, deaths={"1": MAX_DEATHS - 1})
    outcome = run(suite_of(folder), tmp_path / "out", cluster)
    assert not outcome.errors
    assert outcome_bytes(tmp_path / "out") == expected
    begun = [line["of"] for line in diary(folder, "begin")]
    assert sorted(begun) == sorted([*SEEDS, *[1] * (MAX_DEATHS - 1)])


def test_a_fit_that_kills_every_actor_is_given_up(
    cluster: Any, folder: Path, tmp_path: Path
) -> None:
    order(folder, deaths={"1": 99})
    suite = suite_of(folder, models=["witnessed"], seeds=[0, 1], metrics=[], judging=None)
    outcome = run(suite, tmp_path / "out", cluster)
    assert len(outcome.errors) == 1
    cell, reason = outcome.errors[0]
    assert "witnessed" in cell
    assert "seed 1" in cell
    assert f"the last of {MAX_DEATHS}" in reason
    assert [line["of"] for line in diary(folder, "begin")].count(1) == MAX_DEATHS
    fits = read_records(tmp_path / "out" / "records.jsonl")
    assert sorted(record.status for record in fits) == ["error", "ok"]


def test_ctrl_c_ends_the_actors_and_the_run_goes_on_anywhere(
    cluster: Any, folder: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    (folder / "gate").unlink()
    order(folder, waiting=SEEDS[2:])
    suite = tmp_path / "tiny.toml"
    suite.write_text(
        f'name = "tiny"\ncorpora = ["{folder}/tiny.jsonl"]\nmodels = ["witnessed", "drawn"]\n'
        f'k = [5]\nseeds = {SEEDS}\nmetrics = ["diversity", "nmi"]\n'
        f'[params.witnessed]\nfolder = "{folder}"\n[params.drawn]\nsharpness = 5.0\n'
        '[judging]\njudges = ["scripted"]\ndocuments = 40\n'
    )
    # A shell's background jobs, and what they start, are born with the signal ignored.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    process = subprocess.Popen(
        [
            sys.executable, "-c", f"{listen}; from mtmbench.cli.app import main; main()",
            "run", str(suite), "--out", str(tmp_path / "out"),
            "--executor", "ray", "--address", cluster.address, "--actor-cores", "1",
            *(part for plugin in PLUGINS for part in ("--plugin", plugin)),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        wait_for(lambda: len({line["node"] for line in underway(folder)}) == 2)
        actors = [line["pid"] for line in underway(folder)]
        os.killpg(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    assert "Traceback" not in stdout + stderr
    assert "interrupted" in stderr
    wait_for(lambda: not any(map(alive, actors)), timeout=10)
    assert not list(tmp_path.glob("**/.seen-*"))
    with RunStore(tmp_path / "out") as store:
        finished = store.finished()
    assert 0 < len(finished) < len(SEEDS) * 2
    (folder / "gate").touch()
    resumed = run(suite_of(folder), tmp_path / "out", workers=0)
    assert resumed.reused == len(finished)
    assert outcome_bytes(tmp_path / "out") == expected


def test_an_actor_that_does_not_see_the_folder_is_named(
    cluster: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    write = RayPool._write_tokens

    def write_elsewhere(pool: RayPool) -> None:
        write(pool)
        written.extend(pool._tokens)
        written[0].unlink()

    monkeypatch.setattr(RayPool, "_write_tokens", write_elsewhere)
    with pytest.raises(InputError) as caught:
        run(suite_of(folder), tmp_path / "out", cluster)
    assert str(written[0]) in str(caught.value)
    assert written[0].parent == tmp_path / "out"
    assert cluster.head_node.node_ip_address in str(caught.value)
    assert "does not see" in str(caught.value)


def test_no_room_for_an_actor(cluster: Any, folder: Path, tmp_path: Path) -> None:
    for wanted, named in (({"actor_gpus": 0.5}, "0.5 GPUs"), ({"actor_cores": 2}, "2 cores")):
        options = RayOptions(cluster.address, **wanted)
        with pytest.raises(InputError, match=f"can hold an actor of .*{named}") as caught:
            run(suite_of(folder), tmp_path / "out", executor=options)
        assert str(caught.value).count("(1 cores, 0 GPUs)") == 2
        assert not ray.is_initialized()


def test_one_actor_for_each_gpu(cluster: Any, folder: Path, tmp_path: Path) -> None:
    node = cluster.add_node(num_cpus=2, num_gpus=2, object_store_memory=SMALL)
    try:
        suite = suite_of(folder, models=["witnessed"], seeds=[0, 1], metrics=[], judging=None)
        (folder / "gate").unlink()
        order(folder, waiting=[0, 1])
        opener = threading.Thread(
            target=lambda: (
                wait_for(lambda: len(underway(folder)) == 2),
                (folder / "gate").touch(),
            )
        )
        opener.start()
        options = RayOptions(cluster.address, actor_gpus=1)
        assert not run(suite, tmp_path / "out", executor=options).errors
        opener.join()
    finally:
        cluster.remove_node(node)
    begun = diary(folder, "begin")
    assert sorted(line["gpus"] for line in begun) == ["0", "1"]
    assert {line["node"] for line in begun} == {node.node_id}


@pytest.mark.parametrize(
    ("cores", "gpus", "nodes", "actors"),
    [
        (1, 0.0, [(4, 0), (2, 0)], 6),
        (3, 0.0, [(4, 0), (2, 0), (9, 1)], 4),
        (1, 1.0, [(8, 2), (8, 0), (1, 4)], 3),
        (2, 0.4, [(32, 3)], 6),
        (2, 0.4, [(6, 3)], 3),
        (1, 2.0, [(8, 5)], 2),
    ],
)
def test_actors_that_nodes_can_hold(
    cores: int, gpus: float, nodes: list[tuple[int, int]], actors: int
) -> None:
    named = [
        {"Alive": True, "NodeManagerAddress": "n", "Resources": {"CPU": cpu, "GPU": gpu}}
        for cpu, gpu in nodes
    ]
    gone = {"Alive": False, "NodeManagerAddress": "n", "Resources": {"CPU": 64, "GPU": 8}}
    cluster = object.__new__(RayCluster)
    cluster._options = RayOptions(actor_cores=cores, actor_gpus=gpus)
    cluster.ray = SimpleNamespace(nodes=lambda: [*named, gone])
    assert cluster.capacity() == actors


def test_a_cluster_that_others_hold(cluster: Any, folder: Path, tmp_path: Path) -> None:
    class Holder:
        def here(self) -> None:
            pass

    ray.init(address=cluster.address, log_to_driver=False)
    try:
        holders = [ray.remote(Holder).options(num_cpus=1).remote() for _ in range(2)]
        ray.get([holder.here.remote() for holder in holders])
        with pytest.raises(ExecutorError, match="no actor for 2 s: others hold"):
            run(suite_of(folder), tmp_path / "out", executor=RayOptions(patience=2.0))
        assert ray.is_initialized()  # the connection was not this run's
    finally:
        ray.shutdown()


def test_no_cluster_at_the_address(folder: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(InputError, match=f"no Ray cluster answers at {address}"):
            run(suite_of(folder), tmp_path / "out", executor=RayOptions(address))
    for wrong in ("here", "here:", f"here:{'9' * 5000}", "ray://127.0.0.1:10001"):
        with pytest.raises(InputError, match="HOST:PORT"):
            run(suite_of(folder), tmp_path / "out", executor=RayOptions(wrong))


def test_options_that_make_no_actor() -> None:
    for wrong in ({"actor_cores": 0}, {"actor_gpus": -1.0}, {"actor_gpus": 1.5}):
        with pytest.raises(InputError, match="an actor takes"):
            RayOptions(**wrong)


def test_without_ray_the_extra_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'mtmbench\[ray\]'"):
        run(suite_of(folder), tmp_path / "out", executor=RayOptions())


def test_options_of_ray_without_ray(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["mtmbench", "run", "quick", "--actor-cores", "2"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "go with --executor ray" in capsys.readouterr().err


def test_another_version_of_mtmbench_is_refused(folder: Path) -> None:
    opened = TaskActor().open(Any, {}, str(folder), "0.0.1")
    assert opened.problem is not None
    assert "the driver 0.0.1" in opened.problem


def test_a_view_reports_while_it_is_made() -> None:
    class Slow:
        def prepare(self, *what: Any, report: Callable[[int, int], None]) -> None:
            time.sleep(0.6)
            report(1, 4)
            made.set()
            assert heard.wait(10)

    made, heard = threading.Event(), threading.Event()
    player = TaskActor()
    player._workspace = Slow()  # type: ignore[assignment]
    answers = player.play(Task((), prepare=("corpus", None, "features")))
    next(answers)
    report = next(answers)
    assert isinstance(report, Underway)
    assert report.share == 0.25
    assert made.wait(10)
    heard.set()
    assert list(answers) == [None]


def underway(folder: Path) -> list[dict[str, Any]]:
    ended = {line["pid"]: line["of"] for line in diary(folder, "end")}
    last = {line["pid"]: line for line in diary(folder, "begin")}
    return [line for pid, line in last.items() if ended.get(pid) != line["of"]]
