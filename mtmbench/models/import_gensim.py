"""Reader of a gensim LDA model, or its file, with θ inferred for the corpus."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus
from mtmbench.models.import_draft import Draft, Words, without_empty_names

if TYPE_CHECKING:
    from gensim.models import LdaModel


def read_gensim(
    source: Path | LdaModel,
    corpus: Corpus,
    words: Words | None,
    seed: int,
    names: Sequence[str] | None = None,
    *,
    infer: bool = True,
) -> Draft:
    """Reads a gensim ``LdaModel`` or its file, and infers θ of the corpus with its dictionary.

    gensim's own files are pickles. A document none of whose words the model knows has no mass.

    Args:
        source: the model, or the path given to its ``save``.
        corpus: the corpus whose θ is inferred.
        words: splits a text into words; by default at spaces where the corpus is pretokenised,
            else into runs of letters, digits and underscores, each looked up as it stands and
            in lower case.
        seed: seed of the random start of gensim's inference.
        names: the words of its columns, in place of its dictionary's.
        infer: whether θ is inferred at all; if not, it is empty.

    Raises:
        InputError: the source is no LdaModel, it has no dictionary, its dictionary has not as many
            words as its topics, or it knows no word of the corpus.
    """
    from gensim.models import LdaModel

    model = _load_gensim(source) if isinstance(source, Path) else source
    if not isinstance(model, LdaModel):
        raise InputError(f"expected a gensim LdaModel, not {type(model).__name__}")
    beta = model.get_topics()
    items = _dictionary(model, beta.shape[1]) if names is None else tuple(names)
    if len(items) != beta.shape[1]:
        raise InputError(f"{len(items)} item names for the {beta.shape[1]} columns of the model")
    if not infer:
        return without_empty_names(Draft(None, beta, items))
    index = {item: i for i, item in enumerate(items)}
    split: Words = words or (str.split if corpus.pretokenised else _word_runs)
    bags = [_bag(split(text), index) for text in corpus.texts]
    known = np.array([len(bag) > 0 for bag in bags])
    if not known.any():
        raise InputError(
            f"the gensim model knows no word of corpus {corpus.name!r}; its dictionary begins "
            f"with {', '.join(items[:5])}"
        )
    state, model.random_state = model.random_state, np.random.RandomState(seed)
    try:
        gamma, _ = model.inference(bags)
    finally:
        model.random_state = state
    theta = np.where(known[:, None], gamma / gamma.sum(axis=1, keepdims=True), 0.0)
    found = {column for bag in bags for column, _ in bag}
    return without_empty_names(
        Draft(
            theta, beta, items,
            notes={"theta": "inferred by gensim over the words that its dictionary knows"},
            unseen=tuple(
                item for i, item in enumerate(items) if i not in found and item.strip()
            ),
        )
    )  # fmt: skip


def _load_gensim(path: Path) -> LdaModel:
    from gensim.models import LdaModel

    try:
        return LdaModel.load(str(path))
    except Exception as error:  # whatever unpickling a wrong or damaged file leads to
        raise InputError(f"cannot load {path} as a gensim LdaModel: {error!r}") from error


def _dictionary(model: LdaModel, n_items: int) -> tuple[str, ...]:
    """Returns the words of a gensim model; one without a dictionary makes up numbers."""
    id2word = model.id2word
    if not id2word:
        raise InputError("the gensim model has no dictionary (id2word)")
    try:
        items = tuple(str(id2word[i]) for i in range(n_items))
    except (KeyError, ValueError) as error:
        raise InputError(
            f"the dictionary of the gensim model has no word for one of its {n_items} columns: "
            f"{error}"
        ) from error
    if items == tuple(map(str, range(n_items))):
        raise InputError(
            "the gensim model was fitted without a dictionary, so that its items are the numbers "
            f"0 … {n_items - 1}; set its id2word to the dictionary that made its bags of words, or "
            "give the words in their order (items=, --items)"
        )
    return items


def _word_runs(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def _bag(words: Iterable[str], index: Mapping[str, int]) -> list[tuple[int, int]]:
    counts: dict[int, int] = {}
    for word in words:
        item = index.get(word, index.get(word.lower()))
        if item is not None:
            counts[item] = counts.get(item, 0) + 1
    return sorted(counts.items())
