"""MALLET's files and tomotopy's models: θ on its documents, β on its words."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus
from mtmbench.corpora.load import load_corpus
from mtmbench.models.importers import import_result

WORDS = ("cow", "barn", "boat", "sail")
TEXTS = ("cow cow barn", "boat sail sail boat", "cow barn", "sail cow")
TOPICS = ((0, 0, 0), (1, 1, 1, 1), (0, 0), (1, 0))
"""The topic of each token in the state of the sampler."""
ALPHA, ETA = (0.5, 0.25), 0.01


def counts() -> tuple[np.ndarray, np.ndarray]:
    """θ and β by hand: counts with their priors, each row made a distribution."""
    theta, beta = np.tile(ALPHA, (4, 1)), np.full((2, 4), ETA)
    for doc, (text, topics) in enumerate(zip(TEXTS, TOPICS, strict=True)):
        for word, topic in zip(text.split(), topics, strict=True):
            theta[doc, topic] += 1
            beta[topic, WORDS.index(word)] += 1
    return theta / theta.sum(1, keepdims=True), beta / beta.sum(1, keepdims=True)


THETA, BETA = counts()


def write_mallet(folder: Path, names: tuple[str, ...], *which: str) -> Path:
    folder.mkdir(exist_ok=True)
    if "dense" in which:
        rows = [f"{d}\t{n}\t" + "\t".join(map(repr, map(float, THETA[d]))) + "\t\n"
                for d, n in enumerate(names)]  # fmt: skip
        (folder / "doc-topics.txt").write_text("".join(rows))
    if "pairs" in which:
        rows = ["#doc name topic proportion ...\n"]
        for d, n in enumerate(names):
            order = np.argsort(-THETA[d])
            rows.append(f"{d} {n} " + " ".join(f"{k} {float(THETA[d, k])!r}" for k in order) + "\n")
        (folder / "doctopics").write_text("".join(rows))
    if "weights" in which:
        rows = [f"{k}\t{w}\t{float(BETA[k, v])!r}\n"
                for k in range(2) for v, w in enumerate(WORDS)]  # fmt: skip
        (folder / "word-weights.txt").write_text("".join(rows))
    if "state" in which:
        rows = ["#doc source pos typeindex type topic\n", "#alpha : 0.5 0.25 \n", "#beta : 0.01\n"]
        for d, (text, topics) in enumerate(zip(TEXTS, TOPICS, strict=True)):
            for pos, (word, topic) in enumerate(zip(text.split(), topics, strict=True)):
                rows.append(f"{d} {names[d]} {pos} {WORDS.index(word)} {word} {topic}\n")
        (folder / "state.gz").write_bytes(gzip.compress("".join(rows).encode()))
    (folder / "keys.txt").write_text("0\t0.5\tcow barn \n1\t0.25\tboat sail \n")
    return folder


def made(ids: tuple[str, ...] | None = None) -> Corpus:
    if ids is None:
        return load_corpus(list(TEXTS), name="made")
    return Corpus("made", ids, TEXTS, source={"columns": {"text": "text", "id": "id"}})


@pytest.mark.parametrize(
    "which", [("dense", "weights"), ("pairs", "weights"), ("state",), ("dense", "state")]
)
@pytest.mark.parametrize("names", [("0", "1", "2", "3"), ("null-source",) * 4])
def test_mallets_files_in_order(
    tmp_path: Path, which: tuple[str, ...], names: tuple[str, ...]
) -> None:
    folder = write_mallet(tmp_path / "mallet", names, *which)
    (folder / ".hidden").write_text("0\tx\t1.0\n")
    sources = [folder, folder / {"dense": "doc-topics.txt", "pairs": "doctopics",
                                 "state": "state.gz"}[which[0]]]  # fmt: skip
    for source in sources:
        result = import_result(source, corpus=made(), name="mallet")
        np.testing.assert_allclose(result.doc_topic, THETA, atol=1e-6)
        by_word = dict(zip(result.items.ids, result.topic_item.T, strict=True))
        np.testing.assert_allclose(np.array([by_word[word] for word in WORDS]).T, BETA, atol=1e-6)
        assert result.info["imported"]["format"] == "mallet"


def test_mallets_documents_are_found_by_name(tmp_path: Path) -> None:
    ids = ("farm/2", "farm/10", "sea/2", "sea/10")
    order = (2, 0, 3, 1)  # as a file system may list them
    corpus = Corpus("made", tuple(ids[i] for i in order), tuple(TEXTS[i] for i in order))
    for n, form in enumerate(("{}", "file:/home/me/my%20docs/{}.txt", "C:\\docs\\{}.txt")):
        names = tuple(form.format(i.replace("/", "\\") if "\\" in form else i) for i in ids)
        folder = write_mallet(tmp_path / f"m{n}", names, "dense", "weights")
        result = import_result(folder, corpus=corpus, name="mallet")
        np.testing.assert_allclose(result.doc_topic, THETA[list(order)], atol=1e-6)
        assert result.info["imported"]["documents"] == "by their names in MALLET"


def test_mallets_names_of_other_documents_are_an_error_or_given(tmp_path: Path) -> None:
    names = ("a", "b", "c", "d")
    folder = write_mallet(tmp_path / "mallet", names, "dense", "weights")
    corpus = made(("d1", "d2", "d3", "d4"))
    with pytest.raises(InputError, match=r"no document called 'd1' .* like 'a'; give .*--doc-ids"):
        import_result(folder, corpus=corpus, name="mallet")
    given = import_result(folder, corpus=corpus, name="mallet", doc_ids=["d4", "d3", "d2", "d1"])
    np.testing.assert_allclose(given.doc_topic, THETA[::-1], atol=1e-6)
    # Without an id column the corpus's documents have no names of their own.
    np.testing.assert_allclose(
        import_result(folder, corpus=made(), name="m").doc_topic, THETA, atol=1e-6
    )
    write_mallet(folder, ("5", "6", "7", "8"), "dense")
    counted = import_result(folder, corpus=corpus, name="mallet")
    np.testing.assert_allclose(counted.doc_topic, THETA, atol=1e-6)
    write_mallet(folder, ("7", "5", "6", "8"), "dense")
    with pytest.raises(InputError, match="no document called 'd1'"):
        import_result(folder, corpus=corpus, name="mallet")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("doc-topics.txt", "0\ta\t1\t0\n2\tb\t1\t0\n", r"line 2: document '2' where 1 is next"),
        ("doc-topics.txt", "0\ta\t1\t0\n" * 3 + "1\tb\t1\tx\n", "line 2: document '0' where 1"),
        (
            "doc-topics.txt",
            "".join(f"{i}\ta\t1\t0\n" for i in range(3)) + "3\td\t1\tx\n",
            "line 4, the share of a topic: 'x' is no finite number",
        ),
        (
            "doc-topics.txt",
            "".join(f"{i}\ta\t1\t0\n" for i in range(3)) + "3\td\t1\n",
            "document 3 has 1 topics, those before 2",
        ),
        (
            "doc-topics.txt",
            "#doc name topic proportion\n0 a 999999999 1.0\n",
            "topic 999999999; that is no topic's number",
        ),
        (
            "doc-topics.txt",
            "#doc name topic proportion\n0 a inf 1.0\n",
            "line 2, the share of a topic: 'inf' is no finite number",
        ),
        (
            "doc-topics.txt",
            "#doc name topic proportion\n0 a nan 1.0\n",
            "line 2, the share of a topic: 'nan' is no finite number",
        ),
        (
            "word-weights.txt",
            f"0\tcow\t1.0\n{'9' * 5000}\tcow\t2.0\n",
            "line 2: '9+ is no whole number of at most 18 digits",
        ),
        (
            "word-weights.txt",
            "0\tcow\t1.0\n0\tcow\t2.0\n1\tcow\t1.0\n1\tbarn\t1.0\n",
            "line 2: topic 0 has the word 'cow' twice",
        ),
        ("word-weights.txt", "0\tcow\tinf\n", "line 1: 'inf' is no finite number"),
        (
            "word-weights.txt",
            "0\tcow\t1.0\n0\tbarn\t1.0\n1\tcow\t2.0\n",
            "3 lines for 2 topics and 2 words",
        ),
    ],
)  # fmt: skip
def test_mallets_damaged_files_are_named(
    tmp_path: Path, file: str, text: str, message: str
) -> None:
    folder = write_mallet(tmp_path / "mallet", ("0", "1", "2", "3"), "dense", "weights")
    (folder / file).write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        import_result(folder, corpus=made(), name="mallet")
    assert file in str(caught.value)


def test_what_of_mallets_is_missing_or_there_twice_is_named(tmp_path: Path) -> None:
    folder = write_mallet(tmp_path / "mallet", ("0", "1", "2", "3"), "dense")
    with pytest.raises(InputError, match="no weights of words; MALLET's topics are read from"):
        import_result(folder, corpus=made(), name="mallet")
    with pytest.raises(InputError, match="no topics of documents; MALLET's"):
        import_result(folder / "keys.txt", corpus=made(), name="mallet", format="mallet")
    (folder / "more.txt").write_text((folder / "doc-topics.txt").read_text())
    with pytest.raises(
        InputError, match=r"doc-topics\.txt and more\.txt, both MALLET's doc topics"
    ):
        import_result(folder, corpus=made(), name="mallet")


def trained(model: Any) -> Any:
    for text in TEXTS * 5:
        model.add_doc(text.split())
    model.train(60, workers=1)
    return model


@pytest.mark.parametrize("kind", ["LDAModel", "HDPModel"])
def test_tomotopys_model_and_not_its_file(tmp_path: Path, kind: str) -> None:
    import tomotopy

    model = trained(getattr(tomotopy, kind)(seed=1, **({"k": 2} if kind == "LDAModel" else {})))
    corpus = load_corpus([f"{text} {i}" for i, text in enumerate(TEXTS * 5)], name="made")
    result = import_result(model, corpus=corpus, name="tomo")
    live = [k for k in range(model.k) if kind == "LDAModel" or model.is_live_topic(k)]
    assert result.n_topics == len(live)
    for row, topic in enumerate(live):
        theirs = dict(model.get_topic_words(topic, top_n=4))
        mine = dict(zip(result.items.ids, map(float, result.topic_item[row]), strict=True))
        assert mine == pytest.approx(theirs, abs=1e-6)
    for place, document in enumerate(model.docs):
        expected = document.get_topic_dist()[live]
        np.testing.assert_allclose(result.doc_topic[place], expected / expected.sum(), atol=1e-5)
    model.save(str(tmp_path / "model.bin"))
    with pytest.raises(
        InputError, match=r"model\.bin is a tomotopy model, .* in Python: import_res"
    ):
        import_result(tmp_path / "model.bin", corpus=corpus, name="tomo")
    result.save(tmp_path / "out.safetensors")
    again = import_result(tmp_path / "out.safetensors", corpus=corpus, name="tomo")
    assert again.revision == result.revision


def test_tomotopys_documents_are_found_by_uid_and_missing_ones_are_told() -> None:
    import tomotopy
    from tomotopy.utils import Corpus as Documents

    ids = [f"d{i}" for i in range(20)]
    documents = Documents()
    for doc_id, text in zip(ids, TEXTS * 5, strict=True):
        documents.add_doc(words=text.split(), uid=doc_id)
    model = tomotopy.LDAModel(k=2, seed=1, corpus=documents)
    model.train(60, workers=1)
    corpus = Corpus("made", tuple(reversed(ids)), tuple(reversed(TEXTS * 5)))
    result = import_result(model, corpus=corpus, name="tomo")
    np.testing.assert_allclose(
        result.doc_topic, [document.get_topic_dist() for document in reversed(list(model.docs))],
        atol=1e-5,
    )  # fmt: skip
    bare = trained(tomotopy.LDAModel(k=2, seed=1))
    with pytest.raises(InputError, match="theta has 20 rows; corpus 'made' has 21"):
        import_result(bare, corpus=load_corpus([*TEXTS * 5, "?"], name="made"), name="tomo")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("#beta :", "line 3: '#beta :' is not of MALLET's form"),
        ("#beta : inf", "line 3: 'inf' is no finite number"),
        (f"#beta : 0.01\n{'9' * 5000} a 0 0 cow 1", "line 4: '9+ is no whole number of at most 18"),
        (f"#beta : 0.01\n0 a 0 0 cow {'9' * 5000}", "line 4: '9+ is no whole number of at most 18"),
    ],
)
def test_a_damaged_state_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "state.txt"
    path.write_text(
        f"#doc source pos typeindex type topic\n#alpha : 0.1 0.1\n{line}\n0 a 0 0 cow 1\n"
    )
    with pytest.raises(InputError, match=message):
        import_result(path, corpus=made(), name="mallet", format="mallet")
