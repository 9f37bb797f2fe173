"""DICOM: values, spacing and order as pydicom wrote them, and what cannot be read says why."""

import pydicom
import pytest
import torch

from wellposed.core.errors import ArgumentError, FormatError, ShapeError, UnsupportedError
from wellposed.core.files import MissingFileError
from wellposed.data import read_dicom, write_dicom


def changed(path, **values):
    """Write some attributes of a file anew."""
    dataset = pydicom.dcmread(path)
    for name, value in values.items():
        setattr(dataset, name, value)
    dataset.save_as(path)


@pytest.fixture
def series(tmp_path):
    """Three slices 2.5 mm apart whose names run against their order, and a note that is no DICOM."""
    for i, name in enumerate(["c.dcm", "b.dcm", "a.dcm"]):
        write_dicom(tmp_path / name, torch.full((1, 1, 4, 5), 100.0 * i), pixel_spacing=(0.5, 0.75))
        changed(
            tmp_path / name,
            SeriesInstanceUID="1.2.3",
            ImagePositionPatient=[7, 8, 2.5 * i - 10],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        )
    (tmp_path / "note.txt").write_text("no DICOM")
    return tmp_path


def test_a_slice_comes_back_in_whole_hounsfield_units(tmp_path):
    image = 3000 * torch.rand(1, 1, 7, 9, generator=torch.Generator().manual_seed(0)) - 1000
    write_dicom(tmp_path / "x.dcm", image, pixel_spacing=(0.7, 0.9), patient="Doe")
    back = read_dicom(tmp_path / "x.dcm")
    assert torch.equal(back.hounsfield, image.round())
    assert back.pixel_spacing == (0.7, 0.9)
    assert back.slice_spacing is None
    plain = pydicom.dcmread(tmp_path / "x.dcm")
    assert plain.PatientName == "Doe"
    assert (plain.pixel_array == image[0, 0].round().numpy() + 1024).all()


def test_values_are_rescaled_as_the_file_says(tmp_path):
    write_dicom(tmp_path / "x.dcm", torch.tensor([[[[-1024.0, -1000.0]]]]))
    changed(tmp_path / "x.dcm", RescaleSlope=2, RescaleIntercept=-500)
    assert read_dicom(tmp_path / "x.dcm").hounsfield.flatten().tolist() == [-500.0, -452.0]


def test_values_beyond_16_bits_are_clipped(tmp_path):
    write_dicom(tmp_path / "x.dcm", torch.tensor([[[[-5000.0, 1e6]]]]))
    assert read_dicom(tmp_path / "x.dcm").hounsfield.flatten().tolist() == [-1024.0, 64511.0]


def test_a_series_is_put_in_order(series):
    volume = read_dicom(series)
    assert volume.hounsfield.shape == (1, 1, 3, 4, 5)
    assert volume.hounsfield[0, 0, :, 0, 0].tolist() == [0.0, 100.0, 200.0]
    assert volume.pixel_spacing == (0.5, 0.75)
    assert volume.slice_spacing == 2.5


def test_a_tilted_series_is_ordered_along_its_normal(series):
    """Sagittal slices: columns run along y, rows along -z, so the normal is -x."""
    for i, name in enumerate(["c.dcm", "b.dcm", "a.dcm"]):
        changed(series / name, ImagePositionPatient=[1.5 * i, 0, 0], ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    volume = read_dicom(series)
    assert volume.hounsfield[0, 0, :, 0, 0].tolist() == [200.0, 100.0, 0.0]
    assert volume.slice_spacing == 1.5


def test_several_series_must_be_told_apart(series):
    changed(series / "a.dcm", SeriesInstanceUID="9.9")
    with pytest.raises(ArgumentError, match=r"2 series, choose one .*9.9 \(1 slices\), 1.2.3 \(2 slices\)"):
        read_dicom(series)
    assert read_dicom(series, series="1.2.3").hounsfield.shape == (1, 1, 2, 4, 5)
    assert read_dicom(series, series="9.9").hounsfield[0, 0, 0, 0] == 200


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"ImagePositionPatient": [7, 8, -3]}, "2.5 to 4.5 mm apart"),
        ({"ImagePositionPatient": [7, 8, -7.5]}, "0 to 2.5 mm apart"),
        ({"PixelSpacing": [1, 1]}, "another PixelSpacing"),
        ({"ImagePositionPatient": None}, "no regular stack|where its slice lies"),
    ],
)
def test_what_is_no_regular_stack_is_refused(series, change, match):
    if change.get("ImagePositionPatient", 0) is None:
        dataset = pydicom.dcmread(series / "a.dcm")
        del dataset.ImagePositionPatient
        dataset.save_as(series / "a.dcm")
    else:
        changed(series / "a.dcm", **change)
    with pytest.raises(FormatError, match=match):
        read_dicom(series)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "note.dcm").write_text("no DICOM")
    with pytest.raises(FormatError, match="not a DICOM image"):
        read_dicom(tmp_path / "note.dcm")
    with pytest.raises(MissingFileError, match="holds no DICOM image"):
        read_dicom(tmp_path)
    with pytest.raises(MissingFileError, match="no such file"):
        read_dicom(tmp_path / "other.dcm")
    write_dicom(tmp_path / "x.dcm", torch.zeros(1, 1, 4, 4))
    changed(tmp_path / "x.dcm", SamplesPerPixel=3)
    with pytest.raises(UnsupportedError, match="colours"):
        read_dicom(tmp_path / "x.dcm")
    write_dicom(tmp_path / "x.dcm", torch.zeros(1, 1, 4, 4))
    changed(tmp_path / "x.dcm", Rows=400)
    with pytest.raises(FormatError, match=r"the pixels of .*x.dcm cannot be decoded"):
        read_dicom(tmp_path / "x.dcm")


def test_images_that_cannot_be_written(tmp_path):
    with pytest.raises(ShapeError, match="one real image"):
        write_dicom(tmp_path / "x.dcm", torch.zeros(1, 4, 4))
    with pytest.raises(ArgumentError, match="finite"):
        write_dicom(tmp_path / "x.dcm", torch.full((1, 1, 2, 2), torch.nan))
    with pytest.raises(ArgumentError, match="spacing above zero"):
        write_dicom(tmp_path / "x.dcm", torch.zeros(1, 1, 2, 2), pixel_spacing=(0.0, 1.0))
    assert list(tmp_path.iterdir()) == []
