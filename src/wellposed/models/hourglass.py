"""The network of the deep image prior: an hourglass with thin skips, which makes photographs sooner than noise."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from wellposed.core.arguments import check_counts

__all__ = ["Hourglass"]

_LEAKS = 0.2


@final
class Hourglass(nn.Module):
    """Halve the resolution several times by strided convolutions, and double it by interpolation.

    Each convolution is followed by instance normalisation and a leaky ReLU; borders are reflected. Skips of a few
    channels join the two halves. The last layer is linear, so that values have no bounds. Sides have at least
    2^(levels + 1) pixels.

    Parameters
    ----------
    in_channels, out_channels : int
    width : int
        Channels of every level.
    skip : int
        Channels of the skips.
    levels : int
        How many times the resolution is halved.

    Raises
    ------
    ArgumentError
        If something is not a whole number above zero.

    References
    ----------
    Ulyanov, Vedaldi, Lempitsky, *Deep image prior*, CVPR 2018, arXiv:1711.10925, supplementary material.

    Examples
    --------
    >>> Hourglass(2, 1, width=4, levels=3)(torch.rand(1, 2, 21, 16)).shape
    torch.Size([1, 1, 21, 16])
    """

    def __init__(self, in_channels: int, out_channels: int, width: int = 64, skip: int = 4, levels: int = 5) -> None:
        super().__init__()
        check_counts("Hourglass", in_channels=in_channels, out_channels=out_channels)
        check_counts("Hourglass", width=width, skip=skip, levels=levels)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.width, self.skip, self.levels = width, skip, levels
        entries = [in_channels, *[width] * (levels - 1)]
        self.down = nn.ModuleList(
            nn.Sequential(_layer(entry, width, stride=2), _layer(width, width)) for entry in entries
        )
        self.across = nn.ModuleList(_layer(entry, skip, size=1) for entry in entries)
        self.up = nn.ModuleList(
            nn.Sequential(_layer(width + skip, width), _layer(width, width, size=1)) for _ in entries
        )
        self.last = nn.Conv2d(width, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Make images (B, out_channels, H, W) of inputs (B, in_channels, H, W)."""
        skips: list[Tensor] = []
        for down, across in zip(self.down, self.across, strict=True):
            skips.append(across(x))
            x = down(x)
        for up, skipped in zip(self.up, reversed(skips), strict=True):
            finer = functional.interpolate(x, size=skipped.shape[-2:], mode="bilinear", align_corners=False)
            x = up(torch.cat([finer, skipped], dim=1))
        return self.last(x)


def _layer(in_channels: int, out_channels: int, *, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, size, stride, padding=size // 2, padding_mode="reflect"),
        nn.InstanceNorm2d(out_channels, affine=True),
        nn.LeakyReLU(_LEAKS),
    )
