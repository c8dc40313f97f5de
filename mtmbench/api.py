"""The functions behind ``import mtmbench as mb``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtmbench.core.card_files import load_suite
from mtmbench.core.cards import Suite, WordSpec
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, Views
from mtmbench.corpora.load import load_corpus
from mtmbench.features.views import make_views
from mtmbench.models.registry import MODELS, load_model_card

if TYPE_CHECKING:
    import pandas as pd

    from mtmbench.boards.rows import BoardTables
    from mtmbench.engine.ray.pool import RayOptions
    from mtmbench.models.base import TopicModel

__all__ = ["Board", "load_corpus", "model", "run", "score", "views"]


def views(
    corpus: Corpus,
    features: str | None = "minilm",
    *,
    setting: str = "default",
    max_tokens: int | None = None,
    words: WordSpec | None = None,
) -> Views:
    """Returns the views of a corpus; each is made when it is first asked for.

    Args:
        corpus: the texts.
        features: a registered feature source, or None for no SAE features.
        setting: the feature setting, such as "default" or "paper".
        max_tokens: documents are cut to this many tokens before features are counted.
        words: the word tokenisation.
    """
    return make_views(
        corpus, words=words or WordSpec(), source=features, setting=setting, max_tokens=max_tokens
    )


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
        ``reason`` (why a value is missing).
    """
    from mtmbench.metrics.score import score_result

    return score_result(result, corpus, views)


@dataclass(frozen=True)
class Board:
    """A leaderboard as played.

    Attributes:
        data: the content of ``board.json``.
        folder: where the board's files lie.
    """

    data: BoardTables
    folder: Path

    @property
    def ratings(self) -> pd.DataFrame:
        """One row per judge, corpus, K, representation and model, best first."""
        import pandas as pd

        frame = pd.DataFrame(self.data["ratings"])
        if frame.empty:
            return frame
        return frame.sort_values(
            ["judge", "corpus", "representation", "elo"], ascending=[True, True, True, False]
        ).reset_index(drop=True)

    @property
    def metrics(self) -> pd.DataFrame:
        """One row per model, corpus, K and metric; the mean over seeds with its interval."""
        import pandas as pd

        return pd.DataFrame(self.data["metrics"])


def run(
    suite: str | Path | Suite,
    out: str | Path | None = None,
    *,
    models: Sequence[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    workers: int | None = None,
    data_dir: str | Path | None = None,
    plugins: Sequence[str] = (),
    executor: RayOptions | None = None,
    budget: float | None = None,
) -> Board:
    """Plays a suite, or what is left of it, and returns its board.

    Args:
        suite: a suite's name, its file, or a :class:`~mtmbench.core.cards.Suite`.
        out: the run's folder, by default ``runs/<suite>``.
        models: plays these models instead of the suite's.
        overrides: dotted keys of the suite file and their values.
        workers: processes; None takes every core, 0 plays in this process.
        data_dir: folder of local corpora.
        plugins: files or modules that register more models, metrics or judges.
        executor: a :class:`~mtmbench.engine.ray.pool.RayOptions` plays on that cluster; None plays
            on this machine.
        budget: what language models' answers in this folder may cost altogether.

    Raises:
        StoreInUseError: another run holds the folder.
        InputError: the suite names what does not exist.
    """
    import json

    from mtmbench.engine.harness import run_suite

    resolved = suite if isinstance(suite, Suite) else load_suite(str(suite), overrides)
    if models is not None:
        resolved = resolved.model_copy(update={"models": tuple(models)})
    folder = Path(out) if out is not None else Path("runs") / resolved.name
    run_suite(
        resolved, folder, workers=workers, plugins=plugins,
        data_dir=None if data_dir is None else Path(data_dir), executor=executor, budget=budget,
    )  # fmt: skip
    return Board(json.loads((folder / "board.json").read_text(encoding="utf-8")), folder)
