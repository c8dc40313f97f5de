"""The answers of seven language models that ProxAnn published, as a file that ``replay`` reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.files import read_json_lines
from mtmbench.core.serialise import canonical_json, write_atomically
from mtmbench.validation import proxann
from mtmbench.validation.folder import human_folder

OUTPUTS_FILE = "llm_judge_outputs.jsonl.gz"
FIT_BOUNDS = (0.0, 5.001)
"""Levels are sums weighted by probabilities that need not sum to one, nor are they exact: up to
5.0000002. They are not rounded, since a level that equals people's 5 would tie with it."""
_OF_BILLS = "bills"


def write_stored_answers(data_dir: Path | None, path: Path) -> dict[str, list[str]]:
    """Writes the stored answers on bills as a file for ``replay``.

    A model answered five times under different seeds: a fit is the sum of the levels weighted by
    the model's token probabilities, a ranking the Bradley-Terry order of its pairwise comparisons.

    Returns:
        The runs of every model: values of the fields "judge" and "run" of the lines.

    Raises:
        InputError: the outputs are not there, or are not what they should be.
    """
    source = human_folder(proxann.PROXANN_FOLDER, data_dir) / OUTPUTS_FILE
    runs: dict[str, list[str]] = {}
    lines: list[str] = []
    outputs = list(read_json_lines(source))
    try:
        for output in outputs:
            if output["dataset"] != _OF_BILLS:
                continue
            judge, run = output["model"], output["run"]
            told = [
                {"fields": {"judge": judge, "run": run, **fields}, "text": text}
                for topic in output["content"]
                for fields, text in _answers(topic)
            ]
            lines += map(canonical_json, told)
            if told and run not in runs.setdefault(judge, []):
                runs[judge].append(run)
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{source} is not laid out as ProxAnn's outputs: {error!r}") from error
    if not runs:
        raise InputError(f"{source} holds no answers on {_OF_BILLS}")
    write_atomically(path, "\n".join(lines) + "\n")
    return {judge: sorted(found) for judge, found in sorted(runs.items())}


def _answers(topic: Mapping[str, Any]) -> list[tuple[dict[str, object], str]]:
    if "fit_data" in topic:
        return [
            ({"kind": "fit", "topic": topic["id"], "document": place}, f"FIT: {level:.10f}")
            for place, level in enumerate(topic["fit_data"][0])
        ]
    if "rank_data" in topic:
        best = np.argsort(-np.asarray(topic["rank_data"][0]), kind="stable") + 1
        text = "RANKING: " + ", ".join(map(str, best.tolist()))
        return [({"kind": "rank", "topic": topic["id"]}, text)]
    return []
