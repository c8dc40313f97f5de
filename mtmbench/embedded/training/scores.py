"""Scores MiniLM SAEs once on corpora that no choice looked at: mLDA with each, and LDA on words.

Run as ``python -m mtmbench.embedded.training.scores --data DIR --cache DIR --table FILE --sae
NAME=FOLDER`` (as many as there are) with the folder of corpora, a scratch folder for activations,
the CSV to write, and folders as they ship. Documents are cut to 512 tokens, features filtered by
each folder's "default", words by their least document frequency of 5, as in the suite ``labelled``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mtmbench.core.specs import WordSpec
from mtmbench.core.types import Counts
from mtmbench.corpora.load import load_corpus
from mtmbench.embedded.training.activations import (
    document_passages,
    layer_of,
    read_passages,
    store_activations,
    write_passages,
)
from mtmbench.embedded.training.candidates import append_row, feature_counts, nmi_of, rows_of
from mtmbench.features.filters import apply_filters
from mtmbench.features.sae.minilm import minilm_backbone
from mtmbench.features.sae.sae_folder import SAEFolder, load_sae_folder
from mtmbench.features.words import word_counts

N_TOPICS = {"20ng": 20, "bills": 21, "agnews": 20}
"""K of each corpus: its gold labels, at least 20."""
_MAX_TOKENS = 512
_LAYERS = (5, 6)


def main(arguments: Sequence[str] | None = None) -> None:
    """Stores the activations that are missing, and writes the table."""
    import torch

    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    named = [text.split("=", 1) for text in options.sae]
    saes = {name: load_sae_folder(Path(folder)) for name, folder in named}
    for name, n_topics in N_TOPICS.items():
        corpus = load_corpus(name, data_dir=options.data, max_documents=options.documents)
        cache, backbone = options.cache / name, minilm_backbone()
        drawn = document_passages(corpus, backbone, _MAX_TOKENS)
        write_passages(cache, drawn, {"corpus": name, "documents": len(corpus)})
        chunks = [passage.tokens for passage in read_passages(cache)]
        store_activations(chunks, cache, _LAYERS, backbone)
        if not saes:
            continue
        assert corpus.labels is not None
        words = word_counts(corpus, WordSpec(min_df=5))
        for model, counts in [("words", words), *views(saes, cache)]:
            scores = nmi_of(counts, corpus.labels, n_topics, options.seeds)
            row = {
                "corpus": name,
                "documents": len(corpus),
                "k": n_topics,
                "model": model,
                "items": len(counts.item_ids),
                "nmi": round(float(np.mean(scores)), 4),
                "nmi_by_seed": " ".join(f"{score:.4f}" for score in scores),
            }
            append_row(options.table, row)
            print(row, flush=True)


def views(saes: dict[str, SAEFolder], cache: Path) -> Iterator[tuple[str, Counts]]:
    """Yields each SAE's name and its counts under its default setting."""
    for name, folder in saes.items():
        rows = rows_of(cache, layer_of(folder.hook_point), "token")
        counts = feature_counts(folder.sae, rows, folder.labels)
        yield name, apply_filters(counts, folder.density, folder.setting("default"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mtmbench.embedded.training.scores")
    parser.add_argument("--data", type=Path, required=True, help="folder of corpora")
    parser.add_argument("--cache", type=Path, required=True, help="scratch folder")
    parser.add_argument("--table", type=Path, required=True, help="CSV to write")
    parser.add_argument(
        "--sae", nargs="*", default=[], help="NAME=FOLDER of each; none: store only"
    )
    parser.add_argument("--documents", type=int, default=2000, help="of each corpus")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
