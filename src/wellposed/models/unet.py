"""U-Net, with or without biases, blind or told the noise level."""

from __future__ import annotations

from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from wellposed.core.arguments import check_counts
from wellposed.core.errors import ArgumentError
from wellposed.models.base import Denoiser, pad_to_multiple, with_map

__all__ = ["UNet"]


@final
class UNet(Denoiser):
    r"""The U-Net: pairs of convolutions, halved by maxima, doubled by transposed convolutions, joined by concatenation.

    .. math:: \hat x = x + U(x) \quad\text{or, with a noise map,}\quad \hat x = x + U([x, \sigma 1])

    There is no batch normalisation, so that an image does not depend on its batch. Without biases the network is
    homogeneous, :math:`D(a x, a \sigma) = a D(x, \sigma)` for :math:`a > 0`, and a denoiser trained at some noise
    levels works at others. Images whose sizes are not multiples of 2^(levels - 1) are padded by repeating the last row
    and column, and cropped after.

    Parameters
    ----------
    channels : int
        Of the images.
    width : int
        Channels at full resolution; each level doubles them.
    levels : int
        Number of resolutions, at least two.
    bias : bool
        Whether the convolutions add constants.
    noise_map : bool
        Whether the noise level is read as one more channel; if not, the network is blind.

    Raises
    ------
    ArgumentError
        If there is a single level, or something is not a whole number above zero.

    References
    ----------
    Ronneberger, Fischer, Brox, *U-Net: convolutional networks for biomedical image segmentation*, MICCAI 2015,
    arXiv:1505.04597.
    Mohan, Kadkhodaie, Simoncelli, Fernandez-Granda, *Robust and interpretable blind image denoising via bias-free
    convolutional neural networks*, ICLR 2020, arXiv:1906.05478.

    Examples
    --------
    >>> UNet(channels=1, width=4, levels=3)(torch.rand(2, 1, 13, 9)).shape
    torch.Size([2, 1, 13, 9])
    """

    channels: int

    def __init__(
        self, channels: int = 3, width: int = 32, levels: int = 4, *, bias: bool = True, noise_map: bool = False
    ) -> None:
        super().__init__()
        check_counts("UNet", channels=channels, width=width, levels=levels)
        if levels < 2:
            raise ArgumentError(f"UNet expects at least 2 levels, got {levels}.")
        self.channels, self.width, self.levels = channels, width, levels
        self.bias, self.noise_map, self.blind = bias, noise_map, not noise_map
        widths = [width * 2**level for level in range(levels)]
        pairs = list(pairwise(widths))
        self.encode = nn.ModuleList(
            [self._two_convs(channels + noise_map, width), *(self._two_convs(fine, coarse) for fine, coarse in pairs)]
        )
        self.upsample = nn.ModuleList(
            nn.ConvTranspose2d(coarse, fine, 2, stride=2, bias=bias) for fine, coarse in pairs
        )
        self.decode = nn.ModuleList(self._two_convs(2 * fine, fine) for fine, _ in pairs)
        self.last = nn.Conv2d(width, channels, 1, bias=bias)

    def _two_convs(self, in_channels: int, out_channels: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=self.bias),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=self.bias),
            nn.ReLU(inplace=True),
        )

    def _denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        padded = pad_to_multiple(with_map(x, sigma) if self.noise_map else x, 2 ** (self.levels - 1))
        return x + self._pass(padded)[..., :height, :width]

    def _pass(self, x: Tensor) -> Tensor:
        skips = [self.encode[0](x)]
        for encode in self.encode[1:]:
            skips.append(encode(max_pool2d(skips[-1], 2)))
        x = skips.pop()
        for upsample, decode in zip(reversed(self.upsample), reversed(self.decode), strict=True):
            x = decode(torch.cat([skips.pop(), upsample(x)], dim=1))
        return self.last(x)
