"""Files of ISMRMRD: raw readouts of a scanner, put in their places on the grid, or taken along their trajectories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wellposed.core.errors import FormatError, UnsupportedError
from wellposed.core.files import existing_file
from wellposed.core.names import optional_import
from wellposed.data._mri_scan import MRIScan
from wellposed.data.trajectories import KSpaceUnit, checked_radians

__all__ = ["read_ismrmrd"]

_NO_IMAGE = (
    "NOISE_MEASUREMENT",
    "NAVIGATION_DATA",
    "PHASECORR_DATA",
    "HPFEEDBACK_DATA",
    "DUMMYSCAN_DATA",
    "RTFEEDBACK_DATA",
    "SURFACECOILCORRECTIONSCAN_DATA",
    "PHASE_STABILIZATION",
    "PHASE_STABILIZATION_REFERENCE",
)


def read_ismrmrd(path: str | Path, *, unit: KSpaceUnit = "cycles per pixel") -> MRIScan:
    """Read a scan from an ISMRMRD file, on the grid or off it, of slices or of volumes.

    Readouts of an image are taken; measurements of noise, navigators and the like are left out, as are encodings after
    the first. Each slice, contrast, phase, repetition and set is an image of its own, the slices next to each other.

    On the grid, readouts are put at the steps of the phase encodings that each carries, so that the centre of k-space
    of the header lies in the middle; short ones so that their centre sample does; averages of the same line are
    averaged. Oversampling along the readout is kept. Off the grid, all readouts are kept along the trajectories that
    they carry; if these are in the plane and there are partitions, they are stacked.

    Parameters
    ----------
    path : str or Path
    unit : {"cycles per pixel", "radians per pixel", "cycles per field of view"}
        Of the trajectories, of which ISMRMRD does not speak.

    Returns
    -------
    MRIScan
        W is the readout, H the first phase encoding, D the second. The affine follows the field of view, and the
        positions and directions where there are.

    Raises
    ------
    MissingFileError
        If there is no such file.
    FormatError
        If it is damaged, holds no readout of an image, or its trajectories cannot be in this unit.
    UnsupportedError
        If it is an echo-planar scan, its trajectories are missing, or its images have different numbers of readouts.
    MissingDependencyError
        If ismrmrd is not installed.

    References
    ----------
    Inati et al., *ISMRM raw data format: a proposed standard for MRI raw datasets*, Magnetic Resonance in Medicine 77
    (2017).
    """
    path = existing_file(path)
    encoding, lines = _loaded(path)
    images = _by_image(lines)
    kind = str(getattr(encoding.trajectory, "value", encoding.trajectory)).lower()
    if kind == "epi":
        raise UnsupportedError(f"{path} is an echo-planar scan, whose readouts would have to be regridded first.")
    is_on_grid = kind == "cartesian"
    scan = _on_grid(path, images, encoding) if is_on_grid else _off_grid(path, kind, images, encoding, unit)
    return scan._replace(affine=_affine(images, encoding.encodedSpace))


def _loaded(path: Path) -> tuple[Any, list[_Readout]]:
    """Return the first encoding of the header, and its readouts of an image."""
    ismrmrd = optional_import("ismrmrd", extra="mri")
    left_out = [getattr(ismrmrd, f"ACQ_IS_{name}") for name in _NO_IMAGE]
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
    lines = [
        _Readout(line, is_reversed=line.isFlagSet(ismrmrd.ACQ_IS_REVERSE))
        for line in lines
        if line.encoding_space_ref == 0 and not any(line.isFlagSet(flag) for flag in left_out)
    ]
    if not lines:
        raise FormatError(f"{path} holds no readout of an image.")
    return encoding, lines


class _Readout:
    """One readout in the direction of the others: its samples (coils, n), where their centre is, their trajectory."""

    def __init__(self, line: Any, *, is_reversed: bool) -> None:
        kept = slice(line.discard_pre, line.number_of_samples - line.discard_post)
        step = -1 if is_reversed else 1
        self.samples = line.data[:, kept][:, ::step]
        self.points = line.traj[kept][::step]
        self.centre = line.center_sample - line.discard_pre
        if is_reversed:
            self.centre = self.samples.shape[1] - 1 - self.centre
        self.index, self.head = line.idx, line

    def image(self) -> tuple[int, ...]:
        """Return what tells images apart, the slice last."""
        index = self.index
        return index.set, index.contrast, index.phase, index.repetition, index.slice


def _by_image(lines: list[_Readout]) -> list[list[_Readout]]:
    images: dict[tuple[int, ...], list[_Readout]] = {}
    for line in lines:
        images.setdefault(line.image(), []).append(line)
    return [images[key] for key in sorted(images)]


def _offsets(encoding: Any) -> tuple[int, int]:
    """Return what to add to the steps along H and D, so that the centre of k-space comes to the middle."""
    matrix, limits = encoding.encodedSpace.matrixSize, encoding.encodingLimits
    first, second = (None, None) if limits is None else (limits.kspace_encoding_step_1, limits.kspace_encoding_step_2)
    return (
        0 if first is None else matrix.y // 2 - first.center,
        0 if second is None else matrix.z // 2 - second.center,
    )


def _on_grid(path: Path, images: list[list[_Readout]], encoding: Any) -> MRIScan:
    """Put readouts at their place in k-space, and average those of one place."""
    matrix, (down, deep) = encoding.encodedSpace.matrixSize, _offsets(encoding)
    coils = images[0][0].samples.shape[0]
    width = max(matrix.x, *(line.samples.shape[1] for image in images for line in image))
    total = np.zeros((len(images), coils, matrix.z, matrix.y, width), dtype=np.complex64)
    count = np.zeros((len(images), 1, matrix.z, matrix.y, width), dtype=np.float32)
    for index, image in enumerate(images):
        for line in image:
            row, partition = line.index.kspace_encode_step_1 + down, line.index.kspace_encode_step_2 + deep
            own_coils, n_samples = line.samples.shape
            first = 0 if n_samples == width else width // 2 - line.centre
            is_inside = 0 <= row < matrix.y and 0 <= partition < matrix.z and 0 <= first <= width - n_samples
            if own_coils != coils or not is_inside:
                raise FormatError(
                    f"{path} has a readout of shape {line.samples.shape} at row {row} of partition {partition}, "
                    "outside its own header."
                )
            total[index, :, partition, row, first : first + n_samples] += line.samples
            count[index, :, partition, row, first : first + n_samples] += 1
    kspace, mask = torch.from_numpy(total / np.maximum(count, 1)), torch.from_numpy((count > 0).astype(np.float32))
    return MRIScan(kspace, mask) if matrix.z > 1 else MRIScan(kspace[:, :, 0], mask[:, :, 0])


def _off_grid(path: Path, kind: str, images: list[list[_Readout]], encoding: Any, unit: KSpaceUnit) -> MRIScan:
    """Take all readouts along the trajectories that they carry."""
    matrix = encoding.encodedSpace.matrixSize
    size = (matrix.z, matrix.y, matrix.x) if matrix.z > 1 else (matrix.y, matrix.x)
    first = images[0][0]
    if first.points.shape[1] < 2:
        raise UnsupportedError(f"{path} is a {kind} scan whose readouts carry no trajectory.")
    if any(
        len(image) != len(images[0]) or line.samples.shape != first.samples.shape for image in images for line in image
    ):
        raise UnsupportedError(f"{path} is a {kind} scan whose images have different numbers of readouts, or samples.")
    kspace = torch.from_numpy(np.stack([np.stack([line.samples for line in image], axis=1) for image in images]))
    points = torch.from_numpy(np.stack([np.stack([line.points for line in image]) for image in images]))
    in_space = points.shape[-1] > 2 and matrix.z > 1
    dimensions = 3 if in_space else 2
    trajectory = checked_radians(path, points[..., :dimensions].flip(-1), unit=unit, size=size[-dimensions:])
    if matrix.z > 1 and not in_space:
        trajectory = torch.cat([_partitions(images, encoding).expand_as(trajectory[..., :1]), trajectory], dim=-1)
    if bool((trajectory == trajectory[:1]).all()):
        trajectory = trajectory[:1]
    return MRIScan(kspace, torch.ones(1, 1, 1, 1), trajectory=trajectory, image_size=size)


def _partitions(images: list[list[_Readout]], encoding: Any) -> Tensor:
    """Return the coordinate of each readout along the second phase encoding, shape (images, shots, 1, 1)."""
    depth, deep = encoding.encodedSpace.matrixSize.z, _offsets(encoding)[1]
    steps = [[line.index.kspace_encode_step_2 + deep - depth // 2 for line in image] for image in images]
    return torch.tensor(steps, dtype=torch.float32)[..., None, None] * (2 * torch.pi / depth)


def _affine(images: list[list[_Readout]], space: Any) -> Tensor:
    """Return the affine of images (D, H, W), or of slices (H, W, slice), in the axes of NIfTI.

    ISMRMRD has the axes of the patient to the left, posterior and head; those of NIfTI are right, anterior and head.
    """
    matrix, view = space.matrixSize, space.fieldOfView_mm
    head = images[0][0].head
    columns = np.array([head.phase_dir, head.read_dir, head.slice_dir], dtype=np.float64).T
    position = np.array(head.position, dtype=np.float64)
    if not np.allclose(columns.T @ columns, np.eye(3), atol=1e-3):
        columns, position = np.eye(3), np.zeros(3)
    to_nifti = np.diag([-1.0, -1.0, 1.0]) if position.any() or not np.array_equal(columns, np.eye(3)) else np.eye(3)
    is_volume = matrix.z > 1
    pitch = np.array([view.y / matrix.y, view.x / matrix.x, view.z / matrix.z])
    columns = columns * np.where(pitch > 0, pitch, 1.0)
    middle = np.array([matrix.y // 2, matrix.x // 2, matrix.z // 2 if is_volume else 0], dtype=np.float64)
    if not is_volume and len(images) > 1 and images[1][0].index.slice != images[0][0].index.slice:
        apart = np.array(images[1][0].head.position, dtype=np.float64) - np.array(head.position, dtype=np.float64)
        columns[:, 2] = apart if apart.any() else columns[:, 2]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = to_nifti @ columns, to_nifti @ (position - columns @ middle)
    order = [2, 0, 1, 3] if is_volume else [0, 1, 2, 3]
    return torch.from_numpy(affine[:, order])
