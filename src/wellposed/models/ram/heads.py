"""First and last convolutions for images of every number of channels, from those for one."""

from __future__ import annotations

import torch
from torch import Tensor

from wellposed.models.ram.blocks import CHANNELS

__all__ = ["heads_for_all"]


@torch.no_grad()
def heads_for_all(image: Tensor, levels: Tensor, tail: Tensor) -> dict[str, Tensor]:
    r"""Return first and last convolutions for images of at most as many channels as those given are for.

    Images z of fewer channels are shown as the images E z and read back by the pseudo-inverse,

    .. math:: \hat z(z, \sigma) = E^+ D(E z, \sigma \lambda),

    where :math:`E = (1, 1, 1)^T` for grey images shown as colours, and :math:`\lambda^2` is the mean eigenvalue of
    :math:`E^T E`, by which E amplifies the noise.

    Parameters
    ----------
    image : Tensor, shape (width, channels, k, k)
        What the first convolution makes of the image.
    levels : Tensor, shape (width, 2, k, k)
        What it makes of the noise level and of the gain.
    tail : Tensor, shape (channels, width, k, k)
        The last convolution.

    Returns
    -------
    dict of str to Tensor
        By their names in RAM.
    """
    weights: dict[str, Tensor] = {}
    for index, channels in enumerate(CHANNELS):
        if channels > len(tail):
            continue
        embedding = _embedding(len(tail), channels).to(tail)
        amplification = embedding.square().sum().div(channels).sqrt()
        shown = torch.einsum("ocij,cz->ozij", image, embedding)
        weights[f"m_head.conv{index}.weight"] = torch.cat([shown, levels * amplification], dim=1)
        weights[f"m_tail.conv{index}.weight"] = torch.einsum("zc,coij->zoij", torch.linalg.pinv(embedding), tail)
    return weights


def _embedding(rows: int, columns: int) -> Tensor:
    """Return a matrix that shows images of `columns` channels as images of `rows`: copies, and then means, of them."""
    if columns == 1:
        return torch.ones(rows, 1)
    means = torch.full((rows - columns, columns), 1 / columns)
    return torch.cat([torch.eye(columns), means])
