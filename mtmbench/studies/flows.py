"""Topics of one model matched over K: by where the mass of their documents goes, not by words.

Between neighbouring K, the first seed's fits: θ of the smaller K is explained by θ of the larger
one (:func:`~mtmbench.stats.flow.mass_flow`), which says which share of each topic lands in which
other one. From these shares follows what became of a topic, in the terms of MONIC for clusters over
time (Spiliopoulou et al. 2006: survived, split, absorbed, disappeared, emerged):

- a **part** of a topic is another topic in which at least :data:`PART` of it lands, or of which at
  least :data:`MOST` comes from it;
- **split**: it has two parts or more, which hold :data:`MOST` of it together;
- **kept**: it has one part, which holds at least :data:`MOST` of it, and no other topic's;
- **merged**: the same, but other topics have their one part there as well;
- **vanished**: its parts do not hold :data:`MOST` of it: it is scattered;
- **new** is a topic that is part of none.

MONIC asks which part of the old lies in the new, and for survival before splits. Here it is asked
both ways, since from K = 20 to K = 50 a topic becomes more parts than four; and a topic of which
60 % stay and 30 % leave together is split, for both parts are to be seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mtmbench.core.cells import FitCell
from mtmbench.core.errors import InputError
from mtmbench.core.files import parse_json
from mtmbench.core.serialise import canonical_json, content_hash, write_atomically
from mtmbench.core.topic_result import TopicResult
from mtmbench.engine.plan import Plan
from mtmbench.engine.results import result_path
from mtmbench.stats.flow import Flow, mass_flow
from mtmbench.studies.k_rows import Fate, FlowFacts, TopicFate

PART, MOST = 0.25, 0.5

_TOLD = 0.05
"""Flows that are less of both their topics are not kept: they are drawn and named nowhere."""
_FILE = "flows.json"
_VERSION = 1


def topic_flows(plan: Plan, folder: Path) -> dict[tuple[str, str], FlowFacts]:
    """Returns how topics lie in those of the next K, by the keys of both fits.

    They lie in ``flows.json`` under hashes of the results' keys, so that a second call, or one
    without the results, makes none. Fits that failed have none.

    Raises:
        InputError: the file is damaged.
    """
    known = _read(folder / _FILE)
    found: dict[tuple[str, str], FlowFacts] = {}
    for first, second in pairwise_fits(plan):
        key = content_hash("topic flow", _VERSION, first.key, second.key)
        if key not in known:
            paths = [result_path(folder, fit.key) for fit in (first, second)]
            if not all(path.is_file() for path in paths):
                continue
            left, right = (TopicResult.load(path) for path in paths)
            known[key] = flow_facts(mass_flow(left.doc_topic, right.doc_topic))
            write_atomically(folder / _FILE, canonical_json(known) + "\n")
        found[first.key, second.key] = known[key]
    return found


def pairwise_fits(plan: Plan) -> list[tuple[FitCell, FitCell]]:
    """Returns the first seed's fits at each K with those at the next larger one, by model."""
    groups: dict[tuple[str, str], dict[int, FitCell]] = {}
    for fit in plan.fits:
        own = groups.setdefault((fit.corpus, fit.competitor.name), {})
        own.setdefault(fit.k, fit)
    return [
        both
        for own in groups.values()
        for both in pairwise(own[k] for k in sorted(own))
    ]  # fmt: skip


def flow_facts(flow: Flow) -> FlowFacts:
    """Returns the flows that are told, rounded."""
    rows, columns = np.nonzero((flow.forward >= _TOLD) | (flow.backward >= _TOLD))
    return {
        "n_from": flow.forward.shape[0],
        "n_to": flow.forward.shape[1],
        "flows": [
            (
                int(a),
                int(b),
                round(float(flow.forward[a, b]), 4),
                round(float(flow.backward[a, b]), 4),
            )
            for a, b in zip(rows, columns, strict=True)
        ],
    }


def topic_fates(facts: FlowFacts) -> tuple[list[TopicFate], list[int]]:
    """Returns every topic's fate, in their order, and the topics that are new."""
    parts: dict[int, list[tuple[float, int]]] = {a: [] for a in range(facts["n_from"])}
    for a, b, share, back in facts["flows"]:
        if share >= PART or back >= MOST:
            parts[a].append((share, b))
    parts = {a: sorted(own, key=lambda part: (-part[0], part[1])) for a, own in parts.items()}
    held = {a for a, own in parts.items() if sum(share for share, _ in own) >= MOST}
    # How many topics have their one part there.
    whole = Counter(parts[a][0][1] for a in held if len(parts[a]) == 1)
    fates: list[TopicFate] = []
    for a, own in parts.items():
        fate: Fate = "vanished"
        if a in held:
            fate = "split" if len(own) > 1 else "merged" if whole[own[0][1]] > 1 else "kept"
        fates.append(
            {
                "topic": a,
                "fate": fate,
                "into": [b for _, b in own],
                "shares": [share for share, _ in own],
            }
        )
    come = {b for fate in fates for b in fate["into"]}
    return fates, [b for b in range(facts["n_to"]) if b not in come]


def fate_counts(fates: Sequence[TopicFate], new: Sequence[int]) -> dict[str, int]:
    """Returns how many topics were kept, split, merged, vanished, and are new."""
    counted = Counter(fate["fate"] for fate in fates)
    return {**{name: counted[name] for name in FATES}, "new": len(new)}


FATES: tuple[Fate, ...] = ("kept", "split", "merged", "vanished")


def _read(path: Path) -> dict[str, FlowFacts]:
    try:
        known: Any = parse_json(path.read_text(encoding="utf-8"), "what it holds")
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); remove it") from error
    # In the order of the facts, whatever order a file holds them in.
    return {
        key: {
            "n_from": facts["n_from"],
            "n_to": facts["n_to"],
            "flows": [(a, b, share, back) for a, b, share, back in facts["flows"]],
        }
        for key, facts in known.items()
    }
