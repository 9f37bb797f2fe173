"""The blocks of RAM: residual convolutions that ask the physics what their features imply."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from wellposed.models.convolve import add_rectified_, convolve

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
        The scaled normal operator f^2 A_s^H A_s of that scale, on images (B, n C, h, w): n of them side by side.
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
        return convolve(x, self.get_parameter(f"conv{CHANNELS.index(channels)}.weight"))


class _Decoder(nn.Module):
    """From features to two images. The 1x1 convolution is in the published files and is never used."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.convin = _conv(width, 2 * channels)
        self.zero_conv_skip = _conv(width, 2 * channels, size=1)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, 2C, h, w)."""
        return convolve(features, self.convin.weight)


class _Encoder(nn.Module):
    """From images side by side to features, rectified and added to others. The first two convolutions are but one."""

    def __init__(self, width: int, images: int) -> None:
        super().__init__()
        self.convin = _conv(images, images)
        self.zero_conv_skip = _conv(images, images, size=1)
        self.conv10 = _conv(images, images)
        self.conv20 = _conv(images, width)
        self.skipconv0 = _conv(images, width, size=1)

    def forward(self, images: Tensor, residual: Tensor, gain: Tensor) -> Tensor:
        """Return the residual, shape (B, width, h, w), plus `gain` times what the images imply, in place."""
        both = self.convin.weight + functional.pad(self.zero_conv_skip.weight, (1, 1, 1, 1))
        mixed = functional.conv2d(images, both, padding=1)
        features = functional.relu(self.conv10(mixed), inplace=True)
        return add_rectified_(residual, gain, features, self.conv20.weight, mixed, self.skipconv0.weight)


class _EmbeddingModule(nn.Module):
    """Encode the measured images alone: what the second ablation of the paper has in the place of a Krylov module."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoding_conv = nn.ModuleDict({f"head{i}": _Encoder(width, 2 * c) for i, c in enumerate(CHANNELS)})

    def forward(self, _features: Tensor, conditioning: Conditioning, residual: Tensor, gain: Tensor) -> Tensor:
        """Return the residual, shape (B, width, h, w), plus `gain` times what the measurements imply, in place."""
        index = CHANNELS.index(conditioning.measured.shape[1] // 2)
        return self.encoding_conv[f"head{index}"](conditioning.measured, residual, gain)


class _KrylovModule(nn.Module):
    r"""Decode two images z from the features, and encode what :math:`A^H A` makes of them.

    Stacking z, :math:`A^H A z` and the measured images lets a convolution form any step in the Krylov space of the
    normal operator.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.decoding_conv = nn.ModuleDict({f"tail{i}": _Decoder(width, c) for i, c in enumerate(CHANNELS)})
        self.encoding_conv = nn.ModuleDict({f"head{i}": _Encoder(width, 6 * c) for i, c in enumerate(CHANNELS)})

    def forward(self, features: Tensor, conditioning: Conditioning, residual: Tensor, gain: Tensor) -> Tensor:
        """Return the residual, shape (B, width, h, w), plus `gain` times what the physics says of it, in place."""
        index = CHANNELS.index(conditioning.measured.shape[1] // 2)
        decoded = self.decoding_conv[f"tail{index}"](features)
        pairs = zip(decoded.chunk(2, dim=1), conditioning.normal(decoded).chunk(2, dim=1), strict=True)
        images = torch.cat([conditioning.measured, *chain.from_iterable(pairs)], dim=1)
        return self.encoding_conv[f"head{index}"](images, residual, gain)


class PhysicsBlock(nn.Module):
    """A residual block with a Krylov subspace module beside its convolutions.

    Parameters
    ----------
    width : int
    embedding, krylov : bool
        What the module sees, as in `Trunk`; without an embedding there is none.
    """

    def __init__(self, width: int, *, embedding: bool = True, krylov: bool = True) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))
        self.conv1 = _conv(width, width)
        self.conv2 = _conv(width, width)
        module = _KrylovModule if krylov else _EmbeddingModule
        self.PhysicsBlock = module(width) if embedding else None

    def forward(self, x: Tensor, conditioning: Conditioning) -> Tensor:
        """Return features of the same shape."""
        features = functional.relu(self.conv1(x), inplace=True)
        residual = self.conv2(features).add_(x)
        if self.PhysicsBlock is None:
            return residual
        return self.PhysicsBlock(features, conditioning, residual, self.gain)


class Level(nn.Module):
    """Blocks at one scale.

    Parameters
    ----------
    width, blocks : int
    embedding, krylov : bool
        As in `Trunk`.
    """

    def __init__(self, width: int, blocks: int, *, embedding: bool = True, krylov: bool = True) -> None:
        super().__init__()
        self.enc = nn.ModuleList([PhysicsBlock(width, embedding=embedding, krylov=krylov) for _ in range(blocks)])

    def forward(self, x: Tensor, conditioning: Conditioning) -> Tensor:
        """Return features of the same shape."""
        for block in self.enc:
            x = block(x, conditioning)
        return x
