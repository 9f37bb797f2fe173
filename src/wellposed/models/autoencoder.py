"""A network with a bottleneck, through which noise does not fit."""

from __future__ import annotations

from itertools import pairwise
from typing import final

from torch import Tensor, nn
from torch.nn.functional import interpolate

from wellposed.core.arguments import check_counts
from wellposed.models.base import Denoiser, pad_to_multiple

__all__ = ["Autoencoder"]


@final
class Autoencoder(Denoiser):
    r"""Encode images in few numbers, and decode them.

    .. math:: \hat x = D(E(x))

    The code has `code` channels on a grid that is :math:`2^{levels}` times coarser, :math:`code / 4^{levels}` numbers
    per pixel, and there is no way around it. So a network that is trained to repeat noisy images, with
    `wellposed.losses.MeasurementConsistency`, keeps what fits through: images, which have few degrees of freedom,
    rather than noise of any kind, which has as many as pixels. Blind to the noise level.

    Parameters
    ----------
    channels : int
    width : int
        Features at the finest scale; twice as many at each coarser one.
    levels : int
        How often the grid is halved.
    code : int
        Channels of the code.

    Raises
    ------
    ArgumentError
        If a number is not a whole one above zero.

    References
    ----------
    Hinton, Salakhutdinov, *Reducing the dimensionality of data with neural networks*, Science 313 (2006),
    doi:10.1126/science.1127647.

    Examples
    --------
    >>> import torch
    >>> Autoencoder(channels=1, width=4, levels=2, code=1)(torch.rand(2, 1, 10, 12)).shape
    torch.Size([2, 1, 10, 12])
    """

    channels: int
    blind = True

    def __init__(self, channels: int = 1, width: int = 32, levels: int = 3, code: int = 8) -> None:
        super().__init__()
        check_counts("Autoencoder", channels=channels, width=width, levels=levels, code=code)
        self.channels, self.width, self.levels, self.code = channels, width, levels, code
        widths = [width * 2**level for level in range(levels + 1)]
        down = [nn.Conv2d(channels, width, 3, padding=1)]
        down += [nn.Conv2d(one, other, 3, stride=2, padding=1) for one, other in pairwise(widths)]
        self.down = nn.ModuleList(down)
        self.to_code = nn.Conv2d(widths[-1], code, 1)
        self.from_code = nn.Conv2d(code, widths[-1], 1)
        self.up = nn.ModuleList([nn.Conv2d(one, other, 3, padding=1) for one, other in pairwise(widths[::-1])])
        self.last = nn.Conv2d(width, channels, 3, padding=1)

    def encode(self, x: Tensor) -> Tensor:
        """Return the code of images whose sizes are multiples of 2 ** levels, shape (B, code, h, w)."""
        for layer in self.down:
            x = layer(x).relu()
        return self.to_code(x)

    def decode(self, code: Tensor) -> Tensor:
        """Return the images of a code."""
        x = self.from_code(code).relu()
        for layer in self.up:
            x = layer(interpolate(x, scale_factor=2.0, mode="nearest")).relu()
        return self.last(x)

    def _denoise(self, x: Tensor, sigma: Tensor) -> Tensor:  # noqa: ARG002
        height, width = x.shape[-2:]
        return self.decode(self.encode(pad_to_multiple(x, 2**self.levels)))[..., :height, :width]
