"""How coherence scores agree with people, on the topics that Hoyle et al. (2021) had judged."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING

from mtmbench.core.errors import InputError

if TYPE_CHECKING:
    import pandas

HUMAN_SCORES = {"rating": "ratings_scores_avg", "intrusion": "intrusion_scores_avg"}
STORED_SCORES = {
    "npmi": "c_npmi_10_full",
    "c_v": "c_v_full",
    "uci": "c_uci_full",
    "u_mass": "u_mass_full",
}


def human_correlations(path: Path) -> pandas.DataFrame:
    """Returns Spearman's ρ of stored coherence scores with mean human scores, per data set.

    Args:
        path: ``topics_with_human_scores.jsonl.gz`` (or ``.jsonl``): one topic a line with its
            data set, coherence scores counted on that data set in full, mean human rating and
            share of intruders found.

    Returns:
        Rows of dataset, metric, human ("rating" or "intrusion"), spearman, n_topics.

    Raises:
        InputError: the file cannot be read, or a line is not such a topic; the line is named.
    """
    import pandas
    from scipy.stats import spearmanr

    topics = pandas.DataFrame(_read(path))
    rows = []
    for dataset, group in topics.groupby("dataset", sort=True):
        for metric, stored in STORED_SCORES.items():
            for human, judged in HUMAN_SCORES.items():
                rho = float(spearmanr(group[stored], group[judged]).statistic)
                rows.append((dataset, metric, human, rho, len(group)))
    return pandas.DataFrame(rows, columns=["dataset", "metric", "human", "spearman", "n_topics"])


def _read(path: Path) -> list[dict[str, object]]:
    wanted = {"dataset", *HUMAN_SCORES.values(), *STORED_SCORES.values()}
    opener = gzip.open if path.suffix == ".gz" else open
    topics = []
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                topic = json.loads(line)
                missing = wanted - set(topic)
                if missing:
                    raise InputError(f"{path} line {number} has no {', '.join(sorted(missing))}")
                topics.append({key: topic[key] for key in wanted})
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    if not topics:
        raise InputError(f"{path} holds no topics")
    return topics
