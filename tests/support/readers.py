"""Models for the chat server that read what they are shown, and a suite that two of them judge.

``overlap`` prefers the set more of whose words stand in the document; ``long`` prefers the longer
words, whatever they say, as a judge must not; ``writer`` summarises a topic by its first items.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

Messages = Sequence[Mapping[str, str]]

_TIE = 0.02
_PART = r"\[\w+ {0} begins\]\n(.*?)\n\[\w+ {0} ends\]"
_CARD = """
client = "openai"
model = "{model}"

[endpoint]
base_url = "{url}"

[decoding]
temperature = 0
max_tokens = 100

[prices]
input = 1.0
output = 4.0

[limits]
concurrency = 16
"""
_SUITE = """
name = "two-cards"
title = "Two chat cards over one local server"
corpora = [{corpus}]
models = [{models}]
k = [{k}]
metrics = ["coverage"]

[judging]
judges = ["overlap", "long"]
representations = ["items", "summary"]
summariser = "writer"
documents = {documents}
nulls = true
null_documents = {null_documents}
bootstrap = 200
"""


def overlap(messages: Messages) -> str:
    """Says which set has the larger share of its words in the document."""
    document, *sets = (_words(_part(messages, name)) for name in ("document", "set A", "set B"))
    first, second = (len(words & document) / max(1, len(words)) for words in sets)
    return _verdict(first, second, _TIE)


def long(messages: Messages) -> str:
    """Says which set has the longer words."""
    sets = (_words(_part(messages, name)) for name in ("set A", "set B"))
    first, second = (sum(map(len, words)) / max(1, len(words)) for words in sets)
    return _verdict(first, second, 0.2)


def writer(messages: Messages) -> str:
    """Says what a topic's first items are."""
    items = [line.partition(". ")[2] for line in _part(messages, "items").splitlines()]
    return f"SUMMARY: Documents about {', '.join(items[:5])}."[:240]


MODELS = {"overlap": overlap, "long": long, "writer": writer}


def lay_out_two_cards(
    folder: Path,
    url: str,
    *,
    corpus: str = '"lee"',
    models: Sequence[str] = ("lda", "etm", "bertopic", "mlda", "metm", "mbertopic"),
    k: int = 10,
    documents: int = 20,
    null_documents: int = 20,
) -> Path:
    """Writes the cards and the suite; returns the suite's path."""
    (folder / "judges").mkdir(exist_ok=True)
    for model in MODELS:
        (folder / "judges" / f"{model}.toml").write_text(_CARD.format(model=model, url=url))
    suite = folder / "suite.toml"
    named = ", ".join(f'"{model}"' for model in models)
    suite.write_text(
        _SUITE.format(
            corpus=corpus, models=named, k=k, documents=documents, null_documents=null_documents
        )
    )
    return suite


def _part(messages: Messages, name: str) -> str:
    found = re.search(_PART.format(name), messages[-1]["content"], re.DOTALL)
    assert found is not None, f"no part {name!r} in the question"
    return found[1]


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{3,}", text.lower()))


def _verdict(first: float, second: float, tie: float) -> str:
    said = "tie" if abs(first - second) < tie else "A" if first > second else "B"
    return f"One says more.\n\nVERDICT: {said}"
