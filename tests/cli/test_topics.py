"""``mtmbench topics`` and ``show``: what they print, against results, records and texts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import Call, cells
from support.pages import ROOT

from mtmbench.core.records import Record, of_kind
from mtmbench.core.specs import CorpusSpec
from mtmbench.core.store import read_records
from mtmbench.core.topic_result import TopicResult
from mtmbench.engine.run_topics import Choice, _chosen, _may_be

QUICK = str(ROOT / "leaderboards" / "quick")


def result_of(model: str) -> TopicResult:
    (fit,) = (
        record
        for record in of_kind(read_records(Path("out/records.jsonl")), "fit")
        if record.payload["model"] == model
    )
    return TopicResult.load(Path("out/results") / f"{fit.key}.safetensors")


def strongest(result: TopicResult, topic: int) -> list[tuple[str, float]]:
    weights = result.topic_item[topic]
    order = sorted(range(len(weights)), key=lambda i: (-weights[i], i))[:10]
    return [(result.items.labels[i], float(weights[i])) for i in order]


def test_topics_of_a_run_are_those_of_its_results(call: Call, played: list[str]) -> None:
    code, out, err = call("topics", "out", "--model", "third", "--top-items", "4")
    assert code == 0, err
    assert out.startswith("third · corpus tiny · K = 5 · seed 0")
    result = result_of("third")
    shares = [float(result.doc_topic[:, k].mean(dtype=np.float64)) for k in range(5)]
    items = [", ".join(label for label, _ in strongest(result, k)[:4]) for k in range(5)]
    # Records hold shares to six digits.
    assert cells(out) == [[str(k), f"{round(shares[k], 6):.3f}", items[k]] for k in range(5)]
    assert call("topics", "out")[1].count("corpus tiny") == 3
    # A saved result has the same table without the run.
    (file,) = (
        path for path in Path("out/results").iterdir()
        if TopicResult.load(path).revision == result.revision
    )  # fmt: skip
    assert cells(call("topics", str(file), "--top-items", "4")[1]) == [
        [str(k), f"{shares[k]:.3f}", items[k]] for k in range(5)
    ]
    Path("words.txt").write_text("red blue green\none two three\n")
    assert cells(call("topics", "words.txt", "--top-items", "2")[1]) == [
        ["0", "red, blue"], ["1", "one, two"],
    ]  # fmt: skip


def test_show_has_items_with_weights_and_the_documents_of_largest_share(
    call: Call, played: list[str]
) -> None:
    code, out, err = call("show", "out", "tiny/drawn-sharp/2", "--documents", "3")
    assert code == 0, err
    result = result_of("drawn-sharp")
    shares = result.doc_topic[:, 2]
    rows = sorted(range(len(shares)), key=lambda i: (-shares[i], i))[:3]
    assert out.startswith("Topic 2 of drawn-sharp · corpus tiny · K = 5 · seed 0")
    assert f"Share of all documents: {100 * np.mean(shares):.1f}%" in out
    items = [[label, f"{weight:.4f}"] for label, weight in strongest(result, 2)]
    assert cells(out) == [*items, *([f"d{i}", f"{shares[i]:.3f}", "–"] for i in rows)]
    assert "texts of tiny are not shown: its licence is 'none stated'" in out
    shown = call("show", "out", "2", "--model", "drawn-sharp", "--texts", "--documents", "1")[1]
    texts = [json.loads(line)["text"] for line in Path("tiny.jsonl").read_text().splitlines()]
    assert cells(shown)[-1][2] == f"{texts[rows[0]][:160]} …"
    # Another corpus under the same name is not taken for it.
    Path("tiny.jsonl").write_text('{"id": "d0", "text": "something else"}\n')
    assert "corpus 'tiny' is another one now" in call("show", "out", "drawn-sharp/2")[1]


def test_a_boards_records_are_enough_for_labels_summaries_and_values(call: Call) -> None:
    code, out, err = call("show", QUICK, "lee/mlda/3", "--setting", "paper", "--seed", "0")
    assert code == 0, err
    records = read_records(Path(QUICK) / "records.jsonl")
    (fit,) = (
        record for record in of_kind(records, "fit")
        if (record.payload["corpus"], record.payload["model"], record.payload["setting"],
            record.payload["seed"]) == ("lee", "mlda", "paper", 0)
    )  # fmt: skip
    (labels,) = (r.payload for r in of_kind(records, "labels") if fit.key in r.payload["fits"])
    assert [row[0] for row in cells(out)[:10]] == list(labels["topics"][3])
    (summary,) = (
        r.payload for r in of_kind(records, "shown")
        if r.payload["fits"] == [fit.key] and r.payload["task"] == "summary"
    )  # fmt: skip
    told = " ".join(out.split())
    assert f"Summary: {summary['topics'][3]['value']}" in told
    npmi = {
        f"{value['per_topic'][3]:.3f}"
        for value in (r.payload for r in of_kind(records, "metric"))
        if value["metric"] == "npmi" and fit.key in value["fits"] and value["per_topic"]
    }
    assert npmi == {row[2] for row in cells(out) if row[0] == "npmi"}
    assert npmi
    assert "the fit's result is not in this folder" in told


def test_what_is_not_there_is_named_with_the_nearest(call: Call, played: list[str]) -> None:
    for arguments, message in (
        (("show", "out", "1"), "which model? --model takes one of drawn, drawn-sharp, third"),
        (("show", "out", "thrid/1"), "unknown model 'thrid'; did you mean 'third'?"),
        (("show", "out", "tny/third/1"), "unknown corpus 'tny'; did you mean 'tiny'?"),
        (("show", "out", "third/1", "--k", "7"), "unknown K '7'; valid: 5"),
        (("show", "out", "third/1", "--seed", "3"), "unknown seed '3'; valid: 0"),
        (("show", "out", "third/9"), "no topic 9: third · corpus tiny · K = 5 · seed 0 has topics"),
        (("show", "out", "third"), "a topic is NUMBER, MODEL/NUMBER or CORPUS/MODEL/NUMBER"),
        (("topics", "."), "holds no run: it has neither records nor a store"),
        (("topics", "out", "--judge", "lexical"), "--judge names the topics of one result"),
        (("topics", "words.txt", "--model", "x"), "choose fits of a run; words.txt is none"),
    ):
        code, _, err = call(*arguments)
        assert (code, message in err) == (2, True), err


def test_a_run_under_way_is_read_from_its_store(call: Call, played: list[str]) -> None:
    whole = call("topics", "out")[1]
    shutil.move("out/records.jsonl", "elsewhere")
    assert call("topics", "out")[1] == whole


def test_a_run_without_a_fit_says_so(call: Call, played: list[str]) -> None:
    records = Path("out/records.jsonl")
    lines = records.read_text().splitlines(keepends=True)
    records.write_text("".join(line for line in lines if json.loads(line)["kind"] != "fit"))
    for choice in ((), ("--model", "third")):
        code, _, err = call("topics", "out", *choice)
        assert (code, "out holds no fit yet" in err) == (2, True), err


def test_fits_of_documents_in_other_orders_are_nobodys_topics() -> None:
    def fit(key: str, **order: int) -> Any:
        told = {"corpus": "c", "k": 5, "k_spec": 5, "model": "m", "setting": None, "seed": 0}
        return Record("fit", key, "ok", {**told, **order})

    chosen = _chosen([fit("other", order=1), fit("own")], Choice(model="m"))
    assert [record.key for record in chosen] == ["own"]


@pytest.mark.parametrize("name", ["data/tiny.jsonl", "data/tiny", "somebody/tiny"])
def test_the_corpus_that_was_fitted_is_loaded_first(name: str) -> None:
    assert _may_be(CorpusSpec(name=name), "tiny")
    assert not _may_be(CorpusSpec(name="lee"), "tiny")
