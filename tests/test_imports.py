"""Importing stays cheap: heavy libraries come with first use."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from collections.abc import Iterable

import mtmbench

HEAVY = (
    "torch", "transformers", "sae_lens", "sklearn", "scipy", "numba", "pandas", "gensim",
    "matplotlib", "sentence_transformers", "bertopic", "umap", "ray", "openai", "datasets",
    "starlette", "uvicorn",
)  # fmt: skip
OF_MODELS_AND_METRICS = (
    "mtmbench.models.", "mtmbench.metrics.", "mtmbench.testing", "mtmbench.engine.estimate",
    "mtmbench.steering.suite", "mtmbench.steering.weights", "mtmbench.studies.steering",
    "mtmbench.embedded.training.muon", "mtmbench.steering.extent", "mtmbench.labelling.extent",
    "mtmbench.core.notebook_figure",
)  # fmt: skip
"""Modules that define models and metrics, or use them by name: numba, scikit-learn, torch; and the
one whose class is matplotlib's."""

SERVERS = ("mtmbench.voting.local", "mtmbench.voting.server", "mtmbench.voting.viewer")
"""Modules that serve pages, and import nothing heavy but what serves them."""


def heavy_in(modules: Iterable[str]) -> list[str]:
    """Returns which heavy libraries are there once modules are imported."""
    code = "import sys\n" + "".join(f"import {name}\n" for name in modules)
    code += f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_no_other_module_imports_a_heavy_library() -> None:
    names = [module.name for module in pkgutil.walk_packages(mtmbench.__path__, "mtmbench.")]
    light = [
        name
        for name in names
        if not name.startswith((*OF_MODELS_AND_METRICS, *SERVERS)) and not name.endswith("__main__")
    ]
    assert len(light) > 150
    assert heavy_in(light) == []
    assert heavy_in(SERVERS) == ["starlette", "uvicorn"]
