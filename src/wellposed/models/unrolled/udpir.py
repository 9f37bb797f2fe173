"""uDPIR: DPIR unrolled and trained."""

from __future__ import annotations

from pathlib import Path

from wellposed.models.drunet import DRUNet
from wellposed.models.unrolled.network import Unrolled
from wellposed.models.unrolled.repeat import Memory
from wellposed.models.unrolled.splitting import DPIRStep

__all__ = ["udpir"]


def udpir(
    channels: int = 3,
    *,
    n_iter: int = 8,
    tied: bool = True,
    widths: tuple[int, ...] = (64, 128, 256, 512),
    blocks: int = 4,
    weights: str | Path | None = None,
    memory: Memory = "store",
) -> Unrolled:
    """Return uDPIR: eight steps of half-quadratic splitting with a DRUNet, shared (tied) or one for each step (untied).

    The weight and the level of each step are trained with the network. Untied, it has eight times as many weights.

    Parameters
    ----------
    channels : int
        Of the images.
    n_iter, tied, memory
        As in `Unrolled`.
    widths, blocks, weights
        As in `DRUNet`; every step starts from these weights.

    References
    ----------
    Terris, Hurault, Song, Tachella, *Reconstruct Anything Model*, 2025, arXiv:2503.08915, section 5.1.

    Examples
    --------
    >>> tied, untied = (udpir(1, n_iter=2, tied=tied, widths=(4, 8), blocks=1) for tied in (True, False))
    >>> count = lambda network: sum(weight.numel() for weight in network.parameters())
    >>> count(untied) == 2 * count(tied) - 4
    True
    """
    denoiser = DRUNet(channels, widths, blocks, weights=weights)
    step = DPIRStep(denoiser, n_iter, trade_off=(0.23,) * n_iter, level=(1.0,) * n_iter)
    return Unrolled(step, n_iter, tied=tied, memory=memory)
