"""Random sampling masks: pixels that are seen, and columns of k-space that are acquired."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.core.names import check_name
from wellposed.core.rng import exponential_like, uniform_like
from wellposed.core.tree import per_image
from wellposed.core.values import values_hold

__all__ = ["ColumnOrder", "bernoulli_mask", "cartesian_mask"]

ColumnOrder: TypeAlias = Literal["random", "equispaced", "gaussian"]
"""How the columns outside the centre of k-space are chosen."""


def bernoulli_mask(
    batch: int,
    image_shape: tuple[int, ...],
    *,
    keep: float | Tensor,
    per_channel: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw masks that keep each pixel with the same probability, independently of the others.

    Parameters
    ----------
    batch : int
        Number of masks; they are independent.
    image_shape : tuple of int, (C, H, W) or (C, D, H, W)
    keep : float or Tensor, shape (batch,)
        Probability that a pixel is seen, in [0, 1]; one value, or one per image.
    per_channel : bool
        Draw every channel on its own; by default a pixel is seen in all channels or in none.
    generator : torch.Generator, optional
        The masks lie on its device, without one on that of `keep`.

    Returns
    -------
    Tensor, shape (batch, 1, H, W), or (batch, C, H, W) per channel
        Ones where a pixel is seen, zeros elsewhere.

    Raises
    ------
    ArgumentError
        If `keep` is no probability.
    ShapeError
        If `image_shape` has no channel axis or an empty axis, or `keep` does not have one value per image.

    Examples
    --------
    >>> mask = bernoulli_mask(2, (3, 8, 8), keep=0.5, generator=torch.Generator().manual_seed(0))
    >>> mask.shape, mask.unique()
    (torch.Size([2, 1, 8, 8]), tensor([0., 1.]))
    """
    _check_shape("bernoulli_mask", batch, image_shape)
    channels = image_shape[0] if per_channel else 1
    uniform = _uniform((batch, channels, *image_shape[1:]), generator, keep)
    probability = keep.to(uniform) if isinstance(keep, Tensor) else torch.full((), keep, device=uniform.device)
    if probability.ndim and probability.shape != (batch,):
        raise ShapeError(f"bernoulli_mask expects keep of shape ({batch},), got {tuple(probability.shape)}.")
    if not values_hold((probability >= 0) & (probability <= 1)):
        raise ArgumentError(f"bernoulli_mask expects keep in [0, 1], got {keep}: it is the fraction of pixels seen.")
    return (uniform < per_image(probability, uniform)).to(uniform.dtype)


def cartesian_mask(
    batch: int,
    image_shape: tuple[int, ...],
    *,
    acceleration: float,
    center_fraction: float,
    kind: ColumnOrder = "random",
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Draw Cartesian undersampling masks: whole columns of centred k-space, with its centre fully sampled.

    Of `W` columns, exactly ``round(W / acceleration)`` are acquired. The central ``round(center_fraction * W)`` of
    them, around ``W // 2``, always are; the others lie at random ("random"), or evenly over the columns outside the
    centre with a random first one ("equispaced", a distance :math:`a (W - n) / (W - a n)` apart for acceleration
    :math:`a` and :math:`n` central columns), or more often near the middle ("gaussian", without replacement from a
    Gaussian density whose standard deviation is a sixth of the width). fastMRI takes 0.08 of the columns as the centre
    for acceleration 4 and 0.04 for acceleration 8.

    Parameters
    ----------
    batch : int
        Number of masks; they are independent.
    image_shape : tuple of int, (C, H, W) or (C, D, H, W)
        The phase encoding runs along the last axis.
    acceleration : float
        Columns of the image per acquired column, at least one.
    center_fraction : float
        Fraction of all columns that the fully sampled centre takes, in [0, 1].
    kind : {"random", "equispaced", "gaussian"}
    generator : torch.Generator, optional
        The masks lie on its device.

    Returns
    -------
    Tensor, shape (batch, 1, H, W) or (batch, 1, D, H, W)
        Ones where k-space is acquired, zeros elsewhere.

    Raises
    ------
    ArgumentError
        If an argument is out of its range, no column is left, or the centre alone takes more columns than are acquired.
    ShapeError
        If `image_shape` has no channel axis or an empty axis.
    UnknownNameError
        If `kind` is unknown.

    References
    ----------
    J. Zbontar et al., fastMRI: An Open Dataset and Benchmarks for Accelerated MRI, 2018, arXiv:1811.08839.

    Examples
    --------
    >>> mask = cartesian_mask(2, (1, 4, 100), acceleration=4, center_fraction=0.08)
    >>> mask.shape, mask[:, 0, 0].sum(dim=1)
    (torch.Size([2, 1, 4, 100]), tensor([25., 25.]))
    """
    _check_shape("cartesian_mask", batch, image_shape)
    check_name("kind of Cartesian mask", kind, tuple(_COLUMNS))
    if not (acceleration >= 1 and 0 <= center_fraction <= 1):
        raise ArgumentError(
            "cartesian_mask expects an acceleration of at least 1 and a center_fraction in [0, 1], "
            f"got {acceleration:g} and {center_fraction:g}."
        )
    width = image_shape[-1]
    total, n_center = round(width / acceleration), round(center_fraction * width)
    if total < max(n_center, 1):
        raise ArgumentError(
            f"cartesian_mask acquires {total} of {width} columns at acceleration {acceleration:g}, of which the centre "
            f"takes {n_center}: lower acceleration or center_fraction, or use a wider image."
        )
    first = width // 2 - n_center // 2
    chosen = _COLUMNS[kind](batch, width, range(first, first + n_center), total, generator)
    line = torch.zeros(batch, width, device=chosen.device).scatter(1, chosen, 1.0)
    line[:, first : first + n_center] = 1.0
    return line.reshape(batch, *[1] * (len(image_shape) - 1), width).repeat(1, 1, *image_shape[1:-1], 1)


def _random_columns(batch: int, width: int, center: range, total: int, generator: torch.Generator | None) -> Tensor:
    """Return the indices of `total - len(center)` distinct columns outside the centre for each image."""
    scores = _uniform((batch, width), generator)
    scores[:, center.start : center.stop] = -1.0
    return scores.topk(total - len(center), dim=1).indices


def _equispaced_columns(batch: int, width: int, center: range, total: int, generator: torch.Generator | None) -> Tensor:
    """Return the same columns at equal distances, counted over the columns outside the centre, from a random one on."""
    start = _uniform((batch, 1), generator)
    n_outer = total - len(center)
    rank = torch.arange(n_outer, device=start.device)
    distance = (width - len(center)) / max(n_outer, 1)
    position = torch.floor((rank + start) * distance).long().clamp(max=width - len(center) - 1)
    return torch.where(position < center.start, position, position + len(center))


def _gaussian_columns(batch: int, width: int, center: range, total: int, generator: torch.Generator | None) -> Tensor:
    """Return distinct columns outside the centre, drawn in proportion to a Gaussian: least exponentials over it."""
    device = generator.device if generator else torch.device("cpu")
    distance = (torch.arange(width, device=device) - width // 2) / (width / 6)
    keys = exponential_like(torch.empty(batch, width, device=device), generator) * torch.exp(distance.square() / 2)
    keys[:, center.start : center.stop] = torch.inf
    return keys.topk(total - len(center), dim=1, largest=False).indices


_COLUMNS = {"random": _random_columns, "equispaced": _equispaced_columns, "gaussian": _gaussian_columns}


def _uniform(shape: tuple[int, ...], generator: torch.Generator | None, like: object = None) -> Tensor:
    """Return uniform numbers on the device of the generator, else that of `like` if it is a tensor, else the CPU."""
    device = generator.device if generator else like.device if isinstance(like, Tensor) else torch.device("cpu")
    return uniform_like(torch.empty(shape, device=device), generator)


def _check_shape(owner: str, batch: object, image_shape: object) -> None:
    if not isinstance(batch, int) or batch < 1:
        raise ArgumentError(f"{owner} expects a batch of one mask or more, a whole number, got {batch!r}.")
    if not isinstance(image_shape, (tuple, list)) or len(image_shape) not in (3, 4) or min(image_shape) < 1:
        raise ShapeError(f"{owner} expects image_shape (C, H, W) or (C, D, H, W), got {image_shape}.")
