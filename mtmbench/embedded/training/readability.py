"""Random features of two or more SAEs to read without knowing whose they are, and their count.

``python -m mtmbench.embedded.training.readability draw --cache DIR --out DIR --sae NAME=FOLDER``,
with as many SAEs as there are, draws live features of each and writes them shuffled:
``contexts.txt`` to read, ``key.csv`` to leave shut. A reader writes ``verdicts.csv`` with the
columns number, readable ("yes" or "no") and concept. ``... count --out DIR --table FILE`` then
joins the two into a table and prints each SAE's share with its Wilson interval.

Contexts come from the held-out documents of ``lm_text`` and from DBpedia, whose activations
:mod:`mtmbench.embedded.training.candidates` stored. One firing is drawn of each document in which
the feature fires; of those, by activation, the ones in the middle of ten equal parts are shown,
strongest first, since the strongest alone would flatter.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.types import FloatArray, IntArray
from mtmbench.embedded.training.activations import (
    Passage,
    layer_of,
    load_activations,
    read_passages,
)
from mtmbench.embedded.training.topk import encoded
from mtmbench.features.sae.sae import SAE, load_sae
from mtmbench.stats.intervals import Rate, wilson

CORPORA = ("held_out", "dbpedia")
N_CONTEXTS = 10
REACH = 14
"""Tokens shown on either side of the word."""
CONTEXTS, KEY, VERDICTS = "contexts.txt", "key.csv", "verdicts.csv"


@dataclass(frozen=True)
class TokenFirings:
    """Where and how strongly features fire: feature, passage, token in it, activation."""

    feature: IntArray
    passage: IntArray
    token: IntArray
    strength: FloatArray


def main(arguments: Sequence[str] | None = None) -> None:
    """Draws features to read, or counts verdicts, from the command line."""
    options = _parser().parse_args(arguments)
    if options.step == "draw":
        saes = dict(text.split("=", 1) for text in options.sae)
        folders = {name: Path(folder) for name, folder in saes.items()}
        draw(options.cache, folders, options.out, options.features, options.seed)
    else:
        for sae, rate in count(options.out, options.table).items():
            print(f"{sae}: {rate.value:.2f} ({rate.lo:.2f} to {rate.hi:.2f}) of {rate.n}")


def draw(cache: Path, saes: Mapping[str, Path], out: Path, n_features: int, seed: int) -> None:
    """Writes ``contexts.txt`` and ``key.csv`` of ``n_features`` features of each SAE."""
    rng = np.random.default_rng(seed)
    drawn: list[tuple[str, int, list[str]]] = []
    passages = [p for corpus in CORPORA for p in read_passages(cache / corpus)]
    for name, folder in saes.items():
        found = firings(load_sae(folder), cache)
        for feature in live_features(found, passages, n_features, rng):
            drawn.append((name, feature, contexts(found, feature, passages, rng)))
    out.mkdir(parents=True, exist_ok=True)
    order = rng.permutation(len(drawn))
    with (out / KEY).open("w", newline="", encoding="utf-8") as key:
        writer = csv.writer(key, lineterminator="\n")
        writer.writerow(["number", "sae", "feature"])
        writer.writerows([number, *drawn[i][:2]] for number, i in enumerate(order, 1))
    texts = ["\n".join([f"## {number}", *drawn[i][2]]) for number, i in enumerate(order, 1)]
    (out / CONTEXTS).write_text("\n\n".join(texts) + "\n", encoding="utf-8")


def count(out: Path, table: Path) -> dict[str, Rate]:
    """Writes the table of SAE, feature, verdict and concept; returns each SAE's readable share.

    Raises:
        InputError: a feature has no verdict, or one that is neither "yes" nor "no".
    """
    verdicts = {row["number"]: row for row in _rows(out / VERDICTS)}
    rows: list[tuple[str, int, str, str]] = []
    for key in _rows(out / KEY):
        verdict = verdicts.get(key["number"], {})
        if verdict.get("readable") not in ("yes", "no"):
            raise InputError(
                f"feature number {key['number']} has the verdict {verdict.get('readable')!r} in "
                f"{out / VERDICTS}; write yes or no"
            )
        rows.append((key["sae"], int(key["feature"]), verdict["readable"], verdict["concept"]))
    with table.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(["sae", "feature", "readable", "concept"])
        writer.writerows(sorted(rows))
    found = {}
    for name in sorted({row[0] for row in rows}):
        mine = [row[2] == "yes" for row in rows if row[0] == name]
        found[name] = wilson(sum(mine), len(mine))
    return found


def firings(sae: SAE, cache: Path) -> TokenFirings:
    """Returns every firing of an SAE of tokens on the texts that are read.

    Raises:
        InputError: the SAE's config names no layer's output.
    """
    layer = layer_of(sae.metadata.get("hook_name"))
    parts = []
    n_passages = 0
    for corpus in CORPORA:
        lengths = [len(passage.tokens) for passage in read_passages(cache / corpus)]
        passage_of = np.repeat(np.arange(len(lengths)), lengths)
        token_of = np.concatenate([np.arange(length) for length in lengths])
        row, feature, strength = encoded(sae, load_activations(cache / corpus, layer))
        parts.append(
            (feature.astype(np.int64), passage_of[row] + n_passages, token_of[row], strength)
        )
        n_passages += len(lengths)
    return TokenFirings(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def live_features(
    found: TokenFirings, passages: Sequence[Passage], n: int, rng: np.random.Generator
) -> list[int]:
    """Draws features that fire in as many documents as contexts are shown of them.

    Raises:
        InputError: there are fewer.
    """
    number = {doc_id: i for i, doc_id in enumerate({p.doc_id: None for p in passages})}
    document = np.array([number[passage.doc_id] for passage in passages])
    pairs = np.unique(np.stack([found.feature, document[found.passage]]), axis=1)
    live = np.flatnonzero(np.bincount(pairs[0]) >= N_CONTEXTS)
    if len(live) < n:
        raise InputError(f"{len(live)} features fire in {N_CONTEXTS} documents; draw at most those")
    return sorted(rng.choice(live, n, replace=False).tolist())


def contexts(
    found: TokenFirings, feature: int, passages: Sequence[Passage], rng: np.random.Generator
) -> list[str]:
    """Returns texts around a feature's firings, from the strongest to the weakest."""
    mine = rng.permutation(np.flatnonzero(found.feature == feature))
    of_document = {passages[found.passage[i]].doc_id: i for i in mine.tolist()}
    drawn = np.array(list(of_document.values()))
    drawn = drawn[np.argsort(-found.strength[drawn], kind="stable")]
    middles = ((np.arange(N_CONTEXTS) + 0.5) * len(drawn) / N_CONTEXTS).astype(int)
    return [
        shown(passages[found.passage[i]], int(found.token[i]), float(found.strength[i]))
        for i in drawn[middles].tolist()
    ]


def shown(passage: Passage, token: int, strength: float) -> str:
    """Returns one line: the activation, and the text with the word of the token in brackets."""
    text, offsets = passage.text, passage.offsets
    begin = offsets[max(0, token - REACH)][0]
    end = offsets[min(len(offsets) - 1, token + REACH)][1]
    low, high = offsets[token]
    while low > begin and text[low - 1].isalnum() and text[low].isalnum():
        low -= 1
    while high < end and text[high - 1].isalnum() and text[high].isalnum():
        high += 1
    line = f"{text[begin:low]}[[{text[low:high]}]]{text[high:end]}"
    return f"{strength:.2f} {' '.join(line.split())}"


def _rows(file: Path) -> Iterator[dict[str, str]]:
    if not file.exists():
        raise InputError(f"there is no {file}")
    with file.open(newline="", encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mtmbench.embedded.training.readability")
    steps = parser.add_subparsers(dest="step", required=True)
    drawing = steps.add_parser("draw", help="features to read")
    drawing.add_argument("--cache", type=Path, required=True, help="stored activations")
    drawing.add_argument("--sae", nargs="+", required=True, help="NAME=FOLDER of each")
    drawing.add_argument("--features", type=int, default=50, help="of each SAE")
    drawing.add_argument("--seed", type=int, default=0)
    counting = steps.add_parser("count", help="verdicts")
    counting.add_argument("--table", type=Path, required=True, help="CSV to write")
    for step in (drawing, counting):
        step.add_argument("--out", type=Path, required=True, help="folder of contexts and verdicts")
    return parser


if __name__ == "__main__":
    main()
