"""Prints how far the ``gensim`` version lies from gensim's own CoherenceModel on OCTIS corpora.

    python tests/benchmarks/coherence_parity.py [--data-dir DIR] [--corpora BBC_News M10 DBLP]

Each corpus is scored with 20 topics of a gensim LDA, 20 of random words and 20 of rare words, for
all four measures at gensim's default windows. The last columns give the mean of the LDA topics in
both versions. The exit code is 1 if any value differs by more than 1e-9. Lee, with LDA topics,
shows what gensim's window bookkeeping does to a corpus of running text.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtmbench.core.types import Corpus
from mtmbench.features.words import tokenise
from mtmbench.metrics import confirmation
from mtmbench.metrics.cooccurrence import TextReference, Version, Window, count_topics

MEASURES: dict[str, tuple[str, Window]] = {
    "c_npmi": ("mean_npmi", 10),
    "c_uci": ("mean_pmi", 10),
    "c_v": ("c_v", 110),
    "u_mass": ("u_mass", "document"),
}
TOLERANCE = 1e-9


def main() -> int:
    """Prints the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).parents[3] / "shared" / "data"
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("MTMBENCH_DATA", default))
    parser.add_argument("--corpora", nargs="+", default=["BBC_News", "M10", "DBLP"])
    arguments = parser.parse_args()
    print(
        "corpus    measure  topics  max |difference|  LDA: gensim    exact  seconds: ours  gensim"
    )
    worst = 0.0
    for name in arguments.corpora:
        found = compare(name, read_octis(arguments.data_dir / "octis" / name))
        worst = max(worst, *(each.difference for each in found))
    worst = max(worst, *(each.difference for each in compare("lee", read_lee())))
    print(f"largest difference {worst:.2e}; tolerance {TOLERANCE:.0e}")
    return int(worst > TOLERANCE)


@dataclass(frozen=True)
class Compared:
    """A measure on one corpus: CPU seconds of both, and their largest difference."""

    measure: str
    ours: float
    theirs: float
    difference: float


def compare(name: str, corpus: Corpus) -> list[Compared]:
    """Prints one corpus's rows, and returns them."""
    from gensim.corpora import Dictionary
    from gensim.models import CoherenceModel

    tokens = tokenise(corpus)
    texts = [[tokens.vocabulary[i] for i in sequence] for sequence in tokens.sequences]
    dictionary = Dictionary(texts)
    lda = lda_topics(texts)
    topics = lda + random_topics(texts, 1, 20, seed=0) + random_topics(texts, -300, 20, seed=1)
    found: list[Compared] = []
    for measure, (formula, window) in MEASURES.items():
        start = time.process_time()
        reference = TextReference(tokens.vocabulary, tokens.sequences, tokens.revision)
        ours = scores(topics, reference, formula, window, "gensim")
        middle = time.process_time()
        model = CoherenceModel(
            topics=topics, texts=texts, dictionary=dictionary, coherence=measure, processes=1
        )
        theirs = np.array(model.get_coherence_per_topic())
        end = time.process_time()
        exact = scores(lda, reference, formula, window, "exact").mean()
        difference = float(np.abs(ours - theirs).max())
        found.append(Compared(measure, middle - start, end - middle, difference))
        gensim_mean = ours[: len(lda)].mean()
        print(
            f"{name:9} {measure:8} {len(topics):6} {difference:17.1e} {gensim_mean:12.4f} "
            f"{exact:8.4f} {middle - start:14.2f} {end - middle:7.2f}",
            flush=True,
        )
    return found


def scores(
    topics: Sequence[Sequence[str]],
    reference: TextReference,
    formula: str,
    window: Window,
    version: Version,
) -> np.ndarray:
    """Returns one value per topic."""
    counts = count_topics(topics, reference, window, version)
    score = getattr(confirmation, formula)
    return np.array([score(joint, counts.n_windows, version) for joint in counts.joint])


def lda_topics(texts: list[list[str]], n_topics: int = 20, seed: int = 0) -> list[list[str]]:
    """Returns the top ten words of a gensim LDA."""
    from gensim.corpora import Dictionary
    from gensim.models import LdaModel

    dictionary = Dictionary(texts)
    dictionary.filter_extremes(no_below=2, no_above=0.5)
    bags = [dictionary.doc2bow(text) for text in texts]
    lda = LdaModel(bags, n_topics, dictionary, random_state=seed, passes=5, eval_every=None)
    return [[word for word, _ in lda.show_topic(k, 10)] for k in range(n_topics)]


def random_topics(texts: list[list[str]], which: int, n: int, seed: int) -> list[list[str]]:
    """Returns topics of ten random words; of the rarest ``-which`` ones if ``which`` < 0."""
    ranked = [word for word, _ in Counter(w for t in texts for w in t).most_common()]
    pool = sorted(ranked[which:] if which < 0 else ranked)
    rng = np.random.default_rng(seed)
    return [[str(word) for word in rng.choice(pool, 10, replace=False)] for _ in range(n)]


def read_octis(folder: Path) -> Corpus:
    """Reads a folder's ``corpus.jsonl.gz``."""
    with gzip.open(folder / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    ids = tuple(str(row["id"]) for row in rows)
    return Corpus(folder.name, ids, tuple(row["text"] for row in rows), pretokenised=True)


def read_lee() -> Corpus:
    """Reads the 300 news stories that gensim ships."""
    from gensim.test.utils import datapath

    texts = Path(datapath("lee_background.cor")).read_text(encoding="utf-8").splitlines()
    return Corpus("lee", tuple(str(i) for i in range(len(texts))), tuple(texts))


if __name__ == "__main__":
    sys.exit(main())
