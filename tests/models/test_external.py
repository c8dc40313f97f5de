from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.odd_text import ODD_TEXT

from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, Views
from mtmbench.corpora.load import load_corpus, sample
from mtmbench.models.external import External
from mtmbench.models.importers import import_result

WORDS = ("moon", "star", "orbit", "goal", "team", "match")
THETA = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.25, 0.75]])
BETA = np.array([[0.5, 0.3, 0.2, 0.0, 0.0, 0.0], [0.0, 0.0, 0.1, 0.4, 0.3, 0.2]])


def make_corpus(n_each: int = 2, split: tuple[str, ...] | None = None) -> Corpus:
    texts = ["The moon, a Star and an orbit.", "Orbit of the star moon; moon!"] * (n_each // 2)
    texts += ["A goal for the team in this match", "Match of the team, goal goal"] * (n_each // 2)
    ids = tuple(f"d{i}" for i in range(len(texts)))
    return Corpus("made", ids, tuple(texts), split=split)


@pytest.fixture
def corpus() -> Corpus:
    return make_corpus()


def arrays(**changes: Any) -> dict[str, Any]:
    parts = {"theta": THETA, "beta": BETA, "items": np.array(WORDS), **changes}
    return {name: part for name, part in parts.items() if part is not None}


def check_made(result: TopicResult) -> None:
    np.testing.assert_allclose(result.doc_topic, THETA, atol=1e-7)
    np.testing.assert_allclose(result.topic_item, BETA, atol=1e-7)
    assert result.items.ids == WORDS
    assert result.top_labels(2) == [["moon", "star"], ["goal", "team"]]


# Array files


@pytest.mark.parametrize(
    ("theta", "beta", "items"),
    [
        ("theta", "beta", "items"),
        ("doc_topic", "topic_item", "vocab"),
        ("document_topic", "topic_word", "vocabulary"),
        ("theta", "phi", "words"),
    ],
)
def test_npz_by_any_accepted_name(
    tmp_path: Path, corpus: Corpus, theta: str, beta: str, items: str
) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, **{theta: THETA, beta: BETA, items: np.array(WORDS)})
    result = import_result(path, corpus=corpus, name="mine")
    check_made(result)
    assert result.model == "mine"
    assert result.corpus == {"name": "made", "revision": corpus.revision}
    assert result.info["imported"]["format"] == "npz"
    assert result.info["imported"]["file"] == "mine.npz"
    assert result.outlier is None
    again = tmp_path / "result.safetensors"
    result.save(again)
    assert TopicResult.load(again).revision == result.revision


def test_csv_folder_with_headers_ids_and_outliers(tmp_path: Path, corpus: Corpus) -> None:
    order = [2, 0, 3, 1]
    rows = [f"d{i},{THETA[i, 0]},{THETA[i, 1]}" for i in order]
    (tmp_path / "theta.csv").write_text("doc_id,0,1\n" + "\n".join(rows) + "\n")
    lines = [",".join(map(str, row)) for row in BETA]
    (tmp_path / "beta.csv").write_text(",".join(WORDS) + "\n" + "\n".join(lines) + "\n")
    (tmp_path / "outlier.csv").write_text("1\n0\n0\n0\n")
    for source in (tmp_path, tmp_path / "theta.csv", str(tmp_path)):
        result = import_result(source, corpus=corpus, name="mine")
        check_made(result)
        assert result.outlier is not None
        assert result.outlier.tolist() == [False, False, True, False]


def test_csv_without_headers(tmp_path: Path, corpus: Corpus) -> None:
    np.savetxt(tmp_path / "doc_topic.csv", THETA, delimiter=",")
    np.savetxt(tmp_path / "topic_word.csv", BETA, delimiter=",")
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    check_made(import_result(tmp_path, corpus=corpus, name="mine"))


def test_pandas_csv_and_json_names(tmp_path: Path, corpus: Corpus) -> None:
    pd = pytest.importorskip("pandas")
    pd.DataFrame(THETA, index=corpus.doc_ids).to_csv(tmp_path / "theta.csv")
    pd.DataFrame(BETA).to_csv(tmp_path / "beta.csv", index=False)
    (tmp_path / "vocab.json").write_text(json.dumps({str(i): w for i, w in enumerate(WORDS)}))
    check_made(import_result(tmp_path, corpus=corpus, name="mine"))


def test_a_mapping_and_given_names(corpus: Corpus) -> None:
    check_made(import_result(arrays(), corpus=corpus, name="mine"))
    parts = arrays(items=None)
    result = import_result(
        {**parts, "theta": THETA[::-1]},
        corpus=corpus,
        name="mine",
        items=WORDS,
        doc_ids=["d3", "d2", "d1", "d0"],
    )
    check_made(result)


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_array", "coo_matrix"])
def test_sparse_parts_of_a_mapping(corpus: Corpus, kind: str) -> None:
    import scipy.sparse

    sparse = getattr(scipy.sparse, kind)
    check_made(
        import_result(arrays(theta=sparse(THETA), beta=sparse(BETA)), corpus=corpus, name="mine")
    )


def test_frames_keep_the_names_of_their_rows_and_columns(corpus: Corpus) -> None:
    import pandas as pd

    rows = [2, 0, 3, 1]
    theta = pd.DataFrame(THETA[rows], index=[f"d{i}" for i in rows])
    beta = pd.DataFrame(BETA, columns=list(WORDS))
    check_made(import_result({"theta": theta, "beta": beta}, corpus=corpus, name="mine"))
    bare = {"theta": pd.DataFrame(THETA), "beta": pd.DataFrame(BETA), "items": WORDS}
    check_made(import_result(bare, corpus=corpus, name="mine"))


@pytest.mark.parametrize("dtype", ["S2", "float64"])
def test_names_of_bytes_and_of_doubles_are_names(dtype: str) -> None:
    corpus = replace(make_corpus(), doc_ids=("0", "1", "2", "3"))
    rows = np.array([2, 0, 3, 1])
    words = np.array(WORDS).astype("S") if dtype == "S2" else WORDS
    given = {**arrays(items=words), "theta": THETA[rows], "doc_ids": rows.astype(dtype)}
    result = import_result(given, corpus=corpus, name="mine")
    np.testing.assert_allclose(result.doc_topic, THETA, atol=1e-6)
    assert result.items.ids == tuple(WORDS)


def test_an_index_that_pandas_wrote_names_no_documents(tmp_path: Path) -> None:
    import pandas as pd

    # As in an OCTIS folder, whose documents stand in another order than in its file.
    corpus = replace(make_corpus(), doc_ids=("1", "3", "0", "2"))
    source = {"beta": BETA, "items": WORDS}
    for name, frame, label in (
        ("index.csv", pd.DataFrame(THETA), None),
        ("ids.csv", pd.DataFrame(THETA[[2, 0, 3, 1]]), "doc_id"),
        ("more.csv", pd.DataFrame(np.vstack([THETA[[2, 0, 3, 1]], [[0.5, 0.5]]])), None),
    ):
        frame.to_csv(tmp_path / name, index_label=label)
        result = import_result(source, corpus=corpus, name="mine", theta=tmp_path / name)
        np.testing.assert_allclose(result.doc_topic, THETA, atol=1e-6, err_msg=name)


def test_rows_of_documents_that_the_corpus_lacks_are_dropped_and_counted(corpus: Corpus) -> None:
    parts = arrays(theta=np.vstack([[0.5, 0.5], THETA]), doc_ids=["empty", *corpus.doc_ids])
    result = import_result(parts, corpus=corpus, name="mine")
    check_made(result)
    assert result.info["imported"]["documents_dropped"] == 1


def test_rows_without_mass_are_kept_and_counted(corpus: Corpus) -> None:
    theta = THETA.copy()
    theta[1] = 0
    result = import_result(arrays(theta=theta), corpus=corpus, name="mine")
    assert result.doc_topic[1].tolist() == [0, 0]
    assert result.info["imported"]["documents_without_mass"] == 1


def test_weights_are_normalised_only_when_asked(corpus: Corpus) -> None:
    parts = arrays(theta=THETA * [[2], [4], [1], [1]], beta=BETA * 10)
    with pytest.raises(InputError, match=r"row 0 of theta sums to 2; .*normalise=True"):
        import_result(parts, corpus=corpus, name="mine")
    result = import_result(parts, corpus=corpus, name="mine", normalise=True)
    check_made(result)
    note = {"rows": 2, "least_sum": 2.0, "greatest_sum": 4.0}
    assert result.info["imported"]["theta_normalised"] == note
    assert result.info["imported"]["beta_normalised"]["greatest_sum"] == 10.0
    assert result.params_given == {"normalise": True}


def test_items_that_the_corpus_lacks_are_counted(corpus: Corpus) -> None:
    items = ("moon", "STAR", "orbit", "goal_team", "galaxy", "in this")
    result = import_result(arrays(items=items), corpus=corpus, name="mine")
    assert result.info["imported"]["items_not_in_corpus"] == 1
    strangers = [f"item{i}" for i in range(6)]
    with pytest.raises(InputError, match=r"none of the 6 items occurs.*item0, item1"):
        import_result(arrays(items=strangers), corpus=corpus, name="mine")
    result = import_result(arrays(items=strangers), corpus=corpus, name="mine", kind="features")
    assert result.items.kind == "features"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"theta": None}, "none of doc_topic, theta, document_topic; it has .'beta', 'items'"),
        ({"doc_topic": THETA}, "doc_topic and theta, which mean the same"),
        ({"theta": THETA[:3]}, "theta has 3 rows; corpus 'made' has 4 documents"),
        ({"theta": THETA.T}, "theta has 4 topics .*beta 2 .*theta looks transposed"),
        ({"beta": BETA.T}, "theta has 2 topics .*beta 6 .*beta looks transposed"),
        ({"theta": THETA[0]}, "theta must be a matrix with rows and columns"),
        ({"theta": np.array([["a", "b"]] * 4)}, "theta is not a matrix of numbers"),
        ({"theta": THETA * np.nan}, r"theta\[0, 0\] is nan; weights are finite and not negative"),
        ({"beta": -BETA}, r"beta\[0, 0\] is -0.5.*log-probabilities"),
        ({"beta": BETA - 0.1}, r"beta\[0, 3\] is -0.1; weights are finite and not negative$"),
        ({"beta": BETA * 2}, "row 0 of beta sums to 2; each of its 2 rows"),
        ({"items": None}, "beta has 6 columns without item names"),
        ({"items": WORDS[:5]}, "5 item names for the 6 columns"),
        ({"items": ("moon",) * 6}, "item name 'moon' is there twice"),
        ({"items": (*WORDS[:5], " ")}, "item name 5 is empty"),
        ({"items": "moon"}, "must be a list of names, not str"),
        ({"items": {"moon": 0, "star": 7}}, "indices of the names are not 0 … 1"),
        ({"doc_ids": ["d0", "d1", "d2"]}, "3 document ids for the 4 rows"),
        ({"doc_ids": ["d0", "d1", "d2", "x"]}, "no row for 1 of the 4 documents.*such as 'd3'"),
        ({"doc_ids": ["d0", "d1", "d2", "d0"]}, "document id 'd0' is there twice"),
        ({"outlier": [0, 1]}, "outlier must hold 0 or 1"),
        ({"outlier": [0, 1, 2, 0]}, "outlier must hold 0 or 1"),
    ],
)
def test_what_does_not_fit_is_a_clear_error(
    corpus: Corpus, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        import_result(arrays(**changes), corpus=corpus, name="mine")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0.5,0.5\n0.1\n", r"theta.csv, line 2: 1 cells; the lines before have 2"),
        ("a,b\n0.5,0.5\n0.1,high\n", r"theta.csv, line 3: 'high' is not a number"),
        ("a,b\n", "has a header and no rows"),
        ("\n", "theta.csv is empty"),
    ],
)
def test_a_wrong_csv_is_an_error_that_names_the_line(
    tmp_path: Path, corpus: Corpus, content: str, message: str
) -> None:
    (tmp_path / "theta.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        import_result(tmp_path, corpus=corpus, name="mine")


def test_files_that_cannot_be_read(tmp_path: Path, corpus: Corpus) -> None:
    def refuses(path: Path, message: str, **options: Any) -> None:
        with pytest.raises(InputError, match=message):
            import_result(path, corpus=corpus, name="mine", **options)

    refuses(tmp_path / "none.npz", "there is no file or folder")
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(b"PK\x03\x04 not a zip")
    refuses(damaged, "cannot read .*damaged.npz as npz")
    refuses(damaged, "cannot read .*damaged.npz as npz", format="npz")
    unknown = tmp_path / "topics.xyz"
    unknown.write_text("?")
    refuses(unknown, "cannot tell the format of .*topics.xyz; give one of npz, csv")
    refuses(unknown, "unknown format 'octs'; did you mean 'octis'", format="octs")
    refuses(unknown, "gensim's files are pickles.*trust=True", format="gensim")
    refuses(unknown, "cannot load .*topics.xyz as a gensim LdaModel", format="gensim", trust=True)
    refuses(unknown, "not a folder; save the BERTopic model with", format="bertopic")
    pickled = tmp_path / "model.pkl"
    pickled.write_bytes(b"")
    refuses(pickled, "is a pickle; load it yourself", format="bertopic")
    refuses(pickled, "is a pickle; load it yourself")
    (tmp_path / "weights.csv").write_text("1,2\n")
    refuses(tmp_path / "weights.csv", "a file of theta is called one of doc_topic, theta")
    with pytest.raises(InputError, match="cannot tell the format of a list"):
        import_result([1], corpus=corpus, name="mine")


def test_pickled_objects_are_read_only_when_trusted(tmp_path: Path, corpus: Corpus) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, theta=THETA, beta=BETA, items=np.array(WORDS, dtype=object))
    with pytest.raises(InputError, match=r"'items' in .* is a pickled Python object.*trust=True"):
        import_result(path, corpus=corpus, name="mine")
    check_made(import_result(path, corpus=corpus, name="mine", trust=True))


# OCTIS


def octis_output(theta: Any = THETA) -> dict[str, Any]:
    return {
        "topics": [["moon", "star", "orbit"], ["goal", "team", "match"]],
        "topic-word-matrix": BETA,
        "topic-document-matrix": np.asarray(theta).T,
    }


def test_octis_output_as_it_is_saved(tmp_path: Path, corpus: Corpus) -> None:
    output = octis_output()
    check_made(import_result(output, corpus=corpus, name="octis", items=WORDS))
    np.savez_compressed(
        tmp_path / "output", **{k: v if k == "topics" else v.round(7) for k, v in output.items()}
    )
    (tmp_path / "vocab.json").write_text(json.dumps({str(i): w for i, w in enumerate(WORDS)}))
    result = import_result(tmp_path / "output.npz", corpus=corpus, name="octis")
    check_made(result)
    assert result.info["imported"]["format"] == "octis"


def test_octis_held_out_documents_take_their_places() -> None:
    corpus = make_corpus(split=("train", "test", "train", "val"))
    output = octis_output(THETA[[0, 2, 3]])
    output["test-topic-document-matrix"] = THETA[[1]].T
    check_made(import_result(output, corpus=corpus, name="octis", items=WORDS))
    with pytest.raises(InputError, match="theta has 3 rows"):
        import_result(output, corpus=make_corpus(), name="octis", items=WORDS)


def octis_outputs(corpus: Corpus) -> list[tuple[dict[str, Any], np.ndarray]]:
    """What OCTIS makes of the documents in its order, whole and by partition, with their θ."""
    assert corpus.split is not None
    order = [
        i for part in ("train", "val", "test") for i, s in enumerate(corpus.split) if s == part
    ]
    theta = np.linspace([0.9, 0.1], [0.2, 0.8], len(order))
    in_corpus = np.empty_like(theta)
    in_corpus[order] = theta
    n = sum(split != "test" for split in corpus.split)
    held_out = octis_output(theta[:n])
    held_out["test-topic-document-matrix"] = theta[n:].T
    return [(octis_output(theta), in_corpus), (held_out, in_corpus)]


@pytest.mark.parametrize("how", ["folder", "table"])
@pytest.mark.parametrize("part", [0, 1])
def test_octis_theta_lies_on_its_documents(tmp_path: Path, how: str, part: int) -> None:
    splits = ("test", "train", "val", "train", "test", "val", "train", "train")
    texts = ["moon star orbit", "goal team match"] * 4
    if how == "folder":
        (tmp_path / "vocabulary.txt").write_text("\n".join(WORDS) + "\n")
        lines = [f"{text}\t{split}\n" for text, split in zip(texts, splits, strict=True)]
        (tmp_path / "corpus.tsv").write_text("".join(lines))
        corpus = load_corpus(tmp_path)
        assert corpus.split == tuple(sorted(splits, key=["train", "val", "test"].index))
    else:
        corpus = Corpus("made", tuple(f"d{i}" for i in range(8)), tuple(texts), split=splits)
    output, theta = octis_outputs(corpus)[part]
    result = import_result(output, corpus=corpus, name="octis", items=WORDS)
    np.testing.assert_allclose(result.doc_topic, theta, atol=1e-6)
    assert ("theta" in result.info["imported"]) == (how == "table")


def test_octis_rows_with_ids_are_those_documents() -> None:
    corpus = make_corpus(split=("train", "test", "train", "val"))
    rows = [2, 0, 3, 1]
    ids = [f"d{i}" for i in rows]
    check_made(
        import_result(octis_output(THETA[rows]), corpus=corpus, name="o", items=WORDS, doc_ids=ids)
    )
    output = octis_output(THETA[rows[:3]])
    output["test-topic-document-matrix"] = THETA[rows[3:]].T
    check_made(import_result(output, corpus=corpus, name="o", items=WORDS, doc_ids=ids))


def test_octis_documents_without_theta_are_named() -> None:
    corpus = make_corpus(split=("train", "test", "train", "val"))
    output = octis_output(THETA[[0, 2]])
    output["test-topic-document-matrix"] = THETA[[1]].T
    with pytest.raises(InputError, match=r"2 rows for train and 1 for test; the 1 val documents"):
        import_result(output, corpus=corpus, name="octis", items=WORDS)


def test_octis_names_in_another_order_are_noticed(corpus: Corpus) -> None:
    with pytest.raises(InputError, match=r"0 of the 6 top words.*not in the order"):
        import_result(octis_output(), corpus=corpus, name="octis", items=WORDS[3:] + WORDS[:3])
    with pytest.raises(InputError, match="without item names"):
        import_result(octis_output(), corpus=corpus, name="octis")
    output = octis_output()
    del output["topic-document-matrix"]
    with pytest.raises(InputError, match="no 'topic-document-matrix'; it has"):
        import_result(output, corpus=corpus, name="octis")


def test_pickled_octis_topics_need_trust(tmp_path: Path, corpus: Corpus) -> None:
    ragged = np.empty(2, dtype=object)
    ragged[:] = [["moon", "star"], ["goal"]]
    path = tmp_path / "output.npz"
    np.savez_compressed(path, **{**octis_output(), "topics": ragged})
    with pytest.raises(InputError, match=r"'topics' in .* is a pickled"):
        import_result(path, corpus=corpus, name="octis", items=WORDS)
    check_made(import_result(path, corpus=corpus, name="octis", items=WORDS, trust=True))


# gensim


@pytest.fixture(scope="module")
def lda() -> Any:
    from gensim.corpora import Dictionary
    from gensim.models import LdaModel

    texts = [[w for w in WORDS if w in text.lower()] for text in make_corpus(20).texts]
    dictionary = Dictionary(texts)
    bags = [dictionary.doc2bow(text) for text in texts]
    return LdaModel(bags, 2, dictionary, passes=10, random_state=1)


def test_gensim_model_and_its_file(tmp_path: Path, lda: Any) -> None:
    corpus = make_corpus(8)
    result = import_result(lda, corpus=corpus, name="gensim", seed=3)
    np.testing.assert_allclose(result.topic_item, lda.get_topics(), atol=1e-6)
    assert result.items.ids == tuple(lda.id2word[i] for i in range(6))
    for row, text in enumerate(corpus.texts):
        words = [w.strip(".,;!") for w in text.lower().split()]
        theirs = lda.get_document_topics(lda.id2word.doc2bow(words), minimum_probability=0)
        np.testing.assert_allclose(result.doc_topic[row], [p for _, p in theirs], atol=0.02)
    lda.save(str(tmp_path / "lda.model"))
    for form in ("auto", "gensim"):
        with pytest.raises(InputError, match=r"pickles, which could run any code.*trust=True"):
            import_result(tmp_path / "lda.model", corpus=corpus, name="gensim", format=form)
        again = import_result(
            tmp_path / "lda.model", corpus=corpus, name="gensim", format=form, trust=True, seed=3
        )
        assert again.revision == result.revision


def test_gensim_documents_of_unknown_words_have_no_mass(lda: Any) -> None:
    corpus = Corpus("odd", ("a", "b"), ("moon star", "nothing known"))
    result = import_result(lda, corpus=corpus, name="gensim")
    assert result.doc_topic[1].tolist() == [0, 0]
    assert result.doc_topic[0].sum() == pytest.approx(1)
    unknown = Corpus("odd", ("a",), ("nothing known",))
    with pytest.raises(InputError, match="knows no word of corpus 'odd'"):
        import_result(lda, corpus=unknown, name="gensim")
    split = import_result(
        lda, corpus=unknown, name="gensim", words=lambda text: ["moon"] * len(text)
    )
    assert split.doc_topic.sum() == pytest.approx(1)


def test_gensim_without_a_dictionary_is_refused(corpus: Corpus) -> None:
    from gensim.models import LdaModel

    bags = [[(0, 1), (1, 2)], [(2, 1), (3, 1)]] * 4
    model = LdaModel(bags, 2, random_state=0)
    with pytest.raises(InputError, match=r"without a dictionary, .* numbers 0 … 3; .*id2word"):
        import_result(model, corpus=corpus, name="numbers")
    named = import_result(model, corpus=corpus, name="named", items=WORDS[:4])
    assert named.items.ids == WORDS[:4]
    assert named.doc_topic.sum(axis=1) == pytest.approx([1, 1, 1, 1])
    with pytest.raises(InputError, match="3 item names for the 4 columns"):
        import_result(model, corpus=corpus, name="named", items=WORDS[:3])


def test_gensim_says_which_items_it_never_saw(corpus: Corpus) -> None:
    from gensim.corpora import Dictionary
    from gensim.models import LdaModel

    texts = [["moon", "orbit", "star_moon", ""], ["goal", "match_team", "galaxi"]] * 4
    dictionary = Dictionary(texts)
    model = LdaModel([dictionary.doc2bow(t) for t in texts], 2, dictionary, random_state=0)
    result = import_result(model, corpus=corpus, name="bigrams")
    # "star moon" does occur, but not where texts are split at every space.
    notes = result.info["imported"]
    assert notes["items_not_in_corpus"] == 3
    assert sorted(notes["absent_items"]) == ["galaxi", "match_team", "star_moon"]
    assert notes["empty_items_dropped"] == 1
    assert "" not in result.items.ids
    assert result.topic_item.sum(axis=1) == pytest.approx([1, 1])

    def split(text: str) -> list[str]:
        words = text.lower().replace("star moon", "star_moon").split()
        return [word.strip(".,;!") for word in words]

    split_so = import_result(model, corpus=corpus, name="bigrams", words=split)
    assert split_so.info["imported"]["items_not_in_corpus"] == 2
    assert split_so.doc_topic[1].tolist() != result.doc_topic[1].tolist()
    given = import_result(model, corpus=corpus, name="bigrams", theta=THETA)
    np.testing.assert_allclose(given.doc_topic, THETA, atol=1e-7)
    # Where θ is not inferred here, an item occurs if its words follow each other.
    assert given.info["imported"]["items_not_in_corpus"] == 1


def test_items_that_follow_each_other_nowhere_do_not_occur(corpus: Corpus) -> None:
    items = ("star moon", "moon_star", "team goal", "goal team", "MATCH", "star-moon;")
    result = import_result(arrays(items=items), corpus=corpus, name="mine")
    # "the moon, a Star" is adjacent without its stop word; nowhere does a goal follow the team at
    # once, but in "team, goal".
    assert result.info["imported"]["items_not_in_corpus"] == 0
    items = ("orbit moon", "goal goal", "goal match", "star goal", "moon", "orbit star")
    result = import_result(arrays(items=items), corpus=corpus, name="mine")
    assert result.info["imported"]["items_not_in_corpus"] == 3


def test_theta_may_be_given(tmp_path: Path, corpus: Corpus) -> None:
    wrong = arrays(theta=THETA[::-1])
    np.savez(tmp_path / "one.npz", mine=THETA)
    np.savez(tmp_path / "two.npz", theta=THETA, other=THETA[::-1])
    np.save(tmp_path / "three.npy", THETA)
    rows = [f"d{i},{THETA[i, 0]},{THETA[i, 1]}" for i in (2, 0, 3, 1)]
    (tmp_path / "four.csv").write_text("id,0,1\n" + "\n".join(rows) + "\n")
    for theta in ("one.npz", "two.npz", "three.npy", "four.csv"):
        check_made(import_result(wrong, corpus=corpus, name="mine", theta=tmp_path / theta))
    check_made(import_result(arrays(theta=None), corpus=corpus, name="mine", theta=THETA))
    np.savez(tmp_path / "none.npz", a=THETA, b=THETA)
    with pytest.raises(InputError, match=r"none.npz must be .* its arrays: 'a', 'b'"):
        import_result(wrong, corpus=corpus, name="mine", theta=tmp_path / "none.npz")
    saved = import_result(arrays(), corpus=corpus, name="mine")
    with pytest.raises(InputError, match="its own θ"):
        import_result(saved, corpus=corpus, name="mine", theta=THETA)


# BERTopic


@pytest.fixture(scope="module")
def bertopic_model() -> tuple[Any, Corpus]:
    from bertopic import BERTopic
    from hdbscan import HDBSCAN
    from sklearn.decomposition import PCA

    corpus = make_corpus(40)
    rng = np.random.default_rng(0)
    vectors = np.repeat(np.eye(2, 6), 40, axis=0) + 0.1 * rng.normal(size=(80, 6))
    vectors[5] = 30.0  # an outlier
    model = BERTopic(
        umap_model=PCA(3),
        hdbscan_model=HDBSCAN(min_cluster_size=10, prediction_data=True),
        calculate_probabilities=True,
    ).fit(list(corpus.texts), embeddings=vectors)
    assert sorted(set(model.topics_)) == [-1, 0, 1]
    return model, corpus


def test_bertopic_object(bertopic_model: tuple[Any, Corpus]) -> None:
    model, corpus = bertopic_model
    result = import_result(model, corpus=corpus, name="theirs")
    assert result.n_topics == 2
    assert result.outlier is not None
    np.testing.assert_array_equal(result.outlier, np.array(model.topics_) == -1)
    weights = model.c_tf_idf_.toarray()[1:]
    np.testing.assert_allclose(
        result.topic_item, weights / weights.sum(axis=1, keepdims=True), rtol=1e-5
    )
    soft = model.probabilities_
    np.testing.assert_allclose(
        result.doc_topic, soft / soft.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6
    )
    assert result.top_labels(1)[0][0] in {word for word, _ in model.get_topic(0)[:1]}


def test_bertopic_without_a_topic_is_refused(
    bertopic_model: tuple[Any, Corpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, corpus = bertopic_model
    monkeypatch.setattr(model, "topics_", [-1] * len(corpus))
    with pytest.raises(InputError, match=r"no topic: all its \d+ documents are outliers; fit it"):
        import_result(model, corpus=corpus, name="mine")


def test_bertopic_folder(tmp_path: Path, bertopic_model: tuple[Any, Corpus]) -> None:
    model, corpus = bertopic_model
    whole = import_result(model, corpus=corpus, name="theirs")
    model.save(tmp_path / "whole", serialization="safetensors", save_ctfidf=True)
    result = import_result(tmp_path / "whole", corpus=corpus, name="theirs")
    np.testing.assert_allclose(result.topic_item, whole.topic_item, rtol=1e-5)
    assert result.items.ids == whole.items.ids
    expected = [[float(t == k) for k in (0, 1)] for t in model.topics_]
    np.testing.assert_array_equal(result.doc_topic, expected)
    assert "one-hot" in result.info["imported"]["theta"]

    model.save(tmp_path / "words", serialization="safetensors", save_ctfidf=False)
    shown = import_result(tmp_path / "words", corpus=corpus, name="theirs")
    for topic in (0, 1):
        theirs = {word: weight for word, weight in model.get_topic(topic) if word}
        total = sum(theirs.values())
        for column, word in enumerate(shown.items.ids):
            expected_weight = theirs.get(word, 0) / total
            assert shown.topic_item[topic, column] == pytest.approx(expected_weight, rel=1e-5)
    with pytest.raises(InputError, match="80 rows; corpus 'made' has 4 documents"):
        import_result(tmp_path / "words", corpus=make_corpus(), name="theirs")
    (tmp_path / "words" / "topics.json").write_text("{}")
    with pytest.raises(InputError, match=r"topics.json is not BERTopic's"):
        import_result(tmp_path / "words", corpus=corpus, name="theirs")


def test_a_bertopic_vocabulary_may_hold_an_empty_word(bertopic_model: tuple[Any, Corpus]) -> None:
    from copy import copy
    from types import SimpleNamespace

    model, corpus = bertopic_model
    names = model.vectorizer_model.get_feature_names_out()
    padded = copy(model)
    padded.vectorizer_model = SimpleNamespace(get_feature_names_out=lambda: ["", *names[1:]])
    result = import_result(padded, corpus=corpus, name="padded")
    assert result.items.ids == tuple(names[1:])
    assert result.info["imported"]["empty_items_dropped"] == 1
    weights = model.c_tf_idf_.toarray()[1:, 1:]
    np.testing.assert_allclose(
        result.topic_item, weights / weights.sum(axis=1, keepdims=True), rtol=1e-5
    )


@pytest.mark.parametrize(
    "names", [{"7" * 5000: "moon"}, {"moon": float("inf")}, {"moon": "x"}, {"moon": None}]
)
def test_names_whose_indices_are_none(
    tmp_path: Path, corpus: Corpus, names: dict[str, Any]
) -> None:
    (tmp_path / "names.json").write_text(json.dumps(names))
    with pytest.raises(InputError, match=r"names.json maps names to something that is no index"):
        import_result(arrays(), corpus=corpus, name="mine", items=tmp_path / "names.json")


@pytest.mark.parametrize("path", ["{corpus.name}-{k}.npz", "{k:>1000000000}", "{0}", "{other}"])
def test_a_path_fills_in_names_and_nothing_else(corpus: Corpus, path: str) -> None:
    with pytest.raises(InputError, match=r"only \{corpus\}, \{k\} and \{seed\} are filled in"):
        External(path=path, n_topics=2).fit(Views(corpus), seed=0)


@pytest.mark.parametrize("name", ["../../mine", "/mine", "x" * 300, "a\0b"])
def test_a_corpus_whose_name_is_a_path_fills_no_path(corpus: Corpus, name: str) -> None:
    with pytest.raises(InputError, match="a corpus whose name is part of a path cannot be called"):
        External(path="{corpus}.npz").fit(Views(replace(corpus, name=name)), seed=0)
    with pytest.raises(InputError, match="a corpus cannot be called"):
        load_corpus(["a text", "another"], name=name)


# Hostile files


N_DOCS, TOPICS = 4, [0, 0, 1, 1]


def bertopic_folder(folder: Path, **parts: Any) -> Path:
    """A folder as BERTopic saves it; c-TF-IDF [[3, 2, 0], [0, 1, 4]] unless told otherwise."""
    from safetensors.numpy import save_file

    whole = {
        "data": np.array([3.0, 2.0, 1.0, 4.0]), "indices": np.array([0, 1, 1, 2], np.int32),
        "indptr": np.array([0, 2, 4], np.int32), "shape": np.array([2, 3]), **parts,
    }  # fmt: skip
    vocabulary = whole.pop("vocabulary", {"moon": 0, "star": 1, "goal": 2})
    topics = whole.pop("topics", TOPICS)
    folder.mkdir(parents=True)
    save_file(whole, folder / "ctfidf.safetensors")
    (folder / "ctfidf_config.json").write_text(
        json.dumps({"vectorizer_model": {"vocab": vocabulary}})
    )
    shown = {str(k): [["moon", 1.0], ["goal", 0.5]] for k in (0, 1)}
    (folder / "topics.json").write_text(
        json.dumps({"topics": topics, "topic_representations": shown})
    )
    return folder


def test_a_saved_ctfidf_is_read(tmp_path: Path, corpus: Corpus) -> None:
    result = import_result(bertopic_folder(tmp_path / "m"), corpus=corpus, name="theirs")
    np.testing.assert_allclose(result.topic_item, [[0.6, 0.4, 0.0], [0.0, 0.2, 0.8]], atol=1e-6)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"indices": np.array([0, 1, 1, 2**30], np.int32)}, "index 1073741824 is no column of 0"),
        ({"indices": np.array([0, 1, -7, 2], np.int32)}, "index -7 is no column of 0 … 2"),
        ({"indices": np.array([0, 1, 1], np.int32)}, "3 indices for the 4 values"),
        ({"indices": np.array([0.0, 1, 1, 2])}, "indices of a sparse matrix must be .* whole"),
        ({"indices": np.array([[0, 1], [1, 2]], np.int32)}, r"not int32 of shape \(2, 2\)"),
        ({"indptr": np.array([0, 2, 2**30], np.int32)}, "indptr must rise from 0 to 4"),
        ({"indptr": np.array([0, 9, 4], np.uint32)}, "indptr must rise from 0 to 4"),
        ({"indptr": np.array([0, -9, 4], np.int32)}, "indptr must rise from 0 to 4"),
        ({"indptr": np.array([1, 2, 4], np.int32)}, "indptr must rise from 0 to 4"),
        ({"indptr": np.array([0, 4], np.int32)}, "indptr has 2 numbers; 2 rows need 3"),
        ({"shape": np.array([2, 2**40])}, "1099511627776 columns; its vocabulary has 3 words"),
        ({"shape": np.array([2**40, 3])}, "indptr has 3 numbers; 1099511627776 rows"),
        ({"shape": np.array([-2, 3])}, "a shape is two whole numbers"),
        ({"shape": np.array([2, 3, 4])}, "a shape is two whole numbers"),
        ({"shape": np.array([2.0, 3.0])}, "a shape is two whole numbers"),
        ({"data": np.array([3, 2, 1, 4], np.complex64)}, "data of a sparse matrix must be"),
        ({"vocabulary": {"moon": 0, "star": 10**30}}, "the indices of the names are not 0 … 1"),
        ({"topics": [0, 0, 1, 10**9]}, "2 rows, but its documents are of 1000000001 topics"),
        ({"topics": [0, 0, 1, 10**30]}, "topics.json is not BERTopic's"),
        ({"topics": [0, 0, 1, -5]}, "a list of whole numbers from -1 up"),
        ({"topics": [[0, 0], [1, 1]]}, "a list of whole numbers from -1 up"),
    ],
)
def test_a_sparse_matrix_that_lies_is_refused_before_it_is_built(
    tmp_path: Path, corpus: Corpus, parts: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        import_result(bertopic_folder(tmp_path / "m", **parts), corpus=corpus, name="theirs")


def test_a_small_file_is_not_made_a_large_matrix(tmp_path: Path, corpus: Corpus) -> None:
    n, k = 40_000, 4_000
    folder = bertopic_folder(
        tmp_path / "m", shape=np.array([k, n]), indptr=np.minimum(np.arange(k + 1), 4),
        vocabulary={f"w{i}": i for i in range(n)}, topics=[k - 1] * N_DOCS,
    )  # fmt: skip
    with pytest.raises(InputError, match=r"unpacks to more than .* MB; .* --max-unpacked"):
        import_result(folder, corpus=corpus, name="theirs")


def test_theta_of_a_folder_may_be_as_large_as_memory(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    n, k = 20_000, 10
    folder = bertopic_folder(
        tmp_path / "m", shape=np.array([k, 3]), indptr=np.minimum(np.arange(k + 1), 4),
        indices=np.array([0, 0, 0, 1], np.int32), topics=[i % k for i in range(n)],
    )  # fmt: skip
    monkeypatch.setenv("MTMBENCH_MAX_UNPACKED", "1")
    with pytest.raises(InputError, match=f"theta has {n} rows"):
        import_result(folder, corpus=corpus, name="theirs")
    monkeypatch.setattr("mtmbench.models.import_bertopic.memory", lambda: 16 * n * k - 1)
    with pytest.raises(InputError, match=r"10 topics in 20000 documents do not fit into memory"):
        import_result(folder, corpus=corpus, name="theirs")


def test_the_index_of_a_fitted_models_ctfidf_is_checked() -> None:
    from scipy.sparse import csr_matrix

    from mtmbench.models.import_bertopic import read_bertopic

    weights = csr_matrix(np.eye(2))
    weights.indices[0] = 10**8
    model = SimpleNamespace(topics_=[0, 1], c_tf_idf_=weights)
    with pytest.raises(InputError, match="BERTopic's c-TF-IDF is no whole sparse matrix"):
        read_bertopic(model)  # type: ignore[arg-type]


@pytest.mark.parametrize("part", ["theta", "beta", "outlier"])
def test_no_sparse_part_is_built_unchecked(corpus: Corpus, part: str) -> None:
    from scipy.sparse import coo_matrix

    lies = coo_matrix({"theta": THETA, "beta": BETA, "outlier": [[1, 0, 0, 1]]}[part])
    lies.coords = (lies.coords[0], np.full(lies.nnz, 10**9))
    with pytest.raises(InputError, match=f"{part} is no whole sparse matrix"):
        import_result(arrays(**{part: lies}), corpus=corpus, name="mine")


def test_no_sparse_part_of_octis_is_built_unchecked(corpus: Corpus) -> None:
    from scipy.sparse import coo_matrix

    lies = coo_matrix(THETA.T)
    lies.coords = (lies.coords[0], np.full(lies.nnz, 10**9))
    output = {**octis_output(), "topic-document-matrix": lies}
    with pytest.raises(InputError, match=r"topic-document-matrix of .* is no whole sparse matrix"):
        import_result(output, corpus=corpus, name="octis", items=WORDS)


def test_a_ragged_theta_is_named(corpus: Corpus) -> None:
    with pytest.raises(InputError, match="not an array of numbers"):
        import_result(arrays(theta=[[1.0], [0.5, 0.5]]), corpus=corpus, name="mine")


def test_a_packed_file_of_zeros_is_refused_unless_it_is_allowed(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "zeros.npz"
    np.savez_compressed(path, **arrays(zeros=np.zeros(3_000_000, np.int8)))
    check_made(import_result(path, corpus=corpus, name="mine"))
    monkeypatch.setenv("MTMBENCH_MAX_UNPACKED", "2")
    with pytest.raises(InputError, match=r"zeros.npz has .* and unpacks to more than 2 MB"):
        import_result(path, corpus=corpus, name="mine")
    monkeypatch.setenv("MTMBENCH_MAX_UNPACKED", "4")
    check_made(import_result(path, corpus=corpus, name="mine"))


def test_complex_weights_are_no_weights(tmp_path: Path, corpus: Corpus) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, **arrays(theta=THETA.astype(np.complex128)))
    for source in (path, arrays(theta=THETA + 0j)):
        with pytest.raises(InputError, match="theta holds complex128; real numbers are expected"):
            import_result(source, corpus=corpus, name="mine")
    output = {**octis_output(), "topic-document-matrix": THETA.T.astype(np.complex64)}
    with pytest.raises(InputError, match=r"topic-document-matrix of .* holds complex64"):
        import_result(output, corpus=corpus, name="octis", items=WORDS)


# The model


@pytest.mark.parametrize("asked", [{"trust": True}, {"trust": 1}, {"format": "gensim"}])
def test_no_card_or_suite_makes_pickles_be_read(
    tmp_path: Path, corpus: Corpus, asked: dict[str, Any]
) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, theta=THETA, beta=BETA, items=np.array(WORDS, dtype=object))
    with pytest.raises(InputError, match=r"no suite or card can ask for that.*mtmbench import"):
        External(path=str(path), **asked)
    with pytest.raises(InputError, match=r"'items' in .* is a pickled Python object"):
        External(path=str(path)).fit(Views(corpus), seed=0)


def test_external_plays_a_saved_result(tmp_path: Path, corpus: Corpus) -> None:
    made = import_result(arrays(), corpus=corpus, name="mine")
    made.save(tmp_path / "made-2-7.safetensors")
    views = Views(corpus)
    model = External(n_topics=2, path=str(tmp_path / "{corpus}-{k}-{seed}.safetensors"))
    result = model.fit(views, seed=7)
    check_made(result)
    assert (result.seed, result.info["asked"], result.info["found"]) == (7, 2, 2)
    assert result.revision != ""
    np.testing.assert_array_equal(
        model.transform(views.select_docs([3, 1])), made.doc_topic[[3, 1]]
    )
    with pytest.raises(InputError, match="there is no file"):
        model.fit(views, seed=8)
    other = Corpus("other", ("x",), ("another text",))
    with pytest.raises(InputError, match="'x' is not among them"):
        model.transform(Views(other))
    kept = tmp_path / "other-2-7.safetensors"
    made.save(kept)
    with pytest.raises(InputError, match="was fitted on corpus 'made', revision"):
        model.fit(Views(other), seed=7)


def test_external_reads_any_format_and_checks_the_revision(tmp_path: Path, corpus: Corpus) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, **arrays(theta=THETA * 3))
    with pytest.raises(InputError, match="row 0 of theta sums to 3"):
        External(path=str(path)).fit(Views(corpus), seed=0)
    result = External(path=str(path), normalise=True).fit(Views(corpus), seed=0)
    check_made(result)
    same = External(path=str(path), normalise=True, revision=result.revision)
    assert same.fit(Views(corpus), seed=0).revision == result.revision
    wrong = External(path=str(path), normalise=True, revision="0" * 32)
    with pytest.raises(InputError, match="the card asks for 0000"):
        wrong.fit(Views(corpus), seed=0)


def test_external_without_a_usable_path(corpus: Corpus) -> None:
    with pytest.raises(InputError, match="needs path="):
        External().fit(Views(corpus), seed=0)
    with pytest.raises(InputError, match=r"only .corpus., .k. and .seed. are filled in"):
        External(path="{model}.npz").fit(Views(corpus), seed=0)
    with pytest.raises(InputError, match="not fitted"):
        External(path="x").transform(Views(corpus))


@pytest.mark.parametrize("odd", [ODD_TEXT, "of two\r\nlines", 'with "marks", and\ra return'])
def test_words_and_ids_of_odd_characters_are_read_back(tmp_path: Path, odd: str) -> None:
    words, ids = (odd, *WORDS[1:]), (odd, "d1", "d2", "d3")
    theta = [[doc_id, *row] for doc_id, row in zip(ids, THETA, strict=True)]
    folder = tmp_path / "model"
    folder.mkdir()
    for name, rows in (("theta", [["doc_id", 0, 1], *theta]), ("beta", [words, *BETA])):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    corpus = Corpus("made", ids, make_corpus().texts)
    result = import_result(folder, corpus=corpus, name="mine")
    np.testing.assert_allclose(result.doc_topic, THETA, atol=1e-7)
    assert result.items.ids == words


def test_a_list_of_words_may_hold_odd_characters(tmp_path: Path, corpus: Corpus) -> None:
    np.save(tmp_path / "theta.npy", THETA)
    np.save(tmp_path / "beta.npy", BETA)
    words = (ODD_TEXT, *WORDS[1:])
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    assert import_result(tmp_path, corpus=corpus, name="mine").items.ids == words


def test_a_sample_of_the_corpus_names_max_documents(tmp_path: Path, corpus: Corpus) -> None:
    made = import_result(arrays(), corpus=corpus, name="mine")
    made.save(tmp_path / "mine.safetensors")
    np.savez(tmp_path / "mine.npz", **arrays())
    for name in ("mine.safetensors", "mine.npz"):
        with pytest.raises(InputError, match=r"max_documents = 3, of 4 documents\): leave max_doc"):
            External(path=str(tmp_path / name)).fit(Views(sample(corpus, 3, seed=0)), seed=0)


def test_semicolons_and_other_encodings_of_theta_are_named(tmp_path: Path, corpus: Corpus) -> None:
    np.savetxt(tmp_path / "beta.csv", BETA, delimiter=",")
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    for text, message in (
        ("0.5;0.5\n0.1;0.9\n", r"theta\.csv, line 1: its cells are separated by semicolons"),
        ("a,b\n0,5;0\n", r"theta\.csv, line 2: '5;0' is not a number; its cells are separated"),
    ):
        (tmp_path / "theta.csv").write_text(text)
        with pytest.raises(InputError, match=message):
            import_result(tmp_path, corpus=corpus, name="mine")
    (tmp_path / "theta.csv").write_bytes("0.5,0.5\n".encode("utf-16"))
    with pytest.raises(InputError, match=r"theta\.csv is UTF-16LE, not UTF-8; convert it"):
        import_result(tmp_path, corpus=corpus, name="mine")
