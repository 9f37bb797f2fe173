"""The picture of a demonstration: a row for each task, from what was measured to the truth."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from wellposed.core.files import atomic_path
from wellposed.core.names import optional_import
from wellposed.verbs.evaluate import Trial

SUFFIXES = (".png", ".jpg", ".pdf", ".svg")

_CELL = 2.4
_DOTS_PER_INCH = 90
_TITLES = ("measured", "naive", "recovered", "truth")


def write_panel(path: Path, trials: list[Trial]) -> None:
    """Draw the trials, a row each: measurements, naive reconstruction, reconstruction, truth.

    Parameters
    ----------
    path : Path
        Its extension is one of `SUFFIXES`.
    trials : list of Trial
    """
    figure = optional_import("matplotlib.figure", extra="cli").Figure(
        figsize=(_CELL * len(_TITLES) + 0.3, (_CELL + 0.22) * len(trials) + 0.3), layout="constrained"
    )
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    rows = figure.subplots(len(trials), len(_TITLES), squeeze=False)
    for title, axes in zip(_TITLES, rows[0], strict=True):
        axes.set_title(title, fontsize=12, fontweight="bold")
    for row, trial in zip(rows, trials, strict=True):
        row[0].set_ylabel(trial.score.image, fontsize=11)
        score = trial.score
        captions = (
            "",
            f"{score.naive}: {score.naive_psnr:.1f} dB, SSIM {score.naive_ssim:.2f}",
            f"{score.psnr:.1f} dB, SSIM {score.ssim:.2f}",
            "",
        )
        pictures = (_like_the_image(trial.y, trial.x), trial.naive, trial.x_hat, trial.x)
        for axes, picture, caption in zip(row, pictures, captions, strict=True):
            axes.imshow(picture[0].clamp(0, 1).movedim(0, -1).cpu().numpy(), interpolation="nearest")
            axes.set_xlabel(caption, fontsize=9, labelpad=2)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=_DOTS_PER_INCH)


def _like_the_image(y: Tensor, x: Tensor) -> Tensor:
    """Enlarge coarse measurements to the size of the image by repeating pixels, and lay others on white."""
    height, width = x.shape[-2:]
    factor = min(height // y.shape[-2], width // y.shape[-1])
    y = y.repeat_interleave(factor, dim=-2).repeat_interleave(factor, dim=-1)
    top, left = (height - y.shape[-2]) // 2, (width - y.shape[-1]) // 2
    around = (left, width - y.shape[-1] - left, top, height - y.shape[-2] - top)
    return torch.nn.functional.pad(y, around, value=1.0)
