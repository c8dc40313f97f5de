"""Registries: lazy, without silent winners, and every built-in name leads to the right class."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from mtmbench.core import registry as registry_module
from mtmbench.core.errors import DuplicateNameError, UnknownNameError
from mtmbench.core.registry import PluginError, Registry
from mtmbench.corpora.registry import CORPORA
from mtmbench.features.registry import FEATURES
from mtmbench.judges.base import JudgeClient
from mtmbench.judges.registry import JUDGES
from mtmbench.metrics.base import Metric
from mtmbench.metrics.registry import METRICS
from mtmbench.models.base import TopicModel
from mtmbench.models.registry import MODELS

BASES: dict[str, tuple[Registry[Any], type]] = {
    "models": (MODELS, TopicModel),
    "metrics": (METRICS, Metric),
    "judges": (JUDGES, JudgeClient),
}


def entry_points(
    monkeypatch: pytest.MonkeyPatch,
    *points: tuple[str, str],
    families: dict[str, str] | None = None,
) -> Registry[Any]:
    found = {"some.group": points, "some.group.families": tuple((families or {}).items())}
    monkeypatch.setattr(
        registry_module,
        "entry_points",
        lambda group: [EntryPoint(name, value, group) for name, value in found[group]],
    )
    return Registry("thing", "some.group")


@pytest.mark.parametrize("kind", BASES)
def test_every_built_in_name_is_a_class_of_that_name(kind: str) -> None:
    registry, base = BASES[kind]
    for name in registry.names():
        cls = registry.get(name)
        assert issubclass(cls, base), name
        assert cls.name == name


def test_the_built_in_names() -> None:
    assert {
        "lda",
        "etm",
        "bertopic",
        "mlda",
        "metm",
        "mbertopic",
        "k_means",
        "mk_means",
        "dvae",
        "fastopic",
        "nmf",
        "prodlda",
        "combinedtm",
        "hdp",
        "top2vec",
        "external",
    } <= set(MODELS)
    assert {"embedding", "lexical", "scripted"} <= set(JUDGES)
    assert "minilm" in FEATURES
    assert {"lee", "gensim-wiki", "20ng", "bills", "wiki", "yelp", "agnews"} <= set(CORPORA)
    assert all(callable(CORPORA.get(name)) for name in CORPORA)


def test_listing_imports_nothing_that_is_listed(tmp_path: Path) -> None:
    rooms = {
        "models": "MODELS", "metrics": "METRICS", "judges": "JUDGES", "corpora": "CORPORA",
        "features": "FEATURES",
    }  # fmt: skip
    imports = [f"from mtmbench.{room}.registry import {name}" for room, name in rooms.items()]
    script = "\n".join(imports) + (
        "\nimport sys\n"
        "for registry in (MODELS, METRICS, JUDGES, CORPORA, FEATURES): registry.names()\n"
        "print({'torch', 'sklearn', 'numpy', 'bertopic'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_a_decorator_and_a_placeholder_register(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = entry_points(monkeypatch)

    @registry.register("mine")
    class Mine:
        pass

    registry.register("path", "pathlib:Path")
    assert registry.get("mine") is Mine
    assert registry.get("path") is Path
    assert registry.names() == list(registry) == ["mine", "path"]
    assert registry.origin("path") == "pathlib:Path"
    assert registry.origin("mine").endswith("Mine")


def test_registering_the_same_thing_again_is_no_duplicate(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = entry_points(monkeypatch)
    registry.register("path", "pathlib:Path")
    registry.register("path", "pathlib:Path")
    assert registry.get("path") is Path


@pytest.mark.parametrize("order", [0, 1])
def test_two_things_of_one_name_are_an_error_whoever_comes_first(
    monkeypatch: pytest.MonkeyPatch, order: int
) -> None:
    points = [("x", "pathlib:Path"), ("x", "pathlib:PurePath")]
    registry = entry_points(monkeypatch, *(points if order else reversed(points)))
    with pytest.raises(DuplicateNameError, match=r"registered twice: by pathlib:Path and by"):
        registry.names()
    mixed = entry_points(monkeypatch, ("x", "pathlib:Path"))
    with pytest.raises(DuplicateNameError, match="rename one of them"):
        mixed.register("x", "pathlib:PurePath")


def test_one_distribution_seen_twice_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = entry_points(monkeypatch, ("x", "pathlib:Path"), ("x", "pathlib:Path"))
    assert registry.names() == ["x"]


class Colours:
    """A family, as another distribution would have one."""

    def names(self) -> list[str]:
        return ["blue", "red"]

    def get(self, name: str) -> str:
        if name not in self.names():
            raise UnknownNameError("colour", name, self.names())
        return name.upper()


COLOURS = Colours()


def test_a_family_has_its_names_behind_a_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    target = f"{__name__}:COLOURS"
    registry = entry_points(monkeypatch, ("x", "pathlib:Path"), families={"colour": target})
    assert registry.names() == ["colour:blue", "colour:red", "x"]
    assert registry.families() == ["colour"]
    assert registry.get("colour:red") == "RED"
    assert registry.origin("colour:red") == target
    assert "colour:red" in registry
    assert "red" not in registry
    assert "colour" not in registry
    with pytest.raises(UnknownNameError, match="unknown colour 'rad'; did you mean 'red'"):
        registry.get("colour:rad")
    with pytest.raises(UnknownNameError, match="unknown thing 'taste:sweet'"):
        registry.get("taste:sweet")


def test_an_unknown_name_gives_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = entry_points(monkeypatch, ("bertopic", "a:b"), ("lda", "a:c"))
    with pytest.raises(UnknownNameError, match="unknown thing 'bertopik'; did you mean 'bertopic'"):
        registry.get("bertopik")
    with pytest.raises(UnknownNameError, match="valid: bertopic, lda"):
        registry.get("zzz")
    with pytest.raises(UnknownNameError):
        registry.origin("zzz")
    assert "zzz" not in registry


@pytest.mark.parametrize("target", ["no_such_module:X", "pathlib:NoSuchClass"])
def test_a_plugin_that_cannot_be_imported_is_named(
    monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    registry = entry_points(monkeypatch, ("broken", target))
    assert registry.names() == ["broken"]
    with pytest.raises(PluginError, match=f"thing 'broken' \\({target}\\) cannot be loaded"):
        registry.get("broken")
