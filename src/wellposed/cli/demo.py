"""`wellposed demo`: a photograph degraded in five ways, and recovered from each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wellposed.cli._checks import check_output, checked_device
from wellposed.cli._options import Device, Quiet
from wellposed.cli._screen import progress, say, show

if TYPE_CHECKING:
    from rich.table import Table
    from torch import Tensor

    from wellposed.cli._panel import Picture
    from wellposed.verbs.measured import Measured, Recovery

__all__ = ["demo"]

_TASKS = ("denoise-medium", "motion-medium", "gaussian-medium", "sr4", "inpaint-50")


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

    The naive reconstruction is the adjoint or the pseudo-inverse, whichever has the higher PSNR; beside it stand total
    variation and the methods whose weights are installed: plug-and-play with the bundled denoiser, and the network.
    """
    from wellposed.cli._panel import SUFFIXES, write_panel
    from wellposed.core.files import atomic_path

    check_output(output, source=photo, suffixes=SUFFIXES)
    if markdown is not None:
        check_output(markdown, source=photo, suffixes=(".md",))
    x = _photograph(photo, size).to(checked_device(device))
    rows = []
    with progress("recovering", len(_TASKS), quiet=quiet) as update:
        for task in _TASKS:
            rows.append(_row(task, x))
            update(len(rows), len(_TASKS))
    write_panel(output, [(row.image.name, _pictures(row)) for row in rows])
    if markdown is not None:
        with atomic_path(markdown) as temporary:
            temporary.write_text(_markdown(rows), encoding="utf-8")
    show(_table(rows), quiet=quiet)
    say(f"The pictures are in {output}.", quiet=quiet)


@dataclass(frozen=True, eq=False)
class _Row:
    """A task on the photograph: what was measured, and what each method made of it."""

    image: Measured
    naive: tuple[str, Recovery]
    by: dict[str, Recovery]


def _row(task: str, x: Tensor) -> _Row:
    from wellposed.data import get_task
    from wellposed.verbs.measured import best_baselines, measure, recover

    image = measure(get_task(task), x, name=task, seed=0)
    return _Row(image, best_baselines([image])[0], {title: recover([image], by)[0] for title, by in _methods().items()})


def _methods() -> dict[str, str]:
    """Return what is shown, by title: total variation, and what has learnt, where there are weights."""
    from wellposed.verbs.reconstruct import installed

    learnt = {"DPIR": "dpir", "RAM": "ram"}
    return {"TV": "tv"} | {title: name for title, name in learnt.items() if installed(name)}


def _pictures(row: _Row) -> list[Picture]:
    from wellposed.cli._panel import Picture, like_the_image

    kind, naive = row.naive
    recovered = [Picture(title, one.x_hat, _caption(one)) for title, one in row.by.items()]
    return [
        Picture("measured", like_the_image(row.image.y, row.image.x)),
        Picture("naive", naive.x_hat, f"{kind}: {_caption(naive)}"),
        *recovered,
        Picture("truth", row.image.x),
    ]


def _caption(recovery: Recovery) -> str:
    return f"{recovery.psnr:.1f} dB, SSIM {recovery.ssim:.2f}"


def _photograph(path: Path | None, size: int) -> Tensor:
    from wellposed.core.shapes import check_tree
    from wellposed.data import demo_photograph, read_image

    if path is None:
        return demo_photograph("coffee", size=size)
    image = read_image(path, mode="rgb")
    check_tree("the demonstration", "photographs", image, (3, None, None), "real")
    top, left = (max(side - size, 0) // 2 for side in image.shape[-2:])
    return image[..., top : top + size, left : left + size].contiguous()


def _columns(row: _Row) -> dict[str, str]:
    """Return the scores of a row, by the titles of their columns."""
    columns = {"naive PSNR": f"{row.naive[1].psnr:.2f}", "naive SSIM": f"{row.naive[1].ssim:.3f}"}
    for title, recovery in row.by.items():
        columns |= {
            f"{title} PSNR": f"{recovery.psnr:.2f}",
            f"{title} SSIM": f"{recovery.ssim:.3f}",
            f"{title} seconds": f"{recovery.seconds:.1f}",
        }
    return columns


def _table(rows: list[_Row]) -> Table:
    from rich.table import Table

    table = Table("task")
    for column in _columns(rows[0]):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(row.image.name, *_columns(row).values())
    return table


def _markdown(rows: list[_Row]) -> str:
    titles = list(_columns(rows[0]))
    lines = [
        ["task", *titles],
        ["---"] + ["---:"] * len(titles),
        *([row.image.name, *_columns(row).values()] for row in rows),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
