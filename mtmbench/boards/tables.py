"""``board.json``: every table of a leaderboard, from a suite and its records alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mtmbench.boards.agreement import agreement_rows
from mtmbench.boards.cells import BoardRecords, display_names
from mtmbench.boards.controls import control_rows, reliability
from mtmbench.boards.leagues import rate_leagues
from mtmbench.boards.metric_rows import metric_rows, metric_versions
from mtmbench.boards.shown import shown_rows
from mtmbench.boards.spending import judge_spending, spending_rows, total_spending
from mtmbench.core.cards import Suite
from mtmbench.core.cells import Competitor, k_order
from mtmbench.core.serialise import rounded
from mtmbench.core.types import SCHEMA_VERSION, Record
from mtmbench.matches.audit import ORDER_FREE, audit
from mtmbench.stats.intervals import Rate

VIEW_ENCODER = "all-MiniLM-L6-v2"
"""The sentence encoder behind the embeddings view."""

SHOWN_TOPICS = 5


def build_board(suite: Suite, records: Sequence[Record]) -> dict[str, Any]:
    """Returns the content of ``board.json``; equal records give an equal board.

    Ratings are Bradley-Terry with intervals over documents, metrics means over seeds; Elo is
    rounded to 1 decimal, other values to 4; what cannot be had is null with a reason beside it;
    rows are sorted and there is no clock.

    Raises:
        InputError: the records contradict each other (see :meth:`BoardRecords.of`).
    """
    board = BoardRecords.of(records)
    leagues = rate_leagues(suite, board)
    confidence = suite.judging.confidence if suite.judging else 0.95
    names = display_names(suite, _competitors(board))
    controls = control_rows(board, confidence)
    spending, spent = spending_rows(board, names), total_spending(board)
    return {
        "schema": SCHEMA_VERSION,
        "suite": suite.name,
        "title": suite.title or suite.name,
        "description": suite.description,
        **({"steering": "steering.md"} if suite.steering is not None else {}),
        "corpora": _corpora(board),
        "competitors": [
            {**who.identity(), "name": names[who], "items": _item_kind(board, who)}
            for who in sorted(names)
        ],
        "judges": [
            {**judge, "reliable": reliability(controls, judge["id"])}
            for judge in _judges(board, names, confidence)
        ],
        "controls": controls,
        **({"shown": shown_rows(board.shown)} if board.shown else {}),
        **({"spending": spending} if spending else {}),
        **({"spent": spent} if spent else {}),
        "ratings": [row for league in leagues for row in league.rows],
        "win_rates": [league.win_rates for league in leagues],
        "sequential_elo": [row for league in leagues for row in league.sequential],
        "agreement": agreement_rows(board, leagues, confidence),
        "metrics": metric_rows(board, confidence),
        "metric_versions": metric_versions(board),
        "fits": _fits(board),
        "topics": _topics(board),
        "errors": _errors(board),
        "versions": _package_versions(records),
    }


def _competitors(board: BoardRecords) -> set[Competitor]:
    found = {Competitor.of(record.payload) for record in (*board.fits, *board.metrics)}
    return found | {Competitor.of(m.payload[side]) for m in board.matches for side in "ab"}


def _item_kind(board: BoardRecords, who: Competitor) -> str | None:
    """Returns "words" or "features", None where no fit says."""
    fits = [fit for fit in board.fits if Competitor.of(fit.payload) == who]
    items = _first(fits, "items")
    return None if items is None else items.get("kind")


def _corpora(board: BoardRecords) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for record in (*board.metrics, *board.matches, *board.fits):
        payload = record.payload
        row = found.setdefault(
            str(payload["corpus"]),
            {
                "name": payload["corpus"], "revision": payload["corpus_revision"],
                "n_docs": None, "n_empty": None, "n_duplicates": None,
            },
        )  # fmt: skip
        for name in ("n_docs", "n_empty", "n_duplicates"):
            if payload.get(name) is not None:
                row[name] = payload[name]
    return [found[name] for name in sorted(found)]


def _judges(
    board: BoardRecords, names: Mapping[Competitor, str], confidence: float
) -> list[dict[str, Any]]:
    by_judge: dict[str, list[Record]] = {}
    for match in board.matches:
        by_judge.setdefault(str(match.payload["judge"]), []).append(match)
    return [_judge(id_, by_judge[id_], board, names, confidence) for id_ in sorted(by_judge)]


def _judge(
    id_: str,
    matches: Sequence[Record],
    board: BoardRecords,
    names: Mapping[Competitor, str],
    confidence: float,
) -> dict[str, Any]:
    payload = matches[0].payload
    played = [match.payload for match in matches if match.status == "ok"]
    behaviour = audit(
        "".join(match["forward"] for match in played),
        "".join(match["backward"] for match in played),
        order_free=bool(payload["order_free"]),
        confidence=confidence,
    )
    usage: dict[str, int] = {}
    for match in played:
        for kind, tokens in (match.get("usage") or {}).items():
            usage[kind] = usage.get(kind, 0) + int(tokens)
    return {
        "id": id_,
        "is_llm": bool(payload["judge_is_llm"]),
        "order_free": bool(payload["order_free"]),
        "encoder": payload.get("encoder"),
        "client": payload.get("judge_client"),
        "version": payload.get("judge_version"),
        "prompt": payload.get("prompt"),
        "params": dict(payload.get("judge_params") or {}),
        "revisions": sorted({str(r) for m in played for r in m.get("judge_revisions") or ()}),
        "protocol": dict(payload.get("protocol") or {}),
        "calls": sum(int(match.get("calls") or 0) for match in played),
        "usage": usage,
        **judge_spending(played),
        "shares_encoder_with": _sharers(payload.get("encoder"), board, names),
        "audit": {
            "documents": behaviour.n_documents,
            "ruled": behaviour.n_ruled,
            "removed": behaviour.n_removed,
            "first_slot_rate": _rate(behaviour.position_bias),
            "flip_rate": _rate(behaviour.flips),
            "tie_rate": _rate(behaviour.ties),
            "unparsed_rate": _rate(behaviour.unparsed),
            "refused_rate": _rate(behaviour.refused),
        },
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return {
        "value": rounded(rate.value, 4),
        "lo": rounded(rate.lo, 4),
        "hi": rounded(rate.hi, 4),
        "n": rate.n,
        "reason": f"not applicable: {ORDER_FREE}" if rate.reason == ORDER_FREE else rate.reason,
    }


def _sharers(
    encoder: str | None, board: BoardRecords, names: Mapping[Competitor, str]
) -> list[str]:
    """Returns who was fitted on the judge's own encoder and so has an advantage with it."""
    if encoder is None:
        return []
    return sorted(
        {
            names[Competitor.of(fit.payload)]
            for fit in board.fits
            if fit.status == "ok" and _bare(encoder) in _encoders(fit.payload)
        }
    )


def _encoders(fit: Mapping[str, Any]) -> set[str]:
    found = {_bare(VIEW_ENCODER)} if "embeddings" in (fit.get("needs") or ()) else set()
    source = (fit.get("items") or {}).get("source") or {}
    return found | {_bare(str(source[name])) for name in ("backbone", "encoder") if name in source}


def _bare(name: str) -> str:
    return name.rsplit("/", 1)[-1].lower()


def _fits(board: BoardRecords) -> list[dict[str, Any]]:
    """Returns a row per corpus, K and competitor: what was found, over how many items."""
    return [
        {
            **who.identity(),
            "corpus": corpus,
            "k": int(fits[0].payload["k"]),
            "k_spec": k_spec,
            "registry": fits[0].payload.get("registry"),
            "seeds": [fit.payload["seed"] for fit in fits],
            "n_topics": [fit.payload.get("n_topics") for fit in fits],
            "n_failed": sum(fit.status != "ok" for fit in fits),
            "params_given": _first(fits, "params_given"),
            "items": _items(fits),
        }
        for (corpus, k_spec, who), fits in _fit_groups(board)
    ]


def _items(fits: Sequence[Record]) -> dict[str, Any] | None:
    items = _first(fits, "items")
    if items is None:
        return None
    source = items.get("source") or {}
    return {"kind": items.get("kind"), "n": items.get("n"), "filters": source.get("filters")}


def _topics(board: BoardRecords) -> list[dict[str, Any]]:
    """Returns the largest topics of each competitor's first seed."""
    rows = []
    for (corpus, k_spec, who), fits in _fit_groups(board):
        fitted = [fit for fit in fits if fit.status == "ok"]
        if not fitted:
            continue
        topics = fitted[0].payload.get("topics") or []
        largest = sorted(enumerate(topics), key=lambda pair: (-pair[1]["share"], pair[0]))
        rows.append(
            {
                **who.identity(),
                "corpus": corpus,
                "k": int(fitted[0].payload["k"]),
                "k_spec": k_spec,
                "seed": fitted[0].payload["seed"],
                "n_topics": len(topics),
                "topics": [
                    {
                        "topic": index,
                        "share": rounded(topic["share"], 4),
                        "items": list(topic["items"]),
                        "words": list(topic["words"]),
                    }
                    for index, topic in largest[:SHOWN_TOPICS]
                ],
            }
        )
    return rows


def _fit_groups(
    board: BoardRecords,
) -> list[tuple[tuple[str, int | str, Competitor], list[Record]]]:
    groups: dict[tuple[str, int | str, Competitor], list[Record]] = {}
    for fit in board.fits:
        key = str(fit.payload["corpus"]), fit.payload["k_spec"], Competitor.of(fit.payload)
        groups.setdefault(key, []).append(fit)
    for fits in groups.values():
        fits.sort(key=lambda fit: int(fit.payload["seed"]))
    return sorted(groups.items(), key=lambda item: (item[0][0], k_order(item[0][1]), item[0][2]))


def _errors(board: BoardRecords) -> list[dict[str, Any]]:
    """Returns every cell that failed, with its reason."""
    names = (
        "corpus", "k", "k_spec", "judge", "representation", "control", "a", "b", "model", "setting",
        "seed", "metric", "view", "params", "task",
    )  # fmt: skip
    rows = []
    for record in (*board.fits, *board.metrics, *board.matches, *board.nulls, *board.shown):
        if record.status == "error":
            payload = dict(record.payload)
            for side in "ab":
                if side in payload:
                    payload[side] = Competitor.of(payload[side]).identity()
            rows.append(
                {
                    "kind": record.kind,
                    **{name: payload[name] for name in names if payload.get(name) is not None},
                    "reason": payload.get("reason"),
                }
            )
    return rows


def _package_versions(records: Iterable[Record]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for record in records:
        for name, version in record.versions.items():
            found.setdefault(name, set()).add(version)
    return {name: sorted(found[name]) for name in sorted(found)}


def _first(fits: Sequence[Record], name: str) -> Any:
    return next((fit.payload[name] for fit in fits if fit.payload.get(name) is not None), None)
