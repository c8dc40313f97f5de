"""``submit``: whether an outsider's run may go onto a board, and what it would add to it.

Checked are the form of every record, its key and identity against the plan that is made here, the
corpora's revisions, the protocol, values that the board holds already, limits, and that nothing of
what was to be played was left out. Nothing is played.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from mtmbench.boards.cells import BoardRecords, place_of
from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import Suite
from mtmbench.core.cells import Cell, FitCell
from mtmbench.core.errors import InputError, MtmbenchError
from mtmbench.core.misfits import CELL_VALUES
from mtmbench.core.plugins import load_plugins
from mtmbench.core.records import CellRecord
from mtmbench.core.serialise import canonical_json, plain
from mtmbench.core.specs import CorpusSpec
from mtmbench.core.store import read_records, records_file
from mtmbench.corpora.licences import may_be_shown
from mtmbench.corpora.load import load_spec
from mtmbench.corpora.offline import offline
from mtmbench.engine.plan import Plan, make_plan
from mtmbench.matches.match import OUTCOMES
from mtmbench.publishing.collisions import difference
from mtmbench.publishing.contribution import Contribution, Fault, line_name, read_contribution
from mtmbench.publishing.protocol import additions, differences, merged_suite
from mtmbench.publishing.traces import LONGEST_QUOTATION, Passages, leaves

FINE, FAULTS, UNCHECKED = 0, 1, 5
"""Exit codes; 2 is wrong usage, or a file that cannot be read."""


@dataclass(frozen=True)
class Noise:
    """Cells that the board holds with values that differ by float noise alone; they stay.

    Attributes:
        cells: how many.
        largest: the largest difference of two numbers.
        where: which cell, and which of its fields.
    """

    cells: int
    largest: float
    where: str


@dataclass(frozen=True)
class Unchecked:
    """A corpus that is not here.

    Attributes:
        reason: why.
        records: how many records are about it.
    """

    reason: str
    records: int


@dataclass(frozen=True)
class Submission:
    """What was found.

    Attributes:
        board: the board's folder.
        models: those that are new to the board.
        settings: likewise.
        seeds: those that are new, by model.
        cells: how many records are new, by kind.
        same: how many the board holds with the same value.
        noise: those that differ by float noise alone, None if none does.
        unchecked: corpora that are not here, by name.
        faults: what keeps the run off the board.
        open: cells of the merged board that nobody has played, by kind.
        replaced: records of the board that give way to others of the same cells.
        suite: the board's suite with what is added.
        records: the merged board's records, sorted as exports are.
        lines: keys of the board's ``suite.toml`` that change, with their values.
    """

    board: Path
    models: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    seeds: Mapping[str, Sequence[int]] = field(default_factory=dict)
    cells: Mapping[str, int] = field(default_factory=dict)
    same: int = 0
    noise: Noise | None = None
    unchecked: Mapping[str, Unchecked] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    open: Mapping[str, int] = field(default_factory=dict)
    replaced: int = 0
    suite: Suite | None = None
    records: tuple[CellRecord, ...] = ()
    lines: Mapping[str, object] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 fine, 1 something is wrong, 5 nothing is wrong but not all could be checked."""
        return FAULTS if self.faults else UNCHECKED if self.unchecked else FINE

    def to_json(self) -> dict[str, object]:
        """Returns all that was found, but for the records, as JSON values."""
        return {
            "board": self.board.name,
            "exit_code": self.exit_code,
            "new": {
                "models": list(self.models),
                "settings": list(self.settings),
                "seeds": {model: list(seeds) for model, seeds in self.seeds.items()},
                "cells": dict(self.cells),
            },
            "same": self.same,
            "noise": None if self.noise is None else vars(self.noise),
            "unchecked": {name: vars(each) for name, each in self.unchecked.items()},
            "faults": [vars(fault) for fault in self.faults],
            "open": dict(self.open),
            "replaced": self.replaced,
            "suite": dict(self.lines),
        }


def check_submission(
    run: Path, board: Path, *, data_dir: Path | None = None, plugins: Sequence[str] = ()
) -> Submission:
    """Checks a run for a board; see the module. Corpora are read from this machine alone.

    Args:
        run: the contributor's folder, with ``suite.toml`` and its records.
        board: the leaderboard's folder, with ``suite.toml`` and, unless it is new,
            ``records.jsonl`` or ``records.jsonl.gz``.
        data_dir: folder of local corpora; None reads ``MTMBENCH_DATA``.
        plugins: files or modules that register more models, metrics or judges.

    Raises:
        InputError: a folder lacks a file, or a file is too large or none of its kind; or the suite
            cannot be planned.
    """
    load_plugins(plugins)
    boards = read_card(board / "suite.toml", Suite)
    given = read_contribution(run)
    apart = differences(given.suite, boards)
    if apart:
        # Cells of another protocol are no cells of the board's; nothing more is to be said.
        return Submission(board, faults=(*given.faults, *apart))
    path = records_file(board)
    held = {record.key: record for record in read_records(path)} if path.is_file() else {}
    return _Check(given, boards, held, data_dir, plugins).submission(board)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Check:
    given: Contribution
    board: Suite
    held: Mapping[str, CellRecord]
    data_dir: Path | None
    plugins: Sequence[str]

    def submission(self, board: Path) -> Submission:
        here, missing = self._corpora()
        merged = merged_suite(self.given.suite, self.board)
        plans: dict[str, Plan] = {}
        for suite in (self.given.suite, self.board, merged):
            name = canonical_json(suite.model_dump(mode="json"))
            if name not in plans:
                plans[name] = self._plan(suite, here)
        own, old, new = (
            plans[canonical_json(suite.model_dump(mode="json"))]
            for suite in (self.given.suite, self.board, merged)
        )
        sound, faults, unchecked = self._planned(own, missing)
        faults = [*self.given.faults, *faults, *self._revisions(), *self._passages(own, sound)]
        fresh, same, noise, collided = self._collisions(own, sound)
        records, replaced, lost = self._merged(old, new, fresh)
        faults += collided + lost + self._left_out(own)
        if not faults:
            faults += _contradictions(records)
        played = {record.key for record in records}
        return Submission(
            board,
            *self._new(merged),
            cells=Counter(record.kind for record in fresh),
            same=same,
            noise=noise,
            unchecked={
                name: Unchecked(why, unchecked[name]) for name, why in missing.items()
            },
            faults=tuple(faults),
            open=Counter(cell.kind for cell in new.cells() if cell.key not in played),
            replaced=replaced,
            suite=merged,
            records=tuple(records),
            lines=additions(merged, self.board),
        )  # fmt: skip

    def _corpora(self) -> tuple[list[CorpusSpec], dict[str, str]]:
        """Returns the corpora that are here as the board has them, and why others are not."""
        here: list[CorpusSpec] = []
        missing: dict[str, str] = {}
        for spec in self.board.corpora:
            try:
                with offline():
                    corpus = load_spec(spec, self.data_dir)
            except MtmbenchError as error:
                missing[spec.name] = str(error)
                continue
            held = self._boards_revisions.get(corpus.name, corpus.revision)
            if held == corpus.revision:
                here.append(spec)
            else:
                missing[spec.name] = (
                    f"its texts here are of revision {corpus.revision}, the board's of {held}"
                )
        return here, missing

    @cached_property
    def _boards_revisions(self) -> dict[str, str]:
        return {r.payload["corpus"]: r.payload["corpus_revision"] for r in self.held.values()}

    def _plan(self, suite: Suite, here: Sequence[CorpusSpec]) -> Plan:
        if not here:
            return Plan(suite, {}, (), (), ())
        left = suite.model_copy(update={"corpora": tuple(here)})
        return make_plan(left.of_what_is_left(suite), data_dir=self.data_dir, plugins=self.plugins)

    @cached_property
    def _named(self) -> dict[str, str]:
        """Corpora of the suite by the names that records may have for them."""
        specs = [spec.name for spec in self.board.corpora]
        return {form: name for name in specs for form in (Path(name).stem, Path(name).name, name)}

    def _planned(
        self, plan: Plan, missing: Mapping[str, str]
    ) -> tuple[list[tuple[int, CellRecord]], list[Fault], Counter[str]]:
        """Returns the records that are cells of the plan, faults, and how many have no corpus."""
        cells = {cell.key: cell for cell in plan.cells()}
        sound: list[tuple[int, CellRecord]] = []
        faults: list[Fault] = []
        unchecked: Counter[str] = Counter()
        for line, record in self.given.records:
            corpus, where = record.payload["corpus"], line_name(line)
            cell = cells.get(record.key)
            if cell is not None:
                wrong = _other_cell(cell, record)
                faults += [Fault("keys", where, says) for says in wrong]
                if not wrong:
                    sound.append((line, record))
            elif corpus in plan.corpora:
                version = record.versions.get("mtmbench", "an unnamed version")
                says = (
                    "has a key that no cell of the suite has as it is planned here: "
                    f"{_short(record)}; it was made by mtmbench {version}, or by another card, "
                    "model or data"
                )
                faults.append(Fault("keys", where, says))
            elif self._named.get(corpus) in missing:
                unchecked[self._named[corpus]] += 1
            else:
                says = f"is about corpus {corpus!r:.60}, which the board has not"
                faults.append(Fault("corpora", where, says))
        return sound, faults, unchecked

    def _revisions(self) -> list[Fault]:
        """Returns corpora of another revision than the board's, each once."""
        boards = self._boards_revisions
        found: dict[tuple[str, str], int] = {}
        for line, record in self.given.records:
            corpus, revision = record.payload["corpus"], record.payload["corpus_revision"]
            if boards.get(corpus, revision) != revision:
                found.setdefault((corpus, revision), line)
        return [
            Fault(
                "corpora",
                line_name(line),
                f"has corpus {corpus!r} in revision {revision:.32}; the board has {boards[corpus]}",
            )
            for (corpus, revision), line in found.items()
        ]

    def _passages(self, plan: Plan, sound: Iterable[tuple[int, CellRecord]]) -> list[Fault]:
        """Returns records that hold passages of a corpus whose texts may not be shown."""
        closed = {name for name, corpus in plan.corpora.items() if not may_be_shown(corpus)}
        # Made for the first text that is long enough to hold one.
        passages = cache(lambda name: Passages(plan.corpora[name].texts))
        faults = []
        for line, record in sound:
            corpus = record.payload["corpus"]
            for place, value in leaves(dict(record.payload)) if corpus in closed else ():
                if not isinstance(value, str) or value.count(" ") < LONGEST_QUOTATION:
                    continue
                if words := passages(corpus).longest(value):
                    says = (
                        f"{place} holds {words} words in a row of corpus {corpus!r}, whose texts "
                        f"may not be shown; at most {LONGEST_QUOTATION} are quoted"
                    )
                    faults.append(Fault("limits", line_name(line), says))
                    break
        return faults

    def _collisions(
        self, plan: Plan, sound: Iterable[tuple[int, CellRecord]]
    ) -> tuple[list[CellRecord], int, Noise | None, list[Fault]]:
        """Returns what is new, how many are the same, and what the board holds otherwise."""
        cells = {cell.key: cell for cell in plan.cells()}
        fresh: list[CellRecord] = []
        faults: list[Fault] = []
        noise: Noise | None = None
        same = 0
        for line, record in sound:
            held = self.held.get(record.key)
            found = None if held is None else difference(held, record)
            if held is None:
                fresh.append(record)
            elif found is None:
                same += 1
            elif found.size is None:
                says = (
                    f"{_name(cells[record.key])}: {found.where} is {found.given!r:.80}; the board "
                    f"holds {found.held!r:.80}"
                )
                faults.append(Fault("collisions", line_name(line), says))
            else:
                here = f"{found.where} of {_name(cells[record.key])}"
                before = noise or Noise(0, -1.0, "")
                largest = max((before.largest, before.where), (found.size, here))
                noise = Noise(before.cells + 1, *largest)
        return fresh, same, noise, faults

    def _left_out(self, plan: Plan) -> list[Fault]:
        """Returns cells of the suite that have no record: what is left out can be a choice."""
        given = {record.key for _, record in self.given.records} | self.held.keys()
        missing = [cell for cell in plan.cells() if cell.key not in given]
        if not missing or self.given.faults:
            return []
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(c.kind for c in missing).items())
        says = f"lacks records of cells of its suite: {kinds}; the first is {_name(missing[0])}"
        return [Fault("complete", "records.jsonl", says)]

    def _merged(
        self, old: Plan, new: Plan, fresh: Sequence[CellRecord]
    ) -> tuple[list[CellRecord], int, list[Fault]]:
        """Returns the merged records, how many gave way, and what nobody has played anew.

        With more models or seeds, values over all of them are other cells. What the board held of
        them gives way; records of earlier versions that no plan has, and that nothing replaces,
        stay.
        """
        wanted, before = new.keys(), old.keys()
        taken = [record for record in fresh if record.key in wanted]
        places = {place_of(record) for record in taken}
        places |= {place_of(r) for key, r in self.held.items() if key in wanted}
        kept, gone, lost = [], 0, []
        for key, record in self.held.items():
            if key in wanted:
                kept.append(record)
            elif place_of(record) in places:
                gone += 1
            elif key in before:
                lost.append(record)
            else:
                kept.append(record)
        faults = []
        if lost:
            says = (
                f"would take {len(lost)} values from the board that are over all models or seeds, "
                f"such as {_short(lost[0])}; play the board's whole suite with the new ones"
            )
            faults = [Fault("complete", "suite.toml", says)]
        merged = sorted([*kept, *taken], key=lambda record: (record.kind, record.key))
        return merged, gone, faults

    def _new(
        self, merged: Suite
    ) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, tuple[int, ...]]]:
        """Returns models, settings and seeds that the board has not."""
        models = tuple(name for name in merged.all_models if name not in self.board.all_models)
        known = self.board.features.all_settings
        settings = tuple(n for n in merged.features.all_settings if n not in known)
        seeds = {
            model: more
            for model in self.board.all_models
            if (more := tuple(
                seed for seed in merged.seeds_of(model) if seed not in self.board.seeds_of(model)
            ))
        }  # fmt: skip
        return models, settings, seeds


def _other_cell(cell: Cell, record: CellRecord) -> list[str]:
    """Returns in what a record is not of the cell that its key is of."""
    wanted, payload = plain(cell.identity()), dict(record.payload)
    if record.kind != cell.kind:
        return [f"is a {record.kind!r} record under the key of {_name(cell)}"]
    found = []
    if isinstance(cell, FitCell):
        # A record holds parameters as resolved in the fit, defaults and all.
        given = {**dict(payload.get("params", {})), **cell.params}  # type: ignore[call-overload]
        wanted["params"] = plain(given)
        if "version" not in payload:
            del wanted["version"]
    for name, value in wanted.items():
        if payload.get(name) != value:
            told = f"{payload.get(name)!r:.60}, and its cell's is {value!r:.60}"
            found.append(f"is of {_name(cell)}, but its {name} is {told}")
    more = payload.keys() - wanted.keys() - CELL_VALUES[record.kind]
    found += [f"is of {_name(cell)}, which has no {name}" for name in sorted(more)]
    if "documents" in payload and record.status == "ok":
        for order in ("forward", "backward"):
            told = str(payload.get(order, ""))
            if len(told) != len(wanted["documents"]) or {*told} - {*OUTCOMES}:  # type: ignore[arg-type]
                found.append(
                    f"is of {_name(cell)}, but its {order} outcomes are not one a document"
                )
    return found[:3]


def _contradictions(records: Sequence[CellRecord]) -> list[Fault]:
    """Returns why no board can be made of the merged records, if so."""
    try:
        BoardRecords.of(records)
    except InputError as error:
        return [Fault("keys", "records.jsonl", f"cannot stand beside the board's: {error}")]
    return []


def _name(cell: Cell) -> str:
    return cell.describe()


def _short(record: CellRecord) -> str:
    text = place_of(record)
    return text if len(text) <= 240 else text[:237] + "…"
