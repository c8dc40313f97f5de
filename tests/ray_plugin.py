"""A model that keeps a diary, for the tests on Ray; loaded after ``harness/fast_plugin.py``."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from mtmbench_plugin_fast_plugin import Drawn  # loaded under this name before this file

import mtmbench as mb
from mtmbench.executor import THREAD_VARIABLES


@mb.register_model("witnessed")
class Witnessed(Drawn):
    """Writes into ``folder/diary.jsonl`` when a fit begins and ends, and where.

    ``folder/orders.json`` may name seeds that wait until ``folder/gate`` is there, and seeds that
    take their process down, each so many times.
    """

    name = "witnessed"

    def __init__(self, n_topics: int = 5, sharpness: float = 1.0, folder: str = "") -> None:
        super().__init__(n_topics, sharpness)
        self.folder = folder

    def fit(self, views: mb.Views, *, seed: int) -> mb.TopicResult:
        orders = json.loads((Path(self.folder) / "orders.json").read_text())
        self._note("begin", seed)
        begun = [line for line in read_diary(self.folder) if line["what"] == "begin"]
        times = sum(line["seed"] == seed for line in begun)
        if times <= orders.get("deaths", {}).get(str(seed), 0):
            time.sleep(0.3)  # what the actor has said before is on its way
            os._exit(9)
        while seed in orders.get("waiting", ()) and not (Path(self.folder) / "gate").exists():
            time.sleep(0.02)
        result = super().fit(views, seed=seed)
        self._note("end", seed)
        return result

    def _note(self, what: str, seed: int) -> None:
        line = {
            "what": what,
            "seed": seed,
            "k": self.n_topics,
            "pid": os.getpid(),
            "node": _node(),
            "threads": {name: os.environ.get(name) for name in THREAD_VARIABLES},
            "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
        }
        with (Path(self.folder) / "diary.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


@mb.register_model("witnessed-features")
class Featured(Drawn):
    """Asks for features and embeddings, so that actors make views together."""

    name = "witnessed-features"
    needs = ("words", "features", "embeddings")


def read_diary(folder: str | Path) -> list[dict[str, Any]]:
    path = Path(folder) / "diary.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def _node() -> str:
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return "local"
    return str(ray.get_runtime_context().get_node_id())
