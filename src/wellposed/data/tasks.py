"""Named tasks: the problems that everyone compares on, each an operator family, its random parameters and its noise."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from wellposed.core.names import check_name
from wellposed.data.ct_tasks import CT_TASKS
from wellposed.data.kernels import gaussian_kernel, motion_kernel
from wellposed.data.masks import bernoulli_mask, cartesian_mask
from wellposed.data.mri_tasks import MRI_TASKS
from wellposed.data.noise_families import FixedGaussian
from wellposed.data.random_tasks import RANDOM_TASKS
from wellposed.data.task import Task
from wellposed.operators import BayerMosaic, Blur, CartesianMRI, Downsample, Identity, LinearOperator, Mask

__all__ = ["TASKS", "get_task"]


def get_task(name: str) -> Task:
    """Return the task of that name, one of `TASKS` or `RANDOM_TASKS`.

    Raises
    ------
    UnknownNameError
        If there is none, with the nearest name.

    Examples
    --------
    >>> get_task("sr4").summary
    '4x super-resolution (bicubic), noise 0.01'
    """
    tasks = TASKS | RANDOM_TASKS
    return tasks[check_name("task", name, tasks, hint=f"'wellposed tasks' lists all {len(tasks)}.")]


def _shape(x: Tensor) -> tuple[int, int, int]:
    channels, height, width = x.shape[1:]
    return channels, height, width


def _identity(x: Tensor, _generator: torch.Generator) -> LinearOperator:
    return Identity(_shape(x))


def _motion(x: Tensor, generator: torch.Generator, *, length_scale: float, std: float) -> LinearOperator:
    kernel = motion_kernel(len(x), length_scale=length_scale, std=std, size=_KERNEL_SIZE, generator=generator)
    return Blur(kernel, _shape(x), padding="valid")


def _gaussian(x: Tensor, _generator: torch.Generator, *, width: float) -> LinearOperator:
    return Blur(gaussian_kernel(torch.full((), width, device=x.device), _KERNEL_SIZE), _shape(x), padding="valid")


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
_DENOISING = {"easy": 0.01, "medium": 0.05, "0.1": 0.1, "hard": 0.2}
_DENOISING_OF_255 = (15, 25, 50)
_MOTION = {"easy": (0.1, 0.1, 0.01), "medium": (0.6, 0.5, 0.05), "hard": (1.2, 1.0, 0.1)}
_GAUSSIAN = {"easy": (1.0, 0.01), "medium": (2.0, 0.05), "hard": (4.0, 0.1)}
_MRI = {4: 0.08, 8: 0.04}


def _all_tasks() -> list[Task]:
    denoising = [
        Task(f"denoise-{level}", f"Gaussian noise {sigma:g}", _identity, FixedGaussian(sigma))
        for level, sigma in _DENOISING.items()
    ]
    denoising += [
        Task(f"denoise-{level}", f"Gaussian noise {level}/255", _identity, FixedGaussian(level / 255))
        for level in _DENOISING_OF_255
    ]
    motion = [
        Task(
            f"motion-{level}",
            f"motion blur (length scale {length_scale:g}, extent {std:g}), noise {sigma:g}",
            partial(_motion, length_scale=length_scale, std=std),
            FixedGaussian(sigma),
            min_size=_KERNEL_SIZE,
        )
        for level, (length_scale, std, sigma) in _MOTION.items()
    ]
    gaussian = [
        Task(
            f"gaussian-{level}",
            f"Gaussian blur (standard deviation {width:g}), noise {sigma:g}",
            partial(_gaussian, width=width),
            FixedGaussian(sigma),
            min_size=_KERNEL_SIZE,
        )
        for level, (width, sigma) in _GAUSSIAN.items()
    ]
    resolution = [
        Task(
            f"sr{factor}",
            f"{factor}x super-resolution (bicubic), noise 0.01",
            partial(_downsample, factor=factor),
            FixedGaussian(0.01),
            multiple_of=factor,
            min_size=factor,
        )
        for factor in (2, 4)
    ]
    noiseless = Task(
        "sr4-clean",
        "4x super-resolution (bicubic), without noise",
        partial(_downsample, factor=4),
        FixedGaussian(0.0),
        multiple_of=4,
        min_size=4,
    )
    mri = [
        Task(
            f"mri-x{acceleration}",
            f"single-coil MRI, 1 of {acceleration} columns of k-space, noise 0.0005",
            partial(_mri, acceleration=acceleration, center_fraction=center_fraction),
            FixedGaussian(5e-4),
            images="complex",
            min_size=acceleration,
        )
        for acceleration, center_fraction in _MRI.items()
    ]
    return [
        *denoising,
        *motion,
        *gaussian,
        Task("inpaint-50", "half the pixels missing, noise 0.01", partial(_inpaint, keep=0.5), FixedGaussian(0.01)),
        *resolution,
        noiseless,
        Task(
            "demosaic",
            "Bayer mosaic (RGGB), noise 0.01",
            _mosaic,
            FixedGaussian(0.01),
            images="rgb",
            multiple_of=2,
            min_size=2,
        ),
        *mri,
        *CT_TASKS,
        *MRI_TASKS,
    ]


TASKS: dict[str, Task] = {task.name: task for task in _all_tasks()}
"""The tasks to compare on, by name: a registry that tests and the command line walk through."""
