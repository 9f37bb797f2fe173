"""How well a method does on a task: measure images, reconstruct them, compare with the truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, overload

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError
from wellposed.core.shapes import check_tensor
from wellposed.data import Task, get_task, read_image
from wellposed.losses import Loss
from wellposed.physics import Physics
from wellposed.verbs._json import finite
from wellposed.verbs.evaluate_blind import (
    BlindEvaluation,
    BlindScore,
    Measurements,
    as_trained,
    evaluate_measurements,
)
from wellposed.verbs.measured import DATA_RANGE, Baseline, Measured, best_baselines, measure, named, recover
from wellposed.verbs.reconstruct import Reconstructor, check_method

__all__ = ["Baseline", "BlindEvaluation", "BlindScore", "Evaluation", "Score", "Trial", "evaluate", "run_trial"]

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
    method : str
        The name of the method; of "auto" what it chose.
    """

    x: Tensor
    y: Tensor
    physics: Physics
    naive: Tensor
    x_hat: Tensor
    score: Score
    method: str


@dataclass(frozen=True)
class Evaluation:
    """The scores of a method on a task, one row per image.

    Parameters
    ----------
    task, method : str
        Where the method was to be chosen for each image, all those chosen, with commas.
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
        whole = {**asdict(self), "mean": self.mean(), "data_range": DATA_RANGE}
        return json.dumps(finite(whole), indent=2, allow_nan=False) + "\n"


@overload
def evaluate(
    task: str | Task,
    images: Iterable[Tensor | str | Path],
    method: str | Reconstructor = "auto",
    *,
    seed: int = 0,
    batch: int = 1,
    margin: int = 0,
    device: torch.device | str = "cpu",
    loss: Loss | None = None,
    callback: Callable[[int], None] | None = None,
    without_ground_truth: Literal[False] = False,
) -> Evaluation: ...


@overload
def evaluate(
    task: str | Task | None,
    images: Iterable[Tensor | Measurements],
    method: str | Reconstructor = "auto",
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    loss: Loss | None = None,
    callback: Callable[[int], None] | None = None,
    without_ground_truth: Literal[True],
) -> BlindEvaluation: ...


def evaluate(
    task: str | Task | None,
    images: Iterable[Any],
    method: str | Reconstructor = "auto",
    *,
    seed: int = 0,
    batch: int = 1,
    margin: int = 0,
    device: torch.device | str = "cpu",
    loss: Loss | None = None,
    callback: Callable[[int], None] | None = None,
    without_ground_truth: bool = False,
) -> Evaluation | BlindEvaluation:
    """Score a method on a task over images.

    Each image is fitted to the task, measured, reconstructed, and compared with the fitted image, all of it (borders
    included, unless a margin is given) and as it is (neither image is clipped). Complex images are compared as the
    metrics do: PSNR by the modulus of the difference, SSIM by magnitudes. The randomness of an image depends on `seed`
    and on its name alone (the file name, or its place in the sequence): neither the other images nor their order
    change its scores.

    Without ground truth, a part of the measurements is kept back as `wellposed.losses.hold_out` does, the method gets
    the rest, and the score is the mean squared error by which its reconstruction, measured again, misses what was kept
    back: in the mean over the noise the error there, plus the variance of the noise where its level is not known.

    Parameters
    ----------
    task : str or Task
        None for measurements that are given, without ground truth.
    images : iterable of Tensor, shape (1, C, H, W), or of paths
        With values in [0, 1]. Without ground truth and task: measurements, as pairs (y, physics) or paths of files.
    method : str or callable
        A name in `METHODS`, "auto", or ``x_hat = method(y, physics)``.
    seed : int
    batch : int
        Recover so many images of one shape together; their seconds are shares of the batch's.
    margin : int
        Leave so many pixels along each border out of the scores. A valid blur measures its outermost pixels hardly or
        not at all, and papers leave them out.
    device : torch.device or str
        Where to compute.
    loss : Loss, optional
        The one by which a network was trained, if it is to be used as that loss uses it at test: `R2R` averages over
        draws, `Noise2Self` hides each pixel. The draws of an image depend on its place in its batch.
    callback : callable, optional
        Called with the number of images done, after each batch.
    without_ground_truth : bool
        Whether to score the measurements alone; the images of a task are then only measured. Batch and margin have no
        meaning there.

    Returns
    -------
    Evaluation, or BlindEvaluation without ground truth

    Raises
    ------
    UnknownNameError
        If there is no such task or method.
    DTypeError
        If an image is neither a tensor nor a path.
    ArgumentError
        If there is no image, or one has values outside [0, 1], or `images` is a single path, or `batch` is below 1,
        or the margin leaves nothing, or there is a loss and the method is no network.
    WellposedError
        If the task or the method cannot handle an image; the sentence names the image, or the images of its batch.

    Examples
    --------
    >>> x = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> result = evaluate("denoise-medium", [x], "adjoint")
    >>> round(result.mean()["psnr"])
    26
    >>> blind = evaluate("denoise-medium", [x], "adjoint", without_ground_truth=True)
    >>> blind.rows[0].scheme, bool(abs(blind.mean()["error"] - 0.05**2) < 0.001)
    ('recorruption', True)
    """
    task = get_task(task) if isinstance(task, str) else task
    if without_ground_truth:
        if batch != 1 or margin:
            raise ArgumentError("evaluate without ground truth has neither batch nor margin: leave them out.")
        sets = _sets(task, images, seed)
        return evaluate_measurements(sets, method, seed=seed, device=device, loss=loss, callback=callback)
    if task is None:
        raise ArgumentError("evaluate expects a task, unless it is given measurements and without_ground_truth=True.")
    if isinstance(method, str):
        check_method(method)
    if loss is not None:
        method = as_trained(method, loss)
    check_whole("evaluate", "batch", batch, least=1)
    _check_several(images)
    rows: dict[int, Score] = {}
    used: dict[str, None] = {}
    for group in in_batches(_measured(task, images, seed, margin, device), batch):
        with named(*(image.name for _, image in group)):
            for (index, _), trial in zip(group, _trials([image for _, image in group], method), strict=True):
                rows[index] = trial.score
                used[trial.method] = None
        if callback is not None:
            callback(len(rows))
    if not rows:
        raise ArgumentError("evaluate expects at least one image, got none.")
    return Evaluation(task.name, ", ".join(used), seed, tuple(rows[index] for index in sorted(rows)))


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
    return _trials([measure(task, x, name=name, seed=seed)], method)[0]


def in_batches(images: Iterable[tuple[int, Measured]], size: int) -> Iterator[list[tuple[int, Measured]]]:
    """Yield numbered images of one shape and kind together, as soon as `size` of them have come, and the rest last."""
    waiting: dict[object, list[tuple[int, Measured]]] = {}
    for index, image in images:
        kind = (image.x.shape, image.x.dtype)
        group = waiting.setdefault(kind, [])
        group.append((index, image))
        if len(group) == size:
            yield waiting.pop(kind)
    yield from waiting.values()


def _check_several(images: object) -> None:
    if isinstance(images, (str, Path)):
        raise ArgumentError(
            f"evaluate expects several images or paths, got {str(images)!r}: wp.data.list_images gives those of a "
            "folder."
        )


def _sets(task: Task | None, images: Iterable[Any], seed: int) -> Iterator[tuple[str, Measurements]]:
    """Yield measurements with their names: those given, or of the images of a task."""
    _check_several(images)
    if task is not None:
        for _, image in _measured(task, images, seed, 0, "cpu"):
            yield image.name, (image.y, image.physics)
        return
    for index, entry in enumerate(images):
        if not isinstance(entry, (str, Path)) and not (isinstance(entry, tuple) and isinstance(entry[-1], Physics)):
            raise ArgumentError(
                "evaluate without ground truth and task expects measurements, as pairs (y, physics) or paths, got "
                f"{type(entry).__name__}."
            )
        yield Path(entry).name if isinstance(entry, (str, Path)) else str(index), entry


def _measured(
    task: Task, images: Iterable[Tensor | str | Path], seed: int, margin: int, device: torch.device | str
) -> Iterator[tuple[int, Measured]]:
    for index, image in enumerate(images):
        if isinstance(image, (str, Path)):
            name, x = Path(image).name, read_image(image)
        else:
            check_tensor("evaluate", f"image {index}", image)
            name, x = str(index), image
        with named(name):
            measured = measure(task, x.to(device), name=name, seed=seed, margin=margin)
        yield index, measured


def _trials(images: Sequence[Measured], method: str | Reconstructor) -> list[Trial]:
    trials = []
    recoveries = recover(images, method)
    for image, best, (baseline, naive) in zip(images, recoveries, best_baselines(images), strict=True):
        score = Score(image.name, best.psnr, best.ssim, naive.psnr, naive.ssim, baseline, best.seconds)
        trials.append(Trial(image.x, image.y, image.physics, naive.x_hat, best.x_hat, score, best.method))
    return trials
