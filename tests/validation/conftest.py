"""Human data in the form of the real ones, made up: people who agree, and judges that answer."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

MODELS = {"mallet": "mallet/alpha_1/159", "bertopic": "bertopic"}
N_TOPICS, N_DOCUMENTS, N_RESPONDENTS = 4, 7, 4


def _lines(path: Path, rows: list[dict[str, Any]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def _response(topic: str, fits: list[int], places: list[int]) -> dict[str, str]:
    return {
        "id": topic, "Duration (in seconds)": "600", "rank_99": "8",
        "practice_purpose": "a single category", "cluster_label": "Something else",
        "11_loop_fit_a": "2 - mostly not", "11_loop_familiarity": "I am not familiar",
        **{f"practice_rank_{i}": str(i + 1) for i in range(4)},
        **{f"{i + 1}_loop_fit_a": f"{fit} - so" for i, fit in enumerate(fits)},
        **{f"rank_{i}": str(place) for i, place in enumerate(places)},
    }  # fmt: skip


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder: 8 topics of bills, 4 people each who agree but for noise; 24 topics rated.

    Document i of a topic of bills says how well it fits, "fits 5"; every word of a rated topic
    carries the rating, and people find the intruder as often as they rate high.
    """
    data = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    bills = data / "human_proxann2025"
    bills.mkdir()
    configured: dict[str, dict[str, Any]] = {}
    responses, coherence = [], []
    for model, path in MODELS.items():
        for topic in range(N_TOPICS):
            key = f"models/bills-labeled/{path}"
            true = generator.permutation([5, 5, 4, 3, 2, 1, 1])
            document = [
                {"text": f"{model} {topic} {i} fits {fit}", "assigned_to_k": bool(fit >= 3)}
                for i, fit in enumerate(true)
            ]
            configured.setdefault(key, {})[str(topic)] = {
                "topic_words": [f"{model}{topic}word{i}" for i in range(20)],
                "exemplar_docs": [{"text": f"example {i} of {model} {topic}"} for i in range(2)],
                "eval_docs": document,
            }
            for _ in range(N_RESPONDENTS):
                noisy = true + generator.normal(0, 0.7, N_DOCUMENTS)
                places = (-noisy).argsort().argsort() + 1
                fits = np.clip(np.round(noisy), 1, 5).astype(int)
                responses.append(_response(f"{key}/{topic}", fits.tolist(), places.tolist()))
            coherence.append(
                {"id": f"bills-labeled/{model}/{topic}", "npmi": generator.random(), "cv": 0.5}
            )
    _lines(bills / "bills_annotations_deidentified.jsonl.gz", responses)
    for part, key in enumerate(configured, start=1):
        with gzip.open(bills / f"config_bills_part{part}.json.gz", "wt", encoding="utf-8") as file:
            json.dump({key: configured[key]}, file)
    with (bills / "all_cohrs_bills.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "npmi", "cv"])
        writer.writeheader()
        writer.writerows(coherence)
    _lines(bills / "llm_judge_outputs.jsonl.gz", _outputs(configured))
    topics = data / "human_hoyle2021"
    topics.mkdir()
    _lines(topics / "topics_with_human_scores.jsonl.gz", _rated(generator))
    return data


def _rated(generator: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for number, dataset in enumerate(("nytimes", "wikitext")):
        for index in range(12):
            rating = 1 + index % 3
            rows.append(
                {
                    "dataset": dataset, "model": "etm", "topic_idx": index,
                    "words": [f"r{rating}t{index}d{number}w{i}" for i in range(20)],
                    "ratings_scores_raw": [rating] * 4 + [min(3, rating + 1)],
                    "intrusion_scores_raw": [1] * (3 * rating + index % 2) + [0] * 4,
                    **dict.fromkeys(("c_v_full", "c_uci_full", "u_mass_full"), 0.1 * index),
                    "c_npmi_10_full": float(generator.random()),
                }
            )  # fmt: skip
    return rows


def _outputs(configured: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Two runs of one judge; the mean of its levels is what the documents say, the runs differ."""
    outputs = []
    for run, shift in (("one", 0.25), ("two", -0.25)):
        fits, ranks = [], []
        for key, topics in configured.items():
            model = "mallet" if "mallet" in key else "bertopic"
            for topic, content in topics.items():
                true = np.array([int(d["text"][-1]) for d in content["eval_docs"]])
                fit = true + shift * ((true > 1) & (true < 5))
                name = f"bills-labeled/{model}/{topic}"
                order = (true * 10 - np.arange(N_DOCUMENTS)).argsort().argsort() + 1
                fits.append({"id": name, "fit_data": [fit.tolist()]})
                ranks.append({"id": name, "rank_data": [order.tolist()]})
        for file, content in (("q2", fits), ("q3", ranks)):
            outputs.append(
                {"dataset": "bills", "model": "oracle", "run": run, "file": file,
                 "content": content}
            )  # fmt: skip
    return outputs
