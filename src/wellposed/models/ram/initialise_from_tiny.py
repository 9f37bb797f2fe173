"""Start RAM from the small denoiser, whose U fits into the three coarser scales of RAM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from wellposed.core.errors import ArgumentError
from wellposed.models.ram.blocks import CHANNELS, PhysicsBlock
from wellposed.models.ram.heads import heads_for_all
from wellposed.models.ram.model import RAM
from wellposed.models.tiny import DenoiserTiny
from wellposed.models.u_shape import ResidualBlock

__all__ = ["initialise_from_tiny"]

_COLOURS = max(CHANNELS)
_FOLDED = 4 * (_COLOURS + 1)
_CORRECTION = 4 * _COLOURS
_TRUST = 3.0
_KEPT = (".gain", ".conv1.weight", ".convin.weight", ".conv10.weight")


@torch.no_grad()
def initialise_from_tiny(ram: RAM, tiny: DenoiserTiny, *, share: float = 0.1) -> None:
    r"""Write a `DenoiserTiny` into RAM, so that at first RAM is that denoiser on its proximal step.

    The denoiser works on the half-resolution grid, RAM on four grids from the image's own on. So the finest scale of
    RAM hands the image on and its first pooling folds it; the scales below are those of the denoiser. Its first and its
    last convolution become blocks, in which a pair of features :math:`\max(\pm w, 0)` passes through the rectifier, and
    what its last convolution makes of its outermost skip goes round by the next coarser scale, folded once more.
    Nothing is approximated. Images of fewer channels are shown to it as colours, as by `initialise_from_drunet`. The
    proximal step trusts the measurements three times as much as a RAM with random weights does: before any training
    that is better for blurs, and by far for super-resolution.

    Parameters
    ----------
    ram : RAM
        Of size "small", with random weights; is changed.
    tiny : DenoiserTiny
        For colour images, with three widths that fit.
    share : float
        What the random weights that lead into residual sums are multiplied by before the denoiser's come on top; at
        zero RAM is the denoiser, to rounding.

    Raises
    ------
    ArgumentError
        If the denoiser is for other images, or does not fit into this RAM.

    Examples
    --------
    >>> tiny, ram = DenoiserTiny(channels=3, widths=(8, 16, 24)), RAM("small")
    >>> initialise_from_tiny(ram, tiny, share=0.0)
    >>> x = torch.rand(1, 3, 64, 64)
    >>> with torch.no_grad():
    ...     bool((ram.denoise(x, sigma=0.1) - tiny(x, sigma=0.1)).abs().max() < 1e-5)
    True
    """
    _check(ram, tiny)
    pixels, half = range(_FOLDED), range(_FOLDED, _FOLDED + tiny.widths[0])
    correction = range(half.stop, half.stop + _CORRECTION)
    quarter = range(tiny.widths[1])
    around = range(quarter.stop, quarter.stop + 4 * _CORRECTION)
    eighth = range(tiny.widths[2])

    _shrink(ram, share)
    ram.fact_realign.fill_(_TRUST)
    _write_heads(ram)
    _add(ram.get_parameter("pool1.weight"), pixels, range(_COLOURS + 1), _fold(_COLOURS + 1))
    _write_linear(_block(ram, "m_down2", 0), tiny.m_head.weight, pixels, half, first=0)
    _write_blocks(ram, "m_down2", _blocks(tiny, "m_down1"), half, first=1)
    _write_linear(_block(ram, "m_down2", 1), tiny.m_tail.weight, half, correction, first=len(half))
    _add(ram.get_parameter("pool2.weight"), quarter, half, tiny.get_parameter(f"m_down1.{tiny.blocks}.weight"))
    _add(ram.get_parameter("pool2.weight"), around, correction, _fold(_CORRECTION))
    _write_blocks(ram, "m_down3", _blocks(tiny, "m_down2"), quarter)
    _add(ram.get_parameter("pool3.weight"), eighth, quarter, tiny.get_parameter(f"m_down2.{tiny.blocks}.weight"))
    _write_blocks(ram, "m_body", _blocks(tiny, "m_body"), eighth)
    _add(ram.get_parameter("up3.weight"), eighth, quarter, tiny.get_parameter("m_up2.0.weight"))
    _write_blocks(ram, "m_up3", _blocks(tiny, "m_up2"), quarter)
    _add(ram.get_parameter("up2.weight"), quarter, half, tiny.get_parameter("m_up1.0.weight"))
    _add(ram.get_parameter("up2.weight"), around, correction, _fold(_CORRECTION))
    _write_blocks(ram, "m_up2", _blocks(tiny, "m_up1"), half)
    _write_linear(_block(ram, "m_up2", tiny.blocks), tiny.m_tail.weight, half, correction, first=0)
    _add(ram.get_parameter("up1.weight"), correction, range(_COLOURS), _fold(_COLOURS))


def _check(ram: RAM, tiny: DenoiserTiny) -> None:
    widths = [ram.get_parameter(f"pool{scale}.weight").shape[0] for scale in (1, 2, 3)]
    fits = tiny.channels == _COLOURS and len(tiny.widths) == len(widths) and tiny.blocks < len(ram.m_body.enc)
    if fits:
        half, quarter, eighth = tiny.widths
        needed = (half + max(half, 2 * _CORRECTION, _FOLDED + _CORRECTION), quarter + 4 * _CORRECTION, eighth)
        fits = all(need <= width for need, width in zip(needed, widths, strict=True))
    if not fits:
        raise ArgumentError(
            f"RAM of size {ram.size!r}, with widths {widths} below the finest, starts from a DenoiserTiny for colour "
            f"images with three widths that fit into them and less than four blocks, got {tiny.channels} channels, "
            f"widths {tiny.widths} and {tiny.blocks} blocks."
        )


def _shrink(ram: RAM, share: float) -> None:
    """Let the random weights that lead into residual sums count little, those behind them as they are."""
    for name, weight in ram.named_parameters():
        if not name.endswith(_KEPT):
            weight.mul_(share)


def _write_heads(ram: RAM) -> None:
    """Let the first features be the colours and the noise level, and the last convolution read the colours."""
    name = f"conv{CHANNELS.index(_COLOURS)}.weight"
    head, tail = ram.get_parameter(f"m_head.{name}"), ram.get_parameter(f"m_tail.{name}")
    _add(head, range(_COLOURS + 1), range(_COLOURS + 1), _centre(torch.eye(_COLOURS + 1)))
    _add(tail, range(_COLOURS), range(_COLOURS), _centre(torch.eye(_COLOURS)))
    ram.load_state_dict(heads_for_all(head[:, :_COLOURS], head[:, _COLOURS:], tail), strict=False)


def _write_blocks(ram: RAM, level: str, blocks: Sequence[ResidualBlock], channels: range, *, first: int = 0) -> None:
    """Write residual blocks into those of a level, on some of its channels."""
    for index, source in enumerate(blocks, start=first):
        block, hidden = _block(ram, level, index), range(len(channels))
        _replace_rows(block.conv1.weight, hidden, channels, source.get_parameter("res.0.weight"))
        _add(block.conv2.weight, channels, hidden, source.get_parameter("res.2.weight"))


def _write_linear(block: PhysicsBlock, weight: Tensor, inputs: range, outputs: range, *, first: int) -> None:
    """Let a block add a convolution w of some channels to others: max(w, 0) - max(-w, 0), by features from `first`."""
    hidden, identity = range(first, first + 2 * len(outputs)), _centre(torch.eye(len(outputs)))
    _replace_rows(block.conv1.weight, hidden, inputs, torch.cat([weight, -weight]))
    _add(block.conv2.weight, outputs, hidden, torch.cat([identity, -identity], dim=1))


def _add(weight: Tensor, rows: range, columns: range, part: Tensor) -> None:
    """Add to a contiguous part of the first two axes of a weight."""
    weight[rows.start : rows.stop, columns.start : columns.stop] += part.to(weight)


def _replace_rows(weight: Tensor, rows: range, columns: range, part: Tensor) -> None:
    """Let some features see nothing but some channels."""
    weight[rows.start : rows.stop] = 0
    _add(weight, rows, columns, part)


def _centre(matrix: Tensor) -> Tensor:
    """Return the 3 x 3 convolution that applies a matrix to the channels of each pixel."""
    return functional.pad(matrix[:, :, None, None], (1, 1, 1, 1))


def _fold(channels: int) -> Tensor:
    """Return the weight (4C, C, 2, 2) of `pixel_unshuffle` as a convolution, of `pixel_shuffle` as a transposed one."""
    return torch.eye(4 * channels).reshape(4 * channels, channels, 2, 2)


def _block(ram: RAM, level: str, index: int) -> PhysicsBlock:
    return cast("PhysicsBlock", ram.get_submodule(f"{level}.enc.{index}"))


def _blocks(tiny: DenoiserTiny, name: str) -> list[ResidualBlock]:
    part = cast("nn.Sequential", tiny.get_submodule(name))
    return [block for block in part if isinstance(block, ResidualBlock)]
