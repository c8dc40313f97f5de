"""Replies about topics in words: what they state, and what states nothing."""

from __future__ import annotations

import json

import pytest

from mtmbench.core.written import Assignment, WrittenTopic
from mtmbench.judges.replies import parse_assignments, parse_groups, parse_written

ICE = {"name": "Ice", "description": "All of ice."}
QUOTED = {"topic": 2, "quote": "thin ice"}


def written(*topics, before="", key="topics"):
    return before + json.dumps({key: list(topics)})


@pytest.mark.parametrize(
    "reply",
    [
        written(ICE),
        written(ICE, before="It is about ice.\n\n"),
        f"<think>{written()}</think>\n```json\n{written(ICE)}\n```",
        written({**ICE, "name": ' "Ice" ', "sure": True}),
        written({"name": "Ice", "description": "All\nof   ice."}),
    ],
)
def test_written_topics_are_read(reply):
    assert parse_written(reply, 20, 40) == (WrittenTopic("Ice", "All of ice."),)


@pytest.mark.parametrize("reply", ["TOPICS: none", "It rambles.\n\ntopics: none", written()])
def test_no_topic_is_read(reply):
    assert parse_written(reply, 20, 40) == ()


@pytest.mark.parametrize(
    "reply",
    [
        "", "Ice: all of ice.", "TOPICS: Ice", written("Ice"), written({"name": "Ice"}),
        written({**ICE, "name": ""}), written({**ICE, "name": 3}),
        written({**ICE, "name": "(name)"}),
        written({**ICE, "name": "x" * 21}), written({**ICE, "description": "x" * 41}),
        written(ICE, {"name": "ICE", "description": "Again."}),
        written(ICE, before='{"topics": []}\n'), written(ICE, before="TOPICS: none\n"),
        written(ICE) + "\nOr maybe not.", '{"topics": {"name": "Ice"}}', "<think>" + written(ICE),
    ],
)  # fmt: skip
def test_what_states_no_topics_is_unparsed(reply):
    assert parse_written(reply, 20, 40) is None


def test_groups_are_read():
    assert parse_groups('{"same": [[1, 4], [2, 3, 5]]}', 5) == ((0, 3), (1, 2, 4))
    assert parse_groups("SAME: none", 5) == parse_groups('{"same": []}', 5) == ()


@pytest.mark.parametrize(
    "same", [[[1]], [[1, 6]], [[0, 1]], [[1, 2], [2, 3]], [[1, True]], [["1", "2"]], [1, 2], "no"]
)
def test_what_states_no_groups_is_unparsed(same):
    assert parse_groups(json.dumps({"same": same}), 5) is None


def test_assignments_are_read():
    reply = written({"topic": 1, "quote": "law"}, QUOTED, key="assigned")
    assert parse_assignments(reply, 2) == (Assignment(0, "law"), Assignment(1, "thin ice"))
    assert parse_assignments("ASSIGNED: none", 2) == ()


@pytest.mark.parametrize(
    "assigned",
    [
        [{"topic": 3, "quote": "ice"}], [{"topic": 0, "quote": "ice"}], [{"topic": 1}],
        [{"topic": "1", "quote": "ice"}], [{"topic": 1, "quote": " … "}], [QUOTED, QUOTED], [2],
        [{"topic": True, "quote": "ice"}],
    ],
)  # fmt: skip
def test_what_assigns_nothing_is_unparsed(assigned):
    assert parse_assignments(json.dumps({"assigned": assigned}), 2) is None
