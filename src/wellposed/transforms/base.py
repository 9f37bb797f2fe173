"""What every transform has in common: it draws motions, which act, compose, and have inverses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import final

import torch
from torch import Tensor

from wellposed.core.complex_view import real_dtype
from wellposed.core.errors import ShapeError
from wellposed.core.rng import uniform_like
from wellposed.core.shapes import check_tensor

__all__ = ["Compose", "Motion", "Transform"]


class Motion(ABC):
    r"""One element of a group, :math:`x \mapsto T_g x`, or one for each image of a batch.

    `motion(x)` moves images, `motion.inverse()` moves them back, and `(g @ h)(x)` is `g(h(x))`.
    """

    exact: bool = True
    """Whether it moves pixels onto pixels, so that nothing is interpolated, and its inverse is its adjoint."""

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Move images; the shape, the dtype and the device stay.

        Parameters
        ----------
        x : Tensor, shape (B, C, H, W) or (B, C, D, H, W)
            Of the sizes for which the motion was drawn.
        """

    @abstractmethod
    def inverse(self) -> Motion:
        """Return the motion that undoes this one."""

    def __matmul__(self, first: Motion) -> Motion:
        """Return the motion that does `first` and then this one."""
        return Sequence(self, first)


@final
class Sequence(Motion):
    """One motion after another of a different kind.

    Parameters
    ----------
    last, first : Motion
    """

    def __init__(self, last: Motion, first: Motion) -> None:
        self.last, self.first = last, first
        self.exact = last.exact and first.exact

    def __call__(self, x: Tensor) -> Tensor:
        """Move images by the first, then by the last."""
        return self.last(self.first(x))

    def inverse(self) -> Motion:
        """Return the inverses in the opposite order."""
        return Sequence(self.first.inverse(), self.last.inverse())


@dataclass(frozen=True)
class Transform(ABC):
    r"""A group of motions of images, of which some are drawn at random.

    Subclasses implement `_draw` and `exact`. `first_b @ first_a` draws from both and acts with `first_a` first.

    Parameters
    ----------
    per_image : bool
        Each image of a batch is moved by itself, or all in the same way.
    """

    _: KW_ONLY
    per_image: bool = True

    @property
    @abstractmethod
    def exact(self) -> bool:
        """Whether all motions move pixels onto pixels, so that nothing is interpolated."""

    @abstractmethod
    def _draw(self, x: Tensor, count: int, generator: torch.Generator | None) -> Motion:
        """Draw `count` motions, 1 or as many as there are images."""

    def draw(self, x: Tensor, *, generator: torch.Generator | None = None) -> Motion:
        """Draw a motion for images.

        Parameters
        ----------
        x : Tensor, shape (B, C, H, W) or (B, C, D, H, W)
            Only its shape, dtype and device matter.
        generator : torch.Generator, optional
            Torch's own by default.

        Raises
        ------
        DTypeError
            If `x` is not a tensor.
        ShapeError
            If it has no batch axis, or the group does not act on its sizes.
        """
        name = type(self).__name__
        check_tensor(name, "x", x)
        if x.ndim not in (4, 5) or x.shape[0] == 0:
            raise ShapeError(f"{name} expects images (B, C, H, W) or volumes (B, C, D, H, W), got {tuple(x.shape)}.")
        return self._draw(x, x.shape[0] if self.per_image else 1, generator)

    def __call__(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Move images at random: draw a motion and let it act."""
        return self.draw(x, generator=generator)(x)

    def __matmul__(self, first: Transform) -> Compose:
        """Return the group whose motions are those of `first` followed by those of this one."""
        if not isinstance(first, Transform):
            return NotImplemented
        return Compose(self, first)


@final
@dataclass(frozen=True)
class Compose(Transform):
    r"""Motions of one group, then those of another: :math:`T_g S_h`; what `Rotate() @ Shift()` makes.

    Whether images move each by itself is up to the two.

    Parameters
    ----------
    last, first : Transform

    Examples
    --------
    >>> from wellposed.transforms import Reflect, Shift
    >>> x = torch.rand(2, 1, 4, 6)
    >>> motion = (Reflect() @ Shift()).draw(x, generator=torch.Generator().manual_seed(0))
    >>> torch.equal(motion.inverse()(motion(x)), x)
    True
    """

    last: Transform
    first: Transform

    @property
    def exact(self) -> bool:
        """Whether both are."""
        return self.last.exact and self.first.exact

    def _draw(self, x: Tensor, _count: int, generator: torch.Generator | None) -> Motion:
        first = self.first.draw(x, generator=generator)
        return self.last.draw(x, generator=generator) @ first


def uniform(x: Tensor, *shape: int, generator: torch.Generator | None) -> Tensor:
    """Draw numbers from [0, 1) with the precision and on the device of images."""
    return uniform_like(torch.empty(shape, dtype=real_dtype(x.dtype), device=x.device), generator)


def whole_numbers(x: Tensor, count: int, below: int, *, generator: torch.Generator | None) -> Tensor:
    """Draw whole numbers from 0 to `below` - 1, shape (count,), on the device of images."""
    return (below * uniform(x, count, generator=generator)).long().clamp_max(below - 1)
