"""What commands check before any work: the device, and whether the result can be written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wellposed.core.errors import ArgumentError, DeviceError, FormatError
from wellposed.core.files import existing_folder

if TYPE_CHECKING:
    import torch


def checked_device(name: str) -> torch.device:
    """Return the device of that name if something can be computed on it.

    Raises
    ------
    DeviceError
        If there is no such device here.
    """
    import torch

    try:
        device = torch.device(name)
        torch.ones(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise DeviceError(f"there is no device {name!r} here: {', '.join(_devices())} can be used.") from error
    return device


def _devices() -> list[str]:
    import torch

    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return ["cpu"] if accelerator is None else ["cpu", accelerator.type]


def check_output(output: Path, *, source: Path | None = None, suffixes: tuple[str, ...] = ()) -> None:
    """Raise unless `output` can be written beside, and not over, the file `source`.

    Raises
    ------
    MissingFileError
        If its folder does not exist.
    FormatError
        If it is a folder, or has none of the `suffixes`.
    ArgumentError
        If it is the input.
    """
    existing_folder(output.parent)
    if output.is_dir():
        raise FormatError(f"expected a file to write, and {output} is a folder: add a file name.")
    if suffixes and not output.name.lower().endswith(suffixes):
        raise FormatError(f"{output} cannot be written: end its name in {' or '.join(suffixes)}.")
    if source is not None and output.exists() and source.exists() and output.samefile(source):
        raise ArgumentError(f"the output {output} is the input: choose another name.")
