"""Control vectors read back by package gguf, as repeng and llama.cpp would."""

from __future__ import annotations

import numpy as np
import pytest

from mtmbench.core.errors import InputError
from mtmbench.steering.gguf_file import control_layer, export_gguf, read_gguf
from mtmbench.steering.vector import Origin, SteeringVector

gguf = pytest.importorskip("gguf")


def vector(hook_point="blocks.3.hook_resid_post"):
    numbers = np.random.default_rng(0).standard_normal(16)
    return 2.5 * SteeringVector.of(numbers, Origin("m", "hash", hook_point))


def test_read_back(tmp_path):
    made = vector()
    path = tmp_path / "deep" / "v.gguf"
    assert export_gguf(made, path, model_type="llama") == 3
    kind, directions = read_gguf(path)
    assert (kind, list(directions)) == ("llama", [3])
    np.testing.assert_array_equal(directions[3], made.value.astype(np.float32))
    assert [file.name for file in path.parent.iterdir()] == ["v.gguf"]


def test_the_fields_are_those_that_repeng_writes(tmp_path):
    export_gguf(vector("blocks.3.hook_resid_pre"), tmp_path / "v.gguf", model_type="gpt2")
    reader = gguf.GGUFReader(tmp_path / "v.gguf")
    assert reader.get_field("general.architecture").contents() == "controlvector"
    assert reader.get_field("controlvector.model_hint").contents() == "gpt2"
    assert reader.get_field("controlvector.layer_count").contents() == 1
    assert [(t.name, t.tensor_type.name) for t in reader.tensors] == [("direction.2", "F32")]


@pytest.mark.parametrize(
    ("hook_point", "layer"), [("blocks.0.hook_resid_post", 0), ("blocks.7.hook_resid_pre", 6)]
)
def test_layers(hook_point, layer):
    assert control_layer(hook_point) == layer


@pytest.mark.parametrize(
    "hook_point", ["blocks.0.hook_resid_pre", "blocks.1.hook_mlp_out", "layers.1"]
)
def test_other_places_are_no_control_vectors(hook_point):
    with pytest.raises(InputError, match=f"'{hook_point}' is none"):
        control_layer(hook_point)


def test_other_files_are_named(tmp_path):
    (tmp_path / "v.gguf").write_bytes(b"no such thing, but longer than a magic number")
    with pytest.raises(InputError, match=r"v\.gguf is not a control vector"):
        read_gguf(tmp_path / "v.gguf")
    writer = gguf.GGUFWriter(tmp_path / "w.gguf", "llama")
    writer.add_string("controlvector.model_hint", "llama")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(InputError, match=r"w\.gguf holds a 'llama', not a control vector"):
        read_gguf(tmp_path / "w.gguf")


def test_a_damaged_header_is_an_input_error_or_read(tmp_path):
    """Any one bit of the header, two fields that get one name among them."""
    path = tmp_path / "v.gguf"
    export_gguf(vector(), path, model_type="llama")
    whole = path.read_bytes()
    refused = 0
    for place in range(200):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            read_gguf(path)
        except InputError:
            refused += 1
    assert refused > 50
