"""What the pages say of models, metrics, judges and boards that code, cards or records know.

A page has a marker, ``<!-- facts: KIND NAME -->``, where a table made here stands in the built
site. Nothing of it is written down twice, so it cannot differ from what is played.
"""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from about_metrics import against_people, page_facts
from docstrings import arguments, as_markdown, signature_text
from pydantic.fields import FieldInfo

import mtmbench
from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import JudgeCard, Suite
from mtmbench.core.registry import Registry
from mtmbench.core.specs import (
    Card,
    CorpusSpec,
    EmbeddingsSpec,
    FeatureSpec,
    JudgingSpec,
    RefineSpec,
    SteeringSpec,
    WordSpec,
)
from mtmbench.core.tuning import Search, SearchRange, TuningSpec
from mtmbench.corpora.paper import CARDS
from mtmbench.judges.registry import JUDGES, load_judge_card
from mtmbench.metrics.registry import METRICS
from mtmbench.models.registry import MODELS, load_model_card

ROOT = Path(__file__).parents[2]
MARKER = re.compile(r"^<!-- facts: ([a-z-]+)(?: (\S+))?(?: (\S+))? -->$", re.M)

_NEEDS = {
    "labels": "gold labels",
    "words": "a reference text",
    "embeddings": "a text encoder",
    "siblings": "fits under other seeds",
    "orders": "fits of the documents in other orders (`orders` in the suite)",
    "others": "other models with the same K and seed",
    "refit": "to fit the model anew",
    "judge": "a judge card",
    "theta": "weights of topics in documents",
}
_NOT_IN_CARDS = ("embed", "tokenise")
"""Functions that Python alone can give."""
_VALUES = ("Board", "Judgement", "Steering", "TopicResult")
"""Classes whose objects people are given: their members are listed too."""
_STATISTICS = {
    "kendall_tau": "Kendall's τ",
    "spearman": "Spearman's ρ",
    "agreement": "agreement, fits or not",
    "found": "share of intruders found",
}
_TYPES = {
    int: "number",
    float: "number",
    str: "text",
    bool: "true or false",
    object: "a value",
    Path: "a file",
    type(None): "",
}
SUITE_TABLES: dict[type[Card], str] = {
    Suite: "The suite",
    CorpusSpec: "A corpus",
    WordSpec: "`[words]`",
    EmbeddingsSpec: "`[embeddings]`",
    FeatureSpec: "`[features]`",
    JudgingSpec: "`[judging]`",
    RefineSpec: "`judging.refine`",
    SteeringSpec: "`[steering]`",
    TuningSpec: "`[tuning]`",
}


def fill_in(page: str) -> str:
    """Returns a page with every marker replaced by its table.

    Raises:
        KeyError: a marker names no kind of facts.
    """
    return MARKER.sub(lambda found: FACTS[found[1]](*filter(None, found.groups()[1:])), page)


def model_facts(name: str) -> str:
    """Returns what is known of a model, but for its parameters; of a family, of all its models."""
    if name in MODELS.families():
        return family_facts(name)
    model, card = MODELS.get(name), load_model_card(name)
    rows = [
        ("name in suites", _code(name)),
        ("what it is", card.description),
        ("source", card.reference),
        ("reads", ", ".join(model.needs)),
        ("topics over", model.item_view if model.needs else "what the file has"),
        ("held-out perplexity", "yes" if model.has_perplexity else "not defined"),
        ("class", _code(MODELS.origin(name).replace(":", "."))),
        ("version", str(model.version)),
        ("card", _file_link(f"baselines/{name}.toml")),
    ]
    return _facts(rows)


def family_facts(prefix: str) -> str:
    """Returns all models of a family that can be had here, a row each, with their parameters."""
    rows = []
    for name in (name for name in MODELS.names() if name.startswith(f"{prefix}:")):
        model, card = MODELS.get(name), load_model_card(name)
        taken = [
            f"{_code(key)} ({_value(parameter.default)})"
            for key, parameter in inspect.signature(model).parameters.items()
            if key != "n_topics"
        ]
        likelihood = "yes" if model.has_perplexity else "no"
        told = f"{card.description.partition(': ')[2]}. {card.reference}"
        rows.append((_code(name), _words(model.needs), told, likelihood, ", ".join(taken)))
    columns = ("model", "reads", "what it is", "perplexity", "parameters (defaults)")
    return _table(columns, rows)


def model_parameters(name: str) -> str:
    """Returns what a model takes, with defaults, and what is worth a search."""
    card = load_model_card(name)
    text = _parameters(MODELS.get(name), card.params)
    if not card.search:
        return text
    searched = [(_code(key), _searched(values)) for key, values in card.search.items()]
    table = _table(("parameter", "values"), searched)
    return f"{text}\n\nValues worth a search, as the card has them:\n\n{table}"


def metric_facts(name: str) -> str:
    """Returns what is known of a metric: range, direction, views, needs, settings."""
    metric = METRICS.get(name)
    views = [view for view in metric.item_views if view is not None]
    rows = [
        ("name in suites", _code(name)),
        ("range", _range(metric.bounds)),
        ("better", "higher" if metric.higher_is_better else "lower"),
        ("needs", ", ".join(_NEEDS[need] for need in metric.needs)),
        ("played on", " and ".join(f"{view} items" for view in views) or "θ alone; no items"),
        ("reads what items are called", _yes(metric.reads_labels)),
        ("against people", against_people(metric)),
        ("class", _code(METRICS.origin(name).replace(":", "."))),
        ("version", str(metric.version)),
    ]
    names = list(dict.fromkeys(key for variant in metric.variants for key in variant))
    if not names:
        return _facts(rows) + "\n\nIt has no parameters."
    settings = [[_value(variant.get(key)) for key in names] for variant in metric.variants]
    played = "Played by default with:" if len(settings) == 1 else "Played by default in each of:"
    return f"{_facts(rows)}\n\n{played}\n\n" + _table([_code(key) for key in names], settings)


def judge_facts(name: str) -> str:
    """Returns what a judge's card says, and what its client is."""
    card = load_judge_card(name)
    client = JUDGES.get(card.client)
    traits = client.traits(card.params)
    endpoint = card.endpoint
    rows = [
        ("card", _file_link(f"judges/{name}.toml")),
        ("what it is", card.description),
        ("client", f"{_code(card.client)}, {_code(JUDGES.origin(card.client).replace(':', '.'))}"),
        ("version", str(client.version_of(card.params))),
        ("a language model", _yes(traits["is_llm"])),
        ("order", "cannot matter" if traits["order_free"] else "asked in both"),
        ("encoder", traits["encoder"] or ""),
        ("model", _code(card.model)),
        ("asked at", _code(endpoint.base_url) if endpoint else ""),
        ("key in", _code(endpoint.api_key_env) if endpoint else ""),
        ("replies held to a schema", _yes(endpoint.structured) if endpoint else ""),
        ("decoding", _values(f"{key} = {value}" for key, value in card.decoding.items())),
        ("prices", _prices(card)),
        ("asked at once", str(card.limits.concurrency) if endpoint else ""),
    ]
    parameters = "" if endpoint else _parameters(client, card.params)
    return f"{_facts(rows)}\n\n{parameters}"


def own_names(registry: Registry[Any]) -> list[str]:
    """Returns what mtmbench itself registers; plugins, and families, have pages of their own."""
    return [
        name
        for name in registry.names()
        if registry.origin(name).startswith("mtmbench.") and ":" not in name
    ]


def model_list() -> str:
    """Returns all models, a row each."""
    rows = []
    for name in own_names(MODELS):
        card = load_model_card(name)
        told = card.description or "a model fitted elsewhere, read from a file"
        rows.append((f"[`{name}`]({name}.md)", _words(MODELS.get(name).needs), told))
    for prefix in MODELS.families():
        names = [name for name in MODELS.names() if name.startswith(f"{prefix}:")]
        views = list(dict.fromkeys(view for name in names for view in MODELS.get(name).needs))
        told = f"{len(names)} models of the library {prefix}: {_words(map(_code, names))}"
        rows.append((f"[`{prefix}:…`]({prefix}.md)", _words(views), told))
    return _table(("model", "reads", "what it is"), rows)


def metric_list() -> str:
    """Returns all metrics, a row each."""
    rows = []
    for name in own_names(METRICS):
        metric, page = METRICS.get(name), page_facts(name)
        better = "higher" if metric.higher_is_better else "lower"
        needs = _words(_NEEDS[need] for need in metric.needs)
        rows.append(
            (f"[`{name}`]({name}.md)", f"{page.title} ([formula]({name}.md#formula))", page.source,
             _range(metric.bounds), better, needs, page.beware, against_people(metric))
        )  # fmt: skip
    return _table(
        ("metric", "what it is", "source", "range", "better", "needs", "beware", "against people"),
        rows,
    )


def judge_list() -> str:
    """Returns all judge cards that ship, a row each."""
    rows = []
    for name in judge_cards():
        card = read_card(ROOT / "judges" / f"{name}.toml", JudgeCard)
        is_llm = JUDGES.get(card.client).traits(card.params)["is_llm"]
        told = card.description.split(". ")[0].rstrip(".")
        rows.append((f"[`{name}`]({name}.md)", _code(card.client), _yes(is_llm), told))
    return _table(("card", "client", "language model", "what it is"), rows)


def judge_cards() -> list[str]:
    """Returns the names of the judge cards that ship."""
    return sorted(path.stem for path in (ROOT / "judges").glob("*.toml"))


def people_facts(dataset: str, task: str) -> str:
    """Returns how far judges agree with people on one task, from the committed board.

    Args:
        dataset: "proxann-bills", "hoyle-nytimes" or "hoyle-wikitext".
        task: "fit", "rank", "rating" or "intrusion".
    """
    board = json.loads((ROOT / "leaderboards/judges/board.json").read_text(encoding="utf-8"))
    found = {
        (row["judge"], row["statistic"]): row
        for row in board["rows"]
        if (row["dataset"], row["task"]) == (dataset, task) and "published" not in row["judge"]
    }
    statistics = [name for name in _STATISTICS if any(stat == name for _, stat in found)]
    first = statistics[0]
    judges = sorted(
        {judge for judge, stat in found if stat == first},
        key=lambda judge: -found[judge, first]["value"],
    )
    rows = [
        [_code(judge), *(_estimate(found.get((judge, s))) for s in statistics)] for judge in judges
    ]
    return _table(["judge", *(_STATISTICS[name] for name in statistics)], rows)


def corpus_facts() -> str:
    """Returns the corpora that have a card: their size where they come from, and the licence."""
    rows = []
    for card in sorted(CARDS.values(), key=lambda card: card.name):
        size = card.stated
        words = "" if size.mean_words is None else f"{size.mean_words:g}"
        labels = f"{size.labels:,}" if size.labels else "none"
        rows.append((_code(card.name), f"{size.documents:,}", words, labels, card.licence))
    header = ("corpus", "documents at the source", "words, mean", "gold labels", "licence")
    return _table(header, rows)


def suite_facts() -> str:
    """Returns every key of a suite file with its default, a table of the file each."""
    parts = []
    for spec, title in SUITE_TABLES.items():
        told = as_markdown(inspect.getdoc(spec) or "")
        rows = [
            (_code(name), _annotation(field.annotation), _default(field))
            for name, field in spec.model_fields.items()
        ]
        parts.append(f"## {title}\n\n{told}\n{_table(('key', 'takes', 'default'), rows)}\n")
    return "\n".join(parts)


def api_facts() -> str:
    """Returns every public name with its signature and docstring, and the members of values."""
    parts = []
    for name in mtmbench.__all__:
        value = getattr(mtmbench, name)
        if inspect.ismodule(value):
            continue
        kind = "class " if inspect.isclass(value) else ""
        parts.append(f"### {name}\n\n```text\n{kind}{name}{signature_text(value)}\n```\n")
        parts.append(as_markdown(inspect.getdoc(value) or ""))
        parts += _members(value) if name in _VALUES else []
    return "\n".join(parts)


def _members(value: type) -> list[str]:
    """Returns the public methods and properties of a class, as :func:`api_facts` has functions."""
    parts = []
    for name, member in vars(value).items():
        is_value = isinstance(member, property | cached_property)
        method = getattr(value, name)
        if name.startswith("_") or not (is_value or inspect.isroutine(method)):
            continue
        parts.append(f"#### {value.__name__}.{name}\n")
        if not is_value:
            signature = signature_text(method).replace("self, ", "", 1).replace("self", "", 1)
            parts.append(f"```text\n{name}{signature}\n```\n")
        parts.append(as_markdown(inspect.getdoc(member) or ""))
    return parts


FACTS: dict[str, Callable[..., str]] = {
    "model": model_facts,
    "parameters": model_parameters,
    "metric": metric_facts,
    "judge": judge_facts,
    "models": model_list,
    "metrics": metric_list,
    "judges": judge_list,
    "people": people_facts,
    "corpora": corpus_facts,
    "suite": suite_facts,
    "api": api_facts,
}


def _parameters(plugin: type, given: Mapping[str, object]) -> str:
    """Returns a table of what ``__init__`` takes; a card's values stand before the defaults."""
    told = arguments(plugin)
    rows = []
    for name, parameter in inspect.signature(plugin).parameters.items():
        if name in _NOT_IN_CARDS:
            continue
        if name in given:
            default = f"{_value(given[name])}, by the card"
        elif parameter.default is parameter.empty:
            default = "must be given"
        else:
            default = _value(parameter.default)
        rows.append((_code(name), default, told.get(name, "")))
    if not rows:
        return ""
    return _table(("parameter", "default", "what it is"), rows)


def _annotation(annotation: object) -> str:
    """Returns a type in words that a writer of TOML knows."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in _TYPES:
        return _TYPES[annotation]  # type: ignore[index]
    if origin is Annotated:
        return _annotation(inner[0])
    if origin is Literal:
        return " or ".join(json.dumps(value) for value in inner)
    if origin is tuple:
        return f"a list of {_annotation(inner[0])}"
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(told for part in inner if (told := _annotation(part))))
    return "a table"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Card):
        return "as below"
    if value is None or value in ((), {}, ""):
        return "none"
    return _code(json.dumps(list(value) if isinstance(value, tuple) else value))


def _prices(card: JudgeCard) -> str:
    prices = card.prices
    if prices is None:
        return "free" if JUDGES.get(card.client).free else ""
    text = f"{prices.input:g} a million tokens in, {prices.output:g} out"
    if prices.cached is not None:
        text += f", {prices.cached:g} cached"
    if prices.batch != 1:
        text += f"; {prices.batch:g} of that in a batch"
    dated = f"; as of {prices.as_of}, by {prices.source}" if prices.as_of else ""
    return text + dated


def _estimate(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "–"
    return f"{row['value']:.2f} ({row['lo']:.2f} to {row['hi']:.2f})".replace("-", "−")


def _range(bounds: tuple[float, float]) -> str:
    ends = [
        ("−∞" if end < 0 else "∞") if math.isinf(end) else f"{end:g}".replace("-", "−")
        for end in bounds
    ]
    return "any number" if bounds == (-math.inf, math.inf) else " to ".join(ends)


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    return _table(("", ""), [row for row in rows if row[1]])


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(re.sub(r"(?<!\\)\|", r"\|", text).split())


def _file_link(path: str) -> str:
    return f"[`{path}`](../../{path})" if (ROOT / path).is_file() else ""


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def _value(value: object) -> str:
    return _code(str(value)) if value is not None else "none"


def _searched(allowed: Search) -> str:
    if not isinstance(allowed, SearchRange):
        return _values(allowed)
    how = (
        ", on a log scale"
        if allowed.log
        else f", in steps of {allowed.step:g}"
        if allowed.step
        else ""
    )
    return f"{allowed.low:g} to {allowed.high:g}{how}"


def _values(values: Iterable[object]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _words(values: Iterable[str]) -> str:
    return ", ".join(values) or "nothing more"
