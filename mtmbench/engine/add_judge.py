"""One more judge for a run that is there."""

from __future__ import annotations

from pathlib import Path

from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError
from mtmbench.core.specs import JudgingSpec
from mtmbench.judges.registry import load_judge_card


def with_judge(suite: str, judge: str, out: Path | None) -> tuple[Path, Suite]:
    """Returns a run's folder, and its suite with one more judge.

    Args:
        suite: name of the suite, whose run lies in ``runs``, or a run's folder.
        judge: the judge card.
        out: the run's folder, if it is another.

    Raises:
        InputError: there is no run.
        UnknownNameError: there is no such judge card.
    """
    load_judge_card(judge)
    given = Path(suite)
    folder = out or (given if given.is_dir() else Path("runs") / suite)
    if not (folder / "suite.toml").is_file():
        raise InputError(
            f"there is no run in {folder}; play it first (mtmbench run {suite}), or name its "
            "folder with --out"
        )
    played = read_card(folder / "suite.toml", Suite)
    judging = played.judging or JudgingSpec(judges=())
    if judge in judging.judges:
        return folder, played
    added = judging.model_copy(update={"judges": (*judging.judges, judge)})
    return folder, played.model_copy(update={"judging": added})
