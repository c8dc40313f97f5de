"""Reader of a fitted tomotopy model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mtmbench.core.errors import InputError
from mtmbench.models.import_draft import Draft

_MAGIC = b"TPTK"


def refuse_tomotopy_file(path: Path) -> None:
    """Raises an error if a file is a model that tomotopy saved.

    Only the class that saved it can load it, another ends the process, and the file does not say
    which it was (HDP's is marked as LDA's).
    """
    with path.open("rb") as file:
        is_tomotopy = _MAGIC in file.read(32)
    if is_tomotopy:
        raise InputError(
            f"{path} is a tomotopy model, which only the class that saved it can load; in Python: "
            "import_result(tomotopy.LDAModel.load(FILE), corpus=…, name=…).save(Path(OUT)), and "
            "import OUT"
        )


def is_tomotopy_model(source: object) -> bool:
    """Whether an object is a tomotopy topic model, by the methods that are read here."""
    return all(hasattr(source, name) for name in ("used_vocabs", "docs", "get_topic_word_dist"))


def read_tomotopy(model: Any) -> Draft:
    """Reads θ of the documents that a tomotopy model was trained on, β, and its vocabulary.

    Topics that a HDP does not use are left out. Documents that all have an uid are found by it;
    else the rows are the corpus's documents in order, of which tomotopy leaves out those in which
    no word is left.

    Raises:
        InputError: it is no tomotopy model, or has no documents.
    """
    if not is_tomotopy_model(model):
        raise InputError(f"expected a tomotopy model, not a {type(model).__name__}")
    documents = list(model.docs)
    if not documents:
        raise InputError("the tomotopy model has no documents; train it before the import")
    is_live = getattr(model, "is_live_topic", lambda _: True)
    topics = [k for k in range(int(model.k)) if is_live(k)]
    theta = np.array([document.get_topic_dist() for document in documents], dtype=np.float64)
    beta = np.array([model.get_topic_word_dist(k) for k in topics], dtype=np.float64)
    ids = tuple(str(getattr(document, "uid", "") or "") for document in documents)
    return Draft(
        theta[:, topics], beta, tuple(map(str, model.used_vocabs)), ids if all(ids) else None,
        are_weights=True,
        notes={"theta": "of the documents that the model was trained on"},
    )  # fmt: skip
