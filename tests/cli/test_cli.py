"""The command line: every command run as a user would, in this process for speed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mtmbench.cli.app import main

Call = Callable[..., tuple[int, str, str]]
HEAVY = ("torch", "sae_lens", "bertopic", "sklearn", "pandas", "transformers", "gensim", "numba")


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Call:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mtmbench", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        code = stop.value.code
        return (code if isinstance(code, int) else 0), out, err

    return run


def test_help_is_light() -> None:
    script = (
        "import sys, resource\n"
        "sys.argv = ['mtmbench', '--help']\n"
        "from mtmbench.cli.app import main\n"
        "try:\n    main()\n"
        "except SystemExit as stop:\n    assert stop.code in (0, None), stop.code\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "usage = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print('CPU', usage.ru_utime + usage.ru_stime, 'LOADED', loaded)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1].split()
    assert last[2:] == ["LOADED", "[]"]
    assert float(last[1]) < 0.5


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("models", ["lda", "etm", "bertopic", "mlda", "metm", "mbertopic", "external"]),
        ("judges", ["embedding", "lexical"]),
        ("metrics", ["npmi", "c_v", "nmi", "stability"]),
        ("corpora", ["lee", "gensim-wiki", "20ng", "bills"]),
        ("suites", ["quick", "labelled"]),
        ("features", ["minilm"]),
    ],
)
def test_list(call: Call, what: str, expected: list[str]) -> None:
    code, out, _ = call("list", what)
    assert code == 0
    first_column = {line.split("│")[1].strip() for line in out.splitlines() if "│" in line}
    assert set(expected) <= first_column


def test_unknown_names_come_with_the_nearest(call: Call) -> None:
    code, _, err = call("plan", "quik")
    assert code == 2
    assert "did you mean 'quick'" in err
    code, _, err = call("plan", "quick", "--models", "mlad")
    assert code == 2
    assert "did you mean 'mlda'" in err
    code, _, err = call("plan", "quick", "--set", "judging.judges=['embeding']")
    assert code == 2
    assert "did you mean 'embedding'" in err


def test_plan_counts_the_calls_of_quick(call: Call) -> None:
    code, out, _ = call("plan", "quick", "--set", "corpora=['lee']")
    assert code == 0
    # 9 competitors make 36 pairs over 300 documents, and 18 controls over 50: refits and other
    # documents' topics. A proxy's one call serves both orders.
    row = next(line for line in out.splitlines() if "embedding" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[:5] == ["embedding", "matches", "54", "11700", "at most 11700"]


def test_rate_prints_and_writes(call: Call, tmp_path: Path) -> None:
    rows = ["a,b,outcome"] + ["x,y,a"] * 3 + ["x,y,b"]
    (tmp_path / "games.csv").write_text("\n".join(rows) + "\n")
    code, out, _ = call("rate", "games.csv", "--json", "ratings.json")
    assert code == 0
    data = json.loads((tmp_path / "ratings.json").read_text())
    ability = {row["name"]: row["ability"] for row in data["ratings"]}
    # Two players: the difference is the log odds of the win rate.
    assert ability["x"] - ability["y"] == pytest.approx(np.log(3), abs=1e-3)
    assert sum(ability.values()) == pytest.approx(0, abs=1e-6)
    assert "x" in out


def test_rate_names_the_bad_line(call: Call, tmp_path: Path) -> None:
    (tmp_path / "games.csv").write_text("a,b,outcome\nx,y,a\nx,y,win\n")
    code, _, err = call("rate", "games.csv")
    assert code == 2
    assert "games.csv" in err
    assert "win" in err
    assert "3" in err


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


def test_import_makes_a_card_that_plays(call: Call, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    theta = rng.dirichlet(np.ones(4), size=300)
    beta = rng.dirichlet(np.ones(6), size=4)
    words = np.array(["australia", "minister", "test", "police", "sydney", "south"])
    np.savez(tmp_path / "mine.npz", doc_topic=theta, topic_item=beta, items=words)
    code, out, err = call("import", "mine.npz", "--corpus", "lee", "--name", "mine")
    assert code == 0, err
    assert "4 topics over 300 documents" in out
    code, out, err = call("plan", "quick", "--set", "corpora=['lee']", "--models",
                          "lda,imported/mine.toml")  # fmt: skip
    assert code == 0, err


def test_import_takes_names_and_ids_from_files(call: Call, tmp_path: Path) -> None:
    from mtmbench.core.topic_result import TopicResult
    from mtmbench.corpora.load import load_corpus

    ids = load_corpus("lee").doc_ids
    theta = np.zeros((300, 2))
    theta[np.arange(300), np.arange(300) % 2] = 1
    np.savez(tmp_path / "bare.npz", doc_topic=theta[::-1], topic_item=np.eye(2))
    (tmp_path / "words.txt").write_text("police\ncricket\n")
    (tmp_path / "order.txt").write_text("\n".join(reversed(ids)) + "\n")
    code, _, err = call("import", "bare.npz", "--corpus", "lee", "--name", "bare",
                        "--items", "words.txt", "--doc-ids", "order.txt")  # fmt: skip
    assert code == 0, err
    result = TopicResult.load(tmp_path / "imported" / "bare.safetensors")
    assert result.items.ids == ("police", "cricket")
    np.testing.assert_array_equal(result.doc_topic, theta)


def test_import_refuses_the_wrong_corpus(call: Call, tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", doc_topic=np.ones((7, 1)), topic_item=np.ones((1, 1)),
             items=np.array(["word"]))  # fmt: skip
    code, _, err = call("import", "mine.npz", "--corpus", "lee", "--name", "mine")
    assert code == 2
    assert "7" in err
    assert "300" in err


def test_doctor_says_what_is_missing_and_why(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MTMBENCH_DATA", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, out, _ = call("doctor")
    assert code == 0
    lee = next(line for line in out.splitlines() if "│ lee" in line)
    assert "300 documents" in lee
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    agnews = next(line for line in out.splitlines() if "│ agnews" in line)
    assert "│ no" in agnews
