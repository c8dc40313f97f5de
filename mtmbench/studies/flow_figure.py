"""The flow of topics over K as a figure: a column a K, a band a flow; positions in pixels.

Every topic is a box as high as its share of documents, and at least as high as its label. Boxes
stand in an order in which bands cross little: the first column by share, each next one by where its
topics come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mtmbench.boards.numbers import percent
from mtmbench.studies.k_rows import FlowStep, FlowTopic, TopicFlows

MOST_DRAWN = 50
"""Topics drawn of a K, the largest; the others of it are left out, and the figure says so."""

_LEAST_DRAWN = 0.1
"""Flows that are less of both their topics are not drawn."""
_BOX, _COLUMN, _LABEL = 10, 290, 210
_LEAST_HEIGHT, _GAP, _SHARES = 13.0, 3.0, 260.0
_TOP, _MARGIN = 26, 6
_LABEL_LENGTH = 32
_COLOURS = {"kept": "words", "split": "features", "merged": "merged", "vanished": "unknown"}


@dataclass(frozen=True)
class Box:
    """A topic: where its box is, its label beside it, and what is said of it in words."""

    x: float
    y: float
    height: float
    label: str
    told: str
    kind: str


@dataclass(frozen=True)
class Band:
    """A flow as an SVG path; ``kind`` is the colour of its topic's fate."""

    path: str
    told: str
    kind: str


@dataclass(frozen=True)
class FlowFigure:
    """A drawn flow.

    Attributes:
        title: the model.
        width: of the drawing.
        height: of the drawing.
        columns: (x, text) of each column's heading.
        boxes: the topics.
        bands: what flows between them.
        left_out: what is not drawn, in words; empty if all is.
        told: the figure in a sentence.
    """

    title: str
    width: int
    height: int
    columns: Sequence[tuple[float, str]]
    boxes: Sequence[Box]
    bands: Sequence[Band]
    left_out: str
    told: str


@dataclass(frozen=True)
class _Placed:
    x: float
    y: float
    height: float


def flow_figure(flows: TopicFlows) -> FlowFigure:
    """Lays out the flow of one model's topics over K."""
    ks = sorted({topic["k"] for topic in flows["topics"]})
    of_k = {k: [topic for topic in flows["topics"] if topic["k"] == k] for k in ks}
    drawn = {k: sorted(own, key=lambda t: (-t["share"], t["topic"]))[:MOST_DRAWN]
             for k, own in of_k.items()}  # fmt: skip
    steps = {step["k_from"]: step for step in flows["steps"]}
    columns: dict[int, list[FlowTopic]] = {}
    for before, k in zip([None, *ks], ks, strict=False):
        step = None if before is None else steps.get(before)
        columns[k] = _ordered(drawn[k], columns.get(before or 0, []), step)
    height = max(_natural_height(own) for own in columns.values())
    places = {
        (k, topic["topic"]): place
        for i, k in enumerate(ks)
        for topic, place in zip(columns[k], _stacked(columns[k], i, height), strict=True)
    }
    fates = {
        (step["k_from"], fate["topic"]): fate["fate"]
        for step in flows["steps"]
        for fate in step["fates"]
    }
    new = {(step["k_to"], b) for step in flows["steps"] for b in step["new"]}
    boxes = [
        _box(topic, places[k, topic["topic"]], fates.get((k, topic["topic"])),
             is_new=(k, topic["topic"]) in new)
        for k in ks for topic in columns[k]
    ]  # fmt: skip
    labels = {(topic["k"], topic["topic"]): topic["label"] for topic in flows["topics"]}
    bands = [band for step in flows["steps"] for band in _bands(step, places, labels, fates)]
    left = [f"{len(of_k[k]) - MOST_DRAWN} of K = {k}" for k in ks if len(of_k[k]) > MOST_DRAWN]
    return FlowFigure(
        title=flows["model"],
        width=_COLUMN * (len(ks) - 1) + _BOX + _LABEL + 2 * _MARGIN,
        height=int(height) + _TOP + _MARGIN,
        columns=[(_MARGIN + i * _COLUMN, f"K = {k}") for i, k in enumerate(ks)],
        boxes=boxes,
        bands=bands,
        left_out=f"The {MOST_DRAWN} largest topics of a K are drawn; left out: {', '.join(left)}."
        if left
        else "",
        told=f"Topics of {flows['model']} on {flows['corpus']} from K = {ks[0]} to K = {ks[-1]}, "
        f"seed {flows['seed']}; the table below says the same in numbers.",
    )


def _ordered(
    topics: Sequence[FlowTopic], before: Sequence[FlowTopic], step: FlowStep | None
) -> list[FlowTopic]:
    """Returns topics in the order of the mean place of those that they come from."""
    if step is None:
        return list(topics)
    place = {topic["topic"]: i for i, topic in enumerate(before)}
    came: dict[int, list[tuple[float, int]]] = {}
    for a, b, _, share in step["flows"]:
        if a in place:
            came.setdefault(b, []).append((share, place[a]))

    def mean_place(topic: FlowTopic) -> float:
        own = came.get(topic["topic"], [])
        weight = sum(share for share, _ in own)
        return sum(share * at for share, at in own) / weight if weight else float(len(before))

    return sorted(topics, key=lambda t: (mean_place(t), -t["share"], t["topic"]))


def _height(topic: FlowTopic) -> float:
    return _LEAST_HEIGHT + _SHARES * topic["share"]


def _natural_height(topics: Sequence[FlowTopic]) -> float:
    return sum(_height(topic) + _GAP for topic in topics) - _GAP


def _stacked(topics: Sequence[FlowTopic], column: int, height: float) -> list[_Placed]:
    """Returns the places of a column's boxes, spread over the height of the figure."""
    room = height - sum(_height(topic) for topic in topics)
    gap = room / max(1, len(topics) - 1) if len(topics) > 1 else 0.0
    y, places = float(_TOP), []
    for topic in topics:
        places.append(_Placed(_MARGIN + column * _COLUMN, round(y, 1), round(_height(topic), 1)))
        y += _height(topic) + gap
    return places


def _box(topic: FlowTopic, place: _Placed, fate: str | None, *, is_new: bool) -> Box:
    told = [f"K = {topic['k']}, topic {topic['topic']}: {topic['label']}", percent(topic["share"])]
    told += ["new"] if is_new else []
    told += [fate] if fate else []
    label = topic["label"]
    if len(label) > _LABEL_LENGTH:
        label = f"{label[: _LABEL_LENGTH - 1]}…"
    kind = "new" if is_new else ""
    return Box(place.x, place.y, place.height, label, ", ".join(told), kind)


def _bands(
    step: FlowStep,
    places: Mapping[tuple[int, int], _Placed],
    labels: Mapping[tuple[int, int], str],
    fates: Mapping[tuple[int, int], str],
) -> list[Band]:
    """Returns the bands of a step: as wide at each end as the share of the box there."""
    drawn = [
        flow
        for flow in step["flows"]
        if max(flow[2], flow[3]) >= _LEAST_DRAWN
        and (step["k_from"], flow[0]) in places
        and (step["k_to"], flow[1]) in places
    ]
    begin, end = ((step["k_from"], 0), (step["k_to"], 1))
    left = _ends(drawn, places, begin, end, 2)
    right = _ends(drawn, places, end, begin, 3)
    bands = []
    for a, b, share, back in drawn:
        x1 = places[step["k_from"], a].x + _BOX
        x2 = places[step["k_to"], b].x
        (top1, low1), (top2, low2) = left[a, b], right[a, b]
        middle = (x1 + x2) / 2
        path = (
            f"M{x1:.0f} {top1:.1f}C{middle:.0f} {top1:.1f} {middle:.0f} {top2:.1f} {x2:.0f} "
            f"{top2:.1f}V{low2:.1f}C{middle:.0f} {low2:.1f} {middle:.0f} {low1:.1f} {x1:.0f} "
            f"{low1:.1f}Z"
        )
        told = (
            f"{percent(share, 0)} of “{labels[step['k_from'], a]}” (K = {step['k_from']}), and "
            f"{percent(back, 0)} of “{labels[step['k_to'], b]}” (K = {step['k_to']})"
        )
        bands.append(Band(path, told, _COLOURS[fates[step["k_from"], a]]))
    return bands


def _ends(
    drawn: Sequence[tuple[int, int, float, float]],
    places: Mapping[tuple[int, int], _Placed],
    near: tuple[int, int],
    far: tuple[int, int],
    share: int,
) -> dict[tuple[int, int], tuple[float, float]]:
    """Returns where each band meets its box, from the top in the order of the other boxes."""
    (k, side), (other_k, other_side) = near, far
    filled: dict[int, float] = {}
    found: dict[tuple[int, int], tuple[float, float]] = {}
    for flow in sorted(drawn, key=lambda f: places[other_k, int(f[other_side])].y):
        box = places[k, int(flow[side])]
        top = box.y + filled.get(int(flow[side]), 0.0)
        size = box.height * flow[share]
        filled[int(flow[side])] = filled.get(int(flow[side]), 0.0) + size
        found[flow[0], flow[1]] = (top, top + size)
    return found
