"""The loaders of corpora by name; nothing is imported until a name is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mtmbench.core.registry import Registry

if TYPE_CHECKING:
    from mtmbench.core.types import Corpus

CORPORA: Registry[Callable[..., Corpus]] = Registry("corpus", "mtmbench.corpora")

register_corpus = CORPORA.register
