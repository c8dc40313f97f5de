"""``publish``: a board's page and data as the files of a web site, and nothing else of its run.

Everything is made from ``suite.toml`` and ``records.jsonl``, and a steering table goes along, so
that nothing else that lies in a run's folder can: no store, ledger, results or texts. Records may
hold what is not for everybody: their texts are cleaned first (:class:`Cleaner`).
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, cast

from mtmbench.boards.write import files_of
from mtmbench.core.card_reading import read_card, suite_text
from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError, MtmbenchError
from mtmbench.core.files import parse_toml, read_json, read_text
from mtmbench.core.misfits import CELL_VALUES
from mtmbench.core.records import CellRecord
from mtmbench.core.serialise import write_atomically
from mtmbench.core.store import records_content, records_file, stream_records
from mtmbench.core.tables import table_json
from mtmbench.corpora.licences import may_be_shown
from mtmbench.corpora.load import load_spec
from mtmbench.corpora.offline import offline
from mtmbench.publishing.traces import LONGEST_QUOTATION, PATH, Passages, leaves, secret_in

MANIFEST = "publication.json"
"""Names the files of a publication, by which a later one knows what it may replace."""

KEPT = frozenset({".git", ".gitattributes", "CNAME"})
"""What a server's own set-up puts beside a publication; it stays."""

STEERING_FILES = ("steering.md", "steering.csv", "steering.json")
"""What goes along beside the suite and its records, if it is there."""

_TRACEBACK = "Traceback (most recent call last)"


class Cleaner:
    """Takes out of records what is not for everybody.

    An absolute path becomes its last part behind "…/", a traceback its first line. A text with a
    passage of a corpus whose texts may not be shown becomes a line that says so; of a corpus that
    is not here, so that nobody can tell, every text that is longer than a quotation does.

    Args:
        suite: the run's suite.
        data_dir: folder of local corpora; None reads ``MTMBENCH_DATA``.
    """

    def __init__(self, suite: Suite, data_dir: Path | None) -> None:
        self._data_dir = data_dir
        self._specs = {
            form: spec
            for spec in suite.corpora
            for form in (Path(spec.name).stem, Path(spec.name).name, spec.name)
        }
        self._passages = cache(self._passages_of)

    def record(self, record: CellRecord) -> CellRecord:
        """Returns a record without what is not for everybody.

        Raises:
            InputError: it seems to hold a secret.
        """
        for place, value in leaves(dict(record.payload)):
            if isinstance(value, str) and (secret := secret_in(value)):
                raise InputError(
                    f"record {record.key}: {place} looks like {secret}; nothing was published"
                )
        of = record.payload["corpus"], record.payload["corpus_revision"]
        played = CELL_VALUES[record.kind]
        # What a cell is was said before any text was read.
        cleaned = {
            name: self._cleaned(value, of if name in played else None)
            for name, value in dict(record.payload).items()
        }
        return replace(record, payload=cleaned)  # type: ignore[arg-type]

    def suite(self, text: str) -> str:
        """Returns a suite's text without absolute paths, which are of this machine."""
        import tomli_w

        return tomli_w.dumps(cast("dict[str, Any]", self._cleaned(parse_toml(text, ""), None)))

    def _cleaned(self, value: object, corpus: tuple[str, str] | None) -> object:
        if isinstance(value, dict):
            return {clean(name): self._cleaned(part, corpus) for name, part in value.items()}
        if isinstance(value, list):
            return [self._cleaned(part, corpus) for part in value]
        if not isinstance(value, str):
            return value
        long = value.count(" ") >= LONGEST_QUOTATION
        if corpus is not None and long and self._is_closed(value, corpus):
            return f"(a text of {len(value.split())} words, which may not be shown)"
        return clean(value)

    def _is_closed(self, text: str, corpus: tuple[str, str]) -> bool:
        passages = self._passages(*corpus)
        if isinstance(passages, bool):
            return not passages
        return passages.longest(text) > 0

    def _passages_of(self, corpus: str, revision: str) -> Passages | bool:
        """Returns whether all texts may be shown, or else by what they are found, if they can."""
        if corpus not in self._specs:
            return False
        try:
            with offline():
                loaded = load_spec(self._specs[corpus], self._data_dir)
        except MtmbenchError:
            return False
        if loaded.revision != revision:
            return False
        return True if may_be_shown(loaded) else Passages(loaded.texts)


def clean(text: str) -> str:
    """Returns a text without absolute paths and tracebacks."""
    if _TRACEBACK in text:
        text = text[: text.index(_TRACEBACK)].strip() or "an error"
    return PATH.sub(_last_part, text)


def publication_files(
    run: Path, *, records: bool = False, data_dir: Path | None = None
) -> dict[str, str | bytes]:
    """Returns a publication's files by name: the page, its parts, the tables and the suite.

    Args:
        run: a folder with ``suite.toml`` and ``records.jsonl`` or ``records.jsonl.gz``.
        records: whether the records come along, packed if they are.
        data_dir: folder of local corpora, by which passages of their texts are found.

    Raises:
        InputError: a file is missing or wrong, or something in it looks like a secret.
    """
    suite = read_card(run / "suite.toml", Suite)
    cleaner = Cleaner(suite, data_dir)
    told = {"title": clean(suite.title), "description": clean(suite.description)}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / suite.name
        folder.mkdir()
        write_atomically(folder / "suite.toml", suite_text(suite.model_copy(update=told)))
        held = records_file(run)
        cleaned = (
            cleaner.record(record)  # type: ignore[arg-type]
            for record in stream_records(held)
            if record.kind in CELL_VALUES  # a board is made of no others
        )
        write_atomically(folder / held.name, records_content(held.name, cleaned))
        # A steering table holds labels and numbers; the page draws its curves and links it.
        tables = {
            name: PATH.sub(_last_part, read_text(run / name))
            for name in STEERING_FILES
            if (run / name).is_file()
        }
        for name, text in tables.items():
            write_atomically(folder / name, text)
        texts = {**files_of(folder, beside=records), **tables}
        texts["suite.toml"] = cleaner.suite(read_text(folder / "suite.toml"))
        if records:
            texts[held.name] = read_text(folder / held.name)
        for name, text in texts.items():
            if secret := secret_in(text):
                raise InputError(
                    f"{name} would hold what looks like {secret}; nothing was published"
                )
        files: dict[str, str | bytes] = {**texts}
        if records:
            files[held.name] = (folder / held.name).read_bytes()
    return files


def publish_to_folder(files: Mapping[str, str | bytes], folder: Path) -> list[Path]:
    """Writes a publication for GitHub Pages, or any other server of files.

    An earlier one in the folder is replaced; a folder that holds something else is left as it is.

    Returns:
        The files written.

    Raises:
        InputError: the folder holds something else, or is none.
    """
    wanted: dict[str, str | bytes] = {".nojekyll": "", **files}
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is no folder")
    there = {name: folder / name for name in _names(folder)} if folder.is_dir() else {}
    earlier = _listed(read_json(path, "")) if (path := there.get(MANIFEST)) else set()
    check_replaceable(there, earlier, str(folder))
    # First, so that a publication that is cut off is known for one.
    write_atomically(folder / MANIFEST, manifest({*wanted, *there}))
    for name, text in wanted.items():
        write_atomically(folder / name, text)
    for name in there.keys() - wanted.keys() - {MANIFEST}:
        there[name].unlink()
    write_atomically(folder / MANIFEST, manifest(wanted))
    return [folder / name for name in (*wanted, MANIFEST)]


def check_replaceable(there: Iterable[str], earlier: set[str], where: str) -> None:
    """Refuses a place that holds what no earlier publication put there.

    Raises:
        InputError: it does; the message names the first such file.
    """
    other = sorted(set(there) - earlier - {MANIFEST})
    if other:
        raise InputError(
            f"{where} holds {other[0]}, which no publication put there; publish to an empty place, "
            "or to that of an earlier publication"
        )


def manifest(names: Iterable[str]) -> str:
    """Returns the text that names the files of a publication."""
    return table_json({"made_by": "mtmbench publish", "files": sorted(set(names) - {MANIFEST})})


def listed_in(text: str) -> set[str]:
    """Returns the files that the text of a manifest names; none if it is no manifest."""
    try:
        return _listed(json.loads(text))
    except ValueError:
        return set()


def _listed(content: object) -> set[str]:
    files = content.get("files") if isinstance(content, dict) else None
    return {name for name in files if isinstance(name, str)} if isinstance(files, list) else set()


def _names(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if name.parts[0] not in KEPT and not (path.is_dir() and not path.is_symlink()):
            yield name.as_posix()


def _last_part(found: re.Match[str]) -> str:
    path = found[0].strip().rstrip("/\\")
    kind = PureWindowsPath if "\\" in path else PurePosixPath
    return f"…/{kind(path).name}"
