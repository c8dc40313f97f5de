"""Who is dropped, what people's answers become, and the real file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.validation.hoyle import read_hoyle
from mtmbench.validation.proxann import failed_checks, read_proxann, stored_coherence
from mtmbench.validation.scores import hoyle_coherence_rows

GOOD: dict[str, str] = {
    "Duration (in seconds)": "600",
    "practice_purpose": "documents related to a single category",
    "practice_rank_0": "1", "practice_rank_1": "2", "practice_rank_2": "3",
    "practice_rank_3": "4", "cluster_label": "Pets", "11_loop_fit_a": "2 - mostly not",
    "11_loop_familiarity": "I am not familiar enough", "rank_99": "8",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "weight"),
    [
        ({}, 0),
        ({"rank_99": "7"}, 0),
        ({"rank_99": "6"}, 2),
        ({"11_loop_fit_a": "1 - not"}, 2),
        ({"cluster_label": "tax credit"}, 2),
        ({"Duration (in seconds)": "299"}, 1),
        ({"practice_purpose": "other"}, 1),
        ({"11_loop_familiarity": ""}, 1),
        ({"practice_rank_0": "2", "practice_rank_1": "1"}, 0),
        ({"practice_rank_0": "3", "practice_rank_2": "1"}, 1),
        ({"practice_rank_3": "3", "practice_rank_2": "4"}, 1),
        ({"practice_purpose": "other", "11_loop_familiarity": ""}, 2),
    ],
)
def test_checks(changed: dict[str, Any], weight: int) -> None:
    assert failed_checks({**GOOD, **changed}, "income tax credit", 300) == weight


def test_as_many_are_dropped_as_the_authors_report(shared_data: Path) -> None:
    topics = read_proxann(shared_data)
    # 121 respondents, 20 removed.
    assert sum(len(topic.fits) for topic in topics) == 101
    assert Counter(len(topic.fits) for topic in topics) == {4: 19, 5: 5}
    assert Counter(topic.model for topic in topics) == {"bertopic": 8, "ctm": 8, "mallet": 8}
    for topic in topics:
        assert (len(topic.words), len(topic.documents), len(topic.exemplars)) == (15, 7, 7)
        assert set(np.unique(topic.fits)) <= {1, 2, 3, 4, 5}
        assert topic.ranks.min() >= 1
        assert topic.ranks.max() <= 7
    coherence = stored_coherence(shared_data)
    assert {topic.id for topic in topics} <= set(coherence["npmi"])


def test_hoyles_topics(shared_data: Path) -> None:
    topics = read_hoyle(shared_data)
    assert Counter(topic.dataset for topic in topics) == {"wikitext": 150, "nytimes": 150}
    assert topics[0].id == "wikitext/mallet/0"
    assert topics[0].rating == pytest.approx(7 / 3)
    assert topics[0].intrusion == pytest.approx(21 / 26)


@pytest.mark.slow
def test_published_correlations_of_coherence_with_people_come_out(shared_data: Path) -> None:
    found = {
        (row.dataset, row.judge, row.task): row
        for row in hoyle_coherence_rows(read_hoyle(shared_data))
        if row.statistic == "spearman"
    }
    published = {
        ("hoyle-wikitext", "npmi", "rating"): 0.430,
        ("hoyle-nytimes", "npmi", "rating"): 0.378,
        ("hoyle-wikitext", "npmi", "intrusion"): 0.381,
        ("hoyle-nytimes", "npmi", "intrusion"): 0.284,
        ("hoyle-wikitext", "c_v", "rating"): 0.415,
        ("hoyle-nytimes", "c_v", "rating"): 0.415,
    }
    for key, rho in published.items():
        assert found[key].value == pytest.approx(rho, abs=5e-4)
        assert found[key].n == 150


def test_missing_data_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MTMBENCH_DATA", raising=False)
    with pytest.raises(InputError, match="--data-dir or MTMBENCH_DATA"):
        read_proxann(None)
    with pytest.raises(InputError, match=r"no folder .*human_hoyle2021"):
        read_hoyle(tmp_path)
    folder = tmp_path / "human_hoyle2021"
    folder.mkdir()
    (folder / "topics_with_human_scores.jsonl.gz").write_bytes(b"not gzip")
    with pytest.raises(InputError, match="is not a whole gzip file"):
        read_hoyle(tmp_path)
