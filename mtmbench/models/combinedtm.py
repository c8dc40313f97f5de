"""CombinedTM: ProdLDA whose encoder reads the words and the embedding of a document (ACL 2021).

Bianchi, Terragni and Hovy, "Pre-training is a hot topic: Contextualized document embeddings improve
topic coherence" (arXiv:2004.03974).
"""

from __future__ import annotations

from typing import ClassVar

from mtmbench.core.types import FloatArray, ViewName, Views
from mtmbench.models.prodlda import ProdLDA
from mtmbench.models.products import ProductPosterior


class CombinedTM(ProdLDA):
    """CombinedTM: words and sentence embeddings in, words out.

    Everything but what the encoder's first layer reads is ProdLDA's, parameters among them. The
    authors map the embedding to V numbers before that layer; one linear map after another is a
    linear map, and here it is one.
    """

    name: ClassVar[str] = "combinedtm"
    needs: ClassVar[tuple[ViewName, ...]] = ("words", "embeddings")

    def _vectors(self, views: Views, fitted: ProductPosterior | None = None) -> FloatArray:
        return self._document_embeddings(views, None if fitted is None else fitted.n_inputs)
