"""The leagues of a suite: which fits meet before which judges, a cell a match or control."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from mtmbench.core.cards import Suite
from mtmbench.core.cells import FitCell, LabelCell, MatchCell, RewriteCell
from mtmbench.core.competitors import Competitor
from mtmbench.core.types import Corpus
from mtmbench.judges.registry import load_judge_card
from mtmbench.matches.rewrites import representations_of


def match_cells(
    suite: Suite,
    corpora: Mapping[str, Corpus],
    fits: Sequence[FitCell],
    rewrites: Sequence[RewriteCell],
    labels: Sequence[LabelCell],
) -> Iterator[MatchCell]:
    """Lays out every match and control of a suite, league by league.

    Args:
        suite: what to play; without ``[judging]`` no match is.
        corpora: its corpora by name.
        fits: all its fits.
        rewrites: the cells that refine and summarise their topics.
        labels: the cells that name their items.

    Raises:
        UnknownNameError: there is no judge of a name that the suite gives.
    """
    from mtmbench.matches.adaptive import adaptive_cells
    from mtmbench.matches.controls import control_cells
    from mtmbench.matches.league import LeaguePlan

    spec = suite.judging
    if spec is None:
        return
    cards = {name: load_judge_card(name) for name in spec.judges}
    for name, k_spec in leagues_of(fits):
        corpus, rounds = corpora[name], rounds_of(suite, fits, name, k_spec)
        shown = [(name, each) for name in cards for each in representations_of(spec, cards[name])]
        for judge, representation in shown:
            card = cards[judge]
            league = LeaguePlan(
                spec, suite.words, corpus, rounds[0], judge, card, representation, rewrites,
                labels,
            )  # fmt: skip
            if spec.schedule == "adaptive":
                yield from adaptive_cells(league)
            else:
                for nth, players in enumerate(rounds):
                    of_seed = replace(league, players=players, nth_seed=nth)
                    for a, b in combinations(players, 2):
                        yield of_seed.match(league.sample, a, b, "match")
            if spec.nulls:
                yield from control_cells(league, fits)


def leagues_of(fits: Iterable[FitCell]) -> list[tuple[str, int | str]]:
    """Returns corpus and K of what is played, in the order of the fits."""
    return list(dict.fromkeys((fit.corpus, fit.k_spec) for fit in fits))


def rounds_of(
    suite: Suite, fits: Sequence[FitCell], corpus: str, k_spec: int | str
) -> list[list[FitCell]]:
    """Returns the fits that meet: those of first seeds, and of second ones and so on if asked."""
    found: dict[Competitor, list[FitCell]] = {}
    for fit in fits:
        if fit.corpus == corpus and fit.k_spec == k_spec:
            found.setdefault(fit.competitor, []).append(fit)
    asked = "first" if suite.judging is None else suite.judging.seeds
    most = max(map(len, found.values()), default=1)
    n = 1 if asked == "first" else most if asked == "all" else min(asked, most)
    return [[own[nth] for own in found.values() if nth < len(own)] for nth in range(n)]
