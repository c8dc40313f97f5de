"""``mtmbench score``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.commands import AS_TYPED, Call, cells


def test_score_needs_no_model(call: Call, tmp_path: Path) -> None:
    topics = [
        ["australia", "australian", "sydney", "government", "minister"],
        ["wicket", "test", "cricket", "australia", "south"],
    ]
    (tmp_path / "topics.json").write_text(json.dumps(topics))
    code, out, _ = call("score", "topics.json", "--corpus", "lee", "--json", "scores.json")
    assert code == 0
    scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
    diversity = next(row["value"] for row in scores if row["metric"] == "diversity")
    assert diversity == pytest.approx(0.9)
    assert "npmi" in out


def test_what_is_missing_stands_under_its_reason_as_typed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import pandas as pd

    from mtmbench.cli.score import print_scores

    monkeypatch.setenv("COLUMNS", "200")
    frame = pd.DataFrame(
        [
            {"metric": "npmi", "view": "own", "params": AS_TYPED[0], "value": 0.25, "reason": None},
            *(
                {"metric": "nmi", "view": view, "params": "", "value": None, "reason": reason}
                for reason in AS_TYPED
                for view in ("own", None)
            ),
        ]
    )
    print_scores(frame)
    out = capsys.readouterr().out
    assert cells(out) == [["npmi", "own", AS_TYPED[0], "0.2500"]]
    told = [line for line in out.splitlines() if line.startswith("Missing")]
    assert told == [f"Missing: nmi (own), nmi: {reason}" for reason in AS_TYPED]


def test_columns_of_the_corpus_are_chosen_by_name(call: Call, tmp_path: Path) -> None:
    rows = ["doc_id,Document,class"]
    rows += [f"d{i},{'cow barn' if i % 2 else 'boat sail'},c{i % 2}" for i in range(8)]
    (tmp_path / "cols.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "topics.txt").write_text("boat sail\ncow barn\n")
    # θ is given by ids and perfect, so that labels and ids are both read where nmi is 1.
    theta = ["id,0,1"] + [f"d{i},{1 - i % 2},{i % 2}" for i in reversed(range(8))]
    (tmp_path / "theta.csv").write_text("\n".join(theta) + "\n")
    command = ("score", "topics.txt", "--corpus", "cols.csv", "--theta", "theta.csv")
    code, _, err = call(*command)
    assert code == 2
    assert "no column 'text'" in err
    assert "--text" in err
    code, out, err = call(*command, "--text", "Document", "--label", "class", "--id", "doc_id")
    assert code == 0, err
    assert [row[3] for row in cells(out) if row[0] == "nmi"] == ["1.0000", "1.0000"]


@pytest.mark.slow
def test_the_corpus_is_cut_as_the_command_says(call: Call, tmp_path: Path) -> None:
    lines = "".join(json.dumps({"text": f"c++ c# und {i % 2}"}) + "\n" for i in range(6))
    (tmp_path / "code.jsonl").write_text(lines)
    (tmp_path / "topics.txt").write_text("c++ c#\n")

    def unknown(*options: str) -> list[int]:
        code, _, err = call(
            "score", "topics.txt", "--corpus", "code.jsonl", "--json", "s.json", *options
        )
        assert code == 0, err
        rows = json.loads((tmp_path / "s.json").read_text())["scores"]
        return [row["n_out_of_vocabulary"] for row in rows if row["metric"] == "u_mass"]

    assert unknown("--language", "de", "--tokeniser", "whitespace")[0] == 0
    assert unknown()[0] == 2
    code, _, err = call("score", "topics.txt", "--corpus", "code.jsonl", "--tokeniser", "x")
    assert (code, "unknown tokeniser 'x'" in err) == (2, True)


def test_words_that_are_unknown_stand_beside_every_value(call: Call, tmp_path: Path) -> None:
    topics = [["the", "to", "of", "wickett"], ["Police", "court", "", ""], ["qwx", "qwy"]]
    (tmp_path / "topics.json").write_text(json.dumps(topics))
    code, out, err = call("score", "topics.json", "--corpus", "lee", "--json", "scores.json")
    assert code == 0, err
    told = {row[0]: row[4:] for row in cells(out) if row[1] == "own"}
    assert told["c_v"] == told["npmi"] == ["3", "1"]
    assert told["inverted_rbo"] == ["", "0"]
    assert told["diversity"] == ["", ""]
    note = (
        "3 of 8 words unknown (wickett, qwx, qwy); 1 of 3 topics without value; counted with stop "
        "words kept"
    )
    assert f"): {note}" in " ".join(out.split())
    scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
    row = next(row for row in scores if row["metric"] == "c_v" and row["view"] == "own")
    assert (row["n_out_of_vocabulary"], row["n_topics_without_value"]) == (3, 1)
    assert row["note"] == note
    assert next(r for r in scores if r["metric"] == "diversity")["n_out_of_vocabulary"] is None
