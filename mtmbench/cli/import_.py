"""``mtmbench import``: topics fitted elsewhere become a model card that plays."""

from pathlib import Path
from typing import Annotated

import typer

from mtmbench.cli.console import echo
from mtmbench.cli.options import DataOption


def import_topics(
    source: Annotated[
        Path, typer.Argument(help="npz, csv folder, BERTopic, gensim or OCTIS output.")
    ],
    corpus: Annotated[str, typer.Option("--corpus", help="The corpus it was fitted on.")],
    name: Annotated[str, typer.Option("--name", help="The name under which it plays.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the result and its card.")] = None,
    source_format: Annotated[
        str, typer.Option("--format", help="auto, npz, csv, bertopic, gensim or octis.")
    ] = "auto",
    items: Annotated[
        Path | None, typer.Option("--items", help="File of item names, where SOURCE has none.")
    ] = None,
    doc_ids: Annotated[
        Path | None, typer.Option("--doc-ids", help="File of document ids, in θ's order.")
    ] = None,
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
) -> None:
    """Checks topics fitted elsewhere against a corpus and makes a model card that plays them."""
    import tomli_w

    from mtmbench.core.names import check_name
    from mtmbench.core.serialise import write_atomically
    from mtmbench.corpora.load import load_corpus
    from mtmbench.models.importers import import_result

    check_name(name, "a model")
    loaded = load_corpus(corpus, data_dir=data_dir)
    result = import_result(
        source, corpus=loaded, name=name, format=source_format, items=items, doc_ids=doc_ids,
        normalise=normalise, trust=trust,
    )  # fmt: skip
    folder = out or Path("imported")
    result_file = (folder / f"{name}.safetensors").resolve()
    result.save(result_file)
    card = {
        "model": "external",
        "description": f"imported from {source.name}",
        "corpus": {loaded.name: {"path": str(result_file), "revision": result.revision}},
    }
    card_file = folder / f"{name}.toml"
    write_atomically(card_file, tomli_w.dumps(card))
    echo(f"{result.n_topics} topics over {len(loaded)} documents: {result_file}")
    echo(f"play it: mtmbench run SUITE --models lda,{card_file}")
