"""The tasks of computed tomography: few views, or little dose, of a grey image as wide as the unit of length."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import cast, final

import torch
from torch import Tensor

from wellposed.core.tree import norm
from wellposed.data.angles import uniform_angles
from wellposed.data.noise_families import FixedGaussian
from wellposed.data.task import Task
from wellposed.noise import Gaussian, LogPoisson
from wellposed.operators import ParallelBeam2D

__all__ = ["CT_TASKS", "FixedLogPoisson", "RelativeGaussian", "parallel_views"]


def parallel_views(x: Tensor, _generator: torch.Generator, *, views: int) -> ParallelBeam2D:
    """Return parallel beams from all sides, evenly spread over half a turn; lengths are in widths of the image.

    Parameters
    ----------
    x : Tensor, shape (B, C, H, W)
    views : int
    """
    shape = cast("tuple[int, int, int]", tuple(x.shape[1:]))
    pixel = 1 / x.shape[-1]
    with x.device:
        angles = uniform_angles(views)
    return ParallelBeam2D(angles.to(x.dtype), shape, detector_pitch=pixel, pixel_size=pixel)


@final
@dataclass(frozen=True)
class FixedLogPoisson:
    """Photon noise of one dose: the noise of a `Task`.

    Parameters
    ----------
    photons : float
        Photons sent per detector element and view.
    attenuation : float
        By how much, per unit of the image, a length of one attenuates.
    """

    photons: float
    attenuation: float

    def __call__(self, x: Tensor, _generator: torch.Generator) -> LogPoisson:
        """Return the noise model for a batch of images."""
        return LogPoisson(
            torch.full((), self.photons, device=x.device), torch.full((), self.attenuation, device=x.device)
        )


@final
@dataclass(frozen=True)
class RelativeGaussian:
    """Gaussian noise at a level relative to the measurements of each image: the noise of a `Task`.

    Parameters
    ----------
    decibels : float
        Signal to noise ratio: 20 log10 of the root mean square of the measurements over sigma.
    views : int
        Of the operator, as in `parallel_views`.
    """

    decibels: float
    views: int

    def __call__(self, x: Tensor, generator: torch.Generator) -> Gaussian:
        """Return the noise model for a batch of images, a sigma each."""
        clean = parallel_views(x, generator, views=self.views)(x)
        return Gaussian(norm(clean) / clean[0].numel() ** 0.5 * 10 ** (-self.decibels / 20))


_PHOTONS, _ATTENUATION = 1e5, 7.0

CT_TASKS = [
    Task(
        "ct-10",
        "parallel-beam CT, 10 views, noise 0.01",
        partial(parallel_views, views=10),
        FixedGaussian(0.01),
        images="grey",
    ),
    Task(
        "ct-51",
        "parallel-beam CT, 51 views, noise 0.0001",
        partial(parallel_views, views=51),
        FixedGaussian(1e-4),
        images="grey",
    ),
    Task(
        "ct-51-poisson",
        f"parallel-beam CT, 51 views, photon noise ({_PHOTONS:g} photons a ray)",
        partial(parallel_views, views=51),
        FixedLogPoisson(_PHOTONS, _ATTENUATION),
        images="grey",
    ),
    Task(
        "ldct-180",
        "parallel-beam CT, 180 views, 30 dB of Gaussian noise",
        partial(parallel_views, views=180),
        RelativeGaussian(30.0, 180),
        images="grey",
    ),
]
"""Those of arXiv:2503.08915 (10 and 51 views) and of LoFi (180 views at 30 dB, there of 128 x 128 pixels)."""
