"""`wellposed evaluate`: the scores of a method over a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wellposed.cli._checks import check_output, checked_device
from wellposed.cli._options import Device, Method, Quiet, Seed, TaskName
from wellposed.cli._screen import progress, show

if TYPE_CHECKING:
    from rich.table import Table

    from wellposed.verbs.evaluate import Evaluation

__all__ = ["evaluate"]


def evaluate(
    task: TaskName,
    data: Annotated[Path, typer.Option(help="A folder of pictures.")],
    method: Method = "tv",
    json: Annotated[Path | None, typer.Option(help="Write all scores to this file too.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first pictures, by name.")] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    *,
    quiet: Quiet = False,
) -> None:
    """Measure and recover each picture of a folder, and give PSNR, SSIM and seconds, beside those of a naive method.

    The naive reconstruction is the adjoint or the pseudo-inverse, whichever has the higher PSNR.
    """
    from wellposed.core.files import atomic_path
    from wellposed.data import list_images
    from wellposed.verbs.evaluate import evaluate as score

    if json is not None:
        check_output(json, suffixes=(".json",))
    pictures = list_images(data)[:limit]
    with progress(f"{task} by {method}", len(pictures), quiet=quiet) as update:
        result = score(
            task,
            pictures,
            method,
            seed=seed,
            device=checked_device(device),
            callback=lambda done: update(done, len(pictures)),
        )
    if json is not None:
        with atomic_path(json) as temporary:
            temporary.write_text(result.to_json(), encoding="utf-8")
    show(_table(result), quiet=quiet)


def _table(result: Evaluation) -> Table:
    from rich.table import Table

    table = Table("picture", title=f"{result.task} by {result.method}, seed {result.seed}")
    for column in ("naive PSNR", "naive SSIM", "PSNR", "SSIM", "seconds"):
        table.add_column(column, justify="right")
    for row in result.rows:
        table.add_row(row.image, *_numbers(vars(row)))
    table.add_section()
    table.add_row("mean", *_numbers(result.mean()), style="bold")
    return table


def _numbers(scores: dict[str, float]) -> list[str]:
    formats = {"naive_psnr": ".2f", "naive_ssim": ".3f", "psnr": ".2f", "ssim": ".3f", "seconds": ".2f"}
    return [format(scores[name], spec) for name, spec in formats.items()]
