from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import tomli_w

from mtmbench.boards.compare import Change, Comparison, Tolerances, compare_files
from mtmbench.cli.app import main
from mtmbench.core.errors import InputError, UnknownNameError

TOLERANCES: dict[str, Any] = {
    "default": {"absolute": 0.05, "relative": 0.1},
    "elo": {"absolute": 30.0},
    "metrics": {"perplexity": {"absolute": 0.0}},
}


def _metric(name: str, model: str, value: float | None, **more: Any) -> dict[str, Any]:
    return {
        "model": model, "setting": None, "corpus": "lee", "k": 10, "view": None, "metric": name,
        "params": {}, "value": value, "lo": None, "hi": None, "n_seeds": 2,
        "reason": None if value is not None else "no labels", **more,
    }  # fmt: skip


def _rating(
    model: str, elo: float | None, half: float | None = 20.0, **more: Any
) -> dict[str, Any]:
    ends = (None, None) if elo is None or half is None else (elo - half, elo + half)
    return {
        "judge": "embedding", "model": model, "setting": None, "corpus": "lee", "k": 10,
        "representation": "items", "elo": elo, "lo": ends[0], "hi": ends[1], "rank": 1, "wins": 1,
        "losses": 1, "ties": 1, "unparsed": 0, "reason": None, **more,
    }  # fmt: skip


@pytest.fixture
def board() -> dict[str, Any]:
    return {
        "schema": 1,
        "suite": "hand",
        "corpora": [{"name": "lee", "revision": "r1", "n_docs": 300}],
        "judges": [{"id": "embedding", "is_llm": False, "version": 1, "prompt": None}],
        "ratings": [_rating("lda", 1460.0), _rating("mlda", 1540.0)],
        "metrics": [
            _metric("nmi", "lda", 0.4),
            _metric("nmi", "mlda", 0.5, setting="default"),
            _metric("nmi", "mlda", None, setting="paper"),
            _metric("perplexity", "lda", 1000.0),
            _metric("npmi", "lda", 0.1, view="own", params={"n": 10}),
            _metric("npmi", "lda", 0.2, view="projected", params={"n": 10}),
        ],
        "metric_versions": {
            "nmi": {"version": 1, "higher_is_better": True},
            "perplexity": {"version": 1, "higher_is_better": False},
            "npmi": {"version": 1, "higher_is_better": True},
        },
    }


def compare_boards(
    old: dict[str, Any], new: dict[str, Any], tolerances: dict[str, Any]
) -> Comparison:
    """Compares boards as the command does, from files."""
    with TemporaryDirectory() as name:
        paths = [Path(name) / file for file in ("old.json", "new.json", "tolerances.toml")]
        paths[0].write_text(json.dumps(old), encoding="utf-8")
        paths[1].write_text(json.dumps(new), encoding="utf-8")
        paths[2].write_text(tomli_w.dumps(tolerances), encoding="utf-8")
        return compare_files(*paths)


def _against(board: dict[str, Any], change: Any) -> Comparison:
    """Compares the board with a copy that ``change`` has altered."""
    other = copy.deepcopy(board)
    change(other)
    return compare_boards(board, other, TOLERANCES)


def _only(comparison: Comparison) -> Change:
    assert len(comparison.rows) == 1
    return comparison.rows[0]


def test_equal_boards_are_fine(board: dict[str, Any]) -> None:
    comparison = _against(board, lambda other: None)
    assert comparison == Comparison((), 8)
    assert comparison.exit_code == 0
    assert comparison.table() == "8 rows compared: nothing moved"


@pytest.mark.parametrize(
    ("row", "value", "outcome", "code"),
    [
        # 0.4 may move by 0.05, the larger of 0.05 and a tenth of 0.4.
        (0, 0.36, "moved", 0),
        (0, 0.35, "moved", 0),
        (0, 0.3499, "regression", 1),
        (0, 0.45, "moved", 0),
        (0, 0.4501, "improvement", 0),
        # 1000 may move by 100, and less is better.
        (3, 1100.0, "moved", 0),
        (3, 1100.1, "regression", 1),
        (3, 899.9, "improvement", 0),
    ],
)
def test_metrics_move_by_their_own_tolerance_and_direction(
    board: dict[str, Any], row: int, value: float, outcome: str, code: int
) -> None:
    old = board["metrics"][row]["value"]
    comparison = _against(board, lambda other: other["metrics"][row].update(value=value))
    change = _only(comparison)
    assert (change.outcome, change.old, change.new) == (outcome, old, value)
    assert comparison.exit_code == code


def test_views_params_and_settings_are_rows_of_their_own(board: dict[str, Any]) -> None:
    change = _only(_against(board, lambda other: other["metrics"][5].update(value=0.0)))
    assert change.what == 'npmi [projected] {"n":10} of lda on lee, K = 10'
    change = _only(_against(board, lambda other: other["metrics"][1].update(value=0.0)))
    assert change.what == "nmi of mlda:default on lee, K = 10"


@pytest.mark.parametrize(
    ("elo", "half", "outcome", "code"),
    [
        (1520.0, 20.0, "moved", 0),
        (1505.0, 20.0, "moved", 0),  # beyond 30 points, but 1485–1525 overlaps 1520–1560
        (1490.0, 20.0, "regression", 1),
        (1515.0, 1.0, "moved", 0),  # intervals apart, but within 30 points
        (1490.0, None, "regression", 1),  # no interval: the tolerance alone decides
        (1590.0, 20.0, "improvement", 0),
    ],
)
def test_an_elo_falls_beyond_tolerance_and_intervals(
    board: dict[str, Any], elo: float, half: float | None, outcome: str, code: int
) -> None:
    comparison = _against(
        board, lambda other: other["ratings"][1].update(_rating("mlda", elo, half))
    )
    change = _only(comparison)
    assert change.outcome == outcome
    assert change.what == "Elo by embedding over items of mlda on lee, K = 10"
    assert comparison.exit_code == code


def test_a_row_that_vanished_is_a_regression(board: dict[str, Any]) -> None:
    for rows in ("metrics", "ratings"):
        comparison = _against(board, lambda other, rows=rows: other[rows].pop(0))
        assert comparison.exit_code == 1
        change = next(row for row in comparison.rows if row.outcome == "regression")
        assert (change.new, change.note) == (None, "the row vanished")


def test_a_value_that_became_null_is_a_regression_with_its_reason(board: dict[str, Any]) -> None:
    lost = {"value": None, "reason": "the fit failed"}
    comparison = _against(board, lambda other: other["metrics"][0].update(lost))
    assert _only(comparison).note == "lost its value: the fit failed"
    assert comparison.exit_code == 1


def test_what_is_new_is_listed_and_fine(board: dict[str, Any]) -> None:
    def change(other: dict[str, Any]) -> None:
        other["metrics"][2].update(value=0.3, reason=None)
        other["metrics"].append(_metric("nmi", "etm", 0.1))

    comparison = _against(board, change)
    assert [(row.outcome, row.what, row.new) for row in comparison.rows] == [
        ("new", "nmi of etm on lee, K = 10", 0.1),
        ("new", "nmi of mlda:paper on lee, K = 10", 0.3),
    ]
    assert comparison.exit_code == 0


def test_other_competitors_move_every_elo_and_that_is_taken_out(board: dict[str, Any]) -> None:
    # A strong newcomer pushes both down by 80 points: their difference is what it was.
    ratings = [_rating("lda", 1380.0), _rating("mlda", 1460.0), _rating("best", 1660.0)]
    comparison = _against(board, lambda other: other.update(ratings=ratings))
    assert comparison.exit_code == 0
    assert [row.outcome for row in comparison.rows] == ["new"]
    # The same with mlda falling by 60 against lda: each is 30 from where it was.
    ratings[1] = _rating("mlda", 1400.0, 5.0)
    comparison = _against(board, lambda other: other.update(ratings=ratings))
    moved = {row.what.split()[6]: row.new for row in comparison.rows if row.outcome == "moved"}
    assert moved == {"lda": pytest.approx(1490.0), "mlda": pytest.approx(1510.0)}
    assert "moved by +110.0, as there are other competitors" in comparison.table()


def _revision(other: dict[str, Any]) -> None:
    other["corpora"][0]["revision"] = "r2"


def _version(other: dict[str, Any]) -> None:
    other["metric_versions"]["nmi"]["version"] = 2


def _other_judge(other: dict[str, Any]) -> None:
    other["judges"][0]["id"] = "gpt"
    for row in other["ratings"]:
        row["judge"] = "gpt"


def _other_prompt(other: dict[str, Any]) -> None:
    other["judges"][0]["prompt"] = "abc"


def _no_judge(other: dict[str, Any]) -> None:
    other["judges"], other["ratings"] = [], []


def _other_corpus(other: dict[str, Any]) -> None:
    other["corpora"][0]["name"] = "20ng"
    for row in (*other["ratings"], *other["metrics"]):
        row["corpus"] = "20ng"


@pytest.mark.parametrize(
    ("change", "what", "note"),
    [
        (_revision, "corpus lee", "revision r1, now r2"),
        (_version, "metric nmi", "version 1, now 2"),
        (_other_judge, "judge embedding", "the new board is judged by gpt"),
        (_other_prompt, "judge embedding", 'prompt null, now "abc"'),
        (_no_judge, "judge embedding", "the new board is judged by no judge"),
        (_other_corpus, "corpus lee", "the new board is about 20ng"),
    ],
)
def test_what_is_not_comparable_is_named(
    board: dict[str, Any], change: Any, what: str, note: str
) -> None:
    comparison = _against(board, change)
    first = comparison.rows[0]
    assert (first.outcome, first.what, first.note) == ("not comparable", what, note)
    assert comparison.exit_code == 3
    assert f"not comparable  {what}" in comparison.table()


def test_the_rest_is_compared_all_the_same(board: dict[str, Any]) -> None:
    def change(other: dict[str, Any]) -> None:
        _version(other)
        other["metrics"][0]["value"] = 0.0
        other["metrics"][3]["value"] = 2000.0

    comparison = _against(board, change)
    assert [row.outcome for row in comparison.rows] == ["not comparable", "regression"]
    assert comparison.rows[1].what.startswith("perplexity")
    assert comparison.exit_code == 3
    # 8 rows less the three of nmi.
    assert comparison.n_compared == 5


def test_other_documents_words_are_another_display(board: dict[str, Any]) -> None:
    for name in ("lda", "mlda"):
        board["ratings"].append(_rating(name, 1500.0, representation="projected"))

    def cross(other: dict[str, Any]) -> None:
        other["judges"][0]["projected"] = "crossed"
        for row in other["ratings"][2:]:
            row["elo"] += 300
        other["ratings"][0] = _rating("lda", 1260.0)

    comparison = _against(board, cross)
    (apart,) = (row for row in comparison.rows if row.outcome == "not comparable")
    assert apart.note == (
        "projected words of all documents, now of the other half of the documents"
    )
    # Top items are what they were.
    assert [row.what for row in comparison.rows if row.outcome == "regression"] == [
        "Elo by embedding over items of lda on lee, K = 10"
    ]
    assert not [row for row in comparison.rows if "over projected" in row.what]
    del board["ratings"][2:]
    assert not [row for row in _against(board, cross).rows if row.outcome == "not comparable"]
    board["judges"][0]["client"] = "lexical"
    (apart,) = _against(board, cross).rows
    assert apart.what == "judge embedding"


def test_pooled_ratings_need_every_corpus_to_be_the_same(board: dict[str, Any]) -> None:
    board["corpora"].append({"name": "wiki", "revision": "w1"})
    board["ratings"].append(_rating("lda", 1500.0, corpus="all"))

    def change(other: dict[str, Any]) -> None:
        other["corpora"][1]["revision"] = "w2"
        other["ratings"][-1]["elo"] = 1000.0

    assert [row.what for row in _against(board, change).rows] == ["corpus wiki"]

    def widen(other: dict[str, Any]) -> None:
        other["corpora"].append({"name": "20ng", "revision": "n1"})
        other["ratings"][-1]["elo"] = 1000.0

    comparison = _against(board, widen)
    assert _only(comparison).note == "pooled over lee, wiki, now over 20ng, lee, wiki"
    assert comparison.exit_code == 3


def test_boards_with_the_required_keys_alone_compare(board: dict[str, Any]) -> None:
    for key in ("corpora", "metric_versions"):
        del board[key]
    board["metrics"].append(_metric("of_a_plugin", "lda", 1.0))
    # The direction of perplexity comes from the metric itself.
    comparison = _against(board, lambda other: other["metrics"][3].update(value=2000.0))
    assert (comparison.exit_code, _only(comparison).outcome) == (1, "regression")
    comparison = _against(board, lambda other: other["metrics"][3].update(value=500.0))
    assert (comparison.exit_code, _only(comparison).outcome) == (0, "improvement")
    # Where nobody knows the direction, any move counts.
    comparison = _against(board, lambda other: other["metrics"][-1].update(value=2.0))
    assert (comparison.exit_code, _only(comparison).outcome) == (1, "regression")


def test_k_by_labels_and_by_number_are_different_rows(board: dict[str, Any]) -> None:
    board["metrics"] = [
        _metric("nmi", "lda", 0.4, k=20, k_spec=20),
        _metric("nmi", "lda", 0.5, k=20, k_spec="labels"),
    ]
    change = _only(_against(board, lambda other: other["metrics"][1].update(value=0.1)))
    assert change.what == "nmi of lda on lee, K = labels"
    del board["metrics"][1]["k_spec"]
    with pytest.raises(InputError, match="two rows are about nmi of lda on lee, K = 20"):
        _against(board, lambda other: None)


@pytest.mark.parametrize(
    ("tolerances", "message"),
    [
        ({"metrics": {"nmii": {"absolute": 1}}}, "did you mean 'nmi'"),
        ({"defaults": {}}, "did you mean 'default'"),
        ({"models": {"bertopics": {"times": 2}}}, "did you mean 'bertopic'"),
        ({"default": {"absolut": 1}}, "did you mean 'absolute'"),
        ({"default": {"absolute": -1}}, "greater than or equal to 0"),
        ({"elo": {"relative": 0.1}}, "unknown key 'elo.relative'"),
    ],
)
def test_wrong_tolerances_are_named(
    board: dict[str, Any], tolerances: dict[str, Any], message: str
) -> None:
    with pytest.raises((InputError, UnknownNameError), match=message):
        compare_boards(board, board, tolerances)


def test_exceptions_inherit_what_they_leave_out() -> None:
    checked = Tolerances.model_validate(TOLERANCES)
    assert checked.allowed("perplexity", -1000.0) == 100.0
    assert checked.allowed("nmi", 0.1) == 0.05
    assert Tolerances().allowed("nmi", 0.1) == 0.0


def test_a_model_may_be_allowed_more() -> None:
    checked = Tolerances.model_validate({**TOLERANCES, "models": {"bertopic": {"times": 3}}})
    assert checked.allowed("nmi", 0.1, "bertopic") == pytest.approx(0.15)
    assert checked.allowed("nmi", 0.1, "lda") == 0.05


def test_a_models_tolerance_is_for_its_own_rows(board: dict[str, Any]) -> None:
    row = board["metrics"][0]
    moved = json.loads(json.dumps(board))
    moved["metrics"][0]["value"] -= 0.2
    tight = {"default": {"absolute": 0.1}}
    assert compare_boards(board, moved, tight).exit_code == 1
    other = "mlda" if row["model"] != "mlda" else "lda"
    for model, expected in ((row["model"], 0), (other, 1)):
        wider = {**tight, "models": {model: {"times": 3}}}
        assert compare_boards(board, moved, wider).exit_code == expected


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda b: b.pop("ratings"), "lacks a list of judges, ratings or metrics"),
        (lambda b: b.update(schema=99), "schema 99; this mtmbench reads up to 1"),
        (lambda b: b.pop("schema"), "schema None"),
        (lambda b: b["metrics"][0].pop("corpus"), "KeyError: 'corpus'"),
        (lambda b: b["metrics"][0].pop("value"), "no 'value'"),
        (lambda b: b["ratings"][0].update(elo="high"), "elo must be a number or null, not 'high'"),
        (lambda b: b["metrics"][0].update(value=float("nan")), "value must be a number or null"),
        (lambda b: b["judges"].append("gpt"), "TypeError"),
    ],
)
def test_what_is_not_a_board_is_named(
    board: dict[str, Any], tmp_path: Path, spoil: Any, message: str
) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(board), encoding="utf-8")
    spoil(board)
    bad.write_text(json.dumps(board), encoding="utf-8")
    for pair in ((good, bad), (bad, good)):
        with pytest.raises(InputError, match=message) as caught:
            compare_files(*pair)
        assert "bad.json" in str(caught.value)


def test_files_and_folders(board: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "board.json").write_text(json.dumps(board), encoding="utf-8")
    text = tmp_path / "notes.txt"
    text.write_text("not JSON", encoding="utf-8")
    # Without a tolerances file the one of baselines/expected applies.
    assert compare_files(folder, folder / "board.json").exit_code == 0
    with pytest.raises(InputError, match=r"notes\.txt is not a board"):
        compare_files(folder, text)
    with pytest.raises(InputError, match=r"cannot read .*none\.json: No such file"):
        compare_files(folder, tmp_path / "none.json")
    with pytest.raises(InputError, match=r"notes\.txt is not valid TOML"):
        compare_files(folder, folder, text)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda other: None, 0),
        (lambda other: other["metrics"][0].update(value=0.99), 0),
        (lambda other: other["metrics"][0].update(value=0.0), 1),
        (_revision, 3),
        (lambda other: other.pop("metrics"), 2),
    ],
)
def test_exit_codes_of_the_command(
    board: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: Any,
    code: int,
) -> None:
    other = copy.deepcopy(board)
    change(other)
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, content in zip(paths, (board, other), strict=True):
        path.write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["mtmbench", "compare", *map(str, paths)])
    with pytest.raises(SystemExit) as left:
        main()
    assert (left.value.code or 0) == code
    said = capsys.readouterr()
    assert ("rows compared" in said.out) == (code != 2)
    assert ("new.json is not a board" in said.err) == (code == 2)
