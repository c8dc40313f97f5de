"""The correlations with people that the data's sources list."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtmbench.core.errors import InputError
from mtmbench.metrics.human import human_correlations


def test_published_correlations_come_out_of_the_stored_scores(shared_data: Path) -> None:
    frame = human_correlations(
        shared_data / "human_hoyle2021" / "topics_with_human_scores.jsonl.gz"
    ).set_index(["dataset", "metric", "human"])
    published = {
        ("wikitext", "npmi", "rating"): 0.430,
        ("nytimes", "npmi", "rating"): 0.378,
        ("wikitext", "npmi", "intrusion"): 0.381,
        ("nytimes", "npmi", "intrusion"): 0.284,
        ("wikitext", "c_v", "rating"): 0.415,
        ("nytimes", "c_v", "rating"): 0.415,
    }
    for key, rho in published.items():
        assert frame.loc[key, "spearman"] == pytest.approx(rho, abs=5e-4)
        assert frame.loc[key, "n_topics"] == 150


def test_a_line_that_is_no_topic_is_named(tmp_path: Path) -> None:
    path = tmp_path / "topics.jsonl"
    path.write_text('{"dataset": "x"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="line 1 has no c_npmi_10_full"):
        human_correlations(path)
    path.write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="no topics"):
        human_correlations(path)
    with pytest.raises(InputError, match="cannot read"):
        human_correlations(tmp_path / "none.jsonl.gz")
