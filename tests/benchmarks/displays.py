"""What a display moves: Elo on quick's corpora when only the named model is shown otherwise.

    python -P tests/benchmarks/displays.py --out DIR [--seeds 5] [--judges embedding embedding-v1]

The models of ``quick`` are fitted under each seed (the folder is resumed), then all pairs are
judged on all documents: models over words by their top items, those over features by items as the
SAE names them. For each of three models of features the league is judged anew with that model alone
shown by labels of the whole corpus, by labels of the half that a document is not in, by projected
words of the whole corpus, and by those of the other half; and once more with all models shown by
each. Elo is pooled over both corpora; a line gives mean and 95 % t-interval over seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from mtmbench.core.card_files import load_suite
from mtmbench.core.specs import JudgingSpec
from mtmbench.core.store import read_records
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.corpora.halves import halves_of
from mtmbench.corpora.load import load_spec
from mtmbench.engine.harness import run_suite
from mtmbench.engine.results import result_path
from mtmbench.features.corpus_labels import CorpusLabels, label_plan
from mtmbench.features.registry import feature_source
from mtmbench.features.words import word_counts
from mtmbench.judges.base import Option
from mtmbench.judges.panel import Panel
from mtmbench.judges.registry import load_judge_card
from mtmbench.matches.match import Pair, Player, fold, judge_pair
from mtmbench.matches.options import Projected, document_options
from mtmbench.metrics.projected import crossed_projection, projected_words
from mtmbench.stats.rate import rate

MOVED = (("mlda", "default"), ("mlda", "paper"), ("metm", "default"))
DISPLAYS = ("shipped", "corpus", "corpus, cross-fitted", "projected", "projected, cross-fitted")
Model = tuple[str, str | None]


@dataclass(frozen=True, eq=False)
class Side:
    """A result, and what is shown of each document in one display."""

    result: TopicResult
    options: list[Option]


Shown = Mapping[tuple[str, Model, str], Side]
"""By corpus, model and display."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table for each judge."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--judges", nargs="+", default=["embedding", "embedding-v1"])
    chosen = parser.parse_args(arguments)
    suite = load_suite("quick").model_copy(
        update={"seeds": tuple(range(chosen.seeds)), "metrics": (), "judging": None}
    )
    run_suite(suite, chosen.out)
    corpora = {corpus.name: corpus for corpus in map(load_spec, suite.corpora)}
    source = feature_source(suite.features.source, suite.features.params)
    labels = {
        (name, setting): plan.make(corpus)
        for name, corpus in corpora.items()
        for setting in suite.features.settings
        for plan in [label_plan(source, "corpus", setting=setting, max_tokens=512)]
        if plan is not None
    }
    fits = [record for record in read_records(chosen.out / "records.jsonl") if record.kind == "fit"]
    elo: dict[tuple[str, str, Model], list[float]] = {}
    for seed in range(chosen.seeds):
        _KNOWN.clear()
        shown: dict[tuple[str, Model, str], Side] = {}
        for fit in fits:
            told: Any = fit.payload
            if told["seed"] == seed:
                model = (str(told["model"]), told["setting"])
                result = TopicResult.load(result_path(chosen.out, fit.key))
                corpus = corpora[str(told["corpus"])]
                made = labels.get((corpus.name, str(model[1])))
                for display, options in displays(corpus, model, result, made).items():
                    shown[corpus.name, model, display] = Side(result, options)
        models = sorted({model for _, model, _ in shown}, key=str)
        for judge in chosen.judges:
            league = partial(ratings, judge, corpora, shown)
            for display in DISPLAYS:
                for model in MOVED:
                    by = {each: display if each == model else "shipped" for each in models}
                    found = league(by)
                    elo.setdefault((judge, display, model), []).append(found[model])
                for model, value in league(dict.fromkeys(models, display)).items():
                    elo.setdefault((judge, f"all {display}", model), []).append(value)
    for (judge, display, model), values in elo.items():
        mean, error = np.mean(values), stats.sem(values) if len(values) > 1 else np.nan
        width = error * stats.t.ppf(0.975, max(len(values) - 1, 1))
        print(f"{judge} | {display} | {' '.join(filter(None, model))} | {mean:.0f} ± {width:.0f}")


def displays(
    corpus: Corpus, model: Model, result: TopicResult, labels: CorpusLabels | None
) -> dict[str, list[Option]]:
    """Returns what a model shows of each document, by display; words are called what they are."""
    show = partial(document_options, rows=range(len(corpus)), name=str(model), spec=JudgingSpec())
    named = result if labels is None else replace(result, items=labels.name_items(result.items, {}))
    counts, halves = word_counts(corpus), halves_of(corpus)
    whole = projected_words(result.doc_topic, counts)
    crossed = crossed_projection(result.doc_topic, counts, halves)
    uncrossed = replace(named, items=replace(named.items, crossed=None))
    return {
        "shipped": show(result, representation="items"),
        "corpus": show(uncrossed, representation="items"),
        "corpus, cross-fitted": show(named, representation="items"),
        "projected": show(
            result, representation="projected", projected=Projected(halves, (whole, whole))
        ),
        "projected, cross-fitted": show(
            result, representation="projected", projected=Projected(halves, crossed)
        ),
    }


def ratings(
    judge: str, corpora: Mapping[str, Corpus], shown: Shown, by: Mapping[Model, str]
) -> dict[Model, float]:
    """Returns each model's Elo in the league in which every model has a display of its own."""
    models = sorted(by, key=str)
    rows: list[tuple[int, int, float, int, int]] = []
    for stratum, (name, corpus) in enumerate(sorted(corpora.items())):
        for i, j in combinations(range(len(models)), 2):
            a, b = (shown[name, models[k], by[models[k]]] for k in (i, j))
            outcome = scores(judge, corpus, a, b)
            rows += [(i, j, score, row, stratum) for row, score in enumerate(outcome)]
    first, second, score, cluster, strata = (np.array(column) for column in zip(*rows, strict=True))
    table = rate(
        [str(model) for model in models], first, second, score, cluster, strata,
        seed=0, n_bootstrap=2,
    )  # fmt: skip
    return {
        model: float(row.elo)
        for model, row in zip(models, table.rows, strict=True)
        if row.elo is not None
    }


@dataclass(frozen=True)
class GivenPair(Pair):
    """A pair whose options are given, of whatever displays."""

    given: tuple[list[Option], list[Option]] = ([], [])

    def options(self) -> tuple[list[Option], list[Option]]:
        return self.given


def scores(judge: str, corpus: Corpus, a: Side, b: Side) -> list[float]:
    """Returns the score of ``a`` on each document; a pair is judged once."""
    key = judge, a, b
    if key not in _KNOWN:
        players = (Player(side.options[0].name, side.result) for side in (a, b))
        pair = GivenPair(corpus, range(len(corpus)), *players, given=(a.options, b.options))
        with Panel() as panel:
            outcome = panel.run(judge_pair(panel.seat(judge, load_judge_card(judge)), pair))
        folded = (fold(*both) for both in zip(outcome.forward, outcome.backward, strict=True))
        _KNOWN[key] = [0.5 if score is None else score for score in folded]
    return _KNOWN[key]


_KNOWN: dict[tuple[str, Side, Side], list[float]] = {}
"""By the sides themselves, which live as long as their scores are kept."""

if __name__ == "__main__":
    main()
