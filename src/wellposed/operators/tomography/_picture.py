"""A drawing of a beam: the image, the rays of some views, source and detector, on the axes that the operators use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.files import atomic_path
from wellposed.core.names import optional_import

__all__ = ["draw"]

_DOTS_PER_INCH = 110
_RAYS = 9
_WIDTH, _HEIGHTS = 4.4, (4.9, 2.8)


def draw(path: str | Path, beam: Any, views: Sequence[int]) -> None:
    """Draw some views of a beam from above and, where it has rows, from the side, as `Beam.plot` says."""
    count = beam.angles.shape[1]
    if not views or not all(-count <= view < count for view in views):
        raise ArgumentError(f"{type(beam).__name__}.plot expects some of its {count} views, got {tuple(views)}.")
    has_rows = len(beam.image_shape) == 4
    heights = _HEIGHTS if has_rows else _HEIGHTS[:1]
    figure = optional_import("matplotlib.figure", extra="cli").Figure(
        figsize=(_WIDTH * len(views), sum(heights)), layout="constrained"
    )
    points, directions = (part[0].detach().double().cpu() for part in beam.rays())
    panels = figure.subplots(len(heights), len(views), squeeze=False, height_ratios=heights)
    for column, view in enumerate(views):
        begins, ends = _segments(beam, view, points[view], directions[view])
        middle = ends.shape[0] // 2
        _draw_from_above(panels[0, column], beam, view, begins[middle], ends[middle])
        if has_rows:
            centre = ends.shape[1] // 2
            _draw_from_the_side(panels[1, column], beam, view, begins[:, centre], ends[:, centre])
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=_DOTS_PER_INCH)


def _segments(beam: Any, view: int, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Return where rays begin, at the source if there is one, and end, on the detector: shape (R, n_detectors, 2|3)."""
    if points.ndim == 2:
        points, directions = points[None], directions[None]
    _, along = _axes(beam, view)
    distance = getattr(beam, "source_distance", None)
    if distance is None:
        reach = 0.8 * beam.pixel_size * sum(size**2 for size in beam.image_shape[-2:]) ** 0.5
        return points - reach * directions, points + reach * directions
    source = torch.zeros_like(points)
    source[..., :2] = -distance * along
    return source, source + (points - source) * (distance + beam.detector_distance) / distance


def _axes(beam: Any, view: int) -> tuple[Tensor, Tensor]:
    """Return the unit vectors along the detector and along the central ray."""
    angle = beam.angles[0, view].detach().double().cpu()
    return torch.stack([angle.cos(), angle.sin()]), torch.stack([-angle.sin(), angle.cos()])


def _draw_from_above(axes: Any, beam: Any, view: int, begins: Tensor, ends: Tensor) -> None:
    height, width = (beam.pixel_size * size for size in beam.image_shape[-2:])
    _draw_box(axes, width, height)
    _draw_rays(axes, beam, begins[:, :2], ends[:, :2])
    arrow = {"arrowstyle": "->", "color": "black"}
    for name, vector in zip(("u", "rays"), _axes(beam, view), strict=True):
        tip = (0.42 * min(height, width) * vector).tolist()
        axes.annotate("", tip, (0, 0), arrowprops=arrow)
        axes.text(1.15 * tip[0], 1.15 * tip[1], name, ha="center", va="center")
    angle = float(beam.angles[0, view])
    axes.set(aspect="equal", xlabel="x", ylabel="y", title=f"view {view}: {angle:.2f} rad")


def _draw_from_the_side(axes: Any, beam: Any, view: int, begins: Tensor, ends: Tensor) -> None:
    """Draw the rays of the detector's middle column in the plane of the central ray and the axis of rotation."""
    depth = beam.slice_spacing * beam.image_shape[1]
    _, along = _axes(beam, view)
    height, width = (beam.pixel_size * size for size in beam.image_shape[-2:])
    _draw_box(axes, float(width * along[0].abs() + height * along[1].abs()), depth)
    _draw_rays(axes, beam, *(torch.stack([part[:, :2] @ along, part[:, 2]], dim=1) for part in (begins, ends)))
    axes.set(aspect="equal", xlabel="along the rays", ylabel="z", title="its rows, from the side")


def _draw_box(axes: Any, width: float, height: float) -> None:
    x, y = width / 2, height / 2
    axes.fill([-x, x, x, -x], [-y, -y, y, y], "0.88")


def _draw_rays(axes: Any, beam: Any, begins: Tensor, ends: Tensor) -> None:
    for index in torch.linspace(0, len(ends) - 1, min(_RAYS, len(ends))).round().long().tolist():
        axes.plot(*zip(begins[index].tolist(), ends[index].tolist(), strict=True), color="tab:orange", linewidth=0.8)
    axes.plot(*ends.T.tolist(), color="tab:blue", linewidth=3, solid_capstyle="butt", label="detector")
    axes.plot(*ends[0].tolist(), "o", color="tab:blue", markersize=6, label="its first element")
    if hasattr(beam, "source_distance"):
        axes.plot(*begins[0].tolist(), "*", color="tab:red", markersize=12, label="source")
