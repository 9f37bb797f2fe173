"""What the examples share: their options, their table, their picture, and training without a folder."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn

import wellposed as wp
from benchmarks.report import with_table, write_whole
from wellposed.core.files import atomic_path
from wellposed.core.names import optional_import
from wellposed.losses import Loss
from wellposed.training import Options, Trainer

_DOCS = Path(__file__).resolve().parent.parent
_ASSETS, _PAGE = _DOCS / "assets", _DOCS / "guide" / "gallery.md"

Row: TypeAlias = tuple[str, Sequence[tuple[str, Tensor]]]
"""The name of a row of pictures, and its images (1, C, H, W), each with a title."""


@dataclass(frozen=True)
class Settings:
    """How an example runs."""

    data: Path | None
    """The folder of the data; None: small synthetic images."""
    out: Path
    """Where the table and the picture are written; the assets of the documentation: the table goes into its page."""
    small: bool
    """A few steps on tiny images, for the tests."""
    seconds: float
    """About how long the whole may take, on two cores."""


def settings(arguments: Sequence[str] | None, description: str, seconds: float = 540.0) -> Settings:
    """Read the options of an example."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, help="the folder of the data; ../shared/data beside the repository")
    parser.add_argument("--out", type=Path, default=_ASSETS, help="where table and picture go; by default the guide")
    parser.add_argument("--small", action="store_true", help="a few steps on tiny images")
    parser.add_argument("--seconds", type=float, default=seconds, help="about how long it may take")
    chosen = parser.parse_args(arguments)
    if chosen.data is None and not chosen.small:
        parser.error("say where the data are, as in --data ../shared/data, or --small")
    return Settings(None if chosen.small else chosen.data, chosen.out, chosen.small, chosen.seconds)


def photographs(folder: Path, count: int | None = None) -> list[Tensor]:
    """Return the pictures of a folder, each (1, C, H, W)."""
    return [wp.data.read_image(path) for path in wp.data.list_images(folder)[:count]]


def smooth_images(count: int, size: int = 32, channels: int = 1, seed: int = 0) -> list[Tensor]:
    """Return soft random images, for runs without data."""
    coarse = torch.rand(count, channels, 5, 5, generator=torch.Generator().manual_seed(seed))
    whole = nn.functional.interpolate(coarse, size=size, mode="bicubic", align_corners=False)
    return list(whole.clamp(0, 1).split(1))


def trained(model: nn.Module, problem: wp.data.Problem, loss: Loss, options: Options, seconds: float) -> nn.Module:
    """Return the network after the options' steps, or as it is after so many seconds."""
    begun = time.monotonic()
    outcome = Trainer(model, [problem], options, loss=loss).run(max_minutes=max(seconds / 60, 1e-3))
    sys.stdout.write(f"  {type(loss).__name__}: {outcome.step} steps, {time.monotonic() - begun:.0f} s\n")
    sys.stdout.flush()
    return outcome.model


def show(
    chosen: Settings, name: str, pictures: Sequence[Row], header: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Draw the pictures of an example, print its table, and write both."""
    chosen.out.mkdir(parents=True, exist_ok=True)
    _draw(chosen.out / f"{name}.png", pictures)
    table = "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))
    sys.stdout.write(f"{table}\n")
    if chosen.out == _ASSETS:
        write_whole(_PAGE, with_table(_PAGE.read_text(encoding="utf-8"), name, table))
    else:
        write_whole(chosen.out / f"{name}.md", f"{table}\n")


def _draw(path: Path, rows: Sequence[Row]) -> None:
    """Draw rows of named images, each between its 1st and 99th percentile if it leaves [0, 1]."""
    count = max(len(pictures) for _, pictures in rows)
    figure = optional_import("matplotlib.figure", extra="cli").Figure(
        figsize=(2.1 * count, 2.35 * len(rows)), layout="constrained"
    )
    grid = figure.subplots(len(rows), count, squeeze=False)
    for line, (name, pictures) in zip(grid, rows, strict=True):
        line[0].set_ylabel(name)
        for axes in line:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        for axes, (title, image) in zip(line, pictures, strict=False):
            axes.imshow(_shown(image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_title(title, fontsize=9)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100)


def _shown(image: Tensor) -> object:
    picture = (image.abs() if image.is_complex() else image)[0].detach().float()
    if float(picture.min()) < -0.2 or float(picture.max()) > 1.5:
        low, high = torch.quantile(picture.flatten()[:100_000], torch.tensor([0.01, 0.99]))
        picture = (picture - low) / (high - low)
    return picture.clamp(0, 1).movedim(0, -1).squeeze(-1).numpy()
