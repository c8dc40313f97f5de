"""Keyless labels for SAE features: the words that mark a feature's strongest contexts.

A context is the words around a firing token. Words are scored by the z-score of the log-odds
ratio with an informative Dirichlet prior (Monroe et al. 2008) between the feature's contexts and
the whole training text, each word counted once a context, and the best few are shown in the
spelling the text uses most. Nothing longer than a word of the text enters a label.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mtmbench.core.types import IntArray
from mtmbench.features.words import english_stop_words

DEAD = "(dead)"
PUNCTUATION = "(punctuation)"
NUMBERS = "(numbers)"
STOP_WORDS = "(stop words)"
PIECES = "(word piece)"

_POSSESSIVE = re.compile(r"['’]s?$")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


class SpannedText(Protocol):
    """A text and where its tokens stand in it, as (first character, the one behind the last)."""

    @property
    def text(self) -> str:
        """The text."""

    @property
    def offsets(self) -> Sequence[tuple[int, int]]:
        """Each token's place."""


@dataclass(frozen=True)
class Firing:
    """One strong firing.

    Attributes:
        passage: index of the passage.
        token: index of the token in the passage.
    """

    passage: int
    token: int


class Labeller:
    """Labels features from contexts in a fixed list of passages.

    Args:
        passages: the passages that a :class:`Firing` points into.
        reach: words looked at on either side of the firing token.
        n_words: words in a label at most.
        own_weight: extra weight of the firing word itself (0 for window features, whose middle
            token is no more part of the vector than the others).
    """

    def __init__(
        self,
        passages: Sequence[SpannedText],
        *,
        reach: int = 6,
        n_words: int = 4,
        own_weight: int = 1,
    ) -> None:
        self.passages = passages
        self.reach = reach
        self.n_words = n_words
        self.own_weight = own_weight
        self.function_words = (english_stop_words() | {*_CONTRACTED.split()}) - {
            *_CONTENT_WORDS.split()
        }
        self.stop_words = self.function_words | {*_EMPTY_WORDS.split()}
        self._words: dict[int, tuple[list[str], IntArray]] = {}
        self.total: Counter[str] = Counter()
        for index in range(len(passages)):
            self.total.update(self._fold(word) for word in self._split(index)[0])
        self.n_total = self.total.total()

    def label(self, contexts: Sequence[Firing]) -> str:
        """Returns a label for a feature's strongest contexts, at most one a document."""
        if not contexts:
            return DEAD
        own = [self._own(context) for context in contexts]
        plain = self._plain_class(own)
        if plain is not None:
            return plain
        counts: Counter[str] = Counter()
        n_words = 0
        for context, word in zip(contexts, own, strict=True):
            around = self._around(context)
            n_words += len(around)
            counts.update(set(around))
            if word is not None:
                counts[self._fold(word)] += self.own_weight
        ranked = self._rank(counts, n_words)
        piece, share = self._piece(contexts)
        whole = sum(word is not None and self._fold(word) == piece for word in own)
        if whole > 0.5 * len(own) and not ranked:
            return piece
        if not ranked or (share > 0.5 and _variety(own, piece) > 0.5):
            return f"{PIECES} {piece}"
        return ", ".join(self._spelling(word, contexts) for word in ranked)

    def _rank(self, counts: Counter[str], n_words: int) -> list[str]:
        prior = 500.0
        scores: list[tuple[float, str]] = []
        for word, count in counts.items():
            if count < 3 or self.total[word] < 5 or len(word) < 3 or not word.isalpha():
                continue
            if word in self.stop_words:
                continue
            share = self.total[word] / self.n_total
            here = count + prior * share
            rest = self.total[word] + prior * share
            odds = np.log(here / (n_words + prior - here)) - np.log(
                rest / (self.n_total + prior - rest)
            )
            scores.append((float(odds / np.sqrt(1.0 / here + 1.0 / rest)), word))
        chosen: list[str] = []
        best = max((score for score, _ in scores), default=0.0)
        for score, word in sorted(scores, key=lambda pair: (-pair[0], pair[1])):
            if chosen and score < 0.4 * best:
                break
            if any(_same_stem(word, other) for other in chosen):
                continue
            chosen.append(word)
            if len(chosen) == self.n_words:
                break
        return chosen

    def _plain_class(self, own: Sequence[str | None]) -> str | None:
        n = len(own)
        if sum(word is None for word in own) > 0.6 * n:
            return PUNCTUATION
        if sum(word is not None and word[0].isdigit() for word in own) > 0.6 * n:
            return NUMBERS
        folded = [self._fold(word) for word in own if word is not None]
        stops = [word for word in folded if word in self.function_words]
        if self.own_weight and len(stops) > 0.6 * n and len(set(stops)) <= 0.2 * n:
            common = [word for word, _ in Counter(stops).most_common(3)]
            return f"{STOP_WORDS} {', '.join(common)}"
        return None

    def _piece(self, contexts: Sequence[Firing]) -> tuple[str, float]:
        pieces: Counter[str] = Counter()
        for context in contexts:
            passage = self.passages[context.passage]
            low, high = passage.offsets[context.token]
            pieces[passage.text[low:high].lower()] += 1
        piece, count = pieces.most_common(1)[0]
        return piece, count / len(contexts)

    def _own(self, context: Firing) -> str | None:
        words, starts = self._split(context.passage)
        passage = self.passages[context.passage]
        low, high = passage.offsets[context.token]
        at = int(np.searchsorted(starts, low, side="right")) - 1
        if at < 0 or starts[at] + len(words[at]) < high:
            return None
        return words[at]

    def _around(self, context: Firing) -> list[str]:
        words, starts = self._split(context.passage)
        at = int(
            np.searchsorted(
                starts, self.passages[context.passage].offsets[context.token][0], side="right"
            )
        )
        low = max(0, at - 1 - self.reach)
        return [self._fold(word) for word in words[low : at + self.reach]]

    def _split(self, passage: int) -> tuple[list[str], IntArray]:
        if passage not in self._words:
            found = list(_WORD.finditer(self.passages[passage].text))
            self._words[passage] = (
                [match.group() for match in found],
                np.array([match.start() for match in found], np.int64),
            )
        return self._words[passage]

    def _spelling(self, word: str, contexts: Sequence[Firing]) -> str:
        seen: Counter[str] = Counter()
        for context in contexts:
            words, _ = self._split(context.passage)
            seen.update(_bare(w) for w in words if self._fold(w) == word)
        return seen.most_common(1)[0][0] if seen else word

    @staticmethod
    def _fold(word: str) -> str:
        return _folded(word)


@functools.lru_cache(maxsize=200_000)
def _folded(word: str) -> str:
    return _bare(word).lower()


def _bare(word: str) -> str:
    return _POSSESSIVE.sub("", word)


def _variety(own: Sequence[str | None], piece: str) -> float:
    """Share of contexts whose word merely contains the piece, being another word."""
    longer = [w for w in own if w is not None and not _same_stem(_folded(w), piece)]
    return len(set(map(_folded, longer))) / len(own)


def _same_stem(a: str, b: str) -> bool:
    short, long = sorted((a, b), key=len)
    common = 0
    while common < len(short) and short[common] == long[common]:
        common += 1
    return common >= max(3, len(short) - 2) and len(long) - common <= 4


_CONTRACTED = """
don didn doesn won isn wasn couldn wouldn shouldn aren weren hasn haven hadn ll ve re thou thee
thy thine ye hath doth unto upon does did said say says let
"""
_CONTENT_WORDS = """
amount bill bottom call computer cry describe detail fill fire interest mill mine move serious
side sincere system thick thin top
"""
_EMPTY_WORDS = """
like just make made making used use uses using called known came come comes came went going got
get know think time times year years day days way things thing people man men great good old long
little new different number numbers including includes include included based particular
particularly example later early often usually given according however per com www http states
united mrs order important large small high low want wanted able likely provide provided located
began become born
"""
