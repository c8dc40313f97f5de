"""Files from strangers, damaged or made to do harm: nothing runs, and one sentence says why not."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from attack_groups.child import ALL_DAMAGE, Attack, child, command, damage


def hostile_files(times: int, draw: random.Random, place: Path) -> Iterator[tuple[str, Attack]]:
    """Result files and control vectors that are damaged, or made to do harm."""
    folder = place / "files"
    folder.mkdir()
    texts = [{"text": "moon star orbit goal team match"} for _ in range(4)]
    (folder / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))

    def attack(make: Callable[[Path, random.Random], str], *more: str) -> Attack:
        for _ in range(times):
            shutil.rmtree(folder / "CODE-RAN", ignore_errors=True)
            name = make(folder, draw)
            ended = child(
                command("import", name, "--corpus", "c.jsonl", "--name", "m", "--out", "o", *more),
                folder,
            )
            fault = "code ran" if (folder / "CODE-RAN").exists() else ended.fault()
            yield None if fault is None else f"{name}: {fault}"

    yield "damaged npz", attack(_damaged_npz)
    yield "npz with objects", attack(_object_npz)
    yield "pickles under other names", attack(_pickle)
    yield "BERTopic folders with bad indices", attack(_bertopic)
    yield "numbers that are none", attack(_odd_numbers)
    yield "GGUF", _gguf(times, draw, folder)


class _Marker:
    """Runs code when it is unpickled: leaves a file."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, ("CODE-RAN",)


def _arrays() -> dict[str, object]:
    theta = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7]])
    return {"theta": theta, "beta": np.full((2, 3), 1 / 3), "vocabulary": ["moon", "star", "goal"]}


def _damaged_npz(folder: Path, draw: random.Random) -> str:
    np.savez(folder / "m.npz", **_arrays())  # type: ignore[arg-type]
    damage(folder / "m.npz", draw, [kind for kind in ALL_DAMAGE if kind != "deleted"])
    return "m.npz"


def _object_npz(folder: Path, draw: random.Random) -> str:
    arrays = _arrays()
    arrays[draw.choice(sorted(arrays))] = np.array([_Marker(), _Marker()], dtype=object)
    np.savez(folder / "m.npz", **arrays)  # type: ignore[arg-type]
    return "m.npz"


def _pickle(folder: Path, draw: random.Random) -> str:
    name = f"m{draw.choice(['.npz', '.npy', '.pkl', '.pt', '.bin', '.json', '.csv', '.model', ''])}"
    (folder / name).write_bytes(pickle.dumps(_Marker()))
    return name


def _bertopic(folder: Path, draw: random.Random) -> str:
    from safetensors.numpy import save_file

    made = folder / "bertopic"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    big = draw.choice([3, 10, 2**20, 2**31 - 1, -1, -(2**31)])
    arrays = {
        "data": np.ones(4, dtype=np.float64),
        "indices": np.array([0, 1, 2, big], dtype=np.int32),
        "indptr": np.array([0, 2, draw.choice([4, 3, 9, -1])], dtype=np.int32),
        "shape": np.array(draw.choice([[2, 3], [2, 2**30], [2**30, 3], [-1, 3]]), dtype=np.int64),
    }
    save_file(arrays, made / "ctfidf.safetensors")
    words = {"moon": 0, "star": 1, "goal": 2}
    settings = {"ctfidf_model": {}, "vectorizer_model": {"params": {}, "vocab": words}}
    (made / "ctfidf_config.json").write_text(json.dumps(settings))
    topics = {"topic_representations": {"0": [["moon", 1.0]], "1": [["star", 1.0]]},
              "topics": [0, 0, 1, 1], "topic_sizes": {"0": 2, "1": 2}}  # fmt: skip
    (made / "topics.json").write_text(json.dumps(topics))
    (made / "config.json").write_text("{}")
    save_file({"topic_embeddings": np.ones((2, 3), np.float32)},
              made / "topic_embeddings.safetensors")  # fmt: skip
    return "bertopic"


def _odd_numbers(folder: Path, draw: random.Random) -> str:
    arrays = _arrays()
    theta = np.array(arrays["theta"])
    odd = draw.choice([float("nan"), float("inf"), -1.0, 1e308, 0.0])
    theta[draw.randrange(4), :] = odd
    arrays["theta"] = draw.choice(
        [theta, theta.astype(complex), theta.astype(str), theta[:3], theta.T]
    )
    np.savez(folder / "m.npz", **arrays)  # type: ignore[arg-type]
    return "m.npz"


def _gguf(times: int, draw: random.Random, folder: Path) -> Attack:
    import gguf

    from mtmbench.steering.gguf_file import read_gguf

    good = folder / "good.gguf"
    writer = gguf.GGUFWriter(str(good), "controlvector")
    writer.add_string("controlvector.model_hint", "llama")
    writer.add_uint32("controlvector.layer_count", 1)
    writer.add_tensor("direction.1", np.ones(8, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    for _ in range(times):
        bad = folder / "bad.gguf"
        shutil.copy(good, bad)
        what = damage(bad, draw, ("one bit", "cut", "emptied", "zeros", "garbage"))

        def read(path: Path = bad) -> None:
            read_gguf(path)

        fault = child(read, folder).fault()
        yield None if fault is None else f"{what}: {fault}"
