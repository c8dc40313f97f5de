"""Steering vectors as control vectors of repeng and llama.cpp, in GGUF (extra ``gguf``).

A control vector is added to the output of a block. repeng and llama.cpp count blocks from 0, so
that ``direction.3`` is what ``blocks.3.hook_resid_post`` sees; llama.cpp reads no ``direction.0``.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.core.types import FloatArray
from mtmbench.steering.vector import SteeringVector

ARCHITECTURE = "controlvector"
_RESIDUAL = re.compile(r"blocks\.(\d+)\.hook_resid_(pre|post)")


def export_gguf(vector: SteeringVector, path: Path, *, model_type: str) -> int:
    """Writes ``scale · direction`` as a control vector; returns the block that it is for.

    Args:
        vector: a vector at the input or output of a block.
        path: the file to write, whole or not at all.
        model_type: the ``model_type`` of the language model's config, which llama.cpp compares.

    Raises:
        InputError: the hook point is another place, or package gguf is not installed.
    """
    gguf = package()
    layer = control_layer(vector.origin.hook_point)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        writer = gguf.GGUFWriter(temporary, ARCHITECTURE)
        writer.add_string(f"{ARCHITECTURE}.model_hint", model_type)
        writer.add_uint32(f"{ARCHITECTURE}.layer_count", 1)
        writer.add_tensor(f"direction.{layer}", vector.value.astype(np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return layer


def read_gguf(path: Path) -> tuple[str, dict[int, FloatArray]]:
    """Reads a control vector: the model type, and by block what is added to its output.

    Raises:
        InputError: the file is no control vector, or package gguf is not installed.
    """
    gguf = package()
    try:
        reader = gguf.GGUFReader(path)
        named = {
            name: reader.get_field(name)
            for name in ("general.architecture", f"{ARCHITECTURE}.model_hint")
        }
        architecture, hint = (field.contents() for field in named.values())
        directions = {
            int(tensor.name.partition(".")[2]): np.array(tensor.data, np.float32)
            for tensor in reader.tensors
            if tensor.name.startswith("direction.")
        }
    except Exception as error:  # the package raises whatever a damaged file leads to
        raise InputError(f"{path} is not a control vector in GGUF: {error}") from error
    if architecture != ARCHITECTURE:
        raise InputError(f"{path} holds a {architecture!r}, not a control vector")
    return str(hint), directions


def control_layer(hook_point: str) -> int:
    """Returns the block whose output a hook point sees.

    Raises:
        InputError: it is not the residual stream between blocks.
    """
    match = _RESIDUAL.fullmatch(hook_point)
    layer = -1 if match is None else int(match.group(1)) - (match.group(2) == "pre")
    if layer < 0:
        raise InputError(
            f"a control vector is added to the output of a block; {hook_point!r} is none"
        )
    return layer


def package() -> ModuleType:
    """Returns the package gguf.

    Raises:
        InputError: it is not installed; the extra is named.
    """
    try:
        import gguf
    except ImportError as error:
        raise InputError("GGUF files need package gguf: pip install 'mtmbench[gguf]'") from error
    return gguf
