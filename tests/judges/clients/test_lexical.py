from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from support.judged import judged

from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus
from mtmbench.features.words import tokenise
from mtmbench.judges.base import Option, Question
from mtmbench.judges.clients.lexical import LexicalJudge
from mtmbench.judges.registry import load_judge_card
from mtmbench.judges.replies import parse_verdict
from mtmbench.matches.match import Pair, Player
from mtmbench.matches.options import Projected

MakeResult = Callable[..., TopicResult]
MakeOption = Callable[..., Option]


def _random_corpus(n: int) -> Corpus:
    generator = np.random.default_rng(1)
    words = [f"word{i}" for i in range(60)]
    weights = 1 / np.arange(1, 61)
    weights /= weights.sum()
    texts = tuple(
        " ".join(generator.choice(words, size=int(generator.integers(5, 40)), p=weights))
        for _ in range(n)
    )
    return Corpus("random", tuple(map(str, range(n))), texts)


def _ask(judge: LexicalJudge, doc_id: str, first: Option, second: Option) -> str:
    question = Question("match", {"corpus": "c", "doc_id": doc_id, "text": "-"}, (first, second))
    return parse_verdict(asyncio.run(judge.answer(question, {}, 0)).text)


def test_verdicts_equal_those_of_sklearn_tfidf(make_result: MakeResult) -> None:
    n, k = 150, 5
    corpus = _random_corpus(n)
    generator = np.random.default_rng(2)
    theta = [generator.dirichlet(np.full(k, 0.5), size=n) for _ in range(2)]
    words = [
        [[f"word{i}" for i in generator.choice(60, size=6, replace=False)] for _ in range(k)]
        for _ in range(2)
    ]
    weights = [generator.uniform(0.1, 3, size=(k, 6)).tolist() for _ in range(2)]
    a, b = (make_result(theta[m], words[m], of=corpus) for m in range(2))
    judge = LexicalJudge(tie_below=0.02)
    sides = [(words[m], weights[m]) for m in range(2)]
    players = (
        Player(name, result, Projected("01" * (n // 2), (side, side)))
        for name, result, side in zip("ab", (a, b), sides, strict=True)
    )
    outcome = judged(judge, Pair(corpus, range(n), *players))

    vectorizer = TfidfVectorizer(norm="l2")
    documents = vectorizer.fit_transform(corpus.texts).toarray()
    expected = ""
    for row in range(n):
        scores = []
        for m in range(2):
            shares = theta[m][row].astype(np.float32).astype(float)
            order = np.argsort(-shares, kind="stable")
            shown = order[:1] if shares[order[0]] >= 0.75 else order[:2]
            frequency = np.zeros(len(vectorizer.vocabulary_))
            for t in shown:
                for word, weight in zip(words[m][t], weights[m][t], strict=True):
                    if word in vectorizer.vocabulary_:
                        column = vectorizer.vocabulary_[word]
                        frequency[column] += shares[t] * weight / sum(weights[m][t])
            option = frequency * vectorizer.idf_
            scores.append(documents[row] @ option / np.linalg.norm(option))
        gap = scores[0] - scores[1]
        expected += "t" if abs(gap) < 0.02 else "a" if gap > 0 else "b"
    assert outcome.forward == outcome.backward == expected
    assert set(expected) == set("abt")


def test_the_document_vector_is_sklearns() -> None:
    corpus = _random_corpus(40)
    judge = LexicalJudge()
    judge.prepare(corpus, [], range(40))
    vectorizer = TfidfVectorizer()
    matrix = vectorizer.fit_transform(corpus.texts).toarray()
    assert judge._index is not None
    for row in range(40):
        vector = judge._index.document(str(row))
        dense = [vector.get(word, 0.0) for word in vectorizer.get_feature_names_out()]
        np.testing.assert_allclose(dense, matrix[row], atol=1e-12)


def test_the_corpus_is_read_once_whoever_plays(make_result: MakeResult) -> None:
    corpus = _random_corpus(12)
    read: list[str] = []

    def reading(given: Corpus) -> object:
        read.append(given.name)
        return tokenise(given)

    judge = LexicalJudge(tokenise=reading)  # type: ignore[arg-type]
    for _ in range(3):
        judge.prepare(corpus, [], [0])
    assert read == ["random"]


def test_it_reads_projected_words_and_no_labels(corpus: Corpus, make_option: MakeOption) -> None:
    judge = LexicalJudge()
    judge.prepare(corpus, [], [0])
    hockey, snow = make_option("a", (1, ["hockey", "game"])), make_option("b", (1, ["snow"]))
    assert _ask(judge, "d0", hockey, snow) == "A"
    assert _ask(judge, "d2", hockey, snow) == "B"
    # Both have nothing of d3: equal cosines of zero.
    assert _ask(judge, "d3", hockey, snow) == "tie"
    label_only = Option("c", (make_option("c", (1, [])).topics[0],))
    assert _ask(judge, "d0", label_only, snow) == "tie"


def test_unknown_words_are_left_out(corpus: Corpus, make_option: MakeOption) -> None:
    judge = LexicalJudge(tie_below=1e-9)
    judge.prepare(corpus, [], [0])
    plain, padded = make_option("a", (1, ["hockey"])), make_option("b", (1, ["hockey", "zzz"]))
    assert _ask(judge, "d0", plain, padded) == "tie"


def test_no_topic_loses_to_any_and_ties_with_none(corpus: Corpus, make_option: MakeOption) -> None:
    judge = LexicalJudge()
    judge.prepare(corpus, [], [0])
    none, some = make_option("a"), make_option("b", (0.1, ["nothing"]))
    assert _ask(judge, "d0", none, some) == "B"
    assert _ask(judge, "d0", some, none) == "A"
    assert _ask(judge, "d0", none, make_option("c")) == "tie"


def test_the_card_and_the_flags() -> None:
    judge = LexicalJudge(**load_judge_card("lexical").params)
    assert judge.tie_below == 0.01
    assert (judge.is_llm, judge.order_free, judge.encoder) == (False, True, None)


def test_wrong_input_is_named(corpus: Corpus, make_option: MakeOption) -> None:
    some = make_option("b", (1, ["hockey"]))
    judge = LexicalJudge()
    with pytest.raises(InputError, match="needs prepare"):
        _ask(judge, "d0", some, some)
    judge.prepare(corpus, [], [0])
    with pytest.raises(InputError, match="'d9' is not in corpus 'toy'"):
        _ask(judge, "d9", some, some)
    with pytest.raises(InputError, match="no share in the document"):
        _ask(judge, "d0", some, make_option("c", (0, ["hockey"])))
    with pytest.raises(InputError, match="tie_below must lie between 0 and 1, not 2"):
        LexicalJudge(tie_below=2)
