"""CT slices in DICOM files: Hounsfield units, spacing and order; and images written for a DICOM viewer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, FormatError, ShapeError, UnsupportedError
from wellposed.core.files import MissingFileError, atomic_path, existing_file, existing_folder
from wellposed.core.names import check_name, optional_import
from wellposed.core.shapes import check_tensor

__all__ = ["DicomImage", "read_dicom", "write_dicom"]

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_LOWEST = -1024
_UNEVEN = 1e-2


class DicomImage(NamedTuple):
    """A slice, or a volume made of a series of them, as a scanner wrote it."""

    hounsfield: Tensor
    """Shape (1, 1, H, W), or (1, 1, D, H, W) for a series; float32."""

    pixel_spacing: tuple[float, float]
    """From one row to the next and from one column to the next, in mm; (1, 1) if the file does not say."""

    slice_spacing: float | None
    """From one slice to the next, in mm; None for a single one."""


def read_dicom(path: str | Path, *, series: str | None = None) -> DicomImage:
    """Read a DICOM file, or the slices of one series in a folder, in their order along the body.

    Values are rescaled as the file says, for CT to Hounsfield units. Slices are put in order by where they lie, not by
    their names or numbers. Files of the folder that are not DICOM images are passed over.

    Parameters
    ----------
    path : str or Path
        A file, or a folder of one or more series.
    series : str, optional
        The SeriesInstanceUID of the one to read, where the folder holds several.

    Raises
    ------
    MissingFileError
        If nothing is there, or the folder holds no DICOM image.
    FormatError
        If a file is damaged, or the slices are not one regular stack.
    ArgumentError
        If the folder holds several series and none was chosen.
    UnsupportedError
        If the pixels are compressed in a way that needs another package, or in colour.
    MissingDependencyError
        If pydicom is not installed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "slice.dcm"
    >>> write_dicom(path, torch.full((1, 1, 4, 6), 40.0), pixel_spacing=(0.7, 0.8))
    >>> image = read_dicom(path)
    >>> image.hounsfield.shape, image.hounsfield.max().item(), image.pixel_spacing
    (torch.Size([1, 1, 4, 6]), 40.0, (0.7, 0.8))
    """
    path = Path(path)
    if not path.is_dir():
        header = _header(existing_file(path))
        if header is None:
            raise FormatError(f"{path} is not a DICOM image.")
        return DicomImage(_values(path, header)[None, None], _pixel_spacing(header), None)
    slices = _one_series(existing_folder(path), series)
    if len(slices) == 1:
        return read_dicom(slices[0][0])
    return _stack(slices)


def write_dicom(
    path: str | Path, hounsfield: Tensor, *, pixel_spacing: tuple[float, float] = (1.0, 1.0), patient: str = "anonymous"
) -> None:
    """Write one image as a DICOM secondary capture, whole or not at all: what a reconstruction is for a viewer.

    Values are rounded to whole Hounsfield units and clipped to what 16 bits hold above -1024.

    Parameters
    ----------
    path : str or Path
    hounsfield : Tensor, shape (1, 1, H, W)
    pixel_spacing : tuple of float
        From one row, and one column, to the next, in mm.
    patient : str
        The name that the file carries.

    Raises
    ------
    ShapeError, DTypeError, ArgumentError
        If it is not one real image with finite values, or a spacing is not above zero.
    MissingDependencyError
        If pydicom is not installed.
    """
    dataset_module = optional_import("pydicom.dataset", extra="ct")
    uid = optional_import("pydicom.uid", extra="ct")
    check_tensor("write_dicom", "hounsfield", hounsfield)
    if hounsfield.ndim != 4 or hounsfield.shape[:2] != (1, 1) or hounsfield.is_complex():
        raise ShapeError(f"write_dicom expects one real image (1, 1, H, W), got {tuple(hounsfield.shape)}.")
    if not bool(torch.isfinite(hounsfield).all()):
        raise ArgumentError("write_dicom expects finite values, got NaN or infinity.")
    if not min(pixel_spacing) > 0:
        raise ArgumentError(f"write_dicom expects a pixel spacing above zero, got {pixel_spacing}.")
    stored = (hounsfield[0, 0].detach().cpu().double().round() - _LOWEST).clamp(0, 65535).numpy().astype("<u2")
    dataset = dataset_module.Dataset()
    dataset.file_meta = dataset_module.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = _SECONDARY_CAPTURE
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid.generate_uid()
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = uid.generate_uid(), uid.generate_uid()
    dataset.Modality, dataset.ConversionType, dataset.PatientName, dataset.PatientID = "CT", "WSD", patient, ""
    dataset.StudyDate = dataset.StudyTime = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.PatientBirthDate = dataset.PatientSex = dataset.StudyID = ""
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.PixelSpacing = [f"{spacing:.10g}" for spacing in pixel_spacing]
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, _LOWEST, "HU"
    dataset.PixelData = stored.tobytes()
    with atomic_path(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)


def _header(path: Path) -> Any | None:
    """Return the parsed file, or None if it is no DICOM image."""
    pydicom = optional_import("pydicom", extra="ct")
    try:
        dataset = pydicom.dcmread(path)
    except pydicom.errors.InvalidDicomError:
        return None
    except (EOFError, ValueError, KeyError, OSError) as error:
        raise FormatError(f"{path} is a damaged DICOM file ({error}).") from error
    return dataset if "PixelData" in dataset else None


def _values(path: Path, dataset: Any) -> Tensor:
    """Return the pixels (H, W), rescaled as the file says."""
    if int(dataset.get("SamplesPerPixel", 1)) != 1 or int(dataset.get("NumberOfFrames", 1) or 1) != 1:
        raise UnsupportedError(f"{path} holds colours or several frames: one grey slice a file is read.")
    try:
        stored = dataset.pixel_array
    except (RuntimeError, NotImplementedError, AttributeError, ValueError) as error:
        syntax = dataset.file_meta.get("TransferSyntaxUID")
        kind = UnsupportedError if syntax is not None and syntax.is_compressed else FormatError
        raise kind(f"the pixels of {path} cannot be decoded: {error}") from error
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    return torch.from_numpy((stored.astype(np.float64) * slope + intercept).astype(np.float32))


def _pixel_spacing(dataset: Any) -> tuple[float, float]:
    rows, columns = dataset.get("PixelSpacing") or (1, 1)
    return float(rows), float(columns)


def _one_series(folder: Path, series: str | None) -> list[tuple[Path, Any]]:
    found: dict[str, list[tuple[Path, Any]]] = {}
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        header = _header(path)
        if header is not None:
            found.setdefault(str(header.get("SeriesInstanceUID", "")), []).append((path, header))
    if not found:
        raise MissingFileError(f"{folder} holds no DICOM image.")
    if series is not None:
        return found[check_name("series", series, found)]
    if len(found) > 1:
        listed = ", ".join(f"{uid} ({len(slices)} slices)" for uid, slices in found.items())
        raise ArgumentError(f"{folder} holds {len(found)} series, choose one with series=...: {listed}.")
    return next(iter(found.values()))


def _stack(slices: list[tuple[Path, Any]]) -> DicomImage:
    """Order slices along the normal of their plane, and check that they make a regular stack."""
    first = slices[0][1]
    for path, header in slices:
        for name in ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient"):
            if header.get(name) != first.get(name):
                raise FormatError(f"{path} has another {name} than the first slice of its series: {header.get(name)}.")
        if "ImagePositionPatient" not in header or "ImageOrientationPatient" not in header:
            raise FormatError(f"{path} does not say where its slice lies, so the series has no order.")
    across, down = np.array(first.ImageOrientationPatient, dtype=float).reshape(2, 3)
    normal = np.cross(across, down)
    heights = np.array(
        [float(np.dot(np.array(header.ImagePositionPatient, dtype=float), normal)) for _, header in slices]
    )
    order = heights.argsort(kind="stable")
    gaps = np.diff(heights[order])
    spacing = float(np.median(gaps))
    if spacing <= 0 or np.abs(gaps - spacing).max() > _UNEVEN * spacing:
        raise FormatError(
            f"the slices in {slices[0][0].parent} are {gaps.min():g} to {gaps.max():g} mm apart: a slice is missing or "
            "there twice, or they are no regular stack."
        )
    volume = torch.stack([_values(*slices[i]) for i in order])
    return DicomImage(volume[None, None], _pixel_spacing(first), spacing)
