"""``mtmbench import``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.commands import Call

from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import ModelCard
from mtmbench.core.errors import InputError
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Views
from mtmbench.corpora.load import load_corpus
from mtmbench.models.external import External


def test_import_makes_a_card_that_plays(call: Call, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    theta = rng.dirichlet(np.ones(4), size=300)
    beta = rng.dirichlet(np.ones(6), size=4)
    words = np.array(["australia", "minister", "test", "police", "sydney", "south"])
    np.savez(tmp_path / "mine.npz", doc_topic=theta, topic_item=beta, items=words)
    code, out, err = call("import", "mine.npz", "--corpus", "lee", "--name", "mine")
    assert code == 0, err
    assert "4 topics over 300 documents" in out
    code, out, err = call("plan", "quick", "--set", "corpora=['lee']", "--models",
                          "lda,imported/mine.toml")  # fmt: skip
    assert code == 0, err


def test_import_takes_names_and_ids_from_files(call: Call, tmp_path: Path) -> None:
    ids = load_corpus("lee").doc_ids
    theta = np.zeros((300, 2))
    theta[np.arange(300), np.arange(300) % 2] = 1
    np.savez(tmp_path / "bare.npz", doc_topic=theta[::-1], topic_item=np.eye(2))
    (tmp_path / "words.txt").write_text("police\ncricket\n")
    (tmp_path / "order.txt").write_text("\n".join(reversed(ids)) + "\n")
    code, _, err = call("import", "bare.npz", "--corpus", "lee", "--name", "bare",
                        "--items", "words.txt", "--doc-ids", "order.txt")  # fmt: skip
    assert code == 0, err
    result = TopicResult.load(tmp_path / "imported" / "bare.safetensors")
    assert result.items.ids == ("police", "cricket")
    np.testing.assert_array_equal(result.doc_topic, theta)


def test_import_refuses_the_wrong_corpus(call: Call, tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", doc_topic=np.ones((7, 1)), topic_item=np.ones((1, 1)),
             items=np.array(["word"]))  # fmt: skip
    code, _, err = call("import", "mine.npz", "--corpus", "lee", "--name", "mine")
    assert code == 2
    assert "7" in err
    assert "300" in err


def two_corpora(folder: Path) -> None:
    """Two corpora of other words, and topics of each: K = 2 on a, 3 on b."""
    for name, words, k in (("a", "cow barn milk hay", 2), ("b", "boat sail wave fish", 3)):
        lines = [json.dumps({"text": f"{words} {i % 3}"}) for i in range(6)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
        theta = np.full((6, k), 1 / k)
        np.savez(folder / name, theta=theta, beta=np.full((k, 4), 0.25), words=words.split())


def test_a_name_on_two_corpora_is_one_card_with_a_result_each(call: Call, tmp_path: Path) -> None:
    two_corpora(tmp_path)
    for name in ("a", "b"):
        code, _, err = call("import", f"{name}.npz", "--corpus", f"./{name}.jsonl", "--name", "me")
        assert code == 0, err
    card = read_card(tmp_path / "imported" / "me.toml", ModelCard)
    assert set(card.corpus) == {"a", "b"}
    assert card.description == "imported from a.npz; imported from b.npz"
    for name, k in (("a", 2), ("b", 3)):
        corpus = load_corpus(tmp_path / f"{name}.jsonl")
        # The card's revision is checked against the file's as it is played.
        played = External(**card.params_for(name)).fit(Views(corpus), seed=0)
        assert (played.n_topics, played.model) == (k, "me")
    other = load_corpus(["cow barn"], name="c")
    with pytest.raises(InputError, match=r"its card has none for corpus 'c' \(mtmbench import"):
        External(**card.params_for("c")).fit(Views(other), seed=0)


def test_the_same_corpus_again_replaces_only_when_told(call: Call, tmp_path: Path) -> None:
    two_corpora(tmp_path)
    again = ("import", "a.npz", "--corpus", "./a.jsonl", "--name", "me")
    assert call(*again)[0] == 0
    before = (tmp_path / "imported" / "me.safetensors").read_bytes()
    card_before = (tmp_path / "imported" / "me.toml").read_bytes()
    assert call(*again)[0] == 0, "the same topics once more, as after a kill"
    assert (tmp_path / "imported" / "me.safetensors").read_bytes() == before
    assert (tmp_path / "imported" / "me.toml").read_bytes() == card_before
    np.savez(tmp_path / "a", theta=np.eye(2)[[0, 1] * 3], beta=np.full((2, 4), 0.25),
             words=["cow", "barn", "milk", "hay"])  # fmt: skip
    code, _, err = call(*again)
    assert code == 2
    assert "me.toml has other topics of corpus 'a' already" in err
    assert "--overwrite" in err
    assert (tmp_path / "imported" / "me.safetensors").read_bytes() == before
    assert call(*again, "--overwrite")[0] == 0
    card = read_card(tmp_path / "imported" / "me.toml", ModelCard)
    result = TopicResult.load(Path(str(card.corpus["a"]["path"])))
    np.testing.assert_array_equal(result.doc_topic, np.eye(2)[[0, 1] * 3])
    assert card.corpus["a"]["revision"] == result.revision


def test_import_overwrites_no_other_card_or_result(call: Call, tmp_path: Path) -> None:
    two_corpora(tmp_path)
    folder = tmp_path / "imported"
    folder.mkdir()
    (folder / "me.toml").write_text('model = "lda"\n')
    me = ("import", "a.npz", "--corpus", "./a.jsonl", "--name", "me")
    assert "is a card of model 'lda'" in call(*me)[2]
    (folder / "me.toml").unlink()
    (folder / "me.safetensors").write_bytes(b"something else")
    assert "me.safetensors holds other topics" in call(*me)[2]
    assert (folder / "me.safetensors").read_bytes() == b"something else"


def test_import_says_what_of_the_corpus_is_not_as_it_lies_there(call: Call, tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "0.txt").write_text("cow barn")
    (texts / "1.txt").write_text("milk hay")
    (texts / "meta.json").write_text("{}")
    np.savez(tmp_path / "me", theta=np.eye(2), beta=np.full((2, 2), 0.5), words=["cow", "hay"])
    code, _, err = call("import", "me.npz", "--corpus", "texts", "--name", "me")
    assert code == 0
    assert "not read: meta.json" in err


def test_import_takes_theta_and_says_what_never_occurs(call: Call, tmp_path: Path) -> None:
    from gensim.corpora import Dictionary
    from gensim.models import LdaModel

    from mtmbench.core.topic_result import TopicResult

    texts = [["australia", "prime_minister"], ["police", "bushfir"]] * 3
    dictionary = Dictionary(texts)
    model = LdaModel([dictionary.doc2bow(t) for t in texts], 2, dictionary, random_state=0)
    model.save(str(tmp_path / "lda.model"))
    theta = np.random.default_rng(0).dirichlet(np.ones(2), size=300)
    np.save(tmp_path / "theta.npy", theta)
    named = ("import", "lda.model", "--corpus", "lee", "--format", "gensim", "--trust")
    code, out, err = call(*named, "--name", "inferred")
    assert code == 0, err
    assert "2 of 4 items never occur in the texts as split here; θ is inferred" in out
    assert "documents have no weight on any topic" in out
    code, out, err = call(*named, "--name", "given", "--theta", "theta.npy")
    assert code == 0, err
    assert "1 of 4 items never occur in the texts (bushfir)\n" in out
    result = TopicResult.load(tmp_path / "imported" / "given.safetensors")
    np.testing.assert_allclose(result.doc_topic, theta, atol=1e-6)
