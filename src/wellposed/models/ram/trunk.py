"""The trunk of RAM: a U-shaped network whose every level knows the physics on its own grid."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from wellposed.core.errors import ArgumentError
from wellposed.models.base import lay_channels_last
from wellposed.models.ram.blocks import CHANNELS, Conditioning, Heads, Level

__all__ = ["Trunk"]

_NOISE_MAPS = 2


class Trunk(nn.Module):
    """The weights of RAM, named as in the published files, and the pass through them.

    Parameters
    ----------
    widths : sequence of int
        Features at the four scales, finest first.
    blocks : int
        Blocks a level.
    embedding : bool
        Whether every block sees the measurements: their coarse backprojection, and its normal image.
    krylov : bool
        Whether every block applies the normal operator to images of its own as well, which takes the embedding.

    Raises
    ------
    ArgumentError
        If there is no embedding for the Krylov modules to build on.

    References
    ----------
    Terris et al., *Reconstruct Anything Model: a lightweight foundation model for computational imaging*, 2025,
    arXiv:2503.08915, section 3.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 256, 512),
        blocks: int = 4,
        *,
        embedding: bool = True,
        krylov: bool = True,
    ) -> None:
        super().__init__()
        if krylov and not embedding:
            raise ArgumentError(
                f"{type(self).__name__} expects its Krylov modules to see the measurements: "
                "give krylov=False with embedding=False, or neither."
            )
        physics = {"embedding": embedding, "krylov": krylov}
        finest, *_, coarsest = widths
        self.fact_realign = nn.Parameter(torch.ones(1))
        self.m_head = Heads([(channels + _NOISE_MAPS, finest) for channels in CHANNELS])
        for scale, (fine, coarse) in enumerate(pairwise(widths), start=1):
            setattr(self, f"m_down{scale}", Level(fine, blocks, **physics))
            setattr(self, f"pool{scale}", nn.Conv2d(fine, coarse, 2, stride=2, bias=False))
            setattr(self, f"up{scale}", nn.ConvTranspose2d(coarse, fine, 2, stride=2, bias=False))
            setattr(self, f"m_up{scale}", Level(fine, blocks, **physics))
        self.m_body = Level(coarsest, blocks, **physics)
        self.m_tail = Heads([(finest, channels) for channels in CHANNELS])
        lay_channels_last(self)

    def refine(self, guess: Tensor, noise_maps: Tensor, pyramid: Sequence[Conditioning]) -> Tensor:
        """Return the image, from a first guess of it and two noise maps.

        Parameters
        ----------
        guess : Tensor, shape (B, C, H, W)
            H and W are multiples of 8.
        noise_maps : Tensor, shape (B, 2, H, W)
            Standard deviation of the Gaussian part of the noise, and gain of its Poisson part.
        pyramid : sequence of Conditioning
            One for each scale, finest first.

        Returns
        -------
        Tensor, shape (B, C, H, W)
        """
        channels, depth = guess.shape[1], len(pyramid) - 1
        x = torch.cat([guess, noise_maps], dim=1).contiguous(memory_format=torch.channels_last)
        x = self.m_head(x, channels)
        skips = [x]
        for scale in range(1, depth + 1):
            x = self._part("m_down", scale)(x, pyramid[scale - 1])
            x = self._part("pool", scale)(x)
            skips.append(x)
        x = self.m_body(x, pyramid[depth])
        for scale in range(depth, 0, -1):
            x = self._part("up", scale)(x.add_(skips.pop()))
            x = self._part("m_up", scale)(x, pyramid[scale - 1])
        return self.m_tail(x.add_(skips.pop()), channels)

    def _part(self, name: str, scale: int) -> nn.Module:
        return self.get_submodule(f"{name}{scale}")
