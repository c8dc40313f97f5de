"""``study k``: models over the number of topics, every measure with its interval over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtmbench.core.store import read_records
from mtmbench.core.tables import write_files
from mtmbench.engine.harness import RunOutcome, RunProgress, run_suite
from mtmbench.studies.flows import topic_flows
from mtmbench.studies.k_design import k_suite, plan_k_study
from mtmbench.studies.k_pages import k_figure, k_study_files
from mtmbench.studies.k_rows import KStudyTables
from mtmbench.studies.k_tables import k_study_json

CORPORA = ("20ng", "bills")
_MODELS = ("lda", "k_means")
KS = (5, 10, 20, 50, 100, 200)
_PLOT = "study.png"


@dataclass(frozen=True)
class KStudy:
    """What :func:`run_k_study` left behind.

    Attributes:
        folder: where records and pages lie.
        study: the content of ``study.json``.
        run: what was played, what was there already, and what failed.
        files: the files written.
    """

    folder: Path
    study: KStudyTables
    run: RunOutcome
    files: tuple[Path, ...]


def run_k_study(
    corpora: Sequence[str] = (),
    *,
    models: Sequence[str] = _MODELS,
    ks: Sequence[int] = KS,
    seeds: int = 5,
    judge: str | None = "embedding",
    out: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    data_dir: Path | None = None,
    plugins: Sequence[str] = (),
    workers: int | None = None,
    progress: RunProgress | None = None,
    budget: float | None = None,
) -> KStudy:
    """Plays what is left of the study and writes its tables, plots, flows and findings.

    Interrupted, the same call goes on where it stopped.

    Args:
        corpora: names, files or folders; 20ng and bills by default.
        models: any models.
        ks: numbers of topics, at least two.
        seeds: number of seeds, 0 to n − 1; below 2 there are no intervals, below 3 none of
            stability.
        judge: the card before which each K of a model plays each other K of it, or None.
        out: the study's folder, by default ``runs/studies/k``.
        overrides: dotted keys of the suite behind the study and their values.
        data_dir: folder of local corpora.
        plugins: files or modules that register more models, corpora or judges.
        workers: processes; None takes every core, 0 plays in this process.
        progress: told what is happening.
        budget: what a language model's answers in this folder may cost altogether.

    Raises:
        InputError: a name is not known, or the study cannot be laid out; the message says why.
        StoreInUseError: another run holds the folder.
    """
    from mtmbench.core.plugins import load_plugins

    load_plugins(plugins)
    suite = k_suite(corpora or CORPORA, models, ks, seeds, judge, overrides)
    plan = plan_k_study(suite, data_dir, plugins)
    folder = out or Path("runs") / "studies" / "k"
    outcome = run_suite(
        suite, folder, data_dir=data_dir, plugins=plugins, workers=workers, progress=progress,
        plan=plan, budget=budget,
    )  # fmt: skip
    flows = topic_flows(plan, folder)
    study = k_study_json(plan, list(read_records(folder / "records.jsonl")), flows)
    files = write_files(folder, k_study_files(study))
    if any(row["mean"] is not None for row in study["rows"]):
        # Without the version of matplotlib, the same figure is the same bytes for longer.
        k_figure(study).savefig(folder / _PLOT, dpi=120, metadata={"Software": None})
        files.append(folder / _PLOT)
    return KStudy(folder, study, outcome, tuple(files))
