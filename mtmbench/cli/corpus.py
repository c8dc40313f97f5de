"""The corpus that a command line names, with what is to be said of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mtmbench.cli.console import echo

if TYPE_CHECKING:
    from mtmbench.core.types import Corpus


def read_corpus(
    source: str,
    data_dir: Path | None,
    text: str | None,
    label: str | None,
    id_column: str | None,
    language: str | None = None,
    stop_words: str | None = None,
    tokeniser: str | None = None,
) -> Corpus:
    """Loads the corpus that a command line names, and says what of it is not as it lies there.

    Raises:
        InputError: there is no such source, or something in it is wrong.
        UnknownNameError: a bare name that is not registered.
    """
    from mtmbench.corpora.load import corpus_notes, load_corpus

    corpus = load_corpus(
        source, text=text, label=label, id=id_column, data_dir=data_dir, language=language,
        stop_words=stop_words, tokeniser=tokeniser,
    )  # fmt: skip
    for note in corpus_notes(corpus):
        echo(f"mtmbench: {note}", err=True)
    return corpus
