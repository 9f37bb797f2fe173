"""`wellposed simulate`: measurements of a picture."""

from pathlib import Path
from typing import Annotated

import typer

from wellposed.cli._checks import check_output, checked_device
from wellposed.cli._options import Device, Output, Quiet, Seed, TaskName
from wellposed.cli._screen import say

__all__ = ["simulate"]


def simulate(
    photo: Annotated[Path, typer.Argument(help="A picture: png, jpg, bmp, tiff, npy, npz or safetensors.")],
    task: TaskName,
    output: Output,
    seed: Seed = 0,
    device: Device = "cpu",
    *,
    quiet: Quiet = False,
) -> None:
    """Measure a picture: write what a named task makes of it, with the physics, to a safetensors file."""
    import torch

    from wellposed.data import get_task, read_image, save_measurements

    problem = get_task(task)
    check_output(output, source=photo, suffixes=(".safetensors",))
    x = problem.fit(read_image(photo).to(checked_device(device)))
    y, physics = problem.sample(x, generator=torch.Generator().manual_seed(seed))
    save_measurements(output, y, physics)
    say(f"{output}: {problem.name} of {photo.name}, image {tuple(x.shape)}, measurements {tuple(y.shape)}", quiet=quiet)
