"""Reconstruction by a denoiser without tuning: levels from the physics, schedules by what the operator does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import torch
from torch import Tensor

from wellposed.core.complex_view import real_view
from wellposed.core.rng import normal_like
from wellposed.core.tree import Tree, norm, per_image
from wellposed.optim import DPIR, HQS, DenoiserFunction, LeastSquares, PlugAndPlay, noise_levels, smooth_start
from wellposed.physics import Physics
from wellposed.solvers import CG, run

__all__ = ["denoise_parts", "plug_and_play", "red", "scheduled"]

Progress: TypeAlias = Callable[[int, int], Any] | None

_LEAST_NOISE = 1e-3
_DATA_STEP = CG(tolerance=1e-3, max_steps=50)
_IMAGES_AT_ONCE = 16
_AMPLIFYING, _ALL_OR_NOTHING = DPIR(), DPIR(max_steps=24, trade_off=0.03)
_STEPS, _SETTLED = 50, 1e-3
_LEAST_LEVEL = 0.03
_PNP_LEVEL, _RED_LEVEL = 1.5, 0.5
_ROUNDING = 5e-3


@dataclass(frozen=True)
class _Setting:
    """The measurements, and what their physics say of them; levels have shape (B,).

    The noise is that of the physics, in each image; noise that depends on the signal counts by its mean variance.
    Measurements without noise are taken to have a thousandth of white, which is the largest value of the smooth start.
    """

    y: Tree
    physics: Physics

    @cached_property
    def data(self) -> LeastSquares:
        return LeastSquares(self.physics.linear_operator, self.y, solver=_DATA_STEP)

    @cached_property
    def start(self) -> Tensor:
        return smooth_start(self.data)

    @cached_property
    def white(self) -> Tensor:
        return _or_one(self.start.abs().flatten(1).amax(1))

    @cached_property
    def size(self) -> Tensor:
        """The norm of the operator."""
        return _or_one(self.data.operator_norm)

    @cached_property
    def noise(self) -> Tensor:
        """The noise of the measurements."""
        return torch.maximum(noise_levels(self.y, self.physics).measurements, _LEAST_NOISE * self.size * self.white)

    @cached_property
    def level(self) -> Tensor:
        """The noise of the image, where the operator keeps most of it."""
        return self.noise / self.size

    def one_level(self, factor: float) -> Tensor:
        """Return the level of a denoiser that is always told the same: so many times the noise, and never weak."""
        return torch.maximum(factor * self.level, _LEAST_LEVEL * self.white)

    @cached_property
    def isotropic(self) -> Tensor:
        """Which images only have noise to be removed: A^H A is a multiple of the identity, (B,)."""
        once, _ = self._gram_of_noise
        return once <= _ROUNDING

    @cached_property
    def all_or_nothing(self) -> Tensor:
        """Where the operator keeps or loses each part of the image whole, as masks do, (B,)."""
        _, twice = self._gram_of_noise
        return twice <= _ROUNDING

    @cached_property
    def _gram_of_noise(self) -> tuple[Tensor, Tensor]:
        """Return ||P r - r|| and ||P P r - P r|| over ||r|| for P = A^H A / ||A||^2 and noise r."""
        back = self.data.backprojection
        draw = normal_like(back[:1], torch.Generator().manual_seed(0)).expand_as(back)
        scale = per_image(self.size.square(), back)
        once = self.data.normal(draw) / scale
        twice = self.data.normal(once) / scale
        return norm(once - draw) / norm(draw), norm(twice - once) / norm(draw)


def scheduled(y: Tree, physics: Physics, denoiser: DenoiserFunction, callback: Progress) -> Tensor:
    """Run DPIR from a smooth start; where there is only noise to be removed, remove it once.

    Operators that weaken parts of the image amplify noise in the data step, which the published weight balances in its
    eight steps. Those that keep or lose a part whole amplify none: they take more steps, with a small weight.
    """
    setting = _Setting(y, physics)
    problem = PlugAndPlay(setting.data, denoiser)

    def by(method: DPIR) -> Callable[[Progress], Tensor]:
        def reconstruct(callback: Progress) -> Tensor:
            state = method.init(problem, setting.start, noise=setting.noise, last=setting.level, peak=setting.white)
            return run(method, problem, state, callback=_told(callback, method.max_steps)).state.x

        return reconstruct

    return _by_kind(setting, denoiser, by(_ALL_OR_NOTHING), by(_AMPLIFYING), callback)


def plug_and_play(y: Tree, physics: Physics, denoiser: DenoiserFunction, callback: Progress) -> Tensor:
    """Run half-quadratic splitting with the denoiser at one level until the image settles, from a smooth start."""
    setting = _Setting(y, physics)
    problem = PlugAndPlay(setting.data, denoiser)

    def by(trade_off: float) -> Callable[[Progress], Tensor]:
        def reconstruct(callback: Progress) -> Tensor:
            sigma = setting.one_level(_PNP_LEVEL)
            gamma = (sigma / setting.noise).square() / trade_off
            return _settled(problem, setting.start, gamma, sigma, callback)

        return reconstruct

    return _by_kind(setting, denoiser, by(_ALL_OR_NOTHING.trade_off), by(_AMPLIFYING.trade_off), callback)


def red(y: Tree, physics: Physics, denoiser: DenoiserFunction, callback: Progress) -> Tensor:
    r"""Find the zero of the field of RED, :math:`A^H (A x - y) + (s / \sigma)^2 (x - D(x, \sigma))`, s the noise of y.

    It is the fixed point of :math:`x \mapsto \mathrm{prox}_{\gamma f}(D(x, \sigma))` with
    :math:`\gamma = (\sigma / s)^2`, the steps of half-quadratic splitting (Reehorst and Schniter 2019, section 5).
    """
    setting = _Setting(y, physics)
    sigma = setting.one_level(_RED_LEVEL)
    gamma = (sigma / setting.noise).square()
    denoised = _settled(PlugAndPlay(setting.data, denoiser), setting.start, gamma, sigma, callback)
    return setting.data.prox(denoised, gamma)


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


def _by_kind(
    setting: _Setting,
    denoiser: DenoiserFunction,
    all_or_nothing: Callable[[Progress], Tensor],
    amplifying: Callable[[Progress], Tensor],
    callback: Progress,
) -> Tensor:
    """Reconstruct each image as the operator that it was measured by calls for; a batch mostly holds one kind."""

    def once(callback: Progress) -> Tensor:
        naive = setting.data.backprojection / per_image(setting.size.square(), setting.start)
        clean = denoiser(naive, setting.level)
        if callback is not None:
            callback(1, 1)
        return clean

    isotropic = setting.isotropic
    kinds = (
        (isotropic, once),
        (setting.all_or_nothing & ~isotropic, all_or_nothing),
        (~setting.all_or_nothing & ~isotropic, amplifying),
    )
    x = setting.start
    for chosen, reconstruct in kinds:
        if bool(chosen.any()):
            found = reconstruct(callback)
            x = torch.where(per_image(chosen, found), found, x)
    return x


def _settled(problem: PlugAndPlay, start: Tensor, gamma: Tensor, sigma: Tensor, callback: Progress) -> Tensor:
    """Return where half-quadratic splitting settles, or what it has after so many steps."""
    method = HQS(gamma, sigma, tolerance=_SETTLED, max_steps=_STEPS)
    state = method.init(problem, start)
    return run(method, problem, state, callback=_told(callback, _STEPS), throw=False).state.x


def _told(callback: Progress, steps: int) -> Callable[[int, Any], None] | None:
    """Return what tells the progress of a run."""
    return None if callback is None else lambda step, _: callback(step, steps) and None


def _or_one(size: Tensor) -> Tensor:
    """Return what can be divided by: one in place of zero."""
    return torch.where(size > 0, size, 1)
