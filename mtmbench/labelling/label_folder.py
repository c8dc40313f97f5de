"""Labels for an SAE's folder, start to end: what ``mtmbench label`` does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.files import read_json_object
from mtmbench.core.serialise import seed_from
from mtmbench.core.text_files import whole
from mtmbench.core.types import Progress
from mtmbench.features.interpretation import Interpretation
from mtmbench.features.label_files import (
    LABELS,
    read_labels,
    read_source,
    write_classes,
    write_labels,
    write_scores,
)
from mtmbench.features.sae.contexts import FeatureContexts, load_contexts
from mtmbench.features.sae.sae import load_sae
from mtmbench.judges.ledger import LEDGER
from mtmbench.judges.panel import Panel
from mtmbench.labelling.autointerp import InterpretSpec, interpret
from mtmbench.labelling.neuronpedia import (
    NeuronpediaLabels,
    NeuronpediaSource,
    neuronpedia_labels,
)


@dataclass(frozen=True)
class LabelReport:
    """What was done.

    Attributes:
        files: the files written.
        lines: the same in words, for people.
    """

    files: tuple[Path, ...]
    lines: tuple[str, ...]


def label_folder(
    folder: Path,
    out: Path,
    *,
    judge: str | None = None,
    neuronpedia: str | None = None,
    own: bool = False,
    score: bool = True,
    classes: bool = False,
    n_features: int | None = None,
    explainer: str | None = None,
    partial: bool = False,
    spec: InterpretSpec | None = None,
    concurrency: int = 8,
    budget: float | None = None,
    progress: Progress | None = None,
) -> LabelReport:
    """Labels the features of an SAE and writes the label files into ``out``.

    Labels are written by the judge, or come from Neuronpedia, or are the folder's own; with a
    judge they are scored, whichever they are, and sorted into classes if asked for. The same call
    again goes on where an interrupted one stopped.

    Args:
        folder: the SAE's folder, with ``contexts.parquet`` for all that a judge does.
        out: the folder to write; the SAE's own replaces its labels.
        judge: a judge card.
        neuronpedia: an export file, a folder of them, or ``MODEL/SAE``.
        own: take the labels that the folder has.
        score: whether a judge scores the labels.
        classes: whether a judge sorts the labels into classes.
        n_features: ask the judge about so many features only, drawn by the spec's seed; a larger
            number takes in the smaller one's.
        explainer: take this model's explanations of Neuronpedia's alone.
        partial: accept an export that leaves more than half of the features unexplained.
        spec: how many contexts a judge sees, by which prompts.
        concurrency: questions under way at one time, at most.
        budget: what all answers in ``out`` may cost together; None for no limit.
        progress: told how many of how many features are done.

    Raises:
        InputError: no source of labels is named, or a file is missing, damaged or of another SAE.
        UnknownNameError: there is no such judge card.
        JudgeError: the judge failed; what it answered before is kept.
    """
    if neuronpedia is not None and own:
        raise InputError("labels are Neuronpedia's or the folder's own, not both")
    if judge is None and (neuronpedia is None or classes):
        raise InputError("who labels? name a judge (--judge CARD) or --neuronpedia FILE|MODEL/SAE")
    cfg = read_json_object(folder / "cfg.json")
    width = whole(str(cfg.get("d_sae")), f"d_sae of {folder / 'cfg.json'}")
    spec = spec or InterpretSpec()
    labels: Sequence[str] | None = None
    source: Mapping[str, object] = {}
    exported: NeuronpediaLabels | None = None
    if neuronpedia is not None:
        expected = (cfg.get("metadata") or {}).get("neuronpedia_id") or cfg.get("neuronpedia_id")
        exported = neuronpedia_labels(
            neuronpedia, width, expected=expected, explainer=explainer, partial=partial
        )
        labels, source = exported.labels, exported.source
    elif own:
        labels = _own_labels(folder, width)
        source = read_source(folder, labels)
    if judge is None:
        assert labels is not None
        files = write_labels(out, labels, source)
        assert exported is not None
        return LabelReport(tuple(files), (_exported_line(exported.source, width),))
    contexts = _contexts(folder, width)
    features = None if n_features is None else sample_features(width, n_features, spec.seed)
    with Panel(out / LEDGER, budget=budget, concurrency=concurrency) as panel:
        found = panel.run(
            interpret(
                panel.seat(judge), contexts, features=features, labels=labels, spec=spec,
                score=score, classes=classes, progress=progress,
            )
        )  # fmt: skip
    if labels is None:
        statuses = Counter(label.status for label in found.labels)
        source = {
            "source": "judge", "judge": found.judge, "prompts": found.prompts,
            "statuses": dict(sorted(statuses.items())),
        }  # fmt: skip
    shown = list(labels) if labels is not None else [label.shown for label in found.labels]
    made_from = {
        "card": Path(judge).stem,
        "contexts": {"revision": contexts.revision, "source": contexts.source},
        "shown": _shown(spec),
    }
    files = write_labels(out, shown, {**source, **(made_from if labels is None else {})})
    if score:
        files.append(write_scores(out, found, **made_from))
    if classes:
        files.append(write_classes(out, found, card=made_from["card"]))
    return LabelReport(tuple(files), tuple(_lines(found, source, width, exported)))


def sample_features(n_features: int, n: int, seed: int) -> list[int]:
    """Draws ``n`` features uniformly; under one seed a larger draw takes in a smaller one.

    Raises:
        InputError: ``n`` is not at least 1.
    """
    if n < 1:
        raise InputError(f"features to label must be at least 1, not {n!r}")
    generator = np.random.default_rng(seed_from("labelled features", seed))
    return sorted(int(feature) for feature in generator.permutation(n_features)[:n])


def _contexts(folder: Path, width: int) -> FeatureContexts:
    contexts = load_contexts(folder)
    if contexts.n_features != width:
        raise InputError(
            f"{folder}: contexts of {contexts.n_features} features for an SAE of {width}"
        )
    expected = contexts.source.get("sae_hash")
    if expected is not None:
        revision = load_sae(folder).revision
        if revision != expected:
            raise InputError(
                f"{folder}: its contexts are of an SAE with hash {expected}, its weights have "
                f"{revision}; collect the contexts again"
            )
    return contexts


def _own_labels(folder: Path, width: int) -> list[str]:
    labels = read_labels(folder)
    if len(labels) != width:
        raise InputError(f"{folder / LABELS} is not a list of {width} labels")
    return labels


def _shown(spec: InterpretSpec) -> dict[str, int]:
    return {
        "strongest": spec.strongest, "random": spec.random, "held_out": spec.held_out,
        "min_held_out": spec.min_held_out, "seed": spec.seed,
    }  # fmt: skip


def _lines(
    found: Interpretation,
    source: Mapping[str, object],
    width: int,
    exported: NeuronpediaLabels | None,
) -> list[str]:
    lines = [] if exported is None else [_exported_line(exported.source, width)]
    statuses = source.get("statuses")
    if isinstance(statuses, Mapping):
        lines.append(f"{width:,} features: {_counts(statuses)}")
    scored = [label.detection for label in found.labels if label.detection is not None]
    if scored:
        scores = [d.score for d in scored if d.score is not None]
        mean = f"; mean score {float(np.mean(scores)):.3f}" if scores else ""
        lines.append(f"scores: {_counts(Counter(d.status for d in scored))}{mean}")
    if found.classes is not None:
        lines.append(f"classes: {_counts(Counter(found.classes))}")
    questions = found.judge["questions"]
    lines.append(f"{questions:,} questions, {questions - found.asked:,} of them answered before")
    return lines


def _exported_line(source: NeuronpediaSource, width: int) -> str:
    return (
        f"{width - source['missing']:,} of {width:,} features of {source['of']} labelled; "
        f"{source['several']:,} had several explanations"
    )


def _counts(counts: Mapping[str, int]) -> str:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{n:,} {name}" for name, n in ranked)
