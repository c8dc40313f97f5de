"""The board's site: sentences follow from numbers, topics match, nothing is lost or left loose."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.benchmarks import load_benchmark
from support.page_checker import parse
from support.site import unpacked

from mtmbench.boards import about_judges, notes
from mtmbench.boards.cells import BoardRecords
from mtmbench.boards.site.overview import headline, rating_charts
from mtmbench.boards.site.page import folded, left_out, site_files
from mtmbench.boards.site.parts import Part, part_files, run_parts, script_json, write_run_parts
from mtmbench.boards.site.tables import short_k
from mtmbench.boards.site.topics import matched_pairs, overlaps, topic_map
from mtmbench.boards.tables import build_board
from mtmbench.boards.view import BoardView
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError
from mtmbench.core.records import Record
from mtmbench.core.specs import BY_CORPUS, capped
from mtmbench.core.types import Corpus
from mtmbench.corpora.licences import why_not_shown

Make = Callable[..., tuple[Suite, list[Record]]]
HOSTILE = "</script><!--<script>\u2028\u2029'\"\\ \ud800 &amp; ${x} `"


def test_parts_are_data_whatever_they_hold() -> None:
    content = {HOSTILE: [HOSTILE, 1.5, None]}
    (text,) = part_files([Part("topics", {}, content)]).texts.values()
    assert unpacked(text) == content
    text.encode("utf-8")
    assert not set("<>&\u2028\u2029\n") & set(text.removesuffix("\n"))
    assert not set("<>&\u2028\u2029\n") & set(script_json(content))


def test_parts_that_weigh_less_are_kept_where_there_is_room_for_some() -> None:
    parts = [Part("topics", {"n": i}, "x" * 100, weighs) for i, weighs in enumerate((2, 0, 1))]
    size = len(next(iter(part_files(parts).texts.values())))
    files = part_files(parts, room=2 * size)
    assert [part["n"] for part in files.listed] == [1, 2]
    assert list(files.texts) == ["site/topics-1.js", "site/topics-2.js"]
    assert files.left_out == [{"kind": "topics", "n": 0}]
    assert files.size == part_files(parts).size == 3 * size


def test_a_runs_parts_are_found_again_and_no_others(tmp_path: Path) -> None:
    assert run_parts(tmp_path) is None
    write_run_parts(tmp_path, [Part("texts", {"corpus": "lee"}, {"1": HOSTILE})])
    assert run_parts(tmp_path) == [{"kind": "texts", "file": "site/texts-0.js", "corpus": "lee"}]
    assert unpacked((tmp_path / "site" / "texts-0.js").read_text("utf-8")) == {"1": HOSTILE}
    write_run_parts(tmp_path, [])
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["run.json"]
    listed, part = tmp_path / "site" / "run.json", tmp_path / "site" / "texts-0.js"
    for name in ("https://x/y.js", "texts-0.js", "site/../texts-0.js", "site/topics-0.js"):
        listed.write_text(json.dumps([{"kind": "texts", "file": name}]))
        with pytest.raises(InputError, match="is no part"):
            run_parts(tmp_path)
    listed.write_text('[{"kind": "texts", "file": "site/texts-0.js"}]')
    with pytest.raises(InputError, match="is no file there"):
        run_parts(tmp_path)
    part.symlink_to(listed)
    with pytest.raises(InputError, match="is no file there"):
        run_parts(tmp_path)


def test_topics_are_matched_so_that_they_overlap_most() -> None:
    random = np.random.default_rng(1)
    words = [f"w{i}" for i in range(12)]
    first, second = (
        [list(random.choice(words, 4, replace=False)) for _ in range(n)] for n in (4, 5)
    )
    table = overlaps(first, second)
    for i, left in enumerate(first):
        for j, right in enumerate(second):
            both = set(left) & set(right)
            assert table[i, j] == pytest.approx(len(both) / len(set(left) | set(right)))
    best = max(
        sum(table[i, j] for i, j in enumerate(chosen)) for chosen in permutations(range(5), 4)
    )
    pairs = matched_pairs([first, second])["0,1"]
    assert sum(table[i, j] for i, j, _ in pairs) == pytest.approx(best)
    assert matched_pairs([[["a"]], [["b"]]])["0,1"] == []


def test_a_map_puts_topics_of_the_same_words_together() -> None:
    themes = [[f"t{theme}w{i}" for i in range(8)] for theme in range(4)]
    topics = [[*theme[:7], f"own{i}{copy}"] for i, theme in enumerate(themes) for copy in range(3)]
    places = np.array(topic_map(topics))
    assert topic_map(topics) == [tuple(place) for place in places]
    assert np.abs(places).max() == pytest.approx(1)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    same = np.arange(12)[:, None] // 3 == np.arange(12)[None] // 3
    assert apart[same].max() < apart[~same].min()
    assert topic_map(topics[:2]) == []


def leagues(make: Make, **found: dict[str, tuple[float, int]]) -> str:
    """The headline of a board whose judges say so: Elo and rank by model."""
    judges = tuple(found)
    models = tuple(next(iter(found.values())))
    suite, records = make(corpora={"lee": 12}, judges=judges, models=models)
    board = build_board(suite, records)
    for row in board["ratings"]:
        elo, rank = found[row["judge"]][row["model"]]
        row.update(elo=elo, lo=elo - 9, hi=elo + 9, rank=rank)
    for table in board["win_rates"]:
        table["rates"] = [[0.61] * len(models)] * len(models)
    failed = {judge["id"] for judge in board["judges"] if judge["id"].endswith("failed")}
    for judge in board["judges"]:
        judge["reliable"] = judge["id"] not in failed
    said = headline(rating_charts(BoardView(board).judges())[0])
    return said.replace("\N{NO-BREAK SPACE}", " ")


def test_the_headline_says_what_the_numbers_say(make_records: Make) -> None:
    clear = {"lda": (1600.0, 1), "etm": (1530.0, 2), "bertopic": (1400.0, 3)}
    tied = {"lda": (1540.0, 1), "etm": (1530.0, 1), "bertopic": (1400.0, 3)}
    other = {"lda": (1500.0, 2), "etm": (1450.0, 3), "bertopic": (1600.0, 1)}
    assert leagues(make_records, one=clear) == ("lda wins, 70 Elo above etm (61 % of the points).")
    assert leagues(make_records, one=tied) == (
        "lda is ahead but not told apart from etm, 10 Elo above etm (61 % of the points)."
    )
    assert leagues(make_records, one=clear, two=clear).startswith(
        "Both judges put lda first, and no other model shares its rank: by one, lda wins, 70 Elo"
    )
    assert leagues(make_records, one=tied, two=tied).startswith(
        "Both judges put lda first, but by none is it told apart from all the others: "
    )
    assert leagues(make_records, one=clear, two=other) == (
        "The judges disagree: by one, lda wins, 70 Elo above etm (61 % of the points); by two, "
        "bertopic wins, 100 Elo above lda (61 % of the points)."
    )
    swapped = {"lda": (1530.0, 1), "etm": (1540.0, 1), "bertopic": (1400.0, 3)}
    assert leagues(make_records, one=tied, two=swapped).startswith(
        "The judges name different leaders, though etm and lda may be first by every one: "
    )
    assert leagues(make_records, one=clear, two_failed=other).startswith("lda wins")
    assert leagues(make_records, one_failed=clear) == (
        "Nobody can be called the winner: every judge failed its null control."
    )


@pytest.fixture(scope="module")
def made(make_records: Make) -> tuple[Any, BoardRecords, dict[str, str]]:
    suite, records = make_records(judges=("embedding", "chat"), unparsed=0.06, label=HOSTILE[:9])
    board = build_board(suite, records)
    held = BoardRecords.of(records)
    return board, held, site_files(board, held)


def parts_of(page: str, files: dict[str, str], kind: str) -> list[tuple[dict[str, Any], Any]]:
    told = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert told is not None
    parts = [part for part in json.loads(told[1])["parts"] if part["kind"] == kind]
    return [(part, unpacked(files[part["file"]])) for part in parts]


def test_the_policy_names_the_pages_own_scripts_and_style(made: Any) -> None:
    page = made[2]["index.html"]
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    texts = re.findall(r"<script>(.*?)</script>", page, re.S)
    texts += re.findall(r"<style>(.*?)</style>", page, re.S)
    hashes = [base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in texts]
    assert re.findall(r"'sha256-([^']+)'", policy[1]) == hashes
    assert policy[1].startswith("default-src 'none'; ")
    assert "unsafe" not in policy[1]


def test_no_caveat_is_lost(made: Any) -> None:
    board, _, files = made
    text = " ".join(parse(files["index.html"]).text.split())
    view = BoardView(board)
    told = [*notes.rating_notes(view), *notes.metric_notes(view), *notes.fit_notes(view)]
    for entry in view.judges():
        told += about_judges.judge_notes(entry.judge)
        told += about_judges.judge_warnings(entry.judge, entry.leagues, entry.controls)
        told += [note for league in entry.leagues for note in notes.league_notes(league)]
        told.append(about_judges.audit_line(entry.judge))
    assert len(told) > 20
    for note in told:
        assert " ".join(note.split()) in text, note
    assert folded(["One. Two. Three.", "Alone."]) == [("One.", "Two. Three."), ("Alone.", "")]


def test_verdicts_and_values_are_those_of_the_records(made: Any) -> None:
    board, held, files = made
    matches = {record.key: record.payload for record in held.matches}
    seen = set()
    for part, content in parts_of(files["index.html"], files, "verdicts"):
        for match in content["matches"]:
            payload = matches[match["key"]]
            seen.add(match["key"])
            assert (part["corpus"], part["shown"]) == (payload["corpus"], payload["representation"])
            assert content["judges"][match["j"]] == payload["judge"]
            assert [content["models"][match[side]].split(":")[0] for side in "ab"] == [
                payload[side]["model"] for side in "ab"
            ]
            assert match["f"] == payload["forward"]
            assert match.get("g", match["f"]) == payload["backward"]
            assert content["documents"] == list(payload["documents"])
    assert seen == set(matches)
    for _, content in parts_of(files["index.html"], files, "values"):
        for number, records in content.items():
            row = board["metrics"][int(number)]
            known = [value for _, _, value, _, _ in records if value is not None]
            assert (row["value"] is None) == (not known)
            if known:
                assert np.mean(known) == pytest.approx(row["value"], abs=1e-4)


def test_every_topic_of_every_fit_can_be_explored(made: Any) -> None:
    _, held, files = made
    found = {}
    for _, content in parts_of(files["index.html"], files, "topics"):
        for model in content["models"]:
            found[model["key"]] = [topic["i"] for topic in model["t"]]
        assert len(content["map"]) == sum(len(model["t"]) for model in content["models"])
    told = {fit.key: [list(t["items"]) for t in fit.payload["topics"]] for fit in held.fits}
    assert found == told


def test_matches_that_were_not_played_say_why(make_records: Make) -> None:
    suite, records = make_records(
        corpora={"lee": 8}, models=("lda", "etm"), failing=[("lee", "etm")]
    )
    board = build_board(suite, records)
    files = site_files(board, BoardRecords.of(records))
    ((_, content),) = parts_of(files["index.html"], files, "verdicts")
    assert {match["why"] for match in content["matches"]} == {"a fit that it needs failed"}


@pytest.mark.parametrize(
    ("licence", "shown"),
    [("CC BY-SA 3.0", True), ("US government text", True), ("Apache-2.0", True), (None, False),
     ("CC BY-NC 4.0", False), ("non-commercial research", False), ("none stated", False),
     ("Yelp's dataset terms", False)],
)  # fmt: skip
def test_texts_are_shown_where_their_licence_allows_it(licence: str | None, shown: bool) -> None:
    corpus = Corpus("c", ("1",), ("text",), source={} if licence is None else {"licence": licence})
    why = why_not_shown(corpus)
    assert (why is None) == shown
    assert shown or "texts of c are not shown" in str(why)


def test_a_page_says_what_was_left_out_for_size(made: Any) -> None:
    board, held, files = made
    assert 'class="soft left-out"' not in files["index.html"]
    whole = sum(len(text.encode()) for name, text in files.items() if name != "index.html")
    some = site_files(board, held, most=whole // 2)
    kept = sum(len(text.encode()) for name, text in some.items() if name != "index.html")
    assert kept <= whole // 2
    missing = set(files) - set(some)
    told = re.findall(r'<p class="soft left-out">(.*?)</p>', some["index.html"], re.S)
    for kind, what in (("topics", "topics of"), ("values", "the records behind values on")):
        names = [name for name in missing if name.startswith(f"site/{kind}")]
        lines = [line for line in told if f"for size: {what} " in line]
        assert len(lines) == bool(names)
        if names:
            # A semicolon parts the commands, too.
            assert lines[0].count(";") == len(names)
    # A board's own size is enough for all of it.
    megabytes = re.search(r"--parts-mb (\d+)", some["index.html"])
    assert megabytes is not None
    again = site_files(board, held, most=int(megabytes[1]) * 1_000_000)
    assert set(again) == set(files)
    assert left_out(
        [{"kind": "topics", "corpus": f"c{i}", "k": 5, "spec": 5, "seed": 1} for i in range(8)]
    ) == {"topics": "; ".join(f"c{i}, K = 5, seed 1" for i in range(6)) + "; and 2 more"}
    assert left_out(
        [{"kind": "verdicts", "corpus": "c", "k": 7, "spec": "labels", "shown": "items"}]
    ) == {"verdicts": "c, K = number of labels (7), top items"}


def test_a_column_of_k_is_narrow() -> None:
    told = [(10, 10), (21, "labels"), (None, BY_CORPUS), (34, capped(100, 10))]
    assert [short_k(*each) for each in told] == ["10", "21 (labels)", "by corpus", "34 (capped)"]


def test_a_steering_table_becomes_curves(make_records: Make, tmp_path: Path) -> None:
    suite, records = make_records(corpora={"lee": 8}, models=("lda",))
    board = {**build_board(suite, records), "steering": "steering.md"}
    where = {"corpus": "lee", "model": "mlda", "judge": "embedding", "topic": 3, "k": 10}
    rows = [
        {**where, "method": "topic_raw", "lambda": x, "lambda_unit": "p99", "win_rate": rate,
         "lo": rate - 0.1, "hi": rate + 0.1, "perplexity": 60.0, "chosen": x == 1.0}
        for x, rate in ((0.5, 0.55), (1.0, 0.71))
    ]  # fmt: skip
    rows.append(
        {**where, "method": "permuted", "lambda": 20.0, "lambda_unit": "absolute", "win_rate": 0.5,
         "lo": None, "hi": None, "perplexity": 50.0, "chosen": False}
    )  # fmt: skip
    (tmp_path / "steering.json").write_text(json.dumps({"rows": rows}))
    page = site_files(board, BoardRecords.of(records), tmp_path)["index.html"]
    assert "mlda on lee, judge embedding, K = 10" in page
    assert "λ 1: 71" in page
    assert page.count('<circle class="dot open" cx=') >= 1
    (tmp_path / "steering.json").write_text("{}")
    with pytest.raises(InputError, match="is not a steering table"):
        site_files(board, BoardRecords.of(records), tmp_path)
    assert "mlda on lee" not in site_files(board, BoardRecords.of(records))["index.html"]


def test_a_page_of_12_models_by_8_corpora_is_light(make_records: Make) -> None:
    suite, records = load_benchmark("site_weight").large_board(make_records, documents=8)
    board = build_board(suite, records)
    assert (len(board["competitors"]), len(board["corpora"])) == (12, 8)
    files = site_files(board, BoardRecords.of(records))
    assert len(files.pop("index.html").encode()) <= 3_000_000
    assert sum(len(text.encode()) for text in files.values()) <= 3_000_000
