"""``board.json``: every table of a leaderboard, from a suite and its records alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from mtmbench.boards.agreement import agreement_rows
from mtmbench.boards.cells import BoardRecords, display_names
from mtmbench.boards.controls import control_rows, reliability
from mtmbench.boards.correlations import correlation_rows
from mtmbench.boards.labels import label_rows, labels_by_fit, source_of
from mtmbench.boards.leagues import rate_leagues
from mtmbench.boards.metric_rows import metric_rows, metric_versions
from mtmbench.boards.rows.board import BoardExtras, BoardLinks, BoardTables, CorpusRow, ErrorRow
from mtmbench.boards.rows.fits import FitItems, FitRow, ItemsCalled, ToldFits, TopicsRow
from mtmbench.boards.rows.judges import ProjectedWords, RulingJudge, ShareRow
from mtmbench.boards.shown import shown_rows
from mtmbench.boards.spending import (
    judge_spending,
    lacking_replies,
    metric_replies,
    spending_rows,
    total_spending,
    total_usage,
)
from mtmbench.core.cards import Suite, shown_name
from mtmbench.core.competitors import Competitor, k_order
from mtmbench.core.fit_payloads import FitPayload, FittedItems
from mtmbench.core.records import SCHEMA_VERSION, CellRecord, FitRecord, MatchRecord, StoredRecord
from mtmbench.core.serialise import rounded
from mtmbench.core.specs import DEFAULT_ENCODER
from mtmbench.core.types import ItemKind
from mtmbench.matches.adaptive import sides_of
from mtmbench.matches.audit import ORDER_FREE, audit
from mtmbench.stats.intervals import Rate

_SHOWN_TOPICS = 5


def build_board(suite: Suite, records: Iterable[StoredRecord]) -> BoardTables:
    """Returns the content of ``board.json``; equal records give an equal board.

    Ratings are Bradley-Terry with intervals over documents, metrics means over seeds; Elo is
    rounded to 1 decimal, other values to 4; what cannot be had is null with a reason beside it;
    rows are sorted and there is no clock.

    Raises:
        InputError: the records contradict each other (see :meth:`BoardRecords.of`).
    """
    return board_tables(suite, BoardRecords.of(records))


def board_tables(suite: Suite, board: BoardRecords) -> BoardTables:
    """Returns the content of ``board.json`` of records that are sorted already."""
    leagues = rate_leagues(suite, board)
    confidence = suite.judging.confidence if suite.judging else 0.95
    names = display_names(suite, _competitors(board))
    controls = control_rows(board, confidence)
    steering: BoardLinks = {} if suite.steering is None else {"steering": "steering.md"}
    extras: BoardExtras = {}
    if named := label_rows(board):
        extras["labels"] = named
    if board.shown:
        extras["shown"] = shown_rows(board.shown)
    if spending := spending_rows(board, names):
        extras["spending"] = spending
    if spent := total_spending(board):
        extras["spent"] = spent
    if lacking := metric_replies(board):
        extras["metric_replies"] = lacking
    if correlated := correlation_rows(board, confidence):
        extras["doc_topic_correlation"] = correlated
    return {
        "schema": SCHEMA_VERSION,
        "suite": suite.name,
        "title": suite.title or suite.name,
        "description": " ".join(filter(None, (suite.description, _tuned(suite)))),
        **steering,
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
        **extras,
        "ratings": [row for league in leagues for row in league.rows],
        "win_rates": [league.win_rates for league in leagues],
        "sequential_elo": [row for league in leagues for row in league.sequential],
        "agreement": agreement_rows(board, leagues, confidence),
        "metrics": metric_rows(board, confidence),
        "metric_versions": metric_versions(board),
        "fits": _fits(board),
        "topics": _topics(board),
        "errors": _errors(board),
        "versions": {name: sorted(found) for name, found in sorted(board.versions.items())},
    }


def _competitors(board: BoardRecords) -> set[Competitor]:
    found = {Competitor.of(fit.payload) for fit in board.fits}
    found |= {Competitor.of(value.payload) for value in board.metrics}
    return found | set(board.columns.players)


def _item_kind(board: BoardRecords, who: Competitor) -> ItemKind | None:
    """Returns "words" or "features", None where no fit says."""
    fits = [fit for fit in board.fits if Competitor.of(fit.payload) == who]
    items = _first_items(fits)
    return None if items is None else items["kind"]


def _corpora(board: BoardRecords) -> list[CorpusRow]:
    found: dict[str, CorpusRow] = {}
    for record in (*board.metrics, *board.matches, *board.fits):
        name = record.payload["corpus"]
        found[name] = {
            "name": name, "revision": record.payload["corpus_revision"],
            "n_docs": None, "n_empty": None, "n_duplicates": None,
        }  # fmt: skip
    for fit in board.fits:
        payload, row = fit.payload, found[fit.payload["corpus"]]
        row["n_docs"] = payload.get("n_docs", row["n_docs"])
        row["n_empty"] = payload.get("n_empty", row["n_empty"])
        row["n_duplicates"] = payload.get("n_duplicates", row["n_duplicates"])
    return [found[name] for name in sorted(found)]


def _judges(
    board: BoardRecords, names: Mapping[Competitor, str], confidence: float
) -> list[RulingJudge]:
    by_judge: dict[str, list[MatchRecord]] = {}
    for match in board.matches:
        by_judge.setdefault(match.payload["judge"], []).append(match)
    return [_judge(id_, by_judge[id_], board, names, confidence) for id_ in sorted(by_judge)]


def _judge(
    id_: str,
    matches: Sequence[MatchRecord],
    board: BoardRecords,
    names: Mapping[Competitor, str],
    confidence: float,
) -> RulingJudge:
    payload = matches[0].payload
    played = [match.payload for match in matches if match.status == "ok"]
    behaviour = audit(
        "".join(match["forward"] for match in played),
        "".join(match["backward"] for match in played),
        order_free=payload["order_free"],
        confidence=confidence,
    )
    return {
        "id": id_,
        "is_llm": payload["judge_is_llm"],
        "order_free": payload["order_free"],
        "encoder": payload.get("encoder"),
        "client": payload.get("judge_client"),
        "version": payload.get("judge_version"),
        "prompt": payload.get("prompt"),
        "params": payload.get("judge_params", {}),
        "revisions": sorted({r for match in played for r in match.get("judge_revisions", ())}),
        "protocol": payload.get("protocol", {}),
        "calls": sum(match.get("calls", 0) for match in played),
        "usage": total_usage(played),
        **judge_spending(played),
        **lacking_replies(played),
        **_projected_words(matches),
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


def _projected_words(matches: Sequence[MatchRecord]) -> ProjectedWords:
    payloads = [match.payload for match in matches if "projected" in match.payload]
    if not payloads:
        return {}
    found: ProjectedWords = {"projected": payloads[0]["projected"]}
    wordless = sum(payload.get("wordless", 0) for payload in payloads)
    if wordless:
        found["wordless"] = wordless
        found["worded"] = sum(2 * len(payload.get("forward", "")) for payload in payloads)
    return found


def _rate(rate: Rate) -> ShareRow:
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


def _tuned(suite: Suite) -> str:
    """Says which models were tuned for this suite, the defaults found best or not; or nothing."""
    spec = suite.tuning
    if spec is None:
        return ""
    names = [shown for model in suite.all_models if (shown := shown_name(model)) in spec.models]
    if not names:
        return ""
    return (
        f"Tuned before they played, on each corpus alike: {', '.join(names)}; {spec.trials} trials "
        f"each by {spec.metric}, on {spec.share:.0%} of the documents, which this board leaves out."
    )


def _encoders(fit: FitPayload) -> set[str]:
    encoded = {"embeddings", "word_embeddings"} & set(fit.get("needs", ()))
    found = {_bare(fit.get("encoder", DEFAULT_ENCODER))} if encoded else set()
    source = fit["items"]["source"] if "items" in fit else {}
    return found | {_bare(str(source[name])) for name in ("backbone", "encoder") if name in source}


def _bare(name: str) -> str:
    return name.rsplit("/", 1)[-1].lower()


def _fits(board: BoardRecords) -> list[FitRow]:
    """Returns a row per corpus, K and competitor: what was found, over how many items."""
    playing = _seeds_of_players(board)
    return [
        {
            **who.identity(),
            "corpus": corpus,
            "k": fits[0].payload["k"],
            "k_spec": k_spec,
            "registry": fits[0].payload.get("registry"),
            "seeds": [fit.payload["seed"] for fit in fits],
            "n_topics": [fit.payload.get("n_topics") for fit in fits],
            "n_failed": sum(fit.status != "ok" for fit in fits),
            "params_given": next(
                (fit.payload["params_given"] for fit in fits if "params_given" in fit.payload), None
            ),
            "items": _items(fits),
            **_told(fits, playing.get((corpus, k_spec, who))),
        }
        for (corpus, k_spec, who), fits in _fit_groups(board)
    ]


def _told(fits: Sequence[FitRecord], plays: int | None) -> ToldFits:
    told = [fit.payload.get("cautions") for fit in fits]
    if all(each is None for each in told):
        return {}
    return {"cautions": told} if plays is None else {"cautions": told, "plays": plays}


def _seeds_of_players(board: BoardRecords) -> dict[tuple[str, int | str, Competitor], int]:
    """Returns the seed of the fit with which each competitor plays, by corpus and K."""
    columns = board.columns
    numbers = columns.league.tolist(), columns.a.tolist(), columns.b.tolist()
    found: dict[tuple[int, int], int] = {}
    for match, league, a, b in zip(board.matches, *numbers, strict=True):
        seeds = match.payload["seed"]
        found[league, a], found[league, b] = seeds["a"], seeds["b"]
    return {
        (columns.leagues[league].corpus, columns.leagues[league].k_spec, columns.players[who]): seed
        for (league, who), seed in found.items()
    }


def _items(fits: Sequence[FitRecord]) -> FitItems | None:
    items = _first_items(fits)
    if items is None:
        return None
    filters = items["source"].get("filters")
    kept = filters if isinstance(filters, dict) else None
    return {"kind": items["kind"], "n": items["n"], "filters": kept}


def _topics(board: BoardRecords) -> list[TopicsRow]:
    """Returns the largest topics of each competitor's first seed."""
    rows: list[TopicsRow] = []
    over = labels_by_fit(board)
    for (corpus, k_spec, who), fits in _fit_groups(board):
        fitted = [fit for fit in fits if fit.status == "ok"]
        if not fitted:
            continue
        topics = fitted[0].payload.get("topics", ())
        named = over.get(fitted[0].key)
        source = source_of(fitted[0], named)
        shown = None if named is None else named.payload["topics"]
        called: ItemsCalled = {}
        if source is not None:
            called["labels"] = cast(str | None, source.get("source"))
        largest = sorted(enumerate(topics), key=lambda pair: (-pair[1]["share"], pair[0]))
        rows.append(
            {
                **who.identity(),
                "corpus": corpus,
                "k": fitted[0].payload["k"],
                "k_spec": k_spec,
                "seed": fitted[0].payload["seed"],
                "n_topics": len(topics),
                **called,
                "topics": [
                    {
                        "topic": index,
                        "share": rounded(topic["share"], 4),
                        "items": topic["items"] if shown is None else shown[index],
                        "words": topic["words"],
                    }
                    for index, topic in largest[:_SHOWN_TOPICS]
                ],
            }
        )
    return rows


def _fit_groups(
    board: BoardRecords,
) -> list[tuple[tuple[str, int | str, Competitor], list[FitRecord]]]:
    groups: dict[tuple[str, int | str, Competitor], list[FitRecord]] = {}
    for fit in board.fits:
        key = fit.payload["corpus"], fit.payload["k_spec"], Competitor.of(fit.payload)
        groups.setdefault(key, []).append(fit)
    for fits in groups.values():
        fits.sort(key=lambda fit: fit.payload["seed"])
    return sorted(groups.items(), key=lambda item: (item[0][0], k_order(item[0][1]), item[0][2]))


def _errors(board: BoardRecords) -> list[ErrorRow]:
    """Returns every cell that failed, with its reason."""
    fits_and_values: list[CellRecord] = [*board.fits, *board.reordered, *board.metrics]
    rows = [_error(record) for record in fits_and_values if record.status == "error"]
    for match in (*board.matches, *board.later, *board.nulls):
        if match.status == "error":
            a, b = sides_of(match.payload)
            rows.append({**_error(match), "a": a.identity(), "b": b.identity()})
    rows += [_error(record) for record in board.labels if record.status == "error"]
    return rows + [_error(record) for record in board.shown if record.status == "error"]


def _error(record: CellRecord) -> ErrorRow:
    names = (
        "corpus", "k", "k_spec", "judge", "representation", "control", "a", "b", "model", "setting",
        "seed", "metric", "view", "params", "task",
    )  # fmt: skip
    stated = {name: record.payload.get(name) for name in names}
    row = {name: value for name, value in stated.items() if value is not None}
    reason = record.payload.get("reason")
    return cast(ErrorRow, {"kind": record.kind, **row, "reason": reason})


def _first_items(fits: Sequence[FitRecord]) -> FittedItems | None:
    return next((fit.payload["items"] for fit in fits if "items" in fit.payload), None)
