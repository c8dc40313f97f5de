"""The match viewer's parts: what every judge said of each pair of models on each document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from mtmbench.boards.cells import BoardRecords
from mtmbench.boards.site.parts import Part
from mtmbench.core.competitors import Competitor, k_order
from mtmbench.core.records import MatchRecord
from mtmbench.matches.adaptive import sides_of

_Where = tuple[str, int | str, str]


class PackedMatch(TypedDict, total=False):
    """A match: judge, both sides by number, its record's key, its verdicts.

    ``f`` and ``g``, forward and backward, are a character a document, as records have them; ``g``
    is missing where it is as ``f``. ``d`` are numbers of documents where they are not all of the
    part's; ``u`` are replies that were no verdict, by document, and ``why`` says why nothing was
    played.
    """

    j: int
    a: int
    b: int
    key: str
    f: str
    g: str
    d: Sequence[int]
    u: Mapping[str, Sequence[str | None]]
    why: str


def verdict_parts(board: BoardRecords, names: Mapping[Competitor, str]) -> list[Part]:
    """Returns a part per corpus, K and representation, with the matches of first seeds."""
    groups: dict[_Where, list[MatchRecord]] = {}
    for match in board.matches:
        payload = match.payload
        key = payload["corpus"], payload["k_spec"], str(payload["representation"])
        groups.setdefault(key, []).append(match)
    return [
        Part("verdicts", of, _packed(groups[key], names), 1)
        for key in sorted(groups, key=lambda key: (key[0], *k_order(key[1]), key[2]))
        for corpus, k_spec, shown in [key]
        for of in [
            {
                "corpus": corpus, "k": groups[key][0].payload["k"], "spec": k_spec, "shown": shown,
            }
        ]
    ]  # fmt: skip


def _packed(matches: Sequence[MatchRecord], names: Mapping[Competitor, str]) -> dict[str, object]:
    judges = sorted({match.payload["judge"] for match in matches})
    played = sorted({names[side] for match in matches for side in sides_of(match.payload)})
    documents = list(dict.fromkeys(doc for m in matches for doc in m.payload["documents"]))
    number = {doc: i for i, doc in enumerate(documents)}
    packed: list[PackedMatch] = []
    for match in matches:
        payload = match.payload
        a, b = sides_of(payload)
        one: PackedMatch = {
            "j": judges.index(payload["judge"]),
            "a": played.index(names[a]),
            "b": played.index(names[b]),
            "key": match.key,
        }
        if match.status != "ok":
            one["why"] = str(payload.get("reason") or match.status)
        else:
            one["f"] = payload["forward"]
            if payload["backward"] != payload["forward"]:
                one["g"] = payload["backward"]
            if list(payload["documents"]) != documents:
                one["d"] = [number[doc] for doc in payload["documents"]]
            if payload.get("unread"):
                one["u"] = payload["unread"]
        packed.append(one)
    return {"judges": judges, "models": played, "documents": documents, "matches": packed}
