"""Where scanners sample k-space off the grid: radial, spiral, cones, rosette, random; in radians per pixel."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from wellposed.core.arguments import check_counts
from wellposed.core.errors import ArgumentError, FormatError
from wellposed.core.files import existing_file
from wellposed.core.names import check_name
from wellposed.core.rng import uniform_like
from wellposed.data.angles import golden_angles, uniform_angles

__all__ = [
    "KSpaceUnit",
    "SpokeOrder",
    "cones_trajectory",
    "radial_trajectory",
    "radians_per_pixel",
    "random_trajectory",
    "read_trajectory",
    "rosette_trajectory",
    "spiral_trajectory",
]

SpokeOrder: TypeAlias = Literal["uniform", "golden"]
"""How the angles of radial spokes follow each other."""

KSpaceUnit: TypeAlias = Literal["radians per pixel", "cycles per pixel", "cycles per field of view"]
"""What the numbers of a trajectory mean."""

_BEYOND_PI = 1 + 1e-3
_UNITS = ("radians per pixel", "cycles per pixel", "cycles per field of view")


def radial_trajectory(
    n_spokes: int, n_samples: int, *, order: SpokeOrder = "uniform", dimensions: Literal[2, 3] = 2
) -> Tensor:
    """Return spokes through the middle of k-space, from -pi (included) to pi (left out).

    In two dimensions their angles divide half a turn evenly ("uniform"), or each is the golden ratio of it after the
    one before ("golden"). In three dimensions they point to a spiral of even spacing on half a sphere, whatever the
    order.

    Parameters
    ----------
    n_spokes, n_samples : int
    order : {"uniform", "golden"}
    dimensions : {2, 3}

    Returns
    -------
    Tensor, shape (1, n_spokes, n_samples, dimensions)
        Rows first, then columns; radians per pixel.

    References
    ----------
    Winkelmann et al., *An optimal radial profile order based on the golden ratio for time-resolved MRI*, IEEE Trans.
    Medical Imaging 26 (2007).

    Examples
    --------
    >>> radial_trajectory(1, 4)[0, 0, :, 1] / math.pi
    tensor([-1.0000, -0.5000,  0.0000,  0.5000])
    """
    check_counts("radial_trajectory", n_spokes=n_spokes, n_samples=n_samples)
    check_name("order of spokes", order, ("uniform", "golden"))
    along = (torch.arange(n_samples) - n_samples // 2) * (2 * math.pi / n_samples)
    if dimensions == 2:
        angle = uniform_angles(n_spokes) if order == "uniform" else golden_angles(n_spokes)
        directions = torch.stack([angle.sin(), angle.cos()], dim=-1)
    else:
        height = (torch.arange(n_spokes) + 0.5) / n_spokes
        turn, radius = 2 * golden_angles(n_spokes), (1 - height.square()).sqrt()
        directions = torch.stack([height, radius * turn.sin(), radius * turn.cos()], dim=-1)
    return along[None, None, :, None] * directions[None, :, None]


def spiral_trajectory(n_arms: int, n_samples: int, *, turns: float) -> Tensor:
    """Return spiral arms from the middle of k-space to a distance of pi, whose windings are equally far apart.

    Parameters
    ----------
    n_arms, n_samples : int
    turns : float
        Of each arm; an image of N pixels is sampled fully by n_arms * turns = N / 2.

    Returns
    -------
    Tensor, shape (1, n_arms, n_samples, 2)

    References
    ----------
    Meyer et al., *Fast spiral coronary artery imaging*, Magnetic Resonance in Medicine 28 (1992).

    Examples
    --------
    >>> spiral_trajectory(3, 100, turns=4).shape
    torch.Size([1, 3, 100, 2])
    """
    check_counts("spiral_trajectory", n_arms=n_arms, n_samples=n_samples)
    _check_positive("spiral_trajectory", "turns", turns)
    time = torch.linspace(0, 1, n_samples).sqrt()
    angle = 2 * math.pi * (turns * time + torch.arange(n_arms)[:, None] / n_arms)
    return (math.pi * time[:, None] * torch.stack([angle.sin(), angle.cos()], dim=-1))[None]


def cones_trajectory(n_cones: int, n_samples: int, *, turns: float) -> Tensor:
    """Return spirals on cones around the first axis, from the middle of k-space to a distance of pi.

    Parameters
    ----------
    n_cones, n_samples : int
        The heights of the cones divide the sphere into zones of equal area.
    turns : float
        Of the widest cone; narrower ones have fewer in proportion.

    Returns
    -------
    Tensor, shape (1, n_cones, n_samples, 3)

    References
    ----------
    Gurney, Hargreaves, Nishimura, *Design and analysis of a practical 3D cones trajectory*, Magnetic Resonance in
    Medicine 55 (2006).

    Examples
    --------
    >>> cones_trajectory(4, 50, turns=3).norm(dim=-1).max().item() <= math.pi + 1e-5
    True
    """
    check_counts("cones_trajectory", n_cones=n_cones, n_samples=n_samples)
    _check_positive("cones_trajectory", "turns", turns)
    height = ((2 * torch.arange(n_cones) + 1) / n_cones - 1)[:, None]
    width = (1 - height.square()).sqrt()
    time = torch.linspace(0, 1, n_samples)
    angle = 2 * math.pi * turns * width * time
    unit = torch.stack([height.expand_as(angle), width * angle.sin(), width * angle.cos()], dim=-1)
    return (math.pi * time[:, None] * unit)[None]


def rosette_trajectory(n_petals: int, n_samples: int) -> Tensor:
    r"""Return petals that leave the middle of k-space, turn at a distance of pi, and come back to it.

    .. math:: k(t) = \pi \sin(t)\, e^{i t / n}

    for n petals, and :math:`e^{2 i t / n}` if n is even, so that they are evenly spread.

    Parameters
    ----------
    n_petals, n_samples : int

    Returns
    -------
    Tensor, shape (1, n_petals, n_samples, 2)

    References
    ----------
    Noll, *Multishot rosette trajectories for spectrally selective MR imaging*, IEEE Trans. Medical Imaging 16 (1997).

    Examples
    --------
    >>> rosette_trajectory(5, 64).shape
    torch.Size([1, 5, 64, 2])
    """
    check_counts("rosette_trajectory", n_petals=n_petals, n_samples=n_samples)
    petal, along = torch.arange(n_petals)[:, None], math.pi / n_samples * torch.arange(n_samples)
    angle = (math.pi * petal + along) * ((2 - n_petals % 2) / n_petals)
    radius = math.pi * (1 - 2 * (petal % 2)) * along.sin()
    return (radius[..., None] * torch.stack([angle.sin(), angle.cos()], dim=-1))[None]


def random_trajectory(
    n_samples: int, *, dimensions: Literal[2, 3] = 2, generator: torch.Generator | None = None
) -> Tensor:
    """Return points drawn uniformly from the square or cube [-pi, pi).

    Parameters
    ----------
    n_samples : int
    dimensions : {2, 3}
    generator : torch.Generator, optional

    Returns
    -------
    Tensor, shape (1, n_samples, dimensions)

    Examples
    --------
    >>> random_trajectory(7, generator=torch.Generator().manual_seed(0)).shape
    torch.Size([1, 7, 2])
    """
    check_counts("random_trajectory", n_samples=n_samples)
    device = generator.device if generator else torch.device("cpu")
    return 2 * math.pi * uniform_like(torch.empty(1, n_samples, dimensions, device=device), generator) - math.pi


def read_trajectory(
    path: str | Path, *, unit: KSpaceUnit = "radians per pixel", size: int | tuple[int, ...] | None = None
) -> Tensor:
    """Read a trajectory from an npy file, or from an npz file that holds one array.

    Parameters
    ----------
    path : str or Path
        An array (samples, d) or (shots, samples, d), rows first.
    unit : {"radians per pixel", "cycles per pixel", "cycles per field of view"}
        What the file holds.
    size : int or tuple of int, optional
        Pixels across the field of view, which the last unit needs.

    Returns
    -------
    Tensor, shape (1, samples, d) or (1, shots, samples, d)
        In radians per pixel, float32.

    Raises
    ------
    MissingFileError
        If there is no such file.
    FormatError
        If it does not hold such an array.
    ArgumentError
        If the size is missing.
    """
    _check_unit("read_trajectory", unit, size)
    path = existing_file(path)
    try:
        loaded = np.load(path, allow_pickle=False)
        array = loaded if isinstance(loaded, np.ndarray) else loaded[loaded.files[0]]
        points = torch.from_numpy(np.asarray(array, dtype=np.float64))
    except (ValueError, EOFError, OSError, IndexError, TypeError) as error:
        raise FormatError(f"{path} is no npy or npz file with a trajectory ({error}).") from error
    if points.ndim not in (2, 3) or points.shape[-1] not in (2, 3):
        raise FormatError(f"{path} holds {tuple(points.shape)}; a trajectory is (samples, d) or (shots, samples, d).")
    return radians_per_pixel(points, unit=unit, size=size).float()[None]


def radians_per_pixel(points: Tensor, *, unit: KSpaceUnit, size: int | tuple[int, ...] | None = None) -> Tensor:
    """Convert points of k-space from another unit to radians per pixel.

    Parameters
    ----------
    points : Tensor, shape (..., d)
    unit : {"radians per pixel", "cycles per pixel", "cycles per field of view"}
    size : int or tuple of int, optional
        Pixels across the field of view, along all axes or along each, which the last unit needs.

    Returns
    -------
    Tensor, shape (..., d)

    Raises
    ------
    ArgumentError
        If the size is missing.
    UnknownNameError
        If the unit is unknown.

    Examples
    --------
    >>> radians_per_pixel(torch.tensor([[16.0, -8.0]]), unit="cycles per field of view", size=32) / math.pi
    tensor([[ 1.0000, -0.5000]])
    """
    _check_unit("radians_per_pixel", unit, size)
    if unit == "radians per pixel":
        return points
    if unit == "cycles per pixel":
        return 2 * math.pi * points
    pixels = torch.as_tensor(size, dtype=points.dtype, device=points.device)
    return 2 * math.pi / pixels * points


def checked_radians(path: Path, points: Tensor, *, unit: KSpaceUnit, size: tuple[int, ...]) -> Tensor:
    """Return the trajectory of a file in radians per pixel, float32, or say that it cannot be in that unit.

    Parameters
    ----------
    path : Path
    points : Tensor, shape (..., d)
    unit : str
    size : tuple of int, d of them

    Raises
    ------
    FormatError
        If a coordinate is not finite, or outside [-pi, pi].
    """
    trajectory = radians_per_pixel(points.double(), unit=unit, size=size)
    if not bool(trajectory.abs().max() <= _BEYOND_PI * math.pi):
        others = " or ".join(repr(name) for name in _UNITS if name != unit)
        raise FormatError(
            f"{path} has a trajectory up to {float(points.abs().max()):g}, and in {unit} it ends at "
            f"{math.pi / float(radians_per_pixel(points.new_ones(1).double(), unit=unit, size=max(size))):g}: "
            f"read it with unit={others} ('--unit' on the command line)."
        )
    return trajectory.clamp(-math.pi, math.pi).float()


def _check_unit(owner: str, unit: str, size: object) -> None:
    check_name("unit of k-space", unit, _UNITS)
    if unit == "cycles per field of view" and size is None:
        raise ArgumentError(f"{owner} needs the size, in pixels, to convert from cycles per field of view.")


def _check_positive(owner: str, name: str, value: float) -> None:
    if not value > 0:
        raise ArgumentError(f"{owner} expects {name} above zero, got {value}.")
