"""The values from corpus to board: what they refuse, and that they keep what they hold."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from support.figures import bars_of, names_of, notes_of, spilt, title_of
from support.tables import shown_tables

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.serialise import canonical_json, content_hash, plain, seed_from, write_atomically
from mtmbench.core.topic_result import TopicResult
from mtmbench.core.types import Corpus, Counts, EncoderParams, ItemSpace, Views

CORPUS = Corpus("c", ("a", "b", "c"), ("one", "two", "three"), labels=("x", None, "y"))


def counts() -> Counts:
    return Counts(
        kind="features",
        matrix=csr_matrix(np.array([[1, 0, 2], [0, 3, 0], [4, 0, 0]], dtype=np.int32)),
        n_tokens=np.array([5, 6, 7]),
        item_ids=("10", "20", "30"),
        item_labels=("ten", "twenty", "thirty"),
        source={"sae_hash": "h", "filters": {"grammar": 2}},
        directions=np.arange(6, dtype=np.float32).reshape(3, 2),
        encoder=EncoderParams(
            np.arange(6, dtype=np.float32).reshape(2, 3),
            np.array([0.1, 0.2, 0.3], dtype=np.float32),
            np.zeros(2, dtype=np.float32),
            2.0,
        ),
        activation=csr_matrix(np.array([[0.1, 0, 0.2], [0, 0.3, 0], [0.4, 0, 0]])),
    )


def resave(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Writes a saved result again with other metadata."""
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    with safe_open(path, framework="numpy") as file:
        metadata = json.loads(file.metadata()["mtmbench"])
    change(metadata)
    save_file(load_file(path), path, metadata={"mtmbench": json.dumps(metadata)})


class TestCorpus:
    def test_revision_is_of_everything_that_can_change_a_result(self) -> None:
        same = Corpus("other name", CORPUS.doc_ids, CORPUS.texts, CORPUS.labels, n_empty=3)
        assert same.revision == CORPUS.revision
        assert len(CORPUS.revision) == 32
        changed = [
            Corpus("c", ("a", "b", "d"), CORPUS.texts, CORPUS.labels),
            Corpus("c", CORPUS.doc_ids, ("one", "two", "four"), CORPUS.labels),
            Corpus("c", CORPUS.doc_ids, CORPUS.texts, ("x", "x", "y")),
            Corpus("c", CORPUS.doc_ids, CORPUS.texts, CORPUS.labels, split=("t",) * 3),
            Corpus("c", CORPUS.doc_ids, CORPUS.texts, CORPUS.labels, pretokenised=True),
            Corpus("c", CORPUS.doc_ids, CORPUS.texts),
        ]
        assert len({CORPUS.revision, *(corpus.revision for corpus in changed)}) == 7

    def test_select_keeps_rows_together(self) -> None:
        chosen = CORPUS.select([2, 0])
        assert chosen.doc_ids == ("c", "a")
        assert chosen.texts == ("three", "one")
        assert chosen.labels == ("y", "x")
        assert (CORPUS.n_labels, chosen.n_labels, CORPUS.select([1]).n_labels) == (2, 2, 0)

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"doc_ids": (), "texts": ()}, "has no documents"),
            ({"doc_ids": ("a",), "texts": ("x", "y")}, "1 doc_ids for 2 texts"),
            ({"doc_ids": ("a", "a"), "texts": ("x", "y")}, "ids are not unique"),
            ({"doc_ids": ("a",), "texts": ("x",), "labels": ()}, "0 labels for 1 texts"),
            ({"doc_ids": ("a",), "texts": ("x",), "split": ("s", "t")}, "2 split for 1 texts"),
        ],
    )
    def test_refusals(self, fields: dict[str, tuple[str, ...]], message: str) -> None:
        with pytest.raises(InputError, match=message):
            Corpus("c", **fields)  # type: ignore[arg-type]


class TestCounts:
    def test_every_column_wise_part_is_filtered_together(self) -> None:
        kept = counts().select_items(np.array([2, 0]), filters={"rare": 1})
        assert kept.item_ids == ("30", "10")
        assert kept.item_labels == ("thirty", "ten")
        np.testing.assert_array_equal(kept.matrix.toarray(), [[2, 1], [0, 0], [0, 4]])
        assert kept.directions is not None
        np.testing.assert_array_equal(kept.directions, [[4, 5], [0, 1]])
        assert kept.encoder is not None
        np.testing.assert_array_equal(kept.encoder.weight, [[2, 0], [5, 3]])
        np.testing.assert_allclose(kept.encoder.bias, [0.3, 0.1])
        assert kept.encoder.input_scale == 2.0
        assert kept.activation is not None
        np.testing.assert_allclose(kept.activation.toarray(), [[0.2, 0.1], [0, 0], [0, 0.4]])
        assert kept.source["filters"] == {"grammar": 2, "rare": 1}
        assert counts().source["filters"] == {"grammar": 2}

    def test_documents_are_selected_in_every_row_wise_part(self) -> None:
        kept = counts().select_docs(np.array([2, 1]))
        np.testing.assert_array_equal(kept.n_tokens, [7, 6])
        np.testing.assert_array_equal(kept.matrix.toarray(), [[4, 0, 0], [0, 3, 0]])
        assert kept.activation is not None
        np.testing.assert_allclose(kept.activation.toarray(), [[0.4, 0, 0], [0, 0.3, 0]])
        assert kept.item_ids == counts().item_ids

    def test_refusals(self) -> None:
        matrix = csr_matrix((2, 3), dtype=np.int32)
        with pytest.raises(InputError, match="3 columns but 2 item ids"):
            Counts("words", matrix, np.array([1, 1]), ("a", "b"), ("a", "b"))
        with pytest.raises(InputError, match="2 rows but 1 token counts"):
            Counts("words", matrix, np.array([1]), ("a", "b", "c"), ("a", "b", "c"))

    def test_revision_does_not_depend_on_how_the_matrix_is_stored(self) -> None:
        unsorted = counts()
        unsorted.matrix.indices[:2] = unsorted.matrix.indices[:2][::-1].copy()
        unsorted.matrix.data[:2] = unsorted.matrix.data[:2][::-1].copy()
        unsorted.matrix.has_sorted_indices = False
        assert unsorted.revision == counts().revision


class TestViews:
    def test_a_view_is_made_once_and_only_when_asked_for(self) -> None:
        made = []

        def make() -> Counts:
            made.append(1)
            return counts()

        views = Views(CORPUS, features=make)
        assert made == []
        assert views.features is views.features
        assert made == [1]
        assert views.words is None
        with pytest.raises(InputError, match="model 'lda' needs the words view of corpus 'c'"):
            views.require("words", "lda")

    def test_selected_documents_keep_their_items(self) -> None:
        embeddings = np.eye(3, dtype=np.float32)
        chosen = Views(
            CORPUS, features=counts(), embeddings=embeddings, word_embeddings=2 * embeddings
        ).select_docs([1])
        assert chosen.corpus.doc_ids == ("b",)
        assert chosen.features is not None
        assert chosen.features.matrix.toarray().tolist() == [[0, 3, 0]]
        assert chosen.embeddings is not None
        assert chosen.embeddings.tolist() == [[0, 1, 0]]
        assert chosen.require("word_embeddings", "top2vec").tolist() == (2 * embeddings).tolist()
        assert chosen.words is None

    def test_selecting_documents_makes_no_view(self) -> None:
        made = []

        def make() -> Counts:
            made.append(1)
            return counts()

        chosen = Views(CORPUS, words=make, features=make).select_docs([2, 0])
        assert made == []
        assert chosen.words is not None
        assert chosen.words.matrix.toarray().tolist() == counts().matrix[[2, 0]].toarray().tolist()
        assert made == [1]


def result(**changes: object) -> TopicResult:
    fields: dict[str, object] = {
        "model": "lda",
        "params": {"n_topics": 2},
        "params_given": {},
        "seed": 3,
        "doc_topic": np.array([[0.5, 0.5], [1, 0], [0, 0]], dtype=np.float32),
        "topic_item": np.array([[0.2, 0.2, 0.6], [1, 0, 0]], dtype=np.float32),
        "items": ItemSpace("words", ("a", "b", "c"), ("A", "B", "C"), {"from": "test"}),
        "corpus": {"name": "c", "revision": CORPUS.revision},
        "outlier": np.array([False, False, True]),
        "summaries": ("first", "second"),
        "info": {"iterations": 5},
    }
    return TopicResult(**{**fields, **changes})  # type: ignore[arg-type]


class TestTopicResult:
    def test_a_saved_result_is_the_same_when_loaded(self, tmp_path: Path) -> None:
        given = result(shown_item=np.array([[0, 0, 1], [1, 0, 0]], dtype=np.float32))
        given.save(tmp_path / "r.safetensors")
        loaded = TopicResult.load(tmp_path / "r.safetensors")
        assert loaded.revision == given.revision
        for name in ("model", "params", "params_given", "seed", "corpus", "info", "summaries"):
            assert getattr(loaded, name) == getattr(given, name), name
        assert loaded.items == given.items
        for name in ("doc_topic", "topic_item", "shown_item", "outlier"):
            np.testing.assert_array_equal(getattr(loaded, name), getattr(given, name))
            assert getattr(loaded, name).dtype == getattr(given, name).dtype

    def test_a_damaged_or_foreign_file_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "r.safetensors"
        result().save(path)
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(InputError, match=r"r\.safetensors"):
            TopicResult.load(path)

    def test_top_items_break_ties_by_column_and_leave_out_zeros(self) -> None:
        assert result().top_items(2) == [[2, 0], [0]]
        assert result().top_labels(3) == [["C", "A", "B"], ["A"]]
        shown = np.array([[0, 3, 1], [0, 0, 2]], dtype=np.float32)
        assert result(shown_item=shown).top_labels(3) == [["B", "C"], ["C"]]

    def test_top_items_are_the_first_of_all_items_sorted(self) -> None:
        rng = np.random.default_rng(0)
        drawn = rng.integers(0, 5, size=(2, 40)) * rng.integers(0, 2, size=(2, 40))
        given = result(
            shown_item=drawn.astype(np.float32),
            topic_item=np.full((2, 40), 1 / 40, np.float32),
            items=ItemSpace("words", tuple(map(str, range(40))), tuple(map(str, range(40)))),
        )
        for n in (0, 1, 7, 39, 40, 50):
            expected = [
                sorted(np.flatnonzero(row).tolist(), key=lambda i: (-row[i], i))[:n]
                for row in drawn
            ]
            assert given.top_items(n) == expected

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"topic_item": np.ones((2, 2), np.float32) / 2}, r"expected \(K, V\) = \(2, 3\)"),
            ({"doc_topic": np.array([[0.7, 0.7]], np.float32), "outlier": None}, "one sums to 1.4"),
            ({"topic_item": -np.ones((2, 3), np.float32)}, "negative or non-finite"),
            ({"outlier": np.array([True])}, "outlier has shape"),
            ({"summaries": ("one",)}, "1 summaries for 2 topics"),
            (
                {
                    "doc_topic": np.zeros((3, 0), np.float32),
                    "topic_item": np.zeros((0, 3), np.float32),
                },
                "found no topic",
            ),
        ],
    )
    def test_refusals(self, changes: dict[str, object], message: str) -> None:
        with pytest.raises(InputError, match=message):
            result(**changes)

    def test_shares_are_means_over_all_documents(self) -> None:
        theta = np.array([[0.5, 0.5], [0, 0], [1, 0]], dtype=np.float32)
        assert result(doc_topic=theta, outlier=None).shares.tolist() == [0.5, 1 / 6]

    def test_it_says_what_it_is_in_a_line(self) -> None:
        given = result()
        assert repr(given) == "TopicResult(lda, K = 2, 3 documents of c)"

    def test_a_notebook_shows_topics_share_and_top_items_escaped(self) -> None:
        items = ItemSpace("features", ("1", "2", "3"), ("<script>x()</script>", "b & c", "C"))
        given = result(items=items, model="<i>m</i>")
        (table,) = shown_tables(given._repr_html_())
        assert table.caption == "<i>m</i> · K = 2 · 3 documents of c"
        (first, second) = given.doc_topic.mean(axis=0)
        assert table.rows == [
            ["topic", "share", "top items"],
            ["0", f"{first:.3f}", "C, <script>x()</script>, b & c"],
            ["1", f"{second:.3f}", "<script>x()</script>"],
        ]

    def test_topics_are_drawn_largest_first_with_their_items(self) -> None:
        theta = np.array([[0.1, 0.6, 0.3], [0.2, 0.5, 0.3], [0.0, 0.0, 0.0]], dtype=np.float32)
        beta = np.array([[1, 0, 0], [0.2, 0.3, 0.5], [0, 1, 0]], dtype=np.float32)
        items = ItemSpace("words", ("1", "2", "3"), ("$a$", "<b>", "c"))
        given = result(doc_topic=theta, topic_item=beta, items=items, summaries=None)
        figure = given.plot_topics(2)
        bars, beside = figure.axes
        names = names_of(figure)
        assert names == ["topic 1", "topic 2", "topic 0"]
        assert bars_of(bars, names) == {f"topic {k}": given.shares[k] for k in range(3)}
        assert [text.get_text() for text in beside.texts] == ["c, <b>", "<b>", r"\$a\$"]
        assert title_of(figure) == "lda · K = 3 · 3 documents of c"
        assert "33 % of documents have no topic." in notes_of(figure)
        largest = given.plot_topics(most=1)
        assert names_of(largest) == ["topic 1"]
        assert "The 1 largest of 3 topics, 37 % of all mass." in notes_of(largest)
        assert spilt(figure) == spilt(largest) == []
        for name in ("n", "most"):
            with pytest.raises(InputError, match=f"{name} must be a whole number of .* 1, not 0"):
                given.plot_topics(**{name: 0})

    def test_single_flipped_bits_of_a_saved_result_are_never_read(self, tmp_path: Path) -> None:
        path = tmp_path / "r.safetensors"
        result(info={"iterations": 30, "note": "a longer text " * 20}).save(path)
        whole, expected = path.read_bytes(), TopicResult.load(path)
        rng = np.random.default_rng(2)
        refused = 0
        for _ in range(200):
            data = bytearray(whole)
            data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
            path.write_bytes(bytes(data))
            try:
                found = TopicResult.load(path)
                assert (found.revision, found.info) == (expected.revision, expected.info)
            except InputError:
                refused += 1
        assert refused > 150

    def test_a_result_without_a_checksum_is_of_an_earlier_release(self, tmp_path: Path) -> None:
        path = tmp_path / "r.safetensors"
        result().save(path)
        resave(path, lambda metadata: metadata.pop("checksum"))
        assert TopicResult.load(path).revision == result().revision

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda m: m.pop("items"), "it has no 'items'"),
            (lambda m: m.update(items=[]), "list"),
            (lambda m: m.update(items={**m["items"], "kind": "letters"}), "of kind 'letters'"),
            (lambda m: m.update(items={**m["items"], "ids": [1, 2, 3]}), "ids holds something"),
            (lambda m: m["items"].update(labels=["\ud800", "b", "c"]), "surrogates"),
            (lambda m: m.update(seed="x" * 9000), "seed is 'xxx"),
            (lambda m: m.update(corpus=7), "corpus is 7, which is no dict"),
            (lambda m: m.update(info=functools.reduce(lambda a, _: [a], range(500), {})), "nested"),
        ],
    )
    def test_metadata_of_another_kind_is_an_error_of_one_line(
        self, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
    ) -> None:
        path = tmp_path / "r.safetensors"
        result().save(path)
        resave(path, lambda metadata: metadata.pop("checksum"))
        resave(path, change)
        with pytest.raises(InputError, match=f"r.safetensors is not a whole .*{message}") as told:
            TopicResult.load(path)
        assert len(str(told.value).splitlines()) == 1
        assert len(str(told.value)) < 400

    def test_weights_are_matrices_of_real_numbers(self) -> None:
        given = result()
        for wrong in (given.doc_topic.astype(np.complex64), given.doc_topic[0]):
            with pytest.raises(InputError, match="doc_topic must be a matrix of real numbers, not"):
                replace(given, doc_topic=wrong)

    def test_the_corpus_is_checked_where_the_result_names_one(self) -> None:
        result(corpus={"name": "c", "revision": CORPUS.revision}).check_corpus(CORPUS)
        result(corpus={}).check_corpus(CORPUS)
        with pytest.raises(InputError, match="fitted on corpus 'lee' of revision 7, not on 'c'"):
            result(corpus={"name": "lee", "revision": "7"}).check_corpus(CORPUS)


class TestSerialise:
    def test_canonical_json_is_one_form(self) -> None:
        first = {"b": [1, np.float32(0.5), (2,)], "a": {"é", "e"}, "p": Path("x/y"), "t": np.True_}
        assert canonical_json(first) == '{"a":["e","é"],"b":[1,0.5,[2]],"p":"x/y","t":true}'

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan")])
    def test_what_is_not_finite_has_no_form(self, value: float) -> None:
        with pytest.raises(ValueError, match="a missing value is null with a reason"):
            plain({"value": value})

    def test_unknown_objects_are_refused(self) -> None:
        with pytest.raises(TypeError, match="object has no JSON form"):
            plain([object()])

    def test_hashes_tell_shapes_types_and_boundaries_apart(self) -> None:
        array = np.arange(6, dtype=np.int32)
        hashes = {
            content_hash(array),
            content_hash(array.reshape(2, 3)),
            content_hash(array.astype(np.int64)),
            content_hash(csr_matrix(array.reshape(2, 3))),
            content_hash("ab", "c"),
            content_hash("a", "bc"),
            content_hash(b"ab"),
        }
        assert len(hashes) == 7
        assert content_hash(np.asfortranarray(array.reshape(2, 3))) == content_hash(
            array.reshape(2, 3)
        )

    def test_seeds_are_stable_over_machines(self) -> None:
        assert seed_from("bootstrap", 0) == int(content_hash("bootstrap", 0)[:8], 16)
        assert seed_from("bootstrap", 0) != seed_from("bootstrap", 1)
        assert 0 <= seed_from("x") < 2**32

    def test_a_file_is_written_whole_or_not_at_all(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "new" / "file.txt"
        write_atomically(path, "first")

        def fail(*args: object) -> None:
            raise OSError("disk full")

        monkeypatch.setattr("os.replace", fail)
        with pytest.raises(OSError, match="disk full"):
            write_atomically(path, "second")
        assert path.read_text() == "first"
        assert list(path.parent.iterdir()) == [path]


def test_an_unknown_name_error_survives_pickling() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(UnknownNameError("model", "ldaa", ["lda"])))
    assert str(error) == "unknown model 'ldaa'; did you mean 'lda'?"
