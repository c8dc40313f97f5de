"""``mtmbench import``: topics fitted elsewhere become a model card that plays."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtmbench.cli.console import echo
from mtmbench.cli.corpus import read_corpus
from mtmbench.cli.options import (
    DataOption,
    IdOption,
    LabelOption,
    LanguageOption,
    StopWordsOption,
    TextOption,
    TokeniserOption,
)

if TYPE_CHECKING:
    from mtmbench.core.topic_result import TopicResult


def import_topics(
    source: Annotated[
        Path, typer.Argument(help="npz, csv folder, BERTopic, gensim, MALLET or OCTIS output.")
    ],
    corpus: Annotated[str, typer.Option("--corpus", help="The corpus it was fitted on.")],
    name: Annotated[str, typer.Option("--name", help="The name under which it plays.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the result and its card.")] = None,
    source_format: Annotated[
        str,
        typer.Option("--format", help="auto, npz, csv, bertopic, gensim, mallet, octis or result."),
    ] = "auto",
    items: Annotated[
        Path | None, typer.Option("--items", help="File of item names, where SOURCE has none.")
    ] = None,
    doc_ids: Annotated[
        Path | None, typer.Option("--doc-ids", help="File of document ids, in θ's order.")
    ] = None,
    theta: Annotated[
        Path | None,
        typer.Option("--theta", help="θ (documents x topics) in place of SOURCE's: npz, npy, csv."),
    ] = None,
    text: TextOption = None,
    label: LabelOption = None,
    id_column: IdOption = None,
    language: LanguageOption = None,
    stop_words: StopWordsOption = None,
    tokeniser: TokeniserOption = None,
    data_dir: DataOption = None,
    normalise: Annotated[
        bool, typer.Option("--normalise", help="Accept weights that do not sum to one.")
    ] = False,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Allow formats that unpickle (gensim, object arrays); only for files of yours.",
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace NAME's topics of this corpus.")
    ] = False,
) -> None:
    """Checks topics fitted elsewhere against a corpus and makes a model card that plays them.

    The same NAME again on another corpus adds to its card.
    """
    from mtmbench.core.names import check_name
    from mtmbench.models.import_card import save_import
    from mtmbench.models.importers import import_result

    check_name(name, "a model")
    loaded = read_corpus(corpus, data_dir, text, label, id_column, language, stop_words, tokeniser)
    result = import_result(
        source, corpus=loaded, name=name, format=source_format, items=items, doc_ids=doc_ids,
        theta=theta, normalise=normalise, trust=trust,
    )  # fmt: skip
    result_file, card_file = save_import(
        result, out or Path("imported"), described=f"imported from {source.name}",
        overwrite=overwrite,
    )  # fmt: skip
    echo(f"{result.n_topics} topics over {len(loaded)} documents: {result_file}")
    for line in _notes(result):
        echo(line)
    echo(f"play it: mtmbench run SUITE --models lda,{card_file}")


def _notes(result: "TopicResult") -> list[str]:
    """Returns what was noticed: items that never occur, documents without mass or of elsewhere."""
    told = result.info.get("imported")
    notes = told if isinstance(told, Mapping) else {}
    lines = []
    if unseen := notes.get("items_not_in_corpus"):
        line = f"{unseen:,} of {len(result.items):,} items never occur in the texts"
        if notes.get("format") == "gensim" and "theta" in notes:
            line += (
                " as split here; θ is inferred without them: give --theta, or words= in Python, "
                "which splits texts as the dictionary does"
            )
        absent = notes.get("absent_items") or ()
        line += f" ({', '.join(absent)}{', …' if unseen > len(absent) else ''})"
        lines.append(line)
    if dropped := notes.get("empty_items_dropped"):
        lines.append(f"{dropped:,} items without a name are left out")
    if without := notes.get("documents_without_mass"):
        lines.append(f"{without:,} documents have no weight on any topic")
    if elsewhere := notes.get("documents_dropped"):
        lines.append(f"{elsewhere:,} rows of θ are of documents that the corpus does not have")
    return lines
