"""The problems that a foundation model is trained on: operators and noise levels drawn anew for each image."""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from wellposed.core.tree import per_image
from wellposed.data.ct_tasks import parallel_views
from wellposed.data.kernels import gaussian_kernel, motion_kernel
from wellposed.data.masks import bernoulli_mask, cartesian_mask
from wellposed.data.noise_families import RandomGaussian, RandomPoissonGaussian, uniform_per_image
from wellposed.data.task import Task
from wellposed.noise import Gaussian
from wellposed.operators import (
    Blur,
    CartesianMRI,
    Downsample,
    Identity,
    LinearOperator,
    Mask,
    ParallelBeam2D,
    SpectralResponse,
    Stack,
)
from wellposed.operators.filters import antialiasing_filter

__all__ = ["RANDOM_TASKS"]

_KERNEL_SIZE = 31
_WIDTH = (0.5, 4.5)
_CENTER_FRACTIONS = {4: 0.08, 8: 0.04}
_VIEWS = 10


def _shape(x: Tensor) -> tuple[int, int, int]:
    channels, height, width = x.shape[1:]
    return channels, height, width


def _choose(x: Tensor, first: Tensor, second: Tensor, generator: torch.Generator) -> Tensor:
    """Take the first or the second of two parameters (B or 1, ...) for each image, with equal probability."""
    toss = uniform_per_image(x, 0, 1, generator).to(first.device) < 0.5
    return torch.where(per_image(toss, first), first, second)


def _identity(x: Tensor, _generator: torch.Generator) -> LinearOperator:
    return Identity(_shape(x))


def _deblur(x: Tensor, generator: torch.Generator, *, padding: Literal["valid", "circular"]) -> LinearOperator:
    severity = uniform_per_image(x, 0, 1, generator)
    length_scale = (0.1 + 1.1 * severity) * uniform_per_image(x, 0.75, 1.25, generator)
    std = (0.1 + 0.9 * severity) * uniform_per_image(x, 0.75, 1.25, generator)
    motion = motion_kernel(len(x), length_scale=length_scale, std=std, size=_KERNEL_SIZE, generator=generator)
    gaussian = gaussian_kernel(uniform_per_image(x, *_WIDTH, generator), _KERNEL_SIZE)
    return Blur(_choose(x, motion.to(x.device), gaussian, generator), _shape(x), padding=padding)


def _deblur_noise(x: Tensor, generator: torch.Generator) -> Gaussian:
    return RandomGaussian(0.001 if x.shape[1] == 1 else 0.01, 0.2)(x, generator)


def _inpaint(
    x: Tensor, generator: torch.Generator, *, low: float, high: float, per_channel: bool = False
) -> LinearOperator:
    keep = uniform_per_image(x, low, high, generator)
    mask = bernoulli_mask(len(x), _shape(x), keep=keep, per_channel=per_channel, generator=generator)
    return Mask(mask, _shape(x))


def _downsample(x: Tensor, generator: torch.Generator, *, factor: int) -> LinearOperator:
    bicubic, bilinear = _taps(factor, x.device)
    return Downsample(factor, _shape(x), filter=_choose(x, bicubic, bilinear, generator))


@lru_cache(maxsize=16)
def _taps(factor: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the bicubic and the bilinear filter, both of 4 x factor taps and centred alike."""
    bilinear = functional.pad(antialiasing_filter("bilinear", factor), [factor] * 4)
    return antialiasing_filter("bicubic", factor).to(device), bilinear.to(device)


def _pansharpen(x: Tensor, _generator: torch.Generator) -> LinearOperator:
    """Measure colours at a fourth of the resolution, and their mean at all of it."""
    bilinear = _taps(4, x.device)[1]
    flat = torch.full((1, 1, 3), 1 / 3, device=x.device)
    return Stack((Downsample(4, _shape(x), filter=bilinear), SpectralResponse(flat, _shape(x))))


def _mri(x: Tensor, generator: torch.Generator) -> LinearOperator:
    masks = [
        cartesian_mask(
            len(x), _shape(x), acceleration=acceleration, center_fraction=center_fraction, generator=generator
        )
        for acceleration, center_fraction in _CENTER_FRACTIONS.items()
    ]
    return CartesianMRI(_choose(x, masks[0], masks[1], generator), _shape(x))


def _tomography(x: Tensor, generator: torch.Generator) -> LinearOperator:
    """Turn the views of "ct-10" about each image, by less than from one to the next: further turns are the same."""
    beam: ParallelBeam2D = parallel_views(x, generator, views=_VIEWS)
    start = uniform_per_image(x, 0, math.pi / _VIEWS, generator)
    return beam.with_params(angles=beam.angles + start[:, None].to(x.dtype))


def _all_tasks() -> list[Task]:
    photons = RandomPoissonGaussian(sigma=(0.001, 0.2), gain=(0.01, 1.0))
    resolution = [
        Task(
            f"random-sr{factor}",
            f"{factor}x super-resolution, bicubic or bilinear, noise 0.001 to 0.01",
            partial(_downsample, factor=factor),
            RandomGaussian(0.001, 0.01),
            multiple_of=factor,
            min_size=factor,
        )
        for factor in (2, 4)
    ]
    return [
        Task("random-denoise", "Gaussian noise 0.001 to 0.2, on half the images photon noise too", _identity, photons),
        Task(
            "random-deblur",
            "motion blur or Gaussian blur of any strength, noise 0.01 (grey 0.001) to 0.2",
            partial(_deblur, padding="valid"),
            _deblur_noise,
            min_size=_KERNEL_SIZE,
        ),
        Task(
            "random-deblur-circular",
            "the same blurs on images that go on at the opposite border",
            partial(_deblur, padding="circular"),
            _deblur_noise,
            min_size=_KERNEL_SIZE,
        ),
        Task(
            "random-inpaint",
            "10 to 70 percent of the pixels missing, noise 0.01 to 0.2, on half the images photon noise too",
            partial(_inpaint, low=0.3, high=0.9),
            RandomPoissonGaussian(sigma=(0.01, 0.2), gain=(0.01, 1.0)),
        ),
        Task(
            "random-inpaint-channels",
            "10 to 80 percent of the pixels of each channel missing, others in each, noise 0.01 to 0.1",
            partial(_inpaint, low=0.2, high=0.9, per_channel=True),
            RandomGaussian(0.01, 0.1),
        ),
        *resolution,
        Task(
            "random-pansharpen",
            "colours at a 4th of the resolution (bilinear) and sharp grey values, noise 0.01 to 0.1",
            _pansharpen,
            RandomGaussian(0.01, 0.1),
            images="rgb",
            multiple_of=4,
            min_size=4,
        ),
        Task(
            "random-mri",
            "single-coil MRI, 1 of 4 or 8 columns of k-space, noise 0.0005 to 0.1",
            _mri,
            RandomGaussian(5e-4, 0.1),
            images="complex",
            min_size=8,
        ),
        Task(
            "random-ct",
            "parallel-beam CT, 10 views from any angle on, noise 0.0001 to 0.01",
            _tomography,
            RandomGaussian(1e-4, 0.01),
            images="grey",
            min_size=8,
        ),
        Task(
            "random-denoise-complex",
            "Gaussian noise 0.001 to 0.1 on complex images",
            _identity,
            RandomGaussian(0.001, 0.1),
            images="complex",
        ),
        Task(
            "random-inpaint-complex",
            "10 to 90 percent of the pixels of complex images missing, noise 0.01 to 0.1",
            partial(_inpaint, low=0.1, high=0.9),
            RandomGaussian(0.01, 0.1),
            images="complex",
        ),
    ]


RANDOM_TASKS: dict[str, Task] = {task.name: task for task in _all_tasks()}
"""The training problems of table 5 of the RAM paper (arXiv:2503.08915), by name.

Operators and noise levels differ from image to image, uniformly over the ranges of the table. Where the table leaves
the choice open:

- Half the kernels of "random-deblur" are motion blurs, whose length scale and extent grow together from those of
  "motion-easy" to those of "motion-hard", each times a factor of 0.75 to 1.25 of its own; half are Gaussian of
  standard deviation 0.5 to 4.5 pixels.
- "random-deblur-circular" is not among them: every pixel of a small crop is measured whole, where "random-deblur" of
  kernels with 31 pixels measures a margin of 15 in part, which is three quarters of a crop of 64.
- Half the images of "random-denoise" and "random-inpaint" have photon noise of gain 0.01 to 1 besides Gaussian noise,
  half Gaussian noise alone, which a gain drawn from the table's range would never be.
- "random-inpaint-channels" is not among them: networks that have only seen masks which all channels share know no
  colour filter arrays.
- "random-ct" turns the table's 10 views by an angle of each image's own. Its noise reaches from that of "ct-51", for
  which the paper gives the level used in training, to that of the table. Lengths are in widths of the image, as in all
  tasks of computed tomography; images are the lung window, -1200 to 800 HU, scaled to [0, 1], as `hounsfield_to_unit`
  and data of kind "ct" in a recipe have them.
- The table's levels for complex images belong to images with peak one, as all images are here; its factor of 0.005
  leads back to the raw fastMRI scale. Those of "random-mri" begin at 0.0005 rather than 0.001, so that "mri-x4" and
  "mri-x8" lie inside.
"""
