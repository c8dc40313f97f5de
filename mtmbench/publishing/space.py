"""A publication on a static Space of the Hugging Face hub."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mtmbench.core.errors import InputError
from mtmbench.publishing.publication import (
    KEPT,
    MANIFEST,
    check_replaceable,
    listed_in,
    manifest,
)

SPACE = re.compile(r"hf:([\w-][\w.-]{0,95}/[\w-][\w.-]{0,95})")
"""How a Space is named on the command line."""

_README = """---
title: {title}
sdk: static
app_file: index.html
pinned: false
---

A leaderboard of topic models, published by mtmbench.
"""


def space_files(files: Mapping[str, str | bytes], title: str) -> dict[str, str | bytes]:
    """Returns a publication with the page that tells the hub what it is."""
    # JSON in a line is YAML, whatever the title holds.
    return {"README.md": _README.format(title=json.dumps(title or "mtmbench")), **files}


def publish_to_space(files: Mapping[str, str | bytes], space: str, title: str) -> str:
    """Puts a publication on a static Space, in one commit; the Space is made if there is none.

    The token is the hub's own: ``HF_TOKEN``, or that of ``hf auth login``.

    Args:
        files: contents by name.
        space: OWNER/NAME.
        title: the Space's title.

    Returns:
        The Space's address.

    Raises:
        InputError: the Space holds something else, or the hub refuses or cannot be reached.
    """
    import httpx
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    api = HfApi(library_name="mtmbench")
    try:
        try:
            found = api.list_repo_files(space, repo_type="space")
            there = [name for name in found if name not in KEPT]
            check_replaceable(there, _earlier(api, space, there), f"the Space {space}")
        except RepositoryNotFoundError:
            api.create_repo(space, repo_type="space", space_sdk="static")
            # What the hub puts into a new Space is a page of its own.
            found = api.list_repo_files(space, repo_type="space")
            there = [name for name in found if name not in KEPT]
        wanted = space_files(files, title)
        wanted[MANIFEST] = manifest(wanted)
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *(
                CommitOperationAdd(name, text.encode("utf-8") if isinstance(text, str) else text)
                for name, text in wanted.items()
            ),
            *(CommitOperationDelete(name) for name in there if name not in wanted),
        ]
        api.create_commit(
            space, operations, commit_message="Publish the board", repo_type="space"
        )  # fmt: skip
    except HfHubHTTPError as error:
        status = error.response.status_code
        hint = "; set HF_TOKEN to a token that may write there" if status in (401, 403) else ""
        raise InputError(f"the hub answered {status} for the Space {space}{hint}") from error
    except httpx.HTTPError as error:
        raise InputError(f"cannot reach the hub: {type(error).__name__}") from error
    return f"{api.endpoint}/spaces/{space}"


def _earlier(api: object, space: str, there: list[str]) -> set[str]:
    """Returns the files of the publication that is there, none if what is there is none."""
    from huggingface_hub import hf_hub_download

    if MANIFEST not in there:
        return set()
    with tempfile.TemporaryDirectory() as folder:
        path = hf_hub_download(
            space,
            MANIFEST,
            repo_type="space",
            cache_dir=folder,
            endpoint=api.endpoint,  # type: ignore[attr-defined]
        )
        return listed_in(Path(path).read_text(encoding="utf-8"))
