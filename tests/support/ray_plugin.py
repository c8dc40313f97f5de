"""A model and a feature source that keep a diary, for the tests on Ray; they take milliseconds.

Loaded after ``harness/fast_plugin.py``. ``orders.json`` in the folder that both are given may name
fits that wait until there is a file ``gate`` ("waiting", by seed), fits that take their process
down, each so many times ("deaths"), and may have shards wait too ("shards_wait").
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mtmbench_plugin_fast_plugin import Drawn  # loaded under this name before this file

import mtmbench as mb
from mtmbench.core.serialise import content_hash
from mtmbench.engine.workers import WORKER_VARIABLES
from mtmbench.features.registry import register_features
from mtmbench.features.sae.backbone import ActivationBatch, Backbone
from mtmbench.features.sae.sae import SAE
from mtmbench.features.sae.sae_folder import SAEFolder, plain_folder
from mtmbench.features.sae.source import StoredFeatures
from mtmbench.features.sae.token_batches import length_batches

WIDTH, N_FEATURES, CHUNK = 8, 16, 500


@mb.register_model("witnessed")
class Witnessed(Drawn):
    """Writes down when a fit begins and ends, and where."""

    name = "witnessed"

    def __init__(self, n_topics: int = 5, sharpness: float = 1.0, folder: str = "") -> None:
        super().__init__(n_topics, sharpness)
        self.folder = folder

    def fit(self, views: mb.Views, *, seed: int) -> mb.TopicResult:
        note(self.folder, "begin", seed)
        begun = [line for line in read_diary(self.folder) if line["what"] == "begin"]
        times = sum(line["of"] == seed for line in begun)
        if times <= orders(self.folder).get("deaths", {}).get(str(seed), 0):
            time.sleep(0.3)  # what the actor has said before is on its way
            os._exit(9)
        if seed in orders(self.folder).get("waiting", ()):
            pass_gate(self.folder)
        result = super().fit(views, seed=seed)
        note(self.folder, "end", seed)
        return result


@mb.register_model("featured")
class Featured(Drawn):
    """Asks for features, which actors make shard by shard."""

    name = "featured"
    needs = ("words", "features")


class Letters(Backbone):
    """Reads a letter as a token and gives it a vector drawn once for all."""

    name, revision = "letters", "1"
    hidden_size, max_chunk_tokens = WIDTH, CHUNK

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def tokenise(self, texts: Sequence[str]) -> list[Any]:
        return [np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int32) for text in texts]

    def decode(self, ids: Any) -> str:
        return "".join(map(chr, ids.tolist()))

    def spans(self, texts: Sequence[str]) -> list[Any]:
        return [np.stack([np.arange(len(t)), np.arange(len(t)) + 1], axis=1) for t in texts]

    def activations(
        self, chunks: Sequence[Any], hook_points: Sequence[str], batch_tokens: int = 4096
    ) -> Iterator[ActivationBatch]:
        import torch

        shard = content_hash(*chunks)
        note(self._folder, "begin", shard)
        if orders(self._folder).get("shards_wait"):
            pass_gate(self._folder)
        table = np.random.default_rng(0).normal(size=(128, WIDTH)).astype(np.float32)
        for batch in length_batches([len(chunk) for chunk in chunks], batch_tokens):
            values = torch.from_numpy(np.concatenate([table[chunks[i]] for i in batch]))
            lengths = tuple(len(chunks[i]) for i in batch)
            yield ActivationBatch(tuple(batch), lengths, dict.fromkeys(hook_points, values))
        note(self._folder, "end", shard)


@register_features("letters")
class LetterFeatures(StoredFeatures):
    """Features of letters."""

    name = "letters"

    def __init__(self, folder: str, **more: Any) -> None:
        super().__init__(**more)
        self._backbone = Letters(folder)

    @property
    def backbone(self) -> Backbone:
        return self._backbone

    def sae_names(self) -> list[str]:
        return ["drawn"]

    def load_folder(self, name: str) -> SAEFolder:
        rng = np.random.default_rng(1)
        draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
        encoder, decoder = draw(WIDTH, N_FEATURES), draw(N_FEATURES, WIDTH)
        sae = SAE(
            "standard", encoder, draw(N_FEATURES) - 3, decoder, draw(WIDTH), True, None, None, {}
        )  # fmt: skip
        return plain_folder(name, sae, hook_point="letters", chunk_tokens=CHUNK)


def note(folder: str, what: str, of: Any) -> None:
    line = {
        "what": what,
        "of": of,
        "pid": os.getpid(),
        "node": _node(),
        "variables": {name: os.environ.get(name) for name in WORKER_VARIABLES},
        "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }
    with (Path(folder) / "diary.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def orders(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(folder) / "orders.json").read_text())
    return found


def pass_gate(folder: str) -> None:
    while not (Path(folder) / "gate").exists():
        time.sleep(0.02)


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
