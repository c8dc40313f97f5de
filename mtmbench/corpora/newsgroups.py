"""scikit-learn's 20 Newsgroups: from its cache, or by its own download."""

from __future__ import annotations

from pathlib import Path

from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus
from mtmbench.corpora.offline import is_offline
from mtmbench.corpora.rows import Columns, SourceRow, build_corpus


def load_newsgroups(data_home: Path | None = None, *, name: str = "20ng") -> Corpus:
    """Loads both by-date splits without headers, footers and quotes, in scikit-learn's order.

    Ids are ``split/newsgroup/number``, as in the original archive.

    Args:
        data_home: scikit-learn's data folder; its default (``SCIKIT_LEARN_DATA``, else
            ``~/scikit_learn_data``) if None.
        name: name of the corpus.

    Raises:
        InputError: the texts are not in the cache and cannot be downloaded.
    """
    from sklearn.datasets import fetch_20newsgroups

    rows: list[SourceRow] = []
    for split in ("train", "test"):
        try:
            bunch = fetch_20newsgroups(
                data_home=data_home,
                subset=split,
                remove=("headers", "footers", "quotes"),
                shuffle=False,
                n_retries=1,
                download_if_missing=not is_offline(),
            )
        except (OSError, EOFError) as error:
            raise InputError(
                f"scikit-learn has no copy of 20 Newsgroups and cannot download it: {error}"
            ) from error
        for text, target, file in zip(bunch.data, bunch.target, bunch.filenames, strict=True):
            group = bunch.target_names[target]
            values = {
                "id": f"{split}/{group}/{Path(file).name}",
                "text": text,
                "label": group,
                "split": split,
            }
            rows.append(SourceRow(len(rows), values))
    return build_corpus(
        name, rows, Columns(), where="20 Newsgroups", unit="row",
        source={"format": "scikit-learn", "removed": ["headers", "footers", "quotes"]},
    )  # fmt: skip
