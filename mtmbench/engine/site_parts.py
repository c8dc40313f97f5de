"""What only a run's own folder can add to its board's page.

Which documents load on a topic, what its SAE features are, what judges were shown and what they
answered, texts where they may be passed on, and how long things took.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from statistics import median

import numpy as np

from mtmbench.boards.cells import display_names
from mtmbench.boards.site.parts import Part, write_run_parts
from mtmbench.core.cells import FitCell, MatchCell, labels_of
from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash
from mtmbench.core.store import run_infos
from mtmbench.core.topic_result import TopicResult
from mtmbench.corpora.licences import why_not_shown
from mtmbench.engine.labels import labelled
from mtmbench.engine.plan import Plan
from mtmbench.engine.results import result_path
from mtmbench.engine.site_features import TOP_FEATURES, feature_parts
from mtmbench.engine.workspace import Workspace, WorkspaceSpec
from mtmbench.judges.identity import judge_identity
from mtmbench.judges.ledger import LEDGER
from mtmbench.judges.ledger_file import find_answer, open_ledger
from mtmbench.judges.prompt import load_prompt
from mtmbench.matches.match import Pair

_DOCUMENTS = 8
_CHARACTERS = 3000
"""Of a text at most: a judge reads no more by the prompts that ship."""

_League = tuple[str, int | str, str]


def write_site_parts(plan: Plan, folder: Path, *, texts: bool = False) -> None:
    """Writes, into a run's folder, the parts of its page that records do not hold.

    A fit that has no result there is left out, as is a match whose topics cannot be shown.

    Args:
        plan: the run's plan.
        folder: its folder.
        texts: show the texts of every corpus, whatever its licence.
    """
    workspace = Workspace(
        WorkspaceSpec(plan.suite, plan.specs, folder, plan.data_dir, plan.plugins)
    )
    wanted: dict[str, set[int]] = {name: set() for name in plan.corpora}
    parts = [
        *_document_parts(plan, folder, workspace, wanted, texts),
        *feature_parts(plan, folder, workspace, texts=texts),
        *_seen_parts(plan, folder, workspace, wanted, texts),
    ]
    for name, corpus in plan.corpora.items():
        if wanted[name] and (texts or why_not_shown(corpus) is None):
            shown = {corpus.doc_ids[row]: _cut(corpus.texts[row]) for row in sorted(wanted[name])}
            parts.append(Part("texts", {"corpus": name}, shown))
    if rows := _times(plan, folder):
        parts.append(Part("times", {}, rows))
    write_run_parts(folder, parts)


def _cut(text: str) -> str:
    if len(text) <= _CHARACTERS:
        return text
    return f"{text[:_CHARACTERS]} … [the first {_CHARACTERS:,} of {len(text):,} characters]"


def _document_parts(
    plan: Plan,
    folder: Path,
    workspace: Workspace,
    wanted: Mapping[str, set[int]],
    texts: bool,
) -> Iterator[Part]:
    """Yields the documents that load on every topic, by corpus, K and seed."""
    groups: dict[tuple[str, int | str, int], list[FitCell]] = {}
    for fit in plan.fits:
        if result_path(folder, fit.key).is_file():
            groups.setdefault((fit.corpus, fit.k_spec, fit.seed), []).append(fit)
    names = display_names(plan.suite, {fit.competitor for fit in plan.fits})
    first: dict[tuple[str, int | str], int] = {}
    for corpus, spec, seed in groups:
        first[corpus, spec] = min(seed, first.get((corpus, spec), seed))
    for (corpus, spec, seed), fits in groups.items():
        # Texts of first seeds' documents are shown; those of all seeds would be most of the corpus.
        rows = wanted[corpus] if first[corpus, spec] == seed else set()
        models = {}
        for fit in fits:
            result = workspace.result(fit.key)
            with suppress(InputError):  # where labels failed, those that the fit came with stand
                result = labelled(result, labels_of(plan.labels, fit), folder)
            models[names[fit.competitor]] = list(
                _topics(result, plan.corpora[corpus].doc_ids, rows)
            )
        of = {"corpus": corpus, "spec": spec, "seed": seed}
        why = None if texts else why_not_shown(plan.corpora[corpus])
        if why is None and first[corpus, spec] != seed:
            why = f"texts are kept of the documents of seed {first[corpus, spec]}'s topics alone"
        yield Part("documents", of, {"models": models, "why": why})


def _topics(
    result: TopicResult, doc_ids: Sequence[str], wanted: set[int]
) -> Iterator[dict[str, object]]:
    """Yields each topic's strongest documents, whose rows ``wanted`` takes on, and features."""
    features = result.top_items(TOP_FEATURES) if result.items.kind == "features" else None
    for k in range(result.n_topics):
        shares = result.doc_topic[:, k]
        rows = [int(row) for row in np.argsort(-shares, kind="stable")[:_DOCUMENTS] if shares[row]]
        wanted.update(rows)
        told: dict[str, object] = {
            "documents": [[doc_ids[row], round(float(shares[row]), 3)] for row in rows]
        }
        if features is not None:
            items, weights = result.items, result.item_weights[k]
            told["features"] = [
                [items.ids[i], items.labels[i], round(float(weights[i]), 4)] for i in features[k]
            ]
        yield told


def _seen_parts(
    plan: Plan,
    folder: Path,
    workspace: Workspace,
    wanted: Mapping[str, set[int]],
    texts: bool,
) -> Iterator[Part]:
    """Yields what judges were shown by corpus, K and representation, and what they answered."""
    groups: dict[_League, list[MatchCell]] = {}
    for cell in plan.matches:
        if cell.kind == "match" and not cell.nth_seed:
            groups.setdefault((cell.corpus, cell.a.k_spec, cell.representation), []).append(cell)
    players_of_all = {fit.competitor for cell in plan.matches for fit in (cell.a, cell.b)}
    names = display_names(plan.suite, players_of_all)
    for (corpus, spec, shown), cells in groups.items():
        of = {"corpus": corpus, "spec": spec, "shown": shown}
        doc_ids = plan.corpora[corpus].doc_ids
        documents = sorted({row for cell in cells for row in cell.rows})
        place = {row: i for i, row in enumerate(documents)}
        strings: dict[str, int] = {}
        sides: dict[str, list[object]] = {}
        replies: dict[str, dict[str, dict[str, list[str | None]]]] = {}
        for cell in cells:
            players = [names[fit.competitor] for fit in (cell.a, cell.b)]
            here = [place[row] for row in cell.rows]
            known = all(
                name in sides and all(sides[name][i] is not None for i in here) for name in players
            )
            asked = cell.is_llm and (folder / LEDGER).is_file()
            if known and not asked:
                continue
            try:
                pair = workspace.exhibits.of(cell).pair
                both = pair.options()
            except (InputError, OSError):
                continue
            for name, options in zip(players, both, strict=True):
                told = sides.setdefault(name, [None] * len(documents))
                for row, option in zip(pair.rows, options, strict=True):
                    told[place[row]] = [
                        [strings.setdefault(topic.description, len(strings)), round(topic.share, 3)]
                        for topic in option.topics
                    ]
            if asked and (found := _replies(cell, pair, folder)):
                replies.setdefault(players[0], {})[cell.key] = found
        if not sides:
            continue
        wanted[corpus].update(documents)
        why = None if texts else why_not_shown(plan.corpora[corpus])
        yield Part(
            "seen", of,
            {"documents": [doc_ids[row] for row in documents], "strings": list(strings),
             "sides": sides, "why": why},
        )  # fmt: skip
        for name, found_of in replies.items():
            yield Part("replies", {**of, "a": name}, found_of)


def _replies(cell: MatchCell, pair: Pair, folder: Path) -> dict[str, list[str | None]]:
    """Returns a judge's replies by document id, forward and backward, as its ledger has them."""
    identity, prompt = judge_identity(cell.card), load_prompt(cell.card.prompt)
    found: dict[str, list[str | None]] = {}
    with closing(open_ledger(folder / LEDGER)) as ledger:
        for row, left, right in zip(pair.rows, *pair.options(), strict=True):
            replies = []
            for first, second in ((left, right), (right, left)):
                messages = pair.question(row, first, second, prompt).messages
                told = [dict(message) for message in messages]
                answer = find_answer(ledger, content_hash("answer", identity, told, cell.replicate))
                replies.append(None if answer is None else answer.text)
            if any(reply is not None for reply in replies):
                found[pair.corpus.doc_ids[row]] = replies
    return found


def _times(plan: Plan, folder: Path) -> list[list[object]]:
    """Returns seconds and memory of the run's cells: what, corpus, of whom, how many, how long."""
    told: dict[str, tuple[str, str, str]] = {}
    for fit in plan.fits:
        told[fit.key] = "fit", fit.corpus, fit.competitor.name
    for value in plan.metrics:
        told[value.key] = "metric", value.corpus, value.metric
    for match in plan.matches:
        told[match.key] = match.kind, match.corpus, match.judge
    groups: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for key, info in run_infos(folder):
        if key in told and info.seconds is not None:
            took = info.seconds, info.peak_rss_mb or 0.0
            groups.setdefault(told[key], []).append(took)
    return [
        [
            *what, len(all_took), round(median(s for s, _ in all_took), 3),
            round(max(all_took)[0], 3), round(sum(s for s, _ in all_took), 2),
            round(max(peak for _, peak in all_took)),
        ]
        for what, all_took in sorted(groups.items())
    ]  # fmt: skip
