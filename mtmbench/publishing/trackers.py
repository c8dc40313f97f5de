"""The loggers that ship: Weights & Biases, MLflow and Trackio, each an extra of its own.

Each is set up as its users do, by its own environment variables or log-in; without any, MLflow and
Trackio keep runs on this machine, and Weights & Biases does with ``WANDB_MODE=offline``. What they
gather by themselves of machine and program is switched off where they let that be done.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mtmbench.core.errors import InputError
from mtmbench.core.tables import columns_of
from mtmbench.publishing.loggers import LoggedBoard, LoggedRun

PROJECT = "mtmbench"
"""Project, or experiment, of runs whose user names no other."""


def _library(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"{name} is not installed ({error}): pip install 'mtmbench[{extra}]'"
        ) from error


def _known(wanted: Mapping[str, object], names: Iterable[str]) -> dict[str, Any]:
    """Returns the settings that this release of a library has."""
    has = set(names)
    return {name: value for name, value in wanted.items() if name in has}


class WandbLogger:
    """Weights & Biases: numbers in the summary, ratings and values as tables.

    ``WANDB_PROJECT``, ``WANDB_ENTITY`` and ``WANDB_MODE`` hold as always.
    """

    def __init__(self) -> None:
        self._wandb = _library("wandb", "wandb")
        self._run: Any = None

    def start(self, run: LoggedRun) -> None:
        """Opens a run."""
        wanted = {
            "console": "off", "disable_git": True, "disable_code": True, "save_code": False,
            "x_disable_meta": True, "x_disable_machine_info": True, "x_disable_stats": True,
            "host": "not told",
        }  # fmt: skip
        settings = self._wandb.Settings(**_known(wanted, self._wandb.Settings.model_fields))
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT), name=run.name, settings=settings,
            config={"suite": dict(run.suite), "versions": dict(run.versions)},
        )  # fmt: skip

    def progress(self, phase: str, done: float, total: float) -> None:
        """Logs the share that is done of a phase."""
        self._run.log({f"progress/{phase}": done / total})

    def finish(self, board: LoggedBoard | None) -> None:
        """Logs the board and closes the run."""
        if board is None:
            self._run.finish(exit_code=1)
            return
        self._run.summary.update({**board.numbers, "errors": board.errors})
        for name, rows in board.tables.items():
            columns, data = columns_of(rows), [list(row.values()) for row in rows]
            # Values may be missing beside those of any type.
            table = self._wandb.Table(columns=columns, data=data, allow_mixed_types=True)
            self._run.log({name: table})
        self._run.finish()


class MlflowLogger:
    """MLflow: numbers as metrics, suite and tables as artifacts.

    ``MLFLOW_TRACKING_URI`` and ``MLFLOW_EXPERIMENT_NAME`` hold as always. In names, characters that
    MLflow does not take are left out.
    """

    def __init__(self) -> None:
        self._mlflow = _library("mlflow", "mlflow")
        self._id = ""

    def start(self, run: LoggedRun) -> None:
        """Opens a run."""
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        self._client = self._mlflow.MlflowClient()
        held = self._client.get_experiment_by_name(experiment)
        number = self._client.create_experiment(experiment) if held is None else held.experiment_id
        self._id = self._client.create_run(number, run_name=run.name).info.run_id
        for name, said in {"suite": run.name, **run.versions}.items():
            self._client.log_param(self._id, name, said)
        self._client.log_dict(self._id, dict(run.suite), "suite.json")

    def progress(self, phase: str, done: float, total: float) -> None:
        """Logs the share that is done of a phase, in hundredths."""
        step = round(100 * done / total)
        self._client.log_metric(self._id, _plain_name(f"progress/{phase}"), done / total, step=step)

    def finish(self, board: LoggedBoard | None) -> None:
        """Logs the board and closes the run."""
        if board is None:
            self._client.set_terminated(self._id, "KILLED")
            return
        entity = self._mlflow.entities.Metric
        found = {**board.numbers, "errors": float(board.errors)}
        metrics = [entity(_plain_name(name), value, 0, 0) for name, value in found.items()]
        for start in range(0, len(metrics), 500):
            self._client.log_batch(self._id, metrics=metrics[start : start + 500])
        for name, rows in board.tables.items():
            # In the form of MLflow's own tables.
            told = {"columns": columns_of(rows), "data": [list(row.values()) for row in rows]}
            self._client.log_dict(self._id, told, f"{name}.json")
        self._client.set_terminated(self._id)


class TrackioLogger:
    """Trackio: numbers as metrics, ratings and values as tables.

    ``TRACKIO_DIR`` and ``TRACKIO_SPACE_ID`` hold as always.
    """

    def __init__(self) -> None:
        self._trackio = _library("trackio", "trackio")
        self._run: Any = None

    def start(self, run: LoggedRun) -> None:
        """Opens a run."""
        wanted = {"embed": False, "auto_log_gpu": False, "auto_log_cpu": False}
        options = _known(wanted, inspect.signature(self._trackio.init).parameters)
        self._run = self._trackio.init(
            project=PROJECT, name=run.name,
            config={"suite": dict(run.suite), "versions": dict(run.versions)}, **options,
        )  # fmt: skip

    def progress(self, phase: str, done: float, total: float) -> None:
        """Logs the share that is done of a phase."""
        self._run.log({f"progress/{phase}": done / total})

    def finish(self, board: LoggedBoard | None) -> None:
        """Logs the board and closes the run."""
        if board is not None:
            import pandas as pd

            tables = {
                name: self._trackio.Table(dataframe=pd.DataFrame(list(rows)))
                for name, rows in board.tables.items()
            }
            self._run.log({**board.numbers, "errors": board.errors, **tables})
        self._run.finish()


def _plain_name(name: str) -> str:
    return " ".join(re.sub(r"[^\w./: -]", "", name).split())
