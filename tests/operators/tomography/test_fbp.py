"""Filtered backprojection: amplitude, against scikit-image, short scans, and its gradient."""

import math

import pytest
import torch
from skimage.transform import iradon, radon

from wellposed.core.errors import ShapeError, UnknownNameError
from wellposed.data import Ellipse, draw_ellipses, golden_angles, limited_angles, shepp_logan, uniform_angles
from wellposed.metrics import psnr
from wellposed.operators import FanBeam2D, ParallelBeam2D
from wellposed.operators.tomography import _compiled, _smear

FULL = 2 * math.pi
DISK = draw_ellipses([Ellipse(1.5, (0.0, 0.0), (0.7, 0.7))], (64, 64))
INSIDE = draw_ellipses([Ellipse(1.0, (0.0, 0.0), (0.5, 0.5))], (64, 64)) == 1
SHORT = math.pi + 1.0


def fan(angles, pitch=1.0, **options):
    return FanBeam2D(angles, (1, 64, 64), 100.0, 75.0, detector_pitch=1.75 * pitch, **options)


@pytest.mark.parametrize("pitch", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("views", [30, 51, 180, 720])
@pytest.mark.parametrize("kind", ["parallel", "fan", "short fan scan"])
def test_the_amplitude_of_a_disk(kind, views, pitch):
    """Any number of views, any pitch, and the length of a pixel does not matter either."""
    if kind == "parallel":
        beam = ParallelBeam2D(uniform_angles(views), (1, 64, 64), detector_pitch=pitch)
    elif kind == "fan":
        beam = fan(uniform_angles(views, span=FULL), pitch)
    else:
        beam = fan(limited_angles(views, span=SHORT, centre=1.0), pitch)
    assert abs(beam.fbp(beam(DISK))[INSIDE].mean() / 1.5 - 1) < 0.01


@pytest.mark.parametrize(
    "angles",
    [
        golden_angles(101),
        uniform_angles(100, span=FULL),
        uniform_angles(101, span=-FULL, start=9.0),
        math.pi * torch.rand(300, generator=torch.Generator().manual_seed(0)),
    ],
    ids=["golden", "full turn", "backwards", "random"],
)
def test_views_count_for_the_angle_they_stand_for(angles):
    beam = ParallelBeam2D(angles, (1, 64, 64), pixel_size=0.3, detector_pitch=0.3)
    assert abs(beam.fbp(beam(DISK))[INSIDE].mean() / 1.5 - 1) < 0.01


def test_a_missing_wedge_is_not_filled_up():
    """Two thirds of the views, two thirds of the middle of the disk."""
    beam = ParallelBeam2D(limited_angles(120, span=2 * math.pi / 3), (1, 64, 64))
    assert abs(beam.fbp(beam(DISK))[0, 0, 30:34, 30:34].mean() / 1.5 - 2 / 3) < 0.02


def test_a_fan_that_turns_too_little_is_told():
    beam = fan(limited_angles(60, span=math.pi))
    with pytest.warns(UserWarning, match=r"a turn of 3.\d+ rad is less than half a turn and the angle of the fan"):
        beam.fbp(beam(DISK))


def test_no_worse_than_scikit_image():
    """Shepp-Logan 256, 360 views, the sharpest filter and the smoothest: each side projects and inverts by itself."""
    x = shepp_logan((256, 256))
    beam = ParallelBeam2D(uniform_angles(360), (1, 256, 256))
    theta = torch.arange(360).numpy() / 2
    y, their_y = beam(x), radon(x[0, 0].numpy(), theta, circle=True)
    for window in ("ramp", "hann"):
        theirs = iradon(their_y, theta, circle=True, filter_name=window)
        theirs = psnr(torch.from_numpy(theirs)[None, None].to(x), x, data_range=1.0)
        assert psnr(beam.fbp(y, filter=window), x, data_range=1.0) > theirs


def test_the_detector_may_end_where_the_object_does():
    """What the filter spreads beyond the detector is backprojected as well."""
    x = draw_ellipses([Ellipse(1.0, (0.0, 0.0), (0.9, 0.9))], (64, 64))
    wide = ParallelBeam2D(uniform_angles(90), (1, 64, 64), n_detectors=100)
    with pytest.warns(UserWarning, match="wider than the detector"):
        narrow = ParallelBeam2D(uniform_angles(90), (1, 64, 64), n_detectors=64)
    torch.testing.assert_close(narrow.fbp(narrow(x)), wide.fbp(wide(x)), rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["parallel", "fan"])
def test_compiled_plain_and_transposed_agree(kind, monkeypatch):
    angles = uniform_angles(7, span=FULL).double()
    beam = ParallelBeam2D(angles, (1, 9, 8)) if kind == "parallel" else FanBeam2D(angles, (1, 9, 8), 11.0, 5.0)
    y = torch.rand(2, *beam.measurement_shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y.requires_grad_()
    compiled = beam.fbp(y)
    assert torch.autograd.gradcheck(beam.fbp, (y,), fast_mode=True)
    monkeypatch.setattr(_smear, "can_compile", lambda _: False)
    torch.testing.assert_close(beam.fbp(y), compiled, rtol=1e-10, atol=1e-12)


def test_each_image_has_its_own_geometry():
    angles = torch.stack([golden_angles(20), uniform_angles(20), uniform_angles(20, start=0.3)])
    beam = ParallelBeam2D(angles, (1, 16, 16), n_detectors=25, detector_offset=torch.tensor([0.0, 1.0, -1.0]))
    y = torch.rand(3, *beam.measurement_shape, generator=torch.Generator().manual_seed(0))
    for i in range(3):
        alone = ParallelBeam2D(angles[i], (1, 16, 16), n_detectors=25, detector_offset=[0.0, 1.0, -1.0][i])
        torch.testing.assert_close(beam.fbp(y)[i], alone.fbp(y[i : i + 1])[0], rtol=1e-4, atol=1e-5)


def test_bad_input():
    beam = ParallelBeam2D(uniform_angles(5), (1, 8, 8))
    with pytest.raises(UnknownNameError, match="unknown filter 'han'; did you mean 'hann'"):
        beam.fbp(torch.zeros(1, 1, 5, 12), filter="han")
    with pytest.raises(ShapeError, match="expects measurements"):
        beam.fbp(torch.zeros(1, 1, 12, 5))
    assert _compiled.can_compile(torch.zeros(1))
