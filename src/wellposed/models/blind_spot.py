"""A denoiser that cannot see the pixel that it foretells."""

from __future__ import annotations

from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, max_pool2d, pad

from wellposed.core.arguments import check_counts
from wellposed.models.base import Denoiser, pad_to_multiple

__all__ = ["BlindSpot"]

_SLOPE = 0.1


@final
class BlindSpot(Denoiser):
    r"""Foretell each pixel from all others: :math:`\partial \hat x_i / \partial x_i = 0` by construction.

    Four copies of the image, turned by quarters, pass a U-Net that looks upwards only: convolutions reach from their
    row to those above, each pooling and the output come after a shift by one row. Turned back, the four see everything
    above, below, to the left and to the right of the pixel, and convolutions of 1 x 1 join them. The channels of a
    pixel are all hidden together.

    With noise that is independent from pixel to pixel, the network trained by `MeasurementConsistency` on noisy images
    alone becomes :math:`E[x_i | y_{j \ne i}]`. It is blind to the noise level, too.

    Parameters
    ----------
    channels : int
        Of the images.
    width : int
        Channels at full resolution; each level has half as many more.
    levels : int
        Number of resolutions.
    bias : bool
        Whether the convolutions add constants; without, the network is homogeneous: D(a x) = a D(x) for a > 0.

    Raises
    ------
    ArgumentError
        If something is not a whole number above zero.

    References
    ----------
    Laine, Karras, Lehtinen, Aila, *High-quality self-supervised deep image denoising*, NeurIPS 2019, arXiv:1901.10277.

    Examples
    --------
    >>> network = BlindSpot(channels=1, width=4, levels=2)
    >>> x = torch.rand(1, 1, 9, 7)
    >>> changed = x.clone()
    >>> changed[0, 0, 4, 3] = 7.0
    >>> bool(network(x)[0, 0, 4, 3] == network(changed)[0, 0, 4, 3])
    True
    """

    channels: int
    blind = True

    def __init__(self, channels: int = 3, width: int = 32, levels: int = 4, *, bias: bool = True) -> None:
        super().__init__()
        check_counts("BlindSpot", channels=channels, width=width, levels=levels)
        self.channels, self.width, self.levels, self.bias = channels, width, levels, bias
        widths = [width + level * width // 2 for level in range(levels)]
        self.encode = nn.ModuleList(
            [self._upward(channels, width), *(self._upward(fine, coarse) for fine, coarse in pairwise(widths))]
        )
        self.decode = nn.ModuleList(self._upward(coarse + fine, fine) for fine, coarse in pairwise(widths))
        self.join = nn.ModuleList(
            [nn.Conv2d(4 * width, 2 * width, 1, bias=bias), nn.Conv2d(2 * width, channels, 1, bias=bias)]
        )

    def _upward(self, in_channels: int, out_channels: int) -> nn.ModuleList:
        """Return two convolutions, to whose input two rows are added above and none below."""
        return nn.ModuleList(
            nn.Conv2d(size, out_channels, 3, padding=(0, 1), bias=self.bias) for size in (in_channels, out_channels)
        )

    def _denoise(self, x: Tensor, _sigma: Tensor) -> Tensor:
        sides = []
        for turn in range(4):
            turned = x.rot90(turn, dims=(-2, -1))
            height, width = turned.shape[-2:]
            seen = self._pass(pad_to_multiple(turned, 2 ** (self.levels - 1)))
            sides.append(_lowered(seen)[..., :height, :width].rot90(-turn, dims=(-2, -1)))
        first, last = self.join
        return last(leaky_relu(first(torch.cat(sides, dim=1)), _SLOPE))

    def _pass(self, x: Tensor) -> Tensor:
        skips = [_convolved(x, self.encode[0])]
        for encode in self.encode[1:]:
            skips.append(_convolved(max_pool2d(_lowered(skips[-1]), 2), encode))
        x = skips.pop()
        for decode in reversed(self.decode):
            x = _convolved(torch.cat([interpolate(x, scale_factor=2.0), skips.pop()], dim=1), decode)
        return x


def _convolved(x: Tensor, convolutions: nn.Module) -> Tensor:
    for convolution in convolutions.children():
        x = leaky_relu(convolution(pad(x, (0, 0, 2, 0))), _SLOPE)
    return x


def _lowered(x: Tensor) -> Tensor:
    """Move features down by one row, so that each place holds what is known from the rows above it."""
    return pad(x, (0, 0, 1, 0))[..., :-1, :]
