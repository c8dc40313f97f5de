"""Importing the features package must stay cheap: heavy libraries come with first use."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "transformers", "sae_lens", "sklearn", "scipy", "sentence_transformers")


def test_no_module_of_the_package_imports_a_heavy_library() -> None:
    modules = ("words", "embeddings", "cache", "backbone", "sae", "extract", "counts", "labels",
               "base", "shipped", "views", "contexts", "context_text", "autointerp",
               "label_replies", "label_files", "label_folder", "label_command", "neuronpedia",
               "neuronpedia_fetch")  # fmt: skip
    code = "import sys\n" + "".join(f"import mtmbench.features.{name}\n" for name in modules)
    code += f"print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
