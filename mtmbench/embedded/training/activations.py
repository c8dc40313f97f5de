"""Activations of the training text: passages, forward pass, a store on disk, means of windows.

Run as ``python -m mtmbench.embedded.training.activations --data DIR --cache DIR`` with the folder
of corpora, of which ``lm_text`` is the training text, and a scratch folder. Passages of documents
that share a run of 13 words with an evaluated corpus are not drawn; documents are held out by a
hash of their id (3 %), and nothing of them is trained on. A run that was stopped goes on where it
was when it is started anew.

Chunks, activations and windows are those of the feature extraction
(:mod:`mtmbench.features.sae.backbone`, :func:`mtmbench.features.sae.extract.window_means`): a chunk
of at most ``CHUNK_TOKENS`` word pieces goes through MiniLM between [CLS] and [SEP], and those two
and the padding are dropped.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash, write_atomically
from mtmbench.core.types import Corpus, IntArray
from mtmbench.embedded.training.lm_text import clean_overlap, held_out, read_documents
from mtmbench.features.sae.backbone import BATCH_TOKENS, Backbone
from mtmbench.features.sae.extract import window_means
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.features.sae.minilm import MINILM_MODEL, minilm_backbone, minilm_source
from mtmbench.features.sae.token_batches import TokenIds
from mtmbench.judges.prompt import sentences

CHUNK_TOKENS = 254
WIDTH_IN = 384
MODEL_NAME = "all-MiniLM-L6-v2"
PASSAGE_TOKENS = (62, 126, 254)
PIECE_CHARACTERS = 1800
SHARD_PASSAGES = 500
DRAWN, PASSAGES, STORED = "drawn.json", "passages.jsonl", "stored.json"
_CHUNKS_AT_ONCE = 512
_BATCH_TOKENS = 8192

HalfArray = NDArray[np.float16]


@dataclass(frozen=True)
class Passage:
    """A chunk of one document.

    Attributes:
        doc_id: the document's id in the training text.
        domain: its weak domain label.
        text: the passage's text, from the first to the last kept token.
        tokens: word-piece ids, specials excluded.
        offsets: (start, end) of each token in ``text``.
    """

    doc_id: str
    domain: str
    text: str
    tokens: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Passage:
        """Reads back what ``dataclasses.asdict`` gave."""
        return cls(
            value["doc_id"],
            value["domain"],
            value["text"],
            tuple(value["tokens"]),
            tuple((low, high) for low, high in value["offsets"]),
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Draws passages and stores their activations, from the command line."""
    import torch

    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    text, cache, exact = options.data / "lm_text", options.cache, minilm_backbone()
    cache.mkdir(parents=True, exist_ok=True)
    backbone = HuggingFaceBackbone(
        minilm_source(), name=MINILM_MODEL, max_chunk_tokens=CHUNK_TOKENS, dtype=options.dtype
    )
    dropped = set(clean_overlap(text, options.data, cache / "overlap.json").dropped)
    write_passages(
        cache / "held_out", held_out_passages(text, options.held_out, exact),
        {"held_out_documents": options.held_out},
    )  # fmt: skip
    write_passages(
        cache / "train", passages(text, options.tokens, options.seed, exact, dropped),
        {"tokens": options.tokens, "seed": options.seed, "overlapping": len(dropped)},
    )  # fmt: skip
    # What is kept back is read in full precision, as the features will be when they are used.
    for name, model in (("held_out", exact), ("train", backbone)):
        chunks = [passage.tokens for passage in read_passages(cache / name)]
        store_activations(chunks, cache / name, options.layers, model)


def write_passages(folder: Path, drawn: Iterable[Passage], settings: Mapping[str, object]) -> None:
    """Writes passages to ``folder/passages.jsonl``, unless they are there.

    Args:
        folder: made if need be.
        drawn: the passages.
        settings: how they were drawn, as JSON values; kept beside them.

    Raises:
        InputError: the folder holds passages that were drawn otherwise.
    """
    file, record = folder / PASSAGES, folder / DRAWN
    if file.exists():
        kept = json.loads(record.read_text())
        if kept != settings:
            raise InputError(f"{folder} holds passages of {kept}, not {settings}; give another")
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(record, json.dumps(settings) + "\n")
    partial = file.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(asdict(passage)) + "\n" for passage in drawn)
    partial.rename(file)


def read_passages(folder: Path) -> Iterator[Passage]:
    """Yields what :func:`write_passages` wrote.

    Raises:
        InputError: nothing is there.
    """
    file = folder / PASSAGES
    if not file.exists():
        raise InputError(f"{folder} holds no {PASSAGES}; store activations first")
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield Passage.from_json(json.loads(line))


def half_activations(
    backbone: Backbone,
    chunks: Sequence[TokenIds],
    hook_points: Sequence[str],
    batch_tokens: int = BATCH_TOKENS,
) -> dict[str, HalfArray]:
    """Returns (N, H) float16 activations, chunk after chunk as given, specials left out.

    Args:
        backbone: the language model.
        chunks: token ids, none longer than the model reads.
        hook_points: where it is read, all in one forward pass.
        batch_tokens: padded tokens of one forward pass.

    Returns:
        The activations by hook point.
    """
    begins = np.concatenate([[0], np.cumsum([len(chunk) for chunk in chunks])])
    shape = (int(begins[-1]), backbone.hidden_size)
    values = {hook_point: np.empty(shape, np.float16) for hook_point in hook_points}
    for first in range(0, len(chunks), _CHUNKS_AT_ONCE):
        some = chunks[first : first + _CHUNKS_AT_ONCE]
        for batch in backbone.activations(some, hook_points, batch_tokens):
            ends = np.cumsum(batch.lengths)
            for hook_point in hook_points:
                rows = batch.values[hook_point].numpy()
                for chunk, length, end in zip(batch.chunks, batch.lengths, ends, strict=True):
                    begin = begins[first + chunk]
                    values[hook_point][begin : begin + length] = rows[end - length : end]
    return values


def windowed(values: HalfArray, lengths: IntArray, window: int) -> HalfArray:
    """Means over a centred window inside each chunk, as the feature extraction takes them.

    Args:
        values: (N, H) activations, chunk after chunk.
        lengths: tokens of each chunk; they sum to N.
        window: tokens in the window; 1 returns ``values`` itself.

    Raises:
        InputError: the window is not positive.
    """
    import torch

    if window < 1:
        raise InputError(f"window is {window}; it must be at least 1")
    if window == 1:
        return values
    means = np.empty_like(values)
    ends = np.cumsum(lengths)
    for start, end in zip((ends - lengths).tolist(), ends.tolist(), strict=True):
        chunk = torch.from_numpy(values[start:end].astype(np.float32))
        means[start:end] = window_means(chunk, [end - start], window).numpy()
    return means


def sentence_means(values: HalfArray, passages: Iterable[Passage]) -> tuple[HalfArray, IntArray]:
    """Means over the tokens of each sentence, as far as the passages' activations are stored.

    A token belongs to the sentence in which it begins. What a passage holds of a sentence is a
    sentence.

    Args:
        values: (N, H) activations, passage after passage.
        passages: the passages.

    Returns:
        The means (S, H), and the passage of each sentence (S,).
    """
    means: list[HalfArray] = []
    passage_of: list[int] = []
    start = 0
    for number, passage in enumerate(passages):
        end = start + len(passage.tokens)
        if end > len(values):
            break
        begins, at = [], 0
        for sentence in sentences(passage.text):
            at = passage.text.index(sentence, at)
            begins.append(at)
            at += len(sentence)
        token_begins = [begin for begin, _ in passage.offsets]
        sentence_of = np.searchsorted(begins, token_begins, side="right")
        first = np.flatnonzero(np.diff(sentence_of, prepend=-1))
        sums = np.add.reduceat(values[start:end].astype(np.float32), first, axis=0)
        sizes = np.diff(np.append(first, end - start))
        means.append((sums / sizes[:, None]).astype(np.float16))
        passage_of += [number] * len(first)
        start = end
    return np.concatenate(means), np.array(passage_of, np.int64)


def passages(
    folder: Path,
    n_tokens: int,
    seed: int,
    backbone: HuggingFaceBackbone,
    dropped: Set[str] = frozenset(),
) -> Iterator[Passage]:
    """Draws passages of the training documents until ``n_tokens`` are reached.

    Documents are cut into pieces that begin at paragraphs. Each document gives one piece, then
    those that have more give a second one, and so on, so that a prefix of what is drawn is spread
    over all documents. A passage is a piece's first 62, 126 or 254 tokens (drawn evenly), since
    corpora hold short texts as well as long ones. Documents of ids in ``dropped`` give none.

    Raises:
        InputError: the documents have fewer tokens than asked for.
    """
    rng = np.random.default_rng(seed)
    documents = [
        d for d in read_documents(folder) if not held_out(d["id"]) and d["id"] not in dropped
    ]
    pieces = [rng.permutation(_pieces(d["text"])).tolist() for d in documents]
    seen = 0
    for turn in range(max(map(len, pieces), default=0)):
        order = [i for i in rng.permutation(len(documents)) if turn < len(pieces[i])]
        for first in range(0, len(order), SHARD_PASSAGES):
            batch = order[first : first + SHARD_PASSAGES]
            sizes = rng.choice(PASSAGE_TOKENS, len(batch))
            texts = [
                documents[i]["text"][begin : begin + PIECE_CHARACTERS]
                for i in batch
                for begin in [pieces[i][turn]]
            ]
            for i, text, size, ids, spans in zip(
                batch, texts, sizes, backbone.tokenise(texts), backbone.spans(texts), strict=True
            ):
                if min(size, len(ids)) < 20:
                    continue
                yield _passage(documents[i], text, ids[:size], spans[:size])
                seen += min(size, len(ids))
                if seen >= n_tokens:
                    return
    raise InputError(f"the training text gives {seen} tokens in passages; ask for at most that")


def held_out_passages(
    folder: Path, n_documents: int, backbone: HuggingFaceBackbone
) -> Iterator[Passage]:
    """Yields the first chunk of each of the first ``n_documents`` held-out documents."""
    kept = [d for d in read_documents(folder) if held_out(d["id"])][:n_documents]
    texts = [d["text"][:1800] for d in kept]
    for document, text, ids, spans in zip(
        kept, texts, backbone.tokenise(texts), backbone.spans(texts), strict=True
    ):
        yield _passage(document, text, ids[:CHUNK_TOKENS], spans[:CHUNK_TOKENS])


def document_passages(
    corpus: Corpus, backbone: HuggingFaceBackbone, max_tokens: int | None = None
) -> Iterator[Passage]:
    """Yields documents in chunks, cut to ``max_tokens`` if given; the domain is the gold label."""
    assert corpus.labels is not None
    for doc_id, text, label, ids, spans in zip(
        corpus.doc_ids, corpus.texts, corpus.labels, backbone.tokenise(corpus.texts),
        backbone.spans(corpus.texts), strict=True,
    ):  # fmt: skip
        document = {"id": doc_id, "domain": str(label)}
        end = len(ids) if max_tokens is None else min(len(ids), max_tokens)
        for first in range(0, end, CHUNK_TOKENS):
            some = slice(first, min(first + CHUNK_TOKENS, end))
            begin = int(spans[first, 0])
            yield _passage(document, text[begin:], ids[some], spans[some] - begin)


def store_activations(
    chunks: Sequence[Sequence[int]], folder: Path, layers: Sequence[int], backbone: Backbone
) -> None:
    """Writes the activations of several layers, read in one pass, to ``folder/layer<l>.f16``.

    A shard of passages is durable on disk before ``stored.json`` counts it, so a run that was
    killed goes on behind the last shard counted and leaves the same bytes.

    Args:
        chunks: token ids of the passages.
        folder: where to write; what it holds of the same passages, layers and model is kept.
        layers: encoder layers whose output is read.
        backbone: the language model.

    Raises:
        InputError: the folder holds activations of other passages, layers or precision.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ends = np.concatenate([[0], np.cumsum([len(chunk) for chunk in chunks])])
    what = {
        "backbone": backbone.describe(),
        "chunks": content_hash(*(list(chunk) for chunk in chunks)),
        "layers": list(layers),
        "width": backbone.hidden_size,
    }
    record = folder / STORED
    stored: dict[str, Any] = (
        json.loads(record.read_text()) if record.exists() else {**what, "n_chunks": 0}
    )
    if {name: stored.get(name) for name in what} != what:
        raise InputError(
            f"{folder} holds activations of other passages, layers or precision; give another "
            "folder, or the settings that it was begun with"
        )
    points = {layer: hook_point_of(layer) for layer in layers}
    for first in range(stored["n_chunks"], len(chunks), SHARD_PASSAGES):
        some = [np.array(chunk, np.int32) for chunk in chunks[first : first + SHARD_PASSAGES]]
        values = half_activations(backbone, some, list(points.values()), _BATCH_TOKENS)
        for layer, point in points.items():
            _write_at(_layer_file(folder, layer), int(ends[first]), values[point])
        stored |= {"n_chunks": first + len(some), "n_tokens": int(ends[first + len(some)])}
        write_atomically(record, json.dumps(stored, indent=2) + "\n")
        print(f"stored {stored['n_chunks']} of {len(chunks)} passages", flush=True)


def hook_point_of(layer: int) -> str:
    """Returns where the output of an encoder layer is read; 6 is MiniLM's last."""
    return f"blocks.{layer - 1}.hook_resid_post"


def layer_of(hook_point: str | None) -> int:
    """Returns the encoder layer whose output a hook point is.

    Raises:
        InputError: it is no layer's output.
    """
    found = re.fullmatch(r"blocks\.(\d+)\.hook_resid_post", hook_point or "")
    if found is None:
        raise InputError(
            f"{hook_point!r} is no layer's output; that of the last is {hook_point_of(6)}"
        )
    return int(found[1]) + 1


def load_activations(folder: Path, layer: int) -> HalfArray:
    """Maps the stored (N, H) float16 activations of one layer into memory, as far as they go.

    Raises:
        InputError: nothing is stored for that layer.
    """
    file, record = _layer_file(folder, layer), folder / STORED
    if not file.exists() or not record.exists():
        raise InputError(f"no activations of layer {layer} in {folder}; store them first")
    stored = json.loads(record.read_text())
    return np.memmap(file, np.float16, "r", shape=(stored["n_tokens"], stored["width"]))


def _layer_file(folder: Path, layer: int) -> Path:
    return folder / f"layer{layer}.f16"


def _write_at(file: Path, row: int, values: HalfArray) -> None:
    with file.open("r+b" if file.exists() else "w+b") as out:
        out.seek(row * values.shape[1] * values.itemsize)
        out.write(np.ascontiguousarray(values).data)
        out.flush()
        os.fsync(out.fileno())


def _passage(document: Mapping[str, str], text: str, tokens: TokenIds, spans: IntArray) -> Passage:
    return Passage(
        document["id"], document["domain"], text[: int(spans[-1, 1])], tuple(tokens.tolist()),
        tuple((low, high) for low, high in spans.tolist()),
    )  # fmt: skip


def _pieces(text: str) -> list[int]:
    """Where pieces begin: at 0, then at the first paragraph behind each whole piece."""
    begins = [0]
    while (at := text.find("\n\n", begins[-1] + PIECE_CHARACTERS)) >= 0:
        begins.append(at + 2)
    return begins


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mtmbench.embedded.training.activations")
    parser.add_argument("--data", type=Path, required=True, help="folder of corpora")
    parser.add_argument("--cache", type=Path, required=True, help="scratch folder (6 GB a layer)")
    parser.add_argument("--layers", type=int, nargs="+", default=[5, 6])
    parser.add_argument("--tokens", type=int, default=8_000_000)
    parser.add_argument("--held-out", type=int, default=1000, help="held-out documents")
    parser.add_argument("--dtype", default="float32", help="of the forward pass over training text")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
