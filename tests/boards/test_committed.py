"""The committed boards, extracts of them on the pages, and the board that CI holds runs to."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path

import pytest

from mtmbench.boards.numbers import signed, within
from mtmbench.core.records import StoredRecord, of_kind
from mtmbench.core.store import read_records, records_file
from mtmbench.stats.intervals import welch
from mtmbench.steering.summary import summary_rows

ROOT = Path(__file__).parents[2]
BOARDS = ROOT / "leaderboards"
QUICK = BOARDS / "quick"
EMBEDDED = BOARDS / "paper-embedded"
PAGE = ROOT / "docs" / "boards.md"


def extract(board: dict) -> str:
    """The page's table of quick: ratings by how topics are shown, and NPMI of words on Lee."""
    columns = {
        "by projected words": ("embedding", "projected"),
        "by top items": ("embedding", "items"),
        "by summaries": ("embedding", "summary"),
        "`lexical`, by projected words": ("lexical", "projected"),
    }
    ratings = {
        (row["judge"], row["representation"], row["model"], row["setting"]): row
        for row in board["ratings"]
        if row["corpus"] == "all"
    }
    npmi = {
        (row["model"], row["setting"]): row["value"]
        for row in board["metrics"]
        if (row["corpus"], row["metric"], row["view"]) == ("lee", "npmi", "projected")
        and row["params"]["window"] == 10
    }
    lines = [
        f"| model | {' | '.join(columns)} | NPMI of its words, Lee |",
        "|---|---|---|---|---|---|",
    ]
    first = next(iter(columns.values()))
    for model, setting in sorted(npmi, key=lambda key: -ratings[*first, *key]["elo"]):
        cells = [f"`{model}`" + (f", {setting}" if setting else "")]
        for league in columns.values():
            row = ratings[*league, model, setting]
            cells.append(f"{row['elo']:.0f} ({row['lo']:.0f} to {row['hi']:.0f})")
        cells.append(f"{npmi[model, setting]:.3f}".replace("-", "−"))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def rivals_extract(board: dict) -> str:
    """The page's table of the field's models: pooled Elo, NMI with gold labels, NPMI of words."""
    corpora = ("20ng", "bills", "dbpedia")
    elo = {
        (row["judge"], row["model"]): row
        for row in board["ratings"]
        if (row["corpus"], row["representation"]) == ("all", "projected")
    }

    def metric(name: str, **params: str) -> dict[tuple[str, str], str]:
        return {
            (row["model"], row["corpus"]): f"{row['value']:.2f}".replace("-", "−")
            + ("" if row["lo"] is None else f" ± {(row['hi'] - row['lo']) / 2:.2f}")
            for row in board["metrics"]
            if row["metric"] == name
            and row["view"] in (None, "projected")
            and params.items() <= row["params"].items()
        }

    nmi, npmi = metric("nmi", documents="all"), metric("npmi", window="document")
    lines = [
        "| model | Elo, `embedding` | Elo, `lexical` | "
        + " | ".join(f"NMI, {name}" for name in corpora)
        + " | "
        + " | ".join(f"NPMI, {name}" for name in corpora)
        + " |",
        "|---|---|---|" + "---|" * 6,
    ]
    models = sorted({model for _, model in elo}, key=lambda m: -elo["embedding", m]["elo"])
    for model in models:
        ratings = [
            f"{row['elo']:.0f} ({row['lo']:.0f} to {row['hi']:.0f})"
            for row in (elo["embedding", model], elo["lexical", model])
        ]
        cells = [table[model, corpus] for table in (nmi, npmi) for corpus in corpora]
        lines.append(f"| {' | '.join([f'`{model}`', *ratings, *cells])} |")
    return "\n".join(lines)


TUNED_BY = ("npmi", "projected", {"window": 10})
SHOWN_OF_TUNING = {
    "NPMI": TUNED_BY,
    "NMI": ("nmi", None, {"documents": "all"}),
    "diversity": ("diversity", "projected", {}),
}
"""Columns of the table: metric, view and parameters."""


def tuning_rows() -> list[dict[str, str]]:
    with (BOARDS / "tuned" / "tuning" / "tuning.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def elsewhere(
    corpus: str, model: str, metric: str, view: str | None, params: dict
) -> tuple[float, float | None, float | None] | None:
    """Tuned less untuned on other documents, with Welch's interval; None for the same fits."""
    sides = []
    for suite in ("tuned", "untuned"):
        told = (each.payload for each in of_kind(board_records(suite), "metric"))
        values = {
            each["seed"]: each["value"]
            for each in told
            if (each["corpus"], each["model"], each["metric"], each["view"])
            == (corpus, model, metric, view)
            and params.items() <= each["params"].items()
        }
        assert len(values) == 5
        sides.append([values[seed] for seed in sorted(values)])
    return None if sides[0] == sides[1] else welch(*sides)


@cache
def board_records(suite: str) -> tuple[StoredRecord, ...]:
    return tuple(read_records(records_file(BOARDS / suite)))


def change(value: float, lo: float | None, hi: float | None) -> str:
    # Without spread over seeds on either side there is no interval.
    ends = (None, None) if lo == hi else (lo, hi)
    return signed(value, plus=True) + within(*ends, signed)


def tuning_extract() -> str:
    """The page's table of tuning: what was gained, and what of it other documents show.

    The last three columns are differences of means over five seeds each, with Welch's intervals.
    """
    lines = [
        "| corpus | model | settings | seen | fresh seeds | by noise | "
        + " | ".join(f"{name}, other documents" for name in SHOWN_OF_TUNING)
        + " |",
        "|---|---|" + "---|" * (4 + len(SHOWN_OF_TUNING)),
    ]
    for row in tuning_rows():
        corpus, model = row["corpus"], row["model"]
        noise = signed(float(row["expected_luck"]))
        cells = ["", "the defaults stay", noise, *("" for _ in SHOWN_OF_TUNING)]
        if row["found"]:
            gained = change(*(float(row[name]) for name in ("gain", "gain_lo", "gain_hi")))
            others = [elsewhere(corpus, model, *asked) for asked in SHOWN_OF_TUNING.values()]
            cells = [
                signed(float(row["gain_seen"]), plus=True), gained, noise,
                *("the same fits" if each is None else change(*each) for each in others),
            ]  # fmt: skip
        lines.append(f"| {' | '.join([corpus, f'`{model}`', row['settings'], *cells])} |")
    return "\n".join(lines)


def gold_extract(board: dict) -> str:
    """The page's table of NMI with gold labels, over all documents."""
    corpora = ("20ng", "agnews", "bills", "goemotions")
    found: dict[tuple[str, str | None], dict[str, str]] = {}
    for row in board["metrics"]:
        told = row["metric"] == "nmi" and row["corpus"] in corpora
        if told and row["params"]["documents"] == "all":
            half = (row["hi"] - row["lo"]) / 2
            cell = f"{row['value']:.3f} ± {half:.3f} ({row['n_seeds']})"
            found.setdefault((row["model"], row["setting"]), {})[row["corpus"]] = cell
    lines = [f"| model | {' | '.join(corpora)} |", "|---" * (1 + len(corpora)) + "|"]
    for model, setting in sorted(found, key=lambda key: (key[0], key[1] or "")):
        name = f"`{model}`" + (f", {setting}" if setting else "")
        lines.append(f"| {name} | {' | '.join(found[model, setting][c] for c in corpora)} |")
    return "\n".join(lines)


FEATURE_MODELS = {"mlda": "lda", "metm": "etm", "mbertopic": "bertopic"}
"""Models over features, and the one over words that each stands against."""


def paper_counts(board: dict, judge: str, shown: tuple[str, ...]) -> tuple[int, int, int, int]:
    """The paper's own two counts: conditions, those that a model over features leads; pairs, won.

    A condition is a corpus and a way to show topics; a pair is a model over features and its
    counterpart over words in a condition, by Elo.
    """
    leagues: dict[tuple[str, str], dict[str, float]] = {}
    for row in board["ratings"]:
        if row["judge"] == judge and row["corpus"] != "all" and row["representation"] in shown:
            league = leagues.setdefault((row["corpus"], row["representation"]), {})
            league[row["model"]] = row["elo"]
    led = sum(max(elo, key=elo.__getitem__) in FEATURE_MODELS for elo in leagues.values())
    won = sum(elo[a] > elo[b] for elo in leagues.values() for a, b in FEATURE_MODELS.items())
    return len(leagues), led, 3 * len(leagues), won


METHODS = {
    "topic_raw": "the topic, by the published formula",
    "topic": "the topic, weights less their mean over topics",
    "diff_means": "difference of means",
    "best_feature": "the topic's best feature alone",
    "prompt": "no steering, the topic named in the prompt",
    "permuted": "control: the topic's weights, permuted",
    "other_topic": "control: other topics",
    "random": "control: random directions",
    "none": "no steering",
}


def steering_extract() -> str:
    """The page's table of steering: every method's mean over topics, and its change beside it.

    It is pasted from what the test below prints where the two differ.
    """
    table = json.loads((BOARDS / "steering" / "steering.json").read_text(encoding="utf-8"))
    summary = table["summary"]
    judges = [f"`{row['judge']}`" for row in summary]
    own = summary[0].get("method", "topic")
    changes = {**summary[0].get("changes", {}), own: 1.0}
    told = len(changes) > 1
    heading = ["method", *judges, *(["change"] if told else [])]
    lines = [f"| {' | '.join(heading)} |", "|---" * len(heading) + "|"]
    assert {own, *summary[0]["controls"]} == set(METHODS)
    for method, words in METHODS.items():
        rates = [
            f"{row['win_rate'] if method == own else row['controls'][method]:.3f}"
            for row in summary
        ]
        words = f"**{words}** (λ chosen for it)" if method == own else words
        change = [f"{changes[method]:.2f}" if method in changes else "0"] if told else []
        lines.append(f"| {' | '.join([words, *rates, *change])} |")
    steered = [f"{row['n_steered']} of {row['n_topics']}" for row in summary]
    lines.append(f"| {' | '.join(['topics steered', *steered, *([''] if told else [])])} |")
    return "\n".join(lines)


def test_the_page_quotes_the_steering_table():
    table = steering_extract()
    assert table in PAGE.read_text(encoding="utf-8"), f"the table says:\n{table}"


def test_the_committed_steering_table_is_whole():
    """All methods for every topic and judge, and a summary that follows from the rows."""
    table = json.loads((BOARDS / "steering" / "steering.json").read_text(encoding="utf-8"))
    places = {(row["topic"], row["judge"]) for row in table["rows"]}
    assert {row["topic"] for row in table["topics"]} == {topic for topic, _ in places}
    for place in places:
        mine = [row for row in table["rows"] if (row["topic"], row["judge"]) == place]
        assert {row["method"] for row in mine} == {
            "topic", "topic_raw", "none", "prompt", "diff_means", "best_feature", "random",
            "permuted", "other_topic",
        }  # fmt: skip
        own = [row for row in mine if row["chosen"]]
        assert len(own) <= 1
        for row in mine if own and table["schema"] == 1 else []:
            if row["method"] in ("random", "permuted", "diff_means", "best_feature"):
                assert row["expected_change"] == pytest.approx(own[0]["expected_change"], rel=0.01)
    for row, again in zip(table["summary"], summary_rows(table["rows"]), strict=True):
        assert row["n_steered"] == again["n_steered"]
        assert row["win_rate"] == pytest.approx(again["win_rate"], abs=1e-4)
        for change in row.get("changes", {}).values():
            assert change == pytest.approx(1, abs=0.1)


def test_committed_pages_link_the_steering_table():
    page = (BOARDS / "steering" / "index.html").read_text(encoding="utf-8")
    assert '<a href="steering.md">' in page
    assert "(steering.md)" in (BOARDS / "steering" / "board.md").read_text(encoding="utf-8")


def test_pages_count_as_the_paper_did():
    board = json.loads((EMBEDDED / "board.json").read_text(encoding="utf-8"))
    conditions, led, pairs, won = paper_counts(board, "embedding", ("items", "summary"))
    assert (conditions, pairs) == (16, 48)
    counts = f"{led} of 16 conditions and {won} of 48 pairs"
    alike = [paper_counts(board, judge, ("projected",)) for judge in ("embedding", "lexical")]
    told = " ".join(PAGE.read_text(encoding="utf-8").split())
    for page in (PAGE, ROOT / "README.md", ROOT / "docs" / "paper.md"):
        assert counts in " ".join(page.read_text(encoding="utf-8").split()), page
    (by_vectors, by_words) = (
        f"{led} of 8 and {won} of 24 by `{judge}`"
        for judge, (_, led, _, won) in zip(("embedding", "lexical"), alike, strict=True)
    )
    assert f"by projected words {by_vectors}, {by_words}" in told
    pooled, single = (
        max(
            max(row["elo_by_seed"]) - min(row["elo_by_seed"])
            for row in board["ratings"]
            if (row["corpus"] == "all") == all_corpora
        )
        for all_corpora in (True, False)
    )
    assert f"by up to {pooled:.0f} points, and those of one corpus by up to {single:.0f}." in told


def test_the_page_quotes_agreement_with_gold_labels():
    table = gold_extract(json.loads((EMBEDDED / "board.json").read_text(encoding="utf-8")))
    assert table in PAGE.read_text(encoding="utf-8"), f"the board says:\n{table}"


def test_the_small_models_card_quotes_its_board():
    board = json.loads((BOARDS / "tinylm" / "board.json").read_text(encoding="utf-8"))
    card = (ROOT / "mtmbench" / "embedded" / "tinylm" / "CARD.md").read_text(encoding="utf-8")
    rows = [row for row in board["metrics"] if row["metric"] == "nmi"]
    for name, model in {
        "word LDA": "lda",
        "mLDA, `block1`": "mlda",
        "mETM, `block1`": "metm",
    }.items():
        told = {
            row["corpus"]: f"{row['value']:.3f} ({row['lo']:.3f} to {row['hi']:.3f})"
            for row in rows
            if row["model"] == model and row["params"]["documents"] == "all"
        }
        cells = [told[corpus].replace("0.", ".") for corpus in ("20ng", "agnews", "bills")]
        assert f"| {name} | {' | '.join(cells)} |" in card, cells
        assert {row["n_seeds"] for row in rows} == {5}


def test_the_page_quotes_quick():
    table = extract(json.loads((QUICK / "board.json").read_text(encoding="utf-8")))
    assert table in PAGE.read_text(encoding="utf-8"), f"the board says:\n{table}"


def test_ci_holds_runs_to_the_committed_board():
    expected = ROOT / "baselines" / "expected" / "quick.json"
    assert expected.read_bytes() == (QUICK / "board.json").read_bytes()


def test_the_table_of_the_field_s_models_is_that_of_their_board() -> None:
    board = json.loads((BOARDS / "rivals" / "board.json").read_text(encoding="utf-8"))
    assert rivals_extract(board) in PAGE.read_text(encoding="utf-8")


def test_the_page_quotes_what_tuning_gained() -> None:
    page = (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8")
    assert tuning_extract() in page, f"the records say:\n{tuning_extract()}"


def test_what_the_page_says_of_tuning_is_so() -> None:
    """Counts, sums and single changes in its sentences."""
    page = (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8")
    told = " ".join(page.split())
    rows = [row for row in tuning_rows() if row["found"]]
    assert f"4 of {len(rows) + 4} tunings found nothing better" in told
    seen, fresh, noise = (
        [float(row[name]) for row in rows] for name in ("gain_seen", "gain", "expected_luck")
    )
    small = sum(gain <= by_noise for gain, by_noise in zip(seen, noise, strict=True))
    assert f"{small} of the {len(rows)} gains seen are no larger than noise" in told
    held = sum(float(row["gain_lo"]) <= 0 <= float(row["gain_hi"]) for row in rows)
    others = {
        (row["corpus"], row["model"]): elsewhere(row["corpus"], row["model"], *TUNED_BY)
        for row in rows
    }
    apart = {place: each for place, each in others.items() if each is not None}
    sure = {place for place, (_, lo, hi) in apart.items() if not lo <= 0 <= hi}
    assert sure == {("bills", "fastopic")}
    assert (
        f"{held} of {len(rows)} intervals hold zero, and on other documents {len(apart) - 1} of "
        f"{len(apart)}"
    ) in told
    left = sum(value for value, _, _ in apart.values())
    assert (
        f"Of {sum(seen):.3f} that was seen, summed over all, {sum(fresh):.3f} was left under fresh "
        f"seeds and {left:.3f} on other documents"
    ) in told

    def changed(corpus: str, model: str, metric: str, view: str | None, **params: str) -> str:
        found = elsewhere(corpus, model, metric, view, params)
        assert found is not None
        return change(*found)

    whole = {
        place: elsewhere(*place, "npmi", "projected", {"window": "document"}) for place in apart
    }
    assert {place for place, each in whole.items() if each and not each[1] <= 0 <= each[2]} == {
        ("bills", "fastopic"), ("20ng", "fastopic"), ("20ng", "nmf"),
    }  # fmt: skip
    for place in (("bills", "fastopic"), ("20ng", "fastopic"), ("20ng", "nmf")):
        assert changed(*place, "npmi", "projected", window="document") in told
    by_labels = {place: elsewhere(*place, *SHOWN_OF_TUNING["NMI"]) for place in apart}
    assert {place for place, each in by_labels.items() if each and not each[1] <= 0 <= each[2]} == {
        ("20ng", "nmf"), ("20ng", "bertopic"),
    }  # fmt: skip
    assert changed("20ng", "nmf", "nmi", None, documents="all") in told
    assert changed("20ng", "bertopic", "nmi", None, documents="all") in told
    assert changed("20ng", "bertopic", "nmi", None, documents="assigned") in told
    assert changed("bills", "fastopic", "diversity", "projected") in told
