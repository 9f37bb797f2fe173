r"""The nonuniform Fourier transform, differentiable to any order in the image and in the trajectory.

With r the pixel positions counted from the middle, and N pixels,

.. math:: y_j = \frac{1}{\sqrt N} \sum_n x_n e^{-i k_j \cdot r_n}, \qquad
          \frac{\partial y_j}{\partial k_{jd}} = \frac{1}{\sqrt N} \sum_n (-i r_{nd}) x_n e^{-i k_j \cdot r_n}

so the derivative in the trajectory is the transform of another image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from wellposed.operators._nufft_plans import Plans

__all__ = ["Grid", "to_image", "to_samples"]


@dataclass(frozen=True, eq=False)
class Grid:
    """The pixels of an image, how accurate its transforms shall be, and the plans for them where they are kept."""

    sizes: tuple[int, ...]
    tolerance: float
    plans: Plans | None = None

    def plans_for(self, trajectory: Tensor) -> Plans:
        """Return the plans that are kept, or new ones."""
        return self.plans or Plans(trajectory, self.sizes, self.tolerance)

    def positions(self, like: Tensor) -> Tensor:
        """Return the pixel positions counted from the middle, shape (d, *sizes)."""
        axes = [torch.arange(size, device=like.device, dtype=like.real.dtype) - size // 2 for size in self.sizes]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def to_samples(x: Tensor, trajectory: Tensor, grid: Grid) -> Tensor:
    """Return the samples (B, C, K) of complex images (B, C, *sizes) at points (B or 1, K, d) in radians per pixel."""
    return _ToSamples.apply(x, trajectory, grid)


def to_image(y: Tensor, trajectory: Tensor, grid: Grid) -> Tensor:
    """Return the exact transpose of `to_samples`."""
    return _ToImage.apply(y, trajectory, grid)


class _ToSamples(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, trajectory: Tensor, grid: Grid) -> Tensor:
        return grid.plans_for(trajectory).to_samples(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _output: Tensor) -> None:
        _remember(ctx, inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, trajectory = ctx.saved_tensors
        of_image = _ToImage.apply(grad, trajectory, ctx.grid) if ctx.needs_input_grad[0] else None
        return of_image, _of_trajectory(ctx, grad, x, trajectory), None

    @staticmethod
    def jvp(ctx: Any, x_change: Tensor | None, change: Tensor | None, _grid: None) -> Tensor:
        x, trajectory = ctx.saved_tensors
        terms = [] if x_change is None else [_ToSamples.apply(x_change, trajectory, ctx.grid)]
        if change is not None:
            terms.append((change.mT.unsqueeze(1) * _slopes(x, trajectory, ctx.grid)).sum(2))
        return sum(terms[1:], terms[0])

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Tensor, int]:
        return _mapped(_ToSamples, info, in_dims, arguments)


class _ToImage(torch.autograd.Function):
    @staticmethod
    def forward(y: Tensor, trajectory: Tensor, grid: Grid) -> Tensor:
        return grid.plans_for(trajectory).to_image(y)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _output: Tensor) -> None:
        _remember(ctx, inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        y, trajectory = ctx.saved_tensors
        of_samples = _ToSamples.apply(grad, trajectory, ctx.grid) if ctx.needs_input_grad[0] else None
        return of_samples, _of_trajectory(ctx, y, grad, trajectory), None

    @staticmethod
    def jvp(ctx: Any, y_change: Tensor | None, change: Tensor | None, _grid: None) -> Tensor:
        y, trajectory = ctx.saved_tensors
        terms = [] if y_change is None else [_ToImage.apply(y_change, trajectory, ctx.grid)]
        if change is not None:
            moved = change.mT.unsqueeze(1) * y.unsqueeze(2)
            images = _ToImage.apply(moved.flatten(1, 2), trajectory, ctx.grid).unflatten(1, moved.shape[1:3])
            terms.append((1j * ctx.grid.positions(y) * images).sum(2))
        return sum(terms[1:], terms[0])

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Tensor, int]:
        return _mapped(_ToImage, info, in_dims, arguments)


def _remember(ctx: Any, inputs: tuple[Any, ...]) -> None:
    values, trajectory, ctx.grid = inputs
    ctx.save_for_backward(values, trajectory)
    ctx.save_for_forward(values, trajectory)


def _slopes(x: Tensor, trajectory: Tensor, grid: Grid) -> Tensor:
    """Return the derivatives of the samples of images along each axis, shape (B, C, d, K)."""
    images = -1j * grid.positions(x) * x.unsqueeze(2)
    return _ToSamples.apply(images.flatten(1, 2), trajectory, grid).unflatten(1, images.shape[1:3])


def _of_trajectory(ctx: Any, samples: Tensor, image: Tensor, trajectory: Tensor) -> Tensor | None:
    """Return the gradient in the trajectory of Re <samples, transform of the image>."""
    if not ctx.needs_input_grad[1]:
        return None
    gradient = (samples.conj().unsqueeze(2) * _slopes(image, trajectory, ctx.grid)).real.sum(1).mT
    return gradient.sum(0, keepdim=True) if len(trajectory) == 1 else gradient


def _mapped(
    function: type[torch.autograd.Function], info: Any, in_dims: tuple[int | None, ...], arguments: tuple[Any, ...]
) -> tuple[Tensor, int]:
    """Map slice by slice: the libraries never meet a functorch tensor, and plans serve the points they are for."""
    *tensors, grid = arguments
    grid = grid if in_dims[1] is None else replace(grid, plans=None)
    slices = [
        [tensor] * info.batch_size if axis is None else tensor.movedim(axis, 0).unbind()
        for tensor, axis in zip(tensors, in_dims, strict=False)
    ]
    return torch.stack([function.apply(*parts, grid) for parts in zip(*slices, strict=True)]), 0
