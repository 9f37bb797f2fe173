"""Random sampling of k-space point by point: any density, Poisson discs, and radial lines on the grid."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from wellposed.core.arguments import check_counts
from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.core.names import check_name
from wellposed.core.rng import exponential_like, uniform_like

__all__ = ["PointDensity", "poisson_disc_mask", "radial_mask", "variable_density_mask"]

PointDensity: TypeAlias = Literal["uniform", "gaussian", "polynomial"]
"""How likely a place in k-space is to be sampled, by its distance from the middle."""

_HALVINGS = 10


def variable_density_mask(
    batch: int,
    image_shape: tuple[int, ...],
    *,
    acceleration: float,
    center_fraction: float,
    kind: PointDensity = "gaussian",
    width: float = 0.3,
    order: float = 4.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Draw masks of single points, exactly ``round(N / acceleration)`` of N, with a fully sampled box in the middle.

    The others are drawn without replacement with probabilities in proportion to a density of the distance r from the
    middle, in half widths of k-space: 1 ("uniform"), :math:`e^{-r^2 / 2 w^2}` ("gaussian"), or
    :math:`(1 - r / \sqrt d)^p` in d dimensions ("polynomial").

    Parameters
    ----------
    batch : int
        Number of masks; they are independent.
    image_shape : tuple of int, (C, H, W) or (C, D, H, W)
    acceleration : float
        Points of k-space per sampled point, at least one.
    center_fraction : float
        Of each axis that the fully sampled box takes, ``round(center_fraction * size)`` of it, in [0, 1].
    kind : {"uniform", "gaussian", "polynomial"}
    width : float
        w, of the Gaussian.
    order : float
        p, of the polynomial.
    generator : torch.Generator, optional
        The masks lie on its device.

    Returns
    -------
    Tensor, shape (batch, 1, H, W) or (batch, 1, D, H, W)

    Raises
    ------
    ArgumentError
        If an argument is out of its range, or the middle alone takes more points than are sampled.

    References
    ----------
    Lustig, Donoho, Pauly, *Sparse MRI*, Magnetic Resonance in Medicine 58 (2007).

    Examples
    --------
    >>> mask = variable_density_mask(2, (1, 32, 32), acceleration=4, center_fraction=0.1)
    >>> mask.flatten(1).sum(1)
    tensor([256., 256.])
    """
    check_name("density of k-space", kind, ("uniform", "gaussian", "polynomial"))
    space, total, middle = _checked(
        "variable_density_mask", batch, image_shape, acceleration, center_fraction, generator
    )
    if not (width > 0 and order >= 0):
        raise ArgumentError(
            f"variable_density_mask expects a width above zero and an order of at least zero, got {width} and {order}."
        )
    radius = _distance(space, middle.device)
    if kind == "gaussian":
        weight = torch.exp(-radius.square() / (2 * width**2))
    elif kind == "polynomial":
        weight = (1 - radius / math.sqrt(len(space))).clamp(min=0) ** order
    else:
        weight = torch.ones_like(radius)
    return _exact(batch, weight.clamp(min=torch.finfo(weight.dtype).tiny), middle, total, generator)


def poisson_disc_mask(
    batch: int,
    image_shape: tuple[int, int, int],
    *,
    acceleration: float,
    center_fraction: float,
    slope: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Draw masks whose points keep a distance from each other, exactly ``round(N / acceleration)`` of N.

    The distance is :math:`\rho (1 + s r)` with r the distance from the middle of k-space in half widths, and
    :math:`\rho` as large as leaves enough points; of those that are too many some are dropped at random. Points are
    chosen all at once: in turn, each that has the highest of random priorities among its neighbours.

    Parameters
    ----------
    batch : int
        Number of masks; they are independent.
    image_shape : tuple of int, (C, H, W)
    acceleration : float
        Points of k-space per sampled point, at least one.
    center_fraction : float
        Of each axis that the fully sampled box in the middle takes, in [0, 1].
    slope : float
        s, at least zero: how much sparser the edge is; zero for a uniform density.
    generator : torch.Generator, optional
        The masks lie on its device.

    Returns
    -------
    Tensor, shape (batch, 1, H, W)

    Raises
    ------
    ArgumentError
        If an argument is out of its range, or the middle alone takes more points than are sampled.

    References
    ----------
    Bridson, *Fast Poisson disk sampling in arbitrary dimensions*, SIGGRAPH 2007 sketches. Luby, *A simple parallel
    algorithm for the maximal independent set problem*, SIAM J. Comput. 15 (1986).

    Examples
    --------
    >>> mask = poisson_disc_mask(1, (1, 32, 32), acceleration=8, center_fraction=0.1)
    >>> mask.sum()
    tensor(128.)
    """
    space, total, middle = _checked("poisson_disc_mask", batch, image_shape, acceleration, center_fraction, generator)
    if len(space) != 2 or not slope >= 0:
        raise ArgumentError(
            f"poisson_disc_mask expects images (C, H, W) and a slope of at least zero, got {image_shape} and {slope}."
        )
    stretch = 1 + slope * _distance(space, middle.device)
    priority = uniform_like(torch.empty(batch, *space, device=middle.device), generator)
    low, high = 0.0, 2 * math.sqrt(acceleration) + 1
    chosen = torch.ones_like(priority, dtype=torch.bool)
    for _ in range(_HALVINGS):
        distance = (low + high) / 2
        points = _keep_apart(priority, distance * stretch) | middle
        if bool((points.flatten(1).sum(1) >= total).all()):
            low, chosen = distance, points
        else:
            high = distance
    return _exact(batch, chosen.float().clamp(min=torch.finfo(torch.float32).tiny), middle, total, generator)


def radial_mask(
    batch: int,
    image_shape: tuple[int, int, int],
    *,
    n_spokes: int | None = None,
    acceleration: float | None = None,
    center_fraction: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw masks of lines through the middle of k-space, at even angles from a random first one.

    Each line takes the nearest point of the grid in every row, or in every column if it is nearer to the horizontal.

    Parameters
    ----------
    batch : int
        Number of masks; their first angles are independent.
    image_shape : tuple of int, (C, H, W)
    n_spokes : int, optional
        Give this or `acceleration`.
    acceleration : float, optional
        Points of k-space per sampled point: the fewest spokes that reach exactly ``round(N / acceleration)`` points,
        of which those that are too many are dropped at random.
    center_fraction : float
        Of each axis that a fully sampled box in the middle takes, in [0, 1]; the points count.
    generator : torch.Generator, optional
        The masks lie on its device.

    Returns
    -------
    Tensor, shape (batch, 1, H, W)

    Raises
    ------
    ArgumentError
        If neither or both of `n_spokes` and `acceleration` are given, an argument is out of its range, or the middle
        alone takes more points than are sampled.

    Examples
    --------
    >>> radial_mask(1, (1, 9, 9), n_spokes=1).sum()
    tensor(9.)
    >>> radial_mask(1, (1, 32, 32), acceleration=4, center_fraction=0.1).sum()
    tensor(256.)
    """
    if (n_spokes is None) == (acceleration is None):
        raise ArgumentError("radial_mask expects either n_spokes or an acceleration.")
    if n_spokes is not None:
        check_counts("radial_mask", n_spokes=n_spokes)
    space, total, middle = _checked("radial_mask", batch, image_shape, acceleration or 1.0, center_fraction, generator)
    if len(space) != 2:
        raise ShapeError(f"radial_mask expects image_shape (C, H, W), got {image_shape}.")
    first = uniform_like(torch.empty(batch, 1, device=middle.device), generator)
    if n_spokes is not None:
        return (_lines(first, n_spokes, space) | middle).float().unsqueeze(1)
    fewest, most = 1, 4 * max(space)
    while fewest < most:
        half = (fewest + most) // 2
        points = _lines(first, half, space) | middle
        if bool((points.flatten(1).sum(1) >= total).all()):
            most = half
        else:
            fewest = half + 1
    chosen = _lines(first, most, space) | middle
    return _exact(batch, chosen.float().clamp(min=torch.finfo(torch.float32).tiny), middle, total, generator)


def _lines(first: Tensor, n_spokes: int, space: tuple[int, ...]) -> Tensor:
    """Return where the lines run, shape (B, H, W), for first angles (B, 1) in units of the angle between two."""
    height, width = space
    device = first.device
    angle = (first + torch.arange(n_spokes, device=device)) * (math.pi / n_spokes)
    longest = max(height, width)
    along = (torch.arange(longest, device=device) - longest // 2) / (longest / 2)
    slope = torch.stack([angle.sin(), angle.cos()], dim=-1)
    slope = slope / slope.abs().amax(-1, keepdim=True)
    places = along[:, None] * slope[..., None, :] * torch.tensor([height / 2, width / 2], device=device)
    middle = torch.tensor([height // 2, width // 2], device=device)
    row, column = (places.round().long() + middle).unbind(-1)
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    index = torch.where(inside, row * width + column, middle[0] * width + middle[1]).flatten(1)
    return torch.zeros(len(first), height * width, device=device).scatter(1, index, 1.0).bool().view(-1, height, width)


def _checked(
    owner: str,
    batch: int,
    image_shape: tuple[int, ...],
    acceleration: float,
    center_fraction: float,
    generator: torch.Generator | None,
) -> tuple[tuple[int, ...], int, Tensor]:
    """Return the sizes of k-space, how many points to sample, and where its middle is, shape (1, *sizes)."""
    check_counts(owner, batch=batch)
    if len(image_shape) not in (3, 4) or min(image_shape) < 1:
        raise ShapeError(f"{owner} expects image_shape (C, H, W) or (C, D, H, W), got {image_shape}.")
    if not (acceleration >= 1 and 0 <= center_fraction <= 1):
        raise ArgumentError(
            f"{owner} expects an acceleration of at least 1 and a center_fraction in [0, 1], got {acceleration:g} and "
            f"{center_fraction:g}."
        )
    space = tuple(image_shape[1:])
    device = generator.device if generator else torch.device("cpu")
    middle = torch.ones(1, *space, dtype=torch.bool, device=device)
    for axis, size in enumerate(space):
        count = round(center_fraction * size)
        first = size // 2 - count // 2
        index = torch.arange(size, device=device)
        inside = (index >= first) & (index < first + count)
        middle = middle & inside.view(-1, *[1] * (len(space) - 1 - axis))
    total = round(math.prod(space) / acceleration)
    if total < max(int(middle.sum()), 1):
        raise ArgumentError(
            f"{owner} samples {total} points at acceleration {acceleration:g}, and the middle alone takes "
            f"{int(middle.sum())}: lower acceleration or center_fraction."
        )
    return space, total, middle


def _distance(space: tuple[int, ...], device: torch.device) -> Tensor:
    """Return the distance from the middle, in half widths of each axis."""
    squared = torch.zeros(space, device=device)
    for axis, size in enumerate(space):
        along = (torch.arange(size, device=device) - size // 2) / max(size / 2, 1)
        squared = squared + along.square().view(-1, *[1] * (len(space) - 1 - axis))
    return squared.sqrt()


def _exact(batch: int, weight: Tensor, middle: Tensor, total: int, generator: torch.Generator | None) -> Tensor:
    """Draw exactly `total` points without replacement in proportion to the weights, the middle always among them.

    The least of exponential numbers over their weights are such a draw.
    """
    keys = exponential_like(torch.empty(batch, *middle.shape[1:], device=middle.device), generator) / weight
    keys = torch.where(middle, -1.0, keys).flatten(1)
    chosen = keys.topk(total, dim=1, largest=False).indices
    return torch.zeros_like(keys).scatter(1, chosen, 1.0).view(batch, 1, *middle.shape[1:])


def _keep_apart(priority: Tensor, distance: Tensor) -> Tensor:
    """Choose a maximal set of points none of which is nearer to another than the distance of either."""
    reach = math.ceil(float(distance.max())) - 1
    offsets = [
        (down, across)
        for down in range(-reach, reach + 1)
        for across in range(-reach, reach + 1)
        if (down, across) != (0, 0) and math.hypot(down, across) < float(distance.max())
    ]
    wide = [_shifted(distance[None], offset, 0.0) for offset in offsets]
    meets = [torch.maximum(distance, other) > math.hypot(*offset) for offset, other in zip(offsets, wide, strict=True)]
    open_, chosen = torch.ones_like(priority, dtype=torch.bool), torch.zeros_like(priority, dtype=torch.bool)
    while bool(open_.any()):
        rank = torch.where(open_, priority, -1.0)
        beaten, rivals = torch.zeros_like(open_), list(zip(offsets, meets, strict=True))
        for offset, is_near in rivals:
            beaten |= is_near & (_shifted(rank, offset, -1.0) > rank)
        winners = open_ & ~beaten
        chosen |= winners
        closed = winners.clone()
        for offset, is_near in rivals:
            closed |= is_near & _shifted(winners, offset, 0)
        open_ &= ~closed
    return chosen


def _shifted(values: Tensor, offset: tuple[int, int], fill: float) -> Tensor:
    """Return what lies at an offset from each point (B, H, W), or `fill` beyond the border."""
    result = torch.full_like(values, fill)
    (rows_to, rows_from), (columns_to, columns_from) = (_overlap(step) for step in offset)
    result[..., rows_to, columns_to] = values[..., rows_from, columns_from]
    return result


def _overlap(step: int) -> tuple[slice, slice]:
    ahead, behind = slice(step, None) if step >= 0 else slice(None, step), slice(None, -step or None)
    return (behind, ahead) if step >= 0 else (slice(-step, None), ahead)
