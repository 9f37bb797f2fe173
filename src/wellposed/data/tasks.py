"""Named tasks: the problems that everyone compares on, each an operator family, its random parameters and its noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias, final

import torch
from torch import Tensor

from wellposed.core.complex_view import real_dtype
from wellposed.core.errors import ShapeError
from wellposed.core.names import check_name
from wellposed.core.rng import streams
from wellposed.core.shapes import check_tree
from wellposed.data.images import to_grey
from wellposed.data.kernels import gaussian_kernel, motion_kernel
from wellposed.data.masks import bernoulli_mask, cartesian_mask
from wellposed.noise import Gaussian
from wellposed.operators import BayerMosaic, Blur, CartesianMRI, Downsample, Identity, LinearOperator, Mask
from wellposed.physics import Physics

__all__ = ["TASKS", "Images", "Task", "get_task"]

Images: TypeAlias = Literal["any", "rgb", "complex"]
"""What images a task works on."""

OperatorFamily: TypeAlias = Callable[[Tensor, torch.Generator], LinearOperator]
"""Draws the operator for a batch of images."""


@final
@dataclass(frozen=True)
class Task:
    r"""A named inverse problem, :math:`y = A_\theta x + \sigma n`, with random parameters :math:`\theta` per image.

    Parameters
    ----------
    name : str
    summary : str
        One line for a person who chooses a task.
    operator : callable
        Draws the operator: ``operator(x, generator)``.
    sigma : float
        Standard deviation of the Gaussian noise, for images in [0, 1]; of each of both parts of complex measurements.
    images : {"any", "rgb", "complex"}
        What images it works on.
    multiple_of : int
        Height and width must be multiples of it.
    min_size : int
        The smallest height and width.

    References
    ----------
    M. Terris, S. Hurault, M. Song, J. Tachella, Reconstruct Anything Model, 2025, arXiv:2503.08915: section 5.2 and
    appendix B.2 set the blur and MRI tasks.

    Examples
    --------
    >>> task = get_task("motion-medium")
    >>> y, physics = task.sample(torch.rand(2, 3, 64, 48), generator=torch.Generator().manual_seed(0))
    >>> y.shape, physics.operator.kernel.shape
    (torch.Size([2, 3, 34, 18]), torch.Size([2, 1, 31, 31]))
    """

    name: str
    summary: str
    operator: OperatorFamily
    sigma: float
    images: Images = "any"
    multiple_of: int = 1
    min_size: int = 1

    def fit(self, x: Tensor) -> Tensor:
        """Return what the task can be applied to: `x` cropped at the bottom and right, and converted where it must be.

        Where the task needs complex images, real ones become complex with phase zero, colours first their luminance.

        Parameters
        ----------
        x : Tensor, shape (B, C, H, W)

        Returns
        -------
        Tensor, shape (B, C, H, W), or (B, 1, H, W) complex

        Raises
        ------
        ShapeError
            If the image is too small, or has not the three colours that the task needs.
        DTypeError
            If it is made of integers, or complex where the task needs colours.
        """
        check_tree(f"the task {self.name}", "images", x, (None, None, None), "real" if self.images == "rgb" else "any")
        if self.images == "rgb" and x.shape[1] != 3:
            raise ShapeError(f"the task {self.name} needs colour images (B, 3, H, W), got {tuple(x.shape)}.")
        if self.images == "complex" and not x.is_complex():
            grey = to_grey(x)
            x = torch.complex(grey, torch.zeros_like(grey))
        height, width = (size - size % self.multiple_of for size in x.shape[-2:])
        if min(height, width) < self.min_size:
            raise ShapeError(
                f"the task {self.name} needs images of at least {self.min_size} x {self.min_size} pixels, "
                f"got {x.shape[-2]} x {x.shape[-1]}: use larger images."
            )
        return x[..., :height, :width]

    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> tuple[Tensor, Physics]:
        """Draw the parameters of the operator, one set per image, and the measurements of `x`.

        Operator and noise have streams of their own: the same seed gives the same operator whatever the noise.

        Parameters
        ----------
        x : Tensor, shape (B, C, H, W)
            As `fit` returns them.
        generator : torch.Generator, optional

        Returns
        -------
        y : Tensor, shape (B, ...)
        physics : Physics

        Raises
        ------
        ShapeError, DTypeError
            If the task cannot be applied to such images.
        """
        fitted = self.fit(x)
        if fitted.shape != x.shape or fitted.dtype != x.dtype:
            raise ShapeError(
                f"the task {self.name} cannot be applied to images of shape {tuple(x.shape)} and {x.dtype}: "
                f"x = task.fit(x) makes them {tuple(fitted.shape)} and {fitted.dtype}."
            )
        stream = streams(generator, "operator", "noise")
        physics = Physics(self.operator(x, stream["operator"]), Gaussian(self.sigma))
        physics = physics.to(x.device, real_dtype(x.dtype))
        return physics(x, generator=stream["noise"]), physics


def get_task(name: str) -> Task:
    """Return the task of that name.

    Raises
    ------
    UnknownNameError
        If there is none, with the nearest name.

    Examples
    --------
    >>> get_task("sr4").summary
    '4x super-resolution (bicubic), noise 0.01'
    """
    return TASKS[check_name("task", name, TASKS, hint=f"'wellposed tasks' lists all {len(TASKS)}.")]


def _shape(x: Tensor) -> tuple[int, int, int]:
    channels, height, width = x.shape[1:]
    return channels, height, width


def _identity(x: Tensor, _generator: torch.Generator) -> LinearOperator:
    return Identity(_shape(x))


def _motion(x: Tensor, generator: torch.Generator, *, length_scale: float, std: float) -> LinearOperator:
    kernel = motion_kernel(len(x), length_scale=length_scale, std=std, size=_KERNEL_SIZE, generator=generator)
    return Blur(kernel, _shape(x), padding="valid")


def _gaussian(x: Tensor, _generator: torch.Generator, *, width: float) -> LinearOperator:
    return Blur(gaussian_kernel(width, _KERNEL_SIZE), _shape(x), padding="valid")


def _inpaint(x: Tensor, generator: torch.Generator, *, keep: float) -> LinearOperator:
    return Mask(bernoulli_mask(len(x), _shape(x), keep=keep, generator=generator), _shape(x))


def _downsample(x: Tensor, _generator: torch.Generator, *, factor: int) -> LinearOperator:
    return Downsample(factor, _shape(x), filter="bicubic")


def _mosaic(x: Tensor, _generator: torch.Generator) -> LinearOperator:
    return BayerMosaic(_shape(x), pattern="RGGB")


def _mri(x: Tensor, generator: torch.Generator, *, acceleration: int, center_fraction: float) -> LinearOperator:
    mask = cartesian_mask(
        len(x), _shape(x), acceleration=acceleration, center_fraction=center_fraction, generator=generator
    )
    return CartesianMRI(mask, _shape(x))


_KERNEL_SIZE = 31
_DENOISING = {"easy": 0.01, "medium": 0.05, "hard": 0.2}
_MOTION = {"easy": (0.1, 0.1, 0.01), "medium": (0.6, 0.5, 0.05), "hard": (1.2, 1.0, 0.1)}
_GAUSSIAN = {"easy": (1.0, 0.01), "medium": (2.0, 0.05), "hard": (4.0, 0.1)}
_MRI = {4: 0.08, 8: 0.04}


def _all_tasks() -> list[Task]:
    denoising = [
        Task(f"denoise-{level}", f"Gaussian noise {sigma:g}", _identity, sigma) for level, sigma in _DENOISING.items()
    ]
    motion = [
        Task(
            f"motion-{level}",
            f"motion blur (length scale {length_scale:g}, extent {std:g}), noise {sigma:g}",
            partial(_motion, length_scale=length_scale, std=std),
            sigma,
            min_size=_KERNEL_SIZE,
        )
        for level, (length_scale, std, sigma) in _MOTION.items()
    ]
    gaussian = [
        Task(
            f"gaussian-{level}",
            f"Gaussian blur (standard deviation {width:g}), noise {sigma:g}",
            partial(_gaussian, width=width),
            sigma,
            min_size=_KERNEL_SIZE,
        )
        for level, (width, sigma) in _GAUSSIAN.items()
    ]
    resolution = [
        Task(
            f"sr{factor}",
            f"{factor}x super-resolution (bicubic), noise 0.01",
            partial(_downsample, factor=factor),
            0.01,
            multiple_of=factor,
            min_size=factor,
        )
        for factor in (2, 4)
    ]
    mri = [
        Task(
            f"mri-x{acceleration}",
            f"single-coil MRI, 1 of {acceleration} columns of k-space, noise 0.0005",
            partial(_mri, acceleration=acceleration, center_fraction=center_fraction),
            5e-4,
            images="complex",
            min_size=acceleration,
        )
        for acceleration, center_fraction in _MRI.items()
    ]
    return [
        *denoising,
        *motion,
        *gaussian,
        Task("inpaint-50", "half the pixels missing, noise 0.01", partial(_inpaint, keep=0.5), 0.01),
        *resolution,
        Task("demosaic", "Bayer mosaic (RGGB), noise 0.01", _mosaic, 0.01, images="rgb", multiple_of=2, min_size=2),
        *mri,
    ]


TASKS: dict[str, Task] = {task.name: task for task in _all_tasks()}
"""All named tasks by name: a registry that tests and the command line walk through."""
