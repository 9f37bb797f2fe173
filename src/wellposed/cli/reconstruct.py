"""`wellposed reconstruct`: the picture back from its measurements."""

from pathlib import Path
from typing import Annotated

import typer

from wellposed.cli._checks import check_output, checked_device
from wellposed.cli._options import Device, Method, Output, Quiet
from wellposed.cli._screen import progress, say
from wellposed.core.errors import ArgumentError

__all__ = ["reconstruct"]

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_ARRAYS = (".npy", ".npz", ".safetensors")


def reconstruct(
    measurements: Annotated[Path, typer.Argument(help="A file that 'wellposed simulate' or save_measurements wrote.")],
    output: Output,
    method: Method = "tv",
    device: Device = "cpu",
    *,
    quiet: Quiet = False,
) -> None:
    """Recover the picture from its measurements. Of a complex one, pictures show the magnitude, arrays hold all."""
    from wellposed.data import load_measurements, write_image
    from wellposed.verbs.reconstruct import reconstruct as recover

    check_output(output, source=measurements, suffixes=_PICTURES + _ARRAYS)
    y, physics = load_measurements(measurements, device=checked_device(device))
    with progress("reconstructing", quiet=quiet) as update:
        x_hat = recover(y, physics, method, callback=update)
    if not x_hat.isfinite().all():
        raise ArgumentError(
            f"the image from {measurements} holds NaN or infinity: check the parameters of its physics."
        )
    is_shown = x_hat.is_complex() and output.suffix.lower() in _PICTURES
    write_image(output, x_hat.abs() if is_shown else x_hat)
    say(f"{output}: image {tuple(x_hat.shape)} by {method}", quiet=quiet)
