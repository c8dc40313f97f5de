"""``mtmbench import``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.commands import Call


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
    from mtmbench.core.topic_result import TopicResult
    from mtmbench.corpora.load import load_corpus

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
