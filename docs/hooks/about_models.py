"""What is known of models: of each, of the models of a family, and of all in one table."""

from __future__ import annotations

import inspect

from about_plugins import own_names, parameter_table
from markdown_tables import code, codes, facts_table, listed, table, value_text
from repository import file_link

from mtmbench.core.tuning import Search, SearchRange
from mtmbench.models.registry import MODELS, load_model_card


def model_facts(name: str) -> str:
    """Returns what is known of a model, but for its parameters; of a family, of all its models."""
    if name in MODELS.families():
        return family_facts(name)
    model, card = MODELS.get(name), load_model_card(name)
    rows = [
        ("name in suites", code(name)),
        ("what it is", card.description),
        ("source", card.reference),
        ("reads", ", ".join(model.needs)),
        ("topics over", model.item_view if model.needs else "what the file has"),
        ("held-out perplexity", "yes" if model.has_perplexity else "not defined"),
        ("class", code(MODELS.origin(name).replace(":", "."))),
        ("version", str(model.version)),
        ("card", file_link(f"baselines/{name}.toml")),
    ]
    return facts_table(rows)


def family_facts(prefix: str) -> str:
    """Returns all models of a family that can be had here, a row each, with their parameters."""
    rows = []
    for name in (name for name in MODELS.names() if name.startswith(f"{prefix}:")):
        model, card = MODELS.get(name), load_model_card(name)
        taken = [
            f"{code(key)} ({value_text(parameter.default)})"
            for key, parameter in inspect.signature(model).parameters.items()
            if key != "n_topics"
        ]
        likelihood = "yes" if model.has_perplexity else "no"
        told = f"{card.description.partition(': ')[2]}. {card.reference}"
        rows.append((code(name), listed(model.needs), told, likelihood, ", ".join(taken)))
    columns = ("model", "reads", "what it is", "perplexity", "parameters (defaults)")
    return table(columns, rows)


def model_parameters(name: str) -> str:
    """Returns what a model takes, with defaults, and what is worth a search."""
    card = load_model_card(name)
    text = parameter_table(MODELS.get(name), card.params)
    if not card.search:
        return text
    searched = [(code(key), _searched(values)) for key, values in card.search.items()]
    shown = table(("parameter", "values"), searched)
    return f"{text}\n\nValues worth a search, as the card has them:\n\n{shown}"


def model_list() -> str:
    """Returns all models, a row each."""
    rows = []
    for name in own_names(MODELS):
        card = load_model_card(name)
        told = card.description or "a model fitted elsewhere, read from a file"
        rows.append((f"[`{name}`]({name}.md)", listed(MODELS.get(name).needs), told))
    for prefix in MODELS.families():
        names = [name for name in MODELS.names() if name.startswith(f"{prefix}:")]
        views = list(dict.fromkeys(view for name in names for view in MODELS.get(name).needs))
        told = f"{len(names)} models of the library {prefix}: {listed(map(code, names))}"
        rows.append((f"[`{prefix}:…`]({prefix}.md)", listed(views), told))
    return table(("model", "reads", "what it is"), rows)


def _searched(allowed: Search) -> str:
    if not isinstance(allowed, SearchRange):
        return codes(allowed)
    how = (
        ", on a log scale"
        if allowed.log
        else f", in steps of {allowed.step:g}"
        if allowed.step
        else ""
    )
    return f"{allowed.low:g} to {allowed.high:g}{how}"
