"""The pages: nothing is lost, nothing is executed, nothing is fetched."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support.page_checker import parse

from mtmbench.boards.plot import Axis
from mtmbench.boards.render_csv import render_csv
from mtmbench.boards.render_md import render_md
from mtmbench.boards.tables import build_board
from mtmbench.boards.view import BoardView
from mtmbench.core.cards import Suite
from mtmbench.core.records import Record

Make = Callable[..., tuple[Suite, list[Record]]]
EVIL = "<script>alert('x')</script>|\"`&\n# <img src=x onerror=y>"


@pytest.fixture
def board(make_records: Make) -> dict[str, Any]:
    return build_board(
        *make_records(
            judges=("embedding", "chat"), unparsed=0.06, failing=[("wiki", "etm")], k=("labels",),
            ks={"lee": 20, "wiki": 21},
        )
    )  # fmt: skip


@pytest.mark.slow
def test_the_csv_holds_every_row_and_value(board: dict[str, Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(board))))
    ratings = [row for row in rows if row["table"] == "rating"]
    metrics = [row for row in rows if row["table"] == "metric"]
    assert (len(ratings), len(metrics)) == (len(board["ratings"]), len(board["metrics"]))
    for row, source in zip(ratings, board["ratings"], strict=True):
        assert row["value"] == ("" if source["elo"] is None else str(source["elo"]))
        assert row["reason"] == (source["reason"] or "")
    for row, source in zip(metrics, board["metrics"], strict=True):
        assert json.loads(row["params"]) == source["params"]
        assert row["lo"] == ("" if source["lo"] is None else str(source["lo"]))


def test_the_page_is_well_formed_and_self_contained(board: dict[str, Any], page_of: Any) -> None:
    page = page_of(board)
    checker = parse(page)
    assert {"svg", "script"} <= checker.names
    own = page.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|url\(|@import|//cdn", own)
    links = {
        value.partition("?")[0]
        for _, attributes in checker.tags
        for name, value in attributes.items()
        if name in ("href", "src") and value is not None and not value.startswith("#g")
    }
    assert links <= {
        "#overview", "#ratings", "#metrics", "#judges", "#topics", "#matches", "#costs", "#fits",
        "#errors", "#about", "#main", "#record", "board.json", "board.csv", "board.md",
        "records.jsonl", "suite.toml", "data:,",
    }  # fmt: skip
    assert not any("style" in attributes for _, attributes in checker.tags)
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page


def test_the_pages_say_who_ruled_and_what_the_numbers_mean(
    board: dict[str, Any], page_of: Any
) -> None:
    for page in (parse(page_of(board)).text, render_md(board)):
        text = page.replace("\N{NO-BREAK SPACE}", " ").replace("\\", "")
        assert "This judge is a proxy, not a language model." in text
        assert "A language model ruled." in text
        assert "all-MiniLM-L6-v2" in text
        assert "(marked †): bertopic, mbertopic:default" in text
        assert "describes the expected score, not the probability of a win" in text
        assert "conditional on the fits" in text
        assert "of this judge's answers could not be parsed" in text
        assert "a clustering defines no likelihood" in text
        assert "InputError: too few documents" in text
        assert "mean over seeds" in text


def test_every_rating_is_on_both_pages(board: dict[str, Any], page_of: Any) -> None:
    page, text = parse(page_of(board)).text, render_md(board)
    for row in board["ratings"]:
        if row["elo"] is not None:
            assert f"{row['elo']:.0f} {row['lo']:.0f}–{row['hi']:.0f}" in page
            assert f"| {row['elo']:.1f} | {row['lo']:.1f} to {row['hi']:.1f} |" in text


def test_leagues_go_from_strong_to_weak_and_the_pool_comes_first(board: dict[str, Any]) -> None:
    judges = BoardView(board).judges()
    assert [judge.judge["id"] for judge in judges] == ["chat", "embedding"]
    for judge in judges:
        assert [league.title for league in judge.leagues] == [
            "All corpora, pooled · K = number of labels · top items shown",
            "lee · K = number of labels (20) · top items shown",
            "wiki · K = number of labels (21) · top items shown",
        ]
        for league in judge.leagues:
            elos = [row["elo"] for row in league.rows if row["elo"] is not None]
            assert elos == sorted(elos, reverse=True)
            assert all(matrix[i] is None for i, matrix in enumerate(league.matrix))
        assert judge.leagues[2].rows[-1]["model"] == "etm"


def test_a_value_is_bold_only_if_its_interval_stands_clear(
    make_records: Make, page_of: Any
) -> None:
    board = build_board(*make_records(models=("lda", "etm"), corpora={"lee": 10}))
    rows = [row for row in board["metrics"] if row["metric"] == "nmi"]
    for row, (value, half) in zip(rows, ((0.3, 0.04), (0.4, 0.05)), strict=True):
        row.update(value=value, lo=value - half, hi=value + half)

    def bold() -> list[bool]:
        (table,) = BoardView(board).metric_tables()
        line = next(line for line in table.comparable if line.metric == "nmi")
        return [cell.best for cell in line.cells if cell is not None]

    assert bold() == [False, True]
    assert re.search(r'<td class="n best"><a class="v" href="[^"]+">0.4000</a>', page_of(board))
    assert "**0.4000** ± 0.0500" in render_md(board)
    rows[0]["hi"] = 0.36
    assert bold() == [False, False]
    rows[0].update(lo=None, hi=None)
    assert bold() == [False, False]
    rows[0].update(value=0.3, lo=0.26, hi=0.34)
    board["metric_versions"]["nmi"]["higher_is_better"] = False
    assert bold() == [True, False]


def test_labels_may_hold_anything(make_records: Make, page_of: Any) -> None:
    board = build_board(
        *make_records(models=("lda", "mlda"), title=EVIL, label=EVIL, corpora={"lee": 10})
    )
    board["description"] = EVIL
    board["errors"] = [
        {"kind": "fit", "corpus": EVIL, "k": 10, "k_spec": 10, "model": "lda", "reason": EVIL}
    ]
    page = parse(page_of(board))
    assert "img" not in page.names
    assert [name for name, _ in page.tags].count("script") == 3
    assert EVIL in page.text
    text = render_md(board)
    assert "<script" not in text
    assert "<img" not in text
    tables = [line for line in text.splitlines() if line.startswith("| ")]
    for line in tables:
        cells = re.sub(r"\\.", "", line).count("|")
        assert cells in (5 + 1, 6 + 1, 7 + 1, 3 + 1, 4 + 1, 8 + 1)
    assert not re.search(r"^# <", text, re.MULTILINE)


def test_marks_lie_where_the_axis_says() -> None:
    rows = [{"elo": 1500.0, "lo": 1400.0, "hi": 1600.0}, {"elo": 1450.0, "lo": None, "hi": None}]
    axis = Axis.elo(rows)
    assert axis.ticks == (1400, 1450, 1500, 1550, 1600)
    assert axis.at(1500) == "50.00%"
    assert float(axis.at(1400)[:-1]) + float(axis.at(1600)[:-1]) == pytest.approx(100)
    assert axis.lo < 1400
    assert axis.hi > 1600
    assert 1500 in Axis.elo([{"elo": None, "lo": None, "hi": None}]).ticks


def test_filters_are_told_in_words(board: dict[str, Any], page_of: Any) -> None:
    for row in board["fits"]:
        row["items"] = {
            "kind": "features", "n": 1817,
            "filters": {
                "absent": {"dropped": 1, "firings": 0.0},
                "firings_kept": 0.6813, "items": 2048, "kept": 1817,
                "label_classes": {"classes": {"formatting": 45, "stop words": 89}, "dropped": 134},
                "max_doc_share": {"dropped": 1129, "firings": 0.2717, "limit": 0.9},
                "switch": True,
            },
        }  # fmt: skip
    text = parse(page_of(board)).text.replace("\N{NO-BREAK SPACE}", " ")
    assert (
        "1,817 of 2,048 kept (68 % of firings); absent: 1 dropped, firings 0; label_classes: 134 "
        "dropped, classes (formatting 45, stop words 89); max_doc_share 0.9: 1,129 dropped, "
        "firings 0.272; switch True"
    ) in text


def test_a_board_without_matches_or_fits_still_renders(make_records: Make, page_of: Any) -> None:
    tiny, records = make_records(models=("lda",), corpora={"lee": 10})
    board = build_board(tiny, [record for record in records if record.kind == "metric"])
    assert "Ratings" not in parse(page_of(board)).text
    assert "## Metrics" in render_md(board)
    empty = build_board(tiny, [])
    parse(page_of(empty))
    assert render_md(empty).startswith("# A synthetic board")


@pytest.mark.parametrize(
    ("judge", "client", "tag", "kind", "note"),
    [("lexical", "lexical", "proxy, not an LLM", "proxy", "This judge is a proxy, not a"),
     ("chat", "chat", "language model", "language model", "A language model ruled."),
     ("visitors", "human", "people", "people", "People ruled.")],
)  # fmt: skip
def test_pages_say_what_kind_of_judge_ruled(
    make_records: Make,
    page_of: Any,
    judge: str,
    client: str,
    tag: str,
    kind: str,
    note: str,
) -> None:
    suite, records = make_records(corpora={"lee": 30}, judges=(judge,), models=("lda", "etm"))
    ruled = [
        replace(record, payload={**record.payload, "judge_client": client})
        if record.kind == "match" else record
        for record in records
    ]  # fmt: skip
    board = build_board(suite, ruled)
    page, markdown = page_of(board), render_md(board)
    assert f'<h3>{judge} <span class="tag">{tag}</span></h3>' in page
    assert f"{judge} <small>{kind}, " in page
    assert note in page
    assert note in markdown
    if kind != "proxy":
        assert "is a proxy" not in page + markdown


@pytest.mark.parametrize(
    ("judge", "client", "first"),
    [("embedding", "embedding", "projected words"), ("chat", "chat", "top items"),
     ("people", "human", "top items")],
)  # fmt: skip
def test_proxies_lead_with_projected_words_and_those_who_read_with_items(
    make_records: Make, judge: str, client: str, first: str
) -> None:
    suite, records = make_records(corpora={"lee": 30}, judges=(judge,), models=("lda", "etm"))
    shown = []
    for record in records:
        shown.append(record)
        if record.kind == "match":
            payload = {**record.payload, "judge_client": client}
            shown[-1] = replace(record, payload=payload)
            shown += [
                replace(record, key=f"{record.key} {other}",
                        payload={**payload, "representation": other})
                for other in ("summary", "projected")
            ]  # fmt: skip
    board = build_board(suite, shown)
    (view,) = BoardView(board).judges()
    second = "projected words" if first == "top items" else "top items"
    order = [f"{first} shown", f"{second} shown", "summaries shown"]
    assert [league.title.rpartition("· ")[2] for league in view.leagues] == order
    page = render_md(board)
    headings = [line for line in page.splitlines() if line.startswith("#### ") and "·" in line]
    assert [line.rpartition("· ")[2] for line in headings] == order
    assert "class-based TF-IDF over θ" in page
    assert "class-based TF-IDF over θ" not in render_md(build_board(suite, records))


def with_cautions(records: list[Record], told: dict[str, list[dict[str, Any]]]) -> list[Record]:
    """Gives fits on "lee" cautions, by model and seed; those of other models get none to tell."""
    marked = []
    for record in records:
        if record.kind == "fit" and record.payload["corpus"] == "lee":
            of = told.get(record.payload["model"], [{}, {}])
            cautions = of[record.payload["seed"]]
            found = {"n_topics": cautions["found"]} if "found" in cautions else {}
            payload = {**record.payload, "cautions": cautions, **found}
            record = replace(record, payload=payload)
        marked.append(record)
    return marked


def test_fits_that_fell_short_are_flagged_where_they_are_rated(
    make_records: Make, page_of: Any
) -> None:
    suite, records = make_records(judges=("lexical",), models=("lda", "etm", "bertopic"))
    before = build_board(suite, records)
    assert "‡" not in render_md(before) + page_of(before)
    assert all("cautions" not in row for row in before["fits"])
    told = {
        "bertopic": [{"found": 3, "largest_cluster": 0.912}, {"found": 8}],
        "lda": [{"start": "clusters"}, {"start": "clusters", "converged": False}],
    }
    board = build_board(suite, with_cautions(records, told))
    (judge,) = BoardView(board).judges()
    assert [dict(league.short) for league in judge.leagues] == [
        {"bertopic": "3, 8 of 10 on lee"}, {"bertopic": "3, 8 of 10"}, {},
    ]  # fmt: skip
    markdown = render_md(board).replace("\\", "")
    assert re.findall(r"\| (\w+) ‡ \|", markdown) == ["bertopic"] * 2
    found = parse(page_of(board))
    page = found.text
    told = "topics found, by seed: "
    marked = [title for _, tag in found.tags if (title := tag.get("title") or "").startswith(told)]
    assert marked == [f"{told}3, 8 of 10 on lee", f"{told}3, 8 of 10"]
    for text in (page, markdown):
        text = text.replace("\N{NO-BREAK SPACE}", " ")
        assert "Fewer topics than K were found, by seed (marked ‡): bertopic 3, 8 of 10." in text
        assert "start from clusters of the documents, not from random topics: lda." in text
        assert "before they converged: lee, K = 10: lda 1 of 2." in text
        assert "cluster's share, by seed: lee, K = 10: bertopic 91.2 %." in text
    # The fit of the first seed is rated: what the others found says nothing of its rating.
    later = build_board(suite, with_cautions(records, {"bertopic": [{}, {"found": 8}]}))
    (judge,) = BoardView(later).judges()
    assert [dict(league.short) for league in judge.leagues] == [{}, {}, {}]


def by_projected_words(records: list[Record]) -> list[Record]:
    """Adds every match by projected words, where each winner of the items loses."""
    swapped = str.maketrans("ab", "ba")
    return records + [
        replace(
            record,
            key=f"{record.key} projected",
            payload={
                **record.payload,
                "representation": "projected",
                **{
                    order: record.payload[order].translate(swapped)
                    for order in ("forward", "backward")
                },
            },
        )
        for record in records
        if record.kind == "match"
    ]


def test_a_proxys_league_stands_beside_the_same_by_projected_words(
    make_records: Make, page_of: Any
) -> None:
    suite, records = make_records(
        corpora={"lee": 60}, judges=("lexical", "chat"), models=("lda", "etm", "bertopic")
    )
    board = build_board(suite, by_projected_words(records))
    chat, proxy = BoardView(board).judges()
    assert [league.wording for league in chat.leagues] == [None, None]
    projected, items = proxy.leagues
    assert projected.wording is None
    wording = items.wording
    assert wording is not None
    elo = dict(zip(items.names, (row["elo"] for row in items.rows), strict=True))
    # With every verdict turned round, ratings lie mirrored about 1500.
    for name, here in elo.items():
        assert wording.elo[name] == pytest.approx(3000 - here, abs=0.11)
        assert wording.moved[name] == pytest.approx(2 * (here - 1500), abs=0.25)
    ends = [(row["lo"], row["hi"]) for row in items.rows]
    assert wording.apart == sum(lo > 3000 - lo or hi < 3000 - hi for lo, hi in ends) > 0
    least, most = min(elo, key=elo.__getitem__), max(elo, key=elo.__getitem__)
    said = (
        f"Elo moves by −{2 * (1500 - elo[least]):.0f} ({least}) to +{2 * (elo[most] - 1500):.0f} "
        f"({most}); the two intervals of {wording.apart} of 3 models do not overlap."
    )
    markdown = render_md(board).replace("\\", "")
    assert said in markdown
    assert said in parse(page_of(board)).text
    assert markdown.count("| by projected words | difference |") == 1
    alone = build_board(suite, records)
    assert "by projected words" not in render_md(alone) + page_of(alone)


def test_a_metric_with_known_faults_is_marked_where_it_stands(
    make_records: Make, page_of: Any
) -> None:
    suite, records = make_records(models=("lda", "mlda"))
    plain = build_board(suite, records)
    assert "⚠" not in render_md(plain)
    renamed = [
        replace(record, payload={**record.payload, "metric": "c_v"})
        if record.payload.get("metric") == "nmi"
        else record
        for record in records
    ]
    board = build_board(suite, renamed)
    shown = render_md(board)
    assert "| c\\_v ↑ ⚠ |" in shown or "| c\\_v ↑ ⚠ (" in shown
    assert shown.count("- ⚠ c\\_v: It rewards words whose NPMI with each other is alike") == 1
    assert '<span title="It rewards words' in page_of(board)
