"""Sinograms in array files, beside a small JSON that says how they were measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, FormatError, ShapeError, UnsupportedError
from wellposed.core.files import existing_file
from wellposed.core.names import check_keywords, check_name, optional_import
from wellposed.data.angles import degrees, uniform_angles
from wellposed.data.images import read_image
from wellposed.noise import Gaussian, LogPoisson, NoiseModel, NoNoise
from wellposed.operators import ConeBeam3D, FanBeam2D, ParallelBeam2D, ParallelBeam3D
from wellposed.physics import Physics

__all__ = ["BEAMS", "read_sinogram"]

BEAMS: dict[str, Any] = {
    "parallel": ParallelBeam2D,
    "fan": FanBeam2D,
    "parallel-3d": ParallelBeam3D,
    "cone": ConeBeam3D,
}
"""What a geometry file may call its `beam`."""

_HDF5 = (".h5", ".hdf5")
_TIFF = (".tif", ".tiff")
_ARRAYS = (".npy", ".npz", *_TIFF)


def read_sinogram(path: str | Path, geometry: str | Path, *, key: str | None = None) -> tuple[Tensor, Physics]:
    """Read a sinogram and its geometry.

    The geometry is a JSON object: `beam`, one of `BEAMS`; `angles`, a list or ``{"n": 360, "span": 360, "start": 0}``,
    and their `angle_unit`, "degrees" or "radians"; `image_shape`, [H, W] or [D, H, W]; whatever else the beam's
    constructor takes; and if known the `noise`, ``{"sigma": 0.01}`` or ``{"photons": 1e5, "attenuation": 1}``. The
    number of detector elements is that of the sinogram.

    Parameters
    ----------
    path : str or Path
        npy, npz, TIFF or HDF5: floats, (angles, detector) or (angles, rows, columns), after the logarithm.
        `file.npz:key` names one of several arrays.
    geometry : str or Path
    key : str, optional
        Which array of a file that holds several.

    Returns
    -------
    y : Tensor, shape (1, 1, *measurement_shape)
    physics : Physics

    Raises
    ------
    MissingFileError
        If one of the files is not there.
    FormatError
        If the geometry is no such JSON, or the sinogram holds no floats.
    ShapeError
        If the sinogram has not as many views as the geometry has angles.
    ArgumentError, UnknownNameError, KeywordError
        If the geometry has an entry that makes no sense, or lacks one.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> folder = Path(tempfile.mkdtemp())
    >>> np.save(folder / "y.npy", np.zeros((90, 64), dtype=np.float32))
    >>> entries = {"beam": "parallel", "angles": {"n": 90, "span": 180}, "angle_unit": "degrees"}
    >>> entries["image_shape"] = [40, 40]
    >>> _ = (folder / "y.json").write_text(json.dumps(entries))
    >>> y, physics = read_sinogram(folder / "y.npy", folder / "y.json")
    >>> y.shape, physics.image_shape
    (torch.Size([1, 1, 90, 64]), (1, 40, 40))
    """
    entries = _entries(existing_file(geometry))
    kind = BEAMS[check_name("beam", entries.pop("beam", "none at all"), BEAMS)]
    angles = _angles(entries)
    noise = _noise(entries.pop("noise", None))
    size = entries.pop("image_shape", None)
    if not isinstance(size, list) or len(size) not in (2, 3):
        raise ArgumentError(f"{geometry} needs an image_shape such as [256, 256], got {size!r}.")
    y = _values(Path(path), key, is_volume=len(size) == 3)
    if y.ndim != 2 + len(size) or y.shape[:2] != (1, 1):
        axes = "(angles, detector)" if len(size) == 2 else "(angles, rows, columns)"
        raise ShapeError(f"{path} holds an array of shape {tuple(y.shape[1:])}: one sinogram {axes} is read.")
    if y.shape[2] != len(angles):
        turned = ", so it seems to lie on its side: transpose it" if y.shape[-1] == len(angles) else ""
        raise ShapeError(
            f"{path} has {y.shape[2]} views of {y.shape[-1]} elements, and {geometry} has {len(angles)} angles{turned}."
        )
    counts = dict(zip(("n_detectors", "n_rows"), reversed(y.shape[3:]), strict=False))
    check_keywords(f"the geometry {geometry}", entries, set(kind.constructor_names()) - {"angles", *counts})
    try:
        operator = kind(angles=angles, image_shape=(1, *size), **counts, **entries)
    except TypeError as error:
        raise ArgumentError(f"{geometry} does not describe a {kind.__name__}: {error}.") from error
    return y, Physics(operator, noise)


def _entries(path: Path) -> dict[str, Any]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is not JSON ({error}).") from error
    if not isinstance(entries, dict):
        raise FormatError(f"{path} holds a {type(entries).__name__}, and a geometry is a JSON object.")
    return entries


def _angles(entries: dict[str, Any]) -> Tensor:
    """Take the angles from a description, and return them in radians."""
    given = entries.pop("angles", None)
    unit = check_name("angle_unit", entries.pop("angle_unit", "none at all"), ("degrees", "radians"))
    if isinstance(given, dict):
        check_keywords("the range of angles", given, ("n", "span", "start"))
        if not {"n", "span"} <= given.keys():
            raise ArgumentError(f'a range of angles is {{"n": 360, "span": 360}}, with a start if not 0; got {given}.')
        angles = uniform_angles(given["n"], span=float(given["span"]), start=float(given.get("start", 0)))
    elif isinstance(given, list) and given and all(isinstance(angle, (int, float)) for angle in given):
        angles = torch.tensor(given, dtype=torch.get_default_dtype())
    else:
        raise ArgumentError(f'the angles are a list of numbers or {{"n": 360, "span": 360}}, got {given!r}.')
    return degrees(angles) if unit == "degrees" else angles


def _noise(given: Any) -> NoiseModel:
    if given is None:
        return NoNoise()
    if isinstance(given, dict) and set(given) == {"sigma"}:
        return Gaussian(float(given["sigma"]))
    if isinstance(given, dict) and set(given) == {"photons", "attenuation"}:
        return LogPoisson(float(given["photons"]), float(given["attenuation"]))
    raise ArgumentError(f'the noise is {{"sigma": 0.01}} or {{"photons": 1e5, "attenuation": 1}}, got {given!r}.')


def _values(path: Path, key: str | None, *, is_volume: bool) -> Tensor:
    """Return the array of a file with a batch and a channel axis."""
    for suffix in _HDF5:
        file, is_inside, inner = str(path).partition(f"{suffix}:")
        if is_inside:
            return _read_hdf5(Path(file + suffix), key or inner)
    if path.suffix.lower() in _HDF5:
        return _read_hdf5(path, key)
    suffix = path.suffix.partition(":")[0].lower()
    if suffix not in _ARRAYS:
        raise UnsupportedError(f"{path}: sinograms are read from {', '.join(_ARRAYS + _HDF5)} files.")
    values = read_image(path, key=key)
    _check_floats(path, _stored_type(path, suffix, key))
    return values[:, None] if is_volume and values.ndim == 4 else values


def _stored_type(path: Path, suffix: str, key: str | None) -> Any:
    """Return the type of the numbers in a file that `read_image` could read, which divides integers."""
    if suffix in _TIFF:
        with optional_import("tifffile", extra="cli").TiffFile(path) as file:
            return file.pages[0].dtype
    if suffix == ".npy":
        return np.load(path, mmap_mode="r").dtype
    file, _, inner = str(path).partition(".npz:")
    with np.load(path if path.exists() else f"{file}.npz") as arrays:
        return arrays[key or inner or arrays.files[0]].dtype


def _check_floats(path: Path, kind: Any) -> None:
    if kind.kind != "f":
        raise FormatError(f"{path} holds values of type {kind}: a sinogram is made of floats.")


def _read_hdf5(path: Path, key: str | None) -> Tensor:
    h5py = optional_import("h5py", extra="train")
    try:
        with h5py.File(existing_file(path), "r") as file:
            datasets: list[str] = []
            file.visititems(lambda name, item: datasets.append(name) if isinstance(item, h5py.Dataset) else None)
            if key is None and len(datasets) != 1:
                raise ArgumentError(
                    f"{path} holds {len(datasets)} arrays, choose one with key=: {', '.join(datasets)}."
                )
            values = file[check_name("array", key or datasets[0], datasets)][()]
    except OSError as error:
        raise FormatError(f"{path} is not an HDF5 file, or it is damaged ({error}).") from error
    _check_floats(path, values.dtype)
    return torch.from_numpy(values.astype("f4"))[None, None]
