"""Beams through volumes: chords of ellipsoids, slices as in the plane, both codes, and Feldkamp's method."""

import math

import pytest
import torch

from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.data import Ellipse, draw_ellipses, integrate_ellipses, limited_angles, uniform_angles
from wellposed.operators import ConeBeam3D, FanBeam2D, ParallelBeam2D, ParallelBeam3D
from wellposed.operators.tomography import cone

FULL = 2 * math.pi
BODY = [Ellipse(1.0, (0.1, -0.2, 0.15), (0.6, 0.4, 0.5), 0.5)]
SIZE = (1, 96, 96, 96)
BEAMS = {
    "parallel": lambda: ParallelBeam3D(uniform_angles(3, start=0.2), SIZE),
    "parallel, fine rows, in mm": lambda: ParallelBeam3D(
        uniform_angles(3, start=0.2), SIZE, row_pitch=0.7, row_offset=2.0, pixel_size=0.9, slice_spacing=0.9
    ),
    "cone": lambda: ConeBeam3D(uniform_angles(3, span=FULL, start=0.2), SIZE, 160.0, 100.0, row_pitch=2.1),
    "cone, shifted, in mm": lambda: ConeBeam3D(
        uniform_angles(3, span=FULL, start=0.2),
        SIZE,
        150.0,
        90.0,
        row_pitch=1.8,
        row_offset=6.0,
        detector_offset=1.0,
        pixel_size=0.8,
        slice_spacing=0.8,
    ),
}


@pytest.fixture(scope="module")
def body():
    return draw_ellipses(BODY, SIZE[1:], oversampling=2)


@pytest.mark.parametrize("make", BEAMS.values(), ids=BEAMS)
def test_chords_of_an_ellipsoid(make, body):
    beam = make()
    exact = integrate_ellipses(BODY, beam)
    assert (beam(body) - exact).abs().mean() / exact.mean() < 1e-2
    assert abs(beam(body).mean() / exact.mean() - 1) < 1e-3


@pytest.mark.parametrize("kind", ["parallel", "cone"])
def test_chords_of_a_sphere(kind):
    """To half a percent in the mean; most of it is where the edge of the sphere is blurred over voxels."""
    size = (1, 112, 112, 112)
    if kind == "parallel":
        beam = ParallelBeam3D(uniform_angles(3, start=0.2), size)
    else:
        angles = uniform_angles(3, span=FULL, start=0.2)
        beam = ConeBeam3D(angles, size, 190.0, 112.0, detector_pitch=1.6, row_pitch=1.6)
    sphere = [Ellipse(1.0, (0.1, -0.05, 0.08), (0.8, 0.8, 0.8))]
    exact = integrate_ellipses(sphere, beam)
    error = beam(draw_ellipses(sphere, size[1:], oversampling=2)) - exact
    assert error.abs().mean() < 5e-3 * exact.mean()


def test_parallel_rows_see_slices():
    x = torch.rand(2, 3, 4, 6, 5, generator=torch.Generator().manual_seed(0))
    volume = ParallelBeam3D(uniform_angles(7), (3, 4, 6, 5))
    plane = ParallelBeam2D(uniform_angles(7), (3, 6, 5))
    y = volume(x)
    assert y.shape == (2, 3, 7, 4, 8)
    for depth in range(4):
        torch.testing.assert_close(y[:, :, :, depth], plane(x[:, :, depth]))


def test_rows_between_slices_are_their_mean():
    """Rows half a slice higher than the slices see their mean, the last one half of the last slice and half of air."""
    x = torch.rand(1, 1, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    between = ParallelBeam3D(uniform_angles(4), (1, 3, 6, 5), n_rows=3, row_offset=0.5)(x)
    y = ParallelBeam3D(uniform_angles(4), (1, 3, 6, 5))(x)
    torch.testing.assert_close(between[..., :2, :], (y[..., :2, :] + y[..., 1:, :]) / 2)
    torch.testing.assert_close(between[..., 2, :], y[..., 2, :] / 2)


def test_the_middle_row_of_a_cone_is_a_fan():
    x = torch.rand(1, 1, 3, 12, 10, generator=torch.Generator().manual_seed(0))
    angles = uniform_angles(6, span=FULL)
    with pytest.warns(UserWarning, match=r"shadow of the volume is up to 5.76 higher than the detector, 1 rows of 1 "):
        cone_beam = ConeBeam3D(angles, (1, 3, 12, 10), 30.0, 20.0, n_rows=1)
    fan = FanBeam2D(angles, (1, 12, 10), 30.0, 20.0)
    torch.testing.assert_close(cone_beam(x)[..., 0, :], fan(x[:, :, 1]), rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*shadow of the volume is up to")
@pytest.mark.parametrize("size", [(1, 1, 1, 1), (2, 3, 5, 4), (1, 9, 4, 7)])
@pytest.mark.parametrize("rows", [1, 6])
def test_compiled_code_follows_the_plain_rule(size, rows, monkeypatch):
    angles = torch.stack([uniform_angles(3, span=FULL, start=0.3), uniform_angles(3, span=-FULL, start=1.0)]).double()
    beam = ConeBeam3D(
        angles,
        size,
        12.0,
        5.0,
        16,
        rows,
        1.4,
        1.3,
        detector_offset=0.2,
        row_offset=0.3,
        pixel_size=0.9,
        slice_spacing=1.2,
    )
    x = torch.rand(2, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.rand(2, *beam.measurement_shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    compiled = beam(x), beam.adjoint(y), beam.fbp(y)
    monkeypatch.setattr(cone, "can_compile", lambda _: False)
    torch.testing.assert_close((beam(x), beam.adjoint(y), beam.fbp(y)), compiled, rtol=1e-10, atol=1e-12)


def test_threads_share_no_voxel(monkeypatch):
    """The ramp is left out: the FFT of some processors rounds differently with more threads."""
    monkeypatch.setattr(cone, "ramp_filtered", lambda y, _pitch, _window: y)
    beam = ConeBeam3D(uniform_angles(5, span=FULL), (1, 6, 12, 11), 30.0, 20.0)
    x = torch.rand(1, 1, 6, 12, 11, generator=torch.Generator().manual_seed(0))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        several = beam(x), beam.adjoint(beam(x)), beam.fbp(beam(x))
        torch.set_num_threads(1)
        for result, alone in zip(several, (beam(x), beam.adjoint(beam(x)), beam.fbp(beam(x))), strict=True):
            assert torch.equal(result, alone)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(
    "make",
    [
        lambda size: ParallelBeam3D(uniform_angles(60), size, row_pitch=0.7),
        lambda size: ConeBeam3D(uniform_angles(90, span=FULL), size, 100.0, 60.0, row_pitch=1.3),
        lambda size: ConeBeam3D(limited_angles(90, span=math.pi + 1), size, 100.0, 60.0, row_pitch=1.3),
    ],
    ids=["parallel", "cone", "cone, short scan"],
)
def test_the_amplitude_of_a_ball(make):
    ball, core = ([Ellipse(value, (0.0,) * 3, (radius,) * 3)] for value, radius in ((1.5, 0.6), (1.0, 0.4)))
    size = (32, 32, 32)
    beam = make((1, *size))
    recovered = beam.fbp(beam(draw_ellipses(ball, size, oversampling=2)))
    inside = draw_ellipses(core, size, oversampling=2) == 1
    assert abs(recovered[inside].mean() / 1.5 - 1) < 0.01


def test_gradients_through_feldkamps_method():
    beam = ConeBeam3D(uniform_angles(5, span=FULL), (1, 3, 4, 4), 12.0, 5.0).double()
    y = torch.rand(1, *beam.measurement_shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(beam.fbp, (y.requires_grad_(),), fast_mode=True)


def test_bad_input():
    angles = uniform_angles(4, span=FULL)
    with pytest.raises(ShapeError, match=r"an image shape \(C, D, H, W\)"):
        ParallelBeam3D(angles, (1, 8, 8))
    with pytest.raises(ArgumentError, match="inside the image"):
        ConeBeam3D(angles, (1, 8, 8, 8), 6.0, 6.0)
    for wrong in ({"row_pitch": 0.0}, {"slice_spacing": -1.0}, {"n_rows": 0}):
        with pytest.raises(ArgumentError, match=f"expects {next(iter(wrong))} to be"):
            ParallelBeam3D(angles, (1, 8, 8, 8), **wrong)
    with pytest.raises(ShapeError, match=r"measurements of shape \(B, 1, 4, 8, 12\)"):
        ParallelBeam3D(angles, (1, 8, 8, 8)).adjoint(torch.zeros(1, 1, 8, 4, 12))
