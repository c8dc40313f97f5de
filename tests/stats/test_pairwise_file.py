"""``mtmbench rate FILE.csv``, and data frames: what is read, what refused, what written."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mtmbench.core.errors import InputError, NotRateableError, UnknownNameError
from mtmbench.stats.pairwise_file import rate_file, rate_frame, rating_json

SMALL = "a,b,outcome\nx,y,a\nx,y,a\nx,y,tie\ny,x,a\nx,y,b\n"


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8"))
    return path


def packed(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode("utf-8")))
    return path


def test_baseball_as_games_reproduces_agresti(shared_data: Path, tmp_path: Path) -> None:
    lines = ["a,b,outcome"]
    with (shared_data / "battles" / "baseball_agresti.csv").open() as file:
        for game in csv.DictReader(file):
            lines += [f"{game['home']},{game['away']},a"] * int(game["home_wins"])
            lines += [f"{game['home']},{game['away']},b"] * int(game["away_wins"])
    table = rate_file(write(tmp_path / "baseball.csv", "\n".join(lines)))
    written = {row["name"]: row for row in json.loads(rating_json(table))["ratings"]}
    base = written["Baltimore"]["ability"]
    assert {name: round(row["ability"] - base, 4) for name, row in written.items()} == {
        "Baltimore": 0.0,
        "Boston": 1.1077,
        "Cleveland": 0.6839,
        "Detroit": 1.4364,
        "Milwaukee": 1.5814,
        "New York": 1.2476,
        "Toronto": 1.2945,
    }
    # Agresti prints standard errors near 0.3 against Baltimore; the bootstrap is of that size.
    names = [row.name for row in table.rows]
    error = table.difference_error[:, names.index("Baltimore")] / (400 / np.log(10)) / 1.97
    assert 0.28 < error[names.index("Milwaukee")] < 0.42


def test_the_json_has_the_stated_schema_sorted_by_strength(tmp_path: Path) -> None:
    written = json.loads(rating_json(rate_file(write(tmp_path / "f.csv", SMALL))))
    assert set(written) == {"schema", "ratings"}
    assert written["schema"] == 1
    best, last = written["ratings"]
    expected = {"name", "ability", "elo", "lo", "hi", "rank", "wins", "losses", "ties"}
    assert expected <= set(best) <= {*expected, "reason"}
    assert (best["name"], best["wins"], best["losses"], best["ties"]) == ("x", 2, 2, 1)
    assert best["ability"] == -last["ability"] == 0
    assert (best["elo"], last["elo"]) == (1500.0, 1500.0)
    assert "NaN" not in rating_json(rate_file(tmp_path / "f.csv"))


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", SMALL)
    assert rating_json(rate_file(path)) == rating_json(rate_file(path))


def test_cluster_widens_intervals_and_other_columns_are_not_read(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = []
    for document in range(30):
        winner = "a" if random.random() < 0.6 else "b"
        rows += [f"x,y,{winner},d{document},note"] * 4
    text = "\n".join(["a,b,outcome,cluster,remark", *rows])
    clustered = rate_file(write(tmp_path / "c.csv", text))
    flat = rate_file(write(tmp_path / "n.csv", text.replace("cluster", "source")))
    widths = [
        row.hi - row.lo
        for table in (clustered, flat)
        for row in table.rows
        if row.name == "x" and row.hi is not None and row.lo is not None
    ]
    assert widths[0] == pytest.approx(2 * widths[1], rel=0.15)
    assert clustered.n_clusters == 30
    assert flat.n_clusters == 120


def test_a_byte_order_mark_blank_lines_and_spaces_are_harmless(tmp_path: Path) -> None:
    text = "\ufeff" + SMALL.replace("x,y,tie", " x , y , tie \r\n")
    assert rating_json(rate_file(write(tmp_path / "b.csv", text))) != ""
    row = rate_file(tmp_path / "b.csv").rows[0]
    assert (row.name, row.wins, row.ties) == ("x", 2, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,winner\nx,y,a\n", "line 1: no column 'outcome'"),
        ("a,b,outcome,clusters\nx,y,a,1\n", "line 1: unknown column 'clusters'.*'cluster'"),
        ("a,b,a,outcome\nx,y,a,a\n", "line 1: column 'a' occurs twice"),
        ("a,b,outcome\nx,y,a\nx,y,left\n", "line 3: outcome 'left' is not one of"),
        ("a,b,outcome\nx,y,a\nx,y,A\n", "line 3: outcome 'A'"),
        ("a,b,outcome\nx,y\n", "line 2: 2 cells for 3 columns"),
        ("a,b,outcome\nx,x,a\n", "line 2: 'x' is compared with itself"),
        ("a,b,outcome\nx,,a\n", "line 2: column 'b' is empty"),
        ("a,b,outcome,cluster\nx,y,a,\n", "line 2: column 'cluster' is empty"),
        ("a,b,outcome\n", "no comparisons"),
        ("", "line 1: no column"),
        ('a,b,outcome\nx,y,a\nx,"y"z,a\n', "line 3: not CSV"),
    ],
)
def test_bad_files_name_the_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        rate_file(write(tmp_path / "bad.csv", text))


def test_wrong_encoding_and_missing_file(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("a,b,outcome\nx,y,a\nx,é,a\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.csv, line 3: not UTF-8 \(byte 0xe9\)"):
        rate_file(tmp_path / "latin.csv")
    with pytest.raises(InputError, match="cannot read"):
        rate_file(tmp_path / "none.csv")


def test_another_encoding_is_named(tmp_path: Path) -> None:
    for name, content in (("f.csv", SMALL), ("f.jsonl", '{"a": "x", "b": "y", "outcome": "a"}')):
        (tmp_path / name).write_bytes(content.encode("utf-16"))
        with pytest.raises(InputError, match=f"{name} is UTF-16LE, not UTF-8"):
            rate_file(tmp_path / name)


def test_a_gzipped_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"f\.csv\.gz is not a whole gzip file"):
        rate_file(write(tmp_path / "f.csv.gz", SMALL))


def test_blank_lines_may_stand_before_the_header(tmp_path: Path) -> None:
    plain = rate_file(write(tmp_path / "f.csv", SMALL))
    assert rate_file(write(tmp_path / "b.csv", "\n\r\n" + SMALL)).rows == plain.rows
    with pytest.raises(InputError, match="line 3: no column 'outcome'"):
        rate_file(write(tmp_path / "c.csv", "\n\na,b\nx,y\n"))


def test_one_number_written_in_two_ways_is_not_two_names(tmp_path: Path) -> None:
    """A gap in one of its columns makes fractions of pandas's whole numbers."""
    frame = pd.DataFrame({"a": [1, 2, 1, 2], "b": [2, 1, None, 1], "outcome": ["a", "a", "b", "b"]})
    with pytest.raises(InputError, match=r"'1' and '1\.0' are one number written in two ways"):
        rate_frame(frame.dropna())
    text = "a,b,outcome\n3,v3.0,a\nv3.0,3,a\n"
    assert [row.name for row in rate_file(write(tmp_path / "f.csv", text)).rows] == ["3", "v3.0"]


def test_an_undetermined_file_is_refused_naming_who_is_cut_off(tmp_path: Path) -> None:
    path = write(tmp_path / "u.csv", "a,b,outcome\nstar,x,a\nstar,y,a\nx,y,a\ny,x,a\n")
    with pytest.raises(NotRateableError, match=r"\[star\] \(never lost"):
        rate_file(path)


def test_blank_lines_and_quoted_line_ends_change_no_number(tmp_path: Path) -> None:
    """Without clusters the seed of the bootstrap is of the rows, not of the lines they stand in."""
    rows = "".join(f"x,y,{'aab'[i % 3]},r{i}\n" for i in range(20))
    plain = rate_file(write(tmp_path / "p.csv", f"a,b,outcome,remark\n{rows}"))
    text = rows.replace(",r3\n", ',"r\n3"\n').replace(",r7\n", ",r7\n\n\n")
    assert rating_json(rate_file(write(tmp_path / "b.csv", f"a,b,outcome,remark\n{text}"))) == (
        rating_json(plain)
    )


class TestWeights:
    COUNTED = "a,b,outcome,{}\ngpt,llama,a,10\nllama,gpt,a,1\ngpt,llama,a,10\nllama,gpt,a,1\n"

    @pytest.mark.parametrize("name", ["weight", "count"])
    def test_a_row_counts_as_often_as_its_weight_says(self, tmp_path: Path, name: str) -> None:
        table = rate_file(write(tmp_path / "w.csv", self.COUNTED.format(name)))
        gpt, llama = table.rows
        assert (gpt.wins, gpt.losses, llama.wins) == (20, 2, 2)
        assert gpt.ability - llama.ability == pytest.approx(np.log(10))
        assert (table.n_clusters, table.unread) == (4, ())

    def test_a_weight_buys_no_certainty_beyond_its_cluster(self, tmp_path: Path) -> None:
        random = np.random.default_rng(0)
        rows = [f"x,y,{'a' if random.random() < 0.6 else 'b'}" for _ in range(40)]
        heavy = rate_file(
            write(tmp_path / "h.csv", "\n".join(["a,b,outcome,weight", *(f"{r},9" for r in rows)]))
        )
        light = rate_file(write(tmp_path / "l.csv", "\n".join(["a,b,outcome", *rows])))
        widths = [t.rows[0].hi - t.rows[0].lo for t in (heavy, light)]
        assert heavy.rows[0].elo == pytest.approx(light.rows[0].elo)
        assert widths[0] == pytest.approx(widths[1], rel=0.15)
        assert heavy.rows[0].wins == 9 * light.rows[0].wins

    def test_small_weights_scale_nothing_but_the_counts(self, tmp_path: Path) -> None:
        games = ["x,y,a", "x,y,a", "x,y,tie", "y,x,a", "x,y,a"] * 6
        plain = rate_file(write(tmp_path / "p.csv", "\n".join(["a,b,outcome", *games])))
        for weight in ("1e-9", "1e-12"):
            text = "\n".join(["a,b,outcome,weight", *(f"{game},{weight}" for game in games)])
            x, y = rate_file(write(tmp_path / "w.csv", text)).rows
            assert [x.ability, y.ability] == pytest.approx([row.ability for row in plain.rows])
            assert [x.wins, x.losses, x.ties] == pytest.approx(
                [float(weight) * count for count in (18, 6, 6)], rel=1e-9, abs=0
            )

    def test_what_counts_nothing_is_no_comparison(self, tmp_path: Path) -> None:
        text = "a,b,outcome,count\nx,y,a,2\ny,x,a,1\nz,x,a,0\n"
        table = rate_file(write(tmp_path / "z.csv", text))
        assert [(row.name, row.wins) for row in table.rows] == [("x", 2), ("y", 1)]
        assert table.weightless == ("z",)
        with pytest.raises(InputError, match="every comparison has weight 0"):
            rate_file(write(tmp_path / "n.csv", "a,b,outcome,count\nx,y,a,0\n"))

    @pytest.mark.parametrize("ties", ["half", "davidson"])
    @pytest.mark.parametrize("n", [1, 300])
    def test_weights_too_far_apart_to_compute_with_are_no_traceback(
        self, tmp_path: Path, ties: Any, n: int
    ) -> None:
        games = "".join(
            f"m{i},m{i + 1},a,1e12\nm{i + 1},m{i},a,1e-9\nm{i},m{i + 1},tie,1e-9\n"
            for i in range(n)
        )
        path = write(tmp_path / "w.csv", f"a,b,outcome,weight\n{games}")
        with pytest.raises(NotRateableError, match=r"did not converge|no finite maximum"):
            rate_file(path, ties=ties, n_bootstrap=20)

    @pytest.mark.parametrize("value", ["-1", "nan", "inf", "many", "1,5", "0x10", "1_0", "１"])
    def test_a_wrong_weight_is_named_with_its_line(self, tmp_path: Path, value: str) -> None:
        text = f'a,b,outcome,weight\nx,y,a,1\nx,y,b,"{value}"\n'
        with pytest.raises(InputError, match=f"line 3: weight '{value}' is no number from 0"):
            rate_file(write(tmp_path / "w.csv", text))

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            ("a,b,outcome,weight,count", "both weigh the rows; keep one"),
            ("a,b,outcome,Weight,n", "unknown column 'Weight'; did you mean 'weight'"),
            ("a,b,outcome,counts,n", "unknown column 'counts'; did you mean 'count'"),
        ],
    )
    def test_a_weight_in_doubt_is_refused(self, tmp_path: Path, header: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            rate_file(write(tmp_path / "w.csv", f"{header}\nx,y,a,1,2\n"))


IN_PLAIN = {
    "model_a": "a", "model_b": "b", "tie": "tie", "tie (bothbad)": "tie", "both_bad": "tie",
    "tie (inconsistent)": "tie",
}  # fmt: skip


class TestForms:
    BATTLES = (
        ("x", "y", "model_a"), ("y", "z", "model_b"), ("x", "z", "tie"),
        ("z", "x", "tie (bothbad)"), ("y", "x", "model_a"), ("z", "y", "both_bad"),
        ("y", "z", "tie (inconsistent)"),
    )  # fmt: skip

    def objects(self) -> list[dict[str, Any]]:
        return [
            {"question_id": i, "model_a": a, "model_b": b, "winner": winner, "turns": ["…", None]}
            for i, (a, b, winner) in enumerate(self.BATTLES)
        ]

    def test_battles_are_read_as_arenas_publish_them(self, tmp_path: Path) -> None:
        plain = "".join(f"{a},{b},{IN_PLAIN[w]}\n" for a, b, w in self.BATTLES)
        expected = rate_file(write(tmp_path / "p.csv", f"a,b,outcome\n{plain}"))
        assert [(row.wins, row.ties) for row in expected.rows] == [(1, 2), (1, 2), (1, 4)]
        text = "".join(f"{i},{a},{b},{w},u\n" for i, (a, b, w) in enumerate(self.BATTLES))
        arena = write(tmp_path / "a.csv", f"question_id,model_a,model_b,winner,judge\n{text}")
        lines = "".join(json.dumps(item) + "\n\n" for item in self.objects())
        found = [
            rate_file(arena),
            rate_file(write(tmp_path / "a.jsonl", "\ufeff" + lines)),
            rate_file(write(tmp_path / "lines.json", lines)),
            rate_file(write(tmp_path / "lines.ndjson", lines)),
            rate_file(packed(tmp_path / "a.csv.gz", arena.read_text())),
            rate_file(packed(tmp_path / "a.jsonl.gz", lines)),
            rate_file(write(tmp_path / "a.json", json.dumps(self.objects(), indent=1))),
            rate_frame(pd.DataFrame(self.objects())),
        ]
        assert [table.rows for table in found] == [expected.rows] * 8
        assert [table.unread for table in found] == [
            ("question_id", "judge"), *[("question_id", "turns")] * 3, ("question_id", "judge"),
            *[("question_id", "turns")] * 3,
        ]  # fmt: skip

    def test_json_holds_the_columns_of_csv(self, tmp_path: Path) -> None:
        rows = [("x", 7, "a", "d1", 2), (7, "x", "a", "d1", 1), ("x", 7, "tie", "d2", 0.5)]
        names = ("a", "b", "outcome", "cluster", "weight")
        text = "\n".join(",".join(map(str, row)) for row in (names, *rows))
        lines = "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows)
        csv_table = rate_file(write(tmp_path / "f.csv", text))
        json_table = rate_file(write(tmp_path / "f.jsonl", lines))
        assert rating_json(json_table) == rating_json(csv_table)
        assert (json_table.n_clusters, csv_table.rows[0].wins) == (2, 1)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('{"a": "x", "b": "y"}', r"f.jsonl, line 1: no column 'outcome'"),
            ('{"model_a": "x", "model_b": "y"}', r"line 1: no column 'winner'"),
            ('{"a": "x", "b": "y", "outcome": "a"}\n[1]', r"line 2 is no JSON object"),
            ('{"a": "x", "b": "y", "outcome": "a"}\n{"a"', r"line 2 is not JSON"),
            ('{"a": ["x"], "b": "y", "outcome": "a"}', r"line 1: 'a' is \['x'\], neither text"),
            ('{"a": true, "b": "y", "outcome": "a"}', r"line 1: 'a' is True, neither text"),
            ('{"a": null, "b": "y", "outcome": "a"}', r"line 1: column 'a' is empty"),
            ('[{"a": "x", "b": "y", "outcome": "c"}]', r"item 1: outcome 'c' is not one of"),
            ("[" * 100_000, r"f.jsonl: nested too deeply"),
            (
                '{\n "a": "x", "b": "y", "outcome": "a"}',
                r"line 1 is not JSON; an object stands in one",
            ),
            ('{"a": NaN, "b": "y", "outcome": "a"}', r"line 1: column 'a' is empty"),
            (
                '{"a": "x", "b": "y", "outcome": "a", "cluster": NaN}',
                r"column 'cluster' is empty",
            ),
            (
                '{"a": "x\\ud83d", "b": "y", "outcome": "a"}',
                r"line 1: a 'x\\ud83d' has half a char",
            ),
            ("[]", r"has no comparisons"),
            ("", r"has no comparisons"),
            (
                '{"a": "x", "b": "y", "outcome": "a", "weight": 2}\n'
                '{"a": "x", "b": "y", "outcome": "b"}',
                r"line 2: either every comparison has 'weight', or none",
            ),
        ],
    )
    def test_wrong_json_is_named(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            rate_file(write(tmp_path / "f.jsonl", text))

    def test_an_unknown_winner_is_named(self, tmp_path: Path) -> None:
        text = "model_a,model_b,winner\nx,y,model_a\nx,y,x\n"
        with pytest.raises(InputError, match=r"line 3: winner 'x' is not one of 'model_a', "):
            rate_file(write(tmp_path / "f.csv", text))

    def test_columns_that_are_not_read_may_hold_whole_conversations(self, tmp_path: Path) -> None:
        rows = f"x,y,a,{'word ' * 40_000}\ny,x,a,\n"
        table = rate_file(write(tmp_path / "f.csv", f"a,b,outcome,country\n{rows}"))
        assert table.unread == ("country",)
        assert json.loads(rating_json(table))["unread"] == ["country"]

    @pytest.mark.parametrize("mark", [";", "\t"])
    def test_cells_that_are_parted_otherwise_are_said_to_be(
        self, tmp_path: Path, mark: str
    ) -> None:
        text = "a,b,outcome\nx,y,a\n".replace(",", mark)
        with pytest.raises(InputError, match="cells are parted by commas, not by "):
            rate_file(write(tmp_path / "f.csv", text))


class TestFrames:
    @pytest.mark.parametrize("clusters", [False, True])
    def test_a_frame_has_the_table_of_its_file(self, tmp_path: Path, clusters: bool) -> None:
        random = np.random.default_rng(1)
        frame = pd.DataFrame(
            {
                "remark": [None, "b"] * 40,
                "outcome": random.choice(["a", "b", "tie"], size=80),
                "b": random.choice(["y", "z"], size=80),
                "a": random.choice(["x", 7], size=80),
            },
            index=[f"i{n}" for n in range(80)],
        )
        if clusters:
            frame["cluster"] = random.integers(0, 12, size=80)
        frame.to_csv(tmp_path / "f.csv", index=False)
        for ties in ("half", "davidson"):
            options: dict[str, Any] = {"ties": ties, "confidence": 0.9, "n_bootstrap": 200}
            given = rate_frame(frame, **options)
            read = rate_file(tmp_path / "f.csv", **options)
            assert given.rows == read.rows
            assert (given.n_clusters, given.confidence) == (12 if clusters else 80, 0.9)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"outcome": ["a", "left"]}, "row 'r1' of the data frame: outcome 'left' is not one"),
            ({"outcome": ["a", None]}, "row 'r1' of the data frame: outcome '' is not one"),
            ({"a": ["x", "y"]}, "row 'r1' of the data frame: 'y' is compared with itself"),
            ({"a": ["x", float("nan")]}, "row 'r1' of the data frame: column 'a' is empty"),
            ({"cluster": [1, pd.NA]}, "row 'r1' of the data frame: column 'cluster' is empty"),
            ({"clusters": [1, 2]}, "the data frame: unknown column 'clusters'; did you mean"),
        ],
    )
    def test_wrong_values_are_named_with_their_row(
        self, changes: dict[str, Any], message: str
    ) -> None:
        good = {"a": ["x", "x"], "b": ["y", "y"], "outcome": ["a", "b"]}
        with pytest.raises(InputError, match=message):
            rate_frame(pd.DataFrame({**good, **changes}, index=["r0", "r1"]))

    def test_missing_and_doubled_columns_and_no_rows(self) -> None:
        frame = pd.DataFrame({"a": ["x"], "b": ["y"], "outcome": ["a"]})
        with pytest.raises(InputError, match="the data frame: no column 'outcome'"):
            rate_frame(frame[["a", "b"]])
        with pytest.raises(InputError, match="the data frame: column 'a' occurs twice"):
            rate_frame(frame[["a", "a", "b", "outcome"]])
        with pytest.raises(InputError, match="the data frame has no comparisons"):
            rate_frame(frame.iloc[:0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"confidence": 95}, "confidence must lie between 0 and 1, not 95"),
        ({"n_bootstrap": 1}, "there must be at least 2 resamples, not 1"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, settings: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        rate_file(write(tmp_path / "f.csv", SMALL), **settings)


def test_an_unknown_model_of_ties_is_no_model(tmp_path: Path) -> None:
    ties: Any = "davison"
    with pytest.raises(UnknownNameError, match="model of ties 'davison'; did you mean 'davidson'"):
        rate_file(write(tmp_path / "f.csv", SMALL), ties=ties)


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ("x,y,a,d\nx,x,a,d\nx,y,won,d\n", "line 3: 'x' is compared with itself"),
        ("x,y,won,d\nx,y,a,\n", "line 2: outcome 'won' is not one of"),
        ("x,y,a,\nx,y,won,d\n", "line 2: column 'cluster' is empty"),
        ("x,y,won,d\nx,y\n", "line 2: outcome 'won' is not one of"),
    ],
)
def test_of_several_wrong_rows_the_first_is_named(tmp_path: Path, rows: str, wrong: str) -> None:
    file = write(tmp_path / "wrong.csv", f"a,b,outcome,cluster\n{rows}")
    with pytest.raises(InputError, match=wrong):
        rate_file(file)


def test_rows_beyond_the_first_batch_count_and_are_named(tmp_path: Path) -> None:
    """Rows are looked at some thousands at a time; those like earlier ones are not checked anew."""
    many = "x,y,a\ny,x,a\n\nx,y,tie\n" * 2000
    table = rate_file(write(tmp_path / "many.csv", f"a,b,outcome\n{many}"), n_bootstrap=2)
    assert [(row.wins, row.losses, row.ties) for row in table.rows] == [(2000, 2000, 2000)] * 2
    with pytest.raises(InputError, match="line 8002: outcome 'x' is not one of"):
        rate_file(write(tmp_path / "wrong.csv", f"a,b,outcome\n{many}x,y,x\n"))


def test_rows_of_another_form_are_checked_though_they_say_the_same(tmp_path: Path) -> None:
    rows = [
        {"a": "x", "b": "y", "outcome": "a"}, {"a": "y", "b": "x", "outcome": "a"},
        {"model_a": "x", "model_b": "y", "winner": "a"},
    ]  # fmt: skip
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    with pytest.raises(InputError, match="line 3"):
        rate_file(write(tmp_path / "mixed.jsonl", lines))
