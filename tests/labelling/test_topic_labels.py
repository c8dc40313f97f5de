from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mtmbench.cli.app import app
from mtmbench.core.errors import InputError
from mtmbench.judges.panel import Panel
from mtmbench.labelling.topic_labels import label_topics, read_topics
from mtmbench.testing.planted import planted_result
from mtmbench.testing.topic_judge import PLANTED_JUDGE, PlantedJudge

TOPICS = [["oven", "butter", "orbit"], ["comet", "rocket"], []]


def test_topics_are_named_and_what_has_no_name_says_why(tmp_path: Path) -> None:
    with Panel(tmp_path / "answers") as panel:
        labels = label_topics(TOPICS, PLANTED_JUDGE, panel)
    assert [(row["label"], row["status"]) for row in labels["topics"]] == [
        ("The kitchen", "ok"), ("The space", "ok"), (None, "empty"),
    ]  # fmt: skip
    assert labels["topics"][0]["items"] == TOPICS[0]
    assert labels["statuses"] == {"empty": 1, "ok": 2}
    assert labels["answers_by"]["questions"] == 2
    assert (labels["prompt"]["name"], len(labels["prompt"]["hash"])) == ("topic_label", 32)


def test_the_command_names_a_saved_result_and_asks_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fit.safetensors"
    planted_result().save(path)
    arguments = ["topics", str(path), "--judge", PLANTED_JUDGE, "--top-items", "5"]
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 0, outcome.output
    assert outcome.output.startswith("0: The sea: ")
    written = json.loads((tmp_path / "fit.labels.json").read_text())
    assert [row["label"] for row in written["topics"]] == [
        "The sea", "The kitchen", "The space", "The garden",
    ]  # fmt: skip
    assert all(len(row["items"]) == 5 for row in written["topics"])

    async def fails(*_args: object) -> None:
        raise OSError("asked again")

    monkeypatch.setattr(PlantedJudge, "answer", fails)
    again = CliRunner().invoke(app, arguments)
    assert again.output == outcome.output


def test_word_lists_are_read_and_other_files_named(tmp_path: Path) -> None:
    path = tmp_path / "topics.json"
    path.write_text(json.dumps(TOPICS))
    assert read_topics(path, 2) == [["oven", "butter"], ["comet", "rocket"], []]
    for wrong, message in (
        ("{}", r"topics\.json must hold a JSON list of topics .*; it has no topic"),
        ('["oven"]', r"topics\.json, topic 0: 'oven' must be a list of words"),
        ("[[1]]", r"topics\.json, topic 0: \[1\] must be a list of words"),
    ):
        path.write_text(wrong)
        with pytest.raises(InputError, match=message):
            read_topics(path, 2)
    with pytest.raises(InputError, match="cannot read"):
        read_topics(tmp_path / "none.json", 2)
