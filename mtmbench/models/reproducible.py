"""Torch on one thread, in f64, from a seed of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Runs torch on one thread, in f64, from ``seed``; restores what the caller had of each.

    In f32 what one processor rounds otherwise than another grows over the steps of a training until
    topics differ; in f64 it stays below the last digit of a result.
    """
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_default_dtype(dtype)
