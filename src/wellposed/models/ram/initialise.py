"""Start RAM from a denoiser, as the paper does."""

from __future__ import annotations

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.models.drunet import DRUNet
from wellposed.models.ram.blocks import CHANNELS
from wellposed.models.ram.heads import heads_for_all
from wellposed.models.ram.model import RAM

__all__ = ["initialise_from_drunet"]


@torch.no_grad()
def initialise_from_drunet(ram: RAM, drunet: DRUNet, *, gain: float = 0.0) -> None:
    r"""Replace the weights of RAM by those of a DRUNet, so that at first it is that DRUNet on the proximal step.

    Convolutions, poolings and upsamplings of all blocks are copied. The first and the last convolution for images of as
    many channels as the DRUNet has are its own; the map of the Poisson gain gets weight zero. Images of
    fewer channels are shown to it as `heads_for_all` says; first and last convolutions for images of more channels
    stay as they are, and so do the Krylov subspace modules, whose gains are set.

    Parameters
    ----------
    ram : RAM
        Is changed.
    drunet : DRUNet
        With the widths of the RAM and four blocks a scale.
    gain : float
        Of the Krylov subspace modules; at zero they are silent, and learn to speak with the first steps.

    Raises
    ------
    ArgumentError
        If the DRUNet has other widths or blocks, or more than three channels.

    References
    ----------
    Terris et al., *Reconstruct Anything Model: a lightweight foundation model for computational imaging*, 2025,
    arXiv:2503.08915, section 4.1.

    Examples
    --------
    >>> drunet, ram = DRUNet(channels=3, widths=(32, 64, 128, 256)), RAM("small")
    >>> initialise_from_drunet(ram, drunet)
    >>> x = torch.rand(1, 3, 64, 64)
    >>> with torch.no_grad():
    ...     bool((ram.denoise(x, sigma=0.1) - drunet(x, sigma=0.1)).abs().max() < 1e-5)
    True
    """
    widths, blocks = _sizes(ram)
    if drunet.widths != widths or drunet.blocks != blocks or drunet.channels > max(CHANNELS):
        raise ArgumentError(
            f"RAM of size {ram.size!r} starts from a DRUNet of at most three channels, of widths {widths} and {blocks} "
            f"blocks, got {drunet.channels} channels, widths {drunet.widths} and {drunet.blocks} blocks."
        )
    gains = {name: torch.full_like(value, gain) for name, value in ram.named_parameters() if name.endswith(".gain")}
    image, level = drunet.m_head.weight.split([drunet.channels, 1], dim=1)
    heads = heads_for_all(image, torch.cat([level, torch.zeros_like(level)], dim=1), drunet.m_tail.weight)
    ram.load_state_dict(_trunk(drunet) | heads | gains, strict=False)


def _sizes(ram: RAM) -> tuple[tuple[int, ...], int]:
    """Return the widths of all scales, finest first, and the number of blocks at each."""
    pools = [ram.get_parameter(f"pool{scale}.weight") for scale in (1, 2, 3)]
    return (pools[0].shape[1], *(len(pool) for pool in pools)), len(ram.m_body.enc)


def _trunk(drunet: DRUNet) -> dict[str, Tensor]:
    """Return the convolutions of the blocks and between the scales, by their names in RAM."""
    weights = _blocks(drunet, "m_body", "m_body", first=0)
    for scale in range(1, len(drunet.widths)):
        down, up = f"m_down{scale}", f"m_up{scale}"
        weights |= _blocks(drunet, down, down, first=0) | _blocks(drunet, up, up, first=1)
        weights[f"pool{scale}.weight"] = drunet.get_parameter(f"{down}.{drunet.blocks}.weight")
        weights[f"up{scale}.weight"] = drunet.get_parameter(f"{up}.0.weight")
    return weights


def _blocks(drunet: DRUNet, source: str, target: str, *, first: int) -> dict[str, Tensor]:
    return {
        f"{target}.enc.{block}.{ours}.weight": drunet.get_parameter(f"{source}.{first + block}.res.{theirs}.weight")
        for block in range(drunet.blocks)
        for ours, theirs in (("conv1", 0), ("conv2", 2))
    }
