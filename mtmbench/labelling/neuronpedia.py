"""Labels from Neuronpedia's export files: local ones, or fetched once and kept.

The export of a source (an SAE) is a folder of its public bucket,
``v1/MODEL/SAE/explanations/batch-0.jsonl.gz`` and on, one JSON object a line: ``modelId``,
``layer`` (the SAE's id), ``index`` (the feature, as text or number), ``description``,
``explanationModelName``, ``typeName`` and more that is not read here. The retired endpoint
``/api/explanation/export`` gave the same objects as one JSON list, an older version of it as
``{"explanations": […]}``; files saved from it are read as well. None of them carries scores that
could be compared, and a feature may have several explanations:
:data:`RULE` says which is taken.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from mtmbench.core.errors import InputError
from mtmbench.core.files import gunzip, lines_of, parse_json
from mtmbench.core.serialise import content_hash

UNLABELLED = "(unlabelled)"
"""Stands for a feature that the export does not explain."""

RULE = (
    "explainers (model and method) rank by how many of the SAE's features they explain, most "
    "first, ties by name; a feature gets the explanation of its first ranked explainer, the first "
    "by id and then by text if that one gave several"
)
"""Which explanation of a feature is taken: one explainer's as far as it goes."""

_BATCH = re.compile(r"batch-[0-9]+\.jsonl(\.gz)?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]*")


@dataclass(frozen=True, order=True)
class Explanation:
    """One explanation of one feature.

    Attributes:
        feature: the feature's number.
        explainer: the explaining model and the method, joined by " · ".
        id: Neuronpedia's id of it, "" if none is given.
        text: the explanation, white space made single.
    """

    feature: int
    explainer: str
    id: str
    text: str


class NeuronpediaSource(TypedDict):
    """What labels from Neuronpedia come from, for the record.

    Attributes:
        source: "neuronpedia".
        of: its ``MODEL/SAE``.
        rule: :data:`RULE`.
        explainer: the one whose explanations alone were taken, if one was asked for.
        explainers: features by the explainer whose explanation they got.
        explanations: in the export, empty ones left out.
        empty: explanations without text.
        several: features with more than one.
        missing: features without any.
        files: names and content hashes of the files.
    """

    source: str
    of: str | None
    rule: str
    explainer: str | None
    explainers: dict[str, int]
    explanations: int
    empty: int
    several: int
    missing: int
    files: list[dict[str, str]]


@dataclass(frozen=True, eq=False)
class NeuronpediaLabels:
    """Labels of all F features.

    Attributes:
        labels: :data:`UNLABELLED` for a feature without explanation.
        source: what they come from (:class:`NeuronpediaSource`).
    """

    labels: tuple[str, ...]
    source: NeuronpediaSource


def neuronpedia_labels(
    source: str,
    n_features: int,
    *,
    expected: str | None = None,
    explainer: str | None = None,
    partial: bool = False,
) -> NeuronpediaLabels:
    """Reads an export, or fetches it, and takes one explanation for each feature.

    Args:
        source: a file or a folder of batch files (JSON or JSON lines, also gzipped), or
            ``MODEL/SAE`` to fetch, such as ``gpt2-small/8-res-jb``; a path that exists is a path.
        n_features: F, the SAE's features.
        expected: the SAE's own ``MODEL/SAE`` on Neuronpedia, if it is known.
        explainer: take the explanations of this model alone, such as ``gpt-4o-mini``.
        partial: accept an export that leaves more than half of the features unexplained.

    Raises:
        InputError: the file is no export, is of another model or SAE, names a feature out of
            range, or leaves too many unexplained; or it cannot be fetched.
    """
    path = Path(source)
    if path.exists():
        files = _batches(path) if path.is_dir() else [path]
    elif re.fullmatch(rf"{_NAME.pattern}/{_NAME.pattern}", source) and not _is_file_name(source):
        if expected is not None and source != expected:
            raise InputError(f"{source} was asked for, but this SAE is {expected} on Neuronpedia")
        from mtmbench.labelling.neuronpedia_fetch import fetch_export

        files = fetch_export(source)
        expected = source
    else:
        raise InputError(
            f"there is no file {source}; give an export file of Neuronpedia, a folder of them, or "
            "MODEL/SAE such as gpt2-small/8-res-jb"
        )
    export = _Export()
    for file in files:
        export.read(file)
    return export.choose(n_features, source, expected, explainer, partial)


class _Export:
    def __init__(self) -> None:
        self.of: str | None = None
        self.of_file: Path | None = None
        self.found: set[Explanation] = set()
        self.empty = 0
        self.files: list[dict[str, str]] = []

    def read(self, path: Path) -> None:
        content = _content(path)
        self.files.append({"name": path.name, "hash": content_hash(content)})
        for where, row in _rows(content, path):
            self._add(row, where, path)

    def choose(
        self,
        n_features: int,
        source: str,
        expected: str | None,
        explainer: str | None,
        partial: bool,
    ) -> NeuronpediaLabels:
        if self.of is None:
            raise InputError(f"{source} holds no explanations")
        if expected is not None and self.of != expected:
            raise InputError(f"{source} explains {self.of}, but this SAE is {expected}")
        beyond = max(found.feature for found in self.found) if self.found else -1
        if beyond >= n_features:
            raise InputError(
                f"{source} explains feature {beyond} of {self.of}, but this SAE has {n_features}; "
                "is it another width?"
            )
        ranked = self._ranking(explainer, source)
        taken: dict[int, Explanation] = {}
        several: Counter[int] = Counter()
        for found in sorted(self.found):
            several[found.feature] += 1
            held = taken.get(found.feature)
            if found.explainer in ranked and (
                held is None or ranked[found.explainer] < ranked[held.explainer]
            ):
                taken[found.feature] = found
        missing = n_features - len(taken)
        if 2 * missing > n_features and not partial:
            raise InputError(
                f"{source} leaves {missing} of {n_features} features of {self.of} without a label; "
                "are all of its batches here? Say that a part is wanted (--partial) if so"
            )
        labels = [UNLABELLED] * n_features
        for feature, found in taken.items():
            labels[feature] = found.text
        explainers = Counter(found.explainer for found in taken.values())
        return NeuronpediaLabels(
            tuple(labels),
            {
                "source": "neuronpedia", "of": self.of, "rule": RULE, "explainer": explainer,
                "explainers": dict(sorted(explainers.items())), "explanations": len(self.found),
                "empty": self.empty, "several": sum(n > 1 for n in several.values()),
                "missing": missing, "files": self.files,
            },
        )  # fmt: skip

    def _ranking(self, explainer: str | None, source: str) -> dict[str, int]:
        features = {(found.explainer, found.feature) for found in self.found}
        coverage = Counter(name for name, _ in features)
        names = sorted(coverage, key=lambda name: (-coverage[name], name))
        if explainer is not None:
            names = [name for name in names if name.split(" · ")[0] == explainer]
            if not names:
                known = ", ".join(sorted({name.split(" · ")[0] for name in coverage}))
                raise InputError(f"{source} has no explanations by {explainer!r}; it has: {known}")
        return {name: rank for rank, name in enumerate(names)}

    def _add(self, row: object, where: str, path: Path) -> None:
        if not isinstance(row, dict):
            raise InputError(f"{where}: not an explanation but {row!r:.60}")
        missing = [name for name in ("modelId", "layer", "index", "description") if name not in row]
        if missing:
            said = f"; it says {row['message']!r:.200}" if "message" in row else ""
            raise InputError(f"{where}: an explanation without {', '.join(missing)}{said}")
        of = f"{row['modelId']}/{row['layer']}"
        if self.of is None:
            self.of, self.of_file = of, path
        elif self.of != of:
            raise InputError(f"{where}: explains {of}, but {self.of_file} explains {self.of}")
        feature = _feature(row["index"])
        if feature is None:
            raise InputError(f"{where}: index is {row['index']!r:.60}; it must be a whole number")
        text = " ".join(str(row["description"] or "").split())
        if not text:
            self.empty += 1
            return
        explainer = " · ".join(
            str(row.get(name) or "unknown") for name in ("explanationModelName", "typeName")
        )
        self.found.add(Explanation(feature, explainer, str(row.get("id") or ""), text))


def _rows(content: str, path: Path) -> Iterable[tuple[str, object]]:
    """Yields where and what of every record, whichever of the formats it is."""
    try:
        whole: Any = parse_json(content, str(path))
    except InputError:
        yield from _lines(content, path)
        return
    if isinstance(whole, dict) and isinstance(whole.get("explanations"), list):
        # Feature pages keep model, SAE and index outside.
        shared = {name: whole[name] for name in ("modelId", "layer", "index") if name in whole}
        rows = [{**shared, **r} if isinstance(r, dict) else r for r in whole["explanations"]]
    else:
        rows = whole if isinstance(whole, list) else [whole]
    for number, row in enumerate(rows, start=1):
        yield f"{path}, record {number}", row


def _lines(content: str, path: Path) -> Iterable[tuple[str, object]]:
    for number, line in enumerate(lines_of(content), start=1):
        if not line.strip():
            continue
        try:
            yield f"{path}:{number}", parse_json(line, f"{path}:{number}")
        except InputError as error:
            raise InputError(f"{path}:{number}: neither JSON nor JSON lines: {error}") from error


def _content(path: Path) -> str:
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gunzip(data, f"cannot read {path}: it")
        return data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def _batches(folder: Path) -> Sequence[Path]:
    found = [path for path in folder.iterdir() if _BATCH.fullmatch(path.name)]
    if not found:
        raise InputError(f"{folder} holds no batch-0.jsonl.gz, batch-1.jsonl.gz and so on")
    return sorted(found, key=lambda path: int(path.name.split("-")[1].split(".")[0]))


def _feature(index: object) -> int | None:
    if isinstance(index, bool) or not re.fullmatch(r"[0-9]{1,9}", str(index)):
        return None
    return int(str(index))


def _is_file_name(source: str) -> bool:
    return source.endswith((".json", ".jsonl", ".gz"))
