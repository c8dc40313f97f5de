"""Who plays on a board, and which comparisons belong together."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mtmbench.core.fit_payloads import CompetitorFields
from mtmbench.core.match_payloads import MatchPayload
from mtmbench.core.specs import Representation


@dataclass(frozen=True, order=True)
class Competitor:
    """What plays on a board: a model, and its feature setting; "" for models that read none."""

    model: str
    setting: str = ""

    @classmethod
    def of(cls, fields: CompetitorFields) -> Competitor:
        """Returns who a payload, one side of a match or a row is about."""
        return cls(fields["model"], fields.get("setting") or "")

    @property
    def name(self) -> str:
        """The name under which it plays: "model", or "model:setting"."""
        return f"{self.model}:{self.setting}" if self.setting else self.model

    def identity(self) -> CompetitorFields:
        """Returns the fields by which a row names its competitor."""
        return {"model": self.model, "setting": self.setting or None}


@dataclass(frozen=True)
class League:
    """What makes comparisons belong together; ``corpus`` is "all" where corpora are pooled."""

    judge: str
    corpus: str
    k_spec: int | str
    representation: Representation

    @classmethod
    def of(cls, payload: MatchPayload) -> League:
        """Returns the league of a match's payload."""
        return cls(
            payload["judge"], payload["corpus"], payload["k_spec"], payload["representation"]
        )

    def order(self) -> tuple[str, str, tuple[bool, int], str]:
        """Sorts leagues by judge, corpus, size of K and representation."""
        return self.judge, self.corpus, k_order(self.k_spec), self.representation


def k_order(k_spec: int | str) -> tuple[bool, int]:
    """Sorts numbers of topics by size as asked for, those without a number first."""
    if isinstance(k_spec, str):
        number = re.fullmatch(r"min\((\d+), .*", k_spec)
        return (False, 0) if number is None else (True, int(number[1]))
    return True, k_spec
