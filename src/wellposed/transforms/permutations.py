"""Exact groups: cyclic shifts in space and time, mirrors, and any permutation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.core.names import check_name
from wellposed.transforms._permutation import Permutation, one_of, pixel_numbers
from wellposed.transforms.base import Motion, Transform, uniform, whole_numbers

__all__ = ["Permute", "Reflect", "Shift", "TimeShift"]


@dataclass(frozen=True)
class _Exact(Transform):
    @property
    def exact(self) -> bool:
        """True."""
        return True


@final
@dataclass(frozen=True)
class Shift(_Exact):
    r"""Shift images cyclically by whole pixels, :math:`(T_g x)_{i, j} = x_{i - g_1, j - g_2}`.

    Parameters
    ----------
    limit : float
        The longest shift along an axis, as a fraction of its length, above 0; from 1/2 on every shift is drawn equally
        often.
    per_image : bool

    Raises
    ------
    ArgumentError
        If the limit is not between 0 and 1.

    Examples
    --------
    >>> x = torch.arange(4.0).view(1, 1, 1, 4)
    >>> Shift()(x, generator=torch.Generator().manual_seed(1))
    tensor([[[[3., 0., 1., 2.]]]])
    """

    limit: float = 1.0

    def __post_init__(self) -> None:
        _check_limit("Shift", self.limit)

    def _draw(self, x: Tensor, count: int, generator: torch.Generator | None) -> Motion:
        height, width = x.shape[-2:]
        rows = _steps(x, count, height, self.limit, generator)
        columns = _steps(x, count, width, self.limit, generator)
        from_rows = (torch.arange(height, device=x.device) - rows[:, None]) % height
        from_columns = (torch.arange(width, device=x.device) - columns[:, None]) % width
        return Permutation((from_rows[:, :, None] * width + from_columns[:, None, :]).flatten(1), (-2, -1))


@final
@dataclass(frozen=True)
class TimeShift(_Exact):
    r"""Shift videos (B, C, T, H, W) cyclically by whole frames.

    Parameters
    ----------
    limit : float
        The longest shift, as a fraction of the number of frames, above 0.
    per_image : bool

    Raises
    ------
    ArgumentError
        If the limit is not between 0 and 1.
    ShapeError
        On a call, if the images have no time axis.

    Examples
    --------
    >>> video = torch.arange(3.0).view(1, 1, 3, 1, 1)
    >>> TimeShift()(video, generator=torch.Generator().manual_seed(1)).flatten()
    tensor([1., 2., 0.])
    """

    limit: float = 1.0

    def __post_init__(self) -> None:
        _check_limit("TimeShift", self.limit)

    def _draw(self, x: Tensor, count: int, generator: torch.Generator | None) -> Motion:
        if x.ndim != 5:
            raise ShapeError(f"TimeShift expects videos of shape (B, C, T, H, W), got {tuple(x.shape)}.")
        frames = x.shape[-3]
        steps = _steps(x, count, frames, self.limit, generator)
        return Permutation((torch.arange(frames, device=x.device) - steps[:, None]) % frames, (-3, -3))


@final
@dataclass(frozen=True)
class Reflect(_Exact):
    """Mirror images, each way with probability 1/2.

    Parameters
    ----------
    horizontal, vertical : bool
        Which mirrors there are: left to right, top to bottom.
    per_image : bool

    Raises
    ------
    ArgumentError
        If there is none.

    Examples
    --------
    >>> x = torch.tensor([[[[1.0, 2.0]]]])
    >>> Reflect()(x, generator=torch.Generator().manual_seed(0))
    tensor([[[[2., 1.]]]])
    """

    horizontal: bool = True
    vertical: bool = True

    def __post_init__(self) -> None:
        if not (self.horizontal or self.vertical):
            raise ArgumentError("Reflect expects a mirror, horizontal or vertical, got neither.")

    def _draw(self, x: Tensor, count: int, generator: torch.Generator | None) -> Motion:
        table = [pixel_numbers(x)]
        for axis, is_wanted in ((-1, self.horizontal), (-2, self.vertical)):
            table += [places.flip(axis) for places in table] if is_wanted else []
        return one_of(table, whole_numbers(x, count, len(table), generator=generator))


@final
@dataclass(frozen=True)
class Permute(_Exact):
    """Put pixels, or channels, in any other order.

    Parameters
    ----------
    of : {"pixels", "channels"}
        Of volumes the pixels of every slice.
    per_image : bool

    Raises
    ------
    UnknownNameError
        If it is neither.

    Examples
    --------
    >>> x = torch.arange(4.0).view(1, 1, 2, 2)
    >>> Permute()(x, generator=torch.Generator().manual_seed(0)).flatten().sort().values
    tensor([0., 1., 2., 3.])
    """

    of: Literal["pixels", "channels"] = "pixels"

    def __post_init__(self) -> None:
        check_name("kind of permutation", self.of, ("pixels", "channels"))

    def _draw(self, x: Tensor, count: int, generator: torch.Generator | None) -> Motion:
        axes = (-2, -1) if self.of == "pixels" else (1 - x.ndim, 1 - x.ndim)
        places = x.shape[-2] * x.shape[-1] if self.of == "pixels" else x.shape[1]
        return Permutation(uniform(x, count, places, generator=generator).argsort(dim=1), axes)


def _check_limit(owner: str, limit: float) -> None:
    if not 0 < limit <= 1:
        raise ArgumentError(f"{owner} expects a limit above 0 and at most 1, a fraction of the length, got {limit!r}.")


def _steps(x: Tensor, count: int, size: int, limit: float, generator: torch.Generator | None) -> Tensor:
    """Draw steps along an axis, shape (count,): each of the cyclic group, or those up to a limit."""
    longest = int(limit * size)
    if 2 * longest + 1 >= size:
        return whole_numbers(x, count, size, generator=generator)
    return whole_numbers(x, count, 2 * longest + 1, generator=generator) - longest
