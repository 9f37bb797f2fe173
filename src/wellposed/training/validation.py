"""Validation: fixed batches of each problem, reconstructed by the averaged weights and scored by PSNR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor

from wellposed.core.complex_view import real_view
from wellposed.core.errors import ArgumentError
from wellposed.core.margins import without_margin
from wellposed.core.tree import Tree, inner, norm, per_image
from wellposed.data.problems import FixedProblem, Problem
from wellposed.metrics import psnr
from wellposed.physics import Physics
from wellposed.training.network import moved

__all__ = ["Examined", "Validation"]

_SHOWN = 4


class Examined(NamedTuple):
    """One problem's result: its mean PSNR, and a picture of some of its images."""

    psnr: float
    panel: Tensor
    """Rows of backprojected measurements, reconstruction, truth; shape (3, H, W), on the CPU."""


class _Pairs(NamedTuple):
    y: Tree
    physics: Physics
    x: Tensor


@final
class Validation:
    """The validation problems of a run, whose images and measurements are drawn once.

    Parameters
    ----------
    problems : sequence of Problem or FixedProblem
        With ground truth.
    images : int
        Of each `Problem`; a `FixedProblem` says itself how many.
    device : torch.device

    Raises
    ------
    ArgumentError
        If a problem has no ground truth.
    """

    def __init__(self, problems: Sequence[Problem | FixedProblem], images: int, device: torch.device) -> None:
        self.names = [problem.name for problem in problems]
        self._batches: list[list[_Pairs]] = []
        self._margins: list[int] = []
        for problem in problems:
            fixed = problem if isinstance(problem, FixedProblem) else FixedProblem(problem, images)
            self._margins.append(fixed.margin)
            pairs = [moved(batch, device) for batch in fixed]
            if any(batch.x is None for batch in pairs):
                raise ArgumentError(f"validation needs true images, and the problem {problem.name} has none.")
            self._batches.append([_Pairs(y, physics, x) for y, physics, x in pairs if x is not None])

    @torch.no_grad()
    def examine(self, index: int, network: Callable[[Tree, Physics], Tensor]) -> Examined:
        """Reconstruct the images of one problem and compare them with the truth, for a data range of 1.

        Raises
        ------
        ArgumentError
            If the margin of the problem leaves nothing of its images.
        """
        scores, panel = [], None
        for y, physics, x in self._batches[index]:
            x_hat = network(y, physics)
            scores.append(psnr(*(without_margin(image, self._margins[index]) for image in (x_hat, x)), data_range=1.0))
            if panel is None:
                panel = _panel([_levelled(physics.A_adjoint(y), x), x_hat, x])
        return Examined(float(torch.cat(scores).mean()), torch.zeros(3, 1, 1) if panel is None else panel)


def _levelled(image: Tensor, like: Tensor) -> Tensor:
    """Return the multiple of an image that is nearest to another one."""
    factor = inner(image, like).real / norm(image).square().clamp_min(torch.finfo(like.real.dtype).tiny)
    return per_image(factor, image) * image


def _panel(columns: Sequence[Tensor]) -> Tensor:
    """Return images side by side, one row for each of the first of the batch, in [0, 1] and with three channels."""
    shown = [_colours(column[:_SHOWN]) for column in columns]
    return torch.cat([torch.cat(list(column), dim=-2) for column in shown], dim=-1).cpu()


def _colours(image: Tensor) -> Tensor:
    """Return what can be shown of images, shape (B, 3, H, W): magnitudes, the middle of a volume, the first channel."""
    image = real_view(image).norm(dim=-1) if image.is_complex() else image
    image = image[:, :, image.shape[2] // 2] if image.ndim == 5 else image
    image = image if image.shape[1] == 3 else image[:, :1].expand(-1, 3, -1, -1)
    return image.detach().float().clamp(0, 1)
