"""`wellposed demo`: a photograph degraded in five ways, and recovered from each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wellposed.cli._checks import check_output, checked_device
from wellposed.cli._options import Device, Quiet
from wellposed.cli._screen import progress, say, show

if TYPE_CHECKING:
    from rich.table import Table
    from torch import Tensor

    from wellposed.verbs.evaluate import Score

__all__ = ["demo"]

_TASKS = ("denoise-medium", "motion-medium", "gaussian-medium", "sr4", "inpaint-50")
_COLUMNS = {
    "naive PSNR": ("naive_psnr", ".2f"),
    "naive SSIM": ("naive_ssim", ".3f"),
    "recovered PSNR": ("psnr", ".2f"),
    "recovered SSIM": ("ssim", ".3f"),
    "seconds": ("seconds", ".1f"),
}


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture panel to write.")] = Path("demo.png"),
    photo: Annotated[Path | None, typer.Option(help="Your photograph instead of the one that comes along.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the table to this Markdown file too.")] = None,
    size: Annotated[int, typer.Option(min=64, help="Side of the central square of the photograph that is used.")] = 256,
    device: Device = "cpu",
    *,
    quiet: Quiet = False,
) -> None:
    """Degrade a photograph in five ways, recover it from each, and draw what came out.

    The naive reconstruction is the adjoint or the pseudo-inverse, whichever has the higher PSNR.
    """
    from wellposed.cli._panel import SUFFIXES, write_panel
    from wellposed.core.files import atomic_path
    from wellposed.data import get_task
    from wellposed.verbs.evaluate import run_trial

    check_output(output, source=photo, suffixes=SUFFIXES)
    if markdown is not None:
        check_output(markdown, source=photo, suffixes=(".md",))
    x = _photograph(photo, size).to(checked_device(device))
    trials = []
    with progress("recovering", len(_TASKS), quiet=quiet) as update:
        for task in _TASKS:
            trials.append(run_trial(get_task(task), x, "tv", name=task))
            update(len(trials), len(_TASKS))
    write_panel(output, trials)
    scores = [trial.score for trial in trials]
    if markdown is not None:
        with atomic_path(markdown) as temporary:
            temporary.write_text(_markdown(scores), encoding="utf-8")
    show(_table(scores), quiet=quiet)
    say(f"The pictures are in {output}.", quiet=quiet)


def _photograph(path: Path | None, size: int) -> Tensor:
    from wellposed.core.shapes import check_tree
    from wellposed.data import demo_photograph, read_image

    if path is None:
        return demo_photograph("coffee", size=size)
    image = read_image(path, mode="rgb")
    check_tree("the demonstration", "photographs", image, (3, None, None), "real")
    top, left = (max(side - size, 0) // 2 for side in image.shape[-2:])
    return image[..., top : top + size, left : left + size].contiguous()


def _cells(score: Score) -> list[str]:
    return [format(getattr(score, name), spec) for name, spec in _COLUMNS.values()]


def _table(scores: list[Score]) -> Table:
    from rich.table import Table

    table = Table("task")
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for score in scores:
        table.add_row(score.image, *_cells(score))
    return table


def _markdown(scores: list[Score]) -> str:
    rows = [
        ["task", *_COLUMNS],
        ["---"] + ["---:"] * len(_COLUMNS),
        *([score.image, *_cells(score)] for score in scores),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
