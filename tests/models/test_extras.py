"""Models whose library is not installed say which extra installs it."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from mtmbench.core.errors import InputError
from mtmbench.models.turftopic import S3, KeyNMF
from mtmbench.testing.planted import planted_views


@pytest.mark.parametrize("model", [KeyNMF(n_topics=4), S3(n_topics=4)])
def test_the_extra_is_named(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "turftopic", None)
    with pytest.raises(InputError, match=r"model '(keynmf|s3)' needs .*'mtmbench\[turftopic\]'"):
        model.fit(planted_views(), seed=0)
