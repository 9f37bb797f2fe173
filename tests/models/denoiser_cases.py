"""The denoisers that the battery is run on: small ones, at least one of every registered class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tests.support.tensors import random_tensor
from wellposed.models import (
    Autoencoder,
    BlindSpot,
    ComplexDenoiser,
    Denoiser,
    DenoiserTiny,
    DnCNN,
    DRUNet,
    Equivariant,
    UNet,
)


@dataclass(frozen=True)
class Case:
    """How to build a denoiser for a number of channels, and what is true of it."""

    build: Callable[[int], Denoiser]
    homogeneous: bool = True
    takes_complex: bool = False

    def make(self, channels: int = 1, dtype: torch.dtype = torch.float64) -> Denoiser:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.build(channels).to(dtype)

    def image(self, *shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
        return random_tensor(*shape, seed=seed, dtype=dtype.to_complex() if self.takes_complex else dtype)


def tiny(channels: int) -> DenoiserTiny:
    return DenoiserTiny(channels, widths=(6, 8), blocks=1)


CASES = {
    "Autoencoder": Case(lambda channels: Autoencoder(channels, width=4, levels=2, code=3), homogeneous=False),
    "BlindSpot": Case(lambda channels: BlindSpot(channels, width=4, levels=2), homogeneous=False),
    "BlindSpot-bias-free": Case(lambda channels: BlindSpot(channels, width=4, levels=2, bias=False)),
    "DnCNN": Case(lambda channels: DnCNN(channels, width=6, depth=4), homogeneous=False),
    "DnCNN-bias-free": Case(lambda channels: DnCNN(channels, width=6, depth=4, bias=False)),
    "DRUNet": Case(lambda channels: DRUNet(channels, widths=(4, 6, 8), blocks=1)),
    "UNet": Case(lambda channels: UNet(channels, width=4, levels=3), homogeneous=False),
    "UNet-bias-free": Case(lambda channels: UNet(channels, width=4, levels=3, bias=False)),
    "UNet-noise-map": Case(lambda channels: UNet(channels, width=4, levels=3, bias=False, noise_map=True)),
    "DenoiserTiny": Case(tiny),
    "Equivariant": Case(lambda channels: Equivariant(tiny(channels), mode="average")),
    "ComplexDenoiser-images": Case(lambda channels: ComplexDenoiser(tiny(channels)), takes_complex=True),
    "ComplexDenoiser-channels": Case(lambda channels: ComplexDenoiser(tiny(2 * channels)), takes_complex=True),
}
