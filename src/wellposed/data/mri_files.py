"""Files of MRI: k-space in fastMRI's HDF5, ISMRMRD and npz, and images in NIfTI."""

from __future__ import annotations

import gzip
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from wellposed.core.complex_view import real_view
from wellposed.core.errors import DTypeError, FormatError, ShapeError, UnsupportedError
from wellposed.core.files import atomic_path, existing_file
from wellposed.core.names import optional_import
from wellposed.core.shapes import check_tensor

__all__ = [
    "MRIScan",
    "is_scan",
    "read_fastmri",
    "read_ismrmrd",
    "read_nifti",
    "read_scan",
    "write_fastmri",
    "write_nifti",
]

_HDF5 = (".h5", ".hdf5")
_NIFTI = (".nii", ".nii.gz")
_KSPACE_NAMES = ("kspace", "k_space", "ksp")
_MAPS_NAMES = ("coil_maps", "sensitivity_maps", "sens_maps", "espirit_maps", "maps")


class MRIScan(NamedTuple):
    """Cartesian k-space of one or more slices, as a file holds it; what it does not hold is None."""

    kspace: Tensor
    """Shape (slices, coils, H, W), complex64; centred, zero where nothing was sampled."""

    mask: Tensor
    """Shape (slices or 1, 1, H or 1, W): one where k-space is sampled; that of the file, or what is not zero."""

    target: Tensor | None = None
    """Shape (slices, 1, h, w), float32: the reference magnitude."""

    coil_maps: Tensor | None = None
    """Shape (slices or 1, coils, H, W), complex64."""


def is_scan(path: str | Path) -> bool:
    """Tell whether a path has the name of a file that `read_scan` reads: .h5, .hdf5 or .npz."""
    return Path(path).suffix.lower() in (*_HDF5, ".npz")


def read_scan(path: str | Path, *, shifted: bool = False) -> MRIScan:
    """Read Cartesian k-space from fastMRI's HDF5, ISMRMRD or npz, whichever a file is.

    An npz file holds `kspace`, (coils, H, W), (slices, coils, H, W) or of one coil (H, W), and perhaps `mask` and
    `coil_maps`.

    Parameters
    ----------
    path : str or Path
        Ends in .h5, .hdf5 or .npz.
    shifted : bool
        DC is in the corner of the arrays, as FFT functions have it, and is to be moved to the middle.

    Returns
    -------
    MRIScan

    Raises
    ------
    MissingFileError
        If there is no such file.
    FormatError
        If it is damaged, or no k-space is in it.
    MissingDependencyError
        If h5py, or ismrmrd, is not installed.

    Warns
    -----
    UserWarning
        If DC does not seem to be where `shifted` says.
    """
    path = existing_file(path)
    if path.suffix.lower() == ".npz":
        return _checked_scan(path, _npz_arrays(path), shifted=shifted)
    if path.suffix.lower() not in _HDF5:
        raise FormatError(f"{path} has the extension {path.suffix!r}: k-space is read from .h5, .hdf5 and .npz.")
    if "dataset" in _hdf5_arrays(path, only=("dataset",)):
        return read_ismrmrd(path)
    return read_fastmri(path, shifted=shifted)


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
    return _checked_scan(path, _hdf5_arrays(path), shifted=shifted, slices_first=True)


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
    if scan.kspace.ndim != 4:
        raise ShapeError(f"write_fastmri expects k-space (slices, coils, H, W), got {tuple(scan.kspace.shape)}.")
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


def read_ismrmrd(path: str | Path) -> MRIScan:
    """Read a Cartesian scan from an ISMRMRD file: one k-space for each slice, its noise measurements left out.

    Readouts are put at the step of the phase encoding that each carries, so that the centre of k-space of the header
    lies in the middle; repetitions and averages of the same line are averaged. Oversampling along the readout is kept.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    MRIScan
        W is the readout.

    Raises
    ------
    MissingFileError
        If there is no such file.
    FormatError
        If it is damaged, or holds no readout of an image.
    UnsupportedError
        If it is not a Cartesian scan of slices.
    MissingDependencyError
        If ismrmrd is not installed.

    References
    ----------
    Inati et al., *ISMRM raw data format: a proposed standard for MRI raw datasets*, Magnetic Resonance in Medicine 77
    (2017).
    """
    path = existing_file(path)
    ismrmrd = optional_import("ismrmrd", extra="mri")
    try:
        dataset = ismrmrd.Dataset(str(path), "dataset", create_if_needed=False)
        try:
            header = ismrmrd.xsd.CreateFromDocument(dataset.read_xml_header())
            lines = [dataset.read_acquisition(i) for i in range(dataset.number_of_acquisitions())]
        finally:
            dataset.close()
        encoding = header.encoding[0]
    except Exception as error:
        raise FormatError(f"{path} cannot be read as ISMRMRD: it is truncated or damaged ({error}).") from error
    matrix, trajectory = encoding.encodedSpace.matrixSize, getattr(encoding.trajectory, "value", encoding.trajectory)
    if str(trajectory).lower() != "cartesian" or matrix.z > 1:
        raise UnsupportedError(
            f"{path} is a scan of {trajectory} trajectories with {matrix.z} partitions; Cartesian slices are read."
        )
    lines = [line for line in lines if not line.isFlagSet(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)]
    if not lines:
        raise FormatError(f"{path} holds no readout of an image.")
    limits = encoding.encodingLimits.kspace_encoding_step_1
    offset = 0 if limits is None else matrix.y // 2 - limits.center
    return _from_lines(path, lines, matrix.y, offset)


def _from_lines(path: Path, lines: list[Any], rows: int, offset: int) -> MRIScan:
    """Put readouts at their place in k-space, and average those of one place."""
    coils, samples = lines[0].data.shape
    n_slices = 1 + max(line.idx.slice for line in lines)
    total = np.zeros((n_slices, coils, rows, samples), dtype=np.complex64)
    count = np.zeros((n_slices, 1, rows, 1), dtype=np.float32)
    for line in lines:
        row = line.idx.kspace_encode_step_1 + offset
        if line.data.shape != (coils, samples) or not 0 <= row < rows:
            raise FormatError(f"{path} has a readout of shape {line.data.shape} at row {row}, outside its own header.")
        total[line.idx.slice, :, row] += line.data
        count[line.idx.slice, :, row] += 1
    kspace = torch.from_numpy(total / np.maximum(count, 1))
    mask = torch.from_numpy((count > 0).astype(np.float32)).expand(-1, -1, -1, samples)
    return MRIScan(kspace, mask.contiguous())


def read_nifti(path: str | Path) -> tuple[Tensor, Tensor]:
    """Read an image or volume from NIfTI, scaled as the file says.

    Parameters
    ----------
    path : str or Path
        Ends in .nii or .nii.gz.

    Returns
    -------
    image : Tensor, shape (1, 1, X, Y) or (1, 1, X, Y, Z); a fourth axis of the file becomes the channels
        float32, or complex64.
    affine : Tensor, shape (4, 4), float64
        From indices to millimetres.

    Raises
    ------
    MissingFileError
        If there is no such file.
    FormatError
        If it is damaged.
    MissingDependencyError
        If nibabel is not installed.
    """
    nibabel = optional_import("nibabel", extra="mri")
    path = existing_file(path)
    try:
        file = nibabel.load(path)
        values = np.asanyarray(file.dataobj)
    except Exception as error:
        raise FormatError(f"{path} cannot be read as NIfTI: it is truncated or damaged ({error}).") from error
    kind = np.complex64 if np.iscomplexobj(values) else np.float32
    image = torch.from_numpy(np.array(values, dtype=kind, order="C"))
    while image.ndim > 2 and image.shape[-1] == 1:
        image = image[..., 0]
    image = image.movedim(-1, 0)[None] if image.ndim == 4 else image[None, None]
    if image.ndim not in (4, 5):
        raise FormatError(f"{path} holds an array of shape {values.shape}, and an image has two to four axes.")
    return image, torch.from_numpy(np.array(file.affine, dtype=np.float64))


def write_nifti(path: str | Path, image: Tensor, *, affine: Tensor | None = None) -> None:
    """Write an image or volume as NIfTI, exactly, whole or not at all.

    Parameters
    ----------
    path : str or Path
        Ends in .nii or .nii.gz.
    image : Tensor, shape (1, C, X, Y) or (1, C, X, Y, Z); channels become the fourth axis
        Real or complex. A batch of slices (B, 1, X, Y) becomes the third axis.
    affine : Tensor, shape (4, 4), optional
        From indices to millimetres; the identity by default.

    Raises
    ------
    FormatError
        If the path ends otherwise.
    ShapeError
        If it is neither an image nor a batch of slices.
    MissingDependencyError
        If nibabel is not installed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "volume.nii.gz"
    >>> write_nifti(path, torch.ones(1, 1, 4, 5, 6))
    >>> read_nifti(path)[0].shape
    torch.Size([1, 1, 4, 5, 6])
    """
    nibabel = optional_import("nibabel", extra="mri")
    path = Path(path)
    if not path.name.lower().endswith(_NIFTI):
        raise FormatError(f"{path} cannot be written as NIfTI: end its name in .nii or .nii.gz.")
    check_tensor("write_nifti", "image", image)
    if image.ndim not in (4, 5) or (image.shape[0] > 1 and (image.ndim == 5 or image.shape[1] > 1)):
        raise ShapeError(
            f"write_nifti expects (1, C, X, Y), (1, C, X, Y, Z) or slices (B, 1, X, Y), got {tuple(image.shape)}."
        )
    values = image[:, 0].movedim(0, -1) if image.shape[1] == 1 and image.ndim == 4 else image[0].movedim(0, -1)
    if values.ndim == 4 and values.shape[-1] == 1:
        values = values[..., 0]
    elif image.ndim == 4 and image.shape[1] > 1:
        values = values.unsqueeze(2)
    array = values.detach().resolve_conj().cpu().numpy()
    file = nibabel.Nifti1Image(array, np.eye(4) if affine is None else affine.double().cpu().numpy())
    content = file.to_bytes()
    with atomic_path(path) as temporary:
        temporary.write_bytes(gzip.compress(content) if path.suffix.lower() == ".gz" else content)


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


def _checked_scan(path: Path, arrays: Mapping[str, Any], *, shifted: bool, slices_first: bool = False) -> MRIScan:
    """Return k-space with its slices and coils, moved to the middle if it is not there."""
    name = next((name for name in _KSPACE_NAMES if name in arrays), None)
    if name is None:
        raise FormatError(
            f"{path} holds no k-space, an array called 'kspace', but {', '.join(sorted(arrays)) or 'none'}."
        )
    kspace = _complex_tensor(path, name, arrays[name])
    if kspace.ndim == 3:
        kspace = kspace.unsqueeze(1) if slices_first else kspace[None]
    elif kspace.ndim == 2:
        kspace = kspace[None, None]
    if kspace.ndim != 4:
        raise FormatError(f"{path} holds k-space of shape {tuple(kspace.shape)}; (slices, coils, H, W) is read.")
    maps_name = next((name for name in _MAPS_NAMES if name in arrays), None)
    maps = None if maps_name is None else _complex_tensor(path, maps_name, arrays[maps_name])
    if maps is not None:
        maps = maps[None] if maps.ndim == 3 else maps
        if maps.shape[1:] != kspace.shape[1:] or maps.shape[0] not in (1, kspace.shape[0]):
            raise FormatError(f"{path} holds coil maps {tuple(maps.shape)} for k-space {tuple(kspace.shape)}.")
    mask = _mask(path, arrays.get("mask"), kspace)
    if shifted:
        kspace, mask = (
            torch.fft.fftshift(part, (-2, -1)) if part.shape[-2] > 1 else torch.fft.fftshift(part, -1)
            for part in (kspace, mask)
        )
    _warn_if_uncentred(path, kspace, shifted=shifted)
    target = next(
        (arrays[name] for name in ("reconstruction_rss", "reconstruction_esc", "target") if name in arrays), None
    )
    magnitude = None if target is None else torch.from_numpy(np.asarray(target, dtype=np.float32))
    if magnitude is not None:
        magnitude = magnitude.unsqueeze(1) if magnitude.ndim == 3 else magnitude.view(1, 1, *magnitude.shape[-2:])
    return MRIScan(kspace, mask, magnitude, maps)


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
    mask = torch.from_numpy(np.asarray(values, dtype=np.float32))
    height, width = kspace.shape[-2:]
    if mask.numel() == width:
        return mask.view(1, 1, 1, width)
    if mask.numel() not in (height * width, len(kspace) * height * width):
        raise FormatError(f"{path} holds a mask of shape {tuple(mask.shape)} for k-space of {height} x {width}.")
    return mask.view(-1, 1, height, width)


def _warn_if_uncentred(path: Path, kspace: Tensor, *, shifted: bool) -> None:
    """Warn if the corners hold more energy than the middle of the same area."""
    energy = kspace.abs().square().sum((0, 1))
    height, width = (max(size // 8, 1) for size in energy.shape)
    rows, columns = (
        slice(size // 2 - half, size // 2 + half) for size, half in zip(energy.shape, (height, width), strict=True)
    )
    corners = torch.fft.fftshift(energy)[rows, columns].sum()
    if bool(corners > energy[rows, columns].sum()) and math.prod(energy.shape) > 64:
        warnings.warn(
            f"the k-space of {path} has most of its energy in the corners: read it with shifted={not shifted} "
            f"('--{'no-' if shifted else ''}shifted' on the command line), which moves DC to the middle.",
            stacklevel=4,
        )
