"""DPIR without tuning: levels from the physics, an approximate data step, and a denoiser for any kind of image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wellposed.core.complex_view import real_view
from wellposed.core.tree import Tree
from wellposed.optim import DPIR, DenoiserFunction, LeastSquares, PlugAndPlay, noise_levels, smooth_start
from wellposed.physics import Physics
from wellposed.solvers import CG, run

__all__ = ["denoise_parts", "plug_and_play"]

_LEAST_NOISE = 1e-3
_DATA_STEP = CG(tolerance=1e-3, max_steps=50)
_IMAGES_AT_ONCE = 16


def plug_and_play(
    y: Tree, physics: Physics, denoiser: DenoiserFunction, callback: Callable[[int, int], Any] | None
) -> Tensor:
    """Run DPIR from a smooth start.

    The noise is that of the physics, in each image; noise that depends on the signal counts by its mean variance.
    Measurements without noise are taken to have a thousandth of white, which is the largest value of the start.
    """
    data = LeastSquares(physics.linear_operator, y, solver=_DATA_STEP)
    start = smooth_start(data)
    white = start.abs().flatten(1).amax(1)
    white = torch.where(white > 0, white, 1)
    size = torch.where(data.operator_norm > 0, data.operator_norm, 1)
    noise = torch.maximum(noise_levels(y, physics).measurements, _LEAST_NOISE * size * white)
    problem, method = PlugAndPlay(data, denoiser), DPIR()
    solution = run(
        method,
        problem,
        method.init(problem, start, noise=noise, last=noise / size, peak=white),
        callback=None if callback is None else lambda step, _: callback(step, method.max_steps) and None,
    )
    return solution.state.x


def denoise_parts(denoiser: DenoiserFunction, x: Tensor, sigma: Tensor) -> Tensor:
    """Apply a denoiser of grey images to each channel, slice, real and imaginary part of images by itself.

    Parameters
    ----------
    denoiser : callable
        For images (B, 1, H, W).
    x : Tensor, shape (B, C, H, W) or (B, C, D, H, W), real or complex
    sigma : Tensor, shape (B,)
    """
    parts = real_view(x).movedim(-1, 1) if x.is_complex() else x
    grey = parts.reshape(-1, 1, *parts.shape[-2:])
    levels = sigma.repeat_interleave(len(grey) // len(x))
    pieces = zip(grey.split(_IMAGES_AT_ONCE), levels.split(_IMAGES_AT_ONCE), strict=True)
    clean = torch.cat([denoiser(image, level) for image, level in pieces]).reshape(parts.shape)
    return torch.view_as_complex(clean.movedim(1, -1).contiguous()) if x.is_complex() else clean
