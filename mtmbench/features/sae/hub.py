"""SAE features of any Hugging Face model: the feature source "sae"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TypedDict

from mtmbench.core.errors import InputError, UnknownNameError, did_you_mean
from mtmbench.core.types import BoolArray
from mtmbench.features.base import FeatureSource
from mtmbench.features.sae.backbone import BATCH_TOKENS
from mtmbench.features.sae.hooks import long_name
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.features.sae.sae import SAE, load_sae
from mtmbench.features.sae.sae_folder import SAEFolder, load_sae_folder, plain_folder
from mtmbench.features.sae.source import StoredFeatures

_CENTRED_FAMILIES = ("gpt2", "gpt_neox")
"""Models whose LayerNorm takes the mean away, so that centred weights compute the same."""
_WRITES = ("hook_resid_pre", "hook_resid_mid", "hook_resid_post", "hook_attn_out", "hook_mlp_out")


class SAEEntry(TypedDict, total=False):
    """An entry of the table ``saes``: where the SAE lies, and what its config does not say."""

    folder: str
    release: str
    id: str
    hook_point: str
    window: int
    centred: bool
    context_size: int


_KEYS = tuple(SAEEntry.__annotations__)


class ModelFeatures(StoredFeatures):
    """SAE features of a model of the hub, or of a local folder, under named settings.

    Each SAE is a table of ``saes`` by a name of the user's: ``folder`` (sae-lens's format or Gemma
    Scope's, and better one that ``mtmbench features`` has built: it has thresholds, densities and
    labels, and with them the setting "paper"), or ``release`` and ``id`` as sae-lens knows them.
    With all three it is the folder that counts, and the others say what it is to be built from.
    ``hook_point``, ``context_size`` (tokens of a chunk, BOS included), ``centred`` and ``window``
    are what the SAE's own config says unless they are given.

    Args:
        backbone: a hub name, or a folder in the hub's format.
        saes: the SAEs; the first is that of the setting "default".
        prepend_bos: whether each chunk begins with BOS; what the SAEs say if not given.
        dtype: of weights and forward pass: "float32", "bfloat16", "float16"; SAEs have f32.
        device: a torch device, of model and SAEs: "cpu", "cuda", "cuda:1".
        settings, batch_tokens, keep: see :class:`StoredFeatures`.
    """

    name = "sae"

    def __init__(
        self,
        backbone: str = "",
        saes: Mapping[str, SAEEntry] | None = None,
        prepend_bos: bool | None = None,
        dtype: str = "float32",
        device: str = "cpu",
        settings: Mapping[str, Mapping[str, object]] | None = None,
        batch_tokens: int = BATCH_TOKENS,
        keep: str = "activations",
    ) -> None:
        super().__init__(settings, batch_tokens, keep)
        if not backbone or not saes:
            raise InputError(
                'feature source "sae" needs params: backbone = "gpt2" and [features.params.saes] '
                'with NAME = {release = "…", id = "…"} or NAME = {folder = "…"}'
            )
        for name, given in saes.items():
            _check(name, given)
        self._given = dict(saes)
        self._prepend_bos = prepend_bos
        self._source, self._dtype, self.device = backbone, dtype, device

    @cached_property
    def backbone(self) -> HuggingFaceBackbone:
        """The language model, with BOS as the SAEs were trained."""
        wanted = {
            name: sae.metadata.get("prepend_bos") is not False for name, sae in self._saes.items()
        }
        prepend_bos = self._prepend_bos
        if prepend_bos is None:
            if len(set(wanted.values())) > 1:
                raise InputError(
                    "some of the SAEs were trained with BOS and some without: "
                    f"{', '.join(f'{name}: {value}' for name, value in wanted.items())}; use them "
                    "in sources of their own, or give prepend_bos"
                )
            prepend_bos = next(iter(wanted.values()))
        return HuggingFaceBackbone(
            self._source, prepend_bos=prepend_bos, dtype=self._dtype, device=self.device
        )

    def outline(self) -> FeatureSource:
        """Returns a source that describes settings as they were given; see the base class."""
        return _Outline(
            self._source, self._given, self._prepend_bos, self._dtype, self.device,
            self._further, self._batch_tokens, self._keep,
        )  # fmt: skip

    @property
    def model_name(self) -> str:
        """The backbone as it was named: a hub name, or a folder."""
        return self._source

    @property
    def dtype(self) -> str:
        """Precision of weights and forward pass."""
        return self._dtype

    @property
    def given(self) -> Mapping[str, SAEEntry]:
        """The table ``saes`` as it was given."""
        return self._given

    def sae_of(self, setting: str) -> str:
        """Returns the name of the SAE that a setting is of."""
        return str(self._further.get(setting, {}).get("sae", self.sae_names()[0]))

    def passes(self) -> list[list[str]]:
        """Returns the SAEs of all settings by the forward pass that serves them.

        Those whose chunks are given another size read texts by themselves.
        """
        found: dict[int | None, dict[str, None]] = {}
        for name in map(self.sae_of, ("default", *self._further)):
            found.setdefault(self._given[name].get("context_size"), {})[name] = None
        return [list(names) for names in found.values()]

    def sae_names(self) -> list[str]:
        """Returns the names of the SAEs, in the order given."""
        return list(self._given)

    def load_folder(self, name: str) -> SAEFolder:
        """Makes the folder of an SAE from what is given and from what its config says."""
        given, sae = self._given[name], self._saes[name]
        hook_point = given.get("hook_point") or sae.metadata.get("hook_name")
        if not hook_point:
            raise InputError(
                f"SAE {name!r} does not say its hook point; give one, such as hook_point = "
                '"blocks.10.hook_resid_post"'
            )
        built = _built_folder(given)
        if built is not None:
            folder = replace(load_sae_folder(built), name=name)
            for key in ("hook_point", "window", "centred"):
                if key in given and given[key] != getattr(folder, key):
                    raise InputError(
                        f"SAE {name!r}: {key} = {given[key]!r}, but {built} was built with "
                        f"{getattr(folder, key)!r}"
                    )
            return folder
        return plain_folder(
            name,
            sae,
            hook_point=str(hook_point),
            window=int(given.get("window", 1)),
            centred=bool(given.get("centred", self._trained_centred(sae, str(hook_point)))),
            chunk_tokens=self._chunk_tokens(given, sae),
        )

    @cached_property
    def _saes(self) -> dict[str, SAE]:
        return {name: self._load(given) for name, given in self._given.items()}

    def _load(self, given: SAEEntry) -> SAE:
        if "folder" in given:
            folder = Path(given["folder"])
            if "release" in given and not folder.is_dir():
                raise InputError(
                    f"there is no folder {folder} yet; build it: mtmbench features --backbone "
                    f"{self._source} --release {given['release']} --sae {given['id']} --dtype "
                    f"{self._dtype} --device {self.device} --reference TEXTS --out {folder}"
                )
            return load_sae(folder)
        from mtmbench.features.sae.sae_lens import load_release

        return load_release(str(given["release"]), str(given["id"]))

    def _chunk_tokens(self, given: SAEEntry, sae: SAE) -> int:
        limit = self.backbone.max_chunk_tokens
        context = given.get("context_size") or sae.metadata.get("context_size")
        if context is None:
            return limit
        return max(1, min(limit, int(context) - self.backbone.n_specials))

    def _trained_centred(self, sae: SAE, hook_point: str) -> bool:
        loading = sae.metadata.get("model_from_pretrained_kwargs") or {}
        return (
            bool(loading.get("center_writing_weights", False))
            and self.backbone.family in _CENTRED_FAMILIES
            and long_name(hook_point).split(".")[-1] in _WRITES
        )


class _Outline(ModelFeatures):
    """What was given of a source, for plans; nothing is read, here or elsewhere."""

    def settings(self) -> list[str]:
        """Returns the settings that there may be; "paper" is there if the SAE's folder has it."""
        return list(dict.fromkeys(["default", "paper", *self._further]))

    def describe(self, setting: str = "default") -> dict[str, object]:
        """Returns what was given of a setting.

        Raises:
            UnknownNameError: there can be no such setting.
        """
        if setting not in self.settings():
            raise UnknownNameError("feature setting", setting, self.settings())
        return {
            "backbone": self._source, "saes": dict(self._given), "setting": setting,
            "values": dict(self._further.get(setting, {})),
        }  # fmt: skip

    def scored_labels(self, setting: str = "default") -> BoolArray | None:  # noqa: ARG002
        """Returns None: whether labels were scored stands in a folder that is not read."""
        return None


def _check(name: str, given: SAEEntry) -> None:
    for key in given:
        if key not in _KEYS:
            raise InputError(f"SAE {name!r}: unknown key {key!r}{did_you_mean(key, _KEYS)}")
    for key in ("window", "context_size"):
        value: object = given.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"SAE {name!r}: {key} is {value!r}; it must be a whole number above 0")
    for key in ("folder", "release", "id", "hook_point"):
        if not isinstance(given.get(key, ""), str):
            raise InputError(f"SAE {name!r}: {key} is {given[key]!r}; it must be a text")  # type: ignore[literal-required]
    if not ("folder" in given or "release" in given) or ("release" in given) != ("id" in given):
        raise InputError(
            f"SAE {name!r}: give folder, or release and id, or all three where the folder is to be "
            "built from the release"
        )


def _built_folder(given: SAEEntry) -> Path | None:
    folder = Path(given.get("folder", ""))
    return folder if "folder" in given and (folder / "settings.json").is_file() else None
