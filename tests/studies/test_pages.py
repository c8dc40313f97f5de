"""The study's page: well-formed, self-contained, its plot where the numbers say."""

from __future__ import annotations

import re
from typing import Any

import pytest
from support.page_checker import parse

from mtmbench.boards.numbers import fixed
from mtmbench.boards.plot import Axis, Mark
from mtmbench.studies.pages import study_files

EVIL = "<script>alert('x')</script>|\"`&"


def row(setting: str | None, mean: float | None, half: float | None, **more: Any) -> dict[str, Any]:
    return {
        "corpus": EVIL, "metric": "nmi", "model": "lda" if setting is None else "mlda",
        "setting": setting, "series": None if setting is None else "", "x": None, "n_seeds": 3,
        "mean": mean, "lo": None if half is None or mean is None else mean - half,
        "hi": None if half is None or mean is None else mean + half, "difference": None,
        "difference_lo": None, "difference_hi": None, "p": None, "p_holm": None, "n_paired": None,
        "n_compared": None, "reason": None if mean is not None else EVIL, **more,
    }  # fmt: skip


@pytest.fixture
def study() -> dict[str, Any]:
    settings = [
        {"name": name, "label": label, "detail": EVIL, "x": None, "series": "", "role": role,
         "baseline": bool(role), "values": {}}
        for name, label, role in (("a", EVIL, "default"), ("b", "setting b", ""), ("c", "c", ""))
    ]  # fmt: skip
    sure = {"difference": 0.1, "difference_lo": 0.05, "difference_hi": 0.15, "p": 0.01,
            "p_holm": 0.02, "n_paired": 3, "n_compared": 2}  # fmt: skip
    return {
        "schema": 1, "study": "filters", "question": "What?", "varied": "filters", "source": "s",
        "max_tokens": None, "models": ["mlda"], "reference": "lda", "seeds": [0, 1, 2],
        "confidence": 0.95, "settings": settings, "notes": [EVIL], "errors": [], "versions": ["1"],
        "corpora": [{"name": EVIL, "revision": "r", "n_docs": 1234, "n_labels": 3, "k": 20}],
        "metrics": [{"name": "nmi", "view": None, "title": "NMI"}],
        "firings": [{"corpus": EVIL, "setting": "a", "features": 2048, "features_kept": 1900,
                     "firings_kept": 0.5, "counts_per_token": 3.25, "documents": 1234,
                     "documents_empty": 0, "reason": None}],
        "rows": [row("a", 0.4, 0.02), row("b", 0.5, 0.01, **sure), row("c", None, None),
                 row(None, 0.45, None)],
        "findings": [{"corpus": EVIL, "model": "mlda", "series": "", "metric": "nmi",
                      "leads": True, "text": f"NMI: {EVIL}."}],
    }  # fmt: skip


def test_the_page_is_well_formed_and_self_contained(study: dict[str, Any]) -> None:
    page = study_files(study)["study.html"]
    checker = parse(page)
    assert "script" not in checker.names
    assert not re.search(r"https?:|url\(|@import|//cdn", page)
    links = {attrs.get("href") for tag, attrs in checker.tags if tag == "a"}
    assert links == {"#corpus-1", "study.json", "study.csv", "study.md", "records.jsonl"}
    assert checker.text.count(EVIL) >= 5
    # The board's own style is there.
    assert "--features: #c2410c" in page
    assert "prefers-color-scheme: dark" in page


def test_the_plot_shows_each_value_where_it_lies(study: dict[str, Any]) -> None:
    checker = parse(study_files(study)["study.html"])
    dots = [attrs for tag, attrs in checker.tags if tag == "circle"]
    bars = [attrs for tag, attrs in checker.tags if attrs.get("class") == "bar"]
    reference = [attrs for tag, attrs in checker.tags if attrs.get("class") == "reference"]

    def at(attrs: dict[str, str | None], name: str = "cx") -> float:
        return float((attrs[name] or "").rstrip("%"))

    # The axis spans 0.38 to 0.51 with 4 % to either side.
    low, length = 0.38 - 0.04 * 0.13, 0.13 * 1.08
    assert [at(dot) for dot in dots] == pytest.approx(
        [100 * (value - low) / length for value in (0.4, 0.5)], abs=0.01
    )
    assert at(bars[1], "x1") == pytest.approx(100 * (0.49 - low) / length, abs=0.01)
    assert at(bars[1], "x2") == pytest.approx(100 * (0.51 - low) / length, abs=0.01)
    assert len(reference) == 2
    assert at(reference[0], "x1") == pytest.approx(100 * (0.45 - low) / length, abs=0.01)
    labels = [attrs.get("aria-label") for tag, attrs in checker.tags if tag == "svg"]
    assert "0.500, interval 0.490 to 0.510" in labels


def test_a_sure_difference_is_marked_on_both_pages(study: dict[str, Any]) -> None:
    cell = '<td class="wide sure">+0.100 <span class="range">0.050 to 0.150</span></td>'
    assert cell in study_files(study)["study.html"]
    text = study_files(study)["study.md"]
    assert (
        "| setting b | 0.500 | 0.490 to 0.510 | +0.100 (0.050 to 0.150) \\* | 0.020 | – |" in text
    )
    assert "2,048 | 1,900 | 50.0 % | 3.25 | 0 |" in text
    assert "<script>" not in text


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 1.0], (0.0, 0.25, 0.5, 0.75, 1.0)),
        ([0.412, 0.447], (0.42, 0.43, 0.44)),
        ([-0.03, 0.02], (-0.02, 0.0, 0.02)),
        ([1200.0, 1800.0], (1200.0, 1400.0, 1600.0, 1800.0)),
        ([0.5, 0.5], (0.49, 0.495, 0.5, 0.505, 0.51)),
    ],
)
def test_axes_over_any_values(values: list[float], ticks: tuple[float, ...]) -> None:
    axis = Axis.spanning(values)
    assert axis.lo < min(values) <= max(values) < axis.hi
    assert axis.ticks == pytest.approx(ticks)


def test_a_mark_without_an_interval() -> None:
    axis = Axis(0.0, 2.0, ())
    alone = Mark("25.00%", None, None, "0.500, no interval")
    assert Mark.placed(axis, 0.5, None, None, fixed(3)) == alone
    mark = Mark.placed(axis, 0.5, 0.0, 1.0, fixed(1), "Elo ")
    assert mark == Mark("25.00%", "0.00%", "50.00%", "Elo 0.5, interval 0.0 to 1.0")
    assert Mark.placed(axis, None, None, None, fixed(3)) is None
