"""What a backbone consists of and where it is, without fetching it or reading its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mtmbench.core.errors import InputError
from mtmbench.core.files import read_json_object
from mtmbench.features.sae.hooks import hook_names
from mtmbench.features.sae.pretrained import FETCHED


@dataclass(frozen=True)
class BackboneFile:
    """A file of a model: its name, its size in bytes if that is known, whether it is here."""

    name: str
    size: int | None
    here: bool


@dataclass(frozen=True)
class BackboneDescription:
    """What is known of a model.

    Attributes:
        where: a folder, the hub's cache, or the hub.
        files: what a run reads.
        verdict: whether a run has to fetch something, in words.
        hook_points: names of places that it can be read at, block numbers left out; empty where
            its config is not here.
    """

    where: str
    files: tuple[BackboneFile, ...]
    verdict: str
    hook_points: tuple[str, ...]


def describe_backbone(source: str) -> BackboneDescription:
    """Looks a model up: a folder, else the hub's local cache, else the hub's listing.

    Raises:
        InputError: ``source`` is no folder and cannot be a hub name.
    """
    folder = Path(source)
    if folder.is_dir():
        return _local(folder, f"the folder {folder}")
    _check_name(source)
    cached = _cached_snapshot(source)
    if cached is not None:
        return _local(cached, f"the hub's cache, {cached}")
    listed, problem = _listing(source)
    if listed is None:
        files = ", ".join(FETCHED)
        return BackboneDescription(
            "not here",
            (),
            f"a run would fetch {files} of {source} from the Hugging Face hub, which does not "
            f"answer from here ({problem})",
            (),
        )
    wanted = tuple(BackboneFile(name, size, False) for name, size in sorted(listed.items()))
    total = sum(file.size or 0 for file in wanted) / 2**20
    return BackboneDescription(
        "on the hub, not here", wanted, f"a run would fetch {total:.0f} MiB from the hub", ()
    )


def _local(folder: Path, where: str) -> BackboneDescription:
    files = tuple(
        BackboneFile(path.name, path.stat().st_size, True)
        for path in sorted({path for pattern in FETCHED for path in folder.glob(pattern)})
    )
    names = {file.name for file in files}
    lacking = [name for name in ("config.json",) if name not in names]
    if not any(name.endswith(".safetensors") for name in names):
        lacking.append("model*.safetensors")
    lacking += sorted(_indexed(folder) - names)
    if not names & {"tokenizer.json", "vocab.txt", "vocab.json"}:
        lacking.append("tokenizer.json")
    verdict = (
        f"it lacks {', '.join(lacking)}; a run could not read it"
        if lacking
        else "complete; nothing is fetched"
    )
    return BackboneDescription(where, files, verdict, _hook_points(folder))


def _indexed(folder: Path) -> set[str]:
    """Returns the files that a model's weights are parted into, as their index names them."""
    index = folder / "model.safetensors.index.json"
    named = read_json_object(index).get("weight_map") if index.is_file() else None
    return {str(name) for name in named.values()} if isinstance(named, dict) else set()


def _hook_points(folder: Path) -> tuple[str, ...]:
    """Returns the places of a model of this config, made without its weights."""
    import torch
    from transformers import AutoConfig, AutoModel

    if not (folder / "config.json").is_file():
        return ()
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModel.from_config(  # type: ignore[no-untyped-call]
                config, trust_remote_code=False
            )
        known = hook_names(model)
    except Exception:
        known = {}
    if not known:
        return ("the paths of its modules",)
    blocks = sorted({int(name.split(".")[1]) for name in known})
    places = [name.split(".", 2)[2] for name in known]
    each = [place for place in dict.fromkeys(places) if places.count(place) == len(blocks)]
    return tuple(f"blocks.0 to {blocks[-1]}.{place}" for place in each)


def _check_name(source: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(source)
    except HFValidationError as error:
        raise InputError(
            f"{source!r} is neither a folder nor a name of the Hugging Face hub: {error}"
        ) from error


def _cached_snapshot(source: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(source, "config.json")
    return Path(config).parent if isinstance(config, str) else None


def _listing(source: str) -> tuple[Mapping[str, int | None] | None, str]:
    from fnmatch import fnmatch

    from huggingface_hub import HfApi

    try:
        found = HfApi().model_info(source, files_metadata=True, timeout=10)
    except Exception as error:
        return None, type(error).__name__
    siblings = found.siblings or []
    return {
        file.rfilename: file.size
        for file in siblings
        if any(fnmatch(file.rfilename, pattern) for pattern in FETCHED)
    }, ""
