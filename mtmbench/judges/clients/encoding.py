"""What judges that compare embeddings have in common: the parameter that names their encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from mtmbench.core.specs import DEFAULT_ENCODER
from mtmbench.core.types import FloatArray
from mtmbench.judges.base import JudgeClient, JudgeTraits


class EncodingJudge(JudgeClient):
    """A judge with a parameter ``encoder``; nothing is loaded before a text is encoded.

    Args:
        encoder: all-MiniLM-L6-v2, which reads the first 256 word pieces of a text, or a folder in
            sentence-transformers' own format, or a hub id.
        embed: texts → (N, E) embeddings, in place of the encoder.
    """

    encoder: ClassVar[str | None] = DEFAULT_ENCODER

    def __init__(
        self, encoder: str, embed: Callable[[Sequence[str]], FloatArray] | None = None
    ) -> None:
        if embed is None:  # else its class says by what it embeds
            self.encoder = _shown(encoder)  # type: ignore[misc]
        self._keeps = embed is None
        self._embed = embed or _encode_by(encoder)

    @classmethod
    def traits(cls, params: Mapping[str, Any]) -> JudgeTraits:
        """Returns what a judge of these parameters is, the encoder by the name that boards show."""
        encoder = _shown(_named(params)) if "encoder" in params else cls.encoder
        return {**super().traits(params), "encoder": encoder}

    @classmethod
    def inputs(cls, params: Mapping[str, Any]) -> Mapping[str, object]:
        """Returns the encoder by its content, where it is not the default."""
        from mtmbench.features.encoders import encoder_in_keys

        return encoder_in_keys(_named(params))


def _named(params: Mapping[str, Any]) -> str:
    return str(params.get("encoder", DEFAULT_ENCODER))


def _shown(encoder: str) -> str:
    from mtmbench.features.encoders import shown_encoder

    return shown_encoder(encoder)


def _encode_by(encoder: str) -> Callable[[Sequence[str]], FloatArray]:
    def encode(texts: Sequence[str]) -> FloatArray:
        from mtmbench.features.embeddings import embed_texts

        return embed_texts(texts, model=encoder)

    return encode
