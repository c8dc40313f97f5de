"""The training text of what ships: documents, those held out, overlap removed, BPE, token files."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mtmbench.core.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

RUN_WORDS = 13
EVALUATED = (
    "20ng", "bills", "dbpedia", "yelp", "agnews", "goemotions", "poemsum", "writingprompts", "lee",
    "gensim-wiki",
)  # fmt: skip
BOS, EOS = "<s>", "</s>"
BOS_ID, EOS_ID = 0, 1
TokenArray = NDArray[np.uint16]

_WORD = re.compile(r"\w+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Overlap:
    """What the search for shared runs of words found.

    Attributes:
        dropped: ids of documents that share a run with an evaluated corpus, in order.
        by_corpus: for each evaluated corpus, how many documents share one with it.
        n_documents: documents looked at.
    """

    dropped: tuple[str, ...]
    by_corpus: dict[str, int]
    n_documents: int


def read_documents(folder: Path) -> Iterator[dict[str, str]]:
    """Yields the training text's documents, in the order of the shards.

    Raises:
        InputError: the folder holds no ``*.jsonl.gz``.
    """
    files = sorted(folder.glob("*.jsonl.gz"))
    if not files:
        raise InputError(f"{folder} holds no *.jsonl.gz; give the folder of the training text")
    for file in files:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)


def held_out(doc_id: str, share: float = 0.03) -> bool:
    """Tells whether a document is kept away from training, by a hash of its id."""
    import hashlib

    return int(hashlib.sha256(doc_id.encode()).hexdigest()[:8], 16) < share * 16**8


def run_hashes(text: str, n: int = RUN_WORDS) -> NDArray[np.uint64]:
    """Returns a 64-bit hash of every run of ``n`` words (case and punctuation apart)."""
    words = np.array([_word_hash(word) for word in _WORD.findall(text.lower())], dtype=np.uint64)
    if len(words) < n:
        return np.empty(0, dtype=np.uint64)
    length = len(words) - n + 1
    hashes = np.zeros(length, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for i in range(n):
            hashes = hashes * _MULTIPLIER + words[i : i + length]
    return hashes


def find_overlap(
    documents: Iterable[dict[str, str]], evaluated: Mapping[str, Sequence[str]]
) -> Overlap:
    """Finds the documents that share any run of 13 words with a text of an evaluated corpus.

    Args:
        documents: the training documents, with ``id`` and ``text``.
        evaluated: the texts of each evaluated corpus, by its name.
    """
    known = {
        name: np.unique(np.concatenate([np.empty(0, np.uint64), *map(run_hashes, texts)]))
        for name, texts in evaluated.items()
    }
    by_corpus = dict.fromkeys(known, 0)
    dropped = []
    count = 0
    for document in documents:
        count += 1
        runs = np.unique(run_hashes(document["text"]))
        shared = [name for name, hashes in known.items() if _intersects(runs, hashes)]
        for name in shared:
            by_corpus[name] += 1
        if shared:
            dropped.append(document["id"])
    return Overlap(tuple(dropped), by_corpus, count)


def clean_overlap(lm_text: Path, data: Path, file: Path) -> Overlap:
    """Runs :func:`find_overlap` on the training text once and keeps what it found in ``file``."""
    from mtmbench.corpora.load import load_corpus

    if not file.exists():
        evaluated = {name: load_corpus(name, data_dir=data).texts for name in EVALUATED}
        found = find_overlap(read_documents(lm_text), evaluated)
        file.write_text(
            json.dumps(
                {
                    "dropped": found.dropped,
                    "by_corpus": found.by_corpus,
                    "n_documents": found.n_documents,
                }
            )
        )
    raw = json.loads(file.read_text())
    return Overlap(tuple(raw["dropped"]), raw["by_corpus"], raw["n_documents"])


def train_tokenizer(texts: Iterable[str], size: int) -> Tokenizer:
    """Trains a byte-level BPE of ``size`` entries; token 0 begins a document, 1 ends it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, BOS_ID)]
    )
    return tokenizer


def write_tokens(lm_text: Path, overlap: Overlap, tokenizer: Tokenizer, folder: Path) -> None:
    """Writes ``train.bin`` and ``held_out.bin``: uint16 tokens, </s> after each document.

    Beside them ``held_out.json`` says how many bytes of text the held-out tokens are.
    """
    dropped = set(overlap.dropped)
    parts: dict[bool, list[TokenArray]] = {False: [], True: []}
    n_bytes = 0
    for batch in _batches(read_documents(lm_text), 512):
        kept = [document for document in batch if document["id"] not in dropped]
        for document, encoding in zip(
            kept,
            tokenizer.encode_batch([d["text"] for d in kept], add_special_tokens=False),
            strict=True,
        ):
            out = held_out(document["id"])
            n_bytes += len(document["text"].encode()) if out else 0
            parts[out].append(np.array([*encoding.ids, EOS_ID], dtype=np.uint16))
    for out, name in ((False, "train"), (True, "held_out")):
        np.concatenate(parts[out]).tofile(folder / f"{name}.partial")
        (folder / f"{name}.partial").rename(folder / f"{name}.bin")
    (folder / "held_out.json").write_text(
        json.dumps({"documents": len(parts[True]), "bytes": n_bytes})
    )


def read_tokens(file: Path) -> TokenArray:
    """Maps a token file into memory."""
    return np.memmap(file, dtype=np.uint16, mode="r")


def _intersects(runs: NDArray[np.uint64], known: NDArray[np.uint64]) -> bool:
    if not len(runs) or not len(known):
        return False
    at = np.searchsorted(known, runs)
    at[at == len(known)] = 0
    return bool((known[at] == runs).any())


@cache
def _word_hash(word: str) -> int:
    import hashlib

    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


def _batches(documents: Iterable[dict[str, str]], size: int) -> Iterable[list[dict[str, str]]]:
    batch: list[dict[str, str]] = []
    for document in documents:
        batch.append(document)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
