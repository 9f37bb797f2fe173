"""Sinogram files: the geometry means what it says, in any of the formats, and nonsense is one sentence."""

import json
import math

import h5py
import numpy as np
import pytest
import tifffile
import torch
from typer.testing import CliRunner

from wellposed.cli.application import application
from wellposed.core.errors import (
    ArgumentError,
    FormatError,
    KeywordError,
    ShapeError,
    UnknownNameError,
    UnsupportedError,
)
from wellposed.data import draw_ellipses, read_dicom, read_image, read_sinogram, uniform_angles
from wellposed.data.phantoms import Ellipse
from wellposed.noise import Gaussian, LogPoisson, NoNoise
from wellposed.operators import ConeBeam3D, FanBeam2D, ParallelBeam2D

FAN = FanBeam2D(uniform_angles(40, span=-2 * math.pi, start=0.5), (1, 32, 30), 60.0, 40.0, 90, 1.2, 0.7, pixel_size=0.9)
GEOMETRY = {
    "beam": "fan",
    "angles": {"n": 40, "span": -360, "start": math.degrees(0.5)},
    "angle_unit": "degrees",
    "image_shape": [32, 30],
    "source_distance": 60,
    "detector_distance": 40,
    "detector_pitch": 1.2,
    "detector_offset": 0.7,
    "pixel_size": 0.9,
}
DISK = draw_ellipses([Ellipse(1.0, (0.1, 0.0), (0.6, 0.5))], (32, 30))


@pytest.fixture
def files(tmp_path):
    """The same sinogram in all formats, and its geometry."""
    y = FAN(DISK)[0, 0].numpy()
    np.save(tmp_path / "y.npy", y)
    np.savez(tmp_path / "y.npz", dark=y * 0, sinogram=y)
    tifffile.imwrite(tmp_path / "y.tiff", y)
    with h5py.File(tmp_path / "y.h5", "w") as file:
        file["entry/data"], file["entry/dark"] = y.astype("f8"), y * 0
    return tmp_path


def geometry(folder, without=(), **changes):
    path = folder / "geometry.json"
    entries = {name: value for name, value in (GEOMETRY | changes).items() if name not in without}
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["y.npy", "y.npz:sinogram", "y.tiff", "y.h5:entry/data"])
def test_every_format_gives_the_same(files, name):
    y, physics = read_sinogram(files / name, geometry(files))
    torch.testing.assert_close(y, FAN(DISK))
    assert isinstance(physics.noise, NoNoise)
    torch.testing.assert_close(physics.operator(DISK), y, rtol=1e-4, atol=1e-4)


def test_angles_in_radians_and_one_by_one(files):
    angles = [float(angle) for angle in FAN.angles[0]]
    _, physics = read_sinogram(files / "y.npy", geometry(files, angles=angles, angle_unit="radians"))
    torch.testing.assert_close(physics.operator.angles, FAN.angles)


CONE = ConeBeam3D(uniform_angles(5, span=2 * math.pi), (1, 3, 8, 8), 30.0, 20.0)


@pytest.mark.parametrize("name", ["v.npy", "v.npz", "v.tiff", "v.h5"])
def test_every_format_holds_sinograms_of_volumes(files, name):
    y = CONE(torch.rand(1, 1, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
    values = y[0, 0].numpy()
    np.save(files / "v.npy", values)
    np.savez(files / "v.npz", values)
    tifffile.imwrite(files / "v.tiff", values)
    with h5py.File(files / "v.h5", "w") as file:
        file["sinogram"] = values
    without = ("detector_offset", "detector_pitch", "pixel_size")
    angles = {"n": 5, "span": 360}
    sizes = {"image_shape": [3, 8, 8], "source_distance": 30, "detector_distance": 20}
    read, physics = read_sinogram(files / name, geometry(files, without, beam="cone", angles=angles, **sizes))
    torch.testing.assert_close(read, y)
    assert physics.operator.measurement_shape == CONE.measurement_shape


@pytest.mark.parametrize("name", ["y.npy", "y.npz:sinogram", "y.tiff", "y.h5"])
def test_integers_are_not_taken_for_line_integrals(files, name):
    counts = np.ones((40, 90), dtype=np.uint16)
    np.save(files / "y.npy", counts)
    np.savez(files / "y.npz", dark=counts * 1.0, sinogram=counts)
    tifffile.imwrite(files / "y.tiff", counts)
    with h5py.File(files / "y.h5", "w") as file:
        file["sinogram"] = counts
    with pytest.raises(FormatError, match="holds values of type uint16: a sinogram is made of floats"):
        read_sinogram(files / name, geometry(files))


def test_noise(files):
    _, physics = read_sinogram(files / "y.npy", geometry(files, noise={"sigma": 0.25}))
    assert isinstance(physics.noise, Gaussian)
    assert physics.noise.sigma == 0.25
    _, physics = read_sinogram(files / "y.npy", geometry(files, noise={"photons": 1e4, "attenuation": 0.5}))
    assert isinstance(physics.noise, LogPoisson)
    assert (physics.noise.photons, physics.noise.attenuation) == (1e4, 0.5)


def test_a_parallel_beam(files):
    beam = ParallelBeam2D(uniform_angles(7), (1, 32, 30), n_detectors=45)
    np.save(files / "p.npy", beam(DISK)[0, 0].numpy())
    entries = {"beam": "parallel", "angles": {"n": 7, "span": 180}, "angle_unit": "degrees", "image_shape": [32, 30]}
    (files / "p.json").write_text(json.dumps(entries), encoding="utf-8")
    y, physics = read_sinogram(files / "p.npy", files / "p.json")
    assert type(physics.operator) is ParallelBeam2D
    torch.testing.assert_close(physics.operator(DISK), y)


def test_the_command_writes_the_image(files):
    arguments = ["reconstruct", f"{files}/y.npy", "-o", f"{files}/x.npy", "--method", "fbp"]
    result = CliRunner().invoke(application, [*arguments, "--geometry", str(geometry(files))])
    assert result.exit_code == 0, result.output
    torch.testing.assert_close(read_image(files / "x.npy"), FAN.fbp(FAN(DISK)), rtol=1e-3, atol=1e-4)


def run(*arguments):
    return CliRunner().invoke(application, ["reconstruct", *map(str, arguments), "--method", "fbp", "--quiet"])


def refusal(*arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    return " ".join(result.output.split())


def test_the_command_writes_a_slice_for_dicom_viewers(files):
    """In Hounsfield units, where water attenuates as much as it is told, and with the geometry's pixels in mm."""
    result = run(files / "y.npy", "-o", files / "x.dcm", "--geometry", geometry(files), "--water", 0.5)
    assert result.exit_code == 0, result.output
    image = read_dicom(files / "x.dcm")
    expected = 1000 * (FAN.fbp(FAN(DISK)) / 0.5 - 1)
    torch.testing.assert_close(image.hounsfield, expected.clamp(min=-1024), rtol=0, atol=2.0)
    assert image.pixel_spacing == (0.9, 0.9)


def test_slices_that_no_dicom_file_can_hold(files):
    assert "only sinograms have (--geometry)" in refusal(files / "y.npy", "-o", files / "x.dcm")
    arguments = files / "y.npy", "-o", files / "x.dcm", "--geometry", geometry(files), "--water", 0
    assert "--water expects a number above zero, got 0" in refusal(*arguments)
    np.save(files / "v.npy", np.zeros((40, 2, 90), dtype=np.float32))
    volume = geometry(files, beam="cone", image_shape=[2, 32, 30])
    arguments = files / "v.npy", "-o", files / "x.dcm", "--geometry", volume
    assert "holds one slice, and this is a volume (1, 2, 32, 30)" in refusal(*arguments)
    assert not (files / "x.dcm").exists()


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"beam": "fann"}, UnknownNameError, "unknown beam 'fann'; did you mean 'fan'"),
        ({"angle_unit": "grad"}, UnknownNameError, "unknown angle_unit"),
        ({"angles": {"n": 40}}, ArgumentError, "a range of angles is"),
        ({"angles": "all"}, ArgumentError, "the angles are a list"),
        ({"angles": {"n": 39, "span": 360}}, ShapeError, "has 40 views of 90 elements, and .* has 39 angles."),
        ({"angles": {"n": 90, "span": 360}}, ShapeError, "lie on its side"),
        ({"image_shape": 32}, ArgumentError, "needs an image_shape"),
        ({"noise": {"sigma": 1, "photons": 2}}, ArgumentError, "the noise is"),
        ({"pitch": 1.0}, KeywordError, "has no parameter 'pitch'"),
        ({"n_detectors": 90}, KeywordError, "has no parameter 'n_detectors'"),
        ({"source_distance": 5}, ArgumentError, "inside the image"),
    ],
)
def test_nonsense_is_refused(files, changes, error, match):
    with pytest.raises(error, match=match):
        read_sinogram(files / "y.npy", geometry(files, **changes))


def test_files_that_are_no_sinogram(files):
    with pytest.raises(ArgumentError, match=r"does not describe a FanBeam2D.*source_distance"):
        read_sinogram(files / "y.npy", geometry(files, without=["source_distance"]))
    with pytest.raises(ArgumentError, match=r"2 arrays, choose one with key=: entry/dark, entry/data"):
        read_sinogram(files / "y.h5", geometry(files))
    with pytest.raises(UnsupportedError, match="sinograms are read from"):
        read_sinogram(files / "y.png", geometry(files))
    (files / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(FormatError, match="not JSON"):
        read_sinogram(files / "y.npy", files / "bad.json")
    (files / "bad.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(FormatError, match="a geometry is a JSON object"):
        read_sinogram(files / "y.npy", files / "bad.json")
    (files / "y.h5").write_text("no", encoding="utf-8")
    with pytest.raises(FormatError, match="not an HDF5 file"):
        read_sinogram(files / "y.h5", geometry(files))
    np.save(files / "cube.npy", np.zeros((2, 40, 90), dtype=np.float32))
    with pytest.raises(ShapeError, match="one sinogram"):
        read_sinogram(files / "cube.npy", geometry(files))
