"""The picture of a demonstration: a row for each task, from what was measured to the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from wellposed.core.files import atomic_path
from wellposed.core.names import optional_import

__all__ = ["SUFFIXES", "Picture", "like_the_image", "write_panel"]

SUFFIXES = (".png", ".jpg", ".pdf", ".svg")

_CELL = 2.4
_DOTS_PER_INCH = 90


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of the panel: what stands over its column, the image (1, 3, H, W), and what stands below it."""

    title: str
    image: Tensor
    caption: str = ""


def write_panel(path: Path, rows: Sequence[tuple[str, Sequence[Picture]]]) -> None:
    """Draw rows of pictures, as many in each.

    Parameters
    ----------
    path : Path
        Its extension is one of `SUFFIXES`.
    rows : sequence of (str, sequence of Picture)
        The name of each row, and its pictures.
    """
    titles = [picture.title for picture in rows[0][1]]
    figure = optional_import("matplotlib.figure", extra="cli").Figure(
        figsize=(_CELL * len(titles) + 0.3, (_CELL + 0.22) * len(rows) + 0.3), layout="constrained"
    )
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    grid = figure.subplots(len(rows), len(titles), squeeze=False)
    for title, axes in zip(titles, grid[0], strict=True):
        axes.set_title(title, fontsize=12, fontweight="bold")
    for line, (name, pictures) in zip(grid, rows, strict=True):
        line[0].set_ylabel(name, fontsize=11)
        for axes, picture in zip(line, pictures, strict=True):
            axes.imshow(picture.image[0].clamp(0, 1).movedim(0, -1).cpu().numpy(), interpolation="nearest")
            axes.set_xlabel(picture.caption, fontsize=9, labelpad=2)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=_DOTS_PER_INCH)


def like_the_image(y: Tensor, x: Tensor) -> Tensor:
    """Enlarge coarse measurements to the size of the image by repeating pixels, and lay others on white."""
    height, width = x.shape[-2:]
    factor = min(height // y.shape[-2], width // y.shape[-1])
    y = y.repeat_interleave(factor, dim=-2).repeat_interleave(factor, dim=-1)
    top, left = (height - y.shape[-2]) // 2, (width - y.shape[-1]) // 2
    around = (left, width - y.shape[-1] - left, top, height - y.shape[-2] - top)
    return torch.nn.functional.pad(y, around, value=1.0)
