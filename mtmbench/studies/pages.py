"""The files of a study of settings, each a function of the content of ``study.json`` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtmbench.boards.numbers import fixed, interval, shown, signed, within
from mtmbench.boards.plot import Axis, Chart, ChartPanel, Line, Mark
from mtmbench.core.tables import ShownTable
from mtmbench.stats.paired import ALPHA
from mtmbench.studies.findings import differs, joined
from mtmbench.studies.page import Section, StudyPage, page_files
from mtmbench.studies.rows import (
    Finding,
    FiringsColumn,
    FiringsRow,
    SettingRow,
    SettingStudy,
    StudyCorpus,
    StudyError,
    StudyRow,
)
from mtmbench.studies.tables import FIRINGS

_COLUMNS = (
    "table", "corpus", "model", "setting", "series", "x", "metric", "n_seeds", "mean", "lo", "hi",
    "difference", "difference_lo", "difference_hi", "p", "p_holm", "n_paired", "n_compared",
    "reason",
)  # fmt: skip
_HEADER = ("setting", "mean", "95 % interval", "difference to the baseline", "p, Holm", "note")


def study_files(study: SettingStudy) -> dict[str, str]:
    """Returns the content of every file of a study by name."""
    return page_files(study, study_page(study), "study.html.j2", _COLUMNS, _csv_rows(study))


def study_page(study: SettingStudy) -> StudyPage:
    """Returns what the pages say: a panel per metric, a chart per model and series."""
    return StudyPage(
        title=f"Study: {study['study']}",
        question=study["question"],
        played=_played(study),
        sections=[_section(study, corpus) for corpus in study["corpora"]],
        notes=study["notes"],
        remark=(
            "A difference in bold is beyond the spread over seeds: its corrected p-value is below "
            f"{ALPHA}. The shaded row is the baseline."
        ),
        errors=[_error(error) for error in study["errors"]],
    )


def _csv_rows(study: SettingStudy) -> list[Mapping[str, object]]:
    """Returns values and firings in one long table."""
    rows: list[Mapping[str, object]] = [{**row, "table": "value"} for row in study["rows"]]
    for row in study["firings"]:
        setting = _settings(study)[row["setting"]]
        place = {"table": "firings", "x": setting["x"], "series": setting["series"]}
        rows += [{**row, **place, "metric": name, "mean": row[name]} for name in FIRINGS]
    return rows


def _played(study: SettingStudy) -> str:
    n = len(study["seeds"])
    reference = "" if study["reference"] is None else f", beside {study['reference']} over words"
    tokens = study["max_tokens"]
    cut = "" if tokens is None else f", documents cut to {tokens} tokens"
    return (
        f"{joined(study['models'])} on {len(study['settings'])} settings of the features of "
        f"{study['source']}{cut}{reference}; {n} seed{'s' if n != 1 else ''} each."
    )


def _section(study: SettingStudy, corpus: StudyCorpus) -> Section:
    name = corpus["name"]
    labels = f", {corpus['n_labels']} labels" if corpus["n_labels"] else ", no labels"
    findings: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
    for row in study["findings"]:
        if row["corpus"] == name:
            findings[row["leads"]].append((_who(row), row["text"]))
    rows = [row for row in study["rows"] if row["corpus"] == name]
    return Section(
        name=name,
        title=f"{name}: {corpus['n_docs']:,} documents{labels}, K = {corpus['k']}",
        findings=findings[True],
        others=findings[False],
        counted=_firings_table(study, name),
        panels=[
            _panel(study, metric["title"], own)
            for metric in study["metrics"]
            if (own := [row for row in rows if row["metric"] == metric["name"]])
        ],
    )


def _settings(study: SettingStudy) -> dict[str, SettingRow]:
    return {setting["name"]: setting for setting in study["settings"]}


def _who(row: Finding | StudyRow) -> str:
    """Returns the model, with the series where there are several."""
    return f"{row['model']}, {row['series']}" if row["series"] else row["model"]


def _firings_table(study: SettingStudy, corpus: str) -> ShownTable:
    """Returns what each setting leaves to count."""
    rows = []
    for row in study["firings"]:
        if row["corpus"] == corpus:
            values = [_count(row, name) for name in FIRINGS]
            if row["reason"] is not None:
                values[0] = row["reason"]
            rows.append([_setting_text(_settings(study)[row["setting"]]), *values])
    return ShownTable([study["varied"], *FIRINGS.values()], rows)


def _count(row: FiringsRow, name: FiringsColumn) -> str:
    if name == "firings_kept":
        return shown(row[name], lambda share: f"{100 * share:.1f} %")
    return shown(row[name], lambda n: f"{n:,}" if isinstance(n, int) else f"{n:.2f}")


def _setting_text(setting: SettingRow) -> str:
    """Returns a setting's label, with its role and what else it is."""
    more = ", ".join(part for part in (_role(setting), setting["detail"]) if part)
    return f"{setting['label']} ({more})" if more else setting["label"]


def _role(setting: SettingRow) -> str:
    return "" if setting["role"] == setting["label"] else setting["role"]


def _panel(study: SettingStudy, title: str, rows: Sequence[StudyRow]) -> ChartPanel:
    settings = _settings(study)
    axis = Axis.spanning(end for row in rows for end in (row["mean"], row["lo"], row["hi"]))
    reference = next((row for row in rows if row["setting"] is None), None)
    text = mark = None
    if reference is not None:
        mean = reference["mean"]
        value = reference["reason"] if mean is None else signed(mean)
        ends = within(reference["lo"], reference["hi"], signed)
        text, mark = f"{reference['model']} over words: {value}{ends}", _mark(reference, axis)
    groups: dict[str, list[tuple[SettingRow, StudyRow]]] = {}
    for row in rows:
        if row["setting"] is not None:
            groups.setdefault(_who(row), []).append((settings[row["setting"]], row))
    charts = [
        Chart(who, [_line(setting, row, axis) for setting, row in own], mark)
        for who, own in groups.items()
    ]
    return ChartPanel(
        title=title,
        axis=axis,
        charts=charts,
        columns=(study["varied"], "to the baseline"),
        tables=[
            (who, ShownTable(_HEADER, [_cells(setting, row) for setting, row in own]))
            for who, own in groups.items()
        ],
        reference=text,
    )


def _line(setting: SettingRow, row: StudyRow, axis: Axis) -> Line:
    return Line(
        name=setting["label"],
        role=_role(setting),
        mark=_mark(row, axis),
        value=shown(row["mean"], signed),
        interval=interval(row["lo"], row["hi"], signed),
        missing=row["reason"] or "",
        beside=shown(row["difference"], _difference),
        beside_interval=interval(row["difference_lo"], row["difference_hi"], signed),
        sure=differs(row),
        shaded="baseline" if setting["baseline"] else "",
    )


def _cells(setting: SettingRow, row: StudyRow) -> list[str | None]:
    role = _role(setting)
    difference = None
    if row["difference"] is not None:
        ends = within(row["difference_lo"], row["difference_hi"], signed)
        difference = f"{_difference(row['difference'])}{ends}{' *' if differs(row) else ''}"
    p = row["p_holm"]
    return [
        f"{setting['label']} ({role})" if role else setting["label"],
        shown(row["mean"], signed),
        interval(row["lo"], row["hi"], signed) or None,
        difference,
        None if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}",
        row["reason"],
    ]


def _difference(value: float) -> str:
    return signed(value, plus=True)


def _mark(row: StudyRow, axis: Axis) -> Mark | None:
    return Mark.placed(axis, row["mean"], row["lo"], row["hi"], fixed(3))


def _error(error: StudyError) -> str:
    where = [error["corpus"], error["model"], error["setting"], error["metric"]]
    told = " ".join(part for part in where if part is not None)
    return f"{told}, seed {error['seed']}: {error['reason']}"
