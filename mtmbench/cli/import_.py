"""``mtmbench import``: topics fitted elsewhere become a model card that plays."""

from pathlib import Path
from typing import Annotated

import typer

from mtmbench.cli.options import DataOption, IdOption, LabelOption, TextOption, read_corpus


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
    text: TextOption = None,
    label: LabelOption = None,
    id_column: IdOption = None,
    data_dir: DataOption = None,
    normalise: Annotated[
        bool, typer.Option("--normalise", help="Accept weights that do not sum to one.")
    ] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Allow formats that unpickle; only for files of yours.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace NAME's topics of this corpus.")
    ] = False,
) -> None:
    """Checks topics fitted elsewhere against a corpus and makes a model card that plays them.

    The same NAME again on another corpus adds to its card.
    """
    from mtmbench.models.import_card import save_import
    from mtmbench.models.importers import import_result

    loaded = read_corpus(corpus, data_dir, text, label, id_column)
    result = import_result(
        source, corpus=loaded, name=name, format=source_format, items=items, doc_ids=doc_ids,
        normalise=normalise, trust=trust,
    )  # fmt: skip
    result_file, card_file = save_import(
        result, out or Path("imported"), described=f"imported from {source.name}",
        overwrite=overwrite,
    )  # fmt: skip
    typer.echo(f"{result.n_topics} topics over {len(loaded)} documents: {result_file}")
    typer.echo(f"play it: mtmbench run SUITE --models lda,{card_file}")
