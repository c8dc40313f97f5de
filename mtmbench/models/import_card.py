"""The model card of imported topics: one a name, with a result file for each corpus."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import ModelCard
from mtmbench.core.errors import InputError
from mtmbench.core.serialise import write_atomically
from mtmbench.core.topic_result import TopicResult

_LONGEST = 240
"""Bytes of a name; file systems take 255, and a file that is being written has a longer one."""

_CORPUS_BYTES = 80


def save_import(
    result: TopicResult, folder: Path, *, described: str, overwrite: bool = False
) -> tuple[Path, Path]:
    """Writes imported topics and enters them on the card of their name.

    A name imported on several corpora is one model: its card ``NAME.toml`` has a table for each
    corpus. The first result is ``NAME.safetensors``, one of another corpus ``NAME-CORPUS``. The
    same topics once more change nothing, so that a script may run again.

    Args:
        result: the topics; their ``model`` is the name under which they play.
        folder: where card and results lie.
        described: where the topics come from, for the card.
        overwrite: replace other topics that the card has of this corpus.

    Returns:
        The result's file and the card's.

    Raises:
        InputError: the card has other topics of this corpus already, or is another model's; or a
            file of other topics, which no card names, is in the way.
    """
    name, corpus = result.model, result.corpus["name"]
    card_file = folder / f"{name}.toml"
    card = _card(card_file)
    tables = card["corpus"]
    held = tables[corpus].get("revision") if corpus in tables else result.revision
    if held != result.revision and not overwrite:
        raise InputError(
            f"{card_file} has other topics of corpus {corpus!r} already "
            f"(revision {str(held)[:12]}); replace them by --overwrite, "
            "or give another --name"
        )
    others = [table.get("path") for key, table in tables.items() if key != corpus]
    result_file = _free_file(result, folder.resolve(), filter(None, others))
    if not overwrite:
        _refuse_other_topics(result, result_file)
    result.save(result_file)
    # External fills what stands in braces in a path.
    path = str(result_file).replace("{", "{{").replace("}", "}}")
    tables[corpus] = {"path": path, "revision": result.revision}
    if described not in card["description"].split("; "):
        card["description"] = "; ".join(filter(None, (card["description"], described)))
    import tomli_w

    write_atomically(card_file, tomli_w.dumps(card))
    return result_file, card_file


def _card(path: Path) -> dict[str, Any]:
    """Returns the card as it lies there, or a new one."""
    new = {"model": "external", "description": "", "corpus": {}}
    if not path.is_file():
        return new
    model = read_card(path, ModelCard).model
    if model != "external":
        raise InputError(f"{path} is a card of model {model!r}; give another --name")
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    return {**new, **found}


def _free_file(result: TopicResult, folder: Path, others: Iterable[str]) -> Path:
    """Returns the first file that the card does not name for another corpus."""
    taken = {Path(other.replace("{{", "{").replace("}}", "}")).resolve() for other in others}
    corpus = re.sub(r"[^\w.-]+", "_", result.corpus["name"])
    revision = f"-{result.corpus['revision'][:12]}"
    room = _LONGEST - len(f"{result.model}-{revision}.safetensors".encode())
    # Cut by bytes, which file systems count.
    corpus = corpus.encode()[: max(0, min(room, _CORPUS_BYTES))].decode(errors="ignore")
    parts = ("", f"-{corpus}", f"-{corpus}{revision}")
    files = [folder / f"{result.model}{part}.safetensors" for part in parts]
    return next((file for file in files if file not in taken), files[-1])


def _refuse_other_topics(result: TopicResult, file: Path) -> None:
    if not file.exists():
        return
    try:
        same = TopicResult.load(file).revision == result.revision
    except InputError:
        same = False
    if not same:
        raise InputError(
            f"{file} holds other topics, which the card does not name; replace them by "
            "--overwrite, or give another --name"
        )
