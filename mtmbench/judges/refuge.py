"""Where paid answers go that the disk of their ledger does not take: a private file elsewhere.

It lies beside the ledger, or in the folder for temporary files, is this user's alone, and is read
and removed by the next process that opens the ledger.
"""

from __future__ import annotations

import glob
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from mtmbench.core.serialise import canonical_json, content_hash

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


class Refuge:
    """Rows of JSON values outside of a ledger.

    Args:
        ledger: the ledger's file.
        owner: the name of this process among others that share the ledger.

    Attributes:
        place: the file that this process wrote; None if it wrote none.
    """

    def __init__(self, ledger: Path, owner: str) -> None:
        self._ledger = ledger.resolve()
        self._owner = owner
        self.place: Path | None = None

    def places(self) -> list[tuple[Path, str]]:
        """Returns the folders that are tried, in order, and how the names of files there begin."""
        path = self._ledger
        there = f"mtmbench-answers-{content_hash('ledger', str(path))[:16]}"
        return [(path.parent, f"{path.name}-rescued"), (Path(tempfile.gettempdir()), there)]

    def files(self) -> list[Path]:
        """Returns the files that processes of this user left for the ledger."""
        uid = os.getuid() if hasattr(os, "getuid") else None
        return [
            file
            for folder, stem in self.places()
            for file in sorted(folder.glob(f"{glob.escape(stem)}-*.jsonl"))
            if file.is_file()
            and not file.is_symlink()
            and (uid is None or file.stat().st_uid == uid)
        ]

    def write(self, rows: Iterable[Mapping[str, object]]) -> bool:
        """Writes rows where there is room, in place of earlier ones; returns whether there was."""
        content = "".join(canonical_json(row) + "\n" for row in rows).encode("utf-8", "replace")
        for folder, stem in self.places():
            place = folder / f"{stem}-{self._owner}.jsonl"
            # An earlier one stays whole until this one is.
            new = place.with_suffix(".new")
            try:
                # Nobody else's file is written to, nor read: the folder may be everybody's.
                with os.fdopen(os.open(new, _NEW_FILE, 0o600), "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                new.replace(place)
            except OSError:
                with suppress(OSError):
                    new.unlink(missing_ok=True)
                continue
            if self.place is not None and self.place != place:
                self.place.unlink(missing_ok=True)
            self.place = place
            return True
        return False

    def remove(self) -> None:
        """Removes what this process wrote."""
        if self.place is not None:
            self.place.unlink(missing_ok=True)


def read_rows(file: Path) -> list[dict[str, object]]:
    """Returns the whole rows of such a file; a line that was cut or damaged is lost."""
    rows = []
    for line in file.read_bytes().split(b"\n"):
        with suppress(ValueError, RecursionError):
            row = json.loads(line.decode("utf-8"))
            if isinstance(row, dict):
                rows.append(row)
    return rows
