"""Gemma Scope's own files: a folder ``layer_12/width_16k/average_l0_82`` with ``params.npz``.

Lieberum et al. 2024 (arXiv:2408.05147), JumpReLU on the residual stream, on what attention or on
what the MLP adds: ``x @ W_enc + b_enc`` where it is above ``threshold``, else 0; ``b_dec`` is not
subtracted. The file says nothing of model and hook point; the paths of its repositories do, and
are read as sae-lens reads them.
"""

from __future__ import annotations

import re
from pathlib import Path

from mtmbench.core.errors import InputError
from mtmbench.core.files import read_npz
from mtmbench.core.types import AnyArray
from mtmbench.features.sae.sae_config import SAEConfig, SAEMetadata

PARAMS = "params.npz"
_CONTEXT_SIZE = 1024
_SITES = {"res": "hook_resid_post", "mlp": "hook_mlp_out", "att": "attn.hook_z"}
_REPOSITORY = re.compile(r"gemma-scope-([0-9]+b)-(pt|it)-(res|mlp|att)\b")


def read_gemma_scope(path: Path) -> tuple[SAEConfig, dict[str, AnyArray]]:
    """Reads a ``params.npz``; returns the SAE's settings and its arrays by their usual names.

    Raises:
        InputError: the file is damaged, or has no (H, F) W_enc.
    """
    arrays = {re.sub("^w_", "W_", name): array for name, array in read_npz(path).items()}
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            raise InputError(f"{path}: {name} holds {array.dtype}; real numbers are expected")
    w_enc = arrays.get("W_enc")
    if w_enc is None or w_enc.ndim != 2:
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "nothing"
        raise InputError(
            f"{path}: a Gemma Scope file has W_enc (inputs, features), W_dec, b_enc, b_dec and "
            f"threshold; this one has {found}"
        )
    n_inputs, n_features = w_enc.shape
    return SAEConfig(
        architecture="jumprelu", n_inputs=n_inputs, n_features=n_features, k=None,
        normalisation="none", subtract_b_dec=False, rescaled=False, metadata=_metadata(path),
    ), arrays  # fmt: skip


def _metadata(path: Path) -> SAEMetadata:
    """What Gemma Scope's SAEs share, and model and hook point where the path tells them."""
    said: SAEMetadata = {"prepend_bos": True, "context_size": _CONTEXT_SIZE}
    folders = path.absolute().parent.as_posix()
    repository, layer = _REPOSITORY.search(folders), re.search(r"/layer_([0-9]+)(/|$)", folders)
    if repository is None or layer is None:
        return said
    size, tuned, site = repository.groups()
    model = f"gemma-2-{size}{'-it' if tuned == 'it' else ''}"
    return {**said, "model_name": model, "hook_name": f"blocks.{layer[1]}.{_SITES[site]}"}
