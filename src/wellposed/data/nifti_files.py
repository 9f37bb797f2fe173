"""Files of NIfTI: images and volumes, real or complex, and where they lie in the scanner."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wellposed.core.errors import FormatError, ShapeError
from wellposed.core.files import atomic_path, existing_file
from wellposed.core.names import optional_import
from wellposed.core.shapes import check_tensor

__all__ = ["read_nifti", "write_nifti"]

_SUFFIXES = (".nii", ".nii.gz")


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
        Real or complex. Slices (B, 1, X, Y) become the third axis, and volumes (B, 1, X, Y, Z) the fourth.
    affine : Tensor, shape (4, 4), optional
        From indices to millimetres; the identity by default.

    Raises
    ------
    FormatError
        If the path ends otherwise.
    ShapeError
        If it is neither an image nor a batch of slices or volumes, or the affine is not 4 x 4.
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
    if not path.name.lower().endswith(_SUFFIXES):
        raise FormatError(f"{path} cannot be written as NIfTI: end its name in .nii or .nii.gz.")
    check_tensor("write_nifti", "image", image)
    if image.ndim not in (4, 5) or (image.shape[0] > 1 and image.shape[1] > 1):
        raise ShapeError(
            "write_nifti expects (1, C, X, Y), (1, C, X, Y, Z), slices (B, 1, X, Y) or volumes (B, 1, X, Y, Z), got "
            f"{tuple(image.shape)}."
        )
    if affine is not None and tuple(affine.shape) != (4, 4):
        raise ShapeError(f"write_nifti expects an affine of shape (4, 4), got {tuple(affine.shape)}.")
    values = (image[:, 0] if image.shape[1] == 1 else image[0]).movedim(0, -1)
    if values.ndim == 4 and values.shape[-1] == 1:
        values = values[..., 0]
    elif image.ndim == 4 and image.shape[1] > 1:
        values = values.unsqueeze(2)
    array = values.detach().resolve_conj().cpu().numpy()
    file = nibabel.Nifti1Image(array, np.eye(4) if affine is None else affine.double().cpu().numpy())
    content = file.to_bytes()
    with atomic_path(path) as temporary:
        temporary.write_bytes(gzip.compress(content) if path.suffix.lower() == ".gz" else content)
