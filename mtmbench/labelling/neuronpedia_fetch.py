"""Fetches Neuronpedia's export of one SAE, once, into the cache."""

from __future__ import annotations

import http.client
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from mtmbench.core.errors import InputError, did_you_mean
from mtmbench.core.files import gunzip, read_json
from mtmbench.core.names import check_name
from mtmbench.core.serialise import canonical_json, content_hash, write_atomically
from mtmbench.features.cache import cache_dir

BUCKET = "https://neuronpedia-datasets.s3.us-east-1.amazonaws.com"
"""Where the exports lie; MTMBENCH_NEURONPEDIA names a mirror with the same listing."""

RETRY_SECONDS = (0.5, 2.0)
"""How long is waited before a request that failed on the way is tried again."""

_BATCH = re.compile(r"batch-([0-9]+)\.jsonl\.gz")
_TIMEOUT_SECONDS = 60.0


def fetch_export(of: str, *, folder: str = "explanations") -> list[Path]:
    """Returns the batch files of an SAE's export, fetched if they are not all in the cache.

    With all of them in the cache, nothing is asked of the network; a damaged file is fetched anew.

    Args:
        of: ``MODEL/SAE``.
        folder: the export's folder; some SAEs have further ones, such as
            ``explanations-gpt-4o-mini``.

    Raises:
        InputError: there is no such export (the nearest SAE is named), or it cannot be reached;
            the message says how to come by it otherwise.
    """
    for part in (*of.split("/"), folder):
        check_name(part, "an SAE of Neuronpedia")
    kept = cache_dir() / "neuronpedia" / of / folder
    known = _known(kept / "index.json")
    if known is None:
        keys = _listing(of, folder)
        known = dict.fromkeys(keys, "")
    hashes = {name: _keep(of, folder, name, kept / name, known[name]) for name in known}
    if hashes != known:
        try:
            write_atomically(kept / "index.json", canonical_json(hashes))
        except OSError as error:
            raise _not_kept(kept, error) from error
    return [kept / name for name in sorted(hashes, key=_number)]


def _keep(of: str, folder: str, name: str, path: Path, expected: str) -> str:
    """Returns the content hash of a batch file, fetched unless it is there undamaged."""
    if path.is_file():
        data = path.read_bytes()
        # Without an index the file is of a fetch that was cut short; a whole gzip is a whole file.
        if content_hash(data) == expected or (not expected and _is_whole(data)):
            return content_hash(data)
    data = _get(f"/v1/{of}/{folder}/{name}", {}, of)
    if not _is_whole(data):
        raise InputError(f"Neuronpedia's {of}/{folder}/{name} came damaged; try again")
    try:
        write_atomically(path, data)
    except OSError as error:
        raise _not_kept(path.parent, error) from error
    return content_hash(data)


def _listing(of: str, folder: str) -> list[str]:
    prefix = f"v1/{of}/{folder}/"
    names = [key.removeprefix(prefix) for key in _list(prefix, of)]
    batches = [name for name in names if _BATCH.fullmatch(name)]
    if batches:
        return sorted(batches, key=_number)
    model, sae = of.split("/")
    folders = _list(f"v1/{of}/", of, folders=True)
    if folders:
        raise InputError(f"Neuronpedia's export of {of} has no {folder}, only {', '.join(folders)}")
    saes = _list(f"v1/{model}/", of, folders=True)
    if saes:
        raise InputError(f"Neuronpedia exports no SAE {sae!r} of {model}{did_you_mean(sae, saes)}")
    models = _list("v1/", of, folders=True)
    raise InputError(f"Neuronpedia exports no model {model!r}{did_you_mean(model, models)}")


def _list(prefix: str, of: str, *, folders: bool = False) -> list[str]:
    """Lists the keys under a prefix, or the names of the folders in it (S3's ListObjectsV2)."""
    query = {"list-type": "2", "prefix": prefix}
    if folders:
        query["delimiter"] = "/"
    found: list[str] = []
    while True:
        data = _get("/", query, of)
        try:
            root = ElementTree.fromstring(data)
        except ElementTree.ParseError as error:
            raise InputError(f"the listing of {_base()} is not one of a bucket: {error}") from error
        space = root.tag[: root.tag.index("}") + 1] if root.tag.startswith("{") else ""
        if folders:
            prefixes = root.iterfind(f"{space}CommonPrefixes/{space}Prefix")
            found += [(e.text or "").removeprefix(prefix).strip("/") for e in prefixes]
        else:
            found += [e.text or "" for e in root.iterfind(f"{space}Contents/{space}Key")]
        token = root.findtext(f"{space}NextContinuationToken")
        if root.findtext(f"{space}IsTruncated") != "true" or not token:
            return found
        query["continuation-token"] = token


def _get(path: str, query: Mapping[str, str], of: str) -> bytes:
    url = _base() + urllib.parse.quote(path)
    if query:
        url += "?" + urllib.parse.urlencode(query)
    request = urllib.request.Request(url, headers={"User-Agent": "mtmbench"})
    for wait in (*RETRY_SECONDS, None):
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as reply:
                data: bytes = reply.read()
                return data
        except (OSError, http.client.HTTPException) as error:
            # HTTPError is an OSError; what the server refuses it refuses again.
            refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if refused or wait is None:
                raise InputError(
                    f"cannot fetch {url}: {error}. On a machine with a network, `aws s3 sync "
                    f"--no-sign-request s3://neuronpedia-datasets/v1/{of}/explanations/ FOLDER` "
                    "fetches it; then give FOLDER"
                ) from error
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _base() -> str:
    base = (os.environ.get("MTMBENCH_NEURONPEDIA") or BUCKET).rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise InputError(f"MTMBENCH_NEURONPEDIA is {base!r}; it must be an http(s) address")
    return base


def _known(index: Path) -> dict[str, str] | None:
    try:
        found: Any = read_json(index)
    except InputError:
        return None
    names = isinstance(found, dict) and found and all(map(_BATCH.fullmatch, found))
    return {str(name): str(hash_) for name, hash_ in found.items()} if names else None


def _is_whole(data: bytes) -> bool:
    try:
        gunzip(data, "what was fetched")
    except InputError:
        return False
    return True


def _number(name: str) -> int:
    match = _BATCH.fullmatch(name)
    assert match is not None
    return int(match.group(1))


def _not_kept(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"the cache folder {folder} cannot be written to ({error.strerror}); set MTMBENCH_CACHE "
        "to a folder that can"
    )
