"""Files of k-space: fastMRI's HDF5 and npz, and whichever of these or ISMRMRD a file is."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wellposed.core.complex_view import real_view
from wellposed.core.errors import ArgumentError, DTypeError, FormatError, ShapeError
from wellposed.core.files import atomic_path, existing_file
from wellposed.core.names import optional_import
from wellposed.core.shapes import check_tensor
from wellposed.data._mri_scan import MRIScan
from wellposed.data.ismrmrd_files import read_ismrmrd
from wellposed.data.trajectories import KSpaceUnit, checked_radians

__all__ = ["is_scan", "read_fastmri", "read_scan", "write_fastmri"]

_HDF5 = (".h5", ".hdf5")
_KSPACE_NAMES = ("kspace", "k_space", "ksp")
_MAPS_NAMES = ("coil_maps", "sensitivity_maps", "sens_maps", "espirit_maps", "maps")
_TARGET_NAMES = ("reconstruction_rss", "reconstruction_esc", "target")


def is_scan(path: str | Path) -> bool:
    """Tell whether a path has the name of a file that `read_scan` reads: .h5, .hdf5 or .npz."""
    return Path(path).suffix.lower() in (*_HDF5, ".npz")


def read_scan(path: str | Path, *, shifted: bool = False, unit: KSpaceUnit | None = None) -> MRIScan:
    """Read k-space from fastMRI's HDF5, ISMRMRD or npz, whichever a file is.

    An npz file holds `kspace`, (coils, H, W), (slices, coils, H, W), (volumes, coils, D, H, W) or of one coil (H, W),
    and perhaps `mask` and `coil_maps`. With a `trajectory`, (shots, samples, d) or one such for each image, rows before
    columns, k-space is (coils, shots, samples) or (images, coils, shots, samples), and `image_size` is wanted, (H, W)
    or (D, H, W).

    Parameters
    ----------
    path : str or Path
        Ends in .h5, .hdf5 or .npz.
    shifted : bool
        DC is in the corner of the arrays, as FFT functions have it, and is to be moved to the middle.
    unit : {"radians per pixel", "cycles per pixel", "cycles per field of view"}, optional
        Of a trajectory; by default radians per pixel in npz, and cycles per pixel in ISMRMRD.

    Returns
    -------
    MRIScan

    Raises
    ------
    MissingFileError
        If there is no such file.
    FormatError
        If it is damaged, or no k-space is in it, or a trajectory cannot be in its unit.
    ArgumentError
        If there is a unit and no trajectory.
    UnsupportedError
        As in `read_ismrmrd`.
    MissingDependencyError
        If h5py, or ismrmrd, is not installed.

    Warns
    -----
    UserWarning
        If DC does not seem to be where `shifted` says.
    """
    path = existing_file(path)
    if path.suffix.lower() == ".npz":
        arrays = _npz_arrays(path)
        is_off_grid = "trajectory" in arrays
        scan = _off_grid(path, arrays, unit or "radians per pixel") if is_off_grid else _on_grid(path, arrays, shifted)
    elif path.suffix.lower() not in _HDF5:
        raise FormatError(f"{path} has the extension {path.suffix!r}: k-space is read from .h5, .hdf5 and .npz.")
    elif "dataset" in _hdf5_arrays(path, only=("dataset",)):
        scan = read_ismrmrd(path, unit=unit or "cycles per pixel")
    else:
        scan = read_fastmri(path, shifted=shifted)
    if unit is not None and scan.trajectory is None:
        raise ArgumentError(f"{path} is a scan on the grid: it has no trajectory whose unit could be {unit!r}.")
    return scan


def read_fastmri(path: str | Path, *, shifted: bool = False) -> MRIScan:
    """Read an HDF5 file as those of fastMRI are: `kspace`, and where there are, `mask` and `reconstruction_...`.

    Single-coil files hold (slices, H, W), multi-coil files (slices, coils, H, W). Files to be tested on have a mask and
    no target.

    Parameters
    ----------
    path : str or Path
    shifted : bool
        As in `read_scan`.

    Raises
    ------
    MissingFileError, FormatError, MissingDependencyError
        As in `read_scan`.

    References
    ----------
    Zbontar et al., *fastMRI: an open dataset and benchmarks for accelerated MRI*, arXiv:1811.08839.
    """
    path = existing_file(path)
    return _on_grid(path, _hdf5_arrays(path), shifted, slices_first=True)


def write_fastmri(path: str | Path, scan: MRIScan) -> None:
    """Write a scan as `read_fastmri` reads it, whole or not at all.

    Parameters
    ----------
    path : str or Path
    scan : MRIScan
        One coil is written as a single-coil file.

    Raises
    ------
    ShapeError, DTypeError
        If its k-space is not (slices, coils, H, W), complex.
    MissingDependencyError
        If h5py is not installed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "scan.h5"
    >>> write_fastmri(path, MRIScan(torch.ones(2, 4, 8, 6) + 0j, torch.ones(1, 1, 1, 6)))
    >>> read_fastmri(path).kspace.shape
    torch.Size([2, 4, 8, 6])
    """
    h5py = optional_import("h5py", extra="mri")
    check_tensor("write_fastmri", "kspace", scan.kspace)
    if scan.kspace.ndim != 4 or scan.trajectory is not None:
        where = "" if scan.trajectory is None else " off the grid"
        raise ShapeError(f"write_fastmri expects k-space (slices, coils, H, W), got {tuple(scan.kspace.shape)}{where}.")
    if not scan.kspace.is_complex():
        raise DTypeError(f"write_fastmri expects complex k-space, got {scan.kspace.dtype}.")
    one_coil = scan.kspace.shape[1] == 1
    arrays = {"kspace": scan.kspace[:, 0] if one_coil else scan.kspace}
    if scan.mask.shape[0] == 1 and scan.mask.shape[-2] == 1:
        arrays["mask"] = scan.mask.flatten()
    if scan.target is not None:
        arrays["reconstruction_esc" if one_coil else "reconstruction_rss"] = scan.target[:, 0]
    if scan.coil_maps is not None:
        arrays["coil_maps"] = scan.coil_maps
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        for name, tensor in arrays.items():
            file.create_dataset(name, data=tensor.detach().resolve_conj().cpu().numpy())


def _npz_arrays(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:
        raise FormatError(f"{path} cannot be read as .npz: it is truncated or damaged ({error}).") from error


def _hdf5_arrays(path: Path, only: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the datasets of a file by name, or which of some names there are."""
    h5py = optional_import("h5py", extra="mri")
    try:
        with h5py.File(path, "r") as file:
            if only:
                return {name: None for name in only if name in file}
            return {name: entry[()] for name, entry in file.items() if isinstance(entry, h5py.Dataset) and entry.shape}
    except (OSError, RuntimeError, KeyError) as error:
        raise FormatError(f"{path} cannot be read as HDF5: it is truncated or damaged ({error}).") from error


def _on_grid(path: Path, arrays: Mapping[str, Any], shifted: bool, *, slices_first: bool = False) -> MRIScan:  # noqa: FBT001
    """Return k-space with its slices and coils, moved to the middle if it is not there."""
    kspace = _kspace(path, arrays)
    if kspace.ndim == 3:
        kspace = kspace.unsqueeze(1) if slices_first else kspace[None]
    elif kspace.ndim == 2:
        kspace = kspace[None, None]
    if kspace.ndim not in ((4,) if slices_first else (4, 5)):
        raise FormatError(f"{path} holds k-space of shape {tuple(kspace.shape)}; (slices, coils, H, W) is read.")
    maps, mask = _maps(path, arrays, kspace), _mask(path, arrays.get("mask"), kspace)
    if shifted:
        kspace, mask = (_moved(part, kspace.ndim - 2) for part in (kspace, mask))
    _warn_if_uncentred(path, kspace, shifted=shifted)
    return MRIScan(kspace, mask, _target(arrays), maps)


def _off_grid(path: Path, arrays: Mapping[str, Any], unit: KSpaceUnit) -> MRIScan:
    """Return samples with their trajectory and the size of the image."""
    kspace, points = _kspace(path, arrays), torch.from_numpy(np.asarray(arrays["trajectory"], dtype=np.float64))
    kspace = kspace[None] if kspace.ndim == 3 else kspace
    points = points[None] if points.ndim == 3 else points
    if "image_size" not in arrays or len(size := tuple(np.ravel(arrays["image_size"]).tolist())) != points.shape[-1]:
        raise FormatError(f"{path} holds a trajectory, and needs an array 'image_size' of {points.shape[-1]} numbers.")
    fits = kspace.ndim == points.ndim == 4 and points.shape[1:3] == kspace.shape[2:]
    if not fits or len(points) not in (1, len(kspace)):
        raise FormatError(
            f"{path} holds k-space {tuple(kspace.shape)} and a trajectory {tuple(points.shape)}; they are read as "
            "(images, coils, shots, samples) and (images or 1, shots, samples, d)."
        )
    trajectory = checked_radians(path, points, unit=unit, size=size)
    maps = _maps(path, arrays, kspace.new_empty(*kspace.shape[:2], *size, device="meta"))
    return MRIScan(kspace, torch.ones(1, 1, 1, 1), _target(arrays), maps, trajectory, size)


def _kspace(path: Path, arrays: Mapping[str, Any]) -> Tensor:
    name = next((name for name in _KSPACE_NAMES if name in arrays), None)
    if name is None:
        raise FormatError(
            f"{path} holds no k-space, an array called 'kspace', but {', '.join(sorted(arrays)) or 'none'}."
        )
    return _complex_tensor(path, name, arrays[name])


def _maps(path: Path, arrays: Mapping[str, Any], images: Tensor) -> Tensor | None:
    """Return coil maps, if there are any, for images of all coils."""
    name = next((name for name in _MAPS_NAMES if name in arrays), None)
    if name is None:
        return None
    maps = _complex_tensor(path, name, arrays[name])
    maps = maps[None] if maps.ndim == images.ndim - 1 else maps
    if maps.shape[1:] != images.shape[1:] or maps.shape[0] not in (1, images.shape[0]):
        raise FormatError(f"{path} holds coil maps {tuple(maps.shape)} for k-space {tuple(images.shape)}.")
    return maps


def _target(arrays: Mapping[str, Any]) -> Tensor | None:
    target = next((arrays[name] for name in _TARGET_NAMES if name in arrays), None)
    if target is None:
        return None
    magnitude = torch.from_numpy(np.asarray(target, dtype=np.float32))
    return magnitude.unsqueeze(1) if magnitude.ndim == 3 else magnitude.view(1, 1, *magnitude.shape[-2:])


def _complex_tensor(path: Path, name: str, values: Any) -> Tensor:
    array = np.asarray(values)
    if array.dtype.names == ("real", "imag"):
        array = array["real"] + 1j * array["imag"]
    if array.dtype.kind != "c":
        raise FormatError(f"{path} holds a {name} of type {array.dtype}, and k-space and coil maps are complex.")
    tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=np.complex64))
    if tensor.numel() == 0 or not bool(torch.isfinite(real_view(tensor)).all()):
        raise FormatError(f"{path} holds a {name} that is empty, or has NaN or infinity in it.")
    return tensor


def _mask(path: Path, values: Any, kspace: Tensor) -> Tensor:
    """Return the mask of a file, of columns or of points, or else where k-space is not zero in any coil."""
    if values is None:
        return (kspace != 0).any(1, keepdim=True).float()
    mask, space = torch.from_numpy(np.asarray(values, dtype=np.float32)), kspace.shape[2:]
    if mask.numel() == space[-1]:
        return mask.view(1, 1, *[1] * (len(space) - 1), space[-1])
    if mask.numel() not in (math.prod(space), len(kspace) * math.prod(space)):
        sizes = " x ".join(map(str, space))
        raise FormatError(f"{path} holds a mask of shape {tuple(mask.shape)} for k-space of {sizes}.")
    return mask.view(-1, 1, *space)


def _moved(values: Tensor, dimensions: int) -> Tensor:
    """Move DC from the corner to the middle, along the axes that are not of length one."""
    return torch.fft.fftshift(values, [axis for axis in range(-dimensions, 0) if values.shape[axis] > 1])


def _warn_if_uncentred(path: Path, kspace: Tensor, *, shifted: bool) -> None:
    """Warn if the corners hold more energy than the middle of the same area."""
    energy = kspace.abs().square().sum((0, 1))
    halves = [max(size // 8, 1) for size in energy.shape]
    box = tuple(slice(size // 2 - half, size // 2 + half) for size, half in zip(energy.shape, halves, strict=True))
    if bool(torch.fft.fftshift(energy)[box].sum() > energy[box].sum()) and energy.numel() > 64:
        warnings.warn(
            f"the k-space of {path} has most of its energy in the corners: read it with shifted={not shifted} "
            f"('--{'no-' if shifted else ''}shifted' on the command line), which moves DC to the middle.",
            stacklevel=4,
        )
