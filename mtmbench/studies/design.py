"""What each study plays: feature settings, one of them the baseline that the others are held to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.features.base import FeatureSource
from mtmbench.features.labels import PAPER_CLASSES
from mtmbench.studies.rows import Setting

MakeSource = Callable[[Mapping[str, Setting]], FeatureSource]
"""Makes a feature source with further settings, by name."""

_QUANTILES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Threshold levels of the study, among a feature's non-zero activations."""

_MIN_LABEL_SCORE = 0.6
"""What the label-score filter asks for when the source's default has it off; chance is 0.5."""

_FILTERS: Mapping[str, tuple[str, Any]] = {
    "max_doc_share": ("document-share", 0.9),
    "max_density_multiple": ("density", 2.7),
    "max_density": ("absolute-density", 0.01),
    "drop_label_classes": ("label-classes", list(PAPER_CLASSES)),
    "min_label_score": ("label-score", _MIN_LABEL_SCORE),
}
"""Filter by field of a feature setting: its name, and its value where the source has it off."""


@dataclass(frozen=True)
class Point:
    """One feature setting of a study.

    Attributes:
        name: name of the setting, as on records.
        label: the same for people, short.
        detail: what the setting is beyond its label.
        default: whether it is the source's own default setting.
        x: what is varied; None where the settings have no order.
        values: the setting as a feature source takes it.
        baseline: whether the others of its series are held against it.
        series: settings that differ in ``x`` alone share a series.
    """

    name: str
    label: str
    x: float | None
    values: Setting
    baseline: bool = False
    series: str = ""
    detail: str = ""
    default: bool = False

    @property
    def role(self) -> str:
        """Returns "default", "baseline" or nothing."""
        return "default" if self.default else "baseline" if self.baseline else ""


@dataclass(frozen=True)
class Design:
    """A study: its settings in the order in which they are shown.

    Attributes:
        name: "threshold", "layer", "filters" or "width".
        question: what it asks.
        x_label: what is varied.
        points: at least two settings; one baseline a series.
        notes: what a reader must know of the choice.
    """

    name: str
    question: str
    x_label: str
    points: tuple[Point, ...]
    notes: tuple[str, ...] = ()

    def settings(self) -> dict[str, Setting]:
        """Returns the feature settings by name, as ``features.params.settings`` holds them."""
        return {point.name: dict(point.values) for point in self.points}


def make_design(name: str, make_source: MakeSource) -> Design:
    """Lays out a study over a feature source.

    Args:
        name: the study.
        make_source: makes the feature source with further settings by name.

    Raises:
        UnknownNameError: there is no such study; the nearest name is given.
        InputError: the source cannot carry it: it lacks a quantile level, does not say its
            filters, or has SAEs of one layer or width alone; the message says what is needed.
    """
    if name not in _MAKERS:
        raise UnknownNameError("study", name, _MAKERS)
    design = _MAKERS[name](make_source)
    # The source checks the settings before anything is played.
    source = make_source(design.settings())
    for point in design.points:
        source.describe(point.name)
    return design


def _threshold(make_source: MakeSource) -> Design:
    base = _default_setting(make_source({}))
    default = float(base["threshold_quantile"])
    points = tuple(
        Point(
            name=f"q{level:g}",
            label=f"quantile {level:g}",
            x=level,
            values={**base, "threshold_quantile": level},
            baseline=level == default,
            default=level == default,
        )
        for level in sorted({*_QUANTILES, default})
    )
    return Design(
        "threshold",
        "At which quantile of a feature's non-zero activations should a firing begin to count?",
        "threshold quantile",
        points,
        ("Everything but the threshold is as in the source's default setting.",),
    )


def _filters(make_source: MakeSource) -> Design:
    source = make_source({})
    base = _default_setting(source)
    standard = _default_setting(source, "paper") if "paper" in source.settings() else base
    on = {
        field: base.get(field) or standard.get(field) or value
        for field, (_, value) in _FILTERS.items()
        # Against the mean density of a TopK SAE the absolute limit says nothing.
        if field != "max_density" or base.get(field) or standard.get(field)
    }
    points = [
        Point("default", "default", None, base, baseline=True, detail=_in_words(base), default=True)
    ]
    notes = ["Each filter is turned over by itself, the others staying as in the default."]
    for point in [*(_toggled(field, on[field], base) for field in on), _by_judge(base, on)]:
        refusal = _refusal(point, make_source)
        if refusal is None:
            points.append(point)
        else:
            notes.append(f"Not played: {point.label}: {refusal}")
    names = {point.name for point in points}
    every = {**base, **{f: on[f] for f in on if f"{_FILTERS[f][0]}-on" in names}}
    none = {**base, **{field: False for field in _FILTERS if base.get(field)}}
    for point in (
        Point("all-off", "every filter off", None, none),
        Point("all-on", "every filter on", None, every, detail=_in_words(every)),
    ):
        if not any(point.values == other.values for other in points):
            points.append(point)
    return Design(
        "filters",
        "What does each feature filter do, turned on or off by itself?",
        "filters",
        tuple(points),
        tuple(notes),
    )


def _layer(make_source: MakeSource) -> Design:
    return _over_saes(
        make_source, "layer", "From which layer of the language model should features come?"
    )


def _width(make_source: MakeSource) -> Design:
    return _over_saes(make_source, "width", "How many features should the SAE have?")


_MAKERS: Mapping[str, Callable[[MakeSource], Design]] = {
    "threshold": _threshold,
    "layer": _layer,
    "filters": _filters,
    "width": _width,
}


def _over_saes(make_source: MakeSource, varied: str, question: str) -> Design:
    """Lays out SAEs that differ in one property; each group alike in the others is a series."""
    source = make_source({})
    saes = _saes(source)
    base = {key: value for key, value in _default_setting(source).items() if key != "sae"}
    default = source.describe("default")["sae"]
    groups: dict[str, list[str]] = {}
    for name, facts in saes.items():
        groups.setdefault(_group(facts, varied), []).append(name)
    series = {
        group: sorted(names, key=lambda name: (saes[name][varied], name))
        for group, names in groups.items()
        if len({saes[name][varied] for name in names}) > 1
    }
    if not series:
        kept = "width and window" if varied == "layer" else "layer and window"
        there = "; ".join(f"{name}: {_facts_text(saes[name])}" for name in sorted(saes))
        raise InputError(
            f"study {varied!r} needs SAEs of at least two {varied}s that agree in {kept}; feature "
            f"source {source.name!r} has {there}. Give a source that has more, or a folder of them "
            "(--set features.params.saes=FOLDER)"
        )
    points = [
        Point(
            name=name,
            label=f"{varied} {saes[name][varied]:,}",
            detail=f"SAE {name}",
            x=float(saes[name][varied]),
            values={**base, "sae": name},
            baseline=name == (default if default in names else names[0]),
            default=name == default,
            series=group if len(series) > 1 else "",
        )
        for group, names in sorted(series.items(), key=lambda item: (default not in item[1], item))
        for name in names
    ]
    left = sorted(set(saes) - {point.name for point in points})
    notes = ["Threshold quantile and filters are those of the source's default setting throughout."]
    if default in left or len(series) > 1:
        notes.append(
            "Where the default SAE is not in a series, the series is held against its lowest."
        )
    if left:
        notes.append(f"Without a counterpart, and so not played: {', '.join(left)}.")
    return Design(varied, question, varied, tuple(points), tuple(notes))


def _saes(source: FeatureSource) -> Mapping[str, Mapping[str, Any]]:
    saes = source.saes() if hasattr(source, "saes") else {}
    if not saes:
        raise InputError(
            f"feature source {source.name!r} lists no SAEs (its method saes), so studies over "
            "layers and widths cannot be laid out"
        )
    return saes


def _group(facts: Mapping[str, Any], varied: str) -> str:
    """Names what the SAEs of a series share: all but what is varied."""
    parts = [f"{name} {facts[name]:,}" for name in ("layer", "width", "window") if name != varied]
    hook = str(facts.get("hook_point", ""))
    if varied == "layer":
        hook = re.sub(r"\d+", "*", hook)
    return ", ".join([*parts, hook] if hook else parts)


def _facts_text(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {facts[name]}" for name in ("layer", "width", "window"))


def _default_setting(source: FeatureSource, name: str = "default") -> Setting:
    """Returns a setting of a source as values that make it again; a filter that is off is False."""
    described = source.describe(name)
    sae, threshold, limits = (described.get(part) for part in ("sae", "threshold", "filter_limits"))
    if not (
        isinstance(sae, str)
        and isinstance(threshold, Mapping)
        and "quantile" in threshold
        and isinstance(limits, Mapping)
    ):
        raise InputError(
            f"feature source {source.name!r} does not describe its setting {name!r} by 'sae', "
            "'threshold' and 'filter_limits', so there is nothing to vary"
        )
    filters = {field: limit or False for field, limit in limits.items()}
    if filters.get("drop_label_classes"):
        filters["drop_label_classes"] = sorted(limits["drop_label_classes"])
    weighting = described.get("weighting")
    return {
        "sae": sae, "threshold_quantile": threshold["quantile"], **filters,
        **(weighting if isinstance(weighting, Mapping) else {}),
    }  # fmt: skip


def _toggled(field: str, value: Any, base: Setting) -> Point:
    is_on = bool(base.get(field))
    turned = "off" if is_on else "on"
    short = _FILTERS[field][0]
    return Point(
        name=f"{short}-{turned}",
        label=f"{short.replace('-', ' ')} {turned}",
        x=None,
        values={**base, field: False if is_on else value},
        detail="" if is_on else _limit_text(field, value),
    )


def _by_judge(base: Setting, on: Setting) -> Point:
    """The label-class filter as the other side has it: by a judge's classes, or by word lists."""
    judged = base.get("label_classes_by") == "judge"
    by = "words" if judged else "judge"
    return Point(
        name=f"label-classes-by-{by}",
        label="label classes by word lists" if judged else "label classes by a judge",
        x=None,
        values={
            **base, "drop_label_classes": on["drop_label_classes"], "label_classes_by": by,
        },
        detail=_limit_text("drop_label_classes", on["drop_label_classes"]),
    )  # fmt: skip


def _refusal(point: Point, make_source: MakeSource) -> str | None:
    """Returns why a source does not take a setting, None if it does."""
    try:
        make_source({point.name: dict(point.values)}).describe(point.name)
    except (InputError, UnknownNameError) as error:
        return str(error)
    return None


def _in_words(values: Setting) -> str:
    on = [_limit_text(field, values[field]) for field in _FILTERS if values.get(field)]
    return "; ".join(on) or "no filter"


def _limit_text(field: str, value: Any) -> str:
    if field == "max_doc_share":
        return f"in at most {100 * value:g} % of documents"
    if field == "max_density_multiple":
        return f"density at most {value:g} times the mean"
    if field == "max_density":
        return f"on at most {100 * value:g} % of tokens"
    if field == "min_label_score":
        return f"label score at least {value:g}"
    return f"no labels of {', '.join(value)}"


@dataclass(frozen=True)
class StudyMetric:
    """A metric of every study: its name, the items it reads, and how it is told.

    Attributes:
        name: registry name.
        view: "projected", or None for a metric that reads no items.
        title: for tables.
        needs_labels: whether it is played on labelled corpora alone.
    """

    name: str
    view: str | None
    title: str
    needs_labels: bool = False


STUDY_METRICS = (
    StudyMetric("nmi", None, "NMI with the labels", needs_labels=True),
    StudyMetric("purity", None, "purity", needs_labels=True),
    StudyMetric("npmi", "projected", "NPMI of the projected words"),
    StudyMetric("diversity", "projected", "topic diversity of the projected words"),
)
"""In this order; the first that a corpus has heads its findings."""
