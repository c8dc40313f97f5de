"""The judges' board: ``board.json``, ``.csv`` and ``.md``, one row a figure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from mtmbench.boards.markdown import MarkdownPage
from mtmbench.boards.numbers import estimate, fixed
from mtmbench.boards.spending import lacking_text
from mtmbench.core.errors import InputError
from mtmbench.core.files import read_json_object
from mtmbench.core.tables import ShownTable, csv_text, rounded_row, write_files
from mtmbench.validation.published import SUFFIX
from mtmbench.validation.rows import FigureRow, JudgesBoard, ValidatedJudge
from mtmbench.validation.scores import PEOPLE, Figure

_REFERENCES = (PEOPLE, "npmi", "c_v", "uci", "u_mass")
"""Names that are no judges; a card must not be called so."""
_WARN_UNANSWERED = 0.05

_SCHEMA = 1
_DIGITS = 4
_UNANSWERED = "unanswered"
_TEST = ("advantage", "winning_rate")
_NOTES = (
    "Intervals are 95 %, by bootstrap over topics: estimate ± t(n − 1) · √(n/(n − 1)) · the "
    "bootstrap's standard error, cut at the ends of the scale. They say nothing about other "
    "people or other corpora.",
    "ProxAnn: 24 topics of US bills by three topic models, 7 documents each, 101 respondents who "
    "passed the attention checks. kendall_tau and spearman: of the judge's scores with the mean of "
    "people's, averaged over topics. topic_tau: Kendall's τ over topics, between the judge's and "
    "people's τ with the topic model's assignment. agreement and kappa: whether a document fits "
    "(4 or more), against the rounded mean of people.",
    "advantage: the share of documents (or topics) on which the judge is at least as near to the "
    "other respondents as the respondent it would replace; winning_rate: the share of pseudo-"
    "annotators against whom that is significant at ε = 0.1; from 0.5 on the judge may stand in "
    "for a person (the alternative-annotator test). Ten constructions averaged.",
    f"Judges marked “{SUFFIX.strip(', ')}” are figures of the authors; the same names without the "
    "mark are computed here, from the answers that the authors published. ProxAnn's paper gives "
    "topic_tau as −.18 to .01 for NPMI and .22 to .31 for GPT-4o over its tables. Its code "
    "resamples topics without resampling their coherence, which draws NPMI's τ to zero.",
    "Hoyle et al. (2021): 150 topics a data set by three models. spearman and kendall_tau: over "
    "topics, with people's mean rating or the share of people who found the intruder. kappa: "
    "quadratic weights, people's mean rating rounded. found: the share of intruders that the judge "
    "found, in intrusion tasks of the same kind; those that people were shown are not stored.",
    "A level that equals a person's counts as at least as near, so the test depends on whether a "
    "judge's levels are whole: llama-3.3-70b's advantage on fits is .66 as stored, with levels "
    "like 4.9999998, and .69 with these rounded to six decimals.",
    "A chat judge ranks all documents of a topic in one question; the language models of ProxAnn "
    "compared them in pairs.",
    "A proxy is no language model. Its levels are cosines on a fixed scale, so only their order "
    "means much: its advantage, agreement and kappa suffer from that.",
)


def write_judges_board(
    out: Path,
    rows: Sequence[Figure],
    judges: Sequence[ValidatedJudge],
    references: Sequence[Figure],
) -> tuple[tuple[Path, ...], list[Figure]]:
    """Writes the board; the rows of judges that ``rows`` has nothing of are kept.

    Args:
        out: the folder.
        rows: figures of the judges that were run.
        judges: what is known of each of them, with its name as "judge".
        references: the figures beside which they stand; they replace older ones.

    Returns:
        The files, and all rows of the board.

    Raises:
        InputError: a judge is named as a reference is, or the folder holds another kind of board.
    """
    for judge in judges:
        if judge["judge"] in _REFERENCES or judge["judge"].endswith(SUFFIX):
            raise InputError(f"a judge called {judge['judge']!r} cannot stand on the judges' board")
    path = out / "board.json"
    old_rows, old_judges = read_judges_board(path) if path.is_file() else ([], [])
    known = {judge["judge"] for judge in old_judges} - {judge["judge"] for judge in judges}
    kept = [row for row in old_rows if row.judge in known]
    every = sorted([*kept, *rows, *references], key=_order)
    all_judges = sorted(
        [*(judge for judge in old_judges if judge["judge"] in known), *judges],
        key=lambda judge: judge["judge"],
    )
    rounded = [Figure(**rounded_row(_figure_row(row), _DIGITS)) for row in every]
    return tuple(write_files(out, judges_board_files(rounded, all_judges))), rounded


def judges_board_files(rows: Sequence[Figure], judges: Sequence[ValidatedJudge]) -> dict[str, str]:
    """Returns the contents of the board's files by name; they follow from ``board.json`` alone."""
    board: JudgesBoard = {
        "schema": _SCHEMA, "rows": [_figure_row(row) for row in rows], "judges": judges,
    }  # fmt: skip
    text = json.dumps(board, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return {
        "board.json": text + "\n",
        "board.csv": csv_text([field.name for field in fields(Figure)], board["rows"]),
        "board.md": _markdown(rows, judges),
    }


def read_judges_board(path: Path) -> tuple[list[Figure], list[ValidatedJudge]]:
    """Returns the rows of a ``board.json``, and what it knows of the judges.

    Raises:
        InputError: the file is no judges' board.
    """
    content = read_json_object(path)
    try:
        if content["schema"] != _SCHEMA:
            raise ValueError(f"schema {content['schema']!r}")
        return [Figure(**row) for row in content["rows"]], list(content["judges"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is no judges' board of schema {_SCHEMA}: {error}") from error


def _figure_row(figure: Figure) -> FigureRow:
    return {
        "judge": figure.judge, "dataset": figure.dataset, "task": figure.task,
        "statistic": figure.statistic, "value": figure.value, "lo": figure.lo, "hi": figure.hi,
        "n": figure.n,
    }  # fmt: skip


def _markdown(rows: Sequence[Figure], judges: Sequence[ValidatedJudge]) -> str:
    """Returns the board as Markdown, a table for each data set and task."""
    llms = {judge["judge"] for judge in judges if judge["is_llm"]}
    page = MarkdownPage("Judges against people")
    page.bullets(_NOTES)
    proxies = sorted({judge["judge"] for judge in judges} - llms)
    if proxies:
        page.text(f"Proxies, no language models: {', '.join(proxies)}.")
    for warning in _warnings(rows):
        page.warning(warning)
    for judge in judges:
        if "decoding" in judge and (lacking := lacking_text(judge, judge["decoding"])):
            page.warning(f"{judge['judge']}: {lacking}")
    for dataset, task in sorted({(row.dataset, row.task) for row in rows}):
        shown = [r for r in rows if (r.dataset, r.task) == (dataset, task)]
        shown = [row for row in shown if row.statistic != _UNANSWERED]
        if shown:
            page.heading(f"{dataset}: {task}")
        test = [row for row in shown if row.statistic.startswith(_TEST)]
        agreement = [row for row in shown if row not in test]
        for table in (agreement, test):
            if table:
                page.table(*_table(table))
    return str(page)


def _table(rows: Sequence[Figure]) -> ShownTable:
    statistics = sorted({row.statistic for row in rows}, key=_statistic_order)
    cells = {
        (row.judge, row.statistic): estimate(row.value, row.lo, row.hi, fixed(3), fixed(2))
        for row in rows
    }
    table = [
        [judge, *(cells.get((judge, statistic)) for statistic in statistics)]
        for judge in dict.fromkeys(row.judge for row in rows)
    ]
    return ShownTable(["judge", *statistics], table)


def _warnings(rows: Sequence[Figure]) -> list[str]:
    return [
        f"{row.judge}: {row.value:.1%} of {row.n} replies on the {row.task} of {row.dataset} were "
        "no answer and are left out"
        for row in rows
        if row.statistic == _UNANSWERED and row.value is not None and row.value > _WARN_UNANSWERED
    ]


def _order(row: Figure) -> tuple[str, str, bool, str, tuple[int, str]]:
    # Judges first, each followed by what is published of it; then what is no judge.
    return (
        row.dataset, row.task, row.judge in _REFERENCES, row.judge.lower(),
        _statistic_order(row.statistic),
    )  # fmt: skip


def _statistic_order(statistic: str) -> tuple[int, str]:
    first = ("kendall_tau", "spearman", "topic_tau", "agreement", "kappa", "found")
    return (first.index(statistic) if statistic in first else len(first), statistic)
