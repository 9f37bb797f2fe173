"""A task: an operator family, its random parameters and its noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import torch
from torch import Tensor

from wellposed.core.complex_view import real_dtype
from wellposed.core.errors import ShapeError
from wellposed.core.rng import streams
from wellposed.core.shapes import Field, check_tree
from wellposed.core.values import trusted_values
from wellposed.data.images import to_grey
from wellposed.noise import NoiseModel
from wellposed.operators import LinearOperator
from wellposed.physics import Physics

__all__ = ["Images", "NoiseFamily", "OperatorFamily", "Task"]

Images: TypeAlias = Literal["any", "rgb", "grey", "complex"]
"""What images a task works on."""

OperatorFamily: TypeAlias = Callable[[Tensor, torch.Generator], LinearOperator]
"""Draws the operator for a batch of images: `operator(x, generator)`."""

NoiseFamily: TypeAlias = Callable[[Tensor, torch.Generator], NoiseModel]
"""Draws the noise model for a batch of images: `noise(x, generator)`; its levels may differ from image to image."""


@final
@dataclass(frozen=True)
class Task:
    r"""A named inverse problem, :math:`y = N_\phi(A_\theta x)`, with random parameters :math:`\theta, \phi` per image.

    Parameters
    ----------
    name : str
    summary : str
        One line for a person who chooses a task.
    operator : callable
        Draws the operator: ``operator(x, generator)``.
    noise : callable
        Draws the noise model: ``noise(x, generator)``; `FixedGaussian(0.05)` is one.
    images : {"any", "rgb", "grey", "complex"}
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
    >>> from wellposed.data import FixedGaussian, bernoulli_mask
    >>> from wellposed.operators import Mask
    >>> def sparse(x, generator):
    ...     return Mask(bernoulli_mask(len(x), x.shape[1:], keep=0.1, generator=generator))
    >>> task = Task("sparse", "one pixel in ten", sparse, FixedGaussian(0.05))
    >>> y, physics = task.sample(torch.rand(2, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    >>> y.shape, physics.noise.sigma
    (torch.Size([2, 3, 8, 8]), tensor(0.0500))
    """

    name: str
    summary: str
    operator: OperatorFamily
    noise: NoiseFamily
    images: Images = "any"
    multiple_of: int = 1
    min_size: int = 1

    def fit(self, x: Tensor) -> Tensor:
        """Return what the task can be applied to: `x` cropped at the bottom and right, and converted where it must be.

        Where the task needs grey images, colours become their luminance; where it needs complex ones, real ones become
        complex with phase zero, colours first their luminance.

        Parameters
        ----------
        x : Tensor, shape (B, C, H, W)

        Returns
        -------
        Tensor, shape (B, C, H, W), or (B, 1, H, W) grey or complex

        Raises
        ------
        ShapeError
            If the image is too small, or has not the three colours that the task needs.
        DTypeError
            If it is made of integers, or complex where the task needs colours or grey.
        """
        field: Field = "real" if self.images in ("rgb", "grey") else "any"
        check_tree(f"the task {self.name}", "images", x, (None, None, None), field)
        if self.images == "rgb" and x.shape[1] != 3:
            raise ShapeError(f"the task {self.name} needs colour images (B, 3, H, W), got {tuple(x.shape)}.")
        if self.images in ("grey", "complex") and not x.is_complex():
            x = to_grey(x)
        if self.images == "complex" and not x.is_complex():
            x = torch.complex(x, torch.zeros_like(x))
        height, width = (size - size % self.multiple_of for size in x.shape[-2:])
        if min(height, width) < self.min_size:
            raise ShapeError(
                f"the task {self.name} needs images of at least {self.min_size} x {self.min_size} pixels, "
                f"got {x.shape[-2]} x {x.shape[-1]}: use larger images."
            )
        return x[..., :height, :width]

    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> tuple[Tensor, Physics]:
        """Draw the parameters of operator and noise, one set per image, and the measurements of `x`.

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
        with trusted_values():
            physics = Physics(self.operator(x, stream["operator"]), self.noise(x, stream["noise"]))
            physics = physics.to(x.device, real_dtype(x.dtype))
            return physics(x, generator=stream["noise"]), physics
