"""The activation store: counts by brute force, resumption, refusals, bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.features.sae.activation_store import (
    ActivationStore,
    CountStore,
    ShardStore,
    document_runs,
)
from mtmbench.features.sae.shards import Shard

F = 40
N_TOKENS = np.array([7, 0, 30, 12, 1, 25, 3])


def activations() -> list[np.ndarray]:
    """Dense (tokens, F) activations of each document, exact in fp16."""
    rng = np.random.default_rng(0)
    dense = []
    for n in N_TOKENS:
        values = rng.integers(1, 200, size=(n, F)) / 16
        dense.append((values * (rng.random((n, F)) < 0.2)).astype(np.float32))
    return dense


def shard_of(store: ShardStore, number: int, seed: int = 0) -> Shard:
    """The shard's entries, in a random order."""
    first, last = store.shards[number]
    dense = np.concatenate(activations()[first:last])
    tokens, features = np.nonzero(dense)
    order = np.random.default_rng(seed).permutation(len(tokens))
    documents = np.repeat(np.arange(first, last), N_TOKENS[first:last])
    return Shard.of(documents, tokens[order], features[order], dense[tokens, features][order])


def make(folder: Path, **identity: str) -> ActivationStore:
    return ActivationStore(folder, {"model": "m", **identity}, F, N_TOKENS, shard_tokens=32)


def fill(store: ActivationStore, seed: int = 0) -> ActivationStore:
    for number in store.missing():
        store.write(number, shard_of(store, number, seed))
    return store


def test_counts_at_any_threshold_are_those_of_the_dense_activations(tmp_path: Path):
    store = fill(make(tmp_path / "store"))
    assert len(store.shards) > 2
    rng = np.random.default_rng(1)
    thresholds = [np.zeros(F, np.float32), rng.uniform(0, 12, F).astype(np.float32)]
    thresholds.append(np.full(F, 100 / 16, np.float32))  # equal to some values: strictly greater
    for limits, found in zip(thresholds, store.counts(thresholds), strict=True):
        expected = np.stack([(dense > limits).sum(axis=0) for dense in activations()])
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found.toarray(), expected)


def test_mean_activation_is_over_all_tokens_of_a_document(tmp_path: Path):
    store = fill(make(tmp_path / "store"))
    expected = np.stack([d.sum(axis=0) / max(len(d), 1) for d in activations()])
    np.testing.assert_allclose(store.mean_activation().toarray(), expected, rtol=1e-6)


def test_bytes_do_not_depend_on_the_order_in_which_entries_came(tmp_path: Path):
    first, second = fill(make(tmp_path / "a")), fill(make(tmp_path / "b"), seed=5)
    names = sorted(path.name for path in first.folder.iterdir())
    assert len(names) == len(first.shards) + 1
    for name in names:
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()


def test_a_killed_extraction_goes_on_at_the_missing_shards(tmp_path: Path):
    store = make(tmp_path / "store")
    store.write(0, shard_of(store, 0))
    (store.folder / "shard-00001.partial").write_bytes(b"half written")
    again = make(tmp_path / "store")
    assert again.missing() == list(range(1, len(store.shards)))
    with pytest.raises(InputError, match=r"cannot read the activations in .*shard-00001"):
        again.counts([np.zeros(F, np.float32)])
    fill(again)
    assert again.missing() == []
    again.counts([np.zeros(F, np.float32)])


def test_shards_are_lists_of_a_row_for_each_token(tmp_path: Path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    store = fill(make(tmp_path / "store"))
    table = pq.read_table(store.folder / "shard-00000.parquet")
    first, last = store.shards[0]
    assert table.num_rows == N_TOKENS[first:last].sum()
    assert table.schema.field("values").type == pa.list_(pa.field("element", pa.float16()))
    dense = np.concatenate(activations()[first:last])
    for row, record in enumerate(table.to_pylist()):
        assert record["features"] == np.flatnonzero(dense[row]).tolist()
        assert record["values"] == dense[row][dense[row] > 0].tolist()


def test_other_stores_and_damage_are_refused(tmp_path: Path):
    store = fill(make(tmp_path / "store"))
    with pytest.raises(InputError, match="of another corpus, model, SAE or setting"):
        make(tmp_path / "store", sae="other")
    other = make(tmp_path / "other", sae="other")
    path = store.folder / "shard-00000.parquet"
    (other.folder / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="not shard 0 of this store"):
        other.read(0)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="cannot read the activations"):
        store.read(0)


def test_single_flipped_bits_of_a_shard_are_never_read(tmp_path: Path):
    store = fill(make(tmp_path / "store"))
    path = store.folder / "shard-00001.parquet"
    whole, expected = path.read_bytes(), store.read(1)
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(150):
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(data))
        try:
            assert store.read(1).checksum == expected.checksum
        except InputError:
            refused += 1
    assert refused > 75


def test_pages_carry_checksums_for_other_readers(tmp_path: Path):
    import pyarrow.parquet as pq

    store = fill(make(tmp_path / "store"))
    path = store.folder / "shard-00001.parquet"
    data = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(0).column(2).data_page_offset
    data[start + 60] ^= 4
    path.write_bytes(bytes(data))
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(path, page_checksum_verification=True)


def test_a_shard_of_an_earlier_release_is_checked_by_what_the_store_knows(tmp_path: Path):
    import pyarrow.parquet as pq

    store = fill(make(tmp_path / "store"))
    path = store.folder / "shard-00000.parquet"
    table = pq.read_table(path)
    expected = store.read(0)

    def write(changed: object) -> None:
        head = f'{{"store": "{store.key}", "shard": 0}}'
        pq.write_table(changed.replace_schema_metadata({"mtmbench": head}), path)  # type: ignore[attr-defined]

    write(table)
    assert store.read(0).checksum == expected.checksum
    write(table.slice(1))
    with pytest.raises(InputError, match="they are not what was written"):
        store.read(0)


@pytest.mark.filterwarnings("ignore:cache file")
@pytest.mark.parametrize("kind", ["activations", "counts"])
def test_a_damaged_shard_is_made_anew_where_that_can_be_done(tmp_path: Path, kind: str):
    levels = np.zeros((1, F), np.float32)
    if kind == "activations":
        store: ShardStore = make(tmp_path / "store")
    else:
        store = CountStore(tmp_path / "store", {}, F, N_TOKENS, levels, shard_tokens=32)
    for number in store.missing():
        store.write(number, shard_of(store, number))
    expected = store.counts(levels)[0].toarray()
    path = sorted(store.folder.glob("shard-00001.*[ts]"))[0]
    whole = path.read_bytes()
    made: list[int] = []

    def remake(number: int) -> None:
        made.append(number)
        store.write(number, shard_of(store, number))

    for damaged in (whole[:-9], whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], b""):
        path.write_bytes(damaged)
        store.remake = None
        with pytest.raises(InputError, match="cannot read the"):
            store.counts(levels)
        store.remake = remake
        with pytest.warns(UserWarning, match="made anew"):
            np.testing.assert_array_equal(store.counts(levels)[0].toarray(), expected)
        assert path.read_bytes() == whole
    assert made == [1, 1, 1]


def test_wrong_shards_are_refused(tmp_path: Path):
    store = make(tmp_path / "store")
    with pytest.raises(InputError, match=r"shard 1 holds the .* tokens of documents"):
        store.write(1, shard_of(store, 0))
    shard = shard_of(store, 0)
    wide = Shard(shard.documents, shard.starts, shard.features + F, shard.values)
    with pytest.raises(InputError, match="the store has 40"):
        store.write(0, wide)


def test_values_beyond_fp16_are_clipped_and_those_below_it_left_out():
    shard = Shard.of(np.zeros(1), np.zeros(3, int), np.arange(3), np.array([1e6, 1e-9, 1.0]))
    assert shard.features.tolist() == [0, 2]
    assert shard.values.tolist() == [65504.0, 1.0]


def test_runs_cover_all_documents_within_the_limit():
    lengths = np.random.default_rng(0).integers(0, 50, 200)
    runs = document_runs(lengths, 100)
    assert [a for a, _ in runs[1:]] == [b for _, b in runs[:-1]]
    assert (runs[0][0], runs[-1][1]) == (0, 200)
    assert all(lengths[a:b].sum() <= 100 or b - a == 1 for a, b in runs)
    assert document_runs(np.array([500]), 100) == [(0, 1)]


def test_a_store_of_counts_has_those_of_the_store_of_activations(tmp_path: Path):
    store = fill(make(tmp_path / "store"))
    levels = np.stack([np.zeros(F), np.linspace(0, 12, F)]).astype(np.float32)
    counted = CountStore(tmp_path / "counts", {}, F, N_TOKENS, levels, shard_tokens=32)
    for number in counted.missing():
        counted.write(number, shard_of(store, number))
    for found, expected in zip(
        counted.counts(levels[::-1]), store.counts(levels[::-1]), strict=True
    ):
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found.toarray(), expected.toarray())
    found = counted.mean_activation()
    np.testing.assert_array_equal(found.toarray(), store.mean_activation().toarray())
    with pytest.raises(InputError, match="only a store of activations has them all"):
        counted.counts([np.ones(F, np.float32)])
    with pytest.raises(InputError, match="of another corpus, model, SAE or setting"):
        CountStore(tmp_path / "counts", {}, F, N_TOKENS, levels[:1], shard_tokens=32)
    path = counted.folder / "shard-00001.safetensors"
    path.write_bytes((counted.folder / "shard-00000.safetensors").read_bytes())
    with pytest.raises(InputError, match="not shard 1 of this store"):
        counted.counts(levels)


def test_a_claimed_shard_is_left_to_its_claimant(tmp_path: Path):
    store, other = make(tmp_path / "store"), make(tmp_path / "store")
    with store.claimed(1, wait=False) as mine:
        assert mine
        with other.claimed(1, wait=False) as theirs:
            assert not theirs
        with other.claimed(0, wait=False) as theirs:
            assert theirs
    with other.claimed(1, wait=True) as theirs:
        assert theirs
