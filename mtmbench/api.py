"""The functions behind ``import mtmbench as mb``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from mtmbench.boards.board import Board
from mtmbench.boards.rating_figures import plot_ratings
from mtmbench.boards.steering import Steering
from mtmbench.core.card_files import load_suite, override_suite
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError
from mtmbench.core.specs import DEFAULT_ENCODER, LabelChoice, WordSpec
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, Views
from mtmbench.corpora import load
from mtmbench.features.views import make_views
from mtmbench.judges.panel import Consultation, Panel
from mtmbench.judges.topic_writer import JudgeWriter
from mtmbench.matches.judgement import Judgement, judge
from mtmbench.models.registry import MODELS, load_model_card
from mtmbench.steering.texts import steer

if TYPE_CHECKING:
    import pandas as pd

    from mtmbench.engine.ray.pool import RayOptions
    from mtmbench.engine.slurm.pool import SlurmOptions
    from mtmbench.features.base import FeatureSource
    from mtmbench.models.base import TopicModel
    from mtmbench.stats.rate import TieModel

__all__ = [
    "Board", "Judgement", "Steering", "compare", "judge", "load_corpus", "model", "plot_ratings",
    "rate", "run", "score", "steer", "topics", "views",
]  # fmt: skip

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _with_warnings(loader: Callable[_P, Corpus]) -> Callable[_P, Corpus]:
    """Makes a loader warn of what a corpus left out, which the command line prints."""

    @wraps(loader)
    def loaded(*args: _P.args, **options: _P.kwargs) -> Corpus:
        corpus = loader(*args, **options)
        for note in load.corpus_notes(corpus):
            warnings.warn(note, stacklevel=2)
        return corpus

    return loaded


load_corpus = _with_warnings(load.load_corpus)


def views(
    corpus: Corpus,
    features: str | FeatureSource | None = "minilm",
    *,
    params: Mapping[str, Any] | None = None,
    setting: str = "default",
    max_tokens: int | None = None,
    words: WordSpec | None = None,
    labels: LabelChoice = "auto",
    encoder: str = DEFAULT_ENCODER,
    judge: str | Path | None = None,
    answers: str | Path | None = None,
    budget: float | None = None,
) -> Views:
    """Returns the views of a corpus; each is made when it is first asked for.

    Args:
        corpus: the texts.
        features: a feature source, or its registered name; None for no SAE features.
        params: arguments of the feature source that is named, as in a suite's ``features.params``.
        setting: the feature setting, such as "default" or "paper".
        max_tokens: documents are cut to this many tokens before features are counted.
        words: the word tokenisation; the corpus's own by default.
        labels: what features are called: by "corpus", the words at which they fire in it, of which
            :func:`judge` shows a document only those that other documents gave; as the SAE came,
            "shipped"; or "auto", the labels that a judge scored where the SAE has such, else the
            corpus's.
        encoder: what embeds the documents: all-MiniLM-L6-v2, or a folder in sentence-transformers'
            own format, or a hub id.
        judge: the judge card, by name or path, of models that ask one.
        answers: the file in which its answers are kept, made if it is not there; what is answered
            there is not asked again.
        budget: what they may cost, those in ``answers`` among them.

    Raises:
        InputError: there are ``params`` for a source that was made already, or the source does not
            tell where features fire, so that a corpus gives no labels.
        UnknownNameError: no feature source has this name, or it has no such setting.
    """
    made = make_views(
        corpus, words=words, source=features, params=params, setting=setting,
        max_tokens=max_tokens, labels=labels, encoder=encoder,
    )  # fmt: skip
    if judge is None:
        return made

    def consult(card: str, job: Consultation[_T]) -> _T:
        with Panel(None if answers is None else Path(answers), budget=budget) as panel:
            return panel.consult(card, job)

    return made.asking(JudgeWriter(str(judge), consult))


def model(name: str, /, **params: Any) -> TopicModel:
    """Returns an unfitted model: its card's parameters, then ``params``.

    Raises:
        UnknownNameError: no such model or card; the nearest is named.
        TypeError: the model has no such parameter.
    """
    card = load_model_card(name)
    return MODELS.get(card.model)(**{**card.params, **params})


def score(result: TopicResult, corpus: Corpus, views: Views | None = None) -> pd.DataFrame:
    """Computes every metric that one result and its corpus allow.

    Returns:
        One row per metric, view and setting: ``metric``, ``view``, ``params``, ``value``,
        ``reason`` (why a value is missing), and what it leaves out: ``n_out_of_vocabulary``,
        ``n_topics_without_value``, ``note``.
    """
    from mtmbench.metrics.score import score_result

    return score_result(result, corpus, views)


def topics(result: TopicResult, n: int = 10, views: Views | None = None) -> pd.DataFrame:
    """Tells of the topics of a result, one row a topic.

    Args:
        result: the topics.
        n: items, and words, a topic at most.
        views: the views that it was fitted on; where they have words, so has the table.

    Returns:
        ``topic``, k from 0; ``share``, its mean θ over all documents; ``items``, its top items;
        ``words``, the words that best tell it apart (see
        :func:`mtmbench.metrics.projected.projected_words`), with ``views`` of a corpus whose words
        can be told apart; ``summary``, where the
        result has summaries. ``attrs["outlier_share"]`` is the share of documents that the model
        assigned to no topic, None where it has no such notion.

    Raises:
        InputError: ``n`` is below 1, or the views are of another corpus.
    """
    import pandas as pd

    if not isinstance(n, int) or n < 1:
        raise InputError(f"n must be a whole number of at least 1, not {n!r}")
    columns: dict[str, Any] = {
        "topic": range(result.n_topics),
        "share": result.shares,
        "items": [", ".join(labels) for labels in result.top_labels(n)],
    }
    if views is not None:
        result.check_corpus(views.corpus)
        from mtmbench.features.words import why_no_words

        if why_no_words(views.corpus) is None and views.words is not None:
            from mtmbench.metrics.projected import projected_words

            words, _ = projected_words(result.doc_topic, views.words, n)
            columns["words"] = [", ".join(row) for row in words]
    if result.summaries is not None:
        columns["summary"] = result.summaries
    frame = pd.DataFrame(columns)
    outlier = result.outlier
    frame.attrs["outlier_share"] = None if outlier is None else float(outlier.mean())
    return frame


def rate(
    comparisons: pd.DataFrame | str | Path,
    *,
    ties: TieModel = "half",
    confidence: float = 0.95,
    bootstrap: int = 1000,
) -> pd.DataFrame:
    """Rates competitors from pairwise comparisons of whatever, by Bradley-Terry with intervals.

    A frame has the table of the file that holds its rows, and the same rows always have the same.

    Args:
        comparisons: a frame, or a file (CSV, ``.jsonl``, a ``.json`` list, each maybe gzipped),
            with columns ``a``, ``b`` and ``outcome`` (``a``, ``b`` or ``tie``), or ``model_a``,
            ``model_b`` and ``winner`` (``model_a``, ``model_b``, ``tie``, ``tie (bothbad)`` or
            ``tie (inconsistent)``). Rows of one value of the optional column ``cluster`` are
            resampled together; without it every row is by itself. A row whose optional column
            ``weight`` or ``count`` holds w is w identical comparisons of one cluster. Other columns
            are not read.
        ties: "half" counts a tie as half a win for each; "davidson" fits Davidson's model.
        confidence: level of the intervals.
        bootstrap: number of resamples; of more than 250 competitors nothing is drawn, and intervals
            are the sandwich estimator's.

    Returns:
        The table of ``mtmbench rate``, strongest first: ``name``, ``ability`` (natural log, mean
        zero), ``elo`` with ``lo`` and ``hi``, ``rank``, ``wins``, ``losses``, ``ties``, and
        ``reason``, why something is missing. ``attrs["confidence"]`` is the intervals' level,
        ``attrs["n_clusters"]`` how many clusters they rest on; ``attrs["tie_parameter"]`` is
        Davidson's ν, None without his model; ``attrs["intervals"]`` is "sandwich" where there were
        too many competitors for a bootstrap, ``attrs["unread"]`` lists columns that were not read,
        and ``attrs["weightless"]`` names that stand only in rows of weight 0.
        :func:`plot_ratings` draws the table.

    Raises:
        InputError: a column is missing or holds a wrong value, the message names row and value; or
            a setting is wrong.
        UnknownNameError: there is no such model of ties.
        NotRateableError: the outcomes do not determine ratings; the message names who is cut off.
    """
    import pandas as pd

    from mtmbench.stats.pairwise_file import rate_file, rate_frame, rating_rows
    from mtmbench.stats.rate import RatingRow

    if isinstance(comparisons, pd.DataFrame):
        table = rate_frame(comparisons, ties=ties, confidence=confidence, n_bootstrap=bootstrap)
    else:
        path = Path(comparisons)
        table = rate_file(path, ties=ties, confidence=confidence, n_bootstrap=bootstrap)
    rows = [{"reason": None, **row} for row in rating_rows(table)]
    frame = pd.DataFrame(rows, columns=[field.name for field in fields(RatingRow)])
    frame["rank"] = frame["rank"].astype("Int64")  # a rank may be missing, and stays whole
    frame.attrs.update(
        confidence=table.confidence, n_clusters=table.n_clusters,
        tie_parameter=table.tie_parameter,
    )  # fmt: skip
    if table.intervals != "bootstrap":
        frame.attrs["intervals"] = table.intervals
    if table.unread:
        frame.attrs["unread"] = list(table.unread)
    if table.weightless:
        frame.attrs["weightless"] = list(table.weightless)
    return frame


def compare(
    old: str | Path | Board, new: str | Path | Board, tolerances: str | Path | None = None
) -> pd.DataFrame:
    """Compares two boards: what moved, whether for the worse, and whether it counts.

    Args:
        old: the board to hold to: a folder, a ``board.json``, or a board as played.
        new: the board in question.
        tolerances: a TOML file of tolerances by metric; the built-in ones by default.

    Returns:
        One row a change, the gravest first: ``outcome`` ("not comparable", "regression",
        "improvement", "moved" within tolerance, "new"), ``what``, ``old``, ``new``, ``allowed``,
        ``note``. ``attrs`` hold ``n_compared``, the rows that stand on both boards, and
        ``exit_code``, that of ``mtmbench compare``: 0; 1 on a regression; 3 if they are not
        comparable.

    Raises:
        InputError: a file is missing or not what it should be; the message names it.
        UnknownNameError: the tolerances name a metric or a model that is nowhere known.
    """
    import pandas as pd

    from mtmbench.boards.compare import Change, compare_files

    comparison = compare_files(old, new, tolerances)
    rows = [vars(row) for row in comparison.rows]
    frame = pd.DataFrame(rows, columns=[field.name for field in fields(Change)])
    frame.attrs.update(n_compared=comparison.n_compared, exit_code=comparison.exit_code)
    return frame


def run(
    suite: str | Path | Suite,
    out: str | Path | None = None,
    *,
    models: Sequence[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    workers: int | None = None,
    data_dir: str | Path | None = None,
    plugins: Sequence[str] = (),
    executor: RayOptions | SlurmOptions | None = None,
    budget: float | None = None,
    limit: int | None = None,
    log: Sequence[str] = (),
) -> Board:
    """Plays a suite, or what is left of it, and returns its board; with ``[tuning]`` tunes first.

    Args:
        suite: a suite's name, its file, or a :class:`~mtmbench.core.cards.Suite`.
        out: the run's folder, by default ``runs/<suite>``.
        models: plays these models instead of the suite's.
        overrides: dotted keys of the suite and their values.
        workers: processes; None takes every core, 0 plays in this process.
        data_dir: folder of local corpora.
        plugins: files or modules that register more models, metrics or judges.
        executor: a :class:`~mtmbench.engine.ray.pool.RayOptions` plays on that cluster, a
            :class:`~mtmbench.engine.slurm.pool.SlurmOptions` in Slurm jobs; None plays on this
            machine.
        budget: what language models' answers in this folder may cost altogether, those
            of its tuning among them.
        limit: plays a sample of so many documents of each corpus; see
            :meth:`~mtmbench.core.cards.Suite.limited`.
        log: loggers that are told of the run, such as "wandb".

    Raises:
        StoreInUseError: another run holds the folder.
        InputError: the suite names what does not exist, or a limited one's folder holds another.
    """
    from mtmbench.core.plugins import load_plugins
    from mtmbench.engine.apart import check_apart
    from mtmbench.engine.harness import run_suite
    from mtmbench.judges.ledger import left_of
    from mtmbench.publishing.loggers import Loggers
    from mtmbench.tuning.suite import tune_suite

    load_plugins(plugins)
    asked = {**(overrides or {}), **({} if models is None else {"models": list(models)})}
    resolved = (
        override_suite(suite, asked) if isinstance(suite, Suite) else load_suite(str(suite), asked)
    )
    if limit is not None:
        resolved = resolved.limited(limit)
    folder = Path(out) if out is not None else Path("runs") / resolved.name
    if limit is not None:
        check_apart(folder, resolved)
    data = None if data_dir is None else Path(data_dir)
    told = Loggers(log, resolved, lambda text: warnings.warn(text, stacklevel=2))
    if resolved.tunes_first:
        resolved = told.suite = tune_suite(
            resolved, folder / "tuning", workers=workers, plugins=plugins, data_dir=data,
            executor=executor, budget=left_of(budget, folder),
        ).suite  # fmt: skip
        budget = left_of(budget, folder / "tuning")
    with told as loggers:
        outcome = run_suite(
            resolved, folder, workers=workers, plugins=plugins, data_dir=data, executor=executor,
            budget=budget, progress=loggers.beside(None),
        )  # fmt: skip
        loggers.played(outcome)
    return Board.read(folder)
