"""A small TopK SAE trained on the vectors of one corpus, in f64 on one thread."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mtmbench.core.errors import InputError
from mtmbench.core.types import Float64Array
from mtmbench.features.sae.sae import SAE


def train_topk(
    vectors: Float64Array, width: int, active: int, *, epochs: int, rate: float, batch: int
) -> SAE:
    """Trains ``x̂ = TopK(relu((x − b) W + c)) V + b`` by Adam on the mean of ‖x − x̂‖².

    V has rows of length one; they start at documents drawn at random, less the mean, and W at their
    transpose (Gao et al. 2024, "Scaling and evaluating sparse autoencoders"). An atom that no
    document of an epoch brought to fire starts again at the document that is rebuilt worst, through
    the first half of the epochs. Call it inside :func:`~mtmbench.models.reproducible.reproducible`.

    Args:
        vectors: (D, E).
        width: F, the number of features.
        active: most features that fire on a document.
        epochs: passes over the documents.
        rate: of Adam.
        batch: documents a step.

    Raises:
        InputError: training diverged.
    """
    data = torch.from_numpy(vectors)
    n_docs = len(data)
    centre = data.mean(dim=0)
    # Documents in turn, so that one stands twice only where there are more atoms than documents.
    drawn = torch.cat([torch.randperm(n_docs) for _ in range(-(-width // n_docs))])[:width]
    start = data[drawn] - centre
    decoder = functional.normalize(start + 0.01 * start.std() * torch.randn(start.shape))
    parameters = [decoder.T.clone(), torch.zeros(width), decoder, centre.clone()]
    encoder, bias, decoder, centre = (value.requires_grad_() for value in parameters)
    adam = torch.optim.Adam([encoder, bias, decoder, centre], lr=rate)

    def rebuilt(rows: Tensor) -> tuple[Tensor, Tensor]:
        pre = (rows - centre) @ encoder + bias
        values, atoms = pre.topk(active, dim=1)
        fired = torch.zeros_like(pre).scatter(1, atoms, functional.relu(values))
        return fired @ decoder + centre, fired

    for epoch in range(epochs):
        for rows in torch.split(torch.randperm(n_docs), batch):
            given = data[rows]
            loss = (given - rebuilt(given)[0]).square().sum(dim=1).mean()
            adam.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            with torch.no_grad():
                decoder.copy_(functional.normalize(decoder))
        with torch.no_grad():
            if not torch.isfinite(loss):
                raise InputError(
                    f"training diverged in epoch {epoch + 1} of {epochs}; lower learning_rate "
                    f"(now {rate:g})"
                )
            if 2 * epoch < epochs:
                _restart(data, *rebuilt(data), encoder, bias, decoder)
    return SAE(
        architecture="topk",
        w_enc=encoder.detach().float().numpy(),
        b_enc=bias.detach().float().numpy(),
        w_dec=decoder.detach().float().numpy(),
        b_dec=centre.detach().float().numpy(),
        subtract_b_dec=True,
        k=active,
        threshold=None,
        metadata={},
    )


def _restart(
    data: Tensor, shown: Tensor, fired: Tensor, encoder: Tensor, bias: Tensor, decoder: Tensor
) -> None:
    """Points atoms that never fire at what the worst rebuilt documents lack, in place."""
    dead = torch.nonzero(~(fired > 0).any(dim=0)).ravel()[: len(data)]
    lacking = data - shown
    worst = lacking.square().sum(dim=1).argsort(descending=True, stable=True)[: len(dead)]
    directions = functional.normalize(lacking[worst])
    decoder[dead], encoder[:, dead], bias[dead] = directions, directions.T, 0.0
