"""Cards of imported topics: what is saved plays, whatever its name and its corpus's."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from mtmbench.core.types import Corpus, Views
from mtmbench.models.external import External
from mtmbench.models.import_card import save_import
from mtmbench.models.importers import import_result


def made(name: str) -> Corpus:
    return Corpus(name, ("0", "1"), (f"cow barn {len(name)}", "boat sail"))


@pytest.mark.parametrize(("name", "folder"), [("a{k}", "here"), ("mine", "x{seed}"), ("{", "}")])
def test_braces_of_names_and_folders_are_themselves(tmp_path: Path, name: str, folder: str) -> None:
    corpora = [made("one"), made("other")]
    (tmp_path / folder).mkdir()
    for corpus in corpora:
        result = import_result(
            {"theta": np.eye(2), "beta": np.eye(2), "items": ["cow", "boat"]},
            corpus=corpus, name=name,
        )  # fmt: skip
        _, card = save_import(result, tmp_path / folder, described="x")
    tables = tomllib.loads(card.read_text(encoding="utf-8"))["corpus"]
    for corpus in corpora:
        played = External(n_topics=2, **tables[corpus.name]).fit(Views(corpus), seed=0)
        assert played.items.ids == ("cow", "boat")


@pytest.mark.parametrize("letter", ["n", "ж", "字", "🐄"])
def test_files_of_long_names_can_be_written(tmp_path: Path, letter: str) -> None:
    name = letter * (180 // len(letter.encode()))
    for corpus in (made("c"), made("字" * 100), made("字" * 101)):
        result = import_result(
            {"theta": np.eye(2), "beta": np.eye(2), "items": ["cow", "boat"]},
            corpus=corpus, name=name,
        )  # fmt: skip
        file, card = save_import(result, tmp_path, described="x")
        assert file.is_file()
    assert len(list(tmp_path.glob("*.safetensors"))) == 3
    assert len(tomllib.loads(card.read_text(encoding="utf-8"))["corpus"]) == 3
