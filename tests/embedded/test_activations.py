"""The stored activations: resumption byte for byte, what is drawn, sentences by hand."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus
from mtmbench.embedded.training import activations
from mtmbench.embedded.training.activations import (
    Passage,
    document_passages,
    half_activations,
    hook_point_of,
    layer_of,
    load_activations,
    passages,
    read_passages,
    sentence_means,
    store_activations,
    write_passages,
)
from mtmbench.embedded.training.lm_text import held_out
from mtmbench.features.sae.backbone import ActivationBatch
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.features.sae.minilm import minilm_backbone, minilm_source
from mtmbench.features.sae.token_batches import TokenIds

pytest.importorskip("torch")

WORDS = [
    "The",
    "bank",
    "raised",
    "rates",
    "again",
    "today",
    ".",
    "Penguins",
    "feed",
    "on",
    "krill",
    "and",
    "nest",
    "on",
    "ice",
]


def _chunks(backbone: HuggingFaceBackbone, n: int = 7) -> list[list[int]]:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, rng.integers(3, 12))) for _ in range(n)]
    return [ids.tolist() for ids in backbone.tokenise(texts)]


class _KilledError(Exception):
    pass


class _KilledAfter(HuggingFaceBackbone):
    """MiniLM that is killed in the middle of a shard."""

    n_calls = 2

    def activations(
        self, chunks: Sequence[TokenIds], hook_points: Sequence[str], batch_tokens: int = 4096
    ) -> Iterator[ActivationBatch]:
        self.n_calls -= 1
        if self.n_calls < 0:
            raise _KilledError
        return super().activations(chunks, hook_points, batch_tokens)


def test_a_run_that_was_killed_goes_on_and_leaves_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activations, "SHARD_PASSAGES", 2)
    backbone = minilm_backbone()
    chunks = _chunks(backbone)
    store_activations(chunks, tmp_path / "whole", (5, 6), backbone)
    killed = _KilledAfter(minilm_source(), name=backbone.name, max_chunk_tokens=254)
    with pytest.raises(_KilledError):
        store_activations(chunks, tmp_path / "killed", (5, 6), killed)
    n_stored = sum(map(len, chunks[:4]))
    assert load_activations(tmp_path / "killed", 6).shape == (n_stored, 384)
    # What a kill in the middle of a write leaves behind lies beyond what is counted.
    with (tmp_path / "killed" / "layer6.f16").open("ab") as file:
        file.write(b"half a shard")

    store_activations(chunks, tmp_path / "killed", (5, 6), backbone)

    for name in ("layer5.f16", "layer6.f16", "stored.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    points = [hook_point_of(layer) for layer in (5, 6)]
    for first in range(0, len(chunks), 2):
        some = [np.array(chunk, np.int32) for chunk in chunks[first : first + 2]]
        begin = sum(map(len, chunks[:first]))
        for layer, point in zip((5, 6), points, strict=True):
            alone = half_activations(backbone, some, [point])[point]
            stored = load_activations(tmp_path / "whole", layer)[begin : begin + len(alone)]
            np.testing.assert_array_equal(stored, alone)


def test_other_passages_layers_or_precision_do_not_go_into_the_same_folder(tmp_path: Path) -> None:
    backbone = minilm_backbone()
    chunks = _chunks(backbone)
    store_activations(chunks, tmp_path, (6,), backbone)
    store_activations(chunks, tmp_path, (6,), backbone)
    half = HuggingFaceBackbone(minilm_source(), name=backbone.name, dtype="bfloat16")
    for other in ((chunks[1:], (6,), backbone), (chunks, (5, 6), backbone), (chunks, (6,), half)):
        with pytest.raises(InputError, match="holds activations of other"):
            store_activations(other[0], tmp_path, other[1], other[2])
    with pytest.raises(InputError, match="no activations of layer 5"):
        load_activations(tmp_path, 5)


def _write_text(folder: Path, texts: Sequence[str]) -> None:
    folder.mkdir()
    with gzip.open(folder / "a.jsonl.gz", "wt") as out:
        for number, text in enumerate(texts):
            out.write(json.dumps({"id": f"d{number}", "domain": "x", "text": text}) + "\n")


def test_pieces_of_documents_are_drawn_in_turns(tmp_path: Path) -> None:
    paragraph = "Penguins feed on krill and nest on the ice. " * 45
    texts = ["\n\n".join([f"Number {i}. {paragraph}"] * (1 + i % 3)) for i in range(12)]
    _write_text(tmp_path / "text", texts)
    backbone = minilm_backbone()
    known = [i for i in range(12) if not held_out(f"d{i}") and i != 4]
    n_pieces = sum(1 + i % 3 for i in known)

    with pytest.raises(InputError, match="tokens in passages"):
        list(passages(tmp_path / "text", 10**6, 0, backbone, {"d4"}))
    source = passages(tmp_path / "text", 10**6, 0, backbone, {"d4"})
    drawn = [next(source) for _ in range(n_pieces)]

    first_turn = [passage.doc_id for passage in drawn[: len(known)]]
    assert sorted(first_turn) == sorted(f"d{i}" for i in known)
    for passage in drawn:
        assert len(passage.tokens) in activations.PASSAGE_TOKENS
        assert passage.text.startswith("Number ")
        assert passage.text in texts[int(passage.doc_id[1:])]
    counts = {i: sum(p.doc_id == f"d{i}" for p in drawn) for i in known}
    assert counts == {i: 1 + i % 3 for i in known}
    again = passages(tmp_path / "text", 300, 0, backbone, {"d4"})
    some = list(again)
    assert some == drawn[: len(some)]
    assert sum(len(p.tokens) for p in some) >= 300 > sum(len(p.tokens) for p in some[:-1])


def test_passages_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    passage = Passage("a", "x", "Über\u2028uns", (4, 5), ((0, 4), (5, 8)))
    write_passages(tmp_path, [passage, passage], {"seed": 0})
    assert list(read_passages(tmp_path)) == [passage, passage]
    write_passages(tmp_path, [], {"seed": 0})
    assert len(list(read_passages(tmp_path))) == 2
    with pytest.raises(InputError, match=r"passages of \{'seed': 0\}, not \{'seed': 1\}"):
        write_passages(tmp_path, [], {"seed": 1})
    with pytest.raises(InputError, match=r"holds no passages\.jsonl"):
        list(read_passages(tmp_path / "nowhere"))


def test_whole_documents_come_in_chunks_that_say_where_their_tokens_stand() -> None:
    texts = ("  Rates rose. " + "The penguin nests on ice. " * 60, "Krill.")
    corpus = Corpus("c", ("a", "b"), texts, ("money", "sea"))
    backbone = minilm_backbone()
    found = list(document_passages(corpus, backbone))

    ids = backbone.tokenise(texts)
    assert [len(p.tokens) for p in found] == [254, len(ids[0]) - 254, len(ids[1])]
    assert [(p.doc_id, p.domain) for p in found] == [("a", "money"), ("a", "money"), ("b", "sea")]
    spans = backbone.spans(texts)
    words = [p.text[low:high] for p in found[:2] for low, high in p.offsets]
    assert words == [texts[0][low:high] for low, high in spans[0]]

    cut = list(document_passages(corpus, backbone, 260))
    assert [len(p.tokens) for p in cut] == [254, 6, len(ids[1])]
    assert cut[1].tokens == found[1].tokens[:6]


def test_the_layer_of_a_hook_point() -> None:
    assert [layer_of(hook_point_of(layer)) for layer in (1, 6, 12)] == [1, 6, 12]
    for point in ("blocks.5.hook_mlp_out", None):
        with pytest.raises(InputError, match=f"{point!r} is no layer's output"):
            layer_of(point)


def test_means_of_sentences_by_hand() -> None:
    text = "Rates rose. Banks fell hard! So"
    spans = ((0, 5), (6, 10), (10, 11), (12, 17), (18, 22), (23, 27), (27, 28), (29, 31))
    one = Passage("a", "x", text, tuple(range(8)), spans)
    two = Passage("b", "x", "Ice", (1,), ((0, 3),))
    values = np.arange(18, dtype=np.float16).reshape(9, 2) ** 2

    means, passage_of = sentence_means(values, [one, two])

    wanted = [values[0:3], values[3:7], values[7:8], values[8:9]]
    np.testing.assert_allclose(means, [rows.mean(axis=0) for rows in wanted], rtol=1e-3)
    assert passage_of.tolist() == [0, 0, 0, 1]
    # A store that ends inside the second passage has the sentences of the first.
    assert len(sentence_means(values[:8], [one, two])[0]) == 3
