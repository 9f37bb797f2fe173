"""Images measured one by one, each with randomness of its own, and recovered together."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError, FormatError, ShapeError, SolverError, WellposedError
from wellposed.core.margins import without_margin
from wellposed.core.rng import seeded
from wellposed.core.tree import Tree
from wellposed.data import Task, load_measurements
from wellposed.metrics import psnr, ssim
from wellposed.physics import Physics
from wellposed.verbs.reconstruct import Reconstructor, choose_method, reconstruct

__all__ = [
    "DATA_RANGE",
    "Baseline",
    "Measured",
    "Recovery",
    "best_baselines",
    "load_together",
    "measure",
    "named",
    "recover",
    "together",
]

Baseline: TypeAlias = Literal["adjoint", "pinv"]
"""The naive reconstructions."""

DATA_RANGE = 1.0
_ROUNDING = 1e-3


@dataclass(frozen=True, eq=False)
class Measured:
    """An image fitted to a task, shape (1, C, H, W), what was measured of it, and the border that does not count."""

    name: str
    x: Tensor
    y: Tensor
    physics: Physics
    margin: int = 0


@dataclass(frozen=True, eq=False)
class Recovery:
    """A reconstruction, shape (1, C, H, W), how good it is, what it took, and the name of the method that made it."""

    x_hat: Tensor
    psnr: float
    ssim: float
    seconds: float
    method: str


def measure(task: Task, x: Tensor, *, name: str, seed: int, margin: int = 0) -> Measured:
    """Measure one image; the randomness depends on the seed and on the name alone.

    With a margin, so many pixels along each border will be left out of the scores.

    Raises
    ------
    ShapeError
        If `x` is not a single image.
    ArgumentError
        If it has values outside [0, 1], the range that the scores assume, or the margin leaves nothing of it.
    """
    check_whole("a trial", "the margin", margin, least=0)
    if x.ndim != 4 or x.shape[0] != 1:
        raise ShapeError(f"a trial expects one image of shape (1, C, H, W), got {tuple(x.shape)}: split the batch.")
    x = task.fit(x)
    _check_range(x)
    without_margin(x, margin)
    y, physics = task.sample(x, generator=seeded(seed, name))
    return Measured(name, x, y, physics, margin)


def recover(images: Sequence[Measured], method: str | Reconstructor) -> list[Recovery]:
    """Recover images of one shape, in one batch where their physics allow it, and compare each with the truth.

    The seconds of an image are its share of those of the batch.
    """
    joined = together([(image.y, image.physics) for image in images])
    if joined is None:
        return [recovery for image in images for recovery in recover([image], method)]
    y, physics = joined
    start = time.perf_counter()
    name = choose_method(y, physics) if method == "auto" else method
    x_hat = reconstruct(y, physics, name)
    if x_hat.is_cuda:
        torch.cuda.synchronize(x_hat.device)
    seconds = (time.perf_counter() - start) / len(images)
    label = name if isinstance(name, str) else getattr(name, "__name__", type(name).__name__)
    return [
        Recovery(one, *_quality(one, image), seconds, label) for one, image in zip(x_hat.split(1), images, strict=True)
    ]


@contextmanager
def named(*names: str) -> Iterator[None]:
    """Put the names of the images before the sentence of an error."""
    try:
        yield
    except WellposedError as error:
        raise type(error)(f"{', '.join(names)}: {error}") from error


def best_baselines(images: Sequence[Measured]) -> list[tuple[Baseline, Recovery]]:
    """Return the adjoint or the pseudo-inverse, whichever is nearer to the truth; the second may not be computable."""
    adjoints = recover(images, "adjoint")
    try:
        pseudo_inverses = recover(images, lambda y, physics: physics.A_dagger(y))
    except SolverError:
        if len(images) == 1:
            return [("adjoint", adjoints[0])]
        return [best for image in images for best in best_baselines([image])]
    return [
        ("adjoint", adjoint) if adjoint.psnr >= inverse.psnr else ("pinv", inverse)
        for adjoint, inverse in zip(adjoints, pseudo_inverses, strict=True)
    ]


def together(measurements: Sequence[tuple[Tensor, Physics]]) -> tuple[Tensor, Physics] | None:
    """Return several measurements as one batch, with a physics that holds the parameters of each, or None.

    None where the physics differ in more than parameters that are numbers, or have one value per image.
    """
    first_y, first = measurements[0]
    if len(measurements) == 1:
        return first_y, first
    if len({_kind(y, physics) for y, physics in measurements}) > 1:
        return None
    own: dict[str, Tensor | float] = {}
    for name, value in first.params.items():
        values = [physics.params[name] for _, physics in measurements]
        if all(torch.equal(value, other) for other in values):
            continue
        batches = [len(y) for y, _ in measurements]
        if value.ndim and any(len(other) not in (1, batch) for other, batch in zip(values, batches, strict=True)):
            return None
        spread = [
            (other if other.ndim else other.view(1)).expand(batch, *other.shape[1:])
            for other, batch in zip(values, batches, strict=True)
        ]
        own[name] = torch.cat(spread)
    return torch.cat([y for y, _ in measurements]), first.with_params(**own)


def _kind(y: Tensor, physics: Physics) -> tuple[object, ...]:
    """Return what measurements must have in common to be one batch."""
    shapes = tuple((name, value.shape[1:]) for name, value in physics.params.items())
    return (tuple(y.shape[1:]), y.dtype, type(physics.operator), type(physics.noise), physics.image_shape, shapes)


def load_together(paths: Sequence[Path], *, device: torch.device | str = "cpu") -> tuple[Tree, Physics]:
    """Read one measurement file, or several as one batch.

    Raises
    ------
    FormatError
        If a file is no measurement file, or they cannot be one batch.
    """
    loaded = [load_measurements(path, device=device) for path in paths]
    if len(loaded) == 1:
        return loaded[0]
    joined = together(loaded) if all(isinstance(y, Tensor) for y, _ in loaded) else None
    if joined is None:
        raise FormatError(
            f"{', '.join(map(str, paths[:3]))} ... are not measurements of one kind and size, which differ in "
            "parameters alone: give them one by one."
        )
    return joined


def _quality(x_hat: Tensor, image: Measured) -> tuple[float, float]:
    """Return PSNR and SSIM within the margin."""
    pair = x_hat, image.x
    if image.margin and x_hat.shape == image.x.shape:
        pair = without_margin(x_hat, image.margin), without_margin(image.x, image.margin)
    return float(psnr(*pair, data_range=DATA_RANGE)), float(ssim(*pair, data_range=DATA_RANGE))


def _check_range(x: Tensor) -> None:
    values = x.abs() if x.is_complex() else x
    least, most = float(values.min()), float(values.max())
    if not (least >= -_ROUNDING and most <= DATA_RANGE + _ROUNDING):
        raise ArgumentError(f"a trial expects an image in [0, 1], got values from {least:g} to {most:g}: rescale it.")
