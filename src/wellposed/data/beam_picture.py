"""A drawing of a beam: the image, the rays of some views, source and detector, on the axes that the operators use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from wellposed.core.errors import UnsupportedError
from wellposed.core.files import atomic_path
from wellposed.core.names import optional_import

__all__ = ["draw_beam"]

_DOTS_PER_INCH = 110
_RAYS = 9


def draw_beam(path: str | Path, beam: Any, *, views: tuple[int, ...] = (0,)) -> None:
    """Draw a beam from above to a picture file: x to the right, y upwards, in the unit of `pixel_size`.

    Parameters
    ----------
    path : str or Path
        Ends in .png, .pdf or .svg.
    beam : ParallelBeam2D, FanBeam2D, ParallelBeam3D or ConeBeam3D
    views : tuple of int
        Which views to draw.

    Raises
    ------
    UnsupportedError
        If the operator has no rays.
    MissingDependencyError
        If matplotlib is not installed.
    """
    if not hasattr(beam, "rays"):
        raise UnsupportedError(f"draw_beam needs an operator with rays, and {type(beam).__name__} has none.")
    figure = optional_import("matplotlib.figure", extra="cli").Figure(
        figsize=(4.4 * len(views), 4.9), layout="constrained"
    )
    points, directions = (part[0].detach().double().cpu()[..., :2] for part in beam.rays())
    if points.ndim == 4:
        points, directions = points[:, 0], directions[:, 0]
    directions = directions / directions.norm(dim=-1, keepdim=True)
    for axes, view in zip(figure.subplots(1, len(views), squeeze=False)[0], views, strict=True):
        _draw_view(axes, beam, view, points[view], directions[view])
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=_DOTS_PER_INCH)


def _draw_view(axes: Any, beam: Any, view: int, points: torch.Tensor, directions: torch.Tensor) -> None:
    height, width = (beam.pixel_size * size for size in beam.image_shape[-2:])
    angle = beam.angles[0, view].detach().double().cpu()
    across, along = torch.stack([angle.cos(), angle.sin()]), torch.stack([-angle.sin(), angle.cos()])
    reach = 0.8 * (height**2 + width**2) ** 0.5
    distance = getattr(beam, "source_distance", None)
    behind = reach if distance is None else beam.detector_distance
    scale = 1.0 if distance is None else (distance + behind) / distance
    ends = points * scale + behind * along
    begins = points - reach * directions if distance is None else (-distance * along).expand_as(points)
    axes.fill(
        [-width / 2, width / 2, width / 2, -width / 2], [-height / 2, -height / 2, height / 2, height / 2], "0.88"
    )
    for index in torch.linspace(0, len(points) - 1, min(_RAYS, len(points))).round().long().tolist():
        axes.plot(*zip(begins[index].tolist(), ends[index].tolist(), strict=True), color="tab:orange", linewidth=0.8)
    axes.plot(*ends.T.tolist(), color="tab:blue", linewidth=3, solid_capstyle="butt", label="detector")
    axes.plot(*ends[0].tolist(), "o", color="tab:blue", markersize=6, label="its first element")
    if distance is not None:
        axes.plot(*begins[0].tolist(), "*", color="tab:red", markersize=12, label="source")
    arrow = {"arrowstyle": "->", "color": "black"}
    for name, vector in (("u", across), ("rays", along)):
        tip = (0.42 * min(height, width) * vector).tolist()
        axes.annotate("", tip, (0, 0), arrowprops=arrow)
        axes.text(1.15 * tip[0], 1.15 * tip[1], name, ha="center", va="center")
    axes.set(aspect="equal", xlabel="x", ylabel="y", title=f"view {view}: {angle:.2f} rad")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, fontsize=8, frameon=False)
