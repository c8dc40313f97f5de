"""Trials of one tuning: Optuna draws them, stops the hopeless ones and keeps them in a file.

What is drawn follows from the seed, the number of trials that have ended and what came of them, so
that a tuning that was killed goes on as if it had not been, and one of more trials goes on from one
of fewer.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash
from mtmbench.core.tuning import Choice, Search
from mtmbench.tuning.space import distributions, spread

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage

SPREAD_TRIALS = 8
"""So many are spread over the space before TPE, which models what came of them, draws."""

SPARED_TRIALS = 4
"""So many are scored under every seed before the median of such stops one."""

_ATTEMPTS = 20
"""So often is another setting looked for where one was tried already, half of them at random."""

_CAME_TO = "came to"

State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Score:
    """The value of one setting under one seed, or why there is none, what it took, topics found."""

    value: float | None
    reason: str | None = None
    seconds: float = 0.0
    topics: int | None = None


@dataclass(frozen=True)
class TrialRow:
    """What came of one trial: its values under the first of the seeds, all of them if complete."""

    number: int
    params: Mapping[str, Choice]
    state: State
    values: tuple[float, ...]
    seconds: float
    reason: str | None = None
    topics: float | None = None


class Trials:
    """The trials of one tuning.

    The first are spread (:func:`~mtmbench.tuning.space.spread`), the others drawn by TPE (Bergstra,
    Bardenet, Bengio and Kégl 2011). One is stopped after a seed by Optuna's median pruner: where
    the best of its running means so far is worse than the median of complete trials' after as many
    seeds (after Golovin et al. 2017, "Google Vizier", 3.2).

    Args:
        file: where Optuna keeps them.
        identity: tells this tuning from others in the file.
        search: what each parameter may be.
        maximise: whether higher values are better.
        seed: of what is drawn.

    Raises:
        InputError: the file is not one of its journals.
    """

    def __init__(
        self,
        file: Path,
        identity: str,
        search: Mapping[str, Search],
        *,
        maximise: bool,
        seed: int,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._search, self._seed = search, seed
        self._space = distributions(search)
        self._open: dict[int, tuple[Trial, list[Score]]] = {}
        try:
            self._study: Study = optuna.create_study(
                storage=_journal(file),
                study_name=identity,
                direction="maximize" if maximise else "minimize",
                pruner=optuna.pruners.MedianPruner(SPARED_TRIALS, n_warmup_steps=0),
                load_if_exists=True,
            )
        except (ValueError, KeyError) as error:
            raise InputError(f"{file} is no journal of Optuna's ({error}); remove it") from error
        # What was under way when a run was killed is drawn again, and TPE never looks at failures.
        for trial in self._study.get_trials(deepcopy=False):
            if not trial.state.is_finished():
                self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)

    def ended(self) -> list[TrialRow]:
        """Returns the trials that have ended, in the order in which they were drawn."""
        from optuna.trial import TrialState

        rows: list[TrialRow] = []
        for trial in self._study.get_trials(deepcopy=False):
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
                told = trial.user_attrs[_CAME_TO]
                rows.append(
                    TrialRow(
                        len(rows), dict(trial.params), told["state"], tuple(told["values"]),
                        told["seconds"], told["reason"], told["topics"],
                    )
                )  # fmt: skip
        return rows

    def draw(self, n: int) -> list[int]:
        """Draws ``n`` trials at once; returns what to call them until :meth:`end`.

        A setting that was tried is drawn again only where chance finds no other.
        """
        from optuna.trial import TrialState

        done = len(self.ended())
        drawn = []
        known = [row.params for row in self.ended()]
        for nth in range(done, done + n):
            for attempt in range(_ATTEMPTS):
                self._study.sampler = self._sampler(nth, attempt, at_once=n > 1)
                trial = self._study.ask(self._space)
                if trial.params not in known or attempt == _ATTEMPTS - 1:
                    break
                self._study.tell(trial, state=TrialState.FAIL)
            known.append(dict(trial.params))
            self._open[trial.number] = trial, []
            drawn.append(trial.number)
        return drawn

    def _sampler(self, nth: int, attempt: int, *, at_once: bool) -> BaseSampler:
        """Returns what draws one trial, the same whatever was drawn in this process."""
        import optuna

        seed = int(content_hash("trial", self._seed, nth, attempt)[:8], 16)
        if attempt >= _ATTEMPTS // 2:
            return optuna.samplers.RandomSampler(seed)

        samplers = optuna.samplers
        with warnings.catch_warnings():
            # Both of what is called experimental: fixed values, and constant_liar, which keeps
            # trials at once apart.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            if nth < SPREAD_TRIALS and not attempt:
                values = spread(self._search, nth, SPREAD_TRIALS, self._seed)
                return samplers.PartialFixedSampler(values, samplers.RandomSampler())
            return samplers.TPESampler(
                n_startup_trials=SPREAD_TRIALS, seed=seed, constant_liar=at_once
            )

    def params(self, drawn: int) -> dict[str, Choice]:
        """Returns the parameters of a trial that was drawn."""
        return dict(self._open[drawn][0].params)

    def goes_on(self, drawn: int, score: Score) -> bool:
        """Takes the value under one more seed; says whether the trial is worth the next one."""
        trial, scores = self._open[drawn]
        scores.append(score)
        if score.value is None:
            return False
        trial.report(fmean(_values(scores)), step=len(scores) - 1)
        return not trial.should_prune()

    def end(self, drawn: Sequence[int], n_seeds: int) -> None:
        """Ends trials that were drawn at once; those without ``n_seeds`` values were stopped."""
        from optuna.trial import TrialState

        for number in drawn:
            trial, scores = self._open.pop(number)
            values = _values(scores)
            failed = scores[-1].value is None
            state: State = (
                "failed" if failed else "complete" if len(values) == n_seeds else "pruned"
            )
            # One entry, since every one is written to the disk at once.
            trial.set_user_attr(
                _CAME_TO,
                {
                    "state": state,
                    "values": values,
                    "seconds": sum(score.seconds for score in scores),
                    "reason": scores[-1].reason,
                    "topics": topics_of(scores),
                },
            )
            if state == "complete":
                self._study.tell(trial, fmean(values))
            else:
                # Of a failed one TPE is told too, so that it keeps away from such parameters.
                self._study.tell(trial, state=TrialState.PRUNED)


def _journal(file: Path) -> BaseStorage:
    """Returns Optuna's storage in a file that this process alone writes.

    The run store holds the folder's lock. Optuna's own would outlive a kill, and under a relative
    path it is then waited for without end.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    class Unlocked(JournalFileOpenLock):
        def acquire(self) -> bool:
            return True

        def release(self) -> None:
            pass

    if file.is_file() and not (held := file.read_bytes()).endswith(b"\n"):
        # A line that was cut short by a full disk or a lost machine would spoil the next one.
        file.write_bytes(held[: held.rfind(b"\n") + 1])
    return JournalStorage(JournalFileBackend(str(file), lock_obj=Unlocked(str(file))))


def topics_of(scores: Sequence[Score]) -> float | None:
    """Returns how many topics were found, the mean over seeds."""
    found = [score.topics for score in scores if score.topics is not None]
    return fmean(found) if found else None


def _values(scores: Sequence[Score]) -> list[float]:
    return [score.value for score in scores if score.value is not None]
