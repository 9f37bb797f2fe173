"""`wellposed reconstruct`: the picture back from its measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wellposed.cli._checks import check_output, checked_device
from wellposed.cli._options import Device, Method, Output, Quiet
from wellposed.cli._screen import progress, say
from wellposed.core.errors import ArgumentError

if TYPE_CHECKING:
    import torch

    from wellposed.core.tree import Tree
    from wellposed.physics import Physics

__all__ = ["reconstruct"]

_FLAT = (".png", ".jpg", ".jpeg", ".bmp")
_PICTURES = (*_FLAT, ".tif", ".tiff")
_ARRAYS = (".npy", ".npz", ".safetensors")
_NIFTI = (".nii", ".nii.gz")


def reconstruct(
    measurements: Annotated[
        Path,
        typer.Argument(
            help="A file that 'wellposed simulate' or save_measurements wrote, a sinogram (--geometry), or an MRI "
            "scan: k-space in .h5 (fastMRI, ISMRMRD) or .npz."
        ),
    ],
    output: Output,
    geometry: Annotated[
        Path | None, typer.Option(help="A JSON file that says how the sinogram in an array file was measured.")
    ] = None,
    method: Method = "auto",
    device: Device = "cpu",
    *,
    shifted: Annotated[bool, typer.Option(help="Of an MRI scan: DC is in the corner of its k-space.")] = False,
    quiet: Quiet = False,
) -> None:
    """Recover the picture from its measurements. Pictures and NIfTI show the magnitude of a complex one, arrays all."""
    from wellposed.data import write_image, write_nifti
    from wellposed.verbs.reconstruct import check_method, choose_method
    from wellposed.verbs.reconstruct import reconstruct as recover

    check_method(method)
    check_output(output, source=measurements, suffixes=_PICTURES + _ARRAYS + _NIFTI)
    y, physics = _load(measurements, geometry, checked_device(device), shifted=shifted)
    _check_room(output, y, physics)
    chosen = choose_method(y, physics) if method == "auto" else method
    with progress(f"reconstructing by {chosen}", quiet=quiet) as update:
        x_hat = recover(y, physics, chosen, callback=update)
    if not x_hat.isfinite().all():
        raise ArgumentError(
            f"the image from {measurements} holds NaN or infinity: check the parameters of its physics."
        )
    is_shown = x_hat.is_complex() and not output.name.lower().endswith(_ARRAYS)
    write = write_nifti if output.name.lower().endswith(_NIFTI) else write_image
    write(output, x_hat.abs() if is_shown else x_hat)
    why = ", chosen by default" if method == "auto" else ""
    say(f"{output}: image {tuple(x_hat.shape)} by {chosen}{why}", quiet=quiet)


def _load(path: Path, geometry: Path | None, device: torch.device, *, shifted: bool) -> tuple[Any, Physics]:
    """Return what a file of measurements holds, or a sinogram, or an MRI scan, whose coil maps it may lack."""
    from wellposed.data import is_scan, load_measurements, read_scan, read_sinogram, scan_measurements

    is_mri = geometry is None and is_scan(path)
    if shifted and not is_mri:
        raise ArgumentError(f"--shifted is for MRI scans (.h5, .npz), and {path} is none.")
    if is_mri:
        y, physics = scan_measurements(read_scan(path, shifted=shifted))
    elif geometry is None:
        return load_measurements(path, device=device)
    else:
        y, physics = read_sinogram(path, geometry)
    return y.to(device), physics.to(device)


def _check_room(output: Path, y: Tree, physics: Physics) -> None:
    """Raise, before any work, if a picture file cannot hold what will come."""
    from wellposed.core.tree import tree_leaves

    suffix = output.suffix.lower()
    count, shape = len(tree_leaves(y)[0]), physics.image_shape
    if suffix in _PICTURES and count > 1:
        raise ArgumentError(
            f"{output} holds one image, and these are the measurements of {count}: write to {' or '.join(_ARRAYS)}."
        )
    if suffix in _FLAT and (len(shape) != 3 or shape[0] not in (1, 3, None)):
        raise ArgumentError(
            f"{output} holds an image of one or three channels, and this one has the shape {shape}: "
            f"write to {' or '.join(_ARRAYS)}."
        )
