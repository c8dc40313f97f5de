"""Who refined and summarised the topics of a board, and how it went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

from mtmbench.boards.rows.rewrites import RewriteRow
from mtmbench.boards.spending import lacking_replies, lacking_text
from mtmbench.core.competitors import Competitor, k_order
from mtmbench.core.match_payloads import ExtractionFacts, RefineLimits, RewritePayload
from mtmbench.core.records import RewriteRecord
from mtmbench.judges.budget import total_cost

_UNREAD_LIMIT = 0.05


def shown_rows(records: Sequence[RewriteRecord]) -> list[RewriteRow]:
    """Returns a row a task, "refine" or "summary"; empty where topics are shown as they are.

    A row says which card answered, as what revision, by which prompt, with what usage and cost, and
    how many topics got an answer of each status, by competitor too.
    """
    rows: list[RewriteRow] = []
    for task in sorted({record.payload["task"] for record in records}):
        own = [record for record in records if record.payload["task"] == task]
        played = [record.payload for record in own if record.status == "ok"]
        first = own[0].payload
        asked = [payload["answers_by"] for payload in played]
        rows.append(
            {
                "task": task,
                "judge": first["judge"],
                "facts": first["facts"],
                "prompt": first["prompt"],
                **_extraction(own),
                **_limits(first),
                "top_items": first["top_items"],
                "revisions": sorted({revision for by in asked for revision in by["revisions"]}),
                "questions": sum(by["questions"] for by in asked),
                "usage": _sum(by["usage"] for by in asked),
                "cost": total_cost(by.get("cost") for by in asked if by["questions"]),
                "statuses": _sum(payload["statuses"] for payload in played),
                **lacking_replies(asked),
                "failed": len(own) - len(played),
                "fits": [
                    {
                        **Competitor.of(payload).identity(),
                        "corpus": payload["corpus"],
                        "k_spec": payload["k_spec"],
                        **_seed(payload),
                        "statuses": payload["statuses"],
                    }
                    for payload in sorted(played, key=_place)
                ],
            }
        )
    return rows


def shown_notes(rows: Sequence[RewriteRow]) -> list[str]:
    """Returns what a reader must know about refined and summarised topics."""
    notes = []
    for row in rows:
        statuses = row["statuses"]
        asked = sum(n for status, n in statuses.items() if status != "empty")
        unread = statuses.get("unparsed", 0) + statuses.get("refused", 0)
        said = ", ".join(f"{n:,} {status}" for status, n in sorted(statuses.items()))
        who = f"judge card {row['judge']}"
        if row["revisions"]:
            who += f" ({', '.join(row['revisions'])})"
        prompt = row["prompt"]
        by = "" if prompt is None else f", prompt {prompt['name']}, hash {prompt['hash'][:8]}"
        if row["task"] == "refine":
            limits = row.get("limits")
            items, odd = f"{row['top_items']} top items", "two odd ones"
            then = ""
            if limits is not None:
                items, odd = f"{limits['show']} top items", f"{limits['drop']} odd ones"
                then = f" Shown are the {row['top_items']} strongest of those left."
            note = (
                f"Up to {odd} of every topic's {items} were dropped by "
                f"{who}{by}, for all models alike: topics {said}. A topic whose reply was "
                f"unparsed or refused keeps all of its items.{then}"
            )
        elif "extraction" in row:
            halves = row["extraction"]
            params = row["facts"]["params"]
            # Where records do not name it, it was this one.
            encoder = halves.get("encoder", "all-MiniLM-L6-v2")
            note = (
                f"No language model wrote the summaries: {who} took them from the documents that "
                f"load on a topic most, one sentence or a few phrases of at most "
                f"{params.get('words', 25)} words, nearest to the topic's centroid in the "
                f"embeddings of {encoder}: topics {said}. They come from one half of the "
                f"documents ({halves['n_sources']:,}), and tables of summaries are of documents "
                f"drawn from the other ({halves['n_judged']:,}), so that none is judged by its own "
                "words. A judge that compares by that encoder rules on what it would choose itself."
            )
        else:
            note = (
                f"Summaries were written from the top items by {who}{by}: topics {said}. A "
                "document that would show a topic without a summary is removed from the pair and "
                "counted as unparsed or refused."
            )
        if asked and unread / asked > _UNREAD_LIMIT:
            note += (
                f" Warning: {unread:,} of {asked:,} replies gave nothing, more than 5 %; what is "
                "shown need not be a fair sample."
            )
        if lacking := lacking_text(row, row["facts"]["decoding"]):
            note += f" {lacking}"
        notes.append(note)
    return notes


class _Extraction(TypedDict, total=False):
    extraction: ExtractionFacts


class _Limits(TypedDict, total=False):
    limits: RefineLimits


def _limits(payload: RewritePayload) -> _Limits:
    return {"limits": payload["limits"]} if "limits" in payload else {}


def _extraction(records: Sequence[RewriteRecord]) -> _Extraction:
    """Returns how summaries were taken from documents, over all corpora; empty if they were not."""
    of = {
        record.payload["corpus"]: record.payload["extraction"]
        for record in records
        if "extraction" in record.payload
    }
    if not of:
        return {}
    first = next(iter(of.values()))
    told: ExtractionFacts = {
        "is_llm": False,
        "rule": first["rule"],
        "n_sources": sum(each["n_sources"] for each in of.values()),
        "n_judged": sum(each["n_judged"] for each in of.values()),
    }
    if "encoder" in first:
        told["encoder"] = first["encoder"]
    return {"extraction": told}


class _Seed(TypedDict, total=False):
    seed: int


def _seed(payload: RewritePayload) -> _Seed:
    return {"seed": payload["seed"]} if "extraction" in payload else {}


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))


def _place(payload: RewritePayload) -> tuple[str, tuple[bool, int], Competitor, int]:
    return payload["corpus"], k_order(payload["k_spec"]), Competitor.of(payload), payload["seed"]
