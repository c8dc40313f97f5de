"""Plays a study as a suite, then tells it: ``study.json`` and the pages made from it alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mtmbench.core.card_reading import parse_card, set_dotted
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError
from mtmbench.core.specs import KSpec
from mtmbench.core.store import read_records
from mtmbench.core.tables import write_files
from mtmbench.engine.harness import RunOutcome, RunProgress, run_suite
from mtmbench.engine.plan import Plan, make_plan
from mtmbench.features.base import FeatureSource
from mtmbench.features.registry import FEATURES
from mtmbench.metrics.registry import METRICS
from mtmbench.studies.design import STUDY_METRICS, Design, MakeSource, make_design
from mtmbench.studies.firings import count_firings
from mtmbench.studies.rows import Setting, SettingStudy
from mtmbench.studies.tables import study_json

_DEFAULT_CORPORA = ("20ng", "bills")
_DEFAULT_MODELS = ("mlda", "metm")
_DEFAULT_REFERENCE = "lda"
_DEFAULT_SEEDS = 5
_MAX_TOKENS = 512
"""Tokens to which documents are cut, as in the committed boards; overridden like any key."""


@dataclass(frozen=True)
class StudyOutcome:
    """What a study left behind.

    Attributes:
        folder: where records and pages lie.
        study: the content of ``study.json``.
        run: what was played, what was there already, and what failed.
        files: the files written.
    """

    folder: Path
    study: SettingStudy
    run: RunOutcome
    files: tuple[Path, ...]


def run_study(
    name: str,
    corpora: Sequence[str] = (),
    *,
    source: str = "minilm",
    models: Sequence[str] = _DEFAULT_MODELS,
    reference: str | None = _DEFAULT_REFERENCE,
    seeds: int = _DEFAULT_SEEDS,
    k: KSpec = "labels",
    out: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    data_dir: Path | None = None,
    plugins: Sequence[str] = (),
    workers: int | None = None,
    progress: RunProgress | None = None,
) -> StudyOutcome:
    """Plays what is left of a study and writes its table, its plot and its findings.

    Everything goes through :func:`~mtmbench.engine.harness.run_suite`: interrupted, the same call
    goes on where it stopped, and the files depend on the records alone.

    Args:
        name: "threshold", "layer", "filters" or "width".
        corpora: names, files or folders; 20ng and bills by default.
        source: a registered feature source.
        models: models over features.
        reference: a model over words to draw beside them, or None.
        seeds: number of seeds, 0 to n − 1; below 2 there are no intervals.
        k: number of topics, or "labels".
        out: the study's folder, by default ``runs/studies/NAME``.
        overrides: dotted keys of the suite behind the study and their values
            (``features.params.saes``, ``features.max_tokens``, ``words.min_df``, …).
        data_dir: folder of local corpora.
        plugins: files or modules that register more models, corpora or feature sources.
        workers: processes; None takes every core, 0 plays in this process.
        progress: told what is happening.

    Raises:
        InputError: a name is not known, a model reads no features, the source cannot carry the
            study, or a corpus has no labels while k is "labels".
        StoreInUseError: another run holds the folder.
    """
    from mtmbench.core.plugins import load_plugins
    from mtmbench.studies.pages import study_files

    load_plugins(plugins)
    bare = _suite(name, corpora, source, models, reference, seeds, k, overrides)
    design = make_design(name, source_maker(bare))
    suite = _with_settings(bare, design)
    plan = plan_study(suite, data_dir, plugins)
    folder = out or Path("runs") / "studies" / name
    outcome = run_suite(
        suite, folder, data_dir=data_dir, plugins=plugins, workers=workers, progress=progress,
        plan=plan,
    )  # fmt: skip
    firings = count_firings(plan, design, folder)
    study = study_json(design, plan, read_records(folder / "records.jsonl"), firings, reference)
    return StudyOutcome(folder, study, outcome, tuple(write_files(folder, study_files(study))))


def _suite(
    name: str,
    corpora: Sequence[str],
    source: str,
    models: Sequence[str],
    reference: str | None,
    seeds: int,
    k: KSpec,
    overrides: Mapping[str, object] | None,
) -> Suite:
    if isinstance(seeds, bool) or seeds < 1:
        raise InputError(f"a study needs at least one seed, not {seeds!r}")
    players = [*models, *([] if reference in (None, *models) else [reference])]
    data: dict[str, object] = {
        "name": f"study-{name}",
        "corpora": list(corpora or _DEFAULT_CORPORA),
        "models": players,
        "k": [k],
        "seeds": list(range(seeds)),
        "metrics": [metric.name for metric in STUDY_METRICS],
        "words": {"min_df": 5},
        "features": {"source": source, "max_tokens": _MAX_TOKENS},
    }
    for key, value in (overrides or {}).items():
        set_dotted(data, key, value)
    suite = parse_card(data, Suite, f"study {name!r}")
    _check_models(suite, models, reference)
    return suite


def _check_models(suite: Suite, models: Sequence[str], reference: str | None) -> None:
    from mtmbench.models.registry import MODELS, load_model_card

    if not models:
        raise InputError("a study needs at least one model over features, such as mlda")
    for name in suite.models:
        needs = MODELS.get(load_model_card(name).model).needs
        if name in models and "features" not in needs:
            raise InputError(
                f"model {name!r} reads no SAE features, so no feature setting can change it; "
                "give it as the reference instead"
            )
        if name == reference and name not in models and "features" in needs:
            raise InputError(f"the reference {name!r} reads SAE features; give a model over words")


def source_maker(suite: Suite) -> MakeSource:
    """Returns what makes the suite's feature source with further settings."""
    features = suite.features
    given = dict(features.params)
    further = dict(given.pop("settings", None) or {})

    def make(settings: Mapping[str, Setting]) -> FeatureSource:
        more = {**further, **settings}
        return FEATURES.get(features.source)(**given, **({"settings": more} if more else {}))

    return make


def _with_settings(suite: Suite, design: Design) -> Suite:
    params = dict(suite.features.params)
    params["settings"] = {**(params.get("settings") or {}), **design.settings()}
    features = suite.features.model_copy(
        update={"settings": tuple(point.name for point in design.points), "params": params}
    )
    return suite.model_copy(
        update={
            "title": f"Study: {design.name}",
            "description": design.question,
            "features": features,
        }
    )


def plan_study(suite: Suite, data_dir: Path | None, plugins: Sequence[str]) -> Plan:
    """Plans the suite with one variant of each metric, and none of labels where there are none.

    A study shows no topics and none of its metrics reads what features are called.
    """
    plan = make_plan(suite, data_dir=data_dir, plugins=plugins)
    wanted = {metric.name: metric for metric in STUDY_METRICS}
    kept = []
    for cell in plan.metrics:
        metric = wanted[cell.metric]
        played = cell.view == metric.view and cell.params == METRICS.get(metric.name).variants[0]
        if played and (plan.corpora[cell.fit.corpus].n_labels or not metric.needs_labels):
            kept.append(cell)
    return replace(plan, metrics=tuple(kept), labels=())
