"""Scoring topics from Python: one table of every metric, with reasons where there is no value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import (
    Corpus,
    Counts,
    FloatArray,
    ItemKind,
    ItemSpace,
    ItemView,
    Views,
)
from mtmbench.core.word_lists import read_word_lists
from mtmbench.metrics.base import MetricValue
from mtmbench.metrics.compute import compute_value, metric_variants
from mtmbench.metrics.context import MetricContext
from mtmbench.metrics.left_out import LeftOut
from mtmbench.metrics.registry import METRICS
from mtmbench.models.import_theta import given_theta, matrix_of, rows_in_order

if TYPE_CHECKING:
    import pandas

    from mtmbench.judges.panel import Consultation

_T = TypeVar("_T")

NO_THETA = "needs the topics' weights in the documents (θ), which were not given"
_ENCODER = "minilm"
_COUNTS = ("n_out_of_vocabulary", "n_topics_without_value")


def score_topics(
    topics: Sequence[Sequence[str]],
    corpus: Corpus,
    theta: Path | ArrayLike | None = None,
    metrics: Sequence[str] = (),
) -> pandas.DataFrame:
    """Computes every metric for topics made elsewhere; no model is needed.

    Args:
        topics: K lists of words, best first; a word that a list repeats counts once, and an empty
            one is none.
        corpus: the documents that coherence is counted in and θ is about.
        theta: (D, K) weights of the topics in the documents, or a file of them
            (:func:`score_file`), or None; without them, metrics of documents and of projected
            words are missing. Rows of other documents are left out where θ has ids.
        metrics: names; all registered ones if empty. Proxy judges are asked by those that are
            named, which takes a while; language models are asked in suites alone.

    Returns:
        Rows of ``metric``, ``view``, ``params``, ``value``, and ``reason``, why it is missing; of
        words that the reference does not know (``n_out_of_vocabulary``) and topics that have no
        value (``n_topics_without_value``), missing where the metric leaves none out; and ``note``,
        which says so with some of the words, and where words were counted.

    Raises:
        InputError: the topics are not non-empty lists of words, or θ has another shape, negative
            or non-finite weights.
    """
    result = topics_result(topics, corpus, theta)
    kinds: tuple[ItemKind, ...] = () if theta is None else ("words",)
    context = _context(corpus, None, kinds=kinds, ask=bool(metrics))
    return _table(result, context, metrics, has_theta=theta is not None)


def score_result(
    result: TopicResult,
    corpus: Corpus,
    views: Views | None = None,
    metrics: Sequence[str] = (),
    siblings: Sequence[TopicResult] = (),
) -> pandas.DataFrame:
    """Computes every metric for one result; see :func:`score_topics` for the columns.

    Args:
        result: the topics.
        corpus: the documents they were fitted on.
        views: the views they were fitted on; features are read from here.
        metrics: names; all registered ones if empty.
        siblings: results under other seeds, for stability.

    Raises:
        InputError: the result is of another corpus.
    """
    result.check_corpus(corpus)
    kinds: set[ItemKind] = {"words", result.items.kind}
    context = _context(corpus, views, siblings, kinds=kinds, ask=bool(metrics))
    return _table(result, context, metrics, has_theta=True)


def score_file(topics: Path, corpus: Corpus, theta: Path | None = None) -> pandas.DataFrame:
    """Computes every metric for topics in a file; see :func:`score_topics` for the columns.

    Args:
        topics: word lists (:func:`~mtmbench.core.word_lists.read_word_lists`), or ``.safetensors``
            (a saved topic result).
        corpus: the documents.
        theta: npy, csv, or npz whose array ``theta`` (or only array) is (D, K), for word lists.
            Ids of its rows (the first column of a csv, ``doc_ids`` of an npz) say whose they are.

    Raises:
        InputError: a file cannot be read or does not hold such topics; the message names it.
    """
    if topics.suffix == ".safetensors":
        if theta is not None:
            raise InputError(f"{topics} holds its own θ; leave {theta} out")
        return score_result(TopicResult.load(topics), corpus)
    return score_topics(read_word_lists(topics), corpus, theta)


def topics_result(
    topics: Sequence[Sequence[str]], corpus: Corpus, theta: Path | ArrayLike | None = None
) -> TopicResult:
    """Packs word lists, and θ if given, into a result named "topics".

    ``topic_item`` falls linearly with rank; rows of ``theta`` are normalised.

    Raises:
        InputError: see :func:`score_topics`.
    """
    # A mapping or a frame would be read as its keys; a set has no best word.
    if isinstance(topics, str | Mapping) or hasattr(topics, "columns") or not len(topics):
        raise InputError(
            f"topics must be a non-empty list of lists of words, not a {type(topics).__name__}"
        )
    for k, topic in enumerate(topics):
        is_list = isinstance(topic, Sequence) or getattr(topic, "ndim", 0) == 1
        if isinstance(topic, str) or not is_list or not all(isinstance(w, str) for w in topic):
            raise InputError(f"topic {k} must be a list of words, not {topic!r:.60}")
    listed = [
        list(dict.fromkeys(word.strip() for word in topic if word.strip())) for topic in topics
    ]
    words = sorted({word for topic in listed for word in topic})
    if not words:
        raise InputError("no topic has a word")
    column = {word: i for i, word in enumerate(words)}
    topic_item = np.zeros((len(listed), len(words)))
    for k, topic in enumerate(listed):
        ranks = np.arange(len(topic), 0, -1)
        topic_item[k, [column[word] for word in topic]] = ranks / max(1, ranks.sum())
    return TopicResult(
        model="topics",
        params={},
        params_given={},
        seed=0,
        doc_topic=_theta(theta, corpus, len(listed)),
        topic_item=topic_item.astype(np.float32),
        items=ItemSpace("words", tuple(words), tuple(words)),
        corpus={"name": corpus.name, "revision": corpus.revision},
    )


def _theta(theta: Path | ArrayLike | None, corpus: Corpus, n_topics: int) -> FloatArray:
    from mtmbench.models.base import normalise_rows

    if theta is None:
        return np.zeros((len(corpus), n_topics), dtype=np.float32)
    what = str(theta) if isinstance(theta, Path) else "θ"
    table = given_theta(theta)
    weights = matrix_of(table.values, what)
    rows, _ = rows_in_order(table.ids_of(len(corpus)), len(weights), corpus, what)
    if weights.shape[1] != n_topics:
        raise InputError(
            f"{what} has shape {weights.shape}; expected (documents, topics) = "
            f"({len(corpus)}, {n_topics})"
        )
    return normalise_rows(weights[rows])


def _context(
    corpus: Corpus,
    views: Views | None,
    siblings: Sequence[TopicResult] = (),
    *,
    kinds: Collection[ItemKind],
    ask: bool,
) -> MetricContext:
    from mtmbench.features.words import tokenise, word_counts

    # Words are those of the views, where they were made under settings of their own.
    corpus = corpus if views is None else corpus.with_words(views.corpus.words)
    tokens = cache(partial(tokenise, corpus))
    counts: dict[ItemKind, Counts | Callable[[], Counts]] = {}
    if "words" in kinds:
        given = Views(corpus) if views is None else views
        counts["words"] = lambda: given.words or word_counts(corpus, tokens=tokens())
    if "features" in kinds and views is not None and views.features is not None:
        counts["features"] = views.features
    return MetricContext(
        corpus, tokens=tokens, counts=counts, siblings=siblings, views=views,
        embed=_embed, encoder=_ENCODER, consult=_consult if ask else None,
    )  # fmt: skip


def _embed(texts: Sequence[str]) -> FloatArray:
    from mtmbench.features.embeddings import embed_texts

    return embed_texts(texts, model=_ENCODER)


def _consult(card: str, job: Consultation[_T]) -> _T:
    from mtmbench.judges.panel import Panel
    from mtmbench.judges.registry import load_judge_card, traits_of

    if traits_of(load_judge_card(card))["is_llm"]:
        raise InputError(f"judge {card!r} is a language model: play the metric in a suite")
    with Panel() as panel:
        return panel.consult(card, job)


def _table(
    result: TopicResult, context: MetricContext, metrics: Sequence[str], *, has_theta: bool
) -> pandas.DataFrame:
    import pandas

    rows = []
    for name, view, params in metric_variants(metrics):
        if has_theta or _reads_only_items(name, view):
            value = compute_value(result, context, name, view, params)
        else:
            value = MetricValue.missing(NO_THETA)
        left = LeftOut.of([value.details])
        rows.append(
            (name, view, _compact(params), value.value, value.reason, left.items, left.topics,
             left.text())
        )  # fmt: skip
    frame = pandas.DataFrame(
        rows,
        columns=["metric", "view", "params", "value", "reason", *_COUNTS, "note"],
    )
    return frame.astype(dict.fromkeys(_COUNTS, "Int64"))


def _reads_only_items(name: str, view: ItemView | None) -> bool:
    return view == "own" and not {"refit", "theta"} & set(METRICS.get(name).needs)


def _compact(params: Mapping[str, object]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(params.items()))
