"""The views of a corpus: counts of words and SAE features, embeddings, each made when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mtmbench.core.specs import DEFAULT_ENCODER, LabelChoice, WordSpec
from mtmbench.core.types import Corpus, Counts, FloatArray, Progress, Views

if TYPE_CHECKING:
    from mtmbench.features.base import FeatureSource


def make_views(
    corpus: Corpus,
    *,
    words: WordSpec | None = None,
    source: str | FeatureSource | None = "minilm",
    setting: str = "default",
    max_tokens: int | None = None,
    params: Mapping[str, object] | None = None,
    labels: LabelChoice = "auto",
    encoder: str = DEFAULT_ENCODER,
    progress: Progress | None = None,
) -> Views:
    """Returns the views of a corpus; nothing is computed or loaded yet.

    Args:
        corpus: the documents.
        words: the word tokenisation and its document-frequency filters; the corpus's own by
            default.
        source: a feature source, or its registered name; None for no SAE features.
        setting: one of the source's settings.
        max_tokens: documents are cut to this many tokens before features are counted.
        params: arguments of the feature source that is named.
        labels: what the features are called: "corpus", "shipped" or "auto", as in a suite
            (:class:`mtmbench.core.specs.FeatureSpec`); words of the corpus enter labels less the
            stop words of ``words``.
        encoder: what embeds documents and words (:func:`mtmbench.features.embeddings.embed_texts`).
        progress: told how much of the features or the embeddings is done, while they are made.

    Raises:
        InputError: there are parameters for a source that was made already, or the source cannot
            be labelled from a corpus.
        UnknownNameError: no feature source has this name, or it has no such setting.
    """
    corpus = corpus if words is None else corpus.with_words(words)

    def make_words() -> Counts:
        from mtmbench.features.words import word_counts

        return word_counts(corpus)

    def make_embeddings() -> FloatArray:
        from mtmbench.features.embeddings import embed_texts

        return embed_texts(corpus.texts, model=encoder, progress=progress)

    def make_word_embeddings() -> FloatArray:
        from mtmbench.features.embeddings import embed_texts

        counts = made.words
        assert counts is not None
        return embed_texts(counts.item_ids, model=encoder, progress=progress)

    made = Views(
        corpus,
        words=make_words,
        features=_features(corpus, source, setting, max_tokens, params, labels, progress),
        embeddings=make_embeddings,
        word_embeddings=make_word_embeddings,
    )
    return made


def _features(
    corpus: Corpus,
    source: str | FeatureSource | None,
    setting: str,
    max_tokens: int | None,
    params: Mapping[str, object] | None,
    labels: LabelChoice,
    progress: Progress | None,
) -> Callable[[], Counts] | None:
    if source is None:
        return None
    from mtmbench.features.corpus_labels import label_plan
    from mtmbench.features.registry import feature_source

    origin = feature_source(source, params)
    if setting not in origin.settings():
        from mtmbench.core.errors import UnknownNameError

        raise UnknownNameError("feature setting", setting, origin.settings())
    plan = label_plan(origin, labels, setting=setting, max_tokens=max_tokens, words=corpus.words)
    more = {} if progress is None else {"progress": progress}

    def make() -> Counts:
        counts = origin.counts(corpus, setting=setting, max_tokens=max_tokens, **more)
        return counts if plan is None else plan.make(corpus).name_counts(counts, plan.described)

    return make
