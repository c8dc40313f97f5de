"""What ``study k`` plays: models over K, measures of each fit, and each K against every other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

from mtmbench.core.card_reading import parse_card, set_dotted
from mtmbench.core.cards import Suite
from mtmbench.core.cells import FitCell, MatchCell, MetricCell
from mtmbench.core.competitors import Competitor
from mtmbench.core.errors import InputError
from mtmbench.engine.plan import Plan, make_plan
from mtmbench.judges.registry import load_judge_card
from mtmbench.matches.league import LeaguePlan

JUDGE = "judge"
"""The measure that a judge gives."""


@dataclass(frozen=True)
class KMeasure:
    """A measure of the study that is a metric.

    Attributes:
        name: of the metric.
        title: for tables and sentences.
        view: the items that it reads; None for those that read none.
        params: what its parameters must hold among others.
        needs_labels: whether it is played on labelled corpora alone.
        lower: whether lower is better.
    """

    name: str
    title: str
    view: str | None
    params: Mapping[str, object] = field(default_factory=dict)
    needs_labels: bool = False
    lower: bool = False

    def is_of(self, cell: MetricCell) -> bool:
        """Whether a cell's value is this measure."""
        return (cell.metric, cell.view) == (self.name, self.view) and all(
            cell.params.get(name) == value for name, value in self.params.items()
        )


MEASURES = (
    KMeasure("perplexity", "held-out perplexity", "own", lower=True),
    KMeasure("npmi", "document NPMI of projected words", "projected",
             {"window": "document", "version": "exact"}),
    KMeasure("stability", "stability over seeds", "own"),
    KMeasure("nmi", "NMI with the labels", None, needs_labels=True),
)  # fmt: skip
"""In this order; a judge's score comes after them."""


def k_suite(
    corpora: Sequence[str],
    models: Sequence[str],
    ks: Sequence[int],
    seeds: int,
    judge: str | None,
    overrides: Mapping[str, object] | None,
) -> Suite:
    """Returns the suite behind the study.

    Raises:
        InputError: there are fewer than two K, or a seed is none; or an override asks what the
            study does not play.
    """
    if len(set(ks)) < 2:
        raise InputError(f"a study of K needs at least two numbers of topics, not {list(ks)}")
    if isinstance(seeds, bool) or seeds < 1:
        raise InputError(f"a study needs at least one seed, not {seeds!r}")
    data: dict[str, object] = {
        "name": "study-k",
        "title": "Study: number of topics",
        "corpora": list(corpora),
        "models": list(models),
        "k": sorted(set(ks)),
        "seeds": list(range(seeds)),
        "metrics": [measure.name for measure in MEASURES],
        "words": {"min_df": 5},
        "features": {"max_tokens": 512},
    }
    if judge is not None:
        # Words of documents of the other half, so that models compare and none is told by itself.
        data["judging"] = {"judges": [judge], "representations": ["projected"], "seeds": "all"}
    for key, value in (overrides or {}).items():
        set_dotted(data, key, value)
    suite = parse_card(data, Suite, "study 'k'")
    spec = suite.judging
    if spec is not None and (
        len(spec.judges) != 1
        or len(spec.representations) != 1
        or spec.representations[0] not in ("items", "projected")
        or spec.schedule != "uniform"
        or spec.refiner is not None
    ):
        raise InputError(
            "study 'k' has one judge, topics shown by projected words or by items, a uniform "
            "schedule and no refiner; change the judging that --set asks for"
        )
    if len(suite.features.all_settings) > 1:
        raise InputError(
            f"study 'k' plays one feature setting, not {len(suite.features.all_settings)}"
        )
    return suite


def plan_k_study(suite: Suite, data_dir: Path | None, plugins: Sequence[str]) -> Plan:
    """Plans the measures of the study, and each K of a model against every other one, by seed."""
    plan = make_plan(suite, data_dir=data_dir, plugins=plugins)
    kept = tuple(
        cell
        for cell in plan.metrics
        for measure in MEASURES
        if measure.is_of(cell)
        and (plan.corpora[cell.fit.corpus].n_labels or not measure.needs_labels)
    )
    matches = tuple(_matches(plan))
    read = {cell.key for match in matches for cell in match.labels}
    labels = tuple(cell for cell in plan.labels if cell.key in read)
    return replace(plan, metrics=kept, matches=matches, labels=labels, rewrites=())


def _matches(plan: Plan) -> Iterator[MatchCell]:
    """Yields the matches: a league for each corpus and model, whose competitors are its K."""
    spec = plan.suite.judging
    if spec is None:
        return
    (judge,), (representation,) = spec.judges, spec.representations
    card = load_judge_card(judge)
    groups: dict[tuple[str, Competitor], dict[int, list[FitCell]]] = {}
    for fit in plan.fits:
        own = groups.setdefault((fit.corpus, fit.competitor), {})
        own.setdefault(fit.seed, []).append(fit)
    for (corpus, _), by_seed in groups.items():
        for nth, fits in enumerate(by_seed.values()):
            players = [_as_competitor(fit) for fit in fits]
            league = LeaguePlan(
                spec, plan.suite.words, plan.corpora[corpus], players, judge, card,
                representation, (), plan.labels, nth_seed=nth,
            )  # fmt: skip
            for a, b in combinations(players, 2):
                yield league.match(league.sample, a, b, "match")


def _as_competitor(fit: FitCell) -> FitCell:
    """Returns a fit under a name that says its K, in a league of its model's K alone."""
    model = fit.competitor.name
    return replace(fit, model=f"{model}, K = {fit.k}", setting=None, k_spec=f"each of {model}")
