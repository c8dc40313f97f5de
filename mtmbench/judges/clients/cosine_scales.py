"""How cosines of sentence embeddings answer the questions that are not a choice of two.

The scales are fixed, not fitted to people's answers: a level is a cosine of ¼ on the scale of 1 to
5, of ½ on that of 1 to 3. A cosine of 0 or less is the lowest level; a centred one of 0 is in the
middle. Only the order of such answers means much; where their size counts, as in the
alternative-annotator test, the proxy is at a disadvantage that is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.types import Float64Array
from mtmbench.judges.base import Question


def scale_reply(
    question: Question,
    described: Sequence[str],
    encode: Callable[[Sequence[str]], Sequence[Float64Array]],
    centre: Float64Array | None = None,
    exemplars: Sequence[str] = (),
) -> str:
    """Returns a proxy's reply to a question on a scale.

    =============  ==========================================================================
    ``fit``        1 + 4 · cos(document, topic's description); centred, 3 + 4 · (that cosine −
                   the description's mean cosine with the judged documents), from 1 to 5
    ``rank``       documents by that cosine, whose mean is the same for all of them
    ``rating``     1 + 2 · mean cosine of the topic's items, over pairs
    ``intrusion``  the option whose mean cosine with the others is the lowest
    ``split``      that half of the options by which the mean cosine within halves exceeds that
                   between them most
    =============  ==========================================================================

    The last three are about words alone: no document is judged, and there is nothing to centre by.

    Args:
        question: the question; "fit" reads ``context["text"]``, "rank" ``context["texts"]``.
        described: the description of each option.
        encode: distinct texts → their unit vectors.
        centre: mean of the judged documents' unit vectors, by which cosines are centred; None
            centres nothing.
        exemplars: documents whose mean unit vector stands for the topic in "fit" and "rank" in
            place of its description.

    Raises:
        InputError: the question is of another kind.
    """
    if question.kind == "fit":
        texts = [question.context["text"]]
        cosine = _cosines(texts, exemplars or described, encode, centre)[0]
        level = 1 + 4 * cosine if centre is None else np.clip(3 + 4 * cosine, 1, 5)
        return f"FIT: {level:.6f}"
    if question.kind == "rank":
        cosines = _cosines(question.context["texts"], exemplars or described, encode, centre)
        best = np.argsort(-cosines, kind="stable") + 1
        return "RANKING: " + ", ".join(map(str, best.tolist()))
    if question.kind == "rating":
        items = list(dict.fromkeys(question.options[0].topics[0].items))
        pairs = _pairwise(encode(items))[np.triu_indices(len(items), 1)]
        return f"RATING: {1 + 2 * max(0.0, float(pairs.mean()) if len(pairs) else 0.0):.6f}"
    if question.kind == "intrusion":
        cosines = _pairwise(_vectors(described, encode))
        np.fill_diagonal(cosines, 0)
        return f"INTRUDER: {int(cosines.sum(axis=1).argmin()) + 1}"
    if question.kind == "split":
        half = _best_half(_pairwise(_vectors(described, encode)))
        return "GROUP: " + ", ".join(str(i + 1) for i in half)
    raise InputError(f"cosines answer no question of kind {question.kind!r}")


def _cosines(
    texts: Sequence[str],
    standing: Sequence[str],
    encode: Callable[[Sequence[str]], Sequence[Float64Array]],
    centre: Float64Array | None,
) -> Float64Array:
    """Returns the cosine of each text with the mean of the unit vectors that stand for a topic."""
    # By itself: what stands for a topic is asked about again.
    topic = np.mean(_vectors(standing, encode), axis=0)
    if len(standing) > 1:
        topic = topic / max(float(np.linalg.norm(topic)), 1e-12)
    cosines = np.array([float(vector @ topic) for vector in _vectors(texts, encode)])
    return np.maximum(cosines, 0.0) if centre is None else cosines - float(centre @ topic)


def _vectors(
    texts: Sequence[str], encode: Callable[[Sequence[str]], Sequence[Float64Array]]
) -> list[Float64Array]:
    distinct = list(dict.fromkeys(texts))
    vectors = dict(zip(distinct, encode(distinct), strict=True))
    return [vectors[text] for text in texts]


def _best_half(cosines: Float64Array) -> tuple[int, ...]:
    """Returns the half, with the first in it, whose cosines with each other are largest.

    All halves are tried, so there should be no more than some twenty options. Cosines within both
    halves and between them have one sum, so the larger the one the smaller the other.
    """
    n = len(cosines)
    halves = [(0, *rest) for rest in combinations(range(1, n), n // 2 - 1)]
    signs = -np.ones((len(halves), n))
    signs[np.arange(len(halves))[:, None], halves] = 1
    within = np.einsum("hi,ij,hj->h", signs, cosines, signs)
    return halves[int(within.argmax())]


def _pairwise(vectors: Sequence[Float64Array]) -> Float64Array:
    stacked = np.array(vectors)
    return np.asarray(stacked @ stacked.T, dtype=np.float64)
