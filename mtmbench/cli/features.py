"""``mtmbench features``: an SAE's folder, made by reading a reference text."""

from pathlib import Path
from typing import Annotated

import typer

from mtmbench.cli.console import ConsoleProgress, echo, resumable
from mtmbench.cli.corpus import read_corpus
from mtmbench.cli.options import DataOption, IdOption, LabelOption, TextOption


def features(
    backbone: Annotated[str, typer.Option(help="A model of the hub, or a folder in its format.")],
    reference: Annotated[str, typer.Option(help="The text to read: a corpus, file or folder.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to build.")],
    sae: Annotated[
        str,
        typer.Option(help="A folder in sae-lens's or Gemma Scope's format, or the release's id."),
    ],
    release: Annotated[str | None, typer.Option(help="A release that sae-lens knows.")] = None,
    hook_point: Annotated[
        str | None,
        typer.Option(help="Where the SAE reads, such as blocks.10.hook_resid_post, if not said."),
    ] = None,
    context_size: Annotated[
        int | None, typer.Option(help="Tokens of a chunk, BOS included, if not the SAE's own.")
    ] = None,
    tokens: Annotated[int, typer.Option(help="Tokens of the reference to read.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Of the documents drawn.")] = 0,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    device: Annotated[str, typer.Option(help="A torch device, such as cpu or cuda.")] = "cpu",
    text: TextOption = None,
    label: LabelOption = None,
    id_column: IdOption = None,
    data_dir: DataOption = None,
) -> None:
    """Reads a reference text for an SAE: thresholds, densities, contexts, labels, in one folder.

    Killed, the same command goes on. Suites use the folder by source = "sae".
    """
    # Imports, the model and the corpus take their time too.
    with resumable():
        from mtmbench.features.sae.hub import ModelFeatures, SAEEntry
        from mtmbench.features.sae.reference import build_folder

        given: SAEEntry = {"folder": sae} if release is None else {"release": release, "id": sae}
        if hook_point is not None:
            given["hook_point"] = hook_point
        if context_size is not None:
            given["context_size"] = context_size
        source = ModelFeatures(backbone, {out.name: given}, dtype=dtype, device=device)
        corpus = read_corpus(reference, data_dir, text, label, id_column)
        with ConsoleProgress() as progress:
            built = build_folder(
                source, corpus, out, n_tokens=tokens, seed=seed,
                progress=progress.counted("activations", corpus.name),
            )  # fmt: skip
    alive = int((built.density > 0).sum()) if built.density is not None else 0
    echo(f"{alive} of {built.sae.n_features} features fire; built {out}")
