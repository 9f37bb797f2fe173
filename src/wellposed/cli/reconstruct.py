"""`wellposed reconstruct`: the picture back from its measurements."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

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
_DICOM = ".dcm"


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
    unit: Annotated[
        str | None,
        typer.Option(help="Of an MRI scan's trajectory: radians per pixel, cycles per pixel or per field of view."),
    ] = None,
    water: Annotated[
        float,
        typer.Option(
            help="For a .dcm file, which holds Hounsfield units: what water attenuates per unit of the geometry's "
            "lengths. Pixels are then in mm."
        ),
    ] = 0.0192,
    quiet: Quiet = False,
) -> None:
    """Recover the picture from its measurements. Pictures and NIfTI show the magnitude of a complex one, arrays all."""
    from wellposed.data import write_image, write_nifti
    from wellposed.verbs._model_files import named_method
    from wellposed.verbs.reconstruct import choose_method
    from wellposed.verbs.reconstruct import reconstruct as recover

    where = checked_device(device)
    by = named_method(method, device=where)
    check_output(output, source=measurements, suffixes=(*_PICTURES, *_ARRAYS, *_NIFTI, _DICOM))
    _check_dicom(output, geometry, water)
    with _warnings_shown(quiet=quiet):
        y, physics, affine = _load(measurements, geometry, where, shifted=shifted, unit=unit)
    _check_room(output, y, physics)
    by = choose_method(y, physics) if by == "auto" else by
    chosen = by if isinstance(by, str) else method
    with _warnings_shown(quiet=quiet), progress(f"reconstructing by {chosen}", quiet=quiet) as update:
        x_hat = recover(y, physics, by, callback=update)
    if not x_hat.isfinite().all():
        raise ArgumentError(
            f"the image from {measurements} holds NaN or infinity: check the parameters of its physics."
        )
    is_shown = x_hat.is_complex() and not output.name.lower().endswith(_ARRAYS)
    shown = x_hat.abs() if is_shown else x_hat
    if output.name.lower().endswith(_NIFTI):
        write_nifti(output, shown, affine=affine)
    elif output.suffix.lower() == _DICOM:
        _write_slice(output, shown, physics, water)
    else:
        write_image(output, shown)
    why = ", chosen by default" if method == "auto" else ""
    say(f"{output}: image {tuple(x_hat.shape)} by {chosen}{why}", quiet=quiet)


@contextmanager
def _warnings_shown(*, quiet: bool) -> Iterator[None]:
    """Write what this library warns about, and what it logs as a warning, to stderr, also where an error follows."""
    handler, logger = _Kept(logging.WARNING), logging.getLogger("wellposed")
    logger.addHandler(handler)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", module=r"wellposed\.")
        try:
            yield
        finally:
            logger.removeHandler(handler)
            for text in () if quiet else [*(warning.message for warning in caught), *handler.lines]:
                typer.echo(f"wellposed: {text}", err=True)


class _Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _load(
    path: Path, geometry: Path | None, device: torch.device, *, shifted: bool, unit: str | None
) -> tuple[Any, Physics, torch.Tensor | None]:
    """Return what a file of measurements holds, or a sinogram, or an MRI scan, and the affine of the last if it has."""
    from wellposed.data import is_scan, load_measurements, read_scan, read_sinogram, scan_measurements

    is_mri = geometry is None and is_scan(path)
    if (shifted or unit) and not is_mri:
        raise ArgumentError(f"--{'shifted' if shifted else 'unit'} is for MRI scans (.h5, .npz), and {path} is none.")
    if is_mri:
        scan = read_scan(path, shifted=shifted, unit=unit)  # type: ignore[arg-type]
        y, physics = scan_measurements(scan)
        return y.to(device), physics.to(device), scan.affine
    if geometry is None:
        return *load_measurements(path, device=device), None
    y, physics = read_sinogram(path, geometry)
    return y.to(device), physics.to(device), None


def _check_dicom(output: Path, geometry: Path | None, water: float) -> None:
    """Raise, before any work, if a DICOM file is asked for that cannot be written."""
    if output.suffix.lower() != _DICOM:
        return
    if geometry is None:
        raise ArgumentError(f"{output} holds Hounsfield units, which only sinograms have (--geometry).")
    if not 0 < water < float("inf"):
        raise ArgumentError(f"--water expects a number above zero, got {water:g}.")


def _write_slice(output: Path, attenuation: torch.Tensor, physics: Physics, water: float) -> None:
    from wellposed.data import attenuation_to_hounsfield, write_dicom

    side = float(cast("Any", physics.operator).pixel_size)
    write_dicom(output, attenuation_to_hounsfield(attenuation, water=water), pixel_spacing=(side, side))


def _check_room(output: Path, y: Tree, physics: Physics) -> None:
    """Raise, before any work, if a picture file cannot hold what will come."""
    from wellposed.core.tree import tree_leaves

    suffix = output.suffix.lower()
    count, shape = len(tree_leaves(y)[0]), physics.image_shape
    if suffix in _PICTURES and count > 1:
        raise ArgumentError(
            f"{output} holds one image, and these are the measurements of {count}: write to {' or '.join(_ARRAYS)}."
        )
    if suffix == _DICOM and len(shape) != 3:
        raise ArgumentError(f"{output} holds one slice, and this is a volume {shape}: write to {' or '.join(_ARRAYS)}.")
    if suffix in _FLAT and (len(shape) != 3 or shape[0] not in (1, 3, None)):
        raise ArgumentError(
            f"{output} holds an image of one or three channels, and this one has the shape {shape}: "
            f"write to {' or '.join(_ARRAYS)}."
        )
