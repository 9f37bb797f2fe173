"""How well a method does on a task: measure images, reconstruct them, compare with the truth."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, ShapeError, SolverError, WellposedError
from wellposed.core.names import check_name
from wellposed.core.rng import streams
from wellposed.core.shapes import check_tensor
from wellposed.data import Task, get_task, read_image
from wellposed.metrics import psnr, ssim
from wellposed.physics import Physics
from wellposed.verbs.reconstruct import METHODS, Reconstructor, reconstruct

__all__ = ["Baseline", "Evaluation", "Score", "Trial", "evaluate", "run_trial"]

Baseline: TypeAlias = Literal["adjoint", "pinv"]
"""The naive reconstructions."""

_DATA_RANGE = 1.0
_ROUNDING = 1e-3
_NAMES = ("psnr", "ssim", "naive_psnr", "naive_ssim", "seconds")


@dataclass(frozen=True)
class Score:
    """How near a reconstruction came to the truth.

    Parameters
    ----------
    image : str
        The name of the image: that of its file, or its place in the sequence.
    psnr : float
        Of the reconstruction, in decibels, for a data range of 1; infinite where it equals the truth.
    ssim : float
        Of the reconstruction, at most 1.
    naive_psnr, naive_ssim : float
        Of the naive reconstruction.
    naive : {"adjoint", "pinv"}
        Which one that is: the one with the higher PSNR.
    seconds : float
        What the method took.
    """

    image: str
    psnr: float
    ssim: float
    naive_psnr: float
    naive_ssim: float
    naive: Baseline
    seconds: float


@dataclass(frozen=True, eq=False)
class Trial:
    """One image measured and recovered: the tensors behind a `Score`.

    Parameters
    ----------
    x : Tensor, shape (1, C, H, W)
        The truth, fitted to the task.
    y : Tensor, shape (1, ...)
    physics : Physics
    naive, x_hat : Tensor, shape (1, C, H, W)
        The naive reconstruction, and that of the method.
    score : Score
    """

    x: Tensor
    y: Tensor
    physics: Physics
    naive: Tensor
    x_hat: Tensor
    score: Score


@dataclass(frozen=True)
class Evaluation:
    """The scores of a method on a task, one row per image.

    Parameters
    ----------
    task, method : str
    seed : int
    rows : tuple of Score
    """

    task: str
    method: str
    seed: int
    rows: tuple[Score, ...]

    def mean(self) -> dict[str, float]:
        """Return the means over the images of psnr, ssim, naive_psnr, naive_ssim and seconds."""
        return {name: fmean(getattr(row, name) for row in self.rows) for name in _NAMES}

    def to_json(self) -> str:
        """Return everything as JSON; an infinite PSNR is null there."""
        whole = {**asdict(self), "mean": self.mean(), "data_range": _DATA_RANGE}
        return json.dumps(_finite(whole), indent=2, allow_nan=False) + "\n"


def evaluate(
    task: str | Task,
    images: Iterable[Tensor | str | Path],
    method: str | Reconstructor = "tv",
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    callback: Callable[[int], None] | None = None,
) -> Evaluation:
    """Score a method on a task over images.

    Each image is fitted to the task, measured, reconstructed, and compared with the fitted image, all of it (borders
    included) and as it is (neither image is clipped). Complex images are compared as the metrics do: PSNR by the
    modulus of the difference, SSIM by magnitudes. The randomness of an image depends on `seed` and on its name alone
    (the file name, or its place in the sequence): neither the other images nor their order change its scores.

    Parameters
    ----------
    task : str or Task
    images : iterable of Tensor, shape (1, C, H, W), or of paths
        With values in [0, 1].
    method : str or callable
        A name in `METHODS`, or ``x_hat = method(y, physics)``.
    seed : int
    device : torch.device or str
        Where to compute.
    callback : callable, optional
        Called with the number of images done, after each.

    Returns
    -------
    Evaluation

    Raises
    ------
    UnknownNameError
        If there is no such task or method.
    DTypeError
        If an image is neither a tensor nor a path.
    ArgumentError
        If there is no image, or one has values outside [0, 1], or `images` is a single path.
    WellposedError
        If the task or the method cannot handle an image; the sentence names the image.

    Examples
    --------
    >>> x = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> result = evaluate("denoise-medium", [x], "adjoint")
    >>> round(result.mean()["psnr"])
    26
    """
    task = get_task(task) if isinstance(task, str) else task
    if isinstance(method, str):
        check_name("method", method, METHODS)
    if isinstance(images, (str, Path)):
        raise ArgumentError(
            f"evaluate expects several images or paths, got {str(images)!r}: wp.data.list_images gives those of a "
            "folder."
        )
    rows = []
    for index, image in enumerate(images):
        if isinstance(image, (str, Path)):
            name, x = Path(image).name, read_image(image)
        else:
            check_tensor("evaluate", f"image {index}", image)
            name, x = str(index), image
        try:
            rows.append(run_trial(task, x.to(device), method, name=name, seed=seed).score)
        except WellposedError as error:
            raise type(error)(f"{name}: {error}") from error
        if callback is not None:
            callback(len(rows))
    if not rows:
        raise ArgumentError("evaluate expects at least one image, got none.")
    return Evaluation(task.name, method if isinstance(method, str) else _callable_name(method), seed, tuple(rows))


def run_trial(task: Task, x: Tensor, method: str | Reconstructor, *, name: str, seed: int = 0) -> Trial:
    """Measure one image by a task and recover it; what `evaluate` does for each.

    Parameters
    ----------
    task : Task
    x : Tensor, shape (1, C, H, W)
        With values in [0, 1].
    method : str or callable
    name : str
        Of the image; its randomness depends on it and on `seed`.
    seed : int

    Returns
    -------
    Trial

    Raises
    ------
    ShapeError
        If `x` is not a single image.
    ArgumentError
        If it has values outside [0, 1], the range that the scores assume.
    """
    if x.ndim != 4 or x.shape[0] != 1:
        raise ShapeError(f"a trial expects one image of shape (1, C, H, W), got {tuple(x.shape)}: split the batch.")
    x = task.fit(x)
    _check_range(x)
    y, physics = task.sample(x, generator=streams(torch.Generator().manual_seed(seed), name)[name])
    x_hat, seconds = _timed(method, y, physics)
    baseline, naive = _best_baseline(y, physics, x)
    score = Score(name, *_quality(x_hat, x), *_quality(naive, x), baseline, seconds)
    return Trial(x, y, physics, naive, x_hat, score)


def _check_range(x: Tensor) -> None:
    values = x.abs() if x.is_complex() else x
    least, most = float(values.min()), float(values.max())
    if not (least >= -_ROUNDING and most <= _DATA_RANGE + _ROUNDING):
        raise ArgumentError(f"a trial expects an image in [0, 1], got values from {least:g} to {most:g}: rescale it.")


def _callable_name(method: Reconstructor) -> str:
    return getattr(method, "__name__", type(method).__name__)


def _timed(method: str | Reconstructor, y: Tensor, physics: Physics) -> tuple[Tensor, float]:
    start = time.perf_counter()
    x_hat = reconstruct(y, physics, method)
    if y.is_cuda:
        torch.cuda.synchronize(y.device)
    return x_hat, time.perf_counter() - start


def _best_baseline(y: Tensor, physics: Physics, x: Tensor) -> tuple[Baseline, Tensor]:
    """Return the adjoint or the pseudo-inverse, whichever is nearer to the truth; the second may not be computable."""
    candidates: dict[Baseline, Tensor] = {"adjoint": reconstruct(y, physics, "adjoint")}
    try:
        candidates["pinv"] = reconstruct(y, physics, "pinv")
    except SolverError:
        return "adjoint", candidates["adjoint"]
    return max(candidates.items(), key=lambda item: float(psnr(item[1], x, data_range=_DATA_RANGE)))


def _quality(x_hat: Tensor, x: Tensor) -> tuple[float, float]:
    return float(psnr(x_hat, x, data_range=_DATA_RANGE)), float(ssim(x_hat, x, data_range=_DATA_RANGE))


def _finite(value: object) -> object:
    """Replace the numbers that JSON lacks by None."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
