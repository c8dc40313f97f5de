"""The rows of agreement: how far the judges of a league say the same, and where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from mtmbench.core.fit_payloads import CompetitorFields

if TYPE_CHECKING:
    from mtmbench.core.specs import Representation


class PairGap(TypedDict):
    """A pair of competitors, and by how much its mean score differs between two judges."""

    a: CompetitorFields
    b: CompetitorFields
    difference: float | None


class DocumentGap(TypedDict):
    """A document, and on how many of its ``n`` comparisons two judges name opposite winners."""

    corpus: str
    document: str
    opposed: int
    n: int


class AgreementPlace(TypedDict):
    """On which comparisons judges agree; ``k`` is None where pooled corpora differ in it."""

    corpus: str
    k: int | None
    k_spec: int | str
    representation: Representation


class JointAgreement(TypedDict):
    """Krippendorff's alpha of two judges or more."""

    n_items: int
    n_documents: int
    alpha: float | None
    alpha_lo: float | None
    alpha_hi: float | None
    alpha_reason: str | None


class PairAgreement(TypedDict, total=False):
    """What only two judges have: Cohen's kappa, correlations of Elo, and where they differ."""

    kappa: float | None
    kappa_lo: float | None
    kappa_hi: float | None
    kappa_reason: str | None
    opposed: float | None
    n_models: int
    kendall_tau: float | None
    spearman: float | None
    pairs: Sequence[PairGap]
    documents: Sequence[DocumentGap]


class AgreementNumbers(JointAgreement, PairAgreement):
    """How far two judges or more agree."""


class AgreementRow(AgreementPlace, AgreementNumbers):
    """How far judges agree in a league."""

    judges: Sequence[str]
