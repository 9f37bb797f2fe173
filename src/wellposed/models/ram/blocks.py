"""The blocks of RAM: residual convolutions that ask the physics what their features imply."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CHANNELS", "Conditioning", "Heads", "Level", "PhysicsBlock"]

CHANNELS = (1, 2, 3)
"""Real channels of the images that there are heads for: grey, complex, colour."""


class Conditioning(NamedTuple):
    """What the physics says at one scale.

    Parameters
    ----------
    measured : Tensor, shape (B, 2C, h, w)
        The coarse backprojection of the measurements, and the normal operator applied to it.
    normal : callable
        The scaled normal operator f^2 A_s^H A_s of that scale, on images (B, C, h, w).
    """

    measured: Tensor
    normal: Callable[[Tensor], Tensor]


def _conv(inputs: int, outputs: int, size: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)


class Heads(nn.Module):
    """One convolution for each number of image channels.

    Parameters
    ----------
    sizes : list of (int, int)
        Inputs and outputs of the convolutions, in the order of `CHANNELS`.
    """

    def __init__(self, sizes: list[tuple[int, int]]) -> None:
        super().__init__()
        for index, (inputs, outputs) in enumerate(sizes):
            setattr(self, f"conv{index}", _conv(inputs, outputs))

    def forward(self, x: Tensor, channels: int) -> Tensor:
        """Apply the convolution for images of so many channels."""
        return self.get_submodule(f"conv{CHANNELS.index(channels)}")(x)


class _Decoder(nn.Module):
    """From features to two images. The 1x1 convolution is in the published files and is never used."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.convin = _conv(width, 2 * channels)
        self.zero_conv_skip = _conv(width, 2 * channels, size=1)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, 2C, h, w)."""
        return self.convin(features)


class _Encoder(nn.Module):
    """From six images (measured, z and A^H A z) back to features."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        images = 6 * channels
        self.convin = _conv(images, images)
        self.zero_conv_skip = _conv(images, images, size=1)
        self.conv10 = _conv(images, images)
        self.conv20 = _conv(images, width)
        self.skipconv0 = _conv(images, width, size=1)

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, width, h, w)."""
        mixed = self.convin(images) + self.zero_conv_skip(images)
        return self.conv20(functional.relu(self.conv10(mixed), inplace=True)) + self.skipconv0(mixed)


class _KrylovModule(nn.Module):
    r"""Decode two images z from the features, and encode what :math:`A^H A` makes of them.

    Stacking z, :math:`A^H A z` and the measured images lets a convolution form any step in the Krylov space of the
    normal operator.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.decoding_conv = nn.ModuleDict({f"tail{i}": _Decoder(width, c) for i, c in enumerate(CHANNELS)})
        self.encoding_conv = nn.ModuleDict({f"head{i}": _Encoder(width, c) for i, c in enumerate(CHANNELS)})

    def forward(self, features: Tensor, conditioning: Conditioning) -> Tensor:
        """Return features (B, width, h, w)."""
        channels = conditioning.measured.shape[1] // 2
        index = CHANNELS.index(channels)
        first, second = self.decoding_conv[f"tail{index}"](features).chunk(2, dim=1)
        first_seen, second_seen = conditioning.normal(first), conditioning.normal(second)
        images = torch.cat([conditioning.measured, first, first_seen, second, second_seen], dim=1)
        return self.encoding_conv[f"head{index}"](images)


class PhysicsBlock(nn.Module):
    """A residual block with a Krylov subspace module beside its convolutions.

    Parameters
    ----------
    width : int
    krylov : bool
        Whether the module is there.
    """

    def __init__(self, width: int, *, krylov: bool = True) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))
        self.conv1 = _conv(width, width)
        self.conv2 = _conv(width, width)
        self.PhysicsBlock = _KrylovModule(width) if krylov else None

    def forward(self, x: Tensor, conditioning: Conditioning) -> Tensor:
        """Return features of the same shape."""
        features = functional.relu(self.conv1(x), inplace=True)
        residual = self.conv2(features).add_(x)
        if self.PhysicsBlock is None:
            return residual
        implied = functional.relu(self.PhysicsBlock(features, conditioning), inplace=True)
        return torch.addcmul(residual, self.gain, implied)


class Level(nn.Module):
    """Blocks at one scale.

    Parameters
    ----------
    width, blocks : int
    krylov : bool
    """

    def __init__(self, width: int, blocks: int, *, krylov: bool = True) -> None:
        super().__init__()
        self.enc = nn.ModuleList([PhysicsBlock(width, krylov=krylov) for _ in range(blocks)])

    def forward(self, x: Tensor, conditioning: Conditioning) -> Tensor:
        """Return features of the same shape."""
        for block in self.enc:
            x = block(x, conditioning)
        return x
