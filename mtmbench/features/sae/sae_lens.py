"""SAEs by sae-lens's release and id, through its own loader."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mtmbench.core.errors import InputError, did_you_mean
from mtmbench.core.types import FloatArray
from mtmbench.features.sae.sae import SAE
from mtmbench.features.sae.sae_config import ARCHITECTURES, NORMALISATIONS, SAEMetadata

if TYPE_CHECKING:
    import sae_lens
    import torch


def load_release(release: str, sae_id: str) -> SAE:
    """Loads an SAE that sae-lens knows, from the Hugging Face hub or its local cache.

    Args:
        release: a release of sae-lens's directory (``gpt2-small-res-jb``), or a hub repository in
            its format (``owner/name``).
        sae_id: the SAE in it (``blocks.8.hook_resid_pre``), or the folder in the repository.

    Raises:
        InputError: there is no such release or id, it cannot be had here, or it is of a kind that
            is not supported; the message names the nearest one.
    """
    import sae_lens
    from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

    directory = get_pretrained_saes_directory()
    if release in directory:
        known = directory[release].saes_map
        if sae_id not in known:
            raise InputError(
                f"release {release!r} has no SAE {sae_id!r}{did_you_mean(sae_id, known)}; it has "
                f"{len(known)}, such as {', '.join(list(known)[:3])}"
            )
    elif "/" not in release:
        raise InputError(
            f"sae-lens knows no release {release!r}{did_you_mean(release, directory)}; give one of "
            f"its {len(directory)} releases, or a hub repository as owner/name"
        )
    try:
        loaded = sae_lens.SAE.from_pretrained(release, sae_id, device="cpu", dtype="float32")
    except Exception as error:
        raise InputError(
            f"SAE {sae_id!r} of {release!r} cannot be loaded ({type(error).__name__}: {error})"
        ) from error
    return from_sae_lens(loaded)


def from_sae_lens(loaded: sae_lens.SAE) -> SAE:
    """Makes the SAE of a ``sae_lens.SAE``; decoder-norm rescaling is folded in.

    Raises:
        InputError: its architecture or input normalisation is not supported.
    """
    architecture = str(loaded.cfg.architecture())
    if architecture not in ARCHITECTURES:
        raise InputError(
            f"SAEs of architecture {architecture!r} are not supported; {', '.join(ARCHITECTURES)} "
            "are"
        )
    normalisation = str(loaded.cfg.normalize_activations)
    if normalisation not in NORMALISATIONS:
        raise InputError(
            f"inputs normalised by {normalisation!r} are not supported; "
            f"{', '.join(NORMALISATIONS)} are"
        )
    tensors = {name: _array(value) for name, value in loaded.state_dict().items()}
    metadata: SAEMetadata = loaded.cfg.metadata.to_dict()
    gated = architecture == "gated"
    w_enc, b_enc = tensors["W_enc"], tensors["b_gate" if gated else "b_enc"]
    if getattr(loaded.cfg, "rescale_acts_by_decoder_norm", False):
        norms = np.linalg.norm(tensors["W_dec"], axis=1)
        w_enc, b_enc = w_enc * norms, b_enc * norms
    return SAE(
        architecture=architecture,
        w_enc=w_enc,
        b_enc=b_enc,
        w_dec=tensors["W_dec"],
        b_dec=tensors["b_dec"],
        subtract_b_dec=bool(loaded.cfg.apply_b_dec_to_input),
        k=int(loaded.cfg.k) if architecture == "topk" else None,
        threshold=tensors["threshold"] if architecture == "jumprelu" else None,
        metadata=metadata,
        magnitude=(tensors["r_mag"], tensors["b_mag"]) if gated else None,
        normalisation=normalisation,
    )


def _array(value: torch.Tensor) -> FloatArray:
    return np.ascontiguousarray(value.detach().to("cpu").float().numpy())
