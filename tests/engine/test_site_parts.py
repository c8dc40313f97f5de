"""What a run adds to its board's page: documents of topics, what judges saw, texts, times."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from support import SUPPORT
from support.site import parts_of_run

from mtmbench.core.cards import Suite
from mtmbench.core.store import read_records
from mtmbench.core.topic_result import TopicResult
from mtmbench.engine.harness import run_suite
from mtmbench.engine.plan import make_plan
from mtmbench.engine.results import result_path
from mtmbench.engine.site_parts import write_site_parts
from mtmbench.matches.options import document_options

PLUGINS = [str(SUPPORT / "fast_plugin.py")]
WORDS = ("bread", "soup", "oven", "butter", "orbit", "rocket", "moon", "goal", "team", "ball")


@pytest.mark.slow
def test_a_run_tells_what_its_records_do_not_hold(tmp_path: Path) -> None:
    rng = random.Random(3)
    rows = [{"id": f"d{i}", "text": " ".join(rng.choices(WORDS, k=20))} for i in range(20)]
    corpus = tmp_path / "tiny.jsonl"
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    suite = Suite.model_validate(
        {
            "name": "tiny", "corpora": [str(corpus)], "models": ["drawn", "drawn-sharp"],
            "k": [4], "seeds": [0, 1], "words": {"max_df": 1.0},
            "params": {"drawn-sharp": {"sharpness": 5.0}},
            "judging": {"judges": ["lexical"], "documents": 12, "bootstrap": 100,
                        "representations": ["items"]},
        }
    )  # fmt: skip
    folder = tmp_path / "run"
    run_suite(suite, folder, plugins=PLUGINS, workers=0)
    told = parts_of_run(folder)
    assert set(told) == {"documents", "seen", "times"}
    fits = {
        (record.payload["model"], record.payload["seed"]): record
        for record in read_records(folder / "records.jsonl")
        if record.kind == "fit"
    }
    results = {who: TopicResult.load(result_path(folder, fit.key)) for who, fit in fits.items()}
    for part, content in told["documents"]:
        for name, topics in content["models"].items():
            theta = results[name, part["seed"]].doc_topic
            for k, topic in enumerate(topics):
                best = sorted(theta[:, k][theta[:, k] > 0], reverse=True)[:8]
                assert [share for _, share in topic["documents"]] == pytest.approx(best, abs=6e-4)
                for document, share in topic["documents"]:
                    assert theta[int(document[1:]), k] == pytest.approx(share, abs=6e-4)
    ((_, seen),) = told["seen"]
    assert seen["why"] == "texts of tiny are not shown: its licence is 'none stated'"
    assert suite.judging is not None
    for name, shown in seen["sides"].items():
        rows_of = [int(document[1:]) for document in seen["documents"]]
        options = document_options(
            results[name, 0], rows_of, name, spec=suite.judging, representation="items"
        )
        for topics, option in zip(shown, options, strict=True):
            assert [seen["strings"][at] for at, _ in topics] == [
                topic.description for topic in option.topics
            ]
    kinds = {row[0]: row for row in told["times"][0][1]}
    assert kinds["fit"][3] == 2
    assert all(np.isfinite(row[4:]).all() for row in kinds.values())
    page = (folder / "index.html").read_text("utf-8")
    assert '"file":"site/seen-0.js"' in page
    write_site_parts(make_plan(suite, plugins=PLUGINS), folder, texts=True)
    ((_, texts),) = parts_of_run(folder)["texts"]
    assert texts.items() <= {row["id"]: row["text"] for row in rows}.items()
    assert set(seen["documents"]) <= set(texts)
